"""What one record changed: collected while it is folded, given to the kernel afterwards."""

from __future__ import annotations

import msgspec

from framework.domain.account_events import CashFlow, Fill
from framework.domain.instruments import InstrumentId
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Order, OrderStatus


class Payout(msgspec.Struct, frozen=True):
    """A settlement that paid a position of the account: its signed `size` before, the `value` paid per contract, and
    the profit that this realised, before fees. Scaled by the instrument's decimals."""

    instrument: InstrumentId
    size: Size
    value: Price
    realised: Money


class Change(msgspec.Struct, frozen=True, gc=False):
    """What became known. Everything appears once, in the order in which it became known.

    `fills` are newly booked to an order of ours, with its client order id; `unattributed` are fills newly booked to
    the account alone, because no order of ours is known for them (they come as `fills` when it becomes known).
    `alarms` are sentences for the operator; `halts` the instruments that must not be traded on after them. `payouts`
    are positions that a settlement paid, `flows` cash that came or went without a trade.
    """

    orders: tuple[Order, ...] = ()
    fills: tuple[Fill, ...] = ()
    unattributed: tuple[Fill, ...] = ()
    alarms: tuple[str, ...] = ()
    halts: tuple[InstrumentId, ...] = ()
    payouts: tuple[Payout, ...] = ()
    flows: tuple[CashFlow, ...] = ()


NO_CHANGE = Change()


class Draft(msgspec.Struct):
    """A change in the making: what is folded is put into it as it becomes known. `orders` by client order id, `halts`
    as the keys of a dict, so that each appears once and in the order in which it came. `shown` has the status that each
    order had before the record: a record can state several facts of an order, and others see it after the last."""

    orders: dict[str, Order] = {}
    fills: list[Fill] = []
    unattributed: list[Fill] = []
    alarms: list[str] = []
    halts: dict[InstrumentId, None] = {}
    shown: dict[str, OrderStatus] = {}
    payouts: list[Payout] = []
    flows: list[CashFlow] = []

    def alarm(self, text: str, *, halt: InstrumentId | None = None) -> None:
        """Raise an alarm with this text for the operator, and stop trading in `halt`."""
        self.alarms.append(text)
        if halt is not None:
            self.halts[halt] = None
