"""Orders as the ledger's rows hold them."""

from __future__ import annotations

from typing import NamedTuple

from framework.domain.instruments import InstrumentId
from framework.domain.intents import NewOrder
from framework.domain.orders import Order, OrderStatus
from framework.domain.tickets import Approved


class OrderRow(NamedTuple):
    """What an order was when it was handed over: orders go on changing while they wait to be written."""

    client_order_id: str
    venue: str
    venue_order_id: str
    strategy: str
    instrument: InstrumentId
    side: str
    price: int
    size: int
    filled: int
    time_in_force: str
    status: str
    reason: str
    created_ns: int
    updated_ns: int


def order_row(order: Order) -> OrderRow:
    """The row of an order as it is now."""
    return OrderRow(
        order.client_order_id,
        order.venue,
        order.venue_order_id,
        order.strategy,
        order.instrument,
        order.side.value,
        order.price,
        order.size,
        order.filled,
        order.time_in_force.value,
        order.status.value,
        order.reason,
        order.created_ns,
        order.updated_ns,
    )


def recorded_row(approved: Approved, intent: NewOrder) -> OrderRow:
    """The row of an order that was approved and nothing more."""
    return OrderRow(
        approved.client_order_id,
        approved.venue,
        "",
        intent.strategy,
        intent.instrument,
        intent.side.value,
        intent.price,
        intent.size,
        0,
        intent.time_in_force.value,
        OrderStatus.RECORDED.value,
        "",
        approved.ts_ns,
        approved.ts_ns,
    )
