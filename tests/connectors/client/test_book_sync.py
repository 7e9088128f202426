"""Which books are proved."""

from __future__ import annotations

from connectors.client.book_sync import BookRecovery
from connectors.client.turns import FIRST_NS


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


def test_lost_book_when_repeated_then_a_book_is_asked_for_at_once_and_then_at_its_turns() -> None:
    books = BookRecovery(100)
    assert books.lose(["A", "B"], 0) == ("A", "B")
    books.prove("B")
    assert (books.lose(["A"], 1), books.lose(["A", "B"], 2)) == ((), ())
    assert (books.missing, books.is_delivering) == ((), True)
    assert (books.take_turns(FIRST_NS - 1), books.take_turns(FIRST_NS)) == ((), ("A", "B"))
    assert books.missing == ("A", "B")


def test_lost_book_when_the_book_comes_meanwhile_then_it_is_not_asked_for_again() -> None:
    books = BookRecovery(100)
    books.lose(["A"], 0)
    books.lose(["A"], 1)
    books.prove("A")
    assert books.take_turns(FIRST_NS) == ()
    assert books.may_lose("A", FIRST_NS)
    assert not books.may_lose("A", FIRST_NS - 1)
    assert not books.may_lose("B", FIRST_NS)
