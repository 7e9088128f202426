"""Bodies of Kalshi's REST answers about the account and its orders, as far as they are used. Pure.

Fields follow the vendor docs; what is not named here is ignored, so new fields do no harm. Enumerations stay text:
their values are judged where they are used, and an unknown one is counted instead of refused. Texts that carry
numbers are turned into scaled integers by `fixed_point`.
"""

from __future__ import annotations

import msgspec


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An own order as listed. Both prices are its limit (YES and NO terms)."""

    order_id: str
    ticker: str
    status: str
    yes_price_dollars: str
    fill_count_fp: str
    remaining_count_fp: str
    initial_count_fp: str
    client_order_id: str | None = ""
    book_side: str = ""
    outcome_side: str = ""
    created_time: str | None = None
    last_update_time: str | None = None
    expiration_time: str | None = None
    taker_fees_dollars: str = "0"
    maker_fees_dollars: str = "0"
    exchange_index: int = 0


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """An own trade. It never names the client's order id."""

    trade_id: str
    order_id: str
    ticker: str
    count_fp: str
    yes_price_dollars: str
    is_taker: bool
    fee_cost: str
    book_side: str = ""
    outcome_side: str = ""
    created_time: str | None = None
    ts: int = 0
    exchange_index: int = 0


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """A net position: long YES is positive."""

    ticker: str
    position_fp: str
    realized_pnl_dollars: str = "0"
    fees_paid_dollars: str = "0"
    last_updated_ts: str | None = None
    exchange_index: int = 0


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """A paid-out market. `value` is cents per YES contract."""

    ticker: str
    market_result: str
    settled_time: str | None = None
    value: int | None = None
    revenue: int = 0
    fee_cost: str = "0"


class BalanceShare(msgspec.Struct, frozen=True):
    """Cash on one shard."""

    exchange_index: int
    balance: str


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """Cash of the account. `balance` is truncated to cents; `balance_dollars` is exact."""

    balance: int
    balance_dollars: str = ""
    updated_ts: int = 0
    balance_breakdown: tuple[BalanceShare, ...] = ()


class OrderAck(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to create, amend, cancel and decrease: only what the particular request states is there."""

    order_id: str
    client_order_id: str | None = None
    fill_count: str | None = None
    remaining_count: str | None = None
    average_fill_price: str | None = None
    average_fee_paid: str | None = None
    reduced_by: str | None = None
    ts_ms: int | None = None


class ItemError(msgspec.Struct, frozen=True):
    """Why one order of a batch was refused."""

    code: str = ""
    message: str = ""
    details: object = None


class BatchItem(msgspec.Struct, frozen=True, kw_only=True):
    """One order of a batch, in the order asked: an acknowledgement or an error."""

    order_id: str | None = None
    client_order_id: str | None = None
    fill_count: str | None = None
    remaining_count: str | None = None
    average_fill_price: str | None = None
    average_fee_paid: str | None = None
    reduced_by: str | None = None
    ts_ms: int | None = None
    error: ItemError | None = None


class BatchAnswer(msgspec.Struct, frozen=True):
    """Answer to a batch."""

    orders: tuple[BatchItem, ...]


class OrdersPage(msgspec.Struct, frozen=True):
    """A page, newest first."""

    orders: tuple[Order, ...]
    cursor: str = ""


class FillsPage(msgspec.Struct, frozen=True):
    """A page, newest first."""

    fills: tuple[Fill, ...]
    cursor: str = ""


class PositionsPage(msgspec.Struct, frozen=True):
    """A page."""

    market_positions: tuple[Position, ...]
    cursor: str = ""


class SettlementsPage(msgspec.Struct, frozen=True):
    """A page, newest first."""

    settlements: tuple[Settlement, ...]
    cursor: str = ""


class OrderAnswer(msgspec.Struct, frozen=True):
    """One order."""

    order: Order


class QueuePosition(msgspec.Struct, frozen=True):
    """Contracts ahead of an own resting order."""

    order_id: str
    market_ticker: str
    queue_position_fp: str


class QueuePositionsAnswer(msgspec.Struct, frozen=True):
    """Queue positions; null when nothing rests."""

    queue_positions: tuple[QueuePosition, ...] | None = None


class OrderGroup(msgspec.Struct, frozen=True):
    """A group of orders that ends together once it has matched too much."""

    id: str
    contracts_limit_fp: str = ""
    is_auto_cancel_enabled: bool = False
    exchange_index: int = 0


class OrderGroupsAnswer(msgspec.Struct, frozen=True):
    """The account's order groups; null when it has none."""

    order_groups: tuple[OrderGroup, ...] | None = None


class OrderGroupAnswer(msgspec.Struct, frozen=True):
    """One order group with the ids of its orders."""

    contracts_limit_fp: str = ""
    is_auto_cancel_enabled: bool = False
    orders: tuple[str, ...] | None = None
    exchange_index: int = 0


class OrderGroupCreated(msgspec.Struct, frozen=True):
    """Answer to the creation of a group."""

    order_group_id: str
    subaccount: int = 0
    exchange_index: int = 0


class Bucket(msgspec.Struct, frozen=True):
    """A token bucket: tokens per second and the most it holds."""

    refill_rate: int
    bucket_capacity: int


class AccountLimits(msgspec.Struct, frozen=True):
    """Rate limits of the account."""

    usage_tier: str
    read: Bucket
    write: Bucket


class EndpointCost(msgspec.Struct, frozen=True):
    """Tokens that an endpoint takes when they differ from the default."""

    method: str
    path: str
    cost: int


class EndpointCosts(msgspec.Struct, frozen=True):
    """Costs of all endpoints."""

    default_cost: int
    endpoint_costs: tuple[EndpointCost, ...] = ()
