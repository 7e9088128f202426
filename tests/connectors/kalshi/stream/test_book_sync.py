"""Which books are proved."""

from __future__ import annotations

from connectors.kalshi.stream.book_sync import TURN_NS, BookRecovery


def test_book_when_expected_then_it_is_unproved_until_its_snapshot() -> None:
    books = BookRecovery(100)
    books.expect(["A", "B"], now_ns=0)
    books.prove("A")
    assert ("A" in books.proved, "B" in books.proved, books.missing) == (True, False, ("B",))
    books.expect(["A"], now_ns=50)
    assert "A" not in books.proved


def test_recovery_when_late_then_each_deadline_counts_once() -> None:
    books = BookRecovery(100)
    assert not books.is_overdue(10**9)
    books.expect(["A"], now_ns=0)
    assert [books.is_overdue(now_ns) for now_ns in (99, 100, 150, 200)] == [False, True, False, True]
    assert books.attempts == 2
    books.prove("A")
    assert (books.attempts, books.is_overdue(10**9)) == (0, False)


def test_recovery_when_a_market_ends_then_its_book_is_not_awaited() -> None:
    books = BookRecovery(100)
    books.expect(["A"], now_ns=0)
    books.forget("A")
    assert not books.is_overdue(10**9)


def test_recovery_when_one_book_is_expected_again_and_again_then_the_others_keep_their_deadline() -> None:
    books = BookRecovery(100)
    books.expect(["A", "B"], now_ns=0)
    books.expect(["A"], now_ns=90)
    assert [books.is_overdue(now_ns) for now_ns in (99, 100)] == [False, True]


def test_turn_when_taken_then_the_next_one_comes_after_a_second_and_only_for_proved_books() -> None:
    books = BookRecovery(100)
    assert not books.take_turn("A", 0)
    books.prove("A")
    assert [books.take_turn("A", now_ns) for now_ns in (0, 1, TURN_NS - 1, TURN_NS)] == [True, False, False, True]
    books.prove("B")
    assert books.take_turn("B", 1)
