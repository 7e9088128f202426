"""What no event of a venue may hold, whatever a connector makes of a broken message: numbers that no record can hold,
and prices and sizes below 0. Such an event is refused before anything is recorded: it would stop the journal."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from framework.domain.account_events import (
    BalanceReport,
    CashFlow,
    Fill,
    InstrumentSettled,
    OrderReport,
    OrderSnapshot,
    PositionReport,
)

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
    Fill: ("fee", "cost", "fee_decimals"),
    OrderSnapshot: ("cost", "fees"),
    PositionReport: ("size", "entry", "mark", "liquidation", "margin", "leverage"),
    BalanceReport: ("amount", "decimals", "available", "locked"),
    CashFlow: ("amount", "decimals"),
}
"""Other numbers, which may be below 0."""


def _getter(fields: tuple[str, ...]) -> Callable[[Any], tuple[int | None, ...]]:
    get: Callable[[Any], Any] = attrgetter(*fields)
    return get if len(fields) > 1 else lambda event: (get(event),)


_UNSIGNED_OF = {kind: _getter(fields) for kind, fields in _UNSIGNED.items()}
_SIGNED_OF = {kind: _getter(fields) for kind, fields in _SIGNED.items()}


def implausible(event: object) -> str:
    """Which number of an event can't be, with its field; empty when all can, and for events without numbers of a
    venue."""
    kind = type(event)
    if (unsigned := _UNSIGNED_OF.get(kind)) is None:
        return ""
    for value in unsigned(event):
        if value is not None and not 0 <= value < _ABOVE:
            return _named(event, _UNSIGNED[kind], low=0)
    if (signed := _SIGNED_OF.get(kind)) is not None:
        for value in signed(event):
            if value is not None and not _BELOW < value < _ABOVE:
                return _named(event, _SIGNED[kind], low=_BELOW + 1)
    return ""


def _named(event: object, fields: tuple[str, ...], *, low: int) -> str:
    values = ((field, getattr(event, field)) for field in fields)
    field, value = next(one for one in values if one[1] is not None and not low <= one[1] < _ABOVE)
    return f"{type(event).__name__}.{field}: {value} is {'below 0' if value < 0 <= low else 'more than 64 bits'}"
