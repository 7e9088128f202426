"""A member's own objects as the venue writes them: orders, fills, positions, settlements, balances.

Every documented member is written, with the documented type and digits. `item` is the engine's record, `clock` shows
its times. The deprecated pair `side`/`action` is written as in the current order interface (bid = buy YES, ask = sell
YES): an *assumption* for asks, for which no recorded answer exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors.kalshi.sandbox import wire, words
from connectors.sandbox.engine.model import Fill, Order, Position, Settlement, Side
from connectors.sandbox.serving.clock import VenueClock


def outcome(side: Side) -> str:
    """The outcome that a bid (`yes`) or an ask (`no`) is positioned for."""
    return "yes" if side == "bid" else "no"


def direction(side: Side) -> dict[str, str]:
    """The four members that give a direction, two of them deprecated."""
    return {
        "action": "buy" if side == "bid" else "sell",
        "book_side": side,
        "outcome_side": outcome(side),
        "side": "yes",
    }


def order_object(
    item: Order, clock: VenueClock, *, user_id: str, subaccount: int, exchange_index: int
) -> dict[str, Any]:
    """An Order. Both prices are its limit; `order_group_id` is there only for members of a group."""
    shown = direction(item.side) | {
        "cancel_order_on_pause": item.cancel_on_pause,
        "client_order_id": item.client_order_id,
        "created_time": clock.rfc3339(item.arrival_ns),
        "exchange_index": exchange_index,
        "expiration_time": clock.rfc3339(item.expiration_ns) if item.expiration_ns else None,
        "fill_count_fp": wire.count(item.filled),
        "initial_count_fp": wire.count(item.initial),
        "last_update_time": clock.rfc3339(item.updated_ns),
        "maker_fees_dollars": wire.money(item.maker_fees),
        "maker_fill_cost_dollars": wire.money(item.maker_cost),
        "no_price_dollars": wire.no_price(item.price),
        "order_id": item.order_id,
        "remaining_count_fp": wire.count(item.remaining),
        "self_trade_prevention_type": item.self_trade,
        "status": words.status_of(item),
        "subaccount_number": subaccount,
        "taker_fees_dollars": wire.money(item.taker_fees),
        "taker_fill_cost_dollars": wire.money(item.taker_cost),
        "ticker": item.market_id,
        "type": "limit",
        "user_id": user_id,
        "yes_price_dollars": wire.price(item.price),
    }
    if item.group_id:
        shown["order_group_id"] = item.group_id
    return shown


def order_message(
    item: Order, clock: VenueClock, *, user_id: str, subaccount: int, exchange_index: int
) -> dict[str, Any]:
    """The `msg` of a user_order frame; expiration and reason are there only when the order has them."""
    shown: dict[str, Any] = {
        "order_id": item.order_id,
        "user_id": user_id,
        "ticker": item.market_id,
        "exchange_index": exchange_index,
        "status": words.status_of(item),
        "side": "yes",
        "is_yes": item.side == "bid",
        "outcome_side": outcome(item.side),
        "book_side": item.side,
        "yes_price_dollars": wire.price(item.price),
        "fill_count_fp": wire.count(item.filled),
        "remaining_count_fp": wire.count(item.remaining),
        "initial_count_fp": wire.count(item.initial),
        "taker_fill_cost_dollars": wire.money(item.taker_cost),
        "maker_fill_cost_dollars": wire.money(item.maker_cost),
        "taker_fees_dollars": wire.money(item.taker_fees),
        "maker_fees_dollars": wire.money(item.maker_fees),
        "client_order_id": item.client_order_id,
        "self_trade_prevention_type": item.self_trade,
        "created_time": clock.rfc3339_ms(item.arrival_ns),
        "created_ts_ms": clock.ms(item.arrival_ns),
        "last_update_time": clock.rfc3339_ms(item.updated_ns),
        "last_updated_ts_ms": clock.ms(item.updated_ns),
        "subaccount_number": subaccount,
    }
    if item.group_id:
        shown["order_group_id"] = item.group_id
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


def fill_object(item: Fill, clock: VenueClock, *, subaccount: int, exchange_index: int) -> dict[str, Any]:
    """A Fill as REST lists it: without the client's order id."""
    return direction(item.side) | {
        "count_fp": wire.count(item.size),
        "created_time": clock.rfc3339(item.ns),
        "exchange_index": exchange_index,
        "fee_cost": wire.money(item.fee),
        "fill_id": item.trade_id,
        "is_taker": item.is_taker,
        "market_ticker": item.market_id,
        "no_price_dollars": wire.no_price(item.price),
        "order_id": item.order_id,
        "subaccount_number": subaccount,
        "ticker": item.market_id,
        "trade_id": item.trade_id,
        "ts": clock.seconds(item.ns),
        "yes_price_dollars": wire.price(item.price),
    }


def fill_message(item: Fill, clock: VenueClock, *, subaccount: int, exchange_index: int) -> dict[str, Any]:
    """The `msg` of a fill frame; `subaccount` is written only for subaccounts other than the primary."""
    shown: dict[str, Any] = {
        "trade_id": item.trade_id,
        "order_id": item.order_id,
        "market_ticker": item.market_id,
        "exchange_index": exchange_index,
        "is_taker": item.is_taker,
        "side": "yes",
        "yes_price_dollars": wire.price(item.price),
        "count_fp": wire.count(item.size),
        "fee_cost": wire.money(item.fee),
        "action": "buy" if item.side == "bid" else "sell",
        "ts": clock.seconds(item.ns),
        "ts_ms": clock.ms(item.ns),
        "post_position_fp": wire.count(item.position),
        "purchased_side": outcome(item.side),
        "outcome_side": outcome(item.side),
        "book_side": item.side,
    }
    if item.client_order_id:
        shown["client_order_id"] = item.client_order_id
    if subaccount:
        shown["subaccount"] = subaccount
    return shown


def market_position_object(item: Position, clock: VenueClock, *, ticker: str, exchange_index: int) -> dict[str, Any]:
    """A MarketPosition; `position_fp` is signed, YES positive."""
    return {
        "exchange_index": exchange_index,
        "fees_paid_dollars": wire.money(item.fees),
        "last_updated_ts": clock.rfc3339(item.updated_ns),
        "market_exposure_dollars": wire.money(item.cost),
        "position_fp": wire.count(item.net),
        "realized_pnl_dollars": wire.money(item.realized),
        "ticker": ticker,
        "total_traded_dollars": wire.money(item.traded),
    }


def event_position_object(event_ticker: str, items: Sequence[Position]) -> dict[str, Any]:
    """An EventPosition: the sums over the event's markets."""
    return {
        "event_exposure_dollars": wire.money(sum(item.cost for item in items)),
        "event_ticker": event_ticker,
        "fees_paid_dollars": wire.money(sum(item.fees for item in items)),
        "realized_pnl_dollars": wire.money(sum(item.realized for item in items)),
        "total_cost_dollars": wire.money(sum(item.traded for item in items)),
        "total_cost_shares_fp": wire.count(sum(item.volume for item in items)),
    }


def settlement_object(item: Settlement, clock: VenueClock, *, event_ticker: str, exchange_index: int) -> dict[str, Any]:
    """A Settlement; `revenue` and `value` are whole cents, as they still are on the wire."""
    is_yes = item.net > 0
    result = {0: "no", wire.PRICE_ONE: "yes"}.get(item.value, "scalar")
    return {
        "event_ticker": event_ticker,
        "exchange_index": exchange_index,
        "fee_cost": wire.money(item.fees),
        "market_result": result,
        "no_count_fp": wire.count(0 if is_yes else -item.net),
        "no_total_cost_dollars": wire.money(0 if is_yes else item.cost),
        "revenue": wire.cents(item.revenue),
        "settled_time": clock.rfc3339(item.ns),
        "ticker": item.market_id,
        "value": item.value * 100 // wire.PRICE_ONE,
        "yes_count_fp": wire.count(item.net if is_yes else 0),
        "yes_total_cost_dollars": wire.money(item.cost if is_yes else 0),
    }
