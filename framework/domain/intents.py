"""Intents: what a strategy wants. An intent is judged by the gate at once; only an approved one goes further."""

from __future__ import annotations

import msgspec

from framework.domain.instruments import InstrumentId
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Order, OrderKind, Side, TimeInForce, Trigger


class NewOrder(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """Ask for a new order. `price` and `size` are scaled by the instrument's decimals and above 0.

    `price` is the worst acceptable one, also of a market order: every limit is judged by it. `quote_amount` above 0 (in
    the instrument's money) has a market order trade for that amount; `size` is then the most that it may trade. An
    order with a `trigger` goes to the book when its condition is met. `expires_ns`: wall time at which the venue ends
    it (0 = none). `deadline_ns`: not sent later than this wall time (0 = none), because a late order is worse than
    none. `allow_duplicate`: it is meant, although it may be the same as one that was just placed.
    """

    strategy: str
    instrument: InstrumentId
    side: Side
    price: Price
    size: Size
    time_in_force: TimeInForce = TimeInForce.GOOD_TILL_CANCELLED
    post_only: bool = False
    reduce_only: bool = False
    expires_ns: int = 0
    deadline_ns: int = 0
    kind: OrderKind = OrderKind.LIMIT
    trigger: Trigger | None = None
    quote_amount: Money = Money(0)
    allow_duplicate: bool = False


class AmendOrder(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """Change price and total size of an own order in place, both scaled. `size` is the new total, filled part included;
    `deadline_ns` as in `NewOrder`."""

    strategy: str
    client_order_id: str
    price: Price
    size: Size
    deadline_ns: int = 0


class CancelOrder(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """End one own order. Cancels are never held back by a limit."""

    strategy: str
    client_order_id: str


class CancelAll(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """End every order of the account at `venue` by one request, or, with an `instrument`, every one in it: also those
    that are not ours. The kernel's own, for an operator or the shutdown; `VenueTerms.cancel_all` says which of the two
    a venue takes."""

    strategy: str
    venue: str
    instrument: InstrumentId = InstrumentId("")


Intent = NewOrder | AmendOrder | CancelOrder | CancelAll
"""Everything that the gate judges."""

CANCELS = (CancelOrder, CancelAll)
"""What only takes orders out of the market."""


def only_shrinks(intent: AmendOrder, order: Order) -> bool:
    """Whether an amend asks for no more than the order has, at a price that is no better for the other side: whatever
    then trades could have traded without it."""
    is_eager = intent.price > order.price if order.side is Side.BUY else intent.price < order.price
    return intent.size <= order.size and not is_eager
