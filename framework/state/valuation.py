"""Valuation: what positions are worth at the mid of their books. Marks change no state; they are read."""

from __future__ import annotations

import msgspec

from framework.domain.numbers import Money
from framework.domain.ports import BookView
from framework.state.positions import Position


class ProfitAndLoss(msgspec.Struct, frozen=True):
    """Realised and unrealised profit before fees, and the fees; `net` is what is left.

    `unrealised` is 0 where there is no two-sided book to mark at: then `is_marked` is False.
    """

    realised: Money
    unrealised: Money
    fees: Money
    is_marked: bool

    @property
    def net(self) -> Money:
        """Realised plus unrealised less fees."""
        return Money(self.realised + self.unrealised - self.fees)


def profit_and_loss(position: Position, book: BookView | None) -> ProfitAndLoss:
    """Value a position at the mid of its book; a half unit of unrealised profit is rounded down."""
    mark_twice = book.mid_twice if book is not None and book.is_fresh else None
    return ProfitAndLoss(
        realised=position.realised,
        unrealised=Money(position.unrealised_twice(mark_twice) // 2) if mark_twice is not None else Money(0),
        fees=position.fees,
        is_marked=mark_twice is not None or position.size == 0,
    )
