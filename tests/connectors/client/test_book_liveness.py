"""How old the books of a connection are, and which is asked for."""

from __future__ import annotations

from connectors.client.book_sync import QUIET_NS, REPORT_INTERVAL_NS, BookLiveness

START_NS = 5 * QUIET_NS


def begun() -> BookLiveness:
    liveness = BookLiveness()
    liveness.begin(START_NS)
    return liveness


def test_proof_when_they_come_fast_then_one_a_second_is_reported() -> None:
    liveness = begun()
    reported = [liveness.on_frame(START_NS + n * REPORT_INTERVAL_NS // 4) for n in range(9)]
    assert reported == [True, False, False, False, True, False, False, False, True]


def test_books_when_nothing_comes_then_they_are_quiet_until_one_is_asked_for() -> None:
    liveness = begun()
    assert not liveness.is_quiet(START_NS + QUIET_NS - 1)
    assert liveness.is_quiet(START_NS + QUIET_NS)
    liveness.choose(("a",), START_NS + QUIET_NS)
    assert not liveness.is_quiet(START_NS + 2 * QUIET_NS - 1)
    assert liveness.is_quiet(START_NS + 2 * QUIET_NS)


def test_market_when_it_answers_then_it_is_asked_again_else_the_next() -> None:
    liveness = begun()
    now_ns, chosen = START_NS, []
    for is_answered in (True, True, False, True, False, False, True):
        now_ns += QUIET_NS
        chosen.append(liveness.choose(("a", "b", "c"), now_ns))
        if is_answered:
            liveness.on_frame(now_ns + 1)
    assert chosen == ["a", "a", "a", "b", "b", "c", "a"]
