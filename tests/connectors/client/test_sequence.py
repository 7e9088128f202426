"""Sequence numbers per subscription."""

from __future__ import annotations

from connectors.client.book_sync import SequenceTracker, Step


def test_sequence_when_it_starts_at_one_and_counts_up_then_every_frame_is_next() -> None:
    tracker = SequenceTracker()
    assert [tracker.observe(1, n) for n in (1, 2, 3)] == [Step.NEXT] * 3
    assert tracker.observe(2, 1) is Step.NEXT


def test_sequence_when_a_number_is_missing_then_it_is_a_gap_once() -> None:
    tracker = SequenceTracker()
    assert [tracker.observe(1, n) for n in (1, 3, 4)] == [Step.NEXT, Step.GAP, Step.NEXT]


def test_sequence_when_the_first_number_is_not_one_then_it_is_a_gap() -> None:
    assert SequenceTracker().observe(1, 2) is Step.GAP


def test_sequence_when_a_frame_comes_twice_then_it_is_repeated_and_nothing_else_changes() -> None:
    tracker = SequenceTracker()
    assert [tracker.observe(1, n) for n in (1, 2, 2, 3)] == [Step.NEXT, Step.NEXT, Step.REPEATED, Step.NEXT]


def test_sequence_when_the_count_goes_back_then_it_is_a_gap() -> None:
    tracker = SequenceTracker()
    assert [tracker.observe(1, n) for n in (1, 2, 3, 1, 2)] == [*[Step.NEXT] * 3, Step.GAP, Step.NEXT]


def test_sequence_when_a_subscription_was_forgotten_then_its_id_starts_anew() -> None:
    tracker = SequenceTracker()
    tracker.observe(1, 1)
    tracker.forget(1)
    assert tracker.observe(1, 1) is Step.NEXT
