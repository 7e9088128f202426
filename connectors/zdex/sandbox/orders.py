"""Orders and positions: place, read, list, cancel, close."""

from __future__ import annotations

import re
from typing import Any

from connectors.sandbox.engine.model import Accepted, Order, OrderRequest, Rejection, Trigger, TriggerKind
from connectors.sandbox.serving.fields import Body, OneComplaint, Query, decode_body
from connectors.sandbox.serving.pages import by_offset, clamped
from connectors.sandbox.serving.rest import Refusal, Reply
from connectors.zdex.sandbox.auth import Call
from connectors.zdex.sandbox.markets import MONEY_DECIMALS
from connectors.zdex.sandbox.render import SIDES, order_answer, order_row, positions, status_of
from connectors.zdex.sandbox.venue import MEMBER

NOTIONAL_MAX = 10_000_000
"""In USDT: the default cap of one order (vendor docs of v2)."""
PAGE_DEFAULT, PAGE_MAX = 50, 200
BATCH_MAX = 20
STATUSES = ("NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "REJECTED", "PENDING_NEW")
TYPES: dict[str, tuple[bool, TriggerKind | None]] = {
    "LIMIT": (False, None),
    "MARKET": (True, None),
    "STOP": (False, "stop"),
    "STOP_MARKET": (True, "stop"),
    "TAKE_PROFIT": (False, "take_profit"),
    "TAKE_PROFIT_MARKET": (True, "take_profit"),
}
"""Word -> whether it trades at any price, and what it waits for."""
_CLIENT_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_CLOSING = {("LONG", "SELL"), ("SHORT", "BUY")}
_WORDS = {
    "insufficient_balance": "Insufficient balance",
    "invalid_price": "Invalid price: not a multiple of the tick size",
    "invalid_size": "Invalid quantity: not a multiple of the step size, or too large",
    "below_minimum": "Order notional is below the minimum",
    "market_closed": "Symbol is not trading",
    "market_not_open": "Symbol is not trading",
    "trading_paused": "Trading is paused",
    "exchange_paused": "Trading is paused",
}


def place(call: Call) -> Reply:
    """POST /orders. In v2 an id that was used answers with its order."""
    return Reply(_placed(call, decode_body(call.arrival.raw, "order", complaints(call))))


def place_batch(call: Call) -> Reply:
    """POST /orders/batch (v2): each order by itself; that the form is this one is an *assumption*."""
    rows = decode_body(call.arrival.raw, "batch", complaints(call)).objects("orders", "order")
    if len(rows) > BATCH_MAX:
        raise call.venue.refusal(400, f"orders: at most {BATCH_MAX}")
    results: list[Any] = []
    for row in rows:
        try:
            results.append(_placed(call, row))
        except Refusal as refused:
            results.append(refused.body)
    return Reply({"ok": True, "results": results})


def read_order(call: Call) -> Reply:
    """GET /orders/ID: one order of the account, open or ended."""
    return Reply({"ok": True, "order": order_row(call.venue, _named(call))})


def list_orders(call: Call) -> Reply:
    """GET /orders, newest first."""
    venue, query = call.venue, Query(call.arrival.query, "orders", complaints(call))
    status, symbol = query.choice("status", STATUSES), query.text("symbol")
    found = venue.served.reads.orders([MEMBER], call.arrival.now_ns)
    shown = [one for one in reversed(found) if symbol in (None, one.market_id) and status in (None, status_of(one))]
    asked = min(query.bounded("limit", PAGE_DEFAULT, 10_000), PAGE_MAX)
    size = clamped(asked, PAGE_MAX, faults=venue.served.faults, listing="orders")
    rows = by_offset(shown, query.integer("offset") or 0, size=size)
    return Reply({"ok": True, "orders": [order_row(venue, one) for one in rows], "total": len(shown)})


def cancel(call: Call) -> Reply:
    """DELETE /orders/ID: refused for an order that has ended."""
    venue, order_id = call.venue, call.arrival.params["id"]
    known = venue.served.exchange.ledger.orders.get(order_id)
    if known is not None and known.account == MEMBER and known.status == "ended":
        raise venue.refusal(400, f"Order is already {status_of(known)}")
    order = _taken(call, venue.served.exchange.cancel(MEMBER, order_id, now_ns=call.arrival.now_ns))
    return Reply({"ok": True, "order": order_row(venue, order)})


def close_position(call: Call) -> Reply:
    """POST /positions/close: a market order of the whole position that only reduces."""
    venue, now_ns = call.venue, call.arrival.now_ns
    wanted = decode_body(call.arrival.raw, "close", complaints(call)).required_text("positionId")
    found = next((one for one in positions(venue, now_ns, is_open=True) if one["id"] == wanted), None)
    if found is None:
        raise venue.refusal(404, "Position not found")
    net = venue.served.exchange.state.accounts[MEMBER].position(found["symbol"]).net
    request = OrderRequest(
        account=MEMBER,
        market_id=found["symbol"],
        side="ask" if net > 0 else "bid",
        size=abs(net),
        tif="ioc",
        kind="market",
        reduce_only=True,
    )
    order = _taken(call, venue.served.exchange.submit(request, now_ns))
    return Reply(order_answer(venue, order))


def complaints(call: Call) -> OneComplaint:
    """Every wrong field is a 400 with a sentence."""
    return OneComplaint(lambda text: call.venue.refusal(400, text))


def _placed(call: Call, body: Body) -> dict[str, Any]:
    venue, client_id = call.venue, ""
    if venue.dialect.has_client_ids:
        client_id = body.text("clientOrderId") or ""
        if client_id and not _CLIENT_ID.fullmatch(client_id):
            raise venue.refusal(400, "clientOrderId must match ^[a-zA-Z0-9_-]{1,64}$")
        known = venue.served.exchange.ledger.order_by_client(MEMBER, client_id) if client_id else None
        if known is not None:
            return {"ok": True, "order": order_row(venue, known), "idempotent": True}
    request = _request(call, body, client_id)
    return order_answer(venue, _taken(call, venue.served.exchange.submit(request, call.arrival.now_ns)))


def _request(call: Call, body: Body, client_id: str) -> OrderRequest:
    one = call.venue.spec(body.required_text("symbol"))
    side_word, place_word = body.required_text("side"), body.text("positionSide") or "BOTH"
    side = body.choice("side", SIDES)
    is_market, waits_for = body.choice("type", TYPES)
    if place_word not in ("BOTH", "LONG", "SHORT"):
        raise call.venue.refusal(400, f"positionSide can't be {place_word!r}")
    size = body.required_decimal("quantity", one.size_decimals)
    price = 0 if is_market else body.required_decimal("price", one.price_decimals)
    worth = size * (price or call.venue.served.exchange.state.markets[one.market_id].mark_price)
    if worth > NOTIONAL_MAX * 10**MONEY_DECIMALS:
        text = "Order rejected by risk management: max_order_notional_exceeded"
        raise call.venue.refusal(400, text, reason="max_order_notional_exceeded")
    trigger = None if waits_for is None else Trigger(waits_for, body.required_decimal("stopPrice", one.price_decimals))
    return OrderRequest(
        account=MEMBER,
        market_id=one.market_id,
        side=side,
        price=price,
        size=size,
        tif="ioc" if is_market else "gtc",
        kind="market" if is_market else "limit",
        trigger=trigger,
        client_order_id=client_id,
        # The account is in ONE_WAY: what would close a side of hedge mode only reduces here.
        reduce_only=body.flag("reduceOnly") or (place_word, side_word) in _CLOSING,
    )


def _named(call: Call) -> Order:
    order = call.venue.served.reads.order(call.arrival.params["id"], call.arrival.now_ns)
    if order is None or order.account != MEMBER:
        raise call.venue.refusal(404, "Order not found")
    return order


def _taken(call: Call, answer: Accepted | Rejection) -> Order:
    call.venue.served.publish_events()
    if isinstance(answer, Accepted):
        return answer.order
    if answer.code == "not_found":
        raise call.venue.refusal(404, "Order not found")
    text = _WORDS.get(answer.code, answer.code.replace("_", " "))
    raise call.venue.refusal(400, f"{text}: {answer.details}".removesuffix(": "))
