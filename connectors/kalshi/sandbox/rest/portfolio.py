"""Reading what a member has, over REST: orders, queue positions, fills, positions, settlements, balance.

Reads show the state of the venue's read lag ago. Handlers raise `Refusal` 400 for a wrong query and 403 for a
subaccount that the key may not use. `min_ts` and `max_ts` are Unix seconds, both inclusive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connectors.kalshi.sandbox import errors, wire, words
from connectors.kalshi.sandbox.buckets import BALANCE_COST, SHARDS, SINGLE_READ_COST
from connectors.kalshi.sandbox.portfolio import (
    event_position_object,
    fill_object,
    market_position_object,
    order_object,
    settlement_object,
)
from connectors.kalshi.sandbox.rest.call import Call, empty_lists
from connectors.kalshi.sandbox.wire import PRICE_ONE
from connectors.sandbox.engine.model import Market, Order, Position
from connectors.sandbox.serving.fields import Query
from connectors.sandbox.serving.pages import newest_by_time, newest_first
from connectors.sandbox.serving.rest import Reply, Route

# Tickers that one query may name (vendor docs).
TICKERS_MAX = 100


def list_orders(call: Call) -> Reply:
    """GET /portfolio/orders: one page, newest first, by status, markets, events, shard, time and subaccount."""
    query = call.query_of("GetOrders")
    status = query.choice("status", ("resting", "canceled", "executed"))
    keeps = _common_filter(call, query)
    found = newest_by_time(
        call.venue.reads.orders(call.accounts(query.integer("subaccount")), call.now_ns),
        lambda one: one.arrival_ns,
        lambda one: status in (None, words.status_of(one)) and keeps(one.market_id, one.arrival_ns),
    )
    return call.listing("orders", query, found, lambda one: order_object(one, call.venue))


def get_order(call: Call) -> Reply:
    """GET /portfolio/orders/{order_id}: one of the member's orders, in whatever state; else 404."""
    return Reply({"order": order_object(_own_order(call), call.venue)})


def get_queue_position(call: Call) -> Reply:
    """GET /portfolio/orders/{order_id}/queue_position: contracts that trade before it, by price and time.

    Raises `Refusal` 404 when the order does not rest.
    """
    order = _own_order(call)
    if order.status != "open":
        raise errors.nested("not_found")
    return Reply({"queue_position_fp": wire.count(_ahead(call, order))})


def get_queue_positions(call: Call) -> Reply:
    """GET /portfolio/orders/queue_positions: of all resting orders of the named markets or event.

    Raises `Refusal` 400 when neither is named.
    """
    query = call.query_of("GetOrderQueuePositions")
    tickers, event = query.names("market_tickers") or frozenset(), query.text("event_ticker")
    if not tickers and event is None:
        raise errors.nested("invalid_parameters")
    shown = []
    for order in call.venue.reads.orders(call.accounts(query.integer("subaccount")), call.now_ns):
        named = order.market_id in tickers or call.venue.catalog.event_of(order.market_id) == event
        if order.status == "open" and named:
            position = wire.count(_ahead(call, order))
            shown.append({"market_ticker": order.market_id, "order_id": order.order_id, "queue_position_fp": position})
    return Reply({"queue_positions": shown})


def list_fills(call: Call) -> Reply:
    """GET /portfolio/fills: one page, newest first, by order, markets, shard, time and subaccount."""
    query = call.query_of("GetFills")
    order_id = query.text("order_id")
    keeps = _common_filter(call, query, has_events=False)
    fills = call.venue.reads.fills(call.accounts(query.integer("subaccount")), call.now_ns)
    found = newest_first(fills, lambda one: order_id in (None, one.order_id) and keeps(one.market_id, one.ns))
    return call.listing("fills", query, found, lambda one: fill_object(one, call.venue))


def list_positions(call: Call) -> Reply:
    """GET /portfolio/positions: one page by market, newest first, and summed by event; of one subaccount.

    Only positions that ever traded; of markets that have not settled unless `settlement_status` asks for others.
    """
    query = call.query_of("GetPositions")
    wanted = query.names("count_filter") or frozenset()
    if not wanted <= {"position", "total_traded"}:
        raise query.refusal("count_filter", "no_choice")
    settled = query.choice("settlement_status", ("all", "unsettled", "settled")) or "unsettled"
    keeps = _common_filter(call, query)
    held = call.venue.reads.positions(call.account_id(query.integer("subaccount")), call.now_ns)

    def keeps_position(one: tuple[str, Position]) -> bool:
        ticker, position = one
        is_settled = call.venue.exchange.state.markets[ticker].status == "finalized"
        return (
            position.traded != 0
            and (settled == "all" or is_settled == (settled == "settled"))
            and ("position" not in wanted or position.net != 0)
            and keeps(ticker, position.updated_ns)
        )

    page, cursor = call.page(query, newest_first(held.items(), keeps_position))
    shown = [market_position_object(one, call.venue, ticker=name) for name, one in page]
    return Reply({"cursor": cursor, "event_positions": _event_positions(call, page), "market_positions": shown})


def list_settlements(call: Call) -> Reply:
    """GET /portfolio/settlements: one page, newest first, by event, markets, shard, time and subaccount."""
    query = call.query_of("GetSettlements")
    keeps = _common_filter(call, query)
    settled = call.venue.reads.settlements(call.accounts(query.integer("subaccount")), call.now_ns)
    found = newest_first(settled, lambda one: keeps(one.market_id, one.ns))
    return call.listing("settlements", query, found, lambda one: settlement_object(one, call.venue))


def get_balance(call: Call) -> Reply:
    """GET /portfolio/balance: what new orders may draw on, in all and by shard; of one subaccount.

    `balance` is cut to cents (recorded answer); `portfolio_value`, in cents, marks positions at the last price.
    """
    query = call.query_of("GetBalance")
    shard = query.integer("exchange_index")
    account = call.account_id(query.integer("subaccount"))
    balances = call.venue.reads.balances(account, call.now_ns)
    available = {number: balances.get(words.cash_account_of(number)) for number in range(SHARDS)}
    shown = {number: cash for number, cash in available.items() if cash is not None and shard in (None, number)}
    total = sum(shown.values())
    held = call.venue.reads.positions(account, call.now_ns)
    shard_of, market_of = call.venue.markets.shard, call.venue.markets.get
    value = sum(_worth(market_of(name), one) for name, one in held.items() if shard in (None, shard_of(name)))
    return Reply(
        {"balance": wire.cents(total), "balance_dollars": wire.money_short(total), "portfolio_value": wire.cents(value)}
        | {"balance_breakdown": _breakdown(shown), "updated_ts": call.venue.clock.seconds(call.now_ns)}
    )


def get_resting_value(call: Call) -> Reply:
    """GET /portfolio/summary/total_resting_order_value: what resting orders reserve, in cents and by shard.

    It does not lag. That it is the reserve, fees included, is an *assumption*.
    """
    names = call.accounts(call.query_of("GetRestingOrderTotalValue").integer("subaccount"))
    held = [call.venue.exchange.state.accounts[name].reserved for name in names]
    by_shard = {number: sum(one.get(words.cash_account_of(number), 0) for one in held) for number in range(SHARDS)}
    reserved = {number: money for number, money in by_shard.items() if money}
    total = wire.cents(sum(reserved.values()))
    return Reply({"resting_order_value_breakdown": _breakdown(reserved), "total_resting_order_value": total})


def _breakdown(money_by_shard: Mapping[int, int]) -> list[dict[str, Any]]:
    return [{"balance": wire.money_short(money), "exchange_index": shard} for shard, money in money_by_shard.items()]


def _own_order(call: Call) -> Order:
    order = call.venue.reads.order(call.arrival.params["order_id"], call.now_ns)
    if order is None or order.account not in call.accounts(None):
        raise errors.nested("not_found")
    return order


def _ahead(call: Call, order: Order) -> int:
    """Contracts ahead of an order, by the book as it is now."""
    live = call.venue.exchange.ledger.orders[order.order_id]
    return call.venue.markets.book(order.market_id).queue_ahead(live) if live.status == "open" else 0


def _event_positions(call: Call, markets: Sequence[tuple[str, Position]]) -> list[dict[str, Any]]:
    by_event: dict[str, list[Position]] = {}
    for ticker, position in markets:
        by_event.setdefault(call.venue.catalog.event_of(ticker), []).append(position)
    return [event_position_object(event, positions) for event, positions in by_event.items()]


def _worth(market: Market, position: Position) -> int:
    """A position at the market's last price, as money."""
    return position.net * (market.last_price if position.net >= 0 else market.last_price - PRICE_ONE)


def _common_filter(call: Call, query: Query, *, has_events: bool = True) -> Callable[[str, int], bool]:
    """The filters that listings share: markets, events where the listing has them, shard, and a range of seconds."""
    tickers = query.names("ticker", TICKERS_MAX)
    events = query.names("event_ticker", TICKERS_MAX) if has_events else None
    shard, within = query.integer("exchange_index"), call.within(query)

    def keeps(ticker: str, ns: int) -> bool:
        return (
            (tickers is None or ticker in tickers)
            and (events is None or call.venue.catalog.event_of(ticker) in events)
            and shard in (None, call.venue.markets.shard(ticker))
            and within(ns)
        )

    return keeps


ROUTES = (
    Route("GET", "/portfolio/orders", list_orders),
    Route("GET", "/portfolio/orders/queue_positions", get_queue_positions),
    Route("GET", "/portfolio/orders/{order_id}", get_order, cost=SINGLE_READ_COST),
    Route("GET", "/portfolio/orders/{order_id}/queue_position", get_queue_position),
    Route("GET", "/portfolio/fills", list_fills),
    Route("GET", "/portfolio/positions", list_positions),
    Route("GET", "/portfolio/settlements", list_settlements),
    Route("GET", "/portfolio/balance", get_balance, "read::portfolio_balance", "balance", BALANCE_COST),
    Route("GET", "/portfolio/summary/total_resting_order_value", get_resting_value),
    Route("GET", "/portfolio/deposits", empty_lists("deposits")),
    Route("GET", "/portfolio/withdrawals", empty_lists("withdrawals")),
)
