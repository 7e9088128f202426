"""Orders: placed, listed, read, cancelled one by one and by market."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from connectors.kalqix.sandbox.markets import page
from connectors.kalqix.sandbox.rows import ASSETS, SIDES, Asset
from connectors.kalqix.sandbox.venue import ACCOUNT, MARKET_IDS, Call
from connectors.kalqix.sandbox.words import status_of
from connectors.sandbox.engine.model import NS_PER_MS, MarketSpec, Order, OrderKind, OrderRequest, Side, TimeInForce
from connectors.sandbox.serving.decimals import parse_decimal
from connectors.sandbox.serving.rest import Reply, Route

SIDE_OF: dict[str, Side] = {"BUY": "bid", "SELL": "ask"}
KIND_OF: dict[str, OrderKind] = {"LIMIT": "limit", "MARKET": "market"}
TIMES_IN_FORCE: dict[int, TimeInForce] = {0: "gtc", 1: "ioc", 2: "fok"}
OPEN = ("PENDING", "PARTIALLY_FILLED", "CANCELLATION_REQUESTED")
MESSAGE = "Your cancellation request is received."
MESSAGE_ALL = "Your request to cancel all open orders is received."
_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SIGNED_IN_A = {"price": "", "quantity": "", "quote_quantity": "", "time_in_force": 0, "expires_at": 0}
"""What the wallet signs of an order where it is not sent."""


def place(call: Call) -> Reply:
    """A new order: 201 with its id."""
    venue = call.venue
    spec = venue.market(call.text("ticker"), is_body=True)
    signature = call.text("signature")
    request = _request_of(call, spec)
    venue.check_action(_signed_fields(call), signature, call.now_ns)
    order = venue.member.submit(request, call.now_ns)
    venue.signatures[order.order_id] = signature
    venue.served.sent_as[order.order_id] = sha256(signature.lower().encode()).hexdigest()
    answer = {"order_id": order.order_id}
    return Reply(answer | ({"client_order_id": order.client_order_id} if venue.has_agents else {}), 201)


def _signed_fields(call: Call) -> Mapping[str, Any]:
    """What of the body is signed: A has the action added, and all fields of an order; B leaves the client's id out."""
    sent = {name: value for name, value in call.body.items() if name not in ("signature", "client_order_id")}
    return sent if call.venue.has_agents else _SIGNED_IN_A | sent | {"action": "PLACE_ORDER"}


def _request_of(call: Call, spec: MarketSpec) -> OrderRequest:
    venue, body = call.venue, call.body
    kind, side = KIND_OF.get(call.text("order_type")), SIDE_OF.get(call.text("side"))
    tif, expires_ms = TIMES_IN_FORCE.get(call.number("time_in_force", 0)), call.number("expires_at", 0)
    name = body.get("client_order_id") if venue.has_agents else None
    is_named = name is None or (isinstance(name, str) and _CLIENT_ID.fullmatch(name))
    if kind is None or side is None or tif is None or not is_named or not 0 <= expires_ms < 2**43:
        raise venue.refuse("missing")
    if venue.has_agents and body.get("action") != "PLACE_ORDER":
        raise venue.refuse("bad_action")
    base, quote = ASSETS[spec.base], ASSETS[spec.cash_account]
    by_amount = _amount(call, "quote_quantity", spec.price_decimals + spec.size_decimals, quote)
    price = _amount(call, "price", spec.price_decimals, quote) if kind == "limit" else 0
    size = _amount(call, "quantity", spec.size_decimals, base)
    if (kind == "limit" and (by_amount or not price)) or not (size or by_amount):
        raise venue.refuse("missing")
    return OrderRequest(
        account=ACCOUNT,
        market_id=spec.market_id,
        side=side,
        price=price,
        size=0 if by_amount else size,
        quote_amount=by_amount,
        tif="ioc" if kind == "market" and tif == "gtc" else tif,
        kind=kind,
        client_order_id=name or "",
        expiration_ns=venue.served.clock.to_engine_ns(expires_ms * NS_PER_MS) if expires_ms else 0,
    )


def _amount(call: Call, name: str, decimals: int, asset: Asset) -> int:
    """An amount of the body as the exchange counts it, 0 where it is absent or empty: a decimal in A, base units in B.
    Raises `Refusal` for what is finer than the market's grid."""
    value = call.body.get(name, "")
    if value == "":
        return 0
    text = value if isinstance(value, str) else "-"
    if call.venue.has_agents:
        is_whole = text.isascii() and text.isdigit() and len(text) < 40
        found, rest = divmod(int(text), 10 ** (asset.decimals - decimals)) if is_whole else (0, 1)
        counted = None if rest else found
    else:
        counted = parse_decimal(text, decimals)
    if counted is None:
        raise call.venue.refuse("invalid_price" if name == "price" else "invalid_size")
    return counted


def list_orders(call: Call) -> Reply:
    """Orders, the newest first, by `open`, `ticker`, `side`, `order_type`, `status`, and in B `client_order_id`."""
    query, venue = call.arrival.query, call.venue
    chosen = {name: set(query[name].split(",")) for name in ("side", "order_type", "status") if query.get(name)}
    if query.get("open", "").lower() == "true":
        chosen["status"] = chosen.get("status", set(OPEN)) & set(OPEN)
    market = venue.market(query["ticker"]).market_id if query.get("ticker") else ""
    name = query.get("client_order_id", "") if venue.has_agents else ""

    def fits(order: Order) -> bool:
        words = {"side": SIDES[order.side], "order_type": order.kind.upper(), "status": status_of(order)}
        return market in ("", order.market_id) and all(words[key] in wanted for key, wanted in chosen.items())

    found = [one for one in venue.member.orders(call.now_ns, client_order_id=name)[::-1] if fits(one)]
    return page(call, "orders", found, lambda one: venue.rows.order(_spec(call, one), one, _signature(call, one)))


def read_order(call: Call) -> Reply:
    """One order with its trades."""
    venue, order = call.venue, call.venue.member.order(call.arrival.params["id"], call.now_ns)
    fills = [one for one in venue.member.fills(call.now_ns) if one.order_id == order.order_id]
    return Reply(venue.rows.order_details(_spec(call, order), order, _signature(call, order), fills))


def list_order_trades(call: Call) -> Reply:
    """The trades of one order, the newest first."""
    venue, order = call.venue, call.venue.member.order(call.arrival.params["id"], call.now_ns)
    fills = [one for one in venue.member.fills(call.now_ns)[::-1] if one.order_id == order.order_id]
    return page(call, "trades", fills, lambda one: venue.rows.order_trade(_spec(call, order), one))


def cancel(call: Call) -> Reply:
    """Take a cancel, which is carried out a little later."""
    venue, query, order_id = call.venue, call.arrival.query, call.arrival.params["id"]
    # The vendor's page has no order_id in the query, its guide has.
    if not venue.has_agents and query.get("order_id", order_id) != order_id:
        raise venue.refuse("invalid_request", "Invalid order ID.")
    venue.check_action(
        _query_fields(call, {"action": "CANCEL_ORDER", "order_id": order_id}), _signed(call), call.now_ns
    )
    order = venue.served.exchange.ledger.orders.get(order_id)
    if order is None or order.account != ACCOUNT:
        raise venue.refuse("not_found")
    if order.status == "ended":
        raise venue.refuse("filled" if order.reason == "filled" else "processed")
    if order.status == "cancelling":
        raise venue.refuse("cancel_pending")
    venue.member.cancel(order_id, call.now_ns)
    return Reply({"message": MESSAGE})


def cancel_all(call: Call) -> Reply:
    """Take the cancel of every open order in one market, by its number."""
    venue, number = call.venue, call.query_number("market")
    name = next((one for one, market_id in MARKET_IDS.items() if market_id == number), None)
    if name is None:
        raise venue.refuse("market_not_found")
    fields = _query_fields(call, {"action": "CANCEL_ALL_ORDERS", "market": number})
    venue.check_action(fields, _signed(call), call.now_ns)
    venue.served.exchange.cancel_all(ACCOUNT, call.now_ns, market_id=name)
    venue.served.publish_events()
    return Reply({"message": MESSAGE_ALL, "request_id": venue.served.exchange.state.new_id().replace("-", "")[:24]})


def _query_fields(call: Call, action: dict[str, Any]) -> Mapping[str, Any]:
    """The fields of an action whose time (and in B whose agent) stands in the query."""
    names = ("timestamp", "agent_index") if call.venue.has_agents else ("timestamp",)
    return action | {name: call.query_number(name) for name in names}


def _signed(call: Call) -> str:
    return call.arrival.query.get("signature", "")


def _spec(call: Call, order: Order) -> MarketSpec:
    return call.venue.served.exchange.state.markets[order.market_id].spec


def _signature(call: Call, order: Order) -> str:
    return call.venue.signatures.get(order.order_id, "")


ORDERS: tuple[Route[Call], ...] = (
    Route("POST", "/orders", place, scope="trade"),
    Route("GET", "/orders", list_orders),
    Route("GET", "/orders/{id}", read_order),
    Route("GET", "/orders/{id}/trades", list_order_trades),
    Route("DELETE", "/orders/{id}", cancel, scope="trade"),
    Route("DELETE", "/users/me/cancel-all-orders", cancel_all, scope="trade"),
)
