"""Writing orders over REST: the current interface, and the answer to the former one.

Handlers raise `Refusal`: 429 when the write bucket has too few tokens, 400 for a wrong body or query, and the code
of the engine's Rejection. A subaccount that the key may not use is 403.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connectors.kalshi.sandbox import errors, wire
from connectors.kalshi.sandbox.buckets import AUTO_ROUTED, CANCEL_COST, DEFAULT_COST, SHARDS, UNSCOPED
from connectors.kalshi.sandbox.portfolio import averages
from connectors.kalshi.sandbox.rest.call import Call
from connectors.kalshi.sandbox.wire import COUNT_DECIMALS, PRICE_DECIMALS
from connectors.sandbox.engine.model import NS_PER_S, AmendRequest, Order, OrderRequest, SelfTrade, Side, TimeInForce
from connectors.sandbox.serving.fields import Body
from connectors.sandbox.serving.rest import Refusal, Reply, Route

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
    charge(call, DEFAULT_COST, _shard_of(body))
    return Reply(_create(call, body), 201)


def create_batch(call: Call) -> Reply:
    """POST /portfolio/events/orders/batched, 201: the whole batch must fit the bucket, items fail one by one."""
    items = call.body("BatchCreateOrdersV2Request").objects("orders", CREATE)
    charge(call, DEFAULT_COST * max(1, len(items)))
    return Reply({"orders": [_batch_item(call, item) for item in items]}, 201)


def cancel_order(call: Call) -> Reply:
    """DELETE /portfolio/events/orders/{order_id}: end a resting order; 404 when it has ended (recorded answers).

    The answer has no client order id, though the vendor's schema allows one (recorded answer).
    """
    query = call.query_of("CancelOrderV2")
    shard = _shard_asked(query.integer("exchange_index"), query.text("market_ticker"))
    charge(call, CANCEL_COST, shard)
    account = call.account_id(query.integer("subaccount"))
    return Reply(cancel(call, call.arrival.params["order_id"], account=account, shard=shard))


def cancel_all_orders(call: Call) -> Reply:
    """DELETE /portfolio/events/orders, 204: every open order on all shards, of all subaccounts unless one is named.

    Orders of markets that cannot be cancelled now stay (*assumption*).
    """
    accounts = call.accounts(call.query_of("CancelAllOrdersV2").integer("subaccount"))
    if call.venue.exchange.state.phase == "exchange_paused":
        raise errors.nested("exchange_is_paused")
    for account in accounts:
        call.venue.exchange.cancel_all(account, call.now_ns)
    call.venue.publish_events()
    return Reply(None, 204)


def cancel_batch(call: Call) -> Reply:
    """DELETE /portfolio/events/orders/batched: CANCEL_COST tokens an order, items fail one by one."""
    items = call.body("BatchCancelOrdersV2Request").objects("orders", "BatchCancelOrdersRequestOrder")
    charge(call, CANCEL_COST * max(1, len(items)))
    return Reply({"orders": [_batch_cancel_item(call, item) for item in items]})


def amend_order(call: Call) -> Reply:
    """POST /portfolio/events/orders/{order_id}/amend; `count` is the total including what is filled."""
    body = call.body("AmendOrderV2Request")
    charge(call, DEFAULT_COST, _shard_of(body))
    request = amend_request(call, body)
    # Read before the amend: the engine changes its own record.
    known = call.venue.exchange.ledger.orders.get(request.order_id)
    remaining_before = 0 if known is None else known.remaining
    answer = call.accepted(call.venue.exchange.amend(request, call.now_ns))
    order = answer.order
    # Counts are those of this amend, and null when it neither filled nor changed the size (vendor docs).
    changed = bool(answer.fills) or order.remaining != remaining_before
    empty = dict.fromkeys(("average_fee_paid", "average_fill_price", "fill_count", "remaining_count"))
    filled = wire.count(sum(fill.size for fill in answer.fills))
    counts = {"fill_count": filled, "remaining_count": wire.count(order.remaining)} if changed else {}
    named = _acted(call, order) | {"client_order_id": order.client_order_id}
    return Reply(empty | named | counts | averages(answer.fills))


def decrease_order(call: Call) -> Reply:
    """POST /portfolio/events/orders/{order_id}/decrease with exactly one of `reduce_by` and `reduce_to`."""
    body = call.body("DecreaseOrderV2Request")
    shard = _shard_asked(body.integer("exchange_index"), body.text("market_ticker"))
    charge(call, DEFAULT_COST, shard)
    by, to = body.decimal("reduce_by", COUNT_DECIMALS), body.decimal("reduce_to", COUNT_DECIMALS)
    account = call.account_id(call.query_of("DecreaseOrderV2").integer("subaccount"))
    order_id = call.arrival.params["order_id"]
    _check_order_shard(call, order_id, shard)
    decrease = call.venue.exchange.decrease
    order = call.accepted(decrease(account, order_id, now_ns=call.now_ns, reduce_by=by, reduce_to=to)).order
    shown = {"client_order_id": order.client_order_id, "remaining_count": wire.count(order.remaining)}
    return Reply(shown | _acted(call, order))


def refuse_legacy_write(_call: Call) -> Reply:
    """Every write below /portfolio/orders. Raises `Refusal` 410: the venue has closed it (third-party observations)."""
    link = "https://docs.kalshi.com/api-reference/orders/create-order-v2"
    text = "Please switch to the V2 endpoints"
    raise Refusal(410, {"error": errors.error_object("deprecated_v1_order_endpoint", link, message=text)})


def _create(call: Call, body: Body) -> dict[str, Any]:
    answer = call.accepted(call.venue.exchange.submit(order_request(call, body), call.now_ns))
    order = answer.order
    named = {"client_order_id": order.client_order_id} if order.client_order_id else {}
    return (
        _acted(call, order)
        | {"fill_count": wire.count(order.filled), "remaining_count": wire.count(order.remaining)}
        | named
        | averages(answer.fills)
    )


def order_request(call: Call, body: Body) -> OrderRequest:
    """What a body asks for, for the engine. Raises `Refusal` for what can't be asked."""
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
    _check_shard(call, ticker, body.integer("exchange_index"), code="market_not_found")
    return request


def amend_request(call: Call, body: Body) -> AmendRequest:
    """As `order_request`, for the order that the path names."""
    size, price = body.required_decimal("count", COUNT_DECIMALS), body.required_decimal("price", PRICE_DECIMALS)
    ticker = body.required_text("ticker")
    _check_shard(call, ticker, body.integer("exchange_index"), code="market_not_found")
    return AmendRequest(
        account=call.account_id(call.query_of("AmendOrderV2").integer("subaccount")),
        order_id=call.arrival.params["order_id"],
        market_id=ticker,
        side=body.choice("side", BOOK_SIDES),
        price=price,
        size=size,
        expiration_ns=_expiration_ns(call, body),
        client_order_id=body.text("client_order_id") or None,
        new_client_order_id=_client_id(body, "updated_client_order_id") or None,
    )


def _batch_item(call: Call, body: Body) -> dict[str, Any]:
    empty = dict.fromkeys(("average_fee_paid", "average_fill_price", "fill_count", "remaining_count", "ts_ms"))
    return empty | {"client_order_id": body.text("client_order_id")} | outcome(lambda: _create(call, body))


def _batch_cancel_item(call: Call, body: Body) -> dict[str, Any]:
    order_id = body.required_text("order_id")

    def cancelled() -> dict[str, Any]:
        account = call.account_id(body.integer("subaccount"))
        return cancel(call, order_id, account=account, shard=body.integer("exchange_index"))

    empty = {"client_order_id": None, "order_id": order_id, "reduced_by": wire.count(0), "ts_ms": None}
    return empty | outcome(cancelled)


def outcome(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What becomes of one item of a batch: its answer, or its error."""
    try:
        return act()
    except Refusal as refusal:
        return {"error": refusal.body.get("error", refusal.body)}


def cancel(call: Call, order_id: str, *, account: str, shard: int | None) -> dict[str, Any]:
    """End a resting order of an account; the members of the answer."""
    _check_order_shard(call, order_id, shard)
    answer = call.accepted(call.venue.exchange.cancel(account, order_id, now_ns=call.now_ns))
    return _acted(call, answer.order) | {"reduced_by": wire.count(answer.reduced)}


def _acted(call: Call, order: Order) -> dict[str, Any]:
    """The members of every answer to an act on an order."""
    return {"order_id": order.order_id, "ts_ms": call.venue.clock.ms(call.now_ns)}


def charge(call: Call, cost: int, shard: int = UNSCOPED) -> None:
    """Draw tokens from the write bucket of a shard. Raises `Refusal` 429 when it has too few."""
    if not call.venue.buckets.take_write(cost, call.now_ns, shard=shard):
        raise errors.too_many_requests()


def _shard_of(body: Body) -> int:
    index = body.integer("exchange_index")
    if index is not None and not AUTO_ROUTED <= index < SHARDS:
        raise errors.nested("invalid_parameters")
    return _shard_asked(index, body.text("ticker"))


def _shard_asked(index: int | None, ticker: str | None) -> int:
    """The shard where a write looks for its order, and whose bucket it draws on.

    Without an index but with a ticker the venue routes by itself; without both it is shard 0 (vendor docs).
    """
    if index is not None:
        return index
    return AUTO_ROUTED if ticker else UNSCOPED


def _check_order_shard(call: Call, order_id: str, shard: int | None) -> None:
    """An order is found only on the shard that the request names (vendor docs)."""
    order = call.venue.exchange.ledger.orders.get(order_id)
    if order is not None:
        _check_shard(call, order.market_id, shard, code="not_found")


def _check_shard(call: Call, ticker: str, shard: int | None, *, code: str) -> None:
    """Refuse a market on another shard than the request pins (third-party observations); an unknown market passes."""
    if shard not in (None, AUTO_ROUTED) and call.venue.markets.exists(ticker):
        if call.venue.markets.shard(ticker) != shard:
            raise errors.nested(code)


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
    Route("DELETE", "/portfolio/events/orders", cancel_all_orders, ORDER_WRITES, "write", CANCEL_COST),
    Route("POST", "/portfolio/events/orders/batched", create_batch, ORDER_WRITES, "order_write"),
    Route("DELETE", "/portfolio/events/orders/batched", cancel_batch, ORDER_WRITES, "order_write"),
    Route("DELETE", "/portfolio/events/orders/{order_id}", cancel_order, ORDER_WRITES, "order_write"),
    Route("POST", "/portfolio/events/orders/{order_id}/amend", amend_order, ORDER_WRITES, "order_write"),
    Route("POST", "/portfolio/events/orders/{order_id}/decrease", decrease_order, ORDER_WRITES, "order_write"),
    Route("POST", "/portfolio/orders", refuse_legacy_write, ORDER_WRITES, "write"),
    Route("POST", "/portfolio/orders/batched", refuse_legacy_write, ORDER_WRITES, "write"),
    Route("DELETE", "/portfolio/orders/batched", refuse_legacy_write, ORDER_WRITES, "write"),
    Route("DELETE", "/portfolio/orders/{order_id}", refuse_legacy_write, ORDER_WRITES, "write"),
    Route("PUT", "/portfolio/orders/{order_id}", refuse_legacy_write, ORDER_WRITES, "write"),
    Route("POST", "/portfolio/orders/{order_id}/amend", refuse_legacy_write, ORDER_WRITES, "write"),
    Route("POST", "/portfolio/orders/{order_id}/decrease", refuse_legacy_write, ORDER_WRITES, "write"),
)
