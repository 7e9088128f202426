"""Reading what a member has: orders, queue positions, fills, positions, settlements, balance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from connectors.kalshi.sandbox import errors, wire
from connectors.kalshi.sandbox.buckets import SHARDS, SINGLE_READ_COST
from connectors.kalshi.sandbox.render import portfolio as render_portfolio
from connectors.kalshi.sandbox.rest.call import Call, Reply, Route, empty_lists
from connectors.kalshi.sandbox.rest.parse import Query
from connectors.kalshi.sandbox.wire import NS_PER_S, PRICE_ONE
from connectors.sandbox.model import Market, Order, Position

PAGE = 100
PAGE_MAX = 1000
TICKERS_MAX = 100


def cash_account(shard: int) -> str:
    """The engine's name of the cash on a shard."""
    return "USD" if shard == 0 else f"USD#{shard}"


def list_orders(call: Call) -> Reply:
    """GET /portfolio/orders, newest first."""
    query = call.query_of("GetOrders")
    status = query.choice("status", ("resting", "canceled", "executed"))
    events = query.names("event_ticker", TICKERS_MAX)
    limit = query.limit(PAGE, PAGE_MAX)
    keeps = _common_filter(call, query)
    orders = call.venue.reads.orders(call.accounts(query.integer("subaccount")), call.now_ns)
    # The place in the list only tells orders apart that arrived in one batch.
    chosen = [
        (order.arrival_ns * 10**7 + place, order)
        for place, order in enumerate(orders)
        if (status is None or order.status == status)
        and (events is None or call.venue.catalog.event_of(order.market_id) in events)
        and keeps(order.market_id, order.arrival_ns)
    ]
    chosen.sort(key=lambda one: -one[0])
    page, cursor = query.page(chosen, lambda one: one[0], limit=limit)
    return Reply({"cursor": cursor, "orders": [_order(call, order) for _, order in page]})


def get_order(call: Call) -> Reply:
    """GET /portfolio/orders/{order_id}."""
    return Reply({"order": _order(call, _own_order(call))})


def queue_position(call: Call) -> Reply:
    """GET /portfolio/orders/{order_id}/queue_position: contracts ahead, price-time."""
    order = _own_order(call)
    if order.status != "resting":
        raise errors.nested("not_found")
    return Reply({"queue_position_fp": wire.count(_ahead(call, order))})


def queue_positions(call: Call) -> Reply:
    """GET /portfolio/orders/queue_positions: of all resting orders of the named markets or event."""
    query = call.query_of("GetOrderQueuePositions")
    tickers, event = query.names("market_tickers"), query.text("event_ticker")
    if tickers is None and event is None:
        raise errors.nested("invalid_parameters")
    shown = []
    for order in call.venue.reads.orders(call.accounts(query.integer("subaccount")), call.now_ns):
        event_named = call.venue.catalog.event_of(order.market_id) == event
        named = event_named or (tickers is not None and order.market_id in tickers)
        if order.status == "resting" and named:
            position = wire.count(_ahead(call, order))
            shown.append({"market_ticker": order.market_id, "order_id": order.order_id, "queue_position_fp": position})
    return Reply({"queue_positions": shown})


def list_fills(call: Call) -> Reply:
    """GET /portfolio/fills, newest first."""
    query = call.query_of("GetFills")
    order_id = query.text("order_id")
    limit = query.limit(PAGE, PAGE_MAX)
    keeps = _common_filter(call, query)
    fills = call.venue.reads.fills(call.accounts(query.integer("subaccount")), call.now_ns)
    numbered = [
        (number, fill)
        for number, fill in enumerate(fills)
        if (order_id is None or fill.order_id == order_id) and keeps(fill.market_id, fill.ns)
    ]
    numbered.reverse()
    page, cursor = query.page(numbered, lambda one: one[0], limit=limit)
    clock, subaccount_of = call.venue.clock, call.venue.subaccount_of
    shown = [render_portfolio.fill(fill, clock, subaccount=subaccount_of(fill.account)) for _, fill in page]
    return Reply({"cursor": cursor, "fills": shown})


def list_positions(call: Call) -> Reply:
    """GET /portfolio/positions: per market and summed per event, of one subaccount."""
    query = call.query_of("GetPositions")
    wanted = query.names("count_filter") or frozenset()
    if not wanted <= {"position", "total_traded"}:
        raise errors.bad_query("GetPositions", "CountFilter", tag="oneof")
    settled = query.choice("settlement_status", ("all", "unsettled", "settled")) or "unsettled"
    event = query.text("event_ticker")
    limit = query.limit(PAGE, PAGE_MAX)
    keeps = _common_filter(call, query)
    held = call.venue.reads.positions(call.account_id(query.integer("subaccount")), call.now_ns)
    chosen: list[tuple[int, tuple[str, Position]]] = []
    for number, (ticker, position) in enumerate(held.items()):
        market = call.venue.exchange.state.markets[ticker]
        is_settled = market.status == "finalized"
        shown = (
            position.traded != 0
            and (settled == "all" or is_settled == (settled == "settled"))
            and ("position" not in wanted or position.net != 0)
            and (event is None or call.venue.catalog.event_of(ticker) == event)
            and keeps(ticker, position.updated_ns)
        )
        if shown:
            chosen.append((number, (ticker, position)))
    chosen.reverse()
    page, cursor = query.page(chosen, lambda one: one[0], limit=limit)
    markets = [one for _, one in page]
    return Reply(
        {
            "cursor": cursor,
            "event_positions": _event_positions(call, markets),
            "market_positions": [
                render_portfolio.market_position(
                    position, call.venue.clock, ticker=ticker, exchange_index=call.venue.markets.shard(ticker)
                )
                for ticker, position in markets
            ],
        }
    )


def list_settlements(call: Call) -> Reply:
    """GET /portfolio/settlements, newest first."""
    query = call.query_of("GetSettlements")
    event = query.text("event_ticker")
    limit = query.limit(PAGE, PAGE_MAX)
    keeps = _common_filter(call, query)
    event_of = call.venue.catalog.event_of
    settled = call.venue.reads.settlements(call.accounts(query.integer("subaccount")), call.now_ns)
    numbered = [
        (number, one)
        for number, one in enumerate(settled)
        if (event is None or event_of(one.market_id) == event) and keeps(one.market_id, one.ns)
    ]
    numbered.reverse()
    page, cursor = query.page(numbered, lambda one: one[0], limit=limit)
    shown = [
        render_portfolio.settlement(one, call.venue.clock, event_ticker=event_of(one.market_id)) for _, one in page
    ]
    return Reply({"cursor": cursor, "settlements": shown})


def balance(call: Call) -> Reply:
    """GET /portfolio/balance. `balance` is cut to cents; `portfolio_value` marks positions at the last price."""
    query = call.query_of("GetBalance")
    shard = query.integer("exchange_index")
    account = call.account_id(query.integer("subaccount"))
    purses = call.venue.reads.balances(account, call.now_ns)
    shards = [number for number in range(SHARDS) if cash_account(number) in purses and shard in (None, number)]
    total = sum(purses[cash_account(number)] for number in shards)
    held = call.venue.reads.positions(account, call.now_ns)
    shard_of, market_of = call.venue.markets.shard, call.venue.markets.get
    value = sum(_worth(market_of(name), one) for name, one in held.items() if shard in (None, shard_of(name)))
    return Reply(
        {
            "balance": wire.cents(total),
            "balance_breakdown": [
                {"balance": wire.money_short(purses[cash_account(number)]), "exchange_index": number}
                for number in shards
            ],
            "balance_dollars": wire.money_short(total),
            "portfolio_value": wire.cents(value),
            "updated_ts": call.venue.clock.seconds(call.now_ns),
        }
    )


def resting_value(call: Call) -> Reply:
    """GET /portfolio/summary/total_resting_order_value, in cents."""
    reserved: dict[int, int] = {}
    for name in call.accounts(call.query_of("GetRestingOrderTotalValue").integer("subaccount")):
        for number in range(SHARDS):
            held = call.venue.exchange.state.accounts[name].reserved.get(cash_account(number), 0)
            if held:
                reserved[number] = reserved.get(number, 0) + held
    breakdown = [{"balance": wire.money_short(held), "exchange_index": number} for number, held in reserved.items()]
    total = wire.cents(sum(reserved.values()))
    return Reply({"resting_order_value_breakdown": breakdown, "total_resting_order_value": total})


def _order(call: Call, order: Order) -> dict[str, Any]:
    venue = call.venue
    shard = venue.markets.shard(order.market_id)
    return render_portfolio.order(
        order,
        venue.clock,
        user_id=venue.user_id,
        subaccount=venue.subaccount_of(order.account),
        exchange_index=shard,
    )


def _own_order(call: Call) -> Order:
    order = call.venue.reads.order(call.params["order_id"], call.now_ns)
    if order is None or order.account not in call.accounts(None):
        raise errors.nested("not_found")
    return order


def _ahead(call: Call, order: Order) -> int:
    """Contracts ahead of an order, by the book as it is now."""
    live = call.venue.exchange.ledger.orders[order.order_id]
    return call.venue.markets.book(order.market_id).queue_ahead(live) if live.status == "resting" else 0


def _event_positions(call: Call, markets: Sequence[tuple[str, Position]]) -> list[dict[str, Any]]:
    by_event: dict[str, list[Position]] = {}
    for ticker, position in markets:
        by_event.setdefault(call.venue.catalog.event_of(ticker), []).append(position)
    return [render_portfolio.event_position(event, positions) for event, positions in by_event.items()]


def _worth(market: Market, position: Position) -> int:
    """A position at the market's last price, as money."""
    return position.net * (market.last_price if position.net >= 0 else market.last_price - PRICE_ONE)


def _common_filter(call: Call, query: Query) -> Callable[[str, int], bool]:
    """The filters that all listings share: markets, shard, and a range of seconds."""
    tickers = query.names("ticker", TICKERS_MAX)
    shard = query.integer("exchange_index")
    low, high = query.integer("min_ts"), query.integer("max_ts")
    clock = call.venue.clock
    low_ns = None if low is None else clock.to_engine_ns(low * NS_PER_S)
    high_ns = None if high is None else clock.to_engine_ns((high + 1) * NS_PER_S)

    def keeps(ticker: str, ns: int) -> bool:
        return (
            (tickers is None or ticker in tickers)
            and (shard is None or call.venue.markets.shard(ticker) == shard)
            and (low_ns is None or ns >= low_ns)
            and (high_ns is None or ns < high_ns)
        )

    return keeps


ROUTES = (
    Route("GET", "/portfolio/orders", list_orders),
    Route("GET", "/portfolio/orders/queue_positions", queue_positions),
    Route("GET", "/portfolio/orders/{order_id}", get_order, cost=SINGLE_READ_COST),
    Route("GET", "/portfolio/orders/{order_id}/queue_position", queue_position),
    Route("GET", "/portfolio/fills", list_fills),
    Route("GET", "/portfolio/positions", list_positions),
    Route("GET", "/portfolio/settlements", list_settlements),
    Route("GET", "/portfolio/balance", balance, "read::portfolio_balance", "balance"),
    Route("GET", "/portfolio/summary/total_resting_order_value", resting_value),
    Route("GET", "/portfolio/deposits", empty_lists("deposits")),
    Route("GET", "/portfolio/withdrawals", empty_lists("withdrawals")),
)
