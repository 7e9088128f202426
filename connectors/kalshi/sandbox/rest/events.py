"""Public data over REST by event and series. An event or series that does not exist raises `Refusal` 404."""

from __future__ import annotations

from typing import Any

from connectors.kalshi.sandbox import errors
from connectors.kalshi.sandbox.listings import CATEGORY, MULTIVARIATE, EventListing, Series
from connectors.kalshi.sandbox.render.candles import candle_objects
from connectors.kalshi.sandbox.render.markets import SETTLEMENT_SOURCES, event_object, series_object
from connectors.kalshi.sandbox.rest.call import Call, empty_lists
from connectors.kalshi.sandbox.rest.markets import STATUS_FILTER, span
from connectors.sandbox.engine.model import Market
from connectors.sandbox.serving.pages import newest_first
from connectors.sandbox.serving.rest import Reply, Route

# Default and maximum of the page size of events (vendor docs).
EVENT_PAGE = 200


def event_candlesticks(call: Call) -> Reply:
    """GET /series/{series}/events/{event}/candlesticks: one array of candles for each market of the event."""
    window = span(call.query_of("GetEventCandlesticks"))
    tickers = call.venue.catalog.tickers_of(_event_of(call).event_ticker)
    shown = [candle_objects(call.venue.candles.between(ticker, **window)) for ticker in tickers]
    return Reply({"adjusted_end_ts": window["end_s"], "market_candlesticks": shown, "market_tickers": tickers})


def list_events(call: Call) -> Reply:
    """GET /events: one page, newest first, by series, tickers and status.

    `with_nested_markets` puts the markets into each. An event has the status of any of its markets (*assumption*).
    """
    query = call.query_of("GetEvents")
    status = query.choice("status", ("unopened", "open", "closed", "settled"))
    series, tickers = query.text("series_ticker"), query.names("tickers")

    def keeps(event: EventListing) -> bool:
        return (
            not event.event_ticker.startswith(MULTIVARIATE)
            and (series is None or event.series_ticker == series)
            and (tickers is None or event.event_ticker in tickers)
            and (
                status is None or any(one.status in STATUS_FILTER[status] for one in _markets(call, event.event_ticker))
            )
        )

    found = newest_first(call.venue.catalog.events.values(), keeps)
    page, cursor = call.page(query, found, size=EVENT_PAGE, most=EVENT_PAGE)
    nested = query.flag("with_nested_markets")
    events = [_event(call, event, nested=nested) for event in page]
    milestones: dict[str, Any] = {"milestones": []} if query.flag("with_milestones") else {}
    return Reply({"cursor": cursor, "events": events} | milestones)


def list_multivariate(call: Call) -> Reply:
    """GET /events/multivariate: one page of the events whose markets have several legs, which /events leaves out."""
    query = call.query_of("GetMultivariateEvents")
    series, nested = query.text("series_ticker"), query.flag("with_nested_markets")

    def keeps(event: EventListing) -> bool:
        return event.event_ticker.startswith(MULTIVARIATE) and series in (None, event.series_ticker)

    found = newest_first(call.venue.catalog.events.values(), keeps)
    page, cursor = call.page(query, found, size=EVENT_PAGE, most=EVENT_PAGE)
    return Reply({"cursor": cursor, "events": [_event(call, event, nested=nested) for event in page]})


def get_event(call: Call) -> Reply:
    """GET /events/{event_ticker}; the markets also stand beside it, as they still do at the venue."""
    event, nested = _event_of(call), call.query_of("GetEvent").flag("with_nested_markets")
    markets = [] if nested else _rendered(call, event.event_ticker)
    return Reply({"event": _event(call, event, nested=nested), "markets": markets})


def event_metadata(call: Call) -> Reply:
    """GET /events/{event_ticker}/metadata: settlement sources, and a colour for each market."""
    tickers = call.venue.catalog.tickers_of(_event_of(call).event_ticker)
    details = [{"color_code": "#336699", "image_url": "", "market_ticker": ticker} for ticker in tickers]
    return Reply({"image_url": "", "market_details": details, "settlement_sources": SETTLEMENT_SOURCES})


def list_series(call: Call) -> Reply:
    """GET /series: all of a category, or all; none when tags are asked for, as the sandbox's series have no tags."""
    query = call.query_of("GetSeriesList")
    listed = query.names("tags") is None and query.text("category") in (None, CATEGORY)
    return Reply({"series": [_series(call, one) for one in call.venue.catalog.series.values() if listed]})


def get_series(call: Call) -> Reply:
    """GET /series/{series_ticker}: one series with the volume of all its markets."""
    series = call.venue.catalog.series.get(call.arrival.params["series_ticker"])
    if series is None:
        raise errors.nested("not_found")
    return Reply({"series": _series(call, series)})


def series_fee_changes(_call: Call) -> Reply:
    """GET /series/fee_changes: always empty, the sandbox schedules none."""
    return Reply({"series_fee_change_arr": []})


def _event_of(call: Call) -> EventListing:
    event = call.venue.catalog.events.get(call.arrival.params["event_ticker"])
    if event is None:
        raise errors.nested("not_found")
    return event


def _markets(call: Call, group_ticker: str) -> list[Market]:
    return [call.venue.markets.get(ticker) for ticker in call.venue.catalog.tickers_of(group_ticker)]


def _rendered(call: Call, event_ticker: str) -> list[dict[str, Any]]:
    return [call.venue.markets.rendered(ticker) for ticker in call.venue.catalog.tickers_of(event_ticker)]


def _event(call: Call, event: EventListing, *, nested: bool) -> dict[str, Any]:
    shown = event_object(event, call.venue.clock, spec=_markets(call, event.event_ticker)[0].spec)
    return shown | {"markets": _rendered(call, event.event_ticker)} if nested else shown


def _series(call: Call, series: Series) -> dict[str, Any]:
    return series_object(series, _markets(call, series.ticker), clock=call.venue.clock)


ROUTES = (
    Route("GET", "/events", list_events, None),
    Route("GET", "/events/multivariate", list_multivariate, None),
    Route("GET", "/events/fee_changes", empty_lists("event_fee_changes"), None),
    Route("GET", "/events/{event_ticker}", get_event, None),
    Route("GET", "/events/{event_ticker}/metadata", event_metadata, None),
    Route("GET", "/series", list_series, None),
    Route("GET", "/series/fee_changes", series_fee_changes, None),
    Route("GET", "/series/{series_ticker}", get_series, None),
    Route("GET", "/series/{series_ticker}/events/{event_ticker}/candlesticks", event_candlesticks, None),
)
