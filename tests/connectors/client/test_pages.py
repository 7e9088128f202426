"""Lists in pages, in every way that venues number them: whole, or an error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from connectors.client.pages import NextPage, Place, by_cursor, by_last_id, by_number, by_offset, whole_list
from connectors.client.wire.listing import BadRow, Listing
from framework.domain.errors import RefusedByVenue, Retryable


class Page(msgspec.Struct):
    """A page in the words of all venues."""

    cursor: str | None = ""
    page: int = 0
    page_size: int = 0
    total: int = 0


Read = Callable[[dict[str, Any]], tuple[Page, Sequence[int]]]


class Venue:
    """Answers reads by a function of their parameters, and keeps what it was asked."""

    def __init__(self, answer: Read) -> None:
        self.asked: list[Place] = []
        self._answer = answer

    async def read(self, place: Place) -> tuple[Page, Listing[int]]:
        self.asked.append(place)
        page, rows = self._answer(dict(place))
        bad = [BadRow({"id": row}, "odd") for row in rows if row < 0]
        return page, Listing([row for row in rows if row >= 0], bad)

    def whole(
        self, next_page: NextPage[Page], *, pages_max: int = 9, is_known: Callable[[int], bool] | None = None
    ) -> Listing[int]:
        return asyncio.run(whole_list(self.read, next_page, name="/orders", pages_max=pages_max, is_known=is_known))


def cut(rows: Sequence[int], start: int, size: int) -> Sequence[int]:
    return rows[start : start + size]


TEN = range(10)


def test_cursor_when_it_is_empty_then_the_list_is_whole() -> None:
    pages = {"": ("b", [1, 2]), "b": ("c", []), "c": (None, [3])}
    venue = Venue(lambda asked: (Page(cursor=pages[asked.get("cursor", "")][0]), pages[asked.get("cursor", "")][1]))
    assert venue.whole(by_cursor).rows == [1, 2, 3]
    assert venue.asked == [(), (("cursor", "b"),), (("cursor", "c"),)]


def test_number_when_the_venue_cuts_the_size_silently_then_no_row_is_left_out() -> None:
    def answer(asked: dict[str, Any]) -> tuple[Page, Sequence[int]]:
        number = asked.get("page", 0)
        return Page(page=number, page_size=4, total=10), cut(TEN, number * 4, 4)

    venue = Venue(answer)
    assert venue.whole(by_number).rows == list(TEN)
    assert venue.asked == [(), (("page", 1),), (("page", 2),)]


def test_offset_when_a_page_is_short_then_the_next_begins_behind_it() -> None:
    def answer(asked: dict[str, Any]) -> tuple[Page, Sequence[int]]:
        start = asked.get("offset", 0)
        return Page(total=10), cut(TEN, start, 4 if start else 3)

    venue = Venue(answer)
    assert venue.whole(by_offset).rows == list(TEN)
    assert [dict(place).get("offset", 0) for place in venue.asked] == [0, 3, 7]


def test_offset_when_the_total_promises_more_than_there_is_then_the_reading_ends() -> None:
    venue = Venue(lambda asked: (Page(total=99), cut(TEN, int(asked.get("offset", 0)), 5)))
    assert venue.whole(by_offset).rows == list(TEN)


def test_last_id_when_a_page_has_no_row_then_the_list_is_whole() -> None:
    venue = Venue(lambda asked: (Page(), [row for row in TEN if row >= int(asked.get("fromId", 0))][:4]))
    assert venue.whole(by_last_id("fromId", int)).rows == list(TEN)
    assert [dict(place).get("fromId", 0) for place in venue.asked] == [0, 4, 8, 10]


def test_last_id_when_no_row_of_a_page_can_be_read_then_the_list_proves_nothing() -> None:
    with pytest.raises(Retryable, match="no row of a page can be read"):
        Venue(lambda _asked: (Page(), [-1, -2])).whole(by_last_id("fromId", int))


def test_trades_when_a_known_one_is_met_then_no_older_page_is_read() -> None:
    def answer(asked: dict[str, Any]) -> tuple[Page, Sequence[int]]:
        number = asked.get("page", 0)
        return Page(page=number, page_size=3, total=10), cut(list(reversed(TEN)), number * 3, 3)

    venue = Venue(answer)
    assert venue.whole(by_number, is_known=lambda trade: trade <= 5).rows == [9, 8, 7, 6, 5, 4]
    assert len(venue.asked) == 2


@pytest.mark.parametrize("seen", [["b"], ["b", "c"]])
def test_list_when_its_pages_go_in_a_circle_then_it_is_an_error(seen: list[str]) -> None:
    cursors = iter(seen * 9)
    with pytest.raises(RefusedByVenue, match="cursor_circle"):
        Venue(lambda _asked: (Page(cursor=next(cursors)), [1])).whole(by_cursor)


def test_list_when_it_is_longer_than_allowed_then_it_is_an_error_and_no_more_is_asked() -> None:
    numbers = iter(range(99))
    venue = Venue(lambda _asked: (Page(cursor=str(next(numbers))), [1]))
    with pytest.raises(RefusedByVenue, match="list_too_long: /orders: more than pages_max=4 pages"):
        venue.whole(by_cursor, pages_max=4)
    assert len(venue.asked) == 4


def shrinking(falls: int) -> Venue:
    """Ten rows in pages of four; while the second page is asked for, one of the first page ends, `falls` times."""
    rows = list(TEN)

    def answer(asked: dict[str, Any]) -> tuple[Page, Sequence[int]]:
        number = asked.get("page", 0)
        if number == 1 and len(rows) > 10 - falls:
            rows.pop(0)
        return Page(page=number, page_size=4, total=len(rows)), cut(rows, number * 4, 4)

    return Venue(answer)


def test_list_when_it_shrinks_between_two_pages_then_it_is_read_again_because_a_row_was_passed_over() -> None:
    assert shrinking(1).whole(by_number).rows == list(range(1, 10))
    with pytest.raises(Retryable, match="shrinks"):
        shrinking(9).whole(by_number)


def test_list_when_it_grows_between_two_pages_then_every_row_is_there() -> None:
    rows = list(TEN)

    def answer(asked: dict[str, Any]) -> tuple[Page, Sequence[int]]:
        number = asked.get("page", 0)
        if number == 1:
            rows.insert(0, 10)
        return Page(page=number, page_size=5, total=len(rows)), cut(rows, number * 5, 5)

    assert set(Venue(answer).whole(by_number).rows) >= set(TEN)


def test_rows_when_they_can_not_be_read_then_they_count_for_the_offset() -> None:
    venue = Venue(lambda asked: (Page(total=4), [[0, -1], [2, 3]][int(asked.get("offset", 0)) // 2]))
    found = venue.whole(by_offset)
    assert (found.rows, len(found.bad)) == ([0, 2, 3], 1)
