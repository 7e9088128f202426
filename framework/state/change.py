"""What one record changed: collected while it is folded, handed to the kernel afterwards."""

from __future__ import annotations

import msgspec

from framework.domain.account_events import Fill
from framework.domain.instruments import InstrumentId
from framework.domain.orders import Order


class Change(msgspec.Struct, frozen=True):
    """What became known. Everything appears once, in the order in which it became known.

    `fills` are newly booked to an order of ours, with its client order id; `unattributed` are fills newly booked to
    the account alone, because no order of ours is known for them (they come as `fills` when it becomes known).
    `alarms` are sentences for a person; `halts` the instruments that must not be traded on after them.
    """

    orders: tuple[Order, ...] = ()
    fills: tuple[Fill, ...] = ()
    unattributed: tuple[Fill, ...] = ()
    alarms: tuple[str, ...] = ()
    halts: tuple[InstrumentId, ...] = ()


NO_CHANGE = Change()


class Draft:
    """A change in the making."""

    __slots__ = ("_alarms", "_fills", "_halts", "_orders", "_unattributed")

    def __init__(self) -> None:
        self._orders: dict[str, Order] = {}
        self._fills: list[Fill] = []
        self._unattributed: list[Fill] = []
        self._alarms: list[str] = []
        self._halts: dict[InstrumentId, None] = {}

    def order(self, order: Order) -> None:
        """Something became known of `order`."""
        self._orders[order.client_order_id] = order

    def fill(self, fill: Fill) -> None:
        """`fill` was booked to its order."""
        self._fills.append(fill)

    def unattributed_fill(self, fill: Fill) -> None:
        """`fill` was booked to the account, its order is not known."""
        self._unattributed.append(fill)

    def alarm(self, text: str, *, halt: InstrumentId | None = None) -> None:
        """A person must hear `text`; trading in `halt` must stop."""
        self._alarms.append(text)
        if halt is not None:
            self._halts[halt] = None

    def finish(self) -> Change:
        """The change."""
        return Change(
            orders=tuple(self._orders.values()),
            fills=tuple(self._fills),
            unattributed=tuple(self._unattributed),
            alarms=tuple(self._alarms),
            halts=tuple(self._halts),
        )
