"""A daemon whose requests end ambiguously ends at the venue's truth: a small part of `tests.proofs.ambiguity`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from framework.domain.orders import OrderStatus
from tests.proofs.ambiguity.cells import PACES, Cell, Terms, is_offered, play_all
from tests.proofs.ambiguity.lineup import VENUES
from tests.proofs.ambiguity.outcomes import SIZE, Stage
from tests.proofs.ambiguity.world import World, open_world
from tests.proofs.ambiguity.zdex import Zdex

LANES = 6
PATIENCE_S = 30.0
BRIEF = 6
"""Of ZDEX's two dialects the second is as the first but for our ids: so many cells show them."""
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
    rows = CELLS[:BRIEF] if venue == "zdex-v2" else CELLS
    cells = [Cell(venue, action, outcome, _heard(venue, ears)) for action, outcome, ears in rows]
    offered = [cell for cell in cells if is_offered(cell.venue, cell.action, cell.ears) and not _takes_a_window(cell)]
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


async def test_alike_orders_when_nothing_tells_them_apart_then_both_stay_unknown_and_reserved(tmp_path: Path) -> None:
    venue = Zdex("v1")
    async with open_world(venue, tmp_path / "world", pace=PACES["short"], seed=7, wrap=lambda one: one) as world:
        stage = Stage(world, "submit", is_muted=False, pace=PACES["short"], dead_s=0.0, seed=7)
        await stage.prepare()
        venue.lose_answers(2)
        names = stage.ask_twins()
        for _ in range(2):
            # Looked up again and again: two of a kind are there each time.
            seen = len(world.front.calls)
            await stage.until(
                lambda seen=seen: looked_up(world, seen) and are_unknown(world, names),  # type: ignore[misc]
                "they were not looked up",
                wait_s=PATIENCE_S,
            )
        assert [one.state for one in venue.orders()] == ["open", "open"]
        assert are_unknown(world, names)
        instrument = world.puppet.desk.instruments[0]
        assert world.accounts.strategy_exposure(world.puppet.name, instrument).open_buy == 2 * SIZE
        # Once they are listed they may be somebody else's just as well: then both kinds count for the account.
        listed = len(world.accounts.external_orders("zdex"))
        assert world.accounts.exposure(instrument).open_buy == (2 + listed) * SIZE


def looked_up(world: World, since: int) -> bool:
    """Whether an order was looked up since so many requests had come."""
    return any(world.venue.is_look_up(call) and call.told for call in world.front.calls[since:])


def are_unknown(world: World, names: Sequence[str]) -> bool:
    """Whether the outcome of each order is unknown."""
    return all(world.order(name).status is OrderStatus.UNKNOWN for name in names)


def _takes_a_window(cell: Cell) -> bool:
    """Whether the cell waits for a window of the venue's limits: the long proof does."""
    return cell.outcome == "too_many" and VENUES[cell.venue]().window_s > 0


def _heard(venue: str, ears: str) -> str:
    """What tells the daemon the truth there: look-ups alone where there is no stream."""
    return ears if ears in VENUES[venue]().ears else "look-ups"
