"""The guard: armed by the first heartbeat, disarmed by the last, and as quick as its time-out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from framework.kill.guard import GUARD, Guard, GuardSpec
from framework.runtime.clock import ManualClock
from framework.runtime.heartbeat import LoopHeartbeat
from framework.runtime.kill_latch import EVERYTHING, KillLatch

S = 1_000_000_000
TIMEOUT_S = 5.0


class Watched:
    """A guard over a state directory without accounts, and the daemon's heartbeat there."""

    def __init__(self, directory: Path, clock: ManualClock) -> None:
        self.directory = directory
        self.clock = clock
        self.heartbeat = LoopHeartbeat(directory)
        self.said: list[str] = []
        spec = GuardSpec(directory=directory, accounts=(), timeout_s=TIMEOUT_S, is_live=False)
        self.guard = Guard(spec, clock, self.said.append)

    def beat(self) -> None:
        self.heartbeat.beat(self.clock.monotonic_ns())

    async def look(self, after_s: float = 0.0) -> bool:
        """Whether the latch is set once the guard has looked."""
        self.clock.advance(int(after_s * S))
        await self.guard.look()
        return KillLatch(self.directory).is_set("any")


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """A guard that has just begun. It does not wait for the next heartbeat after it has ended orders."""

    async def at_once(_guard: Guard) -> None:
        """The test writes the next one."""

    monkeypatch.setattr(Guard, "_wait_for_beat", at_once)
    return Watched(tmp_path, ManualClock(wall_ns=1_000 * S, monotonic_ns=100 * S))


async def test_guard_when_no_daemon_has_traded_then_it_waits(watched: Watched) -> None:
    assert not await watched.look(after_s=1_000)
    assert watched.said == []


async def test_guard_when_the_heartbeat_stops_then_orders_are_ended_after_the_time_out_and_the_latch_says_why(
    watched: Watched,
) -> None:
    watched.beat()
    assert not await watched.look()
    assert not await watched.look(after_s=4.9)
    assert await watched.look(after_s=0.2)
    (latch,) = KillLatch(watched.directory).latches()
    assert (latch.venue, latch.by, latch.reason) == (EVERYTHING, GUARD, "no heartbeat for 5 s")
    assert watched.said[0].startswith("guards process ")
    assert watched.said[1].startswith("no heartbeat for 5.1 s")


@pytest.mark.parametrize("stall_s", [0.5, 4.8])
async def test_guard_when_the_loop_stalls_for_less_than_the_time_out_then_nothing_happens(
    watched: Watched, stall_s: float
) -> None:
    for _ in range(100):
        watched.beat()
        assert not await watched.look(after_s=stall_s)


async def test_guard_when_the_daemon_stops_in_order_then_it_is_disarmed_until_the_next_one(watched: Watched) -> None:
    watched.beat()
    await watched.look()
    watched.heartbeat.end(watched.clock.monotonic_ns())
    assert not await watched.look(after_s=1_000)
    assert watched.said[-1] == "the daemon has stopped in order: nothing to guard"
    watched.beat()
    assert not await watched.look()
    assert await watched.look(after_s=5.1)


def of_before(watched: Watched) -> None:
    watched.heartbeat.beat(0)


def of_the_future(watched: Watched) -> None:
    watched.heartbeat.beat(watched.clock.monotonic_ns() + 1_000 * S)


@pytest.mark.parametrize("beat", [of_before, of_the_future])
async def test_guard_when_the_last_heartbeat_is_of_before_its_start_then_the_time_out_counts_from_there(
    watched: Watched, beat: Callable[[Watched], None]
) -> None:
    beat(watched)
    assert not await watched.look(after_s=4.9)
    assert await watched.look(after_s=0.2)
