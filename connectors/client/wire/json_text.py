"""Reading JSON from outside: one way to say that it is none, and integers that fit a record. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

import msgspec

T = TypeVar("T")

Millis = Annotated[int, msgspec.Meta(ge=0, lt=2**43)]
"""Unix milliseconds before the year 2248, so that nanoseconds fit a record."""

Seconds = Annotated[int, msgspec.Meta(ge=0, lt=2**33)]
"""Unix seconds before the year 2242."""

SmallCount = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
"""A number of things: of a shard, an agent, a page."""

WholeAmount = Annotated[int, msgspec.Meta(ge=-(10**15), le=10**15)]
"""An amount of money in a venue's smallest unit; sums of such fit a record."""


def decode_json(data: bytes, decode: Callable[[bytes], T]) -> T:
    """What `decode`, a decoder of msgspec, reads from bytes. Raises `msgspec.ValidationError` for JSON of another form,
    and `msgspec.DecodeError` for everything that is no JSON."""
    try:
        return decode(data)
    except (UnicodeDecodeError, RecursionError) as e:
        raise msgspec.DecodeError(f"not JSON: {e}") from e
