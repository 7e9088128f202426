"""Clocks that are wrong, against the venue's sandbox over real HTTP: the proof, small."""

from __future__ import annotations

from pathlib import Path

from tests.proofs.clock.__main__ import ages, control, restarts, venue_steps


async def test_connector_when_clocks_are_wrong_and_set_then_no_signature_is_refused_and_no_id_repeats(
    tmp_path: Path,
) -> None:
    figures = await restarts(tmp_path, count=12, seed=3)
    assert not any(figures["refused"].values())
    assert figures["orders"] == figures["orders_accepted"] == 24
    assert (figures["ids_repeated"], figures["ids_out_of_order"]) == (0, 0)
    assert figures["orders_of_the_last_run_not_found"] == 0


async def test_connector_when_the_venues_clock_is_set_then_one_refusal_puts_it_right(tmp_path: Path) -> None:
    figures = await venue_steps(tmp_path, seed=3)
    assert figures["refused_within_5s"] == 0
    assert set(figures["steps_by_refusals_beyond"]) == {"1"}
    assert figures["recovered"] == len(figures["steps_s"]) * figures["rounds"]


async def test_connector_when_the_measured_offset_is_not_used_then_signatures_are_refused(tmp_path: Path) -> None:
    assert await control(tmp_path, count=1, seed=3) > 0


def test_ages_when_the_wall_clock_is_set_then_are_the_same() -> None:
    assert ages(seed=3)["apart"] == 0
