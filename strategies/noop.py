"""The smallest strategy: it watches, counts and places nothing. Copy this file to begin your own."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from framework.domain.account_events import Fill
from framework.domain.instruments import Instrument
from framework.domain.market_events import TradePrint
from framework.domain.orders import Order
from framework.domain.ports import Desk
from framework.domain.strategy import Strategy
from framework.domain.views import BookView


class NoopSettings(BaseModel):
    """What the configuration may set under `[strategies.NAME.settings]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    log_every: int = Field(1_000, gt=0, description="Write a line to the log after this many events.")


class Noop(Strategy[NoopSettings]):
    """Counts the books, trades and fills that it is called with."""

    Settings: ClassVar[type[NoopSettings]] = NoopSettings

    def __init__(self, name: str, settings: NoopSettings, desk: Desk) -> None:
        super().__init__(name, settings, desk)
        self.counts = {"book": 0, "trade": 0, "fill": 0}

    def on_instrument(self, instrument: Instrument) -> None:
        """A market that the configuration's pattern names has opened, or one has settled: `desk.instruments` has
        changed. Without this hook a strategy gets no market that opens after its start."""
        self.desk.log("instruments changed", instrument=instrument.id, status=instrument.status.value)

    def on_book(self, book: BookView) -> None:
        """A book changed. To trade: `self.buy(book.instrument, price, size)` returns a handle with the verdict."""
        self._count("book")

    def on_trade(self, trade: TradePrint) -> None:
        """Count a public trade; `trade.aggressor` is the side of its taker."""
        self._count("trade")

    def on_fill(self, fill: Fill, order: Order) -> None:
        """Count an own fill; position and order are up to date already."""
        self._count("fill")

    def _count(self, kind: str) -> None:
        self.counts[kind] += 1
        if sum(self.counts.values()) % self.settings.log_every == 0:
            self.desk.log("still watching", **self.counts)
