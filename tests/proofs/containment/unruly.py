"""Strategies that a daemon must contain: one that raises, one that ends the process, one that is refused all day."""

from __future__ import annotations

import sys
from typing import ClassVar

from pydantic import BaseModel

from framework.domain.numbers import Price, Size
from framework.domain.ports import BookView
from framework.domain.strategy import Strategy

STORM_TIMER_MS = 20


class Raises(Strategy[None]):
    """Raises at every change of a book."""

    def on_book(self, book: BookView) -> None:
        """Ask for a level that nobody has."""
        raise LookupError(f"{book.instrument} has no such level")


class ExitSettings(BaseModel):
    """After how long it ends the process."""

    after_ms: int = 20_000


class Exits(Strategy[ExitSettings]):
    """Rests an order, and calls `sys.exit` later."""

    Settings: ClassVar[type[BaseModel]] = ExitSettings

    def on_start(self) -> None:
        """Wait for the time to go."""
        self.desk.set_timer("go", after_ms=self.settings.after_ms)

    def on_book(self, book: BookView) -> None:
        """Keep one order at the bottom of the book."""
        if book.is_fresh and book.is_two_sided and not self.desk.orders(book.instrument):
            tick = self.desk.instrument(book.instrument).tick_at(book.bid)
            self.buy(book.instrument, Price(book.bid - 2 * tick), self.desk.instrument(book.instrument).size(1))

    def on_timer(self, name: str) -> None:
        """Go."""
        sys.exit(3)


class Storms(Strategy[None]):
    """Asks two hundred times in each of fifty turns a second for what it does not get."""

    def on_start(self) -> None:
        """Begin."""
        self.desk.set_timer("again", after_ms=STORM_TIMER_MS)

    def on_timer(self, name: str) -> None:
        """A round of orders that are larger than any limit."""
        self.desk.set_timer("again", after_ms=STORM_TIMER_MS)
        for instrument in self.desk.instruments:
            for _ in range(200):
                self.buy(instrument, Price(5_000), Size(10_000_000))
