"""Whether an intent is valid at all, before anything is looked up: its type, and the types of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from framework.domain.intents import AmendOrder, CancelAll, CancelOrder, NewOrder
from framework.domain.orders import Side, TimeInForce

_INT_MAX = 2**63 - 1
"""The largest integer that every record and every venue can hold."""
_TEXT_MAX = 256


class _Field(NamedTuple):
    """What a field of an intent must be: exactly of this type; an int at least `least`."""

    name: str
    type: type
    least: int = 0


_FIELDS: Mapping[type, tuple[_Field, ...]] = {
    NewOrder: (
        _Field("strategy", str),
        _Field("instrument", str),
        _Field("side", Side),
        _Field("price", int, 1),
        _Field("size", int, 1),
        _Field("time_in_force", TimeInForce),
        _Field("post_only", bool),
        _Field("reduce_only", bool),
        _Field("expires_ns", int),
        _Field("deadline_ns", int),
    ),
    AmendOrder: (
        _Field("strategy", str),
        _Field("client_order_id", str),
        _Field("price", int, 1),
        _Field("size", int, 1),
        _Field("deadline_ns", int),
    ),
    CancelOrder: (_Field("strategy", str), _Field("client_order_id", str)),
    CancelAll: (_Field("strategy", str), _Field("venue", str)),
}


def find_flaw(intent: object) -> str:
    """Say what is invalid about an intent; empty when nothing is. Never raises. Types are compared exactly: a bool is
    no size, a float no price, and a subclass may behave in any way."""
    fields = _FIELDS.get(type(intent))
    if fields is None:
        return f"{type(intent).__name__} is not an intent"
    for name, wanted, least in fields:
        value: Any = getattr(intent, name)
        is_valid = type(value) is wanted
        if is_valid and wanted is int:
            is_valid = least <= value <= _INT_MAX
        elif is_valid and wanted is str:
            is_valid = is_text(value)
        if not is_valid:
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
