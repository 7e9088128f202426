"""From the engine's events to the messages of stream subscribers.

One engine event becomes zero or more `Publication`s, each for one channel. Book deltas depend on the subscription: its
client chose the leg whose prices it gets, and the client's order id is for its own connections only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from connectors.kalshi.sandbox import wire
from connectors.kalshi.sandbox.groups import GroupChange
from connectors.kalshi.sandbox.listings import MULTIVARIATE
from connectors.kalshi.sandbox.portfolio import fill_message, order_message, subaccount_member
from connectors.kalshi.sandbox.render.markets import created_members, trade_message
from connectors.kalshi.sandbox.venue import Venue
from connectors.sandbox.engine.events import (
    BookChange,
    Event,
    FillEvent,
    MarketLifecycle,
    Notice,
    OrderChange,
    PositionChange,
    TradePrint,
)
from connectors.sandbox.serving.subscriptions import Publication, Seen, Subscription, may_see

# Openings and closings that the clock brings about are not announced (vendor docs).
ANNOUNCED = frozenset({"created", "activated", "deactivated", "determined", "settled", "close_date_updated"})


def publications(venue: Venue, events: list[Event]) -> Iterator[Publication]:
    """The publications of `events`, in order. Each market's ticker comes last, once, and only when a figure changed."""
    touched: dict[str, None] = {}
    for event in events:
        if isinstance(event, BookChange | TradePrint):
            touched[event.market_id] = None
        yield from _of_event(event, venue)
    for ticker in touched:
        message = venue.markets.ticker_change(ticker)
        if message is not None:
            yield Publication("ticker", "ticker", message, ticker)


def _of_event(event: Event, venue: Venue) -> Iterator[Publication]:
    if isinstance(event, BookChange):
        yield _delta(event, venue)
    elif isinstance(event, TradePrint):
        yield Publication("trade", "trade", trade_message(event, venue.clock), event.market_id)
    elif isinstance(event, OrderChange):
        order = event.order
        yield Publication("user_orders", "user_order", order_message(order, venue), order.market_id, order.account)
    elif isinstance(event, FillEvent):
        fill = event.fill
        yield Publication("fill", "fill", fill_message(fill, venue), fill.market_id, fill.account)
    elif isinstance(event, PositionChange):
        yield _position(event, venue)
    elif isinstance(event, Notice) and isinstance(event.detail, GroupChange):
        yield _group(event.detail, venue)
    elif isinstance(event, MarketLifecycle) and event.kind in ANNOUNCED:
        yield _lifecycle(event, venue)


def _delta(event: BookChange, venue: Venue) -> Publication:
    is_yes = event.side == "bid"
    message = {
        "market_ticker": event.market_id,
        "market_id": venue.markets.uuid(event.market_id),
        "clock": event.clock,
        "price_dollars": wire.price(event.price) if is_yes else wire.no_price(event.price),
        "delta_fp": wire.count(event.delta),
        "side": "yes" if is_yes else "no",
        "ts": venue.clock.rfc3339(event.ns),
        "ts_ms": venue.clock.ms(event.ns),
    }
    own: dict[str, Any] = {}
    if event.account in venue.served.member_ids and event.client_order_id:
        own = {"client_order_id": event.client_order_id} | subaccount_member(event.account, venue)

    def tailored(subscription: Subscription, seen: Seen) -> dict[str, Any]:
        shown = {"price_dollars": wire.price(event.price)} if "use_yes_price" in subscription.choices else {}
        return shown | own if may_see(seen, event.account) else shown

    return Publication("orderbook_delta", "orderbook_delta", message, event.market_id, tailored=tailored)


def _position(event: PositionChange, venue: Venue) -> Publication:
    message: dict[str, Any] = (
        {"user_id": venue.user_id, "market_ticker": event.market_id}
        | wire.counts(position=event.net, volume=event.volume)
        | wire.amounts(position_cost=event.cost, realized_pnl=event.realized, fees_paid=event.fees)
        | wire.amounts(position_fee_cost=event.fees if event.net else 0)
        | subaccount_member(event.account, venue)
    )
    return Publication("market_positions", "market_position", message, event.market_id, event.account)


def _group(event: GroupChange, venue: Venue) -> Publication:
    message: dict[str, Any] = {"event_type": event.kind, "order_group_id": event.group_id}
    if event.kind in {"created", "limit_updated"}:
        message["contracts_limit_fp"] = wire.count(event.limit)
    message["ts_ms"] = venue.clock.ms(event.ns)
    return Publication("order_group_updates", "order_group_updates", message, account=event.account)


def _lifecycle(event: MarketLifecycle, venue: Venue) -> Publication:
    market = venue.exchange.state.markets[event.market_id]
    message: dict[str, Any] = {"market_ticker": event.market_id, "event_type": event.kind}
    if event.kind == "created":
        message |= created_members(venue.markets.listed(event.market_id))
    elif event.kind in {"activated", "deactivated"}:
        message["is_deactivated"] = event.kind == "deactivated"
    elif event.kind == "close_date_updated":
        message["close_ts"] = venue.clock.seconds(market.close_ns)
    elif event.kind == "determined":
        message |= {"result": market.result, "settlement_value": wire.price(market.settle_value)}
        message["determination_ts"] = venue.clock.seconds(event.ns)
    elif event.kind == "settled":
        message["settled_ts"] = venue.clock.seconds(event.ns)
    is_combo = event.market_id.startswith(MULTIVARIATE)
    channel = "multivariate_market_lifecycle" if is_combo else "market_lifecycle_v2"
    return Publication(channel, "market_lifecycle_v2", message, event.market_id)
