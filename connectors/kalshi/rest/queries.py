"""Every read of Kalshi's REST that has a use here, one function each. All raise like `KalshiRest.get`.

Lists come whole: all their pages, in the venue's order (newest first, recorded answer).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from connectors.kalshi.rest.client import KalshiRest, Params
from connectors.kalshi.wire import account_messages as a
from connectors.kalshi.wire import market_messages as m

_PAGE = 1000
_EVENTS_PAGE = 200
_TICKERS_PER_REQUEST = 100


async def exchange_status(rest: KalshiRest) -> m.ExchangeStatus:
    """Whether the exchange runs and trades."""
    return await rest.get("/exchange/status", m.ExchangeStatus)


async def schedule(rest: KalshiRest) -> m.Schedule:
    """Planned maintenance."""
    return (await rest.get("/exchange/schedule", m.ScheduleAnswer)).schedule


async def series(rest: KalshiRest, ticker: str) -> m.Series:
    """One series."""
    return (await rest.get(f"/series/{_quoted(ticker)}", m.SeriesAnswer, cost_path="/series/*")).series


async def event(rest: KalshiRest, ticker: str) -> m.Event:
    """One event."""
    return (await rest.get(f"/events/{_quoted(ticker)}", m.EventAnswer, cost_path="/events/*")).event


async def events_of_series(rest: KalshiRest, series_ticker: str) -> list[m.Event]:
    """The events of a series that are not settled."""
    found: list[m.Event] = []
    for status in ("open", "unopened"):
        params: Params = [("series_ticker", series_ticker), ("status", status), ("limit", _EVENTS_PAGE)]
        found += [one for page in await rest.pages("/events", m.EventsPage, params) for one in page.events]
    return found


async def market(rest: KalshiRest, ticker: str) -> m.Market:
    """One market. May be refused as `not_found` shortly after its creation was announced."""
    return (await rest.get(f"/markets/{_quoted(ticker)}", m.MarketAnswer, cost_path="/markets/*")).market


async def markets(
    rest: KalshiRest, *, series_ticker: str | None = None, event_ticker: str | None = None, status: str | None = None
) -> list[m.Market]:
    """The markets of a series, of an event, or all; of one status, or of all."""
    params = [("series_ticker", series_ticker), ("event_ticker", event_ticker), ("status", status), ("limit", _PAGE)]
    return [one for page in await rest.pages("/markets", m.MarketsPage, params) for one in page.markets]


async def markets_named(rest: KalshiRest, tickers: Sequence[str]) -> list[m.Market]:
    """These markets, whatever their status; unknown ones are left out by the venue."""
    found: list[m.Market] = []
    for some in _chunks(tickers):
        params: Params = [("tickers", ",".join(some)), ("limit", _PAGE)]
        found += [one for page in await rest.pages("/markets", m.MarketsPage, params) for one in page.markets]
    return found


async def orderbook(rest: KalshiRest, ticker: str, *, depth: int = 0) -> m.BookSides:
    """One book, down to `depth` levels (0 = all, at most 100)."""
    path = f"/markets/{_quoted(ticker)}/orderbook"
    answer = await rest.get(path, m.OrderbookAnswer, [("depth", depth)], cost_path="/markets/*/orderbook")
    return answer.orderbook_fp


async def orderbooks(rest: KalshiRest, tickers: Sequence[str]) -> list[m.TickerBook]:
    """Several books, a hundred at a time."""
    found: list[m.TickerBook] = []
    for some in _chunks(tickers):
        params = [("tickers", ticker) for ticker in some]
        found += (await rest.get("/markets/orderbooks", m.OrderbooksAnswer, params)).orderbooks
    return found


async def trades(rest: KalshiRest, ticker: str, *, since_s: int) -> list[m.Trade]:
    """The public trades of a market since a Unix time in seconds."""
    params: Params = [("ticker", ticker), ("min_ts", since_s), ("limit", _PAGE)]
    return [one for page in await rest.pages("/markets/trades", m.TradesPage, params) for one in page.trades]


async def account_limits(rest: KalshiRest) -> a.AccountLimits:
    """The account's rate limits."""
    return await rest.get("/account/limits", a.AccountLimits)


async def endpoint_costs(rest: KalshiRest) -> a.EndpointCosts:
    """What requests cost."""
    return await rest.get("/account/endpoint_costs", a.EndpointCosts)


async def balance(rest: KalshiRest, *, subaccount: int | None = None) -> a.Balance:
    """The account's cash; waits for a bucket of its own (once a second)."""
    return await rest.get("/portfolio/balance", a.Balance, [("subaccount", subaccount)])


async def order(rest: KalshiRest, order_id: str) -> a.Order:
    """One own order by the venue's id."""
    path = f"/portfolio/orders/{_quoted(order_id)}"
    return (await rest.get(path, a.OrderAnswer, cost_path="/portfolio/orders/*")).order


async def orders(
    rest: KalshiRest,
    *,
    status: str | None = None,
    ticker: str | None = None,
    since_s: int | None = None,
    subaccount: int | None = None,
) -> list[a.Order]:
    """Own orders on all shards: of one status (`resting`, `canceled`, `executed`) or all, since a Unix second."""
    params = [
        ("status", status),
        ("ticker", ticker),
        ("min_ts", since_s),
        ("subaccount", subaccount),
        ("limit", _PAGE),
    ]
    return [one for page in await rest.pages("/portfolio/orders", a.OrdersPage, params) for one in page.orders]


async def fills(rest: KalshiRest, *, since_s: int, subaccount: int | None = None) -> list[a.Fill]:
    """Own trades on all shards since a Unix time in seconds."""
    params = [("min_ts", since_s), ("subaccount", subaccount), ("limit", _PAGE)]
    return [one for page in await rest.pages("/portfolio/fills", a.FillsPage, params) for one in page.fills]


async def positions(rest: KalshiRest, *, subaccount: int | None = None) -> list[a.Position]:
    """Own positions in markets that are not settled, on all shards."""
    params = [("subaccount", subaccount), ("limit", _PAGE)]
    pages = await rest.pages("/portfolio/positions", a.PositionsPage, params)
    return [one for page in pages for one in page.market_positions]


async def settlements(rest: KalshiRest, *, since_s: int, subaccount: int | None = None) -> list[a.Settlement]:
    """Markets that paid the account since a Unix time in seconds."""
    params = [("min_ts", since_s), ("subaccount", subaccount), ("limit", _PAGE)]
    pages = await rest.pages("/portfolio/settlements", a.SettlementsPage, params)
    return [one for page in pages for one in page.settlements]


async def order_groups(rest: KalshiRest, *, subaccount: int | None = None) -> tuple[a.OrderGroup, ...]:
    """The account's order groups."""
    answer = await rest.get("/portfolio/order_groups", a.OrderGroupsAnswer, [("subaccount", subaccount)])
    return answer.order_groups or ()


async def order_group(rest: KalshiRest, group_id: str, *, subaccount: int | None = None) -> a.OrderGroupAnswer:
    """One order group and the ids of its orders."""
    path = f"/portfolio/order_groups/{_quoted(group_id)}"
    params: Params = [("subaccount", subaccount)]
    return await rest.get(path, a.OrderGroupAnswer, params, cost_path="/portfolio/order_groups/*")


async def queue_positions(rest: KalshiRest, tickers: Sequence[str]) -> list[a.QueuePosition]:
    """Contracts ahead of the own resting orders in these markets."""
    found: list[a.QueuePosition] = []
    for some in _chunks(tickers):
        params = [("market_tickers", ",".join(some))]
        answer = await rest.get("/portfolio/orders/queue_positions", a.QueuePositionsAnswer, params)
        found += answer.queue_positions or ()
    return found


def _quoted(name: str) -> str:
    """A venue's name as one part of a path, whatever it holds."""
    return quote(name, safe="")


def _chunks(tickers: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(tickers), _TICKERS_PER_REQUEST):
        yield tickers[start : start + _TICKERS_PER_REQUEST]
