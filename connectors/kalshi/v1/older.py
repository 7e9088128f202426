"""What the older generation of Kalshi writes, put into the shapes of the current one. Pure: JSON in, JSON out.

Documented by the vendor's older getting-started pages: prices as whole cents (`yes_price`), counts as numbers, `action`
and `side` for a direction, books as pairs of cents and contracts, NO levels in NO prices. It is done in every dialect:
a body or a frame in the current shapes is never changed, and an older one could not be read without it.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from framework.domain.plausibility import UNREADABLE

_COUNTS = ("count", "fill_count", "initial_count", "position", "remaining_count")
_CENTS = ("no_price", "settlement_value", "yes_price")
_CURRENT_SIDES = {"yes_dollars_fp", "no_dollars_fp"}
_OLDER = re.compile(rb'"(?:%s)":\s*-?[0-9]' % "|".join((*_COUNTS, *_CENTS)).encode())
"""A number where the current generation has a text under another name."""


def current_body(body: bytes) -> bytes:
    """The body of an answer with its rows in the current shapes; as it is when nothing of it is older, or it is no
    JSON."""
    if _OLDER.search(body) is None:
        return body
    try:
        return msgspec.json.encode(_current(msgspec.json.decode(body)))
    except UNREADABLE:
        return body


def current_frame(frame: dict[str, Any]) -> dict[str, Any]:
    """A frame that could not be read, in the current shapes, NO levels as YES prices.

    What is not older stays as it is, and can't be read then either. Raises `msgspec.ValidationError` for an older book
    that can't be read.
    """
    kind, message = frame.get("type"), frame.get("msg")
    if not isinstance(message, dict):
        return frame
    shown = _current(message)
    if kind == "orderbook_snapshot" and not message.keys() & _CURRENT_SIDES:
        shown |= {f"{side}_dollars_fp": _levels(message.get(side), is_no=side == "no") for side in ("yes", "no")}
    elif kind == "orderbook_delta" and _is_number(message.get("price")) and _is_number(message.get("delta")):
        is_no = message.get("side") == "no"
        shown |= {"price_dollars": _dollars(message["price"], is_no=is_no), "delta_fp": str(message["delta"])}
    return frame | {"msg": shown}


def _current(value: Any) -> Any:
    if isinstance(value, list):
        return [_current(one) for one in value]
    if not isinstance(value, dict):
        return value
    row = {name: _current(member) for name, member in value.items()}
    counts = {f"{name}_fp": str(row[name]) for name in _COUNTS if _is_number(row.get(name))}
    prices = {f"{name}_dollars": _dollars(row[name]) for name in _CENTS if _is_number(row.get(name))}
    if row.get("action") in ("buy", "sell") and row.get("side") in ("yes", "no"):
        # Selling NO is what buying YES is.
        counts["book_side"] = "bid" if (row["action"] == "buy") == (row["side"] == "yes") else "ask"
    return counts | prices | row


def _levels(levels: object, *, is_no: bool) -> list[tuple[str, str]]:
    pairs = msgspec.convert(levels or [], list[tuple[int, int]])
    return [(_dollars(price, is_no=is_no), str(count)) for price, count in pairs]


def _dollars(cents: int, *, is_no: bool = False) -> str:
    """Cents as dollars: of the YES contract where they are of the NO."""
    value = 100 - cents if is_no else cents
    return f"{value // 100}.{value % 100:02d}"


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
