"""Orders that an operator has to see to when they stay so: unknown ones, and those whose cancel was asked for."""

from __future__ import annotations

from framework.domain.orders import Order, OrderStatus
from framework.domain.ports import Clock
from framework.state.orders.index import Orders


class OrdersInQuestion:
    """Which open orders are unknown or are to end, and for how long. Tell it of each order that changed."""

    def __init__(self, orders: Orders, clock: Clock) -> None:
        """What earlier runs left counts from the last time that the order changed."""
        self._orders = orders
        self._clock = clock
        self._unknown_since: dict[str, int] = {}
        self._cancel_since: dict[str, int] = {}
        for order in orders.open():
            self._look_at(order, clock.monotonic_ns() - max(0, clock.now_ns() - order.updated_ns))

    def look_at(self, order: Order) -> None:
        """Take in that the order may have become unknown or known, or that its end was asked for or came."""
        self._look_at(order, self._clock.monotonic_ns())

    def unknown(self) -> list[tuple[Order, int]]:
        """The unknown orders, the oldest first, each with the nanoseconds since it became so."""
        return self._aged(self._unknown_since)

    def cancels(self) -> list[tuple[Order, int]]:
        """The orders that are to end and have not, the oldest first, each with the nanoseconds since that was asked."""
        return self._aged(self._cancel_since)

    def _look_at(self, order: Order, now_ns: int) -> None:
        _keep(self._unknown_since, order, order.status is OrderStatus.UNKNOWN, now_ns)
        _keep(self._cancel_since, order, order.cancel_wanted and order.is_open, now_ns)

    def _aged(self, since: dict[str, int]) -> list[tuple[Order, int]]:
        now_ns = self._clock.monotonic_ns()
        found = [(self._orders.get(name), now_ns - since_ns) for name, since_ns in since.items()]
        known = [(order, age_ns) for order, age_ns in found if order is not None]
        return sorted(known, key=lambda one: -one[1])


def _keep(since: dict[str, int], order: Order, is_so: bool, now_ns: int) -> None:
    if is_so:
        since.setdefault(order.client_order_id, now_ns)
    else:
        since.pop(order.client_order_id, None)
