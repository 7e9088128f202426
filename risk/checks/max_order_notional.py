"""The largest value of one order (C2)."""

from __future__ import annotations

from functools import cached_property

from pydantic import BaseModel, ConfigDict, Field

from framework.domain.instruments import InstrumentKind
from framework.domain.numbers import Money, Price
from framework.domain.orders import Side
from framework.domain.verdicts import Refusal, RefusalCode
from framework.domain.views import Proposal, RiskView
from risk.limit_table import Limit, LimitTable, exceptions_to


class MaxOrderNotional(BaseModel):
    """C2: size x price is at most `max_notional` in the quote currency, at the worse of the limit price and the
    mid of a fresh two-sided book (where there is none, at the limit price: the price collar asks for one).

    On a binary market the value is what can be lost: a buyer risks the price, a seller one minus the price.

    Of any value may be an order that can only close positions, in the account and in the strategy, and an amend after
    which the order is worth less than it is now.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    max_notional: Limit = Field(description='Largest order value in the quote currency, for example "50".')
    overrides: dict[str, Limit] = Field(
        default_factory=dict,
        json_schema_extra=exceptions_to("max_notional"),
        description="Exceptions: instrument pattern = value, first match wins.",
    )

    @cached_property
    def _table(self) -> LimitTable:
        return LimitTable(self.max_notional, self.overrides, decimals_of=lambda each: each.money_decimals)

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        """Refuse with ORDER_NOTIONAL_MAX; both values as decimals in the quote currency, the order's rounded up."""
        max_notional = self._table.scaled(proposal.instrument)
        # Twice everything: the mid of two prices may lie between two integers.
        notional_twice = _worst_price_twice(proposal, proposal.price, view) * proposal.open_size
        if 0 <= notional_twice <= 2 * max_notional or proposal.is_reducing:
            return None
        order = proposal.order
        if order is not None and notional_twice < _worst_price_twice(proposal, order.price, view) * order.remaining:
            return None
        instrument = proposal.instrument
        return Refusal(
            RefusalCode.ORDER_NOTIONAL_MAX,
            notional=instrument.money(Money(-(-notional_twice // 2))),
            max_notional=instrument.money(Money(max_notional)),
        )


def _worst_price_twice(proposal: Proposal, price: Price, view: RiskView) -> int:
    instrument = proposal.instrument
    prices = [2 * price]
    book = view.book(instrument.id)
    if book is not None and book.is_fresh and book.mid_twice is not None:
        prices.append(book.mid_twice)
    if instrument.kind is InstrumentKind.BINARY and proposal.side is Side.SELL:
        return 2 * instrument.unit - min(prices)
    return max(prices)
