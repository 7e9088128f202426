"""Bodies of Kalshi's REST responses about the account and its orders, as far as they are used. Pure.

Fields follow the vendor docs; what is not named here is ignored, so new fields do no harm. Enumerations stay text:
their values are judged where they are used, and an unknown one is counted instead of refused. Texts that carry
numbers are turned into scaled integers by `fixed_point`. `*_dollars` are dollars, `*_fp` contracts. Times are RFC 3339
where they are texts, else Unix seconds, or milliseconds where the name ends in `_ms`. `exchange_index` is the shard.
"""

from __future__ import annotations

import msgspec

from connectors.client.wire.json_text import Millis, Seconds, WholeAmount


class RestOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An own order as listed. Its price is its limit, in YES terms, also after it was filled at another one."""

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


class RestFill(msgspec.Struct, frozen=True, kw_only=True):
    """An own trade. It never names the client's order id; `ts` stands in where `created_time` is missing."""

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
    ts: Seconds = 0


class RestPosition(msgspec.Struct, frozen=True, kw_only=True):
    """A net position: long YES is positive, long NO negative."""

    ticker: str
    position_fp: str
    last_updated_ts: str | None = None


class RestSettlement(msgspec.Struct, frozen=True, kw_only=True):
    """A paid-out market. `value` is cents per YES contract."""

    ticker: str
    value: int | None = None


class RestBalance(msgspec.Struct, frozen=True, kw_only=True):
    """Cash of the account. `balance` is truncated to cents; `balance_dollars` is exact."""

    balance: WholeAmount
    balance_dollars: str = ""


class OrderAck(msgspec.Struct, frozen=True, kw_only=True):
    """Response to create, amend and cancel: each states only some of the fields. `reduced_by` is what a cancel took
    off."""

    order_id: str
    client_order_id: str | None = None
    fill_count: str | None = None
    remaining_count: str | None = None
    reduced_by: str | None = None
    ts_ms: Millis | None = None


class OrdersPage(msgspec.Struct, frozen=True):
    """A page of orders, newest first; `cursor` is empty on the last one (recorded answer)."""

    orders: tuple[RestOrder, ...]
    cursor: str | None = ""


class FillsPage(msgspec.Struct, frozen=True):
    """A page of fills, newest first (recorded answer)."""

    fills: tuple[RestFill, ...]
    cursor: str | None = ""


class PositionsPage(msgspec.Struct, frozen=True):
    """A page of positions; flat ones may be among them."""

    market_positions: tuple[RestPosition, ...]
    cursor: str | None = ""


class SettlementsPage(msgspec.Struct, frozen=True):
    """A page of settlements, newest first."""

    settlements: tuple[RestSettlement, ...]
    cursor: str | None = ""


class OrderResponse(msgspec.Struct, frozen=True):
    """Response that holds one order."""

    order: RestOrder


class Bucket(msgspec.Struct, frozen=True):
    """A token bucket: `refill_rate` in tokens per second, `bucket_capacity` the most it holds."""

    refill_rate: int
    bucket_capacity: int


class AccountLimits(msgspec.Struct, frozen=True):
    """Rate limits of the account, as the venue declares them."""

    usage_tier: str
    read: Bucket
    write: Bucket


class RestApiKey(msgspec.Struct, frozen=True):
    """An API key of the account, without its public key; `scopes` says what it may do. One with a `subaccount` is
    locked to that."""

    api_key_id: str
    scopes: tuple[str, ...]
    name: str = ""
    subaccount: int | None = None


class ApiKeysResponse(msgspec.Struct, frozen=True):
    """The account's API keys."""

    api_keys: tuple[RestApiKey, ...]


class CreatedKey(msgspec.Struct, frozen=True):
    """The answer to a new API key. `private_key` is there when the venue made the pair, and never again; the repr does
    not show it."""

    api_key_id: str
    private_key: str = ""

    def __repr__(self) -> str:
        return f"<CreatedKey {self.api_key_id}>"


class EndpointCost(msgspec.Struct, frozen=True):
    """Tokens that an endpoint takes when they differ from the default."""

    method: str
    path: str
    cost: int


class EndpointCosts(msgspec.Struct, frozen=True):
    """Tokens per request: the default, and the endpoints that cost another number."""

    default_cost: int
    endpoint_costs: tuple[EndpointCost, ...] = ()
