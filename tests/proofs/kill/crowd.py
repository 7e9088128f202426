"""A strategy that rests a number of orders at each venue, and on a sign storms or blocks the loop."""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from framework.domain.instruments import InstrumentId
from framework.domain.numbers import Price, Size
from framework.domain.strategy import Strategy

TICK_MS = 10


class CrowdSettings(BaseModel):
    """How many orders rest at each venue. `signs` is a folder in which a file named `storm` or `busy` is a sign; the
    latter says for how many seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = 50
    per_tick: int = 5
    signs: Path


class Crowd(Strategy[CrowdSettings]):
    """Rests bids far below the market."""

    Settings: ClassVar[type[BaseModel]] = CrowdSettings

    def on_start(self) -> None:
        """Begin."""
        self._asked = 0
        self.desk.set_timer("tick", after_ms=TICK_MS)

    def on_timer(self, name: str) -> None:
        """One order more at each venue that has too few; in a storm five, whatever there is."""
        self.desk.set_timer("tick", after_ms=TICK_MS)
        busy = self.settings.signs / "busy"
        if busy.exists():
            busy_s = float(busy.read_text() or "0")
            busy.unlink()
            time.sleep(busy_s)
        instruments = self.desk.instruments
        if (self.settings.signs / "storm").exists():
            for number in range(self.settings.per_tick):
                self._bid(instruments[(self._asked + number) % len(instruments)])
        for instrument in instruments:
            if len(self.desk.orders(instrument)) < self.settings.count:
                self._bid(instrument)

    def _bid(self, instrument: InstrumentId) -> None:
        """A bid of a size and price of its own: some venues tell orders apart by these alone."""
        self._asked += 1
        one, book = self.desk.instrument(instrument), self.desk.book(instrument)
        if not book.is_two_sided:
            return
        tick = one.tick_at(book.bid)
        # So far below that nothing meets it: a fifth of a dollar, or one part in a hundred.
        below = (
            20 + self._asked % 10 if instrument.startswith("kalshi:") else book.bid // tick // 100 + self._asked % 400
        )
        price = Price(max(book.bid - below * tick, tick))
        size = Size(one.size_min * (2 + self._asked % 7))
        self.buy(instrument, price, size)
