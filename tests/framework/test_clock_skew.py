"""Clocks that are wrong, against a sandbox of each venue over real HTTP: the proof, small."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.proofs.clock.__main__ import ages, broken, prove
from tests.proofs.clock.venues import ROWS

RESTARTS = 3
NAMES = ("kalshi", "kalqix-a", "bitexasia-strict", "zdex-v2")
"""The dialect of each venue, and the key, with the narrowest window."""


@pytest.mark.parametrize("name", NAMES)
async def test_connector_when_clocks_are_wrong_and_set_then_it_signs_names_and_finds_its_orders_as_ever(
    tmp_path: Path, name: str
) -> None:
    figures = await prove(tmp_path, [ROWS[name]], count=RESTARTS, seed=3, hours=1, rounds=1)
    assert broken(figures["venues"][name]) == []


def test_ages_when_the_wall_clock_is_set_then_are_the_same() -> None:
    assert ages(seed=3)["apart"] == 0
