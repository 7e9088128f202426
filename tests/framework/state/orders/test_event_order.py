"""Facts in any order, lost and repeated, against a venue's truth and a perfect observer: a small run of the proof."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.proofs.event_order.__main__ import caught
from tests.proofs.event_order.machine import Tally, run_machine
from tests.proofs.event_order.mutants import MUTANTS
from tests.proofs.event_order.permutations import run_permutations
from tests.proofs.event_order.rare import NAMES


def test_memory_when_messages_are_lost_repeated_and_late_then_is_what_an_observer_knows() -> None:
    tally = Tally()
    run_machine(tally, seed_of_run=7, runs=60)
    run_permutations(tally.reached, seed_of_run=7, permutations=600)
    assert tally.steps > 1_000
    assert sum(tally.reached[name] > 0 for name in NAMES) > len(NAMES) * 3 // 4


def test_state_when_whole_lives_are_reported_in_any_order_then_is_the_same() -> None:
    assert run_permutations(Counter(), seed_of_run=8, permutations=300) > 90


@pytest.mark.parametrize(
    "name", ["cancel-frees-exposure-before-fills", "end-shown-before-its-fills", "timer-rejects-unknown"]
)
def test_memory_when_a_protection_is_off_then_diverges(name: str) -> None:
    assert caught(name, seed=9, runs=60, permutations=300)


def test_mutants_when_listed_then_are_ten() -> None:
    assert len(MUTANTS) == 10
