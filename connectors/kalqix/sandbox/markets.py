"""What anybody may read: markets, books, trades, prices, candles, and the time.

Of candles, lines, volumes, prices of market orders and orders of a market the vendor's guide has the paths alone: what
they answer is an *assumption*.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from connectors.kalqix.sandbox.rows import ASSETS
from connectors.kalqix.sandbox.venue import Call
from connectors.sandbox.engine.model import NS_PER_S, MarketSpec
from connectors.sandbox.serving.decimals import parse_decimal
from connectors.sandbox.serving.pages import by_number, clamped
from connectors.sandbox.serving.rest import Reply, Route

T = TypeVar("T")

PAGE_SIZE = 20
DAY_S = 24 * 3_600
SIZES_MAX = {"markets": (25, 25), "orders": (25, 30), "trades": (25, 24), "account": (25, 25)}
"""The longest page of each list, in A and in B: what is asked for beyond is cut silently (vendor's connector)."""
GROUPINGS = ("0.01", "0.1", "1", "10", "50", "100")
"""The values of `tickSize` that the vendor's page lists."""


def page(call: Call, kind: str, found: Sequence[T], row: Callable[[T], Any]) -> Reply:
    """One page of a list, by `page` (from 0) and `page_size`."""
    venue = call.venue
    most = SIZES_MAX[kind][venue.has_agents]
    asked, number = call.query_number("page_size", PAGE_SIZE) or PAGE_SIZE, call.query_number("page", 0)
    size = clamped(asked, most, faults=venue.served.faults, listing=call.arrival.path)
    shown = [row(one) for one in by_number(found, number, size=size)]
    return Reply({"total": len(found), "page": number, "page_size": size, "data": shown})


def market_named(call: Call) -> MarketSpec:
    """The market that the path names. Raises `Refusal`."""
    return call.venue.market(call.arrival.params["ticker"])


def list_markets(call: Call) -> Reply:
    """Every market, in the order of their numbers."""
    markets = list(call.venue.served.exchange.state.markets.values())
    return page(call, "markets", markets, call.venue.rows.market)


def read_market(call: Call) -> Reply:
    """One market with the figures of its day."""
    spec, exchange = market_named(call), call.venue.served.exchange
    tape = exchange.ledger.trades(spec.market_id)
    return Reply(call.venue.rows.market_details(exchange.state.markets[spec.market_id], tape, call.now_ns))


def read_day(call: Call) -> Reply:
    """The figures of a market's day."""
    spec = market_named(call)
    tape = call.venue.served.exchange.ledger.trades(spec.market_id)
    return Reply(call.venue.rows.day(spec, tape, call.now_ns))


def read_price(call: Call) -> Reply:
    """The last price of a market, 0 before its first trade."""
    spec = market_named(call)
    last = call.venue.served.exchange.state.markets[spec.market_id].last_price
    return Reply(call.venue.rows.amount("price", last, spec.price_decimals, ASSETS[spec.cash_account]))


def read_market_price(call: Call) -> Reply:
    """What a market order of a `side` (without one: a buy) pays at first; the last price where nobody is there."""
    spec, exchange = market_named(call), call.venue.served.exchange
    side = call.arrival.query.get("side", "BUY")
    if side not in ("BUY", "SELL"):
        raise call.venue.refuse("missing", "Invalid side.")
    best = exchange.state.books[spec.market_id].best("ask" if side == "BUY" else "bid")
    shown = exchange.state.markets[spec.market_id].last_price if best is None else best
    price = call.venue.rows.amount("price", shown, spec.price_decimals, ASSETS[spec.cash_account])
    return Reply({"ticker": call.venue.rows.ticker(spec.market_id), "side": side} | price)


def read_volume(call: Call) -> Reply:
    """What was traded in the last 24 hours, in base and in quote."""
    spec = market_named(call)
    day = call.venue.rows.day(spec, call.venue.served.exchange.ledger.trades(spec.market_id), call.now_ns)
    return Reply({name: day[name] for name in ("volume", "total_volume")})


def list_candles(call: Call) -> Reply:
    """The minutes of the last day in which something traded, the oldest first; times in milliseconds, of their
    beginnings."""
    spec, end_s = market_named(call), call.now_ns // NS_PER_S
    found = call.venue.candles.between(spec.market_id, start_s=end_s - DAY_S, end_s=end_s, period_min=1)
    return Reply({"data": [call.venue.rows.candle(spec, one) for one in found if one.price.open is not None]})


def list_line(call: Call) -> Reply:
    """The closes of the candles."""
    rows = list_candles(call).body["data"]
    return Reply({"data": [{"timestamp": row["timestamp"], "price": row["close"]} for row in rows]})


def list_market_orders(call: Call) -> Reply:
    """The orders that rest in a market, bids first, the best first; without whose they are."""
    spec, venue = market_named(call), call.venue
    book = venue.served.exchange.state.books[spec.market_id]
    return page(call, "orders", [*book.orders("bid"), *book.orders("ask")], lambda one: venue.rows.resting(spec, one))


def read_book(call: Call) -> Reply:
    """Both sides from the best price away; `tickSize` groups bids downwards and asks upwards (*assumption*)."""
    spec, venue = market_named(call), call.venue
    text = call.arrival.query.get("tickSize", "")
    if text and text not in GROUPINGS:
        raise venue.refuse("missing", "Invalid tickSize.")
    step = max(parse_decimal(text, spec.price_decimals) or 1, 1) if text else 1
    book = venue.served.exchange.state.books[spec.market_id]
    sides: dict[str, dict[int, int]] = {"BUY": {}, "SELL": {}}
    for price, size in book.levels("bid"):
        grouped = price // step * step
        sides["BUY"][grouped] = sides["BUY"].get(grouped, 0) + size
    for price, size in book.levels("ask"):
        grouped = -(-price // step) * step
        sides["SELL"][grouped] = sides["SELL"].get(grouped, 0) + size
    return Reply(
        {name: [venue.rows.level(spec, price, size) for price, size in side.items()] for name, side in sides.items()}
    )


def list_trades(call: Call) -> Reply:
    """A market's trades, the newest first."""
    spec, venue = market_named(call), call.venue
    tape = venue.served.exchange.ledger.trades(spec.market_id)[::-1]
    return page(call, "trades", tape, lambda one: venue.rows.trade(spec, one, venue.halves_of(one.trade_id)))


PUBLIC: tuple[Route[Call], ...] = (
    Route("GET", "/ping", lambda call: Reply({"status": "ok"}), scope=None),
    Route("GET", "/time", lambda call: Reply({"server_time": call.venue.served.clock.ms(call.now_ns)}), scope=None),
    Route("GET", "/markets", list_markets, scope=None),
    Route("GET", "/markets/{ticker}", read_market, scope=None),
    Route("GET", "/markets/{ticker}/order-book", read_book, scope=None),
    Route("GET", "/markets/{ticker}/trades", list_trades, scope=None),
    Route("GET", "/markets/{ticker}/price", read_price, scope=None),
    Route("GET", "/markets/{ticker}/market-price", read_market_price, scope=None),
    Route("GET", "/markets/{ticker}/24hr", read_day, scope=None),
    Route("GET", "/markets/{ticker}/volume", read_volume, scope=None),
    Route("GET", "/markets/{ticker}/candles", list_candles, scope=None),
    Route("GET", "/markets/{ticker}/line-chart", list_line, scope=None),
    Route("GET", "/markets/{ticker}/orders", list_market_orders, scope=None),
)
