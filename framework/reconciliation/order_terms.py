"""Terms that a listing shows, when they must be the newest whatever their date.

A listing that was asked for later than the read lag after the last that became known of an order shows the order as it
is now. If price or size are still not ours once it was heard, our statement has the later date and is the older one
all the same: the venue's clock was set back in between.

When the venue's word and ours are compared, and what can be told apart then.
"""

from __future__ import annotations

import msgspec

from framework.domain.account_events import OrderReport, OrderSnapshot, ReportKind
from framework.domain.orders import Order, OrderStatus
from framework.domain.ports import Clock
from framework.state.accounts import Accounts
from framework.state.order_evidence import CODE_LISTED


class AsOf(msgspec.Struct, frozen=True):
    """When a comparison is made, and how long the venue's reads may lag behind (nanoseconds). A difference in what
    changed more recently than that proves nothing."""

    now_ns: int
    monotonic_ns: int
    lag_ns: int

    @classmethod
    def of(cls, clock: Clock, *, lag_ms: int) -> AsOf:
        """Now."""
        return cls(clock.now_ns(), clock.monotonic_ns(), lag_ms * 1_000_000)

    def after(self, asked: AsOf) -> AsOf:
        """This moment, to judge an answer that was asked for at `asked`: what changed since need not be in it."""
        return msgspec.structs.replace(self, lag_ns=self.lag_ns + self.monotonic_ns - asked.monotonic_ns)

    def must_show(self, changed_ns: int) -> bool:
        """Whether what changed at this wall time must be visible by now. A time that lies ahead was taken before the
        clock was set back."""
        return not 0 <= self.now_ns - changed_ns <= self.lag_ns


RESTING = (OrderStatus.WORKING, OrderStatus.PARTIALLY_FILLED)

Known = tuple[int, int, int]
"""When something last became known of an order, and its price and size."""


def resting_terms(venue: str, accounts: Accounts, as_of: AsOf) -> dict[str, Known]:
    """What is known of the resting orders of which nothing became known within the read lag. Call it before asking for
    the list."""
    return {
        order.client_order_id: _known(order)
        for order in accounts.orders.open(venue=venue)
        if order.status in RESTING and as_of.must_show(order.updated_ns)
    }


def is_unchanged(order: Order, before: dict[str, Known]) -> bool:
    """Whether nothing became known of the order since `resting_terms`. Call it before the listing is heard."""
    return before.get(order.client_order_id) == _known(order)


def differ(order: Order, listed: OrderSnapshot) -> bool:
    """Whether a resting order is still not on the terms of the listing after that was heard."""
    is_open = order.status in RESTING and listed.is_open
    return is_open and (order.price, order.size) != (listed.price, listed.size)


def as_listed(order: Order, listed: OrderSnapshot) -> OrderReport:
    """The conclusion: the order has these terms."""
    return OrderReport(
        venue=order.venue,
        client_order_id=order.client_order_id,
        kind=ReportKind.AMENDED,
        ts_recv=listed.ts_recv,
        ts_venue=listed.ts_venue,
        price=listed.price,
        size=listed.size,
        code=CODE_LISTED,
        detail="the venue lists these terms later than its reads lag",
    )


def _known(order: Order) -> Known:
    return order.updated_ns, order.price, order.size
