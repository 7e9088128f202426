"""One lane of the proof: one sandbox, one state directory, and one daemon after another that is killed on it."""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import socket
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from framework.domain.terms import FillListing
from framework.persistence.journal.verify import verify
from framework.runtime.files import RealFiles
from tests.proofs.sigkill import child as sigkill_child
from tests.proofs.sigkill.amounts import amounts_off, ascribed_elsewhere
from tests.proofs.sigkill.comparison import Comparison
from tests.proofs.sigkill.truth import Truth, ask
from tests.proofs.sigkill.venues import READ_LAG_MS, VENUE_LAG_MS, VENUES
from tests.proofs.sigkill.watch import JournalWatch
from tests.support.daemon import get

READY_S_MAX = 60.0
DEATH_S_MAX = 8.0
RANDOM_S_MAX = 0.8
START_POINTS = frozenset(
    {"recovery-after-fold", "epoch-before-rename", "epoch-after-rename", "recovery-after-epoch", "reconcile-mid-pass"}
)
STOP_POINTS = frozenset({"shutdown-before-cancel", "shutdown-after-cancel"})
RARE_POINTS = frozenset({"segment-rotation", "snapshot-before-rename", "snapshot-after-rename"})
PASSAGES_MAX = 6
AGAIN_MAX = 2
EXAMPLES_MAX = 3


class Cycle(NamedTuple):
    """One death. `point` empty: at a random moment, `delay_s` after the daemon was started or was found right."""

    point: str
    is_early: bool
    passage: int = 1
    delay_s: float = 0.0


class Lane:
    """Call `run` once with the plan; the figures are what it returns."""

    def __init__(self, directory: Path, *, venue: str, seed: int, mutant: str, durability: str) -> None:
        self._row = VENUES[venue]
        self._durability = durability
        self._state = directory / "state"
        self._log = directory / "daemon.log"
        self._mutant = mutant
        self._sandbox = self._row.exchange(
            directory / "sandbox", seed=seed, speed=self._row.speed, read_lag=VENUE_LAG_MS
        )
        self._port = _free_port()
        self._arguments = self._configure(directory / "tidegate.toml")
        self._watch = JournalWatch(self._state)
        self._wrong: Counter[str] = Counter()
        self._examples: list[str] = []
        self._blamed: Counter[str] = Counter()
        self._unrecorded: set[str] = set()
        self._reached: Counter[str] = Counter()
        self._unreached: Counter[str] = Counter()
        self._ready_ms: list[float] = []
        self._agree_ms: list[float] = []
        self._look_ms: list[float] = []
        self._checkpoints_folded = self._kills = self._ascribed_elsewhere = 0

    def run(self, plan: Sequence[Cycle]) -> dict[str, Any]:
        """Every cycle, then one start that is stopped in good order; the figures of all of it.

        A cycle whose point was not reached in time (no amend was due, say) is made again, twice at most.
        """
        waiting = deque((cycle, 0) for cycle in plan)
        number = 0
        try:
            while waiting:
                cycle, tries = waiting.popleft()
                number += 1
                if not self._cycle(number, cycle) and tries < AGAIN_MAX:
                    waiting.append((cycle._replace(passage=1), tries + 1))
            if not (self._mutant and self._wrong):
                self._end()
            truth = self._truth()
        finally:
            self._sandbox.stop()
        return self._figures(truth)

    def _cycle(self, number: int, cycle: Cycle) -> bool:
        """One start and one death; whether it died where it should."""
        where = f"cycle {number} {cycle.point or 'random'}"
        early = f"{cycle.point}:{cycle.passage}" if cycle.is_early and cycle.point else ""
        with self._daemon(early) as child:
            if not cycle.is_early and not self._begin(child, where):
                return True
            is_reached = self._kill(child, cycle, where)
        self._look(where)
        return is_reached

    def _begin(self, child: sigkill_child.Child, where: str) -> bool:
        """Wait until it is ready, and compare; whether it lives. The time to agree counts from the question that it was
        ready to answer with yes."""
        started_s = asked_s = time.monotonic()
        while get(f"http://127.0.0.1:{self._port}/readyz")[0] != 200:
            if _has_ended(child.pid, 0.01) or time.monotonic() - started_s > READY_S_MAX:
                self._blame("starts_failed", [f"{where}: {_tail(self._log)}"])
                return False
            asked_s = time.monotonic()
        self._ready_ms.append((time.monotonic() - started_s) * 1000)
        comparison = self._compare()
        agreed_s = comparison.wait(asked_s, lambda: not _has_ended(child.pid, 0), self._watch)
        self._look_ms += comparison.look_ms
        if agreed_s is None:
            self._blame("starts_not_agreed", [f"{where}: {len(comparison.look_ms)} looks"])
        else:
            self._agree_ms.append(agreed_s * 1000)
        for kind, names in comparison.wrong().items():
            self._blame(kind, [f"{where}: {name}" for name in names])
        self._watch.read()
        return True

    def _kill(self, child: sigkill_child.Child, cycle: Cycle, where: str) -> bool:
        self._kills += 1
        if not cycle.point:
            if _has_ended(child.pid, cycle.delay_s):
                self._blame("ended_by_itself", [f"{where}: {_tail(self._log)}"])
            return True
        if not cycle.is_early:
            child.arm(f"{cycle.point}:{cycle.passage}")
        if cycle.point in STOP_POINTS:
            os.kill(child.pid, signal.SIGTERM)
        for _ in range(round(DEATH_S_MAX / 0.5)):
            if _has_ended(child.pid, 0.5):
                self._reached[cycle.point] += 1
                return True
            self._watch.read()
        self._unreached[cycle.point] += 1
        return False

    @contextlib.contextmanager
    def _daemon(self, point: str) -> Iterator[sigkill_child.Child]:
        """A daemon that is dead afterwards, by SIGKILL; any other death is blamed."""
        self._checkpoints_folded += self._watch.checkpoints_to_fold
        child = self._start(point)
        try:
            yield child
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
            child.wire.close()
            _, status = os.waitpid(child.pid, 0)
            if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
                self._blame("ended_by_itself", [f"{point or 'random'}, status {status}: {_tail(self._log)}"])

    def _start(self, point: str) -> sigkill_child.Child:
        return sigkill_child.start(
            self._arguments,
            self._log,
            point=point,
            mutant=self._mutant,
            records_share=self._row.records_share,
        )

    def _look(self, where: str) -> None:
        """What must hold of the dead: the venue has nothing that was not recorded before it arrived."""
        truth = self._truth()
        news = self._watch.unrecorded(truth) - self._unrecorded
        self._unrecorded |= news
        self._blame("unrecorded", [f"{where}: {name}" for name in sorted(news)])

    def _end(self) -> None:
        """One more start, stopped in good order: nothing is left, everything agrees to the last contract."""
        child = self._start("")
        try:
            if self._begin(child, "the end"):
                os.kill(child.pid, signal.SIGTERM)
                _has_ended(child.pid, DEATH_S_MAX)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
            child.wire.close()
            _, status = os.waitpid(child.pid, 0)
        if status != 0:
            self._blame("ended_badly", [f"status {status}: {_tail(self._log)}"])
        self._look("the end")
        comparison = self._compare()
        for kind, names in comparison.wrong().items():
            self._blame(kind, [f"the end: {name}" for name in names])
        if not comparison.is_exact:
            held = comparison.truth.positions, comparison.shown.positions
            self._blame("positions_off", [f"the end: venue {held[0]}, ledger {held[1]}"])
        if self._row.fills is not FillListing.LISTED:
            self._blame("amounts_off", amounts_off(comparison.truth, comparison.shown))
            self._ascribed_elsewhere = ascribed_elsewhere(comparison.truth, comparison.shown)
        left = sorted(comparison.truth.open)
        self._blame("left_at_the_end", left)
        if not verify(RealFiles(), self._state / "journal").is_sound:
            self._blame("journal_unsound", ["verify"])

    def _blame(self, kind: str, examples: Sequence[str]) -> None:
        if examples:
            self._wrong[kind] += len(examples)
            if self._blamed[kind] < EXAMPLES_MAX:
                self._examples.append(f"{kind}: {examples[0]}"[:600])
            self._blamed[kind] += 1

    def _figures(self, truth: Truth) -> dict[str, Any]:
        twice = sum(count - 1 for count in truth.names.values())
        self._blame("duplicate_orders", [name for name, count in truth.names.items() if count > 1])
        self._blame("epochs_repeated", ["journal"] * self._watch.epochs_repeated)
        self._blame("halts", self._watch.halts)
        self._blame("alarms", [line for line in self._log.read_text().splitlines() if '"event":"alarm"' in line])
        return {
            "kills": self._kills,
            "reached": dict(self._reached),
            "unreached": dict(self._unreached),
            "wrong": dict(self._wrong),
            "examples": self._examples,
            "ready_ms": self._ready_ms,
            "agree_ms": self._agree_ms,
            "look_ms": self._look_ms,
            "orders": truth.names.total(),
            "orders_twice": twice,
            "fills": truth.fill_count,
            "ascribed_elsewhere": self._ascribed_elsewhere,
            "records": self._watch.number,
            "records_unseen": self._watch.missed,
            "checkpoints_written": self._watch.checkpoints,
            "checkpoints_folded": self._checkpoints_folded,
            "snapshots_written": self._watch.snapshots,
            "epochs": len(self._watch.epochs),
            "rate_limited": truth.rate_limited,
            "refused_signatures": truth.refused_signatures,
            "venue_problems": truth.problems,
        }

    def _truth(self) -> Truth:
        """What the venue has. The journal is read after it: whatever is there was recorded before."""
        report = ask(self._sandbox)
        self._watch.read()
        row = self._row
        return Truth(report, row.fills, sent=self._watch.sent, stand_ins_below=row.stand_ins_below)

    def _compare(self) -> Comparison:
        row = self._row
        return Comparison(
            self._truth, self._state, agree_s_max=row.agree_s_max, listing=row.fills, behind_s=row.behind_s
        )

    def _configure(self, file: Path) -> list[str]:
        file.write_text(self._row.toml(self._sandbox, read_lag_ms=READ_LAG_MS))
        configs = [word for config in (*self._row.configs, str(file)) for word in ("-c", config)]
        settings = (f"http.port={self._port}", f"durability={self._durability}")
        overrides = [word for setting in settings for word in ("--set", setting)]
        return ["run", *configs, "--state-dir", str(self._state), "--no-status", *overrides]


def plan(points: Sequence[str], *, cycles: int, randoms: int, rng: random.Random) -> list[Cycle]:
    """So many cycles: a third of the random ones early, the points in turn; early deaths never twice in a row."""
    early: list[Cycle] = []
    late: list[Cycle] = []
    for number in range(randoms):
        is_early = number % 3 == 0
        cycle = Cycle("", is_early, delay_s=rng.uniform(0.0, 0.4 if is_early else RANDOM_S_MAX))
        (early if is_early else late).append(cycle)
    for number in range(cycles - randoms):
        point = points[number % len(points)]
        often = 1 if point in START_POINTS | STOP_POINTS | RARE_POINTS else rng.randint(1, PASSAGES_MAX)
        (early if point in START_POINTS else late).append(Cycle(point, point in START_POINTS, often))
    rng.shuffle(late)
    rng.shuffle(early)
    mixed = late
    for cycle in early:
        mixed.insert(rng.randint(0, len(mixed)), cycle)
    return mixed


def _has_ended(pid: int, timeout_s: float) -> bool:
    descriptor = os.pidfd_open(pid)
    try:
        return bool(select.select([descriptor], [], [], timeout_s)[0])
    finally:
        os.close(descriptor)


def _tail(log: Path) -> str:
    return log.read_text()[-400:]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
