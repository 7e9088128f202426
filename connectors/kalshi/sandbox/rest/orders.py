"""Writing orders over REST: the current interface, and the answer to the former one.

Handlers raise `Refusal`: 429 when the write bucket has too few tokens, 400 for a wrong body or query, and the code
of the engine's Rejection. A subaccount that the key may not use is 403.
"""

from __future__ import annotations

from typing import Any

from connectors.kalshi.sandbox import errors, wire
from connectors.kalshi.sandbox.buckets import AUTO_ROUTED, CANCEL_COST, DEFAULT_COST, SHARDS
from connectors.kalshi.sandbox.portfolio import averages
from connectors.kalshi.sandbox.rest.call import Call, Route
from connectors.kalshi.sandbox.wire import COUNT_DECIMALS, PRICE_DECIMALS
from connectors.sandbox.engine.model import NS_PER_S, AmendRequest, OrderRequest, SelfTrade, Side, TimeInForce
from connectors.sandbox.serving.fields import Body
from connectors.sandbox.serving.rest import Refusal, Reply

BOOK_SIDES: dict[str, Side] = {"bid": "bid", "ask": "ask"}
TIMES_IN_FORCE: dict[str, TimeInForce] = {
    "fill_or_kill": "fok",
    "good_till_canceled": "gtc",
    "immediate_or_cancel": "ioc",
}
SELF_TRADE: dict[str, SelfTrade] = {"taker_at_cross": "taker_at_cross", "maker": "maker"}
# Characters of a client order id (vendor docs of the FIX interface).
CLIENT_ID_LENGTH_MAX = 64
# Later times, after the year 9987, cannot be written as RFC3339.
EXPIRATION_S_MAX = 253_000_000_000
CREATE = "CreateOrderV2Request"


def create_order(call: Call) -> Reply:
    """POST /portfolio/events/orders: place one order, 201. Counts in the answer are as of the answer."""
    body = call.body(CREATE)
    call.charge_write(DEFAULT_COST, _shard_of(call, body))
    return Reply(_create(call, body), 201)


def create_batch(call: Call) -> Reply:
    """POST /portfolio/events/orders/batched, 201: the whole batch must fit the bucket, items fail one by one."""
    items = call.body("BatchCreateOrdersV2Request").objects("orders", CREATE)
    call.charge_write(DEFAULT_COST * max(1, len(items)))
    return Reply({"orders": [_batch_item(call, item) for item in items]}, 201)


def cancel_order(call: Call) -> Reply:
    """DELETE /portfolio/events/orders/{order_id}: end a resting order; 404 when it has ended (recorded answers).

    The answer has no client order id, though the vendor's schema allows one (recorded answer).
    """
    query = call.query_of("CancelOrderV2")
    shard = call.shard_asked(query.integer("exchange_index"), query.text("market_ticker"))
    call.charge_write(CANCEL_COST, shard)
    account = call.account_id(query.integer("subaccount"))
    return Reply(_cancel(call, call.params["order_id"], account=account, exchange_index=shard))


def cancel_all_orders(call: Call) -> Reply:
    """DELETE /portfolio/events/orders, 204: every open order on all shards, of all subaccounts unless one is named.

    Orders of markets that cannot be cancelled now stay (*assumption*).
    """
    accounts = call.accounts(call.query_of("CancelAllOrdersV2").integer("subaccount"))
    call.charge_write(CANCEL_COST)
    if call.venue.exchange.state.phase == "exchange_paused":
        raise errors.nested("exchange_is_paused")
    for account in accounts:
        call.venue.exchange.cancel_all(account, call.now_ns)
    call.venue.publish_events()
    return Reply(None, 204)


def cancel_batch(call: Call) -> Reply:
    """DELETE /portfolio/events/orders/batched: CANCEL_COST tokens an order, items fail one by one."""
    items = call.body("BatchCancelOrdersV2Request").objects("orders", "BatchCancelOrdersRequestOrder")
    call.charge_write(CANCEL_COST * max(1, len(items)))
    return Reply({"orders": [_batch_cancel_item(call, item) for item in items]})


def amend_order(call: Call) -> Reply:
    """POST /portfolio/events/orders/{order_id}/amend; `count` is the total including what is filled."""
    body = call.body("AmendOrderV2Request")
    call.charge_write(DEFAULT_COST, _shard_of(call, body))
    request = _amend_request(call, body)
    # Read before the amend: the engine changes its own record.
    known = call.venue.exchange.ledger.orders.get(request.order_id)
    remaining_before = 0 if known is None else known.remaining
    answer = call.accepted(call.venue.exchange.amend(request, call.now_ns))
    order = answer.order
    # Counts are those of this amend, and null when it neither filled nor changed the size (vendor docs).
    changed = bool(answer.fills) or order.remaining != remaining_before
    shown = {
        "average_fee_paid": None,
        "average_fill_price": None,
        "client_order_id": order.client_order_id,
        "fill_count": wire.count(sum(fill.size for fill in answer.fills)) if changed else None,
        "order_id": order.order_id,
        "remaining_count": wire.count(order.remaining) if changed else None,
        "ts_ms": call.venue.clock.ms(call.now_ns),
    }
    return Reply(shown | averages(answer.fills))


def decrease_order(call: Call) -> Reply:
    """POST /portfolio/events/orders/{order_id}/decrease with exactly one of `reduce_by` and `reduce_to`."""
    body = call.body("DecreaseOrderV2Request")
    shard = call.shard_asked(body.integer("exchange_index"), body.text("market_ticker"))
    call.charge_write(DEFAULT_COST, shard)
    by, to = body.decimal("reduce_by", COUNT_DECIMALS), body.decimal("reduce_to", COUNT_DECIMALS)
    account = call.account_id(call.query_of("DecreaseOrderV2").integer("subaccount"))
    order_id = call.params["order_id"]
    _check_order_shard(call, order_id, exchange_index=shard)
    answer = call.accepted(
        call.venue.exchange.decrease(account, order_id, now_ns=call.now_ns, reduce_by=by, reduce_to=to)
    )
    order = answer.order
    shown = {"client_order_id": order.client_order_id, "remaining_count": wire.count(order.remaining)}
    return Reply(shown | {"order_id": order.order_id, "ts_ms": call.venue.clock.ms(call.now_ns)})


def refuse_legacy_write(_call: Call) -> Reply:
    """Every write below /portfolio/orders. Raises `Refusal` 410: the venue has closed it."""
    raise errors.legacy_order_write()


def _create(call: Call, body: Body) -> dict[str, Any]:
    answer = call.accepted(call.venue.exchange.submit(_order_request(call, body), call.now_ns))
    order = answer.order
    named = {"client_order_id": order.client_order_id} if order.client_order_id else {}
    return (
        {"order_id": order.order_id, "ts_ms": call.venue.clock.ms(call.now_ns)}
        | {"fill_count": wire.count(order.filled), "remaining_count": wire.count(order.remaining)}
        | named
        | averages(answer.fills)
    )


def _order_request(call: Call, body: Body) -> OrderRequest:
    size, price = body.required_decimal("count", COUNT_DECIMALS), body.required_decimal("price", PRICE_DECIMALS)
    ticker = body.required_text("ticker")
    request = OrderRequest(
        account=call.account_id(body.integer("subaccount")),
        market_id=ticker,
        side=body.choice("side", BOOK_SIDES),
        price=price,
        size=size,
        tif=body.choice("time_in_force", TIMES_IN_FORCE),
        self_trade=body.choice("self_trade_prevention_type", SELF_TRADE),
        client_order_id=_client_id(body, "client_order_id"),
        post_only=body.flag("post_only"),
        reduce_only=body.flag("reduce_only"),
        expiration_ns=_expiration_ns(call, body) or 0,
        group_id=body.text("order_group_id") or "",
        cancel_on_pause=body.flag("cancel_order_on_pause"),
    )
    call.check_shard(body.integer("exchange_index"), ticker)
    return request


def _amend_request(call: Call, body: Body) -> AmendRequest:
    size, price = body.required_decimal("count", COUNT_DECIMALS), body.required_decimal("price", PRICE_DECIMALS)
    ticker = body.required_text("ticker")
    call.check_shard(body.integer("exchange_index"), ticker)
    return AmendRequest(
        account=call.account_id(call.query_of("AmendOrderV2").integer("subaccount")),
        order_id=call.params["order_id"],
        market_id=ticker,
        side=body.choice("side", BOOK_SIDES),
        price=price,
        size=size,
        expiration_ns=_expiration_ns(call, body),
        client_order_id=body.text("client_order_id") or None,
        new_client_order_id=_client_id(body, "updated_client_order_id") or None,
    )


def _batch_item(call: Call, body: Body) -> dict[str, Any]:
    empty = {"average_fee_paid": None, "average_fill_price": None, "client_order_id": body.text("client_order_id")}
    try:
        return empty | _create(call, body)
    except Refusal as refusal:
        missing = {"fill_count": None, "remaining_count": None, "ts_ms": None}
        return empty | missing | {"error": refusal.body.get("error", refusal.body)}


def _batch_cancel_item(call: Call, body: Body) -> dict[str, Any]:
    order_id = body.required_text("order_id")
    try:
        account = call.account_id(body.integer("subaccount"))
        return {"client_order_id": None} | _cancel(
            call, order_id, account=account, exchange_index=body.integer("exchange_index")
        )
    except Refusal as refusal:
        shown = {"client_order_id": None, "order_id": order_id, "reduced_by": wire.count(0), "ts_ms": None}
        return shown | {"error": refusal.body.get("error", refusal.body)}


def _cancel(call: Call, order_id: str, *, account: str, exchange_index: int | None) -> dict[str, Any]:
    _check_order_shard(call, order_id, exchange_index=exchange_index)
    answer = call.accepted(call.venue.exchange.cancel(account, order_id, now_ns=call.now_ns))
    shown = {"order_id": answer.order.order_id, "reduced_by": wire.count(answer.reduced)}
    return shown | {"ts_ms": call.venue.clock.ms(call.now_ns)}


def _check_order_shard(call: Call, order_id: str, *, exchange_index: int | None) -> None:
    """An order is found only on the shard that the request names (vendor docs)."""
    order = call.venue.exchange.ledger.orders.get(order_id)
    if order is None or exchange_index in (None, AUTO_ROUTED):
        return
    if call.venue.markets.shard(order.market_id) != exchange_index:
        raise errors.nested("not_found")


def _shard_of(call: Call, body: Body) -> int:
    index = body.integer("exchange_index")
    if index is not None and not AUTO_ROUTED <= index < SHARDS:
        raise errors.nested("invalid_parameters")
    return call.shard_asked(index, body.text("ticker"))


def _client_id(body: Body, name: str) -> str:
    value = body.text(name) or ""
    if len(value) > CLIENT_ID_LENGTH_MAX:
        raise errors.nested("invalid_parameters")
    return value


def _expiration_ns(call: Call, body: Body) -> int | None:
    """Engine time of `expiration_time` (Unix seconds on the venue's clock): None when absent, 0 to clear."""
    seconds = body.integer("expiration_time")
    if not seconds:
        return seconds
    if seconds > EXPIRATION_S_MAX:
        raise errors.nested("invalid_parameters")
    return max(1, call.venue.clock.to_engine_ns(seconds * NS_PER_S))


ORDER_WRITES = "write::trade"
ROUTES = (
    Route("POST", "/portfolio/events/orders", create_order, ORDER_WRITES, "order_write"),
    Route("DELETE", "/portfolio/events/orders", cancel_all_orders, ORDER_WRITES, "order_write"),
    Route("POST", "/portfolio/events/orders/batched", create_batch, ORDER_WRITES, "order_write"),
    Route("DELETE", "/portfolio/events/orders/batched", cancel_batch, ORDER_WRITES, "order_write"),
    Route("DELETE", "/portfolio/events/orders/{order_id}", cancel_order, ORDER_WRITES, "order_write"),
    Route("POST", "/portfolio/events/orders/{order_id}/amend", amend_order, ORDER_WRITES, "order_write"),
    Route("POST", "/portfolio/events/orders/{order_id}/decrease", decrease_order, ORDER_WRITES, "order_write"),
    Route("POST", "/portfolio/orders", refuse_legacy_write, ORDER_WRITES, "write"),
    Route("POST", "/portfolio/orders/batched", refuse_legacy_write, ORDER_WRITES, "write"),
    Route("DELETE", "/portfolio/orders/batched", refuse_legacy_write, ORDER_WRITES, "write"),
    Route("DELETE", "/portfolio/orders/{order_id}", refuse_legacy_write, ORDER_WRITES, "write"),
    Route("POST", "/portfolio/orders/{order_id}/amend", refuse_legacy_write, ORDER_WRITES, "write"),
    Route("POST", "/portfolio/orders/{order_id}/decrease", refuse_legacy_write, ORDER_WRITES, "write"),
)
