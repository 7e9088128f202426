"""One trial: orders rest everywhere, something is wrong with the daemon or a venue, and somebody kills."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from connectors.bitexasia.limits import POOL
from connectors.zdex.limits import ALL
from framework.domain.account_events import OrderReport, ReportKind
from framework.persistence.journal.scan import read_entries
from framework.runtime.files import RealFiles
from tests.proofs.kill.world import World
from tests.support.daemon import comes_true, wait_until

KINDS = ("quiet", "storm", "busy", "hung", "stopped", "dead")
BLOCKED = ("busy", "stopped", "dead")
"""Kinds in which the daemon's loop does nothing."""

HUNG = "kalqix"
ONE_BY_ONE = {"zdex": (ALL, 15.0), "bitexasia": (POOL, 0.0)}
"""Where each order has a request of its own: the pool that it takes a token of, and how many flow in each second."""

BUSY_S = 2.0
HALTED_S_MAX = 60.0
UNLATCHED_S = 10.0
"""How long a daemon without a latch is watched."""

READS_MAX = 6
"""Reads that a kill does at such a venue before its cancels have left, at most."""


class Figures(msgspec.Struct, kw_only=True):
    """What one trial came to. Times are seconds since the latch; `late` is how much later than the venue's limit allows
    each cancel of its venue was."""

    kind: str
    code: int
    command_s: float
    latch_s: float
    first_s: float
    new_after: list[str]
    left: dict[str, int]
    late: dict[str, list[float]]
    limited: int
    said: str
    halted: bool = True


def play(world: World, kind: str) -> Figures:
    """Bring it about, kill, look, and make everything as it was before. Waits until all orders rest first."""
    world.wait_full()
    limited = limited_by(world)
    left = {venue: world.left(venue) for venue in ONE_BY_ONE}
    _bring_about(world, kind)
    asked_ns, asked_s = time.time_ns(), time.monotonic()
    done = world.tidegate("kill", "--reason", f"trial: {kind}")
    command_s = time.monotonic() - asked_s
    latched_ns = world.latched_ns() or asked_ns
    if kind == "hung":
        world.exchanges[HUNG].signal(signal.SIGCONT)
    delays = {venue: delays_s(world, venue, latched_ns) for venue in world.exchanges}
    known = {venue: one for venue, one in delays.items() if not (kind == "hung" and venue == HUNG)}
    rows = {venue: len(world.open_orders(venue)) for venue in known}
    halted = restore(world, kind)
    figures = Figures(
        kind=kind,
        code=done.returncode,
        command_s=command_s,
        latch_s=(latched_ns - asked_ns) / 1e9,
        first_s=min((one for found in known.values() for one in found), default=0.0) + (latched_ns - asked_ns) / 1e9,
        new_after=new_after(world, latched_ns),
        left={venue: count for venue, count in rows.items() if count},
        late={venue: late_s(venue, found, left, kind) for venue, found in known.items()},
        limited=limited_by(world) - limited,
        said=done.stdout + done.stderr,
        halted=halted,
    )
    if halted:
        resume(world)
    return figures


def _bring_about(world: World, kind: str) -> None:
    if kind == "storm":
        (world.signs / "storm").touch()
        time.sleep(1)
    elif kind == "busy":
        world.block_loop(BUSY_S)
    elif kind == "hung":
        world.exchanges[HUNG].signal(signal.SIGSTOP)
    elif kind == "stopped":
        world.daemon.signal(signal.SIGSTOP)
    elif kind == "dead":
        world.daemon.kill()


def restore(world: World, kind: str) -> bool:
    """Let the daemon run again, under the latch; whether it is halted and sends nothing."""
    with suppress(FileNotFoundError):
        (world.signs / "storm").unlink()
    if kind == "stopped":
        world.daemon.signal(signal.SIGCONT)
    elif kind == "dead":
        world.start()
    before = {venue: len(world.truth(venue)["orders"]) for venue in world.exchanges}
    within_s = HALTED_S_MAX if world.is_latched() else UNLATCHED_S
    if not comes_true(lambda: "everything is halted" in " ".join(world.daemon.not_ready()), timeout_s=within_s):
        return False
    wait_until(lambda: not any(map(world.open_orders, world.exchanges)), "the end of all orders", timeout_s=60)
    time.sleep(0.5)
    return all(len(world.truth(venue)["orders"]) == count for venue, count in before.items())


def resume(world: World) -> None:
    """Take the latch away."""
    done = world.tidegate("resume", "--kill", "--reason", "the trial is over")
    assert done.returncode == 0, done.stdout + done.stderr


def limited_by(world: World) -> int:
    """How many requests the venues have limited so far."""
    return sum(int(world.truth(venue)["observed"]["rate_limited"]) for venue in world.exchanges)


def delays_s(world: World, venue: str, since_ns: int) -> list[float]:
    """How long after a moment the orders ended that were open then, in that order."""
    orders = world.truth(venue)["orders"]
    was_open = [one for one in orders if one["created_ns"] <= since_ns < one["updated_ns"] and one["status"] != "open"]
    return sorted((one["updated_ns"] - since_ns) / 1e9 for one in was_open)


def late_s(venue: str, delays: list[float], left: Mapping[str, Any], kind: str) -> list[float]:
    """How much later each was than the venue's limit allows. In a storm the limit is used up: what flows in counts."""
    if venue not in ONE_BY_ONE:
        return delays
    pool, flow = ONE_BY_ONE[venue]
    at_once = left[venue].tokens.get(pool, 0) - READS_MAX if kind != "storm" else 0
    return [
        max(delay_s - (max(number - at_once, 0) / flow if flow else 0.0), 0.0)
        for number, delay_s in enumerate(delays, 1)
    ]


def new_after(world: World, latched_ns: int) -> list[str]:
    """Orders that a venue got after the latch and that had not begun to leave before it: by the journal, which has each
    before its first byte."""
    sent: dict[str, int] = {}
    for entry in read_entries(RealFiles(), world.state / "journal"):
        body = entry.record.body
        if isinstance(body, OrderReport) and body.kind is ReportKind.SENT:
            for name in (body.client_order_id, body.detail):
                sent.setdefault(name, entry.record.now_ns)
    found = []
    for venue in world.exchanges:
        for one in world.truth(venue)["orders"]:
            names = (one["client_order_id"], one["sent_as"])
            began_ns = min((sent[name] for name in names if name in sent), default=one["created_ns"])
            if one["created_ns"] > latched_ns and one["is_own"] and began_ns > latched_ns:
                found.append(f"{venue} {one['order_id']} {(began_ns - latched_ns) / 1e6:.1f} ms after the latch")
    return found
