"""Lists in pages: how the next page is asked for, and reading all of them.

A list is whole or it is an error: what is missing from a list of orders counts as gone. So a list that goes in a
circle, is longer than allowed, or shrinks while it is read, is never returned in part.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from connectors.client.wire.listing import Listing
from framework.domain.errors import RefusedByVenue, Retryable

P = TypeVar("P")

Place = tuple[tuple[str, str | int], ...]
"""The parameters that ask for one page, in their order; empty for the first one."""

_TRIES_MAX = 3


NextPage = Callable[[P, Listing[Any], int], Place | None]
"""How a venue goes on after a page: the page, its rows, and how many rows all pages had until now (those that can't be
read included); the place of the next page, None after the last one."""


def by_cursor(page: Any, _rows: Listing[Any], _count: int, /) -> Place | None:
    """Go on at the field `cursor` of the page; it is empty or None on the last one."""
    return (("cursor", page.cursor),) if page.cursor else None


def by_number(page: Any, _rows: Listing[Any], _count: int, /) -> Place | None:
    """Go on with the next number, counted from 0: the page has the fields `page`, `page_size` and `total`. The size is
    the one that the page states, because venues cut the one asked for silently."""
    size = page.page_size
    return (("page", page.page + 1),) if size > 0 and (page.page + 1) * size < page.total else None


def by_offset(page: Any, rows: Listing[Any], count: int, /) -> Place | None:
    """Go on behind the rows that were read, up to the field `total` of the page; a page without rows is the last one,
    whatever the total says."""
    return (("offset", count),) if count < page.total and (rows.rows or rows.bad) else None


def by_last_id(name: str, id_of: Callable[[Any], int]) -> NextPage[Any]:
    """Go on above the highest id, for lists with the oldest first; a page without rows is the last one.

    `name` is the parameter ("fromId"), whose row the venue counts in. Raises `Retryable` for a page of which no row can
    be read: where the list goes on is not known then.
    """

    def after(_page: object, rows: Listing[Any], _count: int, /) -> Place | None:
        if rows.bad and not rows.rows:
            raise Retryable(f"no row of a page can be read, the first one: {rows.bad[0].reason}")
        return ((name, max(map(id_of, rows.rows)) + 1),) if rows.rows else None

    return after


async def whole_list(
    read: Callable[[Place], Awaitable[tuple[P, Listing[Any]]]],
    next_page: NextPage[P],
    *,
    name: str,
    pages_max: int,
    is_known: Callable[[Any], bool] | None = None,
) -> Listing[Any]:
    """Read the pages of the list `name`, in the venue's order.

    `is_known` ends the reading behind the first page with a row that it knows: for lists of trades with the newest
    first, of which one page need not hold all that are new.

    A page may state a `total`. When that falls, rows have moved to an earlier page and one may have been passed over:
    the list is read again from its beginning, three times in all. When it grows, a row may come twice. Rows that come
    and go in equal numbers are not noticed: what then seems gone must be looked up alone before that counts.

    Raises `RefusedByVenue` when the list has more than `pages_max` pages (`list_too_long`) or a place comes twice
    (`cursor_circle`), `Retryable` when it does not stop changing, and what `read` raises.
    """
    for _ in range(_TRIES_MAX):
        found = await _read_through(read, next_page, name=name, pages_max=pages_max, is_known=is_known)
        if found is not None:
            return found
    raise Retryable(f"{name}: the list shrinks while its pages are read")


async def _read_through(
    read: Callable[[Place], Awaitable[tuple[P, Listing[Any]]]],
    next_page: NextPage[P],
    *,
    name: str,
    pages_max: int,
    is_known: Callable[[Any], bool] | None,
) -> Listing[Any] | None:
    """The whole list; None when its total fell meanwhile."""
    found: Listing[Any] = Listing([], [])
    place: Place | None = ()
    seen: set[Place] = set()
    total = 0
    while place is not None:
        if len(seen) == pages_max:
            raise RefusedByVenue("list_too_long", f"{name}: more than {pages_max=} pages; raise it or narrow the list")
        if place in seen:
            raise RefusedByVenue("cursor_circle", f"{name}: the page {place!r} came twice")
        seen.add(place)
        page, rows = await read(place)
        before, total = total, getattr(page, "total", 0)
        if total < before:
            return None
        found.rows += rows.rows
        found.bad += rows.bad
        is_met = is_known is not None and any(map(is_known, rows.rows))
        place = None if is_met else next_page(page, rows, len(found.rows) + len(found.bad))
    return found
