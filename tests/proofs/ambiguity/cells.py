"""One cell of the ambiguity matrix: play it in a world of its own, wait for the truth, judge."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from framework.domain.venue import Connector
from tests.proofs.ambiguity.judge import Judge
from tests.proofs.ambiguity.lineup import VENUES
from tests.proofs.ambiguity.mutants import reject_by_timer, resending
from tests.proofs.ambiguity.outcomes import OUTCOMES, Stage
from tests.proofs.ambiguity.venues import Pace
from tests.proofs.ambiguity.world import LOOK_S, World, open_world

ACTIONS = ("submit", "cancel", "amend", "batch")
EARS = ("stream", "look-ups")
"""What tells the daemon the truth: stream and look-ups, or look-ups alone (the stream is silent from the act on)."""
SLOW = ("host_dead", "too_many")
SETTLED_S = 0.25
PACES = {
    "short": Pace(request_timeout_ms=400, read_lag_ms=300, venue_lag_ms=100),
    "slow-reads": Pace(request_timeout_ms=400, read_lag_ms=1_500, venue_lag_ms=200),
    "product": Pace(request_timeout_ms=5_000, read_lag_ms=2_000, venue_lag_ms=360),
}
"""`short` keeps a cell brief; with `slow-reads` a doubt outlives a second; `product` has the connector's default
settings and the lag that was recorded at the venue."""


class Cell(NamedTuple):
    """A place in the matrix, and how often it was played before."""

    venue: str
    action: str
    outcome: str
    ears: str
    repeat: int = 0

    @property
    def label(self) -> str:
        """Its name, for people and for the dice."""
        return f"{self.venue}/{self.action}/{self.outcome}/{self.ears}"


class Terms(NamedTuple):
    """How the cells are played. `dead_s`: how long a dead host is dead; `watched_s`: how long healing is waited for."""

    pace: str = "short"
    seed: int = 1
    dead_s: float = 2.0
    mutant: str = ""
    watched_s: float = 20.0


class Played(NamedTuple):
    """What came of a cell: seconds from healing to agreement (None: never), before that the seconds until a host that
    had been dead was reached, looks during the doubt, faults."""

    cell: Cell
    healed_s: float | None
    reached_s: float
    doubts_sampled: int
    faults: tuple[str, ...]


def is_offered(venue: str, action: str, ears: str) -> bool:
    """Whether the venue has such requests, and whether it tells the truth in this way."""
    row = VENUES[venue]()
    return action in row.actions and ears in row.ears


def matrix(venues: Sequence[str], outcomes: Sequence[str] = tuple(OUTCOMES), *, repeats: int) -> list[Cell]:
    """Every cell, repeated; those that take longest first."""
    return [
        Cell(venue, action, outcome, ears, repeat)
        for outcome in sorted(outcomes, key=lambda one: one not in SLOW)
        for repeat in range(repeats)
        for venue in venues
        for action in ACTIONS
        for ears in EARS
        if is_offered(venue, action, ears)
    ]


async def play(cell: Cell, terms: Terms) -> Played:
    """Play one cell. What breaks in it is a fault of the cell."""
    with tempfile.TemporaryDirectory(prefix="ambiguity-") as folder:
        try:
            return await _play(cell, terms, Path(folder))
        except (AssertionError, TimeoutError, OSError) as e:
            return Played(cell, None, 0.0, 0, (f"{type(e).__name__}: {e}",))


async def play_all(cells: Sequence[Cell], terms: Terms, *, lanes: int) -> list[Played]:
    """Play cells, so many at a time."""
    free = asyncio.Semaphore(lanes)

    async def one(cell: Cell) -> Played:
        async with free:
            return await play(cell, terms)

    return list(await asyncio.gather(*(one(cell) for cell in cells)))


async def _play(cell: Cell, terms: Terms, folder: Path) -> Played:
    pace = PACES[terms.pace]
    seed = crc32(f"{terms.seed} {cell.label} {cell.repeat}".encode())
    wrap = resending if terms.mutant == "resend-new-id" else _as_it_is
    async with open_world(VENUES[cell.venue](), folder / "world", pace=pace, seed=seed, wrap=wrap) as world:
        stage = Stage(world, cell.action, is_muted=cell.ears == "look-ups", pace=pace, dead_s=terms.dead_s, seed=seed)
        await stage.prepare()
        async with AsyncExitStack() as stack:
            _beside(stack, world.sample())
            if terms.mutant == "timer-rejects":
                _beside(stack, reject_by_timer(world))
            stack.callback(stage.release)
            await OUTCOMES[cell.outcome](stage)
            stage.release()
            healed_s, last = await _healing(world, terms.watched_s)
    faults = list(Judge(world, pace).faults())
    if healed_s is None or healed_s > world.venue.healed_s_max:
        faults.append(
            f"off the truth for {terms.watched_s if healed_s is None else healed_s:.2f} s after healing: {last}"
        )
    return Played(cell, healed_s, stage.reached_s, world.doubts_sampled, tuple(faults))


async def _healing(world: World, watched_s: float) -> tuple[float | None, str]:
    """Seconds until daemon and venue agree, and stay so for a while; and the last point where they did not."""
    started = time.monotonic()
    agreed: float | None = None
    last = ""
    while (now := time.monotonic()) - started < watched_s:
        if text := world.disagreement():
            agreed, last = None, text
        elif agreed is None:
            agreed = now
        elif now - agreed > SETTLED_S:
            return agreed - started, last
        await asyncio.sleep(LOOK_S)
    return None, last


def _beside(stack: AsyncExitStack, work: object) -> None:
    """Run `work` until the stack unwinds."""
    task = asyncio.ensure_future(work)  # type: ignore[call-overload]

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)


def _as_it_is(connector: Connector) -> Connector:
    return connector
