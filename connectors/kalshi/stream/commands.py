"""Kalshi's channels and how its commands are written. Pure.

Vendor docs: one subscription id per channel, the acknowledgement comes before any data, and the id of a command is
repeated in its response.
"""

from __future__ import annotations

import msgspec

from connectors.client.subscriptions import Action, Channel, Command

BOOK = "orderbook_delta"
TRADE = "trade"
TICKER = "ticker"
FILL = "fill"
ORDERS = "user_orders"
POSITIONS = "market_positions"
LIFECYCLE = "market_lifecycle_v2"
MULTIVARIATE_LIFECYCLE = "multivariate_market_lifecycle"
GROUPS = "order_group_updates"

CHANNELS = {
    # The account first: own fills and orders matter more than any book, so theirs are asked for before it.
    FILL: Channel(FILL, is_account=True),
    ORDERS: Channel(ORDERS, is_account=True),
    POSITIONS: Channel(POSITIONS, is_optional=True),
    LIFECYCLE: Channel(LIFECYCLE),
    MULTIVARIATE_LIFECYCLE: Channel(MULTIVARIATE_LIFECYCLE, is_optional=True),
    GROUPS: Channel(GROUPS, is_optional=True),
    BOOK: Channel(BOOK, is_by_symbol=True, has_books=True),
    TRADE: Channel(TRADE, is_by_symbol=True),
    TICKER: Channel(TICKER, is_by_symbol=True, is_optional=True),
}
"""Every channel that is used, in the order in which they are asked for."""

DEFAULT_CHANNELS = (FILL, ORDERS, POSITIONS, LIFECYCLE, GROUPS, BOOK, TRADE)
"""All but those for some settings only: TICKER, and MULTIVARIATE_LIFECYCLE, the news of markets with several legs."""

_UPDATES = {Action.ADD: "add_markets", Action.REMOVE: "delete_markets", Action.SNAPSHOT: "get_snapshot"}
_ENCODER = msgspec.json.Encoder()


def encode_command(one: Command, *, yes_prices: bool = True) -> tuple[bytes]:
    """The text frame of a command; books are asked for with `yes_prices` where the venue can write them."""
    name, params = _body(one, yes_prices=yes_prices)
    return (_ENCODER.encode({"id": one.number, "cmd": name, "params": params}),)


def _body(one: Command, *, yes_prices: bool) -> tuple[str, dict[str, object]]:
    if one.action is Action.PROBE:
        return "list_subscriptions", {}
    if one.action is Action.UNSUBSCRIBE:
        return "unsubscribe", {"sids": [one.sid]}
    if (update := _UPDATES.get(one.action)) is not None:
        return "update_subscription", {"sids": [one.sid], "action": update, "market_tickers": one.symbols}
    params: dict[str, object] = {"channels": [one.channel]}
    if one.symbols:
        params["market_tickers"] = one.symbols
    if one.channel == BOOK and yes_prices:
        # The venue's default will change (vendor docs), so the choice is always sent.
        params["use_yes_price"] = True
    return "subscribe", params
