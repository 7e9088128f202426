"""Whether an intent makes sense at all, before anything is looked up: its type, and the types of its fields."""

from __future__ import annotations

from framework.domain.intents import AmendOrder, CancelAll, CancelOrder, NewOrder
from framework.domain.orders import Side, TimeInForce

_INT_MAX = 2**63 - 1
"""The largest integer that every record and every venue can hold."""
_TEXT_MAX = 256


def find_flaw(intent: object) -> str:
    """Say what makes no sense about an intent; empty when nothing does. Never raises. Types are compared exactly:
    a bool is no size, a float no price."""
    if type(intent) is NewOrder:
        return _new_flaw(intent)
    if type(intent) is AmendOrder:
        return (
            _text_flaw("strategy", intent.strategy)
            or _text_flaw("client_order_id", intent.client_order_id)
            or _number_flaw("price", intent.price, least=1)
            or _number_flaw("size", intent.size, least=1)
            or _number_flaw("deadline_ns", intent.deadline_ns, least=0)
        )
    if type(intent) is CancelOrder:
        return _text_flaw("strategy", intent.strategy) or _text_flaw("client_order_id", intent.client_order_id)
    if type(intent) is CancelAll:
        return _text_flaw("strategy", intent.strategy) or _text_flaw("venue", intent.venue)
    return f"{type(intent).__name__} is not an intent"


def is_text(value: object) -> bool:
    """Whether it is text that can be written, sent and shown as it is."""
    return type(value) is str and 0 < len(value) <= _TEXT_MAX and value.isprintable()


def _new_flaw(intent: NewOrder) -> str:
    return (
        _text_flaw("strategy", intent.strategy)
        or _text_flaw("instrument", intent.instrument)
        or _type_flaw("side", intent.side, Side)
        or _number_flaw("price", intent.price, least=1)
        or _number_flaw("size", intent.size, least=1)
        or _type_flaw("time_in_force", intent.time_in_force, TimeInForce)
        or _type_flaw("post_only", intent.post_only, bool)
        or _type_flaw("reduce_only", intent.reduce_only, bool)
        or _number_flaw("expires_ns", intent.expires_ns, least=0)
        or _number_flaw("deadline_ns", intent.deadline_ns, least=0)
    )


def _number_flaw(field: str, value: object, *, least: int) -> str:
    if type(value) is int and least <= value <= _INT_MAX:
        return ""
    return f"{field} is {_shown(value)}; give an int from {least} to 2**63 - 1"


def _text_flaw(field: str, value: object) -> str:
    if is_text(value):
        return ""
    return f"{field} is {_shown(value)}; give 1 to {_TEXT_MAX} printable characters"


def _type_flaw(field: str, value: object, wanted: type) -> str:
    return "" if type(value) is wanted else f"{field} is {_shown(value)}; give a {wanted.__name__}"


def _shown(value: object) -> str:
    """A value for an error text. Foreign types are only named: their own text may be anything, or an exception."""
    if type(value) is str:
        return ascii(value[:_TEXT_MAX])
    if type(value) is float or type(value) is bool or (type(value) is int and abs(value) <= 2 * _INT_MAX):
        return str(value)
    return f"a {type(value).__name__}"
