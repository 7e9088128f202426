"""Whether an intent is valid at all, before anything is looked up: its type, and the types of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from framework.domain.intents import AmendOrder, CancelAll, CancelOrder, NewOrder
from framework.domain.orders import Side, TimeInForce

_INT_MAX = 2**63 - 1
"""The largest integer that every record and every venue can hold."""
_TEXT_MAX = 256

_Field = tuple[str, type, int]
"""A field's name, its exact type, and the least value of an int."""

_FIELDS: Mapping[type, tuple[_Field, ...]] = {
    NewOrder: (
        ("strategy", str, 0),
        ("instrument", str, 0),
        ("side", Side, 0),
        ("price", int, 1),
        ("size", int, 1),
        ("time_in_force", TimeInForce, 0),
        ("post_only", bool, 0),
        ("reduce_only", bool, 0),
        ("expires_ns", int, 0),
        ("deadline_ns", int, 0),
    ),
    AmendOrder: (
        ("strategy", str, 0),
        ("client_order_id", str, 0),
        ("price", int, 1),
        ("size", int, 1),
        ("deadline_ns", int, 0),
    ),
    CancelOrder: (("strategy", str, 0), ("client_order_id", str, 0)),
    CancelAll: (("strategy", str, 0), ("venue", str, 0)),
}


def find_flaw(intent: object) -> str:
    """Say what is invalid about an intent; empty when nothing is. Never raises. Types are compared exactly: a bool is
    no size, a float no price, and a subclass may behave in any way."""
    fields = _FIELDS.get(type(intent))
    if fields is None:
        return f"{type(intent).__name__} is not an intent"
    for name, wanted, least in fields:
        value: Any = getattr(intent, name)
        kind = type(value)
        if (
            kind is not wanted
            or (wanted is int and not least <= value <= _INT_MAX)
            or (wanted is str and not is_text(value))
        ):
            return f"{name} is {_shown(value)}; give {_wanted(wanted, least)}"
    return ""


def is_text(value: object) -> bool:
    """Whether it is text that can be written, sent and shown as it is."""
    return type(value) is str and 0 < len(value) <= _TEXT_MAX and value.isprintable()


def _wanted(wanted: type, least: int) -> str:
    if wanted is int:
        return f"an int from {least} to 2**63 - 1"
    return f"1 to {_TEXT_MAX} printable characters" if wanted is str else f"a {wanted.__name__}"


def _shown(value: object) -> str:
    """A value for an error text. Foreign types are only named: their own text may be anything, or an exception."""
    if type(value) is str:
        return ascii(value[:_TEXT_MAX])
    if type(value) is float or type(value) is bool or (type(value) is int and abs(value) <= 2 * _INT_MAX):
        return str(value)
    return f"a {type(value).__name__}"
