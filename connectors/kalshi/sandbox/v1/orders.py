"""Writing orders in the older generation: `action` and `side`, cents, numbers, whole orders as answers.

Buying NO at q is selling YES at 100 - q: each request is put into the current one's words, the engine does the rest.
Handlers raise `Refusal` like those of the current generation.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from connectors.kalshi.sandbox import errors, wire
from connectors.kalshi.sandbox.buckets import DEFAULT_COST
from connectors.kalshi.sandbox.portfolio import order_object
from connectors.kalshi.sandbox.rest import orders as current
from connectors.kalshi.sandbox.rest.call import Call
from connectors.sandbox.engine.model import Order, Rejection
from connectors.sandbox.serving.fields import Body
from connectors.sandbox.serving.rest import Reply, Route

BATCH_CANCEL_COST = DEFAULT_COST // 5
"""A cancel in a batch counts as 0.2 requests, every other write as one (vendor docs)."""
_ACTIONS = {"buy": True, "sell": False}
_SIDES = {"yes": True, "no": False}
_PRICES = ("yes_price", "no_price", "yes_price_dollars", "no_price_dollars")
_DEAREST, _CHEAPEST = "0.9900", "0.0100"
"""What a market order pays or takes at worst."""
_AS_THEY_ARE = ("ticker", "client_order_id", "updated_client_order_id", "post_only", "reduce_only", "order_group_id")
_CREATE = "CreateOrderRequest"


def _create_order(call: Call) -> Reply:
    """POST /portfolio/orders: place one order, 201, answered with the whole order."""
    body = call.body(_CREATE)
    current.charge(call, DEFAULT_COST)
    return Reply({"order": _created(call, body)}, 201)


def _create_batch(call: Call) -> Reply:
    """POST /portfolio/orders/batched, 201: each order counts as one request, items fail one by one."""
    items = call.body("BatchCreateOrdersRequest").objects("orders", _CREATE)
    current.charge(call, DEFAULT_COST * max(1, len(items)))
    empty = {"error": None, "order": None}

    def item(body: Body) -> dict[str, Any]:
        outcome = current.outcome(lambda: {"order": _created(call, body)})
        return empty | {"client_order_id": body.text("client_order_id")} | outcome

    return Reply({"orders": [item(body) for body in items]}, 201)


def _cancel_order(call: Call) -> Reply:
    """DELETE /portfolio/orders/{order_id}: end a resting order, answered with the order and what was taken off."""
    current.charge(call, DEFAULT_COST)
    return Reply(_cancelled(call, call.arrival.params["order_id"]))


def _cancel_batch(call: Call) -> Reply:
    """DELETE /portfolio/orders/batched with `ids`, or with `orders` that have an `order_id` each."""
    body = call.body("BatchCancelOrdersRequest")
    ids = body.texts("ids")
    if ids is None:
        ids = [one.required_text("order_id") for one in body.objects("orders", "BatchCancelOrdersRequestOrder")]
    current.charge(call, BATCH_CANCEL_COST * max(1, len(ids)))
    empty = {"error": None, "order": None, "reduced_by_fp": wire.count(0)}
    outcomes = [{"order_id": one} | current.outcome(partial(_cancelled, call, one)) for one in ids]
    return Reply({"orders": [empty | one for one in outcomes]})


def _amend_order(call: Call) -> Reply:
    """PUT /portfolio/orders/{order_id} and POST …/amend: another price or total count, answered with both orders.

    What the body leaves out stays (*assumption*: the page names the PUT and does not show its body).
    """
    body = call.body("AmendOrderRequest")
    current.charge(call, DEFAULT_COST)
    order = _order_of(call)
    before = _order_object(call, order)
    given = {name: before[name] for name in ("action", "side", "ticker")} | dict(body.values)
    if not any(body.has(name) for name in _PRICES):
        given["yes_price_dollars"] = before["yes_price_dollars"]
    if not body.has("count"):
        given.setdefault("count_fp", wire.count(order.filled + order.remaining))
    request = current.amend_request(call, _current(Body(given, body.where, body.complaints)))
    call.accepted(call.venue.exchange.amend(request, call.now_ns))
    return Reply({"old_order": before, "order": _order_object(call, _order_of(call))})


def _decrease_order(call: Call) -> Reply:
    """POST /portfolio/orders/{order_id}/decrease with exactly one of `reduce_by` and `reduce_to`."""
    body = call.body("DecreaseOrderRequest")
    current.charge(call, DEFAULT_COST)
    sizes = {name: _size(body.integer(name)) for name in ("reduce_by", "reduce_to")}
    account, order_id = call.account_id(None), call.arrival.params["order_id"]
    answer = call.accepted(call.venue.exchange.decrease(account, order_id, now_ns=call.now_ns, **sizes))
    return Reply({"order": _order_object(call, answer.order)})


def _created(call: Call, body: Body) -> dict[str, Any]:
    answer = call.venue.exchange.submit(current.order_request(call, _current(body)), call.now_ns)
    if body.text("side") == "no" and not isinstance(answer, Rejection):
        # Before its events are published: they show it in these words.
        call.venue.no_orders.add(answer.order.order_id)
    return _order_object(call, call.accepted(answer).order)


def _cancelled(call: Call, order_id: str) -> dict[str, Any]:
    done = current.cancel(call, order_id, account=call.account_id(None), shard=None)
    order = call.venue.exchange.ledger.orders[order_id]
    return {"order": _order_object(call, order), "reduced_by_fp": done["reduced_by"]}


def _order_of(call: Call) -> Order:
    order = call.venue.exchange.ledger.orders.get(call.arrival.params["order_id"])
    if order is None or order.account not in call.accounts(None):
        raise errors.nested("not_found")
    return order


def _order_object(call: Call, order: Order) -> dict[str, Any]:
    return order_object(order, call.venue)


def _current(body: Body) -> Body:
    """The request in the current generation's words. Raises `Refusal` 400 for what it can't say."""
    buys, is_yes = body.choice("action", _ACTIONS), body.choice("side", _SIDES)
    is_bid = buys == is_yes
    is_market = body.text("type") == "market"
    if body.has("buy_max_cost") or body.text("type") not in (None, "limit", "market"):
        raise errors.nested("invalid_parameters")
    immediate = "immediate_or_cancel" if is_market else "good_till_canceled"
    values = {name: body.values.get(name) for name in _AS_THEY_ARE} | {
        "side": "bid" if is_bid else "ask",
        "count": body.text("count_fp") or str(body.integer("count") or 0),
        "price": (_DEAREST if is_bid else _CHEAPEST) if is_market else _price(body),
        "time_in_force": body.text("time_in_force") or immediate,
        "self_trade_prevention_type": body.text("self_trade_prevention_type") or "taker_at_cross",
        "expiration_time": body.integer("expiration_ts"),
        "cancel_order_on_pause": body.values.get("cancel_order_on_pause"),
        "subaccount": body.integer("subaccount"),
    }
    if body.integer("sell_position_floor") is not None:
        values["reduce_only"] = True
    return Body(values, body.where, body.complaints)


def _price(body: Body) -> str:
    """The YES price in dollars, of the one price that is given: cents from 1 to 99, or dollars as text."""
    given = [name for name in _PRICES if body.has(name)]
    if len(given) != 1:
        raise errors.nested("invalid_parameters")
    name = given[0]
    if name.endswith("_dollars"):
        value = body.required_decimal(name, wire.PRICE_DECIMALS)
    else:
        value = (body.integer(name) or 0) * (wire.PRICE_ONE // 100)
    if not 0 < value < wire.PRICE_ONE:
        raise errors.nested("invalid_price")
    return wire.price(value) if name.startswith("yes") else wire.no_price(value)


def _size(count: int | None) -> int | None:
    return None if count is None else count * wire.COUNT_ONE


_ORDER = "/portfolio/orders/{order_id}"
ROUTES = (
    Route("POST", "/portfolio/orders", _create_order, current.ORDER_WRITES, "order_write"),
    Route("POST", "/portfolio/orders/batched", _create_batch, current.ORDER_WRITES, "order_write"),
    Route("DELETE", "/portfolio/orders/batched", _cancel_batch, current.ORDER_WRITES, "order_write"),
    Route("DELETE", _ORDER, _cancel_order, current.ORDER_WRITES, "order_write"),
    Route("PUT", _ORDER, _amend_order, current.ORDER_WRITES, "order_write"),
    Route("POST", f"{_ORDER}/amend", _amend_order, current.ORDER_WRITES, "order_write"),
    Route("POST", f"{_ORDER}/decrease", _decrease_order, current.ORDER_WRITES, "order_write"),
)
