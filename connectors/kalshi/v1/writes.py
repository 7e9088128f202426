"""Write requests of Kalshi's older generation and their answers. Pure.

Documented by the vendor's older getting-started pages: POST and DELETE under /portfolio/orders, `action` and `side`,
whole cents and whole contracts as numbers, and the whole order as the answer. Only YES is spoken of here: selling YES
at p is what buying NO at 100 - p is.
"""

from __future__ import annotations

from typing import Any

import msgspec

from connectors.client.wire import reports
from connectors.client.wire.calls import Call, path_part
from connectors.client.wire.decimals import NS_PER_MS, iso_ns
from connectors.kalshi.wire import encode
from connectors.kalshi.wire.account_messages import OrderAck
from connectors.kalshi.wire.encode import AccountScope
from connectors.kalshi.wire.fixed_point import PRICE_ONE
from framework.domain.errors import RefusedByVenue
from framework.domain.instruments import Instrument
from framework.domain.intents import AmendOrder, NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, Side
from framework.domain.rate_limits import Cost, Pool, RateLimits, RequestKind

CONTRACT = Size(100)
"""One contract, the smallest order there was, in hundredths."""
_CENT = PRICE_ONE // 100
_ORDERS = "/portfolio/orders"
_ACTIONS = {Side.BUY: "buy", Side.SELL: "sell"}
_TOKENS = 10
_TIERS = {"basic": (20, 10), "advanced": (30, 30), "premier": (100, 100), "prime": (400, 400)}
"""Requests a second, read and write (vendor docs)."""


class _Order(msgspec.Struct):
    order_id: str
    fill_count: int
    remaining_count: int
    client_order_id: str | None = None
    last_update_time: str | None = None


class _Answer(msgspec.Struct):
    order: _Order
    reduced_by: int | None = None


_DECODE = msgspec.json.Decoder(_Answer).decode
_ENCODE = msgspec.json.Encoder().encode


def older_order(client_order_id: str, intent: NewOrder, instrument: Instrument, scope: AccountScope) -> Call:
    """A new limit order. Raises `RefusedByVenue` for a price or size that is not whole."""
    unsharded = msgspec.structs.replace(scope, use_shards=False)
    fields = encode.new_order_fields(client_order_id, intent, instrument, unsharded)
    del fields["price"]
    if (expires_s := fields.pop("expiration_time", None)) is not None:
        fields["expiration_ts"] = expires_s
    return Call("POST", _ORDERS, _ENCODE(fields | {"type": "limit"} | _terms(intent.side, intent.price, intent.size)))


def older_amend(intent: AmendOrder, order: Order, instrument: Instrument, scope: AccountScope) -> Call:
    """A change of price and total size in place. Raises like `older_order`."""
    fields = {"ticker": instrument.symbol, "client_order_id": order.client_order_id}
    body = _ENCODE(fields | _terms(order.side, intent.price, intent.size))
    return Call("POST", f"{_path(order)}/amend{scope.query}", body)


def older_cancel(order: Order, _instrument: Instrument, scope: AccountScope) -> Call:
    """Cancel one order, by the venue's id of it alone."""
    return Call("DELETE", f"{_path(order)}{scope.query}", is_urgent=True)


def older_cancel_by_id(order_id: str, _ticker: str, scope: AccountScope) -> Call:
    """Cancel one order by the venue's id."""
    return Call("DELETE", f"{_ORDERS}/{path_part(order_id)}{scope.query}", is_urgent=True)


def older_ack(body: bytes) -> OrderAck:
    """Read an answer to a write, which has the order as it is now. Raises `OutcomeUnknown` for one that can't be
    read."""
    answer = reports.decoded_ack(body, _DECODE)
    order, reduced_by = answer.order, answer.reduced_by
    return OrderAck(
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        fill_count=str(order.fill_count),
        remaining_count=str(order.remaining_count),
        reduced_by=None if reduced_by is None else str(reduced_by),
        ts_ms=reports.decoded_ack(body, lambda _body: iso_ns(order.last_update_time) // NS_PER_MS),
    )


def older_limits(tier: str) -> RateLimits:
    """A tier's limits, ten tokens a request; its bucket holds one second of them (*assumption*). Raises `KeyError`."""
    read, write = (requests * _TOKENS for requests in _TIERS[tier])
    writes = (RequestKind.CANCEL, RequestKind.REDUCE, RequestKind.AMEND, RequestKind.NEW)
    return RateLimits(
        (Pool("read", read, read), Pool("write", write, write)),
        (*(Cost(kind, "write", _TOKENS) for kind in writes), Cost(RequestKind.QUERY, "read", _TOKENS)),
    )


def _terms(side: Side, price: Price, size: Size) -> dict[str, Any]:
    cents, rest = divmod(price, _CENT)
    count, part = divmod(size, CONTRACT)
    if rest or part:
        raise RefusedByVenue("invalid_price", 'dialect "v1" has whole cents and whole contracts only')
    return {"action": _ACTIONS[side], "side": "yes", "yes_price": cents, "count": count}


def _path(order: Order) -> str:
    return f"{_ORDERS}/{path_part(order.venue_order_id)}"
