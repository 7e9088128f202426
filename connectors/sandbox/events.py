"""What the engine says happened, in order, for a server to publish. Records are snapshots and never change."""

from typing import Literal

import msgspec

from connectors.sandbox.model import Fill, Order, Settlement, Side

LifecycleKind = Literal[
    "created", "opened", "activated", "deactivated", "closed", "determined", "settled", "close_date_updated"
]
GroupKind = Literal["created", "triggered", "reset", "deleted", "limit_updated"]


class BookChange(msgspec.Struct, frozen=True, gc=False):
    """A price level changed by `delta` to `total` contracts; `account`, `client_order_id`: whose order did it."""

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
    """A trade on the public tape."""

    trade_id: str
    market_id: str
    price: int
    size: int
    taker_side: Side
    clock: int
    ns: int


class OrderChange(msgspec.Struct, frozen=True, gc=False):
    """An order after a change; `order` is a copy. Not emitted for internal accounts."""

    order: Order
    ns: int


class FillEvent(msgspec.Struct, frozen=True, gc=False):
    """A fill of an external account."""

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
    """A market changed its status or its times. "opened" and "closed" come from the clock, the rest from acts."""

    market_id: str
    kind: LifecycleKind
    ns: int


class GroupChange(msgspec.Struct, frozen=True, gc=False):
    """An order group was created, hit its limit, or was changed. `limit` in contracts of 10^-size_decimals."""

    group_id: str
    account: str
    kind: GroupKind
    limit: int
    ns: int


class SettlementEvent(msgspec.Struct, frozen=True, gc=False):
    """A position of an external account was paid out."""

    settlement: Settlement


Event = (
    BookChange | TradePrint | OrderChange | FillEvent | PositionChange | MarketLifecycle | GroupChange | SettlementEvent
)
