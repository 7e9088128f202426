"""Pages, windows and values used once, each by itself."""

from __future__ import annotations

import pytest

from connectors.sandbox.serving.decimals import fixed, trimmed
from connectors.sandbox.serving.keys import UsedOnce, hmac_is_valid
from connectors.sandbox.serving.limits import RequestWindow
from connectors.sandbox.serving.pages import by_cursor, by_number, by_offset, from_id, newest_by_time, newest_first

NS = 1_000_000_000


def test_cursor_when_rows_come_between_pages_then_none_is_lost_or_doubled() -> None:
    rows = list(range(5))
    page, cursor = by_cursor(newest_first(rows, lambda _: True), "", size=2)
    rows += [5, 6]
    rest, last = by_cursor(newest_first(rows, lambda _: True), cursor, size=10)
    assert (page, rest, last) == ([4, 3], [2, 1, 0], "")


def test_times_when_old_rows_go_and_rows_share_a_time_then_the_next_page_goes_on_where_the_last_ended() -> None:
    rows = [(7, "a"), (5, "b"), (7, "c"), (7, "d"), (9, "e")]
    page, cursor = by_cursor(newest_by_time(rows, lambda one: one[0], lambda _: True), "", size=2)
    rest, _ = by_cursor(newest_by_time(rows[:1] + rows[2:], lambda one: one[0], lambda _: True), cursor, size=9)
    assert ([name for _, name in page], [name for _, name in rest]) == (["e", "d"], ["c", "a"])


def test_times_when_a_row_is_filtered_out_between_pages_then_the_keys_of_others_stay() -> None:
    rows = [(7, "a"), (7, "b"), (7, "c")]
    _, cursor = by_cursor(newest_by_time(rows, lambda one: one[0], lambda _: True), "", size=1)
    rest, _ = by_cursor(newest_by_time(rows, lambda one: one[0], lambda one: one[1] != "a"), cursor, size=9)
    assert rest == [(7, "b")]


@pytest.mark.parametrize(("page", "rows"), [(0, [0, 1]), (2, [4]), (3, []), (-1, [])])
def test_number_when_asked_for_a_page_then_its_rows_or_none(page: int, rows: list[int]) -> None:
    assert by_number(range(5), page, size=2) == rows


def test_offset_when_below_zero_then_empty_and_not_the_last_rows() -> None:
    assert (by_offset(range(5), 3, size=10), by_offset(range(5), -2, size=10)) == ([3, 4], [])


def test_from_id_when_none_is_given_then_the_last_rows() -> None:
    keyed = [(10, "a"), (20, "b"), (30, "c")]
    assert (from_id(keyed, 20, size=1), from_id(keyed, None, size=2)) == (["b"], ["b", "c"])


def test_window_when_the_next_one_begins_then_all_of_it_is_there_and_never_more() -> None:
    window = RequestWindow(3, NS)
    assert [window.take(2, NS - 1), window.take(2, NS - 1), window.take(1, NS - 1)] == [True, False, True]
    assert (window.remaining(NS), window.accepted, window.refused) == (3, 2, 1)
    assert (window.resets_s(NS), window.resets_s(2 * NS - 1)) == (1, 1)


def test_used_once_when_it_comes_again_then_refused_within_the_window_only() -> None:
    once = UsedOnce(10, most=2)
    assert [once.take("a", 0), once.take("a", 9), once.take("a", 10)] == [True, False, True]
    assert [once.take("b", 11), once.take("c", 12), once.take("b", 12)] == [True, True, False]


def test_digest_when_keyed_then_hex_or_base64_and_nothing_else() -> None:
    # RFC 4231, test case 2.
    digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert hmac_is_valid(b"Jefe", b"what do ya want for nothing?", digest)
    assert hmac_is_valid(
        b"Jefe", b"what do ya want for nothing?", "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=", is_base64=True
    )
    assert not hmac_is_valid(b"Jefe", b"what do ya want for nothing?", digest.upper())
    assert not hmac_is_valid(b"Jefe", b"what do ya want for nothing?", "\udcff")


@pytest.mark.parametrize(("value", "decimals", "text"), [(3_000_000, 2, "30000"), (1, 4, "0.0001"), (-5, 0, "-5")])
def test_trimmed_when_written_then_no_zeros_at_the_end(value: int, decimals: int, text: str) -> None:
    assert trimmed(value, decimals) == text
    assert fixed(0, 0) == "0"
