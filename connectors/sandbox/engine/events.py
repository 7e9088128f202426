"""The events of the engine, in order, for a server to publish. Records are snapshots and never change.

Prices, sizes and money are in the units of the market; `ns` is the engine's time in nanoseconds since the epoch.
"""

from typing import Literal

import msgspec

from connectors.sandbox.engine.model import CashFlow, Fill, Order, Settlement, Side

LifecycleKind = Literal[
    "created", "opened", "activated", "deactivated", "closed", "determined", "settled", "close_date_updated"
]


class BookChange(msgspec.Struct, frozen=True, gc=False):
    """A price level changed by the signed `delta` to `total` contracts; 0 means that the level is gone.

    `account` and `client_order_id` name the order that changed it; `clock` is the market's after the change.
    """

    market_id: str
    side: Side
    price: int
    delta: int
    total: int
    clock: int
    ns: int
    account: str
    client_order_id: str


class TradePrint(msgspec.Struct, frozen=True, gc=False):
    """A trade on the public tape; `trade_id` is also that of both its fills. `price` is the resting order's."""

    trade_id: str
    market_id: str
    price: int
    size: int
    taker_side: Side
    clock: int
    ns: int


class OrderChange(msgspec.Struct, frozen=True, gc=False):
    """An order after a change; `order` is a copy, so it stays as it was. Not emitted for internal accounts."""

    order: Order
    ns: int


class FillEvent(msgspec.Struct, frozen=True, gc=False):
    """A fill of an external account; internal accounts' fills emit nothing."""

    fill: Fill


class PositionChange(msgspec.Struct, frozen=True, gc=False):
    """An external account's position after a fill or a settlement; money and sizes as in Position."""

    account: str
    market_id: str
    net: int
    cost: int
    realized: int
    fees: int
    volume: int
    ns: int


class MarketLifecycle(msgspec.Struct, frozen=True, gc=False):
    """A market was listed, changed its status or its close. "opened" comes from the clock alone, "closed" from both."""

    market_id: str
    kind: LifecycleKind
    ns: int


class Notice(msgspec.Struct, frozen=True, gc=False):
    """What a venue's `OrderHook` has to say, in its place among the events; the engine never looks into `detail`."""

    detail: object


class SettlementEvent(msgspec.Struct, frozen=True, gc=False):
    """A position of an external account was paid out."""

    settlement: Settlement


class MarkChange(msgspec.Struct, frozen=True, gc=False):
    """A perpetual's mark, index, funding rate (parts per million) or time of the next funding has changed."""

    market_id: str
    mark: int
    index: int
    funding_rate_ppm: int
    next_funding_ns: int
    ns: int


class CashFlowEvent(msgspec.Struct, frozen=True, gc=False):
    """Money came to or went from an external account without a trade."""

    flow: CashFlow


Event = (
    BookChange
    | TradePrint
    | OrderChange
    | FillEvent
    | PositionChange
    | MarketLifecycle
    | Notice
    | SettlementEvent
    | MarkChange
    | CashFlowEvent
)
