"""Kalshi's REST, and every read of it that has a use here, one function each. All raise like `SignedRest.get`.

Lists come whole: all their pages, in the venue's order (newest first, recorded answer). A row that can't be read is
said in the log; markets and events are then read alone. Times are Unix seconds, as the venue takes them. `subaccount`
None leaves the number out: what that means differs between endpoints.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from connectors.client.pages import by_cursor
from connectors.client.rest import RestRules, SignedRest, or_none, request_of
from connectors.client.venue_time import VenueTime
from connectors.client.wire.answers import UnreadableAnswer
from connectors.client.wire.calls import Call, Params, path_part
from connectors.client.wire.listing import BadRow, Listing
from connectors.kalshi.settings import KalshiSettings
from connectors.kalshi.v1.older import current_body
from connectors.kalshi.wire import account_messages as a
from connectors.kalshi.wire import market_messages as m
from connectors.kalshi.wire.errors import VERDICTS, parse_error
from connectors.kalshi.wire.sign import Signer
from connectors.transport.ports import HttpRequest, HttpTransport
from framework.domain.ports import Clock
from framework.domain.turns import TakeTurn, no_limits

T = TypeVar("T")

# The largest pages and lists that the venue takes (vendor docs); it refuses more instead of cutting them (recorded).
_PAGE = 1000
_EVENTS_PAGE = 200
_STATUS = "/exchange/status"
_TICKERS_PER_REQUEST = 100
_ALONE_MAX = 20
"""Rows that are read one by one in one read of a list: a list full of bad ones must not use up the budget."""


def kalshi_rest(
    transport: HttpTransport,
    signer: Signer,
    settings: KalshiSettings,
    *,
    clock: Clock,
    time: VenueTime,
    turn: TakeTurn = no_limits,
) -> SignedRest:
    """One account's REST over a transport to `settings.rest_url`."""

    def sign(call: Call) -> HttpRequest:
        return request_of(call, signer.headers(time.now_ms(), call.method, call.target))

    rules = RestRules(
        name="kalshi",
        url=settings.rest_url,
        prefix=settings.rest_prefix,
        timeout_ms=settings.request_timeout_ms,
        pages_max=settings.pages_max,
        verdicts=VERDICTS,
        parse_error=parse_error,
        row_ids=("trade_id", "order_id", "ticker", "event_ticker"),
        # Read before the venue's clock is known. Exchange endpoints are public (vendor docs).
        unsigned=frozenset({_STATUS}),
        # Of a 403 only the code is known, and an address that is not allowed is thought to be one (*assumption*).
        open_path=_STATUS,
        renewed=current_body,
    )
    return SignedRest(transport, sign, rules, clock=clock, time=time, turn=turn)


async def get_exchange_status(rest: SignedRest) -> m.ExchangeStatus:
    """Read whether the exchange runs and trades; the only read that is not signed."""
    return await rest.get(_STATUS, m.ExchangeStatus)


async def get_series(rest: SignedRest, ticker: str) -> m.RestSeries:
    """Read one series; its fees hold for all its events."""
    return (await rest.get(f"/series/{path_part(ticker)}", m.SeriesResponse, endpoint="/series/*")).series


async def get_event(rest: SignedRest, ticker: str) -> m.RestEvent:
    """Read one event, for its overrides of the series' fees."""
    return (await rest.get(f"/events/{path_part(ticker)}", m.EventResponse, endpoint="/events/*")).event


async def get_events_of_series(rest: SignedRest, series_ticker: str) -> list[m.RestEvent]:
    """Read the events of a series that are open or not yet opened."""
    found: list[m.RestEvent] = []
    for status in ("open", "unopened"):
        params: Params = [("series_ticker", series_ticker), ("status", status), ("limit", _EVENTS_PAGE)]
        listed = await rest.listing("/events", m.EventsPage, by_cursor, params)
        found += [*listed, *await _each_alone(listed.bad, "event_ticker", partial(get_event, rest))]
    return found


async def get_market(rest: SignedRest, ticker: str) -> m.RestMarket:
    """Read one market. May be refused as `not_found` shortly after its creation was announced (vendor docs)."""
    return (await rest.get(f"/markets/{path_part(ticker)}", m.MarketResponse, endpoint="/markets/*")).market


async def get_markets(
    rest: SignedRest, *, series_ticker: str | None = None, event_ticker: str | None = None, status: str | None = None
) -> list[m.RestMarket]:
    """Read the markets of a series, of an event, or all; of one status, or of all.

    `status` is the filter's word, not the market's: `unopened`, `open`, `paused`, `closed` or `settled` (vendor docs).
    """
    params = [("series_ticker", series_ticker), ("event_ticker", event_ticker), ("status", status), ("limit", _PAGE)]
    return await _markets(rest, params)


async def get_markets_named(rest: SignedRest, tickers: Sequence[str]) -> list[m.RestMarket]:
    """Read these markets, whatever their status; the venue leaves unknown ones out."""
    found: list[m.RestMarket] = []
    for some in _chunks(tickers):
        params: Params = [("tickers", ",".join(some)), ("limit", _PAGE)]
        found += await _markets(rest, params)
    return found


async def get_account_limits(rest: SignedRest) -> a.AccountLimits:
    """Read the account's tier and its two token buckets."""
    return await rest.get("/account/limits", a.AccountLimits)


async def get_api_keys(rest: SignedRest) -> Sequence[a.RestApiKey]:
    """Read the account's API keys and what each may do."""
    return (await rest.get("/api_keys", a.ApiKeysResponse)).api_keys


async def get_endpoint_costs(rest: SignedRest) -> a.EndpointCosts:
    """Read the default cost of a request and the endpoints that cost another number of tokens."""
    return await rest.get("/account/endpoint_costs", a.EndpointCosts)


async def get_balance(rest: SignedRest, *, subaccount: int | None = None) -> a.RestBalance:
    """Read the account's cash; paced by a bucket of its own (once a second at the lowest tiers, vendor docs)."""
    return await rest.get("/portfolio/balance", a.RestBalance, [("subaccount", subaccount)])


async def get_order(rest: SignedRest, order_id: str) -> a.RestOrder:
    """Read one own order by the venue's id."""
    path = f"/portfolio/orders/{path_part(order_id)}"
    return (await rest.get(path, a.OrderResponse, endpoint="/portfolio/orders/*")).order


async def get_orders(
    rest: SignedRest,
    *,
    status: str | None = None,
    ticker: str | None = None,
    since_s: int | None = None,
    subaccount: int | None = None,
) -> Listing[a.RestOrder]:
    """Read own orders on all shards: of one status (`resting`, `canceled`, `executed`) or all, since `since_s`.

    The time is compared with an order's creation (*assumption*).
    """
    params = [("status", status), ("ticker", ticker), ("min_ts", since_s), ("subaccount", subaccount), ("limit", _PAGE)]
    return await rest.listing("/portfolio/orders", a.OrdersPage, by_cursor, params)


async def get_fills(
    rest: SignedRest, *, since_s: int | None = None, order_id: str | None = None, subaccount: int | None = None
) -> Listing[a.RestFill]:
    """Read own trades on all shards since `since_s`, of one order by the venue's id or of all."""
    params = [("min_ts", since_s), ("order_id", order_id), ("subaccount", subaccount), ("limit", _PAGE)]
    return await rest.listing("/portfolio/fills", a.FillsPage, by_cursor, params)


async def get_positions(
    rest: SignedRest, *, ticker: str | None = None, subaccount: int | None = None
) -> Listing[a.RestPosition]:
    """Read own positions in markets that are not settled, on all shards; of one market or of all."""
    params = [("ticker", ticker), ("subaccount", subaccount), ("limit", _PAGE)]
    return await rest.listing("/portfolio/positions", a.PositionsPage, by_cursor, params)


async def get_settlements(
    rest: SignedRest, *, since_s: int, subaccount: int | None = None
) -> Listing[a.RestSettlement]:
    """Read the markets that paid the account since `since_s`."""
    params = [("min_ts", since_s), ("subaccount", subaccount), ("limit", _PAGE)]
    return await rest.listing("/portfolio/settlements", a.SettlementsPage, by_cursor, params)


async def _markets(rest: SignedRest, params: Params) -> list[m.RestMarket]:
    listed = await rest.listing("/markets", m.MarketsPage, by_cursor, params)
    return [*listed, *await _each_alone(listed.bad, "ticker", partial(get_market, rest))]


async def _each_alone(bad: Iterable[BadRow], key: str, read: Callable[[str], Awaitable[T]]) -> list[T]:
    """What can be read of these rows one by one, by the field `key`; the others are left out."""
    found: list[T] = []
    for name in [row.text(key) for row in bad if row.text(key)][:_ALONE_MAX]:
        with contextlib.suppress(UnreadableAnswer):
            if (one := await or_none(read(name))) is not None:
                found.append(one)
    return found


def _chunks(tickers: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(tickers), _TICKERS_PER_REQUEST):
        yield tickers[start : start + _TICKERS_PER_REQUEST]
