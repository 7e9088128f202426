"""A member's own objects as the venue writes them: orders, fills, positions, settlements, balances.

Every documented member is written, with the documented type and digits. `item` is the engine's record. The deprecated
pair `side`/`action` is written as in the current order interface (bid = buy YES, ask = sell YES): an *assumption* for
asks, for which no recorded answer exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors.kalshi.sandbox import wire, words
from connectors.kalshi.sandbox.venue import Venue
from connectors.sandbox.engine.model import Fill, Order, Position, Settlement, Side


def direction(side: Side) -> dict[str, str]:
    """The members that give a direction, two of them deprecated."""
    is_bid = side == "bid"
    outcome = "yes" if is_bid else "no"
    return {"action": "buy" if is_bid else "sell", "book_side": side, "outcome_side": outcome, "side": "yes"}


def subaccount_member(account: str, venue: Venue) -> dict[str, int]:
    """The member `subaccount`, which the stream writes only for subaccounts other than the primary."""
    number = venue.subaccount_of(account)
    return {"subaccount": number} if number else {}


def _order(item: Order, venue: Venue) -> dict[str, Any]:
    """What an Order and a user_order frame have in common; `order_group_id` is there only for members of a group."""
    group = {"order_group_id": item.group_id} if item.group_id else {}
    return (
        wire.counts(fill_count=item.filled, initial_count=item.initial, remaining_count=item.remaining)
        | wire.amounts(maker_fees=item.maker_fees, maker_fill_cost=item.maker_cost)
        | wire.amounts(taker_fees=item.taker_fees, taker_fill_cost=item.taker_cost)
        | wire.prices(yes_price=item.price)
        | direction(item.side)
        | {"client_order_id": item.client_order_id, "order_id": item.order_id, "ticker": item.market_id}
        | {"self_trade_prevention_type": item.self_trade, "status": words.status_of(item), "user_id": venue.user_id}
        | {"exchange_index": venue.markets.shard(item.market_id)}
        | {"subaccount_number": venue.subaccount_of(item.account)}
        | group
    )


def order_object(item: Order, venue: Venue) -> dict[str, Any]:
    """An Order. Both prices are its limit."""
    clock = venue.clock
    return _order(item, venue) | {
        "cancel_order_on_pause": item.cancel_on_pause,
        "created_time": clock.rfc3339(item.arrival_ns),
        "expiration_time": clock.rfc3339(item.expiration_ns) if item.expiration_ns else None,
        "last_update_time": clock.rfc3339(item.updated_ns),
        "no_price_dollars": wire.no_price(item.price),
        "type": "limit",
    }


def order_message(item: Order, venue: Venue) -> dict[str, Any]:
    """The `msg` of a user_order frame; expiration and reason are there only when the order has them."""
    clock = venue.clock
    shown = _order(item, venue)
    del shown["action"]
    shown |= {
        "is_yes": item.side == "bid",
        "created_time": clock.rfc3339_ms(item.arrival_ns),
        "created_ts_ms": clock.ms(item.arrival_ns),
        "last_update_time": clock.rfc3339_ms(item.updated_ns),
        "last_updated_ts_ms": clock.ms(item.updated_ns),
    }
    if item.expiration_ns:
        shown["expiration_time"] = clock.rfc3339_ms(item.expiration_ns)
        shown["expiration_ts_ms"] = clock.ms(item.expiration_ns)
    if reason := words.reason_of(item):
        shown["last_update_reason"] = reason
    return shown


def averages(fills: Sequence[Fill]) -> dict[str, str]:
    """`average_fill_price` and `average_fee_paid` (per contract, 4 digits as recorded); empty without a fill."""
    total = sum(fill.size for fill in fills)
    if total == 0:
        return {}
    cost = sum(fill.price * fill.size for fill in fills)
    fee = sum(fill.fee for fill in fills)
    return {
        "average_fee_paid": wire.price((2 * fee + total) // (2 * total)),
        "average_fill_price": wire.price((2 * cost + total) // (2 * total)),
    }


def _fill(item: Fill, venue: Venue) -> dict[str, Any]:
    """What a Fill and a fill frame have in common."""
    return (
        direction(item.side)
        | {"count_fp": wire.count(item.size), "fee_cost": wire.money(item.fee), "is_taker": item.is_taker}
        | {"market_ticker": item.market_id, "order_id": item.order_id, "trade_id": item.trade_id}
        | {"exchange_index": venue.markets.shard(item.market_id), "ts": venue.clock.seconds(item.ns)}
        | wire.prices(yes_price=item.price)
    )


def fill_object(item: Fill, venue: Venue) -> dict[str, Any]:
    """A Fill as REST lists it: without the client's order id."""
    return _fill(item, venue) | {
        "created_time": venue.clock.rfc3339(item.ns),
        "fill_id": item.trade_id,
        "no_price_dollars": wire.no_price(item.price),
        "subaccount_number": venue.subaccount_of(item.account),
        "ticker": item.market_id,
    }


def fill_message(item: Fill, venue: Venue) -> dict[str, Any]:
    """The `msg` of a fill frame; the client's order id is there only when the order has one."""
    shown = _fill(item, venue) | subaccount_member(item.account, venue)
    shown |= {"ts_ms": venue.clock.ms(item.ns), "post_position_fp": wire.count(item.position)}
    shown["purchased_side"] = shown["outcome_side"]
    if item.client_order_id:
        shown["client_order_id"] = item.client_order_id
    return shown


def market_position_object(item: Position, venue: Venue, *, ticker: str) -> dict[str, Any]:
    """A MarketPosition; `position_fp` is signed, YES positive."""
    return (
        {"exchange_index": venue.markets.shard(ticker), "ticker": ticker, "position_fp": wire.count(item.net)}
        | {"last_updated_ts": venue.clock.rfc3339(item.updated_ns)}
        | wire.amounts(fees_paid=item.fees, market_exposure=item.cost)
        | wire.amounts(realized_pnl=item.realized, total_traded=item.traded)
    )


def event_position_object(event_ticker: str, items: Sequence[Position]) -> dict[str, Any]:
    """An EventPosition: the sums over the event's markets."""
    return (
        {"event_ticker": event_ticker, "total_cost_shares_fp": wire.count(sum(item.volume for item in items))}
        | wire.amounts(event_exposure=sum(item.cost for item in items), fees_paid=sum(item.fees for item in items))
        | wire.amounts(realized_pnl=sum(item.realized for item in items))
        | wire.amounts(total_cost=sum(item.traded for item in items))
    )


def settlement_object(item: Settlement, venue: Venue) -> dict[str, Any]:
    """A Settlement; `revenue` and `value` are whole cents, as they still are on the wire."""
    is_yes = item.net > 0
    return (
        {"event_ticker": venue.catalog.event_of(item.market_id), "ticker": item.market_id}
        | {"exchange_index": venue.markets.shard(item.market_id), "settled_time": venue.clock.rfc3339(item.ns)}
        | {"fee_cost": wire.money(item.fees), "revenue": wire.cents(item.revenue)}
        | {"market_result": {0: "no", wire.PRICE_ONE: "yes"}.get(item.value, "scalar")}
        | {"value": item.value * 100 // wire.PRICE_ONE}
        | wire.counts(yes_count=item.net if is_yes else 0, no_count=0 if is_yes else -item.net)
        | wire.amounts(yes_total_cost=item.cost if is_yes else 0, no_total_cost=0 if is_yes else item.cost)
    )
