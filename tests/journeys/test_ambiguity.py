"""A daemon whose requests end ambiguously ends at the venue's truth: a small part of `tests.evidence.ambiguity`."""

from __future__ import annotations

import pytest

from tests.proofs.ambiguity.cells import Cell, Terms, is_offered, play_all
from tests.proofs.ambiguity.lineup import VENUES

LANES = 6
TERMS = Terms(pace="short", seed=7, dead_s=1.0)
CELLS = (
    ("submit", "lost_ack", "look-ups"),
    ("submit", "error_before_accept", "stream"),
    ("submit", "accepted_late", "look-ups"),
    ("submit", "host_dead", "stream"),
    ("cancel", "fill_before_ack", "look-ups"),
    ("cancel", "cancel_versus_fill", "stream"),
    ("cancel", "truncated_json", "look-ups"),
    ("amend", "error_before_accept", "look-ups"),
    ("amend", "reset_in_body", "look-ups"),
    ("batch", "garbled_json", "look-ups"),
    ("batch", "no_send", "stream"),
    ("batch", "too_many", "stream"),
)
MUTATED = (("submit", "lost_ack", "stream"), ("submit", "error_before_accept", "look-ups"))


@pytest.mark.parametrize("venue", VENUES)
async def test_request_when_its_outcome_is_ambiguous_then_it_ends_at_the_venues_truth(venue: str) -> None:
    cells = [Cell(venue, action, outcome, _heard(venue, ears)) for action, outcome, ears in CELLS]
    offered = [cell for cell in cells if is_offered(cell.venue, cell.action, cell.ears)]
    played = await play_all(offered, TERMS, lanes=LANES)
    assert [(one.cell.label, one.faults) for one in played if one.faults] == []
    assert sum(one.doubts_sampled for one in played) > 0


@pytest.mark.parametrize(
    ("mutant", "fault"),
    [("resend-new-id", "under different ids"), ("timer-rejects", "has no word behind it")],
)
async def test_proof_when_a_protection_is_taken_out_then_it_fails(mutant: str, fault: str) -> None:
    cells = [Cell("kalshi", *cell) for cell in MUTATED]
    pace = "slow-reads" if mutant == "timer-rejects" else "short"
    terms = TERMS._replace(mutant=mutant, pace=pace, watched_s=5.0)
    played = await play_all(cells, terms, lanes=LANES)
    faults = [text for one in played for text in one.faults]
    assert [text for text in faults if fault in text], faults


def _heard(venue: str, ears: str) -> str:
    """What tells the daemon the truth there: look-ups alone where there is no stream."""
    return ears if ears in VENUES[venue]().ears else "look-ups"
