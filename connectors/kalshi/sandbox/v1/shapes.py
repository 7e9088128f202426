"""The older generation's shapes: whole cents and whole contracts, made of what the current one writes.

The getting-started pages have prices as cents (`yes_price`) beside dollars as text (`yes_price_dollars`), counts as
numbers, and books as pairs of numbers; the current generation has texts only (`*_dollars`, `*_fp`). So each body and
message is made by the same code in both, and its members are written in the older way here. What came with later
generations (shards, `book_side`, tick grids) is left out. *Assumptions*, as the pages show neither: fills state
`fee_cost`, and the stream has `user_orders` and `market_positions`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from connectors.kalshi.sandbox.venue import Venue

_LATER = frozenset(
    {"balance_breakdown", "book_side", "clock", "exchange_index", "exchange_index_statuses", "is_yes", "outcome_side"}
    | {"fractional_trading_enabled", "price_level_structure", "price_ranges", "resting_order_value_breakdown"}
    | {"settlement_bounds_type", "taker_book_side", "taker_outcome_side"}
)
"""Members that the older generation did not have."""
_OF_A_MARKET = {"category": "Climate and Weather", "risk_limit_cents": 0, "tick_size": 1}
"""Members of a market that the current generation does not have any more."""
_NOT_FOUND = {"code": 16, "msg": "Market not found"}
_UNKNOWN_MARKET = 11
"""The current generation's code of a subscription to an unknown market."""


def body_of(venue: Venue, body: Any) -> Any:
    """The body of an answer in the older shapes; errors have none of their own."""
    return _written(body, venue.no_orders)


def frame_of(venue: Venue, frame: dict[str, Any]) -> dict[str, Any]:
    """A frame in the older shapes. The page's examples read `data`, its complete script prints the whole: the message
    stands under both names."""
    message = frame.get("msg")
    if not isinstance(message, dict):
        return frame
    if frame["type"] == "error":
        is_market = message["code"] == _UNKNOWN_MARKET and "market_tickers" in message
        return frame | {"msg": message | _NOT_FOUND} if is_market else frame
    shown = _written(message, venue.no_orders)
    if frame["type"] == "ticker":
        shown |= {"bid": message["yes_bid_dollars"], "ask": message["yes_ask_dollars"]}
    elif frame["type"] == "orderbook_snapshot":
        shown = {name: value for name, value in shown.items() if value}
    return frame | {"msg": shown, "data": shown}


def _written(value: Any, no_orders: set[str]) -> Any:
    if isinstance(value, list):
        return [_written(one, no_orders) for one in value]
    if not isinstance(value, dict):
        return value
    shown: dict[str, Any] = {}
    for name, member in (_directed(value, no_orders) if "book_side" in value else value).items():
        if name not in _LATER:
            shown |= _member(name, member, no_orders)
    if "yes_sub_title" in value and "event_ticker" in value:
        # The page's script prints `yes_price` of a market: taken for its last price (*assumption*).
        shown |= _OF_A_MARKET | {"yes_price": shown["last_price"]}
    return shown


def _member(name: str, value: Any, no_orders: set[str]) -> dict[str, Any]:
    """One member in the older way: an amount of dollars also as cents, a count as a number, a book's side as both."""
    if name == "orderbook_fp":
        return {"orderbook": _written(value, no_orders)}
    stem = name.removesuffix("_fp")
    if stem.endswith("_dollars"):
        if isinstance(value, list):
            cents = [[_cents(price), _whole(count)] for price, count in value]
            return {stem.removesuffix("_dollars"): cents, stem: [[price, _whole(count)] for price, count in value]}
        return {stem.removesuffix("_dollars"): None if value is None else _cents(value), stem: value}
    return {stem: _written(value, no_orders) if stem == name else _whole(value)}


def _directed(row: dict[str, Any], no_orders: set[str]) -> dict[str, Any]:
    """An order or a fill with `action` and `side` as it was given: buying NO is what selling YES is."""
    is_bid, is_no = row["book_side"] == "bid", row["order_id"] in no_orders
    return row | {"action": "buy" if is_bid != is_no else "sell", "side": "no" if is_no else "yes"}


def _cents(dollars: str) -> int:
    return int(Decimal(dollars) * 100)


def _whole(count: str) -> int:
    return int(Decimal(count))
