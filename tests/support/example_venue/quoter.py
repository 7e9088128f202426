"""A toy strategy: one bid below the mid and one offer above it in each market, put anew when one of them is over."""

from __future__ import annotations

from framework.domain.strategy import OrderHandle, Strategy
from framework.domain.views import BookView


class Quoter(Strategy[None]):
    """Rests 0.01 coins a five-hundredth off the mid on each side."""

    def on_start(self) -> None:
        """Nothing rests yet."""
        self.quotes: dict[str, list[OrderHandle]] = {}

    def on_book(self, book: BookView) -> None:
        """Quote where nothing of ours rests."""
        name, twice = book.instrument, book.mid_twice
        if twice is None or any(one.is_open for one in self.quotes.get(name, ())):
            return
        one, mid = self.desk.instrument(name), twice // 2
        low, high = one.round_down(mid - mid // 500), one.round_up(mid + mid // 500)
        size = one.size("0.01")
        self.quotes[name] = [self.buy(name, low, size), self.sell(name, high, size)]
