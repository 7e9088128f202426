"""Positions, orders and money at a venue that lists little, against its truth: a small run of the proof."""

from __future__ import annotations

import pytest

from tests.proofs.inferred_fills.__main__ import caught, prove
from tests.proofs.inferred_fills.mutants import MUTANTS


def test_positions_when_the_venue_lists_little_then_are_the_venue_s_at_rest() -> None:
    figures = prove(runs=60, seed=5)
    assert figures["wrong"] == []
    assert min(figures["met"].values()) > 0
    assert figures["met"]["inferred fills replaced or taken back"] > 5


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_positions_when_a_protection_is_off_then_differ(name: str) -> None:
    assert all(caught(name, seed=1, runs=60).values())
