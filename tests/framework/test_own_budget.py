"""The budget of a process that ends orders in the daemon's place."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from connectors.bitexasia.limits import POOL
from connectors.bitexasia.limits import limits_of as window_of
from connectors.zdex.limits import ALL
from connectors.zdex.limits import limits_of as bucket_of
from framework.domain.market_events import LimitsDeclared
from framework.domain.rate_limits import RateLimits, RequestKind
from framework.own_budget import OwnBudgets
from framework.runtime.venue_lease import BudgetLeft, BudgetNote
from tests.connectors.support import LoopClock, run_jumping

BUCKET, WINDOW = bucket_of(1_000, 300, 60), window_of(1_200)


def seconds(tmp_path: Path, limits: RateLimits, noted: dict[str, int] | None, kinds: list[RequestKind]) -> float:
    """How long requests of these kinds take, one after the other, where the daemon has left so much a second ago."""

    async def main(clock: LoopClock) -> float:
        note = BudgetNote(tmp_path, "v")
        if noted is not None:
            note.write(BudgetLeft(clock.monotonic_ns(), noted))
            await asyncio.sleep(1)
        budget = OwnBudgets({}, clock).of("v", note)
        budget.publish(LimitsDeclared("v", limits, 0))
        began_ns = clock.monotonic_ns()
        for kind in kinds:
            async with budget.turn(kind):
                pass
        note.close()
        return (clock.monotonic_ns() - began_ns) / 1e9

    return run_jumping(main)


CANCELS, READ = [RequestKind.CANCEL] * 50, [RequestKind.QUERY]


@pytest.mark.parametrize(
    ("limits", "noted", "expected_s"),
    [
        (BUCKET, {ALL: 90}, 0.0),
        (BUCKET, {ALL: 10}, 1.73),  # 15 flow in each second; two requests are reads
        (BUCKET, None, 3.47),
        (WINDOW, {POOL: 52}, 0.0),
        (WINDOW, None, 0.0),  # the lower half of the reserve: 60
    ],
)
def test_requests_when_the_daemon_left_something_then_they_wait_for_no_more_than_the_rest(
    tmp_path: Path, limits: RateLimits, noted: dict[str, int] | None, expected_s: float
) -> None:
    assert seconds(tmp_path, limits, noted, [*READ, *READ, *CANCELS]) == pytest.approx(expected_s, abs=0.3)


def test_note_when_it_is_of_the_future_as_after_a_restart_of_the_machine_then_it_is_not_used(tmp_path: Path) -> None:
    async def main(clock: LoopClock) -> float:
        note = BudgetNote(tmp_path, "v")
        note.write(BudgetLeft(clock.monotonic_ns() + 10**12, {ALL: 100}))
        budget = OwnBudgets({}, clock).of("v", note)
        budget.publish(LimitsDeclared("v", BUCKET, 0))
        async with budget.turn(RequestKind.CANCEL):
            pass
        note.close()
        return clock.monotonic_ns() / 1e9

    assert run_jumping(main) > 0.05
