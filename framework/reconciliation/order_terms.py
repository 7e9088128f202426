"""What a venue's answer must show: by when a change is visible, and when listed terms are the newest.

The venue's reads may lag behind its writes, so an answer proves nothing about what changed within the lag (`AsOf`).

A listing that was asked for later than the read lag after the last news of an order shows the order as it is now. If
price or size are still not ours once the listing was taken in, ours have the later date but are the older ones: the
venue's clock was set back in between. Then the listed terms are published as such (`as_listed`).
"""

from __future__ import annotations

import msgspec

from framework.domain.account_events import OrderReport, OrderSnapshot, ReportKind
from framework.domain.orders import Order, OrderStatus
from framework.domain.ports import Clock
from framework.state.accounts import Accounts
from framework.state.orders.evidence import CODE_LISTED, stated_terms


class AsOf(msgspec.Struct, frozen=True):
    """When a comparison is made, wall and monotonic, and how long the venue's reads may lag behind; all nanoseconds."""

    now_ns: int
    monotonic_ns: int
    lag_ns: int

    @classmethod
    def of(cls, clock: Clock, *, lag_ms: int) -> AsOf:
        """The present, for a venue whose reads lag behind by `lag_ms` milliseconds at most."""
        return cls(clock.now_ns(), clock.monotonic_ns(), lag_ms * 1_000_000)

    def after(self, asked: AsOf) -> AsOf:
        """The same time, to judge an answer that was asked for at `asked`: what changed since then need not be in it
        either, so the lag is longer by the time that has passed."""
        return msgspec.structs.replace(self, lag_ns=self.lag_ns + self.monotonic_ns - asked.monotonic_ns)

    def must_show(self, changed_ns: int) -> bool:
        """Whether the venue's answer must show what changed at the wall time `changed_ns`: longer ago than the lag.

        A time that lies ahead was taken before the clock was set back, so how long ago it is is not known. It counts as
        long ago: else no answer would prove anything until the clock has caught up.
        """
        return not 0 <= self.now_ns - changed_ns <= self.lag_ns


RESTING = (OrderStatus.WORKING, OrderStatus.PARTIALLY_FILLED)
"""Statuses of an order that rests at the venue and waits for no answer."""

Known = tuple[int, int, int]
"""When something last became known of an order (wall nanoseconds), and its price and size, scaled."""


def resting_terms(venue: str, accounts: Accounts, as_of: AsOf) -> dict[str, Known]:
    """The terms of the resting orders of which nothing became known within the read lag, by client order id. Call it
    before asking for the list."""
    return {
        order.client_order_id: _known(order)
        for order in accounts.orders.open(venue=venue)
        if order.status in RESTING and as_of.must_show(order.updated_ns)
    }


def is_unchanged(order: Order, before: dict[str, Known]) -> bool:
    """Whether nothing became known of the order since `resting_terms`, whose result is `before`. Call it before the
    listing is published."""
    return before.get(order.client_order_id) == _known(order)


def differ(order: Order, listed: OrderSnapshot) -> bool:
    """Whether an order rests at the venue on other terms than ours. Call it after the listing was published."""
    is_open = order.status in RESTING and listed.is_open
    price, size = stated_terms(order, listed.price, listed.size)
    return is_open and (price not in (None, order.price) or size not in (None, order.size))


def as_listed(order: Order, listed: OrderSnapshot) -> OrderReport:
    """The report that the order has the listed terms, whatever their date."""
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
