"""What is asked of KalqiX: actions without their time and signature, which the signing adds (`sign.signing`). Pure.

Every number that is signed as text is written once, in its shortest form.
"""

from __future__ import annotations

import msgspec

from connectors.client.wire.calls import Call, path_part
from connectors.client.wire.decimals import NS_PER_MS, plain_text, to_base_units
from connectors.kalqix.dialect import Dialect
from connectors.kalqix.wire.rows import Market
from framework.domain.errors import RefusedByVenue
from framework.domain.instruments import Instrument
from framework.domain.intents import NewOrder
from framework.domain.orders import OrderKind, Side, TimeInForce

Fields = dict[str, str | int]

_IMMEDIATE = 1
_TIMES_IN_FORCE = {
    TimeInForce.GOOD_TILL_CANCELLED: 0,
    TimeInForce.IMMEDIATE_OR_CANCEL: _IMMEDIATE,
    TimeInForce.FILL_OR_KILL: 2,
}


def order_fields(
    dialect: Dialect, client_order_id: str, intent: NewOrder, instrument: Instrument, market: Market
) -> Fields:
    """A new order. One at the market has no price at the venue, so it is sent as a limit order at its worst price that
    never rests; only one by amount goes as MARKET, for buyers. Its end date is cut to milliseconds.

    Raises `RefusedByVenue` for a sale by amount, which the venue does not have, and for numbers without base units.
    """
    if intent.quote_amount and intent.side is Side.SELL:
        raise RefusedByVenue("not_offered", "only a buyer can give an amount of the quote currency; give a size")
    try:
        price, size, amount = _amounts(dialect, intent, instrument, market)
    except ValueError as e:
        raise RefusedByVenue("no_base_units", str(e)) from e
    fields: Fields = {
        "action": "PLACE_ORDER",
        "ticker": instrument.symbol.replace("_", dialect.slash),
        "side": intent.side.value.upper(),
        "order_type": "MARKET" if amount else "LIMIT",
        "quantity": size,
        "price": price,
        "time_in_force": _time_in_force(intent),
        "expires_at": intent.expires_ns // NS_PER_MS,
    }
    return fields | ({"client_order_id": client_order_id} if dialect.has_agents else {"quote_quantity": amount})


def place_order(fields: Fields) -> Call:
    """The request of a new order, from `order_fields`."""
    return Call("POST", "/orders", msgspec.json.encode(fields))


def cancel_order(order_id: str, agent: Fields) -> Call:
    """The end of one order. `agent` is the signing agent's index in B, empty in A."""
    fields = {"action": "CANCEL_ORDER", "order_id": order_id, **agent}
    return Call("DELETE", f"/orders/{path_part(order_id)}", msgspec.json.encode(fields), is_urgent=True)


def cancel_all_orders(market_id: int, agent: Fields) -> Call:
    """The end of every open order in a market."""
    fields = {"action": "CANCEL_ALL_ORDERS", "market": market_id, **agent}
    return Call("DELETE", "/users/me/cancel-all-orders", msgspec.json.encode(fields), is_urgent=True)


def _time_in_force(intent: NewOrder) -> int:
    number = _TIMES_IN_FORCE[intent.time_in_force]
    return number if intent.kind is OrderKind.LIMIT else max(number, _IMMEDIATE)


def _amounts(dialect: Dialect, intent: NewOrder, one: Instrument, market: Market) -> tuple[str, str, str]:
    """Price, size and amount as texts; of price and size, or the amount, the others are empty."""
    if intent.quote_amount:
        return "", "", plain_text(intent.quote_amount, one.money_decimals)
    if not dialect.has_agents:
        return plain_text(intent.price, one.price_decimals), plain_text(intent.size, one.size_decimals), ""
    quote, base = market.quote_decimals, market.base_decimals
    price = to_base_units(intent.price, decimals=one.price_decimals, base_decimals=quote, field="price")
    return price, to_base_units(intent.size, decimals=one.size_decimals, base_decimals=base, field="size"), ""
