"""Whether an intent is valid at all, before anything is looked up: its type, the types of its fields, and whether they
fit together; and, once its instrument is known, whether its venue offers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from framework.domain.instruments import NOTIONAL_LIMIT
from framework.domain.intents import AmendOrder, CancelAll, CancelOrder, NewOrder
from framework.domain.orders import OrderKind, Side, TimeInForce, Trigger, TriggerBy, TriggerKind
from framework.domain.terms import VenueTerms
from framework.domain.verdicts import Refusal, RefusalCode

_INT_MAX = 2**63 - 1
"""The largest integer that every record and every venue can hold."""
_TEXT_MAX = 256

_Field = tuple[str, type, int]
"""A field's name, its exact type, and the least value of an int or length of a text."""

_FIELDS: Mapping[type, tuple[_Field, ...]] = {
    NewOrder: (
        ("strategy", str, 1),
        ("instrument", str, 1),
        ("side", Side, 0),
        ("price", int, 1),
        ("size", int, 1),
        ("time_in_force", TimeInForce, 0),
        ("post_only", bool, 0),
        ("reduce_only", bool, 0),
        ("expires_ns", int, 0),
        ("deadline_ns", int, 0),
        ("kind", OrderKind, 0),
        ("quote_amount", int, 0),
        ("allow_duplicate", bool, 0),
    ),
    Trigger: (("kind", TriggerKind, 0), ("price", int, 1), ("by", TriggerBy, 0)),
    AmendOrder: (
        ("strategy", str, 1),
        ("client_order_id", str, 1),
        ("price", int, 1),
        ("size", int, 1),
        ("deadline_ns", int, 0),
    ),
    CancelOrder: (("strategy", str, 1), ("client_order_id", str, 1)),
    CancelAll: (("strategy", str, 1), ("venue", str, 1), ("instrument", str, 0)),
}
_VALUES: Mapping[type, Callable[[Any], tuple[Any, ...]]] = {
    kind: attrgetter(*(name for name, _, _ in fields)) for kind, fields in _FIELDS.items()
}
_INTENTS = frozenset({NewOrder, AmendOrder, CancelOrder, CancelAll})


def find_flaw(intent: object) -> str:
    """Say what is invalid about an intent; empty when nothing is. Never raises. Types are compared exactly: a bool is
    no size, a float no price, and a subclass may behave in any way.

    Invalid is also what contradicts itself: a market order that is to rest (good-till-cancelled or post-only), a
    post-only order that may not rest, and an amount of the quote currency for a limit order, or one that is more than
    all of the size is worth at the worst price.
    """
    if type(intent) not in _INTENTS:
        return f"{type(intent).__name__} is not an intent"
    flaw = _find_field_flaw(intent)
    if flaw or not isinstance(intent, NewOrder):
        return flaw
    return (_find_trigger_flaw(intent.trigger) if intent.trigger is not None else "") or _find_contradiction(intent)


def find_unoffered(intent: NewOrder | AmendOrder, terms: VenueTerms) -> Refusal | None:
    """What the venue does not offer of this: NOT_OFFERED with the field, its value and what is offered, or with a
    sentence where the account's key may not trade at all. Also BAD_SIZE for an order whose price times size is more
    than a record can hold (2^62)."""
    if intent.price * intent.size >= NOTIONAL_LIMIT:
        return Refusal(RefusalCode.BAD_SIZE, size=intent.size, price=intent.price, why="price times size passes 2^62")
    if not terms.trading:
        return Refusal(RefusalCode.NOT_OFFERED, why="the key of this account may not trade: data only; use another key")
    if isinstance(intent, AmendOrder):
        return None if terms.amend else _unoffered("amend", "true", ())
    return _find_unoffered_kind(intent, terms) or _find_unoffered_flag(intent, terms)


def _find_unoffered_kind(intent: NewOrder, terms: VenueTerms) -> Refusal | None:
    if intent.kind not in terms.order_kinds:
        return _unoffered("kind", intent.kind.value, [one.value for one in terms.order_kinds])
    if intent.trigger is not None and intent.trigger.kind not in terms.triggers:
        return _unoffered("trigger", intent.trigger.kind.value, [one.value for one in terms.triggers])
    if intent.quote_amount and not terms.quote_amounts:
        return _unoffered("quote_amount", str(intent.quote_amount), ["size"])
    return None


def _find_unoffered_flag(intent: NewOrder, terms: VenueTerms) -> Refusal | None:
    # Immediate-or-cancel is what a market order is; a venue need not have a word for it.
    is_immediate = intent.kind is OrderKind.MARKET and intent.time_in_force is TimeInForce.IMMEDIATE_OR_CANCEL
    if intent.time_in_force not in terms.times_in_force and not is_immediate:
        return _unoffered("time_in_force", intent.time_in_force.value, [one.value for one in terms.times_in_force])
    if intent.post_only and not terms.post_only:
        return _unoffered("post_only", "true", ["false"])
    if intent.reduce_only and not terms.reduce_only:
        return _unoffered("reduce_only", "true", ["false"])
    if intent.expires_ns and not terms.good_till_date:
        return _unoffered("expires_ns", str(intent.expires_ns), ["0"])
    return None


def _unoffered(field: str, value: str, offered: Sequence[str]) -> Refusal:
    return Refusal(RefusalCode.NOT_OFFERED, **{field: value}, offered=",".join(offered) or "none")


def _find_contradiction(intent: NewOrder) -> str:
    is_resting = intent.time_in_force is TimeInForce.GOOD_TILL_CANCELLED
    if intent.post_only and not is_resting:
        return f"post_only with time_in_force {intent.time_in_force.value}; such an order never rests: leave one out"
    if intent.kind is OrderKind.MARKET:
        if is_resting:
            return "time_in_force is gtc; a market order never rests: give ioc or fok"
        if intent.quote_amount > intent.price * intent.size:
            most = intent.price * intent.size
            return f"quote_amount is {intent.quote_amount}; at the worst price all of the size is worth {most}"
    elif intent.quote_amount:
        return f"quote_amount is {intent.quote_amount}; only a market order has one: kind is {intent.kind.value}"
    return ""


def _find_trigger_flaw(trigger: object) -> str:
    if type(trigger) is not Trigger:
        return f"trigger is {_shown(trigger)}; give a Trigger"
    return f"trigger.{flaw}" if (flaw := _find_field_flaw(trigger)) else ""


def _find_field_flaw(intent: object) -> str:
    values = _VALUES[type(intent)](intent)
    for value, (name, wanted, least) in zip(values, _FIELDS[type(intent)], strict=True):
        kind = type(value)
        if (
            kind is not wanted
            or (wanted is int and not least <= value <= _INT_MAX)
            or (wanted is str and not is_text(value, least))
        ):
            return f"{name} is {_shown(value)}; give {_wanted(wanted, least)}"
    return ""


def is_text(value: object, least: int = 1) -> bool:
    """Whether it is text that can be written, sent and shown as it is, with `least` characters or more."""
    return type(value) is str and least <= len(value) <= _TEXT_MAX and value.isprintable()


def _wanted(wanted: type, least: int) -> str:
    if wanted is int:
        return f"an int from {least} to 2**63 - 1"
    return f"{least} to {_TEXT_MAX} printable characters" if wanted is str else f"a {wanted.__name__}"


def _shown(value: object) -> str:
    """A value for an error text. Foreign types are only named: their own text may be anything, or an exception."""
    if type(value) is str:
        return ascii(value[:_TEXT_MAX])
    if type(value) is float or type(value) is bool or (type(value) is int and abs(value) <= 2 * _INT_MAX):
        return str(value)
    return f"a {type(value).__name__}"
