"""Order groups: a limit on contracts matched within a rolling window, shared by the orders of a group.

When the matched contracts of the window reach the limit the group triggers: its orders are cancelled and new ones are
refused until a reset (vendor docs: "when the limit is hit"). That the fill which reaches the limit stands, and that the
limit triggers when it is reached and not only when it is exceeded, are *assumptions*.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from connectors.sandbox.engine.events import Notice
from connectors.sandbox.engine.exchange import Exchange
from connectors.sandbox.engine.model import NS_PER_S, Order, OrderRequest, Rejection

GroupKind = Literal["created", "triggered", "reset", "deleted", "limit_updated"]

WINDOW_NS = 15 * NS_PER_S  # matched contracts count for 15 seconds (vendor docs)


class GroupChange(msgspec.Struct, frozen=True, gc=False):
    """An order group was created, reached its limit, or was changed. `limit` in contracts of 10^-size_decimals. The
    engine carries it to the stream inside a `Notice`."""

    group_id: str
    account: str
    kind: GroupKind
    limit: int
    ns: int


@dataclass(slots=True)
class Group:
    """One order group. `limit` and `matched` in contracts of 10^-size_decimals.

    `window` holds (time in ns, contracts) of the matches that still count; `orders` are those of the group that rest or
    trade now, by order id.
    """

    group_id: str
    account: str
    limit: int
    exchange_index: int
    triggered: bool = False
    matched: int = 0
    window: deque[tuple[int, int]] = field(default_factory=deque)
    orders: dict[str, Order] = field(default_factory=dict)

    def expire(self, now_ns: int) -> None:
        """Drop the matches that are WINDOW_NS old or older, and take them off `matched`."""
        while self.window and self.window[0][0] <= now_ns - WINDOW_NS:
            self.matched -= self.window.popleft()[1]


class OrderGroups:
    """All groups of one exchange; they hook themselves into it.

    Acts answer None when done, else the Rejection; another account's group is "not_found".
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._state = exchange.state
        self._groups: dict[str, Group] = {}
        exchange.state.hook = self

    def create(self, account: str, limit: int, *, now_ns: int, exchange_index: int = 0) -> Group:
        """Make a group with no orders. `limit` is in contracts of 10^-size_decimals.

        Raises `ValueError` when `limit` is not above zero.
        """
        if limit <= 0:
            raise ValueError(f"group limit {limit} must be above zero contracts")
        self._exchange.advance(now_ns)
        group = Group(self._state.new_id(), account, limit, exchange_index)
        self._groups[group.group_id] = group
        self._publish(group, "created")
        return group

    def get(self, account: str, group_id: str) -> Group | None:
        """The group of this id, or None when there is none or it is another account's."""
        group = self._groups.get(group_id)
        return group if group is not None and group.account == account else None

    def of_account(self, account: str) -> list[Group]:
        """The groups of an account in order of creation."""
        return [group for group in self._groups.values() if group.account == account]

    def reset(self, account: str, group_id: str, *, now_ns: int) -> Rejection | None:
        """Empty the window and accept orders again; orders that were cancelled stay so."""
        return self._change(account, group_id, self._reset, now_ns=now_ns)

    def trigger(self, account: str, group_id: str, *, now_ns: int) -> Rejection | None:
        """Cancel the group's orders and refuse new ones until a reset, as if the limit had been reached."""
        return self._change(account, group_id, self._trigger, now_ns=now_ns)

    def set_limit(self, account: str, group_id: str, *, limit: int, now_ns: int) -> Rejection | None:
        """Change the limit; one at or below what the window holds triggers at once."""
        if limit <= 0:
            return Rejection("invalid_request", f"contracts_limit {limit} must be above zero")
        return self._change(account, group_id, lambda group: self._set_limit(group, limit), now_ns=now_ns)

    def delete(self, account: str, group_id: str, *, now_ns: int) -> Rejection | None:
        """Cancel the group's orders, then remove it; orders can no longer name it."""
        return self._change(account, group_id, self._delete, now_ns=now_ns)

    def refuse(self, request: OrderRequest) -> Rejection | None:
        """Why an order cannot join the group that it names; None when it can, or names none."""
        if not request.group_id:
            return None
        group = self.get(request.account, request.group_id)
        if group is None:
            return Rejection("not_found", f"order group {request.group_id}")
        return Rejection("invalid_order", "order group is triggered") if group.triggered else None

    def entered(self, order: Order) -> None:
        """Count the order among those of its group."""
        if group := self.get(order.account, order.group_id):
            group.orders[order.order_id] = order

    def ended(self, order: Order) -> None:
        """Drop the order from its group."""
        if group := self.get(order.account, order.group_id):
            group.orders.pop(order.order_id, None)

    def matched(self, order: Order, size: int) -> None:
        """Count a fill of one of the group's orders; triggers the group when its limit is reached."""
        group = self._groups.get(order.group_id)
        if group is None:
            return
        group.expire(self._state.now_ns)
        group.window.append((self._state.now_ns, size))
        group.matched += size
        self._trigger_when_reached(group)

    def _change(self, account: str, group_id: str, change: Callable[[Group], None], *, now_ns: int) -> Rejection | None:
        self._exchange.advance(now_ns)
        group = self.get(account, group_id)
        if group is None:
            return Rejection("not_found", f"order group {group_id}")
        group.expire(self._state.now_ns)
        change(group)
        return None

    def _reset(self, group: Group) -> None:
        group.window.clear()
        group.matched = 0
        group.triggered = False
        self._publish(group, "reset")

    def _set_limit(self, group: Group, limit: int) -> None:
        group.limit = limit
        self._publish(group, "limit_updated")
        self._trigger_when_reached(group)

    def _delete(self, group: Group) -> None:
        self._cancel_orders(group)
        del self._groups[group.group_id]
        self._publish(group, "deleted")

    def _trigger_when_reached(self, group: Group) -> None:
        if group.matched >= group.limit and not group.triggered:
            self._trigger(group)

    def _trigger(self, group: Group) -> None:
        group.triggered = True
        self._publish(group, "triggered")
        self._cancel_orders(group)

    def _cancel_orders(self, group: Group) -> None:
        for order in list(group.orders.values()):
            self._exchange.withdraw(order)

    def _publish(self, group: Group, kind: GroupKind) -> None:
        change = GroupChange(group.group_id, group.account, kind, group.limit, self._state.now_ns)
        self._state.events.append(Notice(change))
