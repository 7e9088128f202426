"""Kalshi's write requests. Pure: what was approved in, method, target and body out.

`side` and `price` always speak of YES (vendor docs): selling YES at p is what the venue also calls buying NO at
1 - p. Prices are written with 4 decimals and counts with 2, as text; the venue refuses numbers (recorded answer).
"""

from __future__ import annotations

from typing import Any

import msgspec

from connectors.client.wire.calls import Call, path_part, with_query
from connectors.client.wire.decimals import NS_PER_S
from connectors.kalshi.wire.fixed_point import price_text, size_text
from framework.domain.instruments import Instrument
from framework.domain.intents import AmendOrder, NewOrder
from framework.domain.numbers import Price
from framework.domain.orders import Order, Side, TimeInForce

_ORDERS = "/portfolio/events/orders"
_SIDES = {Side.BUY: "bid", Side.SELL: "ask"}
"""The venue's words for buying and selling YES (vendor docs)."""
_TIMES_IN_FORCE = {
    TimeInForce.GOOD_TILL_CANCELLED: "good_till_canceled",
    TimeInForce.IMMEDIATE_OR_CANCEL: "immediate_or_cancel",
    TimeInForce.FILL_OR_KILL: "fill_or_kill",
}
"""The venue's words for how long an order stands (vendor docs)."""
_ENCODER = msgspec.json.Encoder()


class AccountScope(msgspec.Struct, frozen=True, gc=False):
    """What all writes of an account have in common: its subaccount, whether shards are named, self-trade prevention."""

    subaccount: int | None = None
    use_shards: bool = True
    self_trade_prevention: str = "taker_at_cross"

    def fields(self, instrument: Instrument) -> dict[str, Any]:
        """The fields that route a request for `instrument`: its shard and the account's subaccount, where given."""
        routed = self.shard_field(instrument)
        if self.subaccount is not None:
            routed["subaccount"] = self.subaccount
        return routed

    def shard_field(self, instrument: Instrument) -> dict[str, Any]:
        """The field that names the instrument's shard; none when shards are not to be named."""
        return {"exchange_index": instrument.shard} if self.use_shards else {}

    @property
    def query(self) -> str:
        """The subaccount as a query with its "?", for requests that take it there; empty for the primary one."""
        return "" if self.subaccount is None else f"?subaccount={self.subaccount}"


def new_order(client_order_id: str, intent: NewOrder, instrument: Instrument, scope: AccountScope) -> Call:
    """A new limit order. `client_order_id` is ours; the venue refuses one that it has seen before (recorded answer)."""
    return Call("POST", _ORDERS, _ENCODER.encode(new_order_fields(client_order_id, intent, instrument, scope)))


def amend_order(intent: AmendOrder, order: Order, instrument: Instrument, scope: AccountScope) -> Call:
    """A change of price and size in place. The venue's `count` is the total, filled part included, as ours is.

    The expiry is left out, which keeps it. Queue priority survives only when nothing but the size shrinks. The
    subaccount goes into the query, unlike a new order's (vendor docs). Raises `ValueError` when the venue's id of the
    order is not known.
    """
    fields = scope.shard_field(instrument) | {
        "ticker": instrument.symbol,
        "side": _SIDES[order.side],
        "price": price_text(intent.price),
        "count": size_text(intent.size),
        "client_order_id": order.client_order_id,
    }
    return Call("POST", f"{_path(order)}/amend{scope.query}", _ENCODER.encode(fields))


def cancel_order(order: Order, instrument: Instrument, scope: AccountScope) -> Call:
    """Cancel one order. Without ticker or shard the venue would look on its first shard only (vendor docs).

    Raises `ValueError` when the venue's id of the order is not known.
    """
    routed = scope.fields(instrument) | {"market_ticker": instrument.symbol}
    return Call("DELETE", with_query(_path(order), routed.items()), is_urgent=True)


def cancel_by_id(order_id: str, ticker: str, scope: AccountScope) -> Call:
    """Cancel an order of which only the venue's id and the market are known, on whichever shard it is."""
    params = [("market_ticker", ticker), ("subaccount", scope.subaccount)]
    return Call("DELETE", with_query(f"{_ORDERS}/{path_part(order_id)}", params), is_urgent=True)


def cancel_all_orders(scope: AccountScope) -> Call:
    """Cancel every order of the account on all shards; those of the next minute may be cancelled too (vendor docs)."""
    return Call("DELETE", f"{_ORDERS}{scope.query}", is_urgent=True)


def new_order_fields(
    client_order_id: str, intent: NewOrder, instrument: Instrument, scope: AccountScope
) -> dict[str, Any]:
    """The body of `new_order`."""
    fields = scope.fields(instrument) | {
        "ticker": instrument.symbol,
        "client_order_id": client_order_id,
        "side": _SIDES[intent.side],
        "count": size_text(intent.size),
        "price": price_text(Price(intent.price)),
        "time_in_force": _TIMES_IN_FORCE[intent.time_in_force],
        "self_trade_prevention_type": scope.self_trade_prevention,
        "post_only": intent.post_only,
        "reduce_only": intent.reduce_only,
    }
    if intent.expires_ns and intent.time_in_force is TimeInForce.GOOD_TILL_CANCELLED:
        # Whole seconds, rounded down: an order may end early, never late. The venue refuses one on an immediate order
        # (vendor docs).
        fields["expiration_time"] = intent.expires_ns // NS_PER_S
    return fields


def _path(order: Order) -> str:
    return f"{_ORDERS}/{path_part(_venue_id(order))}"


def _venue_id(order: Order) -> str:
    if not order.venue_order_id:
        raise ValueError(f"venue_order_id of {order.client_order_id} is empty: look the order up first")
    return order.venue_order_id
