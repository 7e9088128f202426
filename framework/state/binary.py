"""The NO side of a binary market: the same book seen from the other contract."""

from __future__ import annotations

from collections.abc import Sequence

from framework.domain.instruments import Instrument, InstrumentKind
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side
from framework.domain.ports import BookView


class Complement:
    """A `BookView` of NO: its bid is one minus the YES ask, its ask one minus the YES bid."""

    __slots__ = ("_unit", "_yes", "instrument")

    def __init__(self, book: BookView, unit: Price) -> None:
        self._yes = book
        self._unit = unit
        self.instrument = book.instrument

    @property
    def bid(self) -> Price | None:
        """Best bid for NO, or None when nobody offers YES."""
        return self._flip(self._yes.ask)

    @property
    def ask(self) -> Price | None:
        """Best offer of NO, or None when nobody bids for YES."""
        return self._flip(self._yes.bid)

    @property
    def bid_size(self) -> Size:
        """Size at the best bid (0 = none)."""
        return self._yes.ask_size

    @property
    def ask_size(self) -> Size:
        """Size at the best ask (0 = none)."""
        return self._yes.bid_size

    @property
    def is_fresh(self) -> bool:
        """Whether the book is proved complete."""
        return self._yes.is_fresh

    @property
    def is_two_sided(self) -> bool:
        """Both sides are there and not crossed."""
        return self._yes.is_two_sided

    @property
    def mid_twice(self) -> int | None:
        """Bid plus ask of NO; None unless two-sided."""
        mid_twice = self._yes.mid_twice
        return None if mid_twice is None else 2 * self._unit - mid_twice

    @property
    def microprice(self) -> Price | None:
        """One minus the microprice of YES; None unless two-sided."""
        return self._flip(self._yes.microprice)

    @property
    def ts_venue(self) -> int:
        """Venue time of the last change (0 = never)."""
        return self._yes.ts_venue

    @property
    def stale_reason(self) -> str:
        """Why it is not fresh; empty when it is."""
        return self._yes.stale_reason

    def age_ns(self, monotonic_ns: int) -> int:
        """How old the newest proof of the book is."""
        return self._yes.age_ns(monotonic_ns)

    def depth(self, side: Side, levels: int) -> Sequence[tuple[Price, Size]]:
        """The best `levels` levels of a side of NO, best first."""
        return [(Price(self._unit - price), size) for price, size in self._yes.depth(side.opposite, levels)]

    def _flip(self, price: Price | None) -> Price | None:
        return None if price is None else Price(self._unit - price)


def complement(book: BookView, instrument: Instrument) -> Complement:
    """The NO book of a binary market. Raises `ValueError` for any other kind of instrument."""
    if instrument.kind is not InstrumentKind.BINARY:
        raise ValueError(f"{instrument.id}: kind {instrument.kind.value} has no NO side; only binary markets do")
    return Complement(book, instrument.unit)
