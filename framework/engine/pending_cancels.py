"""Endings: which orders are to end, and whether a cancel of each is under way.

A wish to end an order outlives the request that carried it: a cancel that was refused, limited or lost is asked again
when the venue next shows the order open, so at the pace of the look-ups, until the order has ended.
"""

from __future__ import annotations

from collections.abc import Iterable

from framework.domain.account_events import AccountEvent, OrderReport, ReportKind
from framework.domain.orders import Order


class PendingCancels:
    """The wishes of one kernel, in the order in which they were made."""

    __slots__ = ("_is_under_way",)

    def __init__(self, orders: Iterable[Order] = ()) -> None:
        """`orders`: those that are open at the start; the wishes of an earlier run are taken over."""
        self._is_under_way = {order.client_order_id: False for order in orders if order.cancel_wanted}

    def __contains__(self, client_order_id: object) -> bool:
        return client_order_id in self._is_under_way

    def ask(self, order: Order) -> bool:
        """Wish the order's end; whether a cancel must leave now. Not while one is under way already, and not before
        the venue is known to have the order: until then the dispatcher may drop it unsent."""
        leaves = order.status.is_at_venue and not self._is_under_way.get(order.client_order_id, False)
        self._is_under_way[order.client_order_id] = leaves or self._is_under_way.get(order.client_order_id, False)
        return leaves

    def due_after(self, event: AccountEvent, orders: Iterable[Order]) -> list[Order]:
        """Which of `orders`, of which the event tells, must be asked to end (again). None after a refused cancel
        itself: that would ask as fast as the venue can say no."""
        is_refusal = isinstance(event, OrderReport) and event.kind is ReportKind.CANCEL_REFUSED
        due = []
        for order in orders:
            name = order.client_order_id
            if order.status.is_final:
                self._is_under_way.pop(name, None)
                continue
            if order.cancel_wanted:
                # It was taken for over, and turns out to live with what was wished before.
                self._is_under_way.setdefault(name, False)
            if name not in self._is_under_way:
                continue
            if is_refusal:
                self._is_under_way[name] = False
            elif order.status.is_at_venue and not self._is_under_way[name]:
                due.append(order)
        return due
