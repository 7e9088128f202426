"""The power fails at every operation of the disk: nothing acknowledged is lost, nothing is invented (I1, I22).

    python -m tests.proofs.power_loss [--points 10000] [--seed 1] [--no-sync]

A seeded story of several runs goes through the real journal, snapshots and epoch file on a disk in memory. Before each
operation the disk of a power failure at that point is made for every fate of what was not synced, and started on,
twice; on some of these the power fails again at every operation of the start. Then bits of durable files are flipped,
and writes and syncs refused. Prints one JSON object of figures; exits 1 when a promise is broken. `--no-sync` has the
disk lie about syncs: the proof must then find more than a thousand losses, and exits 1.
"""

from __future__ import annotations

import argparse
import errno
import json
import random
import sys
import time
from collections import Counter
from itertools import product
from typing import Any

from framework.persistence.journal.verify import verify
from tests.proofs.power_loss.faults import (
    check_refusal,
    count_operations,
    judge_flip,
    judge_side_file,
    places,
    side_files,
)
from tests.proofs.power_loss.promises import JOURNAL, BrokenPromise, Promises, check, check_going_on, new_disk
from tests.proofs.power_loss.story import Story
from tests.support.crash_files import CrashFiles, Fate, Refusal

RECOVERIES_EVERY = 40
"""Of so many disks after a power failure, on one the power fails in the recovery too."""
FLIP_EVERY_BYTES = 2
GROUPS = 9
"""Groups of records in one run of a story."""
SIDE_STRIDE = 20
"""In longer files beside the segments so many times fewer bits are flipped: a start reads them whole or not at all."""
FAULTS_STORIES = 4
"""On so many stories bits are flipped and operations refused."""
EXAMPLES_MAX = 5


class Figures:
    """What was tried and what came of it."""

    def __init__(self) -> None:
        self.points: Counter[str] = Counter()
        self.deaths = 0
        self.recovery_points = 0
        self.recoveries = 0
        self.broken: Counter[str] = Counter()
        self.flips: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.examples: list[str] = []

    def note(self, error: BrokenPromise, where: str) -> None:
        """Count a broken promise, and keep the first few."""
        self.broken[error.kind] += 1
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(f"{where}: {error}")

    @property
    def is_kept(self) -> bool:
        """Whether every promise held."""
        return not self.broken and not self.flips["missed"] and not self.flips["unexplained"]

    def as_json(self) -> dict[str, Any]:
        """The figures to print."""
        return {
            "points": self.points.total(),
            "points_by_fate": dict(self.points),
            "points_after_process_death": self.deaths,
            "points_in_recovery": self.recovery_points,
            "recoveries_interrupted": self.recoveries,
            "lost": self.broken["lost"],
            "wrong": self.broken["wrong"],
            "refused_starts": self.broken["refused"],
            "flipped_bits": self.flips.total(),
            "flips": dict(sorted(self.flips.items())),
            "refused_operations": self.refusals.total(),
            "ends_after_refusal": dict(sorted(self.refusals.items())),
            "examples": self.examples,
        }


class Cuts:
    """Fails the power before every operation of a story, with every fate."""

    def __init__(self, figures: Figures, seed: int) -> None:
        self._figures = figures
        self._seed = seed
        self._rng = random.Random(seed)

    def at(self, story: Story) -> None:
        """Start on every disk that a power failure here may leave, and on the one that a dead process leaves."""
        where = f"seed {self._seed}, operation {story.files.operations}"
        for fate in Fate:
            files = story.files.after_power_loss(fate, self._rng)
            is_chosen = self._rng.randrange(RECOVERIES_EVERY) == 0
            copy = files.copy() if is_chosen else None
            look = check_going_on if self._rng.randrange(4) == 0 else check
            self._figures.points[fate.value] += 1
            try:
                look(files, story.promises)
                if copy is not None:
                    self._interrupt(copy, story.promises.copy(), f"{where}, {fate.value}")
            except BrokenPromise as e:
                self._figures.note(e, f"{where}, {fate.value}")
        for look in (check, check_going_on):
            self._figures.deaths += 1
            try:
                look(story.files.copy(), story.promises)
            except BrokenPromise as e:
                self._figures.note(e, f"{where}, the process dies, the power fails after the next start")

    def _interrupt(self, files: CrashFiles, promises: Promises, where: str) -> None:
        """Start on this disk, fail the power at every operation of that, then trade on and look at the result."""
        self._figures.recoveries += 1
        story = Story(files, self._seed, watch=lambda story: self._again(story, where), promises=promises)
        story.start()
        story.watch = lambda _: None
        story.trade(groups=4)
        story.close()
        report = verify(story.files, JOURNAL)
        if not report.is_sound or report.last_number != len(promises.payloads):
            raise BrokenPromise("wrong", f"after going on: {report.lines()}")

    def _again(self, story: Story, where: str) -> None:
        for fate in self._rng.sample(list(Fate), 2):
            self._figures.recovery_points += 1
            try:
                check(story.files.after_power_loss(fate, self._rng), story.promises)
            except BrokenPromise as e:
                self._figures.note(e, f"{where}, again at operation {story.files.operations}, {fate.value}")


def cut_power(figures: Figures, seed: int, *, syncs: bool, groups: int = GROUPS) -> None:
    """One story of so many groups a run, with a power failure at every operation."""
    cuts = Cuts(figures, seed)
    story = Story(new_disk(syncs=syncs), seed, watch=cuts.at)
    try:
        story.tell(groups=groups)
    except BrokenPromise as e:
        figures.note(e, f"seed {seed}, the story's own power failure")
    else:
        cuts.at(story)


def flip_bits(figures: Figures, seed: int, *, every_bytes: int) -> None:
    """One bit in so many bytes of the segments, fewer in the files beside them: once of a journal that was closed,
    once of an open one, whose newest group nothing vouches for yet."""
    rng = random.Random(seed)
    story = Story(new_disk(), seed, watch=lambda _: None)
    story.tell(groups=GROUPS)
    for is_open in (False, True):
        if is_open:
            story.start()
            story.trade(groups=seed % 3)
        files, promises = story.files, story.promises
        for place in places(files):
            for byte in range(place.start + rng.randrange(every_bytes), place.end, every_bytes):
                verdict = judge_flip(files, promises, place, byte * 8 + rng.randrange(8))
                figures.flips[verdict] += 1
                if verdict in ("missed", "unexplained") and len(figures.examples) < EXAMPLES_MAX:
                    figures.examples.append(f"seed {seed}, byte {byte} flipped: {verdict}: {place}")
        for path in side_files(files):
            stride = SIDE_STRIDE * every_bytes if files.size(path) > SIDE_STRIDE else 1
            for byte in range(rng.randrange(stride), files.size(path), stride):
                verdict = judge_side_file(files, promises, path, byte * 8 + rng.randrange(8))
                figures.flips[f"{verdict}, beside the segments"] += 1


def refuse(figures: Figures, seed: int, *, groups: int = GROUPS) -> None:
    """Refuse each operation of a run, once or from there on, for want of room or with an error of the disk."""
    operations = count_operations(seed, groups=groups)
    for error, is_lasting, at in product((errno.ENOSPC, errno.EIO), (False, True), range(operations)):
        try:
            end = check_refusal(seed, Refusal(at, error, is_lasting), groups=groups)
        except BrokenPromise as e:
            figures.note(e, f"seed {seed}, operation {at} refused with {errno.errorcode[error]}")
            end = "broken"
        figures.refusals[end] += 1


def prove(*, points: int, seed: int, syncs: bool = True) -> Figures:
    """The whole proof: at least so many points, and a tenth as many in recoveries."""
    figures = Figures()
    stories = 0
    while figures.points.total() < points or (syncs and figures.recovery_points < points // 10):
        cut_power(figures, seed + stories, syncs=syncs)
        stories += 1
    if syncs:
        for n in range(FAULTS_STORIES):
            flip_bits(figures, seed + n, every_bytes=FLIP_EVERY_BYTES)
            refuse(figures, seed + n)
    return figures


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-sync", action="store_true", help="negative control: syncs do nothing")
    options = parser.parse_args()
    started, started_cpu = time.perf_counter(), time.process_time()
    figures = prove(points=options.points, seed=options.seed, syncs=not options.no_sync)
    seconds = round(time.perf_counter() - started, 1)
    cpu_seconds = round(time.process_time() - started_cpu, 1)
    command = {"seed": options.seed, "syncs": not options.no_sync}
    print(json.dumps({**command, **figures.as_json(), "seconds": seconds, "cpu_seconds": cpu_seconds}, indent=1))
    return 0 if figures.is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
