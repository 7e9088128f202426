"""What no event may hold, whatever a connector makes of a broken message: numbers that no record can hold, prices and
sizes below 0, scales that no amount has, and anything that could not be read again from a record. Such an event is
refused before anything is recorded: it would stop the journal, or the next start."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from framework.domain.account_events import (
    AccountEvent,
    BalanceReport,
    CashFlow,
    Fill,
    InstrumentSettled,
    OrderReport,
    OrderSnapshot,
    PositionReport,
)
from framework.domain.market_events import LimitsDeclared, TermsDeclared
from framework.domain.numbers import DECIMALS_MAX

T = TypeVar("T", bound=msgspec.Struct)

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decoder of msgspec raises for bytes that are not what it reads, no UTF-8, or nest deeper than the stack."""

EVENT_BYTES_MAX = 2 * 1024 * 1024
"""Longest event as it is written, in bytes. The largest that is meant to be is what a strategy saves."""

TEXT_MAX = 2_000
"""Longest text for people in an event, in characters, where it had to be made plain."""
_TEXTS = ("reason", "detail")

_BELOW, _ABOVE = -(2**63) - 1, 2**63
_UNSIGNED: dict[type, tuple[str, ...]] = {
    Fill: ("price", "size", "ts_venue", "ts_recv"),
    OrderSnapshot: ("price", "size", "filled", "ts_venue", "ts_recv", "created_ns"),
    OrderReport: ("ts_venue", "ts_recv", "filled", "size", "price"),
    PositionReport: ("ts_venue", "ts_recv"),
    BalanceReport: ("ts_recv",),
    CashFlow: ("ts_venue", "ts_recv"),
    InstrumentSettled: ("value", "ts_venue", "ts_recv"),
}
"""Fields that may not be below 0."""
_SIGNED: dict[type, tuple[str, ...]] = {
    Fill: ("fee", "cost"),
    OrderSnapshot: ("cost", "fees"),
    PositionReport: ("size", "entry", "mark", "liquidation", "margin", "leverage"),
    BalanceReport: ("amount", "available", "locked"),
    CashFlow: ("amount",),
}
"""Other numbers, which may be below 0."""
_SCALES: dict[type, tuple[str, ...]] = {Fill: ("fee_decimals",), BalanceReport: ("decimals",), CashFlow: ("decimals",)}
"""Decimals of amounts. Ten to the power of them is computed."""


def _getter(fields: tuple[str, ...]) -> Callable[[Any], tuple[int | None, ...]]:
    get: Callable[[Any], Any] = attrgetter(*fields)
    return get if len(fields) > 1 else lambda event: (get(event),)


_RANGES = ((_UNSIGNED, 0, _ABOVE), (_SIGNED, _BELOW + 1, _ABOVE), (_SCALES, 0, DECIMALS_MAX + 1))
_RANGES_OF = {
    kind: [(_getter(table[kind]), table[kind], low, above) for table, low, above in _RANGES if kind in table]
    for kind in _UNSIGNED
}
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AccountEvent | LimitsDeclared | TermsDeclared).decode


def implausible(event: object) -> str:
    """What of an event can't be, with its field where it is a number; empty when all of it can."""
    try:
        for get, fields, low, above in _RANGES_OF.get(type(event), ()):
            for value in get(event):
                if value is not None and not low <= value < above:
                    return _named(event, fields, low, above)
    except TypeError:
        pass  # it is no number: reading the event again says so
    return _unreadable(event)


def in_plain_text(event: T) -> T:
    """An event whose texts for people are short and can be written, whoever they come from: an error's text must not
    keep a halt, a quarantine or an answer about an order out of the records."""
    texts = {field: getattr(event, field, None) for field in _TEXTS}
    plain = {field: _plain(text) for field, text in texts.items() if isinstance(text, str)}
    return msgspec.structs.replace(event, **plain) if plain else event


def _plain(text: str) -> str:
    return text[:TEXT_MAX].encode("utf-8", "backslashreplace").decode()


def _named(event: object, fields: tuple[str, ...], low: int, above: int) -> str:
    values = ((field, getattr(event, field)) for field in fields)
    field, value = next(one for one in values if one[1] is not None and not low <= one[1] < above)
    most = f"more than {above - 1}" if above < _ABOVE else "more than 64 bits"
    return f"{type(event).__name__}.{field}: {value} is {'below 0' if value < 0 <= low else most}"


def _unreadable(event: object) -> str:
    """Why an event could not be read again from its record, as text of another type, or that is no Unicode."""
    try:
        written = _encode(event)
        if len(written) > EVENT_BYTES_MAX:
            return f"{type(event).__name__}: {len(written)} bytes are more than {EVENT_BYTES_MAX}"
        _decode(written)
    except (msgspec.MsgspecError, OverflowError, TypeError, ValueError, RecursionError) as e:
        return f"{type(event).__name__}: no record can hold it: {e}"
    return ""
