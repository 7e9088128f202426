"""From the engine's events to the messages of stream subscribers.

One engine event becomes zero or more `Publication`s, each for one channel; a publication makes the message for one
subscription, because book prices depend on the subscriber's choice of leg and own changes carry the client's id.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from connectors.kalshi.sandbox import wire
from connectors.kalshi.sandbox.groups import GroupChange
from connectors.kalshi.sandbox.portfolio import fill_message, order_message
from connectors.kalshi.sandbox.render.markets import created_members, trade_message
from connectors.kalshi.sandbox.stream.subscriptions import Subscription
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

# Openings and closings that the clock brings about are not announced (vendor docs).
ANNOUNCED = frozenset({"created", "activated", "deactivated", "determined", "settled", "close_date_updated"})


@dataclass(frozen=True)
class Publication:
    """One message for the subscribers of `channel`.

    `ticker` narrows it to those who want that market; `account` to the connections that may see that account.
    `yes_leg` replaces members for subscribers that asked for YES prices; `own` adds members for the account's owner.
    """

    channel: str
    kind: str
    message: dict[str, Any]
    ticker: str | None = None
    account: str | None = None
    yes_leg: dict[str, Any] = field(default_factory=dict)
    own_account: str = ""
    own: dict[str, Any] = field(default_factory=dict)

    def reaches(self, subscription: Subscription, accounts: frozenset[str] | None) -> bool:
        """True when `subscription`, on a connection that may see `accounts` (None: all), gets this publication."""
        if subscription.channel != self.channel:
            return False
        if self.ticker is not None and not subscription.wants(self.ticker):
            return False
        return self.account is None or accounts is None or self.account in accounts

    def message_for(self, subscription: Subscription, accounts: frozenset[str] | None) -> dict[str, Any]:
        """The `msg` for this subscriber: prices of the leg it chose, own members only for the owner's connections."""
        message = self.message
        if self.yes_leg and subscription.use_yes_price:
            message = message | self.yes_leg
        if self.own and (accounts is None or self.own_account in accounts):
            message = message | self.own
        return message


def publications(events: list[Event], venue: Venue) -> Iterator[Publication]:
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
        message = order_message(order, venue)
        yield Publication("user_orders", "user_order", message, order.market_id, order.account)
    elif isinstance(event, FillEvent):
        fill = event.fill
        yield Publication("fill", "fill", fill_message(fill, venue), fill.market_id, fill.account)
    elif isinstance(event, PositionChange):
        yield _position(event, venue)
    elif isinstance(event, Notice) and isinstance(event.detail, GroupChange):
        yield _group(event.detail, venue)
    elif isinstance(event, MarketLifecycle) and event.kind in ANNOUNCED:
        yield from _lifecycle(event, venue)


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
    if venue.is_member(event.account) and event.client_order_id:
        own = {"client_order_id": event.client_order_id}
        if subaccount := venue.subaccount_of(event.account):
            own["subaccount"] = subaccount
    yes_leg = {} if is_yes else {"price_dollars": wire.price(event.price)}
    kind = "orderbook_delta"
    return Publication(kind, kind, message, event.market_id, yes_leg=yes_leg, own_account=event.account, own=own)


def _position(event: PositionChange, venue: Venue) -> Publication:
    message: dict[str, Any] = (
        {"user_id": venue.user_id, "market_ticker": event.market_id}
        | wire.counts(position=event.net, volume=event.volume)
        | wire.amounts(position_cost=event.cost, realized_pnl=event.realized, fees_paid=event.fees)
        | wire.amounts(position_fee_cost=event.fees if event.net else 0)
    )
    if subaccount := venue.subaccount_of(event.account):
        message["subaccount"] = subaccount
    return Publication("market_positions", "market_position", message, event.market_id, event.account)


def _group(event: GroupChange, venue: Venue) -> Publication:
    message: dict[str, Any] = {"event_type": event.kind, "order_group_id": event.group_id}
    if event.kind in {"created", "limit_updated"}:
        message["contracts_limit_fp"] = wire.count(event.limit)
    message["ts_ms"] = venue.clock.ms(event.ns)
    return Publication("order_group_updates", "order_group_updates", message, account=event.account)


def _lifecycle(event: MarketLifecycle, venue: Venue) -> Iterator[Publication]:
    market = venue.exchange.state.markets[event.market_id]
    listing = venue.catalog.markets[event.market_id]
    message: dict[str, Any] = {"market_ticker": event.market_id, "event_type": event.kind}
    if event.kind == "created":
        message |= created_members(market, listing, clock=venue.clock)
    elif event.kind in {"activated", "deactivated"}:
        message["is_deactivated"] = event.kind == "deactivated"
    elif event.kind == "close_date_updated":
        message["close_ts"] = venue.clock.seconds(market.close_ns)
    elif event.kind == "determined":
        message["result"] = market.result
        message["settlement_value"] = wire.price(market.settle_value)
        message["determination_ts"] = venue.clock.seconds(event.ns)
    elif event.kind == "settled":
        message["settled_ts"] = venue.clock.seconds(event.ns)
    yield Publication("market_lifecycle_v2", "market_lifecycle_v2", message)
