"""What a local BitExAsia answers: one struct for each object, which is both what is sent and what is described.

The seven endpoints and what each of them is for are documented; the names of fields beside those of the documented
order are assumed.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from connectors.sandbox.engine.model import NS_PER_MS, NS_PER_S, Market, Order
from connectors.sandbox.serving.candles import Candles
from connectors.sandbox.serving.clock import VenueClock
from connectors.sandbox.serving.decimals import fixed, trimmed

WORD_OF_SIDE: dict[str, Literal["buy", "sell"]] = {"bid": "buy", "ask": "sell"}
AVERAGE_DECIMALS = 8
DAY_MIN = 1_440
SUPPLY = {"BTC": 19_950_000, "ETH": 120_700_000}
"""Coins in circulation, for the market's worth."""

MarketState = Literal["online", "paused", "pending", "closed"]
OrderState = Literal["new", "open", "partially_filled", "triggered", "filled", "cancelled", "rejected", "expired"]
_MARKET_STATES: dict[str, MarketState] = {"initialized": "pending", "active": "online", "inactive": "paused"}


class MarketAnswer(msgspec.Struct):
    """A trading pair with its grid."""

    pair: str
    status: MarketState
    tick_size: str
    min_order_size: str


class TickerAnswer(msgspec.Struct):
    """The latest trade, the best prices, and the last 24 hours of a pair."""

    pair: str
    last_price: str
    last_size: str
    best_bid: str
    best_ask: str
    change_24h: str
    volume_24h: str
    market_cap: str
    ts: int


class BookAnswer(msgspec.Struct):
    """A book: levels of price and size, the best first."""

    pair: str
    ts: int
    bids: list[list[str]]
    asks: list[list[str]]


class OrderAnswer(msgspec.Struct):
    """An order and its present state. A market order has no price, only a stop order has a stop price."""

    id: str
    client_order_id: str
    pair: str
    side: Literal["buy", "sell"]
    type: Literal["limit", "market", "stop"]
    size: str
    filled_size: str
    remaining_size: str
    avg_fill_price: str
    state: OrderState
    time_in_force: Literal["gtc", "ioc", "fok"]
    created_at: int
    updated_at: int
    price: str | msgspec.UnsetType = msgspec.UNSET
    stop_price: str | msgspec.UnsetType = msgspec.UNSET


class OrderBody(msgspec.Struct):
    """A new order. Limit and stop orders need a price, stop orders a stop price. What was sent under a
    `client_order_id` once may be sent again with the same fields: it is answered with the first order."""

    pair: str
    side: Literal["buy", "sell"]
    type: Literal["limit", "market", "stop"]
    size: str
    price: str | msgspec.UnsetType = msgspec.UNSET
    stop_price: str | msgspec.UnsetType = msgspec.UNSET
    client_order_id: str | msgspec.UnsetType = msgspec.UNSET
    time_in_force: Literal["gtc", "ioc", "fok"] | msgspec.UnsetType = msgspec.UNSET
    post_only: bool | msgspec.UnsetType = msgspec.UNSET


class BalanceAnswer(msgspec.Struct):
    """What there is of an asset, and how much of it is free."""

    total: str
    available: str


class BalancesAnswer(msgspec.Struct):
    """Balances by product and asset."""

    spot: dict[str, BalanceAnswer]
    margin: dict[str, BalanceAnswer]
    earn: dict[str, BalanceAnswer]


class ErrorDetail(msgspec.Struct):
    """Why a request was refused."""

    code: str
    message: str


class ErrorAnswer(msgspec.Struct):
    """The answer to every request that is refused."""

    error: ErrorDetail


def market_answer(market: Market) -> MarketAnswer:
    """A market as it stands."""
    spec, (band,) = market.spec, market.spec.bands
    return MarketAnswer(
        pair=spec.market_id,
        status=_MARKET_STATES.get(market.status, "closed"),
        tick_size=fixed(band.step, spec.price_decimals),
        min_order_size=fixed(spec.size_min, spec.size_decimals),
    )


def ticker_answer(
    market: Market, candles: Candles, best: tuple[int | None, int | None], clock: VenueClock, now_ns: int
) -> TickerAnswer:
    """A market's last day; prices are 0 where there was none yet."""
    spec, end_s = market.spec, now_ns // NS_PER_S
    days = candles.between(market.market_id, start_s=end_s - DAY_MIN * 60, end_s=end_s, period_min=1)
    opened = next((one.price.open for one in days if one.price.open is not None), market.last_price)
    supply = SUPPLY.get(spec.base, 0) * 10**spec.size_decimals

    def price(value: int | None) -> str:
        return fixed(value or 0, spec.price_decimals)

    return TickerAnswer(
        pair=market.market_id,
        last_price=price(market.last_price),
        last_size=fixed(market.last_size, spec.size_decimals),
        best_bid=price(best[0]),
        best_ask=price(best[1]),
        change_24h=price(market.last_price - opened),
        volume_24h=fixed(sum(one.volume for one in days), spec.size_decimals),
        market_cap=fixed(market.last_price * supply, spec.price_decimals + spec.size_decimals),
        ts=clock.ms(now_ns),
    )


def order_answer(order: Order, spec_decimals: tuple[int, int], clock: VenueClock) -> OrderAnswer:
    """An order as it stands; `spec_decimals` are those of prices and sizes of its market."""
    at_price, at_size = spec_decimals
    cost, filled = order.taker_cost + order.maker_cost, order.filled
    # To the nearest of so many digits: on no grid.
    scale = 10 ** (AVERAGE_DECIMALS - at_price)
    average = (cost * scale * 2 + filled) // (2 * filled) if filled else 0
    answer = OrderAnswer(
        id=order.order_id,
        client_order_id=order.client_order_id,
        pair=order.market_id,
        side=WORD_OF_SIDE[order.side],
        type="stop" if order.trigger is not None else order.kind,
        size=fixed(order.initial, at_size),
        filled_size=fixed(filled, at_size),
        remaining_size=fixed(order.initial - filled, at_size),
        avg_fill_price=trimmed(average, AVERAGE_DECIMALS),
        state=state_of(order),
        time_in_force=order.tif,
        created_at=clock.ms(order.arrival_ns),
        updated_at=(order.updated_ns + clock.skew_ns) // NS_PER_MS,
    )
    if order.kind == "limit":
        answer.price = fixed(order.price, at_price)
    if order.trigger is not None:
        answer.stop_price = fixed(order.trigger.price, at_price)
    return answer


def state_of(order: Order) -> OrderState:
    """The venue's word for an order's state."""
    if order.status == "ended":
        if order.filled == order.initial:
            return "filled"
        return "expired" if order.reason == "expired" else "cancelled"
    if order.filled:
        return "partially_filled"
    if order.status == "pending_trigger":
        return "new"
    return "open" if order.trigger is None else "triggered"
