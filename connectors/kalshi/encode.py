"""Kalshi write requests. Pure: what was approved in, method, target and body out.

`side` and `price` always speak of YES (vendor docs): selling YES at p is what the venue also calls buying NO at
1 - p. Prices are written with 4 decimals and counts with 2, as text; the venue refuses numbers (recorded answer).
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlencode

import msgspec

from connectors.kalshi.fixed_point import NS_PER_S, price_text, size_text
from framework.domain.instruments import Instrument
from framework.domain.intents import AmendOrder, NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, Side, TimeInForce

_ORDERS = "/portfolio/events/orders"
_SIDE = {Side.BUY: "bid", Side.SELL: "ask"}
_TIME_IN_FORCE = {
    TimeInForce.GOOD_TILL_CANCELLED: "good_till_canceled",
    TimeInForce.IMMEDIATE_OR_CANCEL: "immediate_or_cancel",
    TimeInForce.FILL_OR_KILL: "fill_or_kill",
}
_ENCODER = msgspec.json.Encoder()


class Call(msgspec.Struct, frozen=True, gc=False):
    """A request without its signature. `target` is path and query below the REST prefix."""

    method: str
    target: str
    body: bytes = b""


class AccountScope(msgspec.Struct, frozen=True, gc=False):
    """What every write of an account says: its subaccount, whether shards are named, self-trade prevention."""

    subaccount: int | None = None
    use_shards: bool = True
    self_trade_prevention: str = "taker_at_cross"

    def fields(self, instrument: Instrument) -> dict[str, object]:
        """The fields that route a request for `instrument`."""
        routed: dict[str, object] = {}
        if self.subaccount is not None:
            routed["subaccount"] = self.subaccount
        if self.use_shards:
            routed["exchange_index"] = instrument.shard
        return routed


def create(client_order_id: str, intent: NewOrder, instrument: Instrument, scope: AccountScope) -> Call:
    """A new limit order."""
    return Call("POST", _ORDERS, _ENCODER.encode(_create_fields(client_order_id, intent, instrument, scope)))


def batch_create(orders: Sequence[tuple[str, NewOrder, Instrument]], scope: AccountScope) -> Call:
    """Several new orders, each a (client order id, intent, instrument); each costs what a single one costs."""
    items = [_create_fields(client_id, intent, instrument, scope) for client_id, intent, instrument in orders]
    return Call("POST", f"{_ORDERS}/batched", _ENCODER.encode({"orders": items}))


def amend(intent: AmendOrder, order: Order, instrument: Instrument, scope: AccountScope) -> Call:
    """A change of price and size in place. The venue's `count` is the total, filled part included, as ours is.

    The expiry is left out, which keeps it. Queue priority survives only when nothing but the size shrinks.
    """
    fields = scope.fields(instrument) | {
        "ticker": instrument.symbol,
        "side": _SIDE[order.side],
        "price": price_text(intent.price),
        "count": size_text(intent.size),
        "client_order_id": order.client_order_id,
    }
    return Call("POST", f"{_path(order)}/amend", _ENCODER.encode(fields))


def decrease(order: Order, instrument: Instrument, scope: AccountScope, *, reduce_to: Size) -> Call:
    """Shrink what rests to `reduce_to` (filled part not included); the place in the queue is kept."""
    fields = scope.fields(instrument) | {"market_ticker": instrument.symbol, "reduce_to": size_text(reduce_to)}
    return Call("POST", f"{_path(order)}/decrease", _ENCODER.encode(fields))


def cancel(order: Order, instrument: Instrument, scope: AccountScope) -> Call:
    """End one order. Without ticker or shard the venue would look on its first shard only."""
    return Call(
        "DELETE", f"{_path(order)}?{urlencode(scope.fields(instrument) | {'market_ticker': instrument.symbol})}"
    )


def batch_cancel(orders: Sequence[tuple[Order, Instrument]], scope: AccountScope) -> Call:
    """End several orders."""
    items = [
        scope.fields(instrument) | {"order_id": _venue_id(order), "market_ticker": instrument.symbol}
        for order, instrument in orders
    ]
    return Call("DELETE", f"{_ORDERS}/batched", _ENCODER.encode({"orders": items}))


def cancel_all(scope: AccountScope) -> Call:
    """End every order of the account, on all shards."""
    query = "" if scope.subaccount is None else f"?subaccount={scope.subaccount}"
    return Call("DELETE", f"{_ORDERS}{query}")


def _create_fields(
    client_order_id: str, intent: NewOrder, instrument: Instrument, scope: AccountScope
) -> dict[str, object]:
    fields = scope.fields(instrument) | {
        "ticker": instrument.symbol,
        "client_order_id": client_order_id,
        "side": _SIDE[intent.side],
        "count": size_text(intent.size),
        "price": price_text(Price(intent.price)),
        "time_in_force": _TIME_IN_FORCE[intent.time_in_force],
        "self_trade_prevention_type": scope.self_trade_prevention,
        "post_only": intent.post_only,
        "reduce_only": intent.reduce_only,
    }
    if intent.expires_ns and intent.time_in_force is TimeInForce.GOOD_TILL_CANCELLED:
        # Whole seconds, downwards: an order may end early, never late. Immediate orders may not carry one.
        fields["expiration_time"] = intent.expires_ns // NS_PER_S
    return fields


def _path(order: Order) -> str:
    return f"{_ORDERS}/{quote(_venue_id(order), safe='')}"


def _venue_id(order: Order) -> str:
    if not order.venue_order_id:
        raise ValueError(f"venue_order_id of {order.client_order_id} is empty: look the order up first")
    return order.venue_order_id
