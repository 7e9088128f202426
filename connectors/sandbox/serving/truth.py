"""What `GET /admin/truth` says, in the same words at every venue: names, decimals as text, times in nanoseconds.

`is_own` of an order is false when it came through the admin address and not from the client. `sent_as` is the SHA-256
of the request that made the order (its target, a line break, its body), or of what the venue's own rows show of that:
where orders have no id of the client's, it says which one this is. `is_listed` of a fill is false while a fault hides
it from the venue's own listings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.sandbox.engine.audit_report import problems
from connectors.sandbox.engine.model import Fill, MarketSpec, Order
from connectors.sandbox.serving.decimals import fixed
from connectors.sandbox.serving.venue import ServedVenue

WORD_OF_SIDE = {"bid": "buy", "ask": "sell"}


def truth(venue: ServedVenue) -> dict[str, Any]:
    """Orders, fills, positions, balances and cash flows of the member's accounts, what the server observed, and what
    does not add up in the exchange: nothing."""
    state, members = venue.exchange.state, set(venue.member_ids)
    specs = {name: market.spec for name, market in state.markets.items()}
    orders = [order for order in state.ledger.orders.values() if order.account in members]
    fills = [fill for fill in state.ledger.fills if fill.account in members]
    return {
        "orders": [_order(venue, one, specs[one.market_id]) for one in orders],
        "fills": [_fill(venue, one, specs[one.market_id]) for one in fills],
        "positions": _positions(venue, specs),
        "balances": _balances(venue),
        "cash_flows": _cash_flows(venue),
        "observed": venue.observed.shown(),
        "problems": problems(venue.exchange),
    }


def _order(venue: ServedVenue, order: Order, spec: MarketSpec) -> dict[str, Any]:
    money = spec.price_decimals + spec.size_decimals
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "account": order.account,
        "instrument": order.market_id,
        "side": WORD_OF_SIDE[order.side],
        "kind": order.kind,
        "price": fixed(order.price, spec.price_decimals),
        "size": fixed(order.initial, spec.size_decimals),
        "filled": fixed(order.filled, spec.size_decimals),
        "cost": fixed(order.taker_cost + order.maker_cost, money),
        "fees": fixed(order.taker_fees + order.maker_fees, money),
        "status": order.status,
        "reason": order.reason,
        "created_ns": order.arrival_ns,
        "updated_ns": order.updated_ns,
        "sent_as": venue.sent_as.get(order.order_id, ""),
        "is_own": order.order_id not in venue.external,
    }


def _fill(venue: ServedVenue, fill: Fill, spec: MarketSpec) -> dict[str, Any]:
    return {
        "fill_id": fill.trade_id,
        "order_id": fill.order_id,
        "client_order_id": fill.client_order_id,
        "account": fill.account,
        "instrument": fill.market_id,
        "side": WORD_OF_SIDE[fill.side],
        "price": fixed(fill.price, spec.price_decimals),
        "size": fixed(fill.size, spec.size_decimals),
        "fee": fixed(fill.fee, venue.exchange.state.decimals[fill.fee_currency]),
        "fee_currency": fill.fee_currency,
        "is_maker": not fill.is_taker,
        "ts_ns": fill.ns,
        "is_listed": venue.reads.is_listed(fill),
    }


def _positions(venue: ServedVenue, specs: Mapping[str, MarketSpec]) -> list[dict[str, Any]]:
    accounts = venue.exchange.state.accounts
    return [
        {"account": name, "instrument": market, "size": fixed(position.net, specs[market].size_decimals)}
        for name in venue.member_ids
        for market, position in accounts[name].positions.items()
    ]


def _balances(venue: ServedVenue) -> list[dict[str, Any]]:
    accounts, decimals = venue.exchange.state.accounts, venue.exchange.state.decimals
    return [
        {
            "account": name,
            "currency": currency,
            "total": fixed(total, decimals.get(currency, 0)),
            "available": fixed(accounts[name].available(currency), decimals.get(currency, 0)),
            "locked": fixed(accounts[name].reserved.get(currency, 0), decimals.get(currency, 0)),
        }
        for name in venue.member_ids
        for currency, total in accounts[name].cash.items()
    ]


def _cash_flows(venue: ServedVenue) -> list[dict[str, Any]]:
    decimals = venue.exchange.state.decimals
    return [
        {
            "flow_id": flow.flow_id,
            "account": flow.account,
            "kind": flow.kind,
            "instrument": flow.market_id,
            "currency": flow.currency,
            "amount": fixed(flow.amount, decimals.get(flow.currency, 0)),
            "ts_ns": flow.ns,
        }
        for flow in venue.exchange.ledger.cash_flows
    ]
