"""Pending cancels: which orders are to end, and whether a cancel of each is under way.

That an order is to end outlives the request that asked for it: a cancel that was refused, rate limited or lost is asked
again when the venue next shows the order open, so at the pace of the look-ups, until the order has ended.
"""

from __future__ import annotations

from collections.abc import Iterable

from framework.domain.account_events import AccountEvent, OrderReport, OrderSnapshot, ReportKind
from framework.domain.orders import Order
from framework.domain.verdicts import Approved
from framework.state.orders import Orders


class PendingCancels:
    """The orders of one kernel that are to end, in the order in which that was asked for."""

    __slots__ = ("_is_under_way",)

    def __init__(self, orders: Orders) -> None:
        """`orders`: as they are at the start; what an earlier run wanted to end is taken over, also where the last
        cancel was refused."""
        wanted = (one for one in orders.open() if one.cancel_wanted or orders.evidence(one).is_end_wanted)
        self._is_under_way = {order.client_order_id: False for order in wanted}

    def __contains__(self, client_order_id: object) -> bool:
        return client_order_id in self._is_under_way

    def is_due(self, approved: Approved, orders: Orders) -> bool:
        """Whether an approved cancel leaves now. Call once per cancel, before it is applied to `orders`.

        Not while one of the same order is under way already, and not before the venue is known to have the order: until
        then the dispatcher may drop the order unsent, and `due_after` says when the cancel is due.
        """
        order = orders.get(approved.client_order_id)
        if order is None:
            return True
        is_under_way = self._is_under_way.get(order.client_order_id, False)
        is_due = order.status.is_at_venue and not is_under_way
        self._is_under_way[order.client_order_id] = is_due or is_under_way
        return is_due

    def due_after(self, event: AccountEvent, orders: Iterable[Order]) -> list[Order]:
        """Which of `orders`, of which the event tells, must be asked to end (again). None after a refused cancel
        itself: that would ask as fast as the venue can refuse; nor while the venue shows that it has taken one."""
        is_refusal = isinstance(event, OrderReport) and event.kind is ReportKind.CANCEL_REFUSED
        is_taken = isinstance(event, OrderSnapshot) and event.is_cancelling
        due = []
        for order in orders:
            name = order.client_order_id
            if order.status.is_final:
                self._is_under_way.pop(name, None)
                continue
            if order.cancel_wanted:
                # It had counted as ended and is open after all, with what was wanted before.
                self._is_under_way.setdefault(name, is_taken)
            if name not in self._is_under_way:
                continue
            if is_refusal or is_taken:
                self._is_under_way[name] = is_taken
            elif order.status.is_at_venue and not self._is_under_way[name]:
                due.append(order)
        return due
