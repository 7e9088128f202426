"""What no decoder may let into the domain: floats, not-a-numbers, negative prices and sizes, integers beyond 64
bits."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

import msgspec

SIGNED = frozenset({"size", "change", "fee", "fees", "amount", "available", "locked", "offset_ns", "cost", "margin"})
"""Fields that may be below 0 in some struct: see `_may_be_negative`."""
NEGATIVE_SIZES = frozenset({"PositionReport"})
_INT_MAX = 2**63 - 1


def flaws(value: Any, *, where: str = "") -> Iterator[str]:
    """Each thing in an event, an instrument or a record that no decoder may make."""
    if isinstance(value, msgspec.Struct):
        name = type(value).__name__
        for field in value.__struct_fields__:
            yield from _flaws_of_field(name, field, getattr(value, field))
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from flaws(one, where=where)
    elif isinstance(value, float):
        yield f"{where}: the float {value!r}"
    elif isinstance(value, int) and not isinstance(value, bool) and not -_INT_MAX - 1 <= value <= _INT_MAX:
        yield f"{where}: {value} is more than 64 bits"


def _flaws_of_field(struct: str, field: str, value: Any) -> Iterator[str]:
    where = f"{struct}.{field}"
    if isinstance(value, (str, bytes, bool, Enum)) or value is None:
        return
    yield from flaws(value, where=where)
    if isinstance(value, int) and value < 0 and not _may_be_negative(struct, field):
        yield f"{where}: {value} is below 0"
    if field in ("bids", "asks"):
        yield from (f"{where}: level {level}" for level in value if level[0] < 0 or level[1] < 0)


def _may_be_negative(struct: str, field: str) -> bool:
    if field == "size":
        return struct in NEGATIVE_SIZES
    return field in SIGNED
