"""What is asked for, as requests and commands of the venue. Pure."""

from __future__ import annotations

import msgspec

from connectors.client.subscriptions import Action, Channel, Command
from connectors.client.wire.calls import Call, path_part
from connectors.client.wire.decimals import plain_text
from framework.domain.errors import RefusedByVenue
from framework.domain.instruments import Instrument
from framework.domain.intents import NewOrder
from framework.domain.orders import OrderKind, Trigger, TriggerBy

ORDERS, SYMBOLS = "/orders", "/market/symbols"
OPEN = ("NEW", "PARTIALLY_FILLED")
"""The states of open orders, in this order: one that begins to fill between the two lists is in both. One that is
PENDING_NEW is in neither, and is looked up alone."""
PAGE = ("limit", 200)
"""The longest page of orders."""
BOOKS, TRADES, MARKS = "orderbook", "trades", "markprice"
CHANNELS = (
    Channel(BOOKS, is_by_symbol=True, is_one_by_one=True, has_books=True),
    Channel(TRADES, is_by_symbol=True, is_one_by_one=True),
    Channel(MARKS, is_by_symbol=True, is_one_by_one=True, is_optional=True),
)
"""What is subscribed to. v2 sends the first two of every market anyway (vendor docs)."""


def type_of(kind: OrderKind, trigger: Trigger | None) -> str:
    """The venue's word for a kind of order: LIMIT, MARKET, STOP (a limit order behind a trigger), STOP_MARKET, …"""
    if trigger is None:
        return "MARKET" if kind is OrderKind.MARKET else "LIMIT"
    return trigger.kind.name + ("_MARKET" if kind is OrderKind.MARKET else "")


def new_order(intent: NewOrder, one: Instrument, client_order_id: str) -> Call:
    """The request of a new order; without an id where `client_order_id` is empty.

    Raises `RefusedByVenue` for a trigger by the mark price, which the venue has no word for.
    """
    trigger = intent.trigger
    if trigger is not None and trigger.by is TriggerBy.MARK:
        raise RefusedByVenue("not_offered", "trigger: the venue watches the last price; use TriggerBy.LAST")
    body: dict[str, str | bool] = {
        "symbol": one.symbol,
        "side": intent.side.name,
        "type": type_of(intent.kind, trigger),
        "quantity": plain_text(intent.size, one.size_decimals),
        "positionSide": "BOTH",
    }
    if intent.kind is OrderKind.LIMIT:
        body["price"] = plain_text(intent.price, one.price_decimals)
    if trigger is not None:
        body["stopPrice"] = plain_text(trigger.price, one.price_decimals)
    if intent.reduce_only:
        body["reduceOnly"] = True
    if client_order_id:
        body["clientOrderId"] = client_order_id
    return Call("POST", ORDERS, msgspec.json.encode(body))


def cancel(venue_order_id: str) -> Call:
    """The request that ends an order."""
    return Call("DELETE", f"{ORDERS}/{path_part(venue_order_id)}", is_urgent=True)


def command_frames(one: Command) -> tuple[bytes, ...]:
    """A command of the stream as the venue writes it. A whole book is asked for by subscribing to it once more."""
    if one.action is Action.PROBE:
        return (b'{"action":"ping"}',)
    action = "unsubscribe" if one.action in (Action.UNSUBSCRIBE, Action.REMOVE) else "subscribe"
    return tuple(
        msgspec.json.encode({"action": action, "channel": one.channel, "symbol": symbol}) for symbol in one.symbols
    )
