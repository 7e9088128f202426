"""A few kills and a few silences of the daemon at four venues, and the variants that must be found out."""

from __future__ import annotations

import time
from pathlib import Path

from framework.runtime.kill_latch import EVERYTHING, KillLatch
from tests.proofs.dead_man.__main__ import Spec
from tests.proofs.dead_man.__main__ import broken as broken_by_silence
from tests.proofs.dead_man.__main__ import run as run_silences
from tests.proofs.kill.__main__ import broken, run
from tests.proofs.kill.trial import new_after
from tests.proofs.kill.world import World
from tests.support.daemon import wait_until

TIMEOUT_S = 4.0
"""A loaded machine is no silence."""

MANY, WATCHED_S = 5, 2.0
"""More orders than that leave in a storm, and so long nothing does."""


def test_kill_when_the_daemon_runs_is_stopped_or_dead_then_nothing_is_open_and_nothing_new_leaves(
    tmp_path: Path,
) -> None:
    assert broken(run(tmp_path / "world", ["storm", "stopped", "dead"], count=5)) == []


def test_latch_when_the_daemon_has_not_seen_it_yet_then_nothing_new_leaves_all_the_same(tmp_path: Path) -> None:
    with World(tmp_path / "world", count=2, module="tests.proofs.kill.unwatched_latch").running() as world:
        world.wait_full()
        (world.signs / "storm").touch()
        before_ns = time.time_ns()
        wait_until(lambda: len(new_after(world, before_ns)) > MANY, "storm")
        KillLatch(world.state).set(EVERYTHING, by="test", reason="", now_ns=time.time_ns())
        time.sleep(WATCHED_S)
        assert new_after(world, world.latched_ns()) == []
        assert world.daemon.not_ready() == []


def test_proof_of_kills_when_the_latch_is_in_memory_then_it_fails(tmp_path: Path) -> None:
    found = broken(run(tmp_path / "world", ["dead"], count=2, mutant="latch-in-ram"))
    assert any("the latch did not survive" in one for one in found), found


def test_guard_when_the_daemon_falls_silent_then_its_orders_end_and_short_stalls_change_nothing(
    tmp_path: Path,
) -> None:
    spec = Spec(kinds=["stalled", "dead"], calm_s=3.0, starts=1, count=3, timeout_s=TIMEOUT_S)
    assert broken_by_silence(run_silences(tmp_path / "world", spec)) == []


def test_proof_of_silences_when_the_heartbeat_is_not_the_loops_then_it_fails(tmp_path: Path) -> None:
    spec = Spec(kinds=["stalled"], calm_s=0.0, starts=0, count=2, timeout_s=TIMEOUT_S, mutant="beat-from-a-thread")
    found = broken_by_silence(run_silences(tmp_path / "world", spec))
    assert any("the guard did nothing" in one for one in found), found
