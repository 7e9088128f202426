"""Public data over REST by event and series. An event or series that does not exist raises `Refusal` 404."""

from __future__ import annotations

from typing import Any

from connectors.kalshi.sandbox import errors
from connectors.kalshi.sandbox.listings import CATEGORY, EventListing
from connectors.kalshi.sandbox.render.candles import candle_objects
from connectors.kalshi.sandbox.render.markets import SETTLEMENT_SOURCES, event_object, series_object
from connectors.kalshi.sandbox.rest.call import Call, Route, empty_lists
from connectors.kalshi.sandbox.rest.markets import STATUS_FILTER, span
from connectors.sandbox.engine.model import Market
from connectors.sandbox.serving.rest import Reply

# Default and maximum of the page size of events (vendor docs).
EVENT_PAGE = 200


def event_candlesticks(call: Call) -> Reply:
    """GET /series/{series}/events/{event}/candlesticks: one array of candles for each market of the event."""
    window = span(call.query_of("GetEventCandlesticks"))
    _event(call, call.params["event_ticker"])
    tickers = [one.spec.market_id for one in call.venue.catalog.of_event(call.params["event_ticker"])]
    shown = [candle_objects(call.venue.candles.between(ticker, **window)) for ticker in tickers]
    return Reply({"adjusted_end_ts": window["end_s"], "market_candlesticks": shown, "market_tickers": tickers})


def list_events(call: Call) -> Reply:
    """GET /events: one page, newest first, by series, tickers and status.

    `with_nested_markets` puts the markets into each. An event has the status of any of its markets (*assumption*).
    """
    query = call.query_of("GetEvents")
    limit = query.bounded("limit", EVENT_PAGE, EVENT_PAGE)
    status = query.choice("status", ("unopened", "open", "closed", "settled"))
    series, tickers = query.text("series_ticker"), query.names("tickers")

    def keeps(event: EventListing) -> bool:
        return (
            (series is None or event.series_ticker == series)
            and (tickers is None or event.event_ticker in tickers)
            and (status is None or _has_status(call, event.event_ticker, status=status))
        )

    page, cursor = call.newest(query, call.venue.catalog.events.values(), keeps, limit=limit)
    nested = query.flag("with_nested_markets")
    events = [_event(call, event.event_ticker, nested=nested) for event in page]
    shown: dict[str, Any] = {"cursor": cursor, "events": events}
    if query.flag("with_milestones"):
        shown["milestones"] = []
    return Reply(shown)


def no_events(call: Call) -> Reply:
    """GET /events/multivariate: an empty page, the sandbox lists no combos."""
    call.query_of("GetMultivariateEvents").bounded("limit", EVENT_PAGE, EVENT_PAGE)
    return Reply({"cursor": "", "events": []})


def get_event(call: Call) -> Reply:
    """GET /events/{event_ticker}; the markets also stand beside it, as they still do at the venue."""
    ticker = call.params["event_ticker"]
    nested = call.query_of("GetEvent").flag("with_nested_markets")
    markets = [] if nested else _event_markets(call, ticker)
    return Reply({"event": _event(call, ticker, nested=nested), "markets": markets})


def event_metadata(call: Call) -> Reply:
    """GET /events/{event_ticker}/metadata: settlement sources, and a colour for each market."""
    ticker = call.params["event_ticker"]
    _event(call, ticker)
    details = [
        {"color_code": "#336699", "image_url": "", "market_ticker": one.spec.market_id}
        for one in call.venue.catalog.of_event(ticker)
    ]
    sources = SETTLEMENT_SOURCES
    return Reply({"image_url": "", "market_details": details, "settlement_sources": sources})


def list_series(call: Call) -> Reply:
    """GET /series: all of a category, or all; none when tags are asked for, as the sandbox's series have no tags."""
    query = call.query_of("GetSeriesList")
    category, tags = query.text("category"), query.names("tags")
    shown = [
        _series(call, one.ticker)
        for one in call.venue.catalog.series.values()
        if tags is None and category in (None, CATEGORY)
    ]
    return Reply({"series": shown})


def get_series(call: Call) -> Reply:
    """GET /series/{series_ticker}: one series with the volume of all its markets."""
    if call.params["series_ticker"] not in call.venue.catalog.series:
        raise errors.nested("not_found")
    return Reply({"series": _series(call, call.params["series_ticker"])})


def series_fee_changes(_call: Call) -> Reply:
    """GET /series/fee_changes: always empty, the sandbox schedules none."""
    return Reply({"series_fee_change_arr": []})


def _markets_of(call: Call, tickers: list[str]) -> list[Market]:
    return [call.venue.exchange.state.markets[ticker] for ticker in tickers]


def _event_markets(call: Call, event_ticker: str) -> list[dict[str, Any]]:
    return [call.venue.markets.rendered(one.spec.market_id) for one in call.venue.catalog.of_event(event_ticker)]


def _event(call: Call, event_ticker: str, *, nested: bool = False) -> dict[str, Any]:
    catalog = call.venue.catalog
    listing = catalog.events.get(event_ticker)
    if listing is None:
        raise errors.nested("not_found")
    shard = call.venue.markets.shard(catalog.of_event(event_ticker)[0].spec.market_id)
    shown = event_object(listing, call.venue.clock, exchange_index=shard)
    return shown | {"markets": _event_markets(call, event_ticker)} if nested else shown


def _series(call: Call, series_ticker: str) -> dict[str, Any]:
    catalog = call.venue.catalog
    markets = _markets_of(call, [one.spec.market_id for one in catalog.of_series(series_ticker)])
    return series_object(catalog.series[series_ticker], markets, clock=call.venue.clock)


def _has_status(call: Call, event_ticker: str, *, status: str) -> bool:
    tickers = [one.spec.market_id for one in call.venue.catalog.of_event(event_ticker)]
    return any(market.status in STATUS_FILTER[status] for market in _markets_of(call, tickers))


ROUTES = (
    Route("GET", "/events", list_events, None),
    Route("GET", "/events/multivariate", no_events, None),
    Route("GET", "/events/fee_changes", empty_lists("event_fee_changes"), None),
    Route("GET", "/events/{event_ticker}", get_event, None),
    Route("GET", "/events/{event_ticker}/metadata", event_metadata, None),
    Route("GET", "/series", list_series, None),
    Route("GET", "/series/fee_changes", series_fee_changes, None),
    Route("GET", "/series/{series_ticker}", get_series, None),
    Route("GET", "/series/{series_ticker}/events/{event_ticker}/candlesticks", event_candlesticks, None),
)
