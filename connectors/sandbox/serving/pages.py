"""Pages of listings, in the ways in which venues give them: cursor, page number, offset, and from an id."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from connectors.sandbox.serving.faults import FaultPlan

T = TypeVar("T")
Keyed = Sequence[tuple[int, T]]
"""Pairs of a unique key and an item."""
_CURSOR = re.compile(r"k1:(-?[0-9]{1,40})")


def clamped(asked: int, most: int, *, faults: FaultPlan, listing: str) -> int:
    """The size of a page: what was asked for, at most `most`, and less where a fault `page_clamp` strikes `listing`."""
    fault = faults.take("page_clamp", listing=listing)
    size = min(asked, most)
    return size if fault is None else max(1, min(size, int(fault.params.get("size", 1))))


def newest_first(items: Iterable[T], keeps: Callable[[T], bool]) -> list[tuple[int, T]]:
    """Those `items` (oldest first, only ever appended to) that `keeps` accepts, the newest first, keyed by place."""
    numbered = [(number, item) for number, item in enumerate(items) if keeps(item)]
    numbered.reverse()
    return numbered


def newest_by_time(items: Iterable[T], ns_of: Callable[[T], int], keeps: Callable[[T], bool]) -> list[tuple[int, T]]:
    """Those `items` that `keeps` accepts, the latest first, keyed by time and by place among those of the same time.

    For listings that lose old items, or that hold one account after another: there the place alone names another item
    on the next page. Items of the same time keep their order; at most 10,000 share one.
    """
    ranked: list[tuple[int, T]] = []
    place, last_ns = 0, -1
    for item in sorted(items, key=ns_of):
        place = place + 1 if ns_of(item) == last_ns else 0
        last_ns = ns_of(item)
        if keeps(item):
            ranked.append((last_ns * 10_000 + place, item))
    ranked.reverse()
    return ranked


def by_cursor(keyed: Keyed[T], cursor: str, *, size: int) -> tuple[list[T], str]:
    """The page that `cursor` asks for, and the cursor of the next one, "" on the last page.

    The pairs are sorted by key from high to low. A cursor that cannot be read gives the first page.
    """
    before = decode_cursor(cursor)
    rest = keyed if before is None else [pair for pair in keyed if pair[0] < before]
    shown = rest[:size]
    return [item for _, item in shown], encode_cursor(shown[-1][0]) if len(rest) > size and shown else ""


def by_number(items: Sequence[T], page: int, *, size: int) -> list[T]:
    """Page `page`, counted from 0; empty behind the last one and below 0."""
    return by_offset(items, page * size, size=size)


def by_offset(items: Sequence[T], offset: int, *, size: int) -> list[T]:
    """At most `size` items from place `offset` on, counted from 0; empty behind the last one and below 0."""
    return list(items[offset : offset + size]) if offset >= 0 else []


def from_id(keyed: Keyed[T], first: int | None, *, size: int) -> list[T]:
    """At most `size` items whose key is `first` or higher; the last ones when it is None. Keys rise."""
    rest = keyed if first is None else [pair for pair in keyed if pair[0] >= first]
    shown = rest[-size:] if first is None else rest[:size]
    return [item for _, item in shown]


def encode_cursor(key: int) -> str:
    """A cursor, opaque to clients, that continues below `key`."""
    return base64.urlsafe_b64encode(f"k1:{key}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> int | None:
    """The key inside a cursor, or None for anything that `encode_cursor` did not make."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        return None
    found = _CURSOR.fullmatch(text)
    return None if found is None else int(found.group(1))
