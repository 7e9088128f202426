"""The exchange's records in the venue's words: orders, trades, positions, balances, books, marks, candles."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from connectors.sandbox.engine.events import TradePrint
from connectors.sandbox.engine.model import NS_PER_MS, NS_PER_S, Fill, Market, MarketSpec, Order, Position, Side
from connectors.sandbox.engine.perpetual import entry_price, liquidation_price, maintenance_margin, unrealized
from connectors.sandbox.seeding import stable_uuid
from connectors.sandbox.serving.candles import Candle
from connectors.sandbox.serving.decimals import fixed, trimmed
from connectors.zdex.sandbox.markets import MONEY_DECIMALS, QUOTE
from connectors.zdex.sandbox.venue import MEMBER, Holding, ZdexVenue

DEPTH = 50
SIDES: dict[str, Side] = {"BUY": "bid", "SELL": "ask"}
SIDE_WORDS = {side: word for word, side in SIDES.items()}
_TRIGGERS = {"stop": "STOP", "take_profit": "TAKE_PROFIT"}
_MARGIN_MODES = {"v1": {"CROSSED": "Cross", "ISOLATED": "Isolated"}, "v2": {}}


def iso(venue: ZdexVenue, ns: int) -> str | None:
    """A time of the engine on the venue's clock, with milliseconds; None for 0."""
    if not ns:
        return None
    at = datetime.fromtimestamp(venue.served.clock.ms(ns) / 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def money(amount: int) -> str:
    """An amount of USDT."""
    return fixed(amount, MONEY_DECIMALS)


def status_of(order: Order) -> str:
    """The venue's word. How much of an order has traded, nothing says."""
    if order.status == "ended":
        if order.filled == order.initial:
            return "FILLED"
        return "REJECTED" if order.reason == "margin" else "CANCELED"
    return "PARTIALLY_FILLED" if order.filled else "NEW"


def type_of(order: Order) -> str:
    """LIMIT, MARKET, or one that waits: STOP, STOP_MARKET, TAKE_PROFIT, TAKE_PROFIT_MARKET."""
    if order.trigger is None:
        return order.kind.upper()
    return _TRIGGERS[order.trigger.kind] + ("_MARKET" if order.kind == "market" else "")


def order_answer(venue: ZdexVenue, order: Order) -> dict[str, Any]:
    """The answer to a new order: v1's page shows eight members and the number behind the gateway beside them."""
    number = venue.order_number(order.order_id)
    if venue.dialect.is_v2:
        return {"ok": True, "order": order_row(venue, order), "venue": {"orderId": number}}
    names = ("id", "symbol", "side", "type", "quantity", "price", "status", "clientOrderId")
    row = order_row(venue, order)
    return {"ok": True, "order": {name: row[name] for name in names}, "venue": {"orderId": number}}


def order_row(venue: ZdexVenue, order: Order) -> dict[str, Any]:
    """One order of a list."""
    one, number = venue.served.exchange.state.markets[order.market_id].spec, venue.order_number(order.order_id)
    row: dict[str, Any] = {
        "id": order.order_id,
        "symbol": order.market_id,
        "side": SIDE_WORDS[order.side],
        "type": type_of(order),
        "quantity": trimmed(order.initial, one.size_decimals),
        "price": trimmed(order.price, one.price_decimals) if order.kind == "limit" else None,
        "status": status_of(order),
        "clientOrderId": order.client_order_id or f"usr_{order.order_id.replace('-', '')[:16]}",
        "venueOrderId": str(number),
        "createdAt": iso(venue, order.arrival_ns),
        "updatedAt": iso(venue, order.updated_ns),
    }
    if venue.dialect.is_v2:
        row |= {"accountId": venue.account_id, "venue": "ZETARIUM", "source": "API"}
    if order.trigger is not None:
        row["stopPrice"] = trimmed(order.trigger.price, one.price_decimals)
    return row | ({"reduceOnly": True} if order.reduce_only else {})


def trade_row(venue: ZdexVenue, fill: Fill) -> dict[str, Any]:
    """One trade of the account, with its order's number behind the gateway."""
    one = venue.served.exchange.state.markets[fill.market_id].spec
    return {
        "symbol": fill.market_id,
        "id": venue.trade_number(fill.trade_id),
        "orderId": venue.order_number(fill.order_id) if fill.order_id else 0,
        "price": trimmed(fill.price, one.price_decimals),
        "qty": trimmed(fill.size, one.size_decimals),
        "realizedPnl": trimmed(venue.realized.get((fill.trade_id, fill.order_id), 0), MONEY_DECIMALS),
        "side": SIDE_WORDS[fill.side],
        "time": venue.served.clock.ms(fill.ns),
    }


def position_row(venue: ZdexVenue, market: Market, held: Position) -> dict[str, Any]:
    """One position, open or closed: from flat to flat it is the same one."""
    one, mark, holding = market.spec, market.mark_price, _holding_of(venue, market.market_id, held)
    mode = venue.margin_types.get(market.market_id, "CROSSED")
    row: dict[str, Any] = {
        "id": stable_uuid("position", market.market_id, holding.number),
        "venuePositionId": market.market_id,
        "symbol": market.market_id,
        "quantity": trimmed(held.net, one.size_decimals),
        "avgEntryPrice": trimmed(entry_price(held), one.price_decimals),
        "markPrice": fixed(mark, one.price_decimals),
        "liquidationPrice": trimmed(liquidation_price(one, held), one.price_decimals),
        "unrealizedPnl": money(unrealized(held, mark)),
        "realizedPnl": money(held.realized - holding.realized),
        "fundingFee": money(held.funding - holding.funding),
        "initialMargin": money(held.margin),
        "maintenanceMargin": money(maintenance_margin(one, held, mark)),
        "leverage": held.leverage or one.perpetual.leverage_default,
        "marginMode": _MARGIN_MODES[venue.dialect.name].get(mode, mode),
        "status": "OPEN" if held.net else "CLOSED",
        "closeReason": None if held.net else _close_reason(venue, market.market_id, held.updated_ns),
        "closedAt": None if held.net else iso(venue, held.updated_ns),
        "updatedAt": iso(venue, held.updated_ns),
    }
    side = {"positionSide": "LONG" if held.net >= 0 else "SHORT"}
    return row | ({"accountId": venue.account_id} | side if venue.dialect.is_v2 else {})


def _close_reason(venue: ZdexVenue, symbol: str, ns: int) -> str:
    fills = venue.served.exchange.ledger.fills
    is_liquidated = any(one.market_id == symbol and one.ns == ns and not one.order_id for one in fills)
    return "LIQUIDATED" if is_liquidated else "MANUAL"


def balances(venue: ZdexVenue, now_ns: int) -> Any:
    """The futures wallet: a list in v1, nested in v2."""
    state = venue.served.exchange.state
    total, free = state.accounts[MEMBER].cash[QUOTE], venue.served.reads.balances(MEMBER, now_ns)[QUOTE]
    held = venue.served.reads.positions(MEMBER, now_ns).items()
    profit = sum(unrealized(one, state.markets[name].mark_price) for name, one in held)
    row = {
        "asset": QUOTE,
        "walletBalance": money(total),
        "unrealizedProfit": money(profit),
        "marginBalance": money(total + profit),
        "availableBalance": money(max(free, 0)),
    }
    return {"assets": [row | {"crossWalletBalance": money(total)}]} if venue.dialect.is_v2 else [row]


def positions(venue: ZdexVenue, now_ns: int, *, is_open: bool) -> list[dict[str, Any]]:
    """The positions that are open, or those that were, of which each market's newest is the first."""
    markets, reads = venue.served.exchange.state.markets, venue.served.reads
    if is_open:
        return [
            position_row(venue, markets[name], one) for name, one in reads.positions(MEMBER, now_ns).items() if one.net
        ]
    return [
        position_row(venue, markets[name], one.closed)
        for name, known in venue.holdings.items()
        for one in reversed(known)
        if one.closed is not None and one.closed.updated_ns <= now_ns - reads.lag_ns
    ]


def _holding_of(venue: ZdexVenue, name: str, held: Position) -> Holding:
    """Which of its market's a position is, as a read shows it: one that lags may show an earlier one."""
    # An open one that changed when another was closed is the next.
    changed_ns = held.updated_ns + bool(held.net)
    known = venue.holdings[name]
    return next((one for one in known if one.closed is None or one.closed.updated_ns >= changed_ns), known[-1])


def book(venue: ZdexVenue, symbol: str, depth: int = DEPTH) -> dict[str, Any]:
    """The best levels of both sides, and the number of the newest change."""
    state = venue.served.exchange.state
    one, levels = state.markets[symbol].spec, state.books[symbol].levels
    sides: dict[str, Side] = {"bids": "bid", "asks": "ask"}
    return {"lastUpdateId": state.markets[symbol].clock} | {
        name: [
            [trimmed(price, one.price_decimals), trimmed(size, one.size_decimals)]
            for price, size in levels(side, depth)
        ]
        for name, side in sides.items()
    }


def public_trade(venue: ZdexVenue, event: TradePrint, one: MarketSpec) -> dict[str, Any]:
    """One trade of anybody's."""
    return {
        "id": venue.trade_number(event.trade_id),
        "price": trimmed(event.price, one.price_decimals),
        "qty": trimmed(event.size, one.size_decimals),
        "time": venue.served.clock.ms(event.ns),
        "isBuyerMaker": event.taker_side == "ask",
    }


def mark(venue: ZdexVenue, market: Market) -> dict[str, Any]:
    """Mark, index and funding of a market."""
    decimals = market.spec.price_decimals
    return {
        "symbol": market.market_id,
        "markPrice": fixed(market.mark_price, decimals),
        "indexPrice": fixed(market.index_price, decimals),
        "fundingRate": fixed(market.funding_rate_ppm, 6),
        "nextFundingTime": venue.served.clock.ms(market.next_funding_ns),
    }


def candles(venue: ZdexVenue, symbol: str, now_ns: int, *, minutes: int = 1, count: int = 300) -> list[list[Any]]:
    """The newest candles, oldest first, in twelve elements each as on Binance. An empty minute is left out."""
    one, end_s = venue.served.exchange.state.markets[symbol].spec, now_ns // NS_PER_S
    found = venue.candles.between(symbol, start_s=end_s - count * minutes * 60, end_s=end_s, period_min=minutes)
    return [_candle(venue, candle, one, minutes) for candle in found if candle.price.open is not None][-count:]


def _candle(venue: ZdexVenue, candle: Candle, one: MarketSpec, minutes: int) -> list[Any]:
    span, end_ms = candle.price, venue.served.clock.ms(candle.end_s * NS_PER_S)
    prices = [trimmed(value, one.price_decimals) for value in (span.open or 0, span.high, span.low, span.close)]
    volume, worth = trimmed(candle.volume, one.size_decimals), trimmed(candle.money, MONEY_DECIMALS)
    start_ms = end_ms - minutes * 60 * NS_PER_S // NS_PER_MS
    return [start_ms, *prices, volume, end_ms - 1, worth, 0, "0", "0", "0"]


def ticker(venue: ZdexVenue, symbol: str, now_ns: int) -> dict[str, Any]:
    """The last day of a market."""
    market = venue.served.exchange.state.markets[symbol]
    one, end_s = market.spec, now_ns // NS_PER_S
    day = [
        candle
        for candle in venue.candles.between(symbol, start_s=end_s - 86_400, end_s=end_s, period_min=1)
        if candle.price.open is not None
    ]
    last = market.last_price or market.mark_price
    first = (day[0].price.open if day else None) or last
    change_ppm = (last - first) * 10_000 // first if first else 0
    sign = "-" if last < first else ""
    return {
        "symbol": symbol,
        "lastPrice": trimmed(last, one.price_decimals),
        "priceChange": f"{sign}{trimmed(abs(last - first), one.price_decimals)}",
        "priceChangePercent": fixed(change_ppm, 2),
        "highPrice": trimmed(max((candle.price.high for candle in day), default=last), one.price_decimals),
        "lowPrice": trimmed(min((candle.price.low for candle in day), default=last), one.price_decimals),
        "volume": trimmed(market.volume, one.size_decimals),
        "quoteVolume": trimmed(market.traded_money, MONEY_DECIMALS),
    }
