"""Public market data over REST: markets, books, trades, candlesticks.

An unknown market in a path raises `Refusal` 404, an unknown one in a query is left out.
"""

from __future__ import annotations

from collections.abc import Callable

from connectors.kalshi.sandbox import errors
from connectors.kalshi.sandbox.render.candles import candle_objects
from connectors.kalshi.sandbox.render.markets import orderbook_object, trade_object
from connectors.kalshi.sandbox.rest.call import Call
from connectors.sandbox.serving.fields import Query
from connectors.sandbox.serving.pages import newest_by_time, newest_first
from connectors.sandbox.serving.rest import Reply, Route

# Limits of one request (vendor docs): markets, levels, candles; and the candle periods in minutes.
BOOKS_MAX = 100
DEPTH_MAX = 100
CANDLES_MAX = 10_000
PERIODS_MIN = (1, 60, 1440)

# The value of the status filter -> a market's own statuses (vendor docs).
STATUS_FILTER = {
    "unopened": ("initialized",),
    "open": ("active",),
    "paused": ("inactive",),
    "closed": ("closed", "determined"),
    "settled": ("finalized",),
}


def list_markets(call: Call) -> Reply:
    """GET /markets: one page, newest first, by status, tickers, event, series and one range of times.

    Raises `Refusal` 400 for an unknown status and for ranges of two different times (vendor docs).
    """
    query = call.query_of("GetMarkets")
    found = newest_first(call.venue.catalog.markets, _market_filter(call, query))
    return call.listing("markets", query, found, call.venue.markets.rendered)


def get_market(call: Call) -> Reply:
    """GET /markets/{ticker}: one market as it is now."""
    return Reply({"market": call.venue.markets.rendered(_ticker(call))})


def get_orderbook(call: Call) -> Reply:
    """GET /markets/{ticker}/orderbook: bids of both outcomes, `depth` levels of each (0 or absent: all).

    Raises `Refusal` 400 for a depth outside 0..DEPTH_MAX.
    """
    depth = call.query_of("GetMarketOrderbook").bounded("depth", 0, DEPTH_MAX)
    return Reply({"orderbook_fp": orderbook_object(call.venue.markets.book(_ticker(call)), depth)})


def get_orderbooks(call: Call) -> Reply:
    """GET /markets/orderbooks?tickers=A&tickers=B: whole books; unknown markets are left out (*assumption*).

    Raises `Refusal` 400 for no ticker and for more than BOOKS_MAX.
    """
    tickers = [part for value in call.arrival.repeated("tickers") for part in value.split(",") if part]
    if not 0 < len(tickers) <= BOOKS_MAX:
        raise call.query_of("GetMarketOrderbooks").refusal("tickers", "too_many" if tickers else "missing")
    markets = call.venue.markets
    known = [ticker for ticker in tickers if markets.exists(ticker)]
    books = [{"orderbook_fp": orderbook_object(markets.book(one), 0), "ticker": one} for one in known]
    return Reply({"orderbooks": books})


def list_trades(call: Call) -> Reply:
    """GET /markets/trades: one page of the public tape, newest first, of one market or all.

    `min_ts` and `max_ts` are Unix seconds, both inclusive. The sandbox has no block trades.
    """
    query = call.query_of("GetTrades")
    ticker, within = query.text("ticker"), call.within(query)
    tickers = list(call.venue.catalog.markets) if ticker is None else [ticker]
    if query.text("is_block_trade") in {"true", "1"}:
        tickers = []
    tape = [one for name in tickers for one in call.venue.exchange.ledger.trades(name)]
    tape.sort(key=lambda one: one.clock)
    found = newest_by_time(tape, lambda one: one.ns, lambda one: within(one.ns))
    return call.listing("trades", query, found, lambda one: trade_object(one, call.venue.clock))


def market_candlesticks(call: Call) -> Reply:
    """GET /series/{series}/markets/{ticker}/candlesticks; the series in the path is not checked (*assumption*)."""
    window = span(call.query_of("GetMarketCandlesticks"))
    ticker = _ticker(call)
    found = call.venue.candles.between(ticker, **window)
    return Reply({"candlesticks": candle_objects(found), "ticker": ticker})


def batch_candlesticks(call: Call) -> Reply:
    """GET /markets/candlesticks?market_tickers=A,B: candles by market; unknown markets are left out (*assumption*).

    Raises `Refusal` 400 without tickers and for more than CANDLES_MAX candles.
    """
    query = call.query_of("BatchGetMarketCandlesticks")
    window = span(query)
    named = query.required_text("market_tickers").split(",")
    tickers = [ticker for ticker in named if call.venue.markets.exists(ticker)]
    shown = [candle_objects(call.venue.candles.between(ticker, **window)) for ticker in tickers]
    if sum(map(len, shown)) > CANDLES_MAX:
        raise errors.nested("invalid_parameters")
    rows = zip(tickers, shown, strict=True)
    return Reply({"markets": [{"candlesticks": one, "market_ticker": ticker} for ticker, one in rows]})


def _ticker(call: Call) -> str:
    return call.venue.markets.get(call.arrival.params["ticker"]).market_id


def _market_filter(call: Call, query: Query) -> Callable[[str], bool]:
    status = query.choice("status", tuple(STATUS_FILTER))
    tickers, event, series = query.names("tickers"), query.text("event_ticker"), query.text("series_ticker")
    combos = query.choice("mve_filter", ("only", "exclude"))
    bounded = [one for one in _TIMES if query.text(f"min_{one}_ts") or query.text(f"max_{one}_ts")]
    if len(bounded) > 1:
        raise errors.nested("invalid_parameters")
    ranges = {one: call.within(query, f"{one}_") for one in bounded}

    def keeps(ticker: str) -> bool:
        market, listing = call.venue.exchange.state.markets[ticker], call.venue.catalog.markets[ticker]
        return (
            (combos is None or bool(listing.legs) == (combos == "only"))
            and (status is None or market.status in STATUS_FILTER[status])
            and (tickers is None or ticker in tickers)
            and event in (None, listing.event_ticker)
            and series in (None, listing.series_ticker)
            and all(within(_TIMES[name](call, ticker)) for name, within in ranges.items())
        )

    return keeps


_TIMES: dict[str, Callable[[Call, str], int]] = {
    "created": lambda call, ticker: call.venue.catalog.markets[ticker].created_ns,
    "updated": lambda call, ticker: call.venue.exchange.state.markets[ticker].updated_ns,
    "close": lambda call, ticker: call.venue.exchange.state.markets[ticker].close_ns,
    "settled": lambda call, ticker: call.venue.exchange.state.markets[ticker].settled_ns,
}


def span(query: Query) -> dict[str, int]:
    """The window of a candlestick query, as the arguments of `Candles.between`.

    Raises `Refusal` 400 for a missing or wrong time or period, and for an end before the start.
    """
    start_s, end_s = query.required_integer("start_ts"), query.required_integer("end_ts")
    period = query.required_integer("period_interval")
    if period not in PERIODS_MIN:
        raise query.refusal("period_interval", "no_choice")
    if end_s < start_s:
        raise errors.nested("invalid_parameters")
    return {"start_s": start_s, "end_s": end_s, "period_min": period}


ROUTES = (
    Route("GET", "/markets", list_markets, None),
    Route("GET", "/markets/trades", list_trades, None),
    Route("GET", "/markets/orderbooks", get_orderbooks, None),
    Route("GET", "/markets/candlesticks", batch_candlesticks, None),
    Route("GET", "/markets/{ticker}", get_market, None),
    Route("GET", "/markets/{ticker}/orderbook", get_orderbook, None),
    Route("GET", "/series/{series_ticker}/markets/{ticker}/candlesticks", market_candlesticks, None),
)
