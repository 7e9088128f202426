"""One silence of the daemon, and what the guard beside it makes of it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from tests.proofs.kill.trial import ONE_BY_ONE, delays_s, late_s, limited_by, new_after, restore, resume
from tests.proofs.kill.world import World
from tests.support.daemon import ROOT, comes_true

KINDS = ("dead", "stopped", "stalled")
STALL_S = 0.5
"""What the loop may be blocked for without anything being done."""

WITHIN_S = 20.0
"""A guard that has not set the latch so long after the time-out never will."""


class Silence(msgspec.Struct, kw_only=True):
    """What one silence came to. `latch_s` and `late` are seconds beyond the time-out, None and empty when the guard did
    nothing; `late` is how much later than the venue's limit allows each order of its venue was ended."""

    kind: str
    latch_s: float | None = None
    late: dict[str, list[float]] = {}
    left: dict[str, int] = {}
    new_after: list[str] = []
    limited: int = 0
    is_halted: bool = False


@contextmanager
def guarded(world: World, timeout_s: float) -> Iterator[subprocess.Popen[str]]:
    """The guard beside the daemon, for the length of a `with`."""
    command = [sys.executable, "-m", "framework", "guard", *world.arguments, "--timeout", str(timeout_s)]
    with (
        (world.directory / "guard").open("a") as said,
        subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said, text=True) as guard,
    ):
        try:
            yield guard
        finally:
            guard.terminate()


def silence(world: World, kind: str, timeout_s: float) -> Silence:
    """Have all orders rest, silence the daemon, look, and make everything as it was before."""
    world.wait_full()
    limited, left = limited_by(world), {venue: world.left(venue) for venue in ONE_BY_ONE}
    began_ns = time.time_ns()
    _bring_about(world, kind, timeout_s)
    if not comes_true(world.is_latched, timeout_s=timeout_s + WITHIN_S):
        return Silence(kind=kind, left={venue: len(world.open_orders(venue)) for venue in world.exchanges})
    comes_true(lambda: not any(map(world.open_orders, world.exchanges)), timeout_s=WITHIN_S)
    rows = {venue: len(world.open_orders(venue)) for venue in world.exchanges}
    latched_ns, due_ns = world.latched_ns(), began_ns + int(timeout_s * 1e9)
    late = {venue: late_s(venue, delays_s(world, venue, due_ns), left, kind) for venue in world.exchanges}
    is_halted = restore(world, kind)
    found = Silence(
        kind=kind,
        latch_s=(latched_ns - due_ns) / 1e9,
        late=late,
        left={venue: count for venue, count in rows.items() if count},
        new_after=new_after(world, latched_ns),
        limited=limited_by(world) - limited,
        is_halted=is_halted,
    )
    if is_halted:
        resume(world)
    return found


def stalls(world: World, for_s: float) -> tuple[int, bool]:
    """Block the loop again and again, shorter than the time-out. How often, and whether the guard did anything."""
    world.wait_full()
    until, count = time.monotonic() + for_s, 0
    while time.monotonic() < until and not world.is_latched():
        world.block_loop(STALL_S)
        time.sleep(2 * STALL_S)
        count += 1
    return count, world.is_latched()


def second_start(world: World) -> tuple[int, int]:
    """Start a second daemon on the same state: its exit code, and how many orders the venues got meanwhile. The first
    one is full, and sends nothing."""
    before = sum(len(world.truth(venue)["orders"]) for venue in world.exchanges)
    code = world.tidegate("run", "--set", "http.port=0", "--no-status").returncode
    return code, sum(len(world.truth(venue)["orders"]) for venue in world.exchanges) - before


def _bring_about(world: World, kind: str, timeout_s: float) -> None:
    if kind == "dead":
        world.daemon.kill()
    elif kind == "stopped":
        world.daemon.signal(signal.SIGSTOP)
    else:
        world.block_loop(3 * timeout_s)
