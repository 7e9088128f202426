"""What a disk does besides losing power: flip bits of what was durable, refuse writes and syncs."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from framework.domain.errors import JournalError
from framework.persistence.journal.journal import Journal
from framework.persistence.journal.records import Checkpoint, Record
from framework.persistence.journal.segments import HEADER_SIZE, Frame, frame_at, segment_name, segment_numbers
from framework.persistence.journal.snapshots import snapshot_name, snapshot_numbers
from tests.proofs.power_loss.promises import JOURNAL, STATE, BrokenPromise, Promises, check, new_disk, restart
from tests.proofs.power_loss.story import Story
from tests.proofs.power_loss.writers import finish
from tests.support.crash_files import CrashFiles, Fate, Refusal

SAFE_FATES = (Fate.LOSE_ALL, Fate.KEEP_ALL, Fate.REORDERED)


class Place(NamedTuple):
    """A part of a segment: a record's frame, or (number 0) a mark or a header. `number` of the first record that
    can't be reached when it is damaged; `is_vouched_for`: something later says that it was acknowledged."""

    path: Path
    start: int
    end: int
    number: int
    is_vouched_for: bool


def places(files: CrashFiles) -> Iterator[Place]:
    """Every part of every segment, in order. The newest frames are vouched for by nothing that is after them."""
    firsts = segment_numbers(files, JOURNAL)
    for first in firsts:
        path = JOURNAL / segment_name(first)
        data = files.read(path)
        frames = list(_frames(data))
        is_last = first == firsts[-1]
        yield Place(path, 0, HEADER_SIZE, first, not is_last or bool(frames))
        next_number = first
        for n, frame in enumerate(frames):
            later = frames[n + 1 :]
            if frame.number:
                is_vouched_for = any(one.committed >= frame.number for one in later)
            else:
                is_vouched_for = any(one.number for one in later)
            yield Place(path, frame.start, frame.end, frame.number or next_number, is_vouched_for or not is_last)
            next_number = frame.number + 1 if frame.number else next_number


def _frames(data: bytes) -> Iterator[Frame]:
    position = HEADER_SIZE
    while position < len(data):
        frame = frame_at(data, position)
        if isinstance(frame, str):
            raise AssertionError(f"offset {position}: {frame}")
        yield frame
        position = frame.end


def flip(files: CrashFiles, path: Path, bit: int) -> CrashFiles:
    """A disk like this one, everything durable, but one bit of a file is another."""
    files = files.after_power_loss(Fate.KEEP_ALL, random.Random(0))
    content = bytearray(files.read(path))
    content[bit // 8] ^= 1 << bit % 8
    files.node(path).content[:] = content
    files.node(path).durable = bytes(content)
    return files


def explains(error: str, place: Place) -> bool:
    """Whether an error names file, offset, record and a way out."""
    dependencies = (
        str(place.path),
        f"offset {place.start},",
        f"record {place.number}:",
        "`tidegate journal cut --after ",
    )
    return all(part in error for part in dependencies)


def judge_flip(files: CrashFiles, promises: Promises, place: Place, bit: int) -> str:
    """What a restart makes of a flipped bit: `detected`, `unexplained`, `missed`, or, where nothing later vouches for
    the place, `cut` like a torn tail. Raises `BrokenPromise` for a wrong state."""
    try:
        found = restart(flip(files, place.path, bit)).found
    except BrokenPromise as e:
        return "detected" if e.kind == "refused" and explains(str(e), place) else "unexplained"
    owed = promises.copy()
    owed.acknowledged = owed.acknowledged if place.is_vouched_for else place.number - 1
    try:
        owed.verify(found)
    except BrokenPromise as e:
        if e.kind != "lost":
            raise
        return "missed"
    return "missed" if place.is_vouched_for else "cut"


def judge_side_file(files: CrashFiles, promises: Promises, path: Path, bit: int) -> str:
    """The same for a snapshot or the epoch file: `detected`, or `survived` when the state is right all the same."""
    owed = promises.copy()
    owed.snapshot = 0
    try:
        check(flip(files, path, bit), owed)
    except BrokenPromise as e:
        if e.kind != "refused":
            raise
        return "detected"
    return "survived"


def side_files(files: CrashFiles) -> list[Path]:
    """The files beside the segments."""
    snapshots = [JOURNAL / snapshot_name(number) for number in snapshot_numbers(files, JOURNAL)]
    return [*snapshots, STATE / "epoch"]


def count_operations(seed: int, *, groups: int) -> int:
    """How many operations of the disk the run of `bear` takes when none is refused."""
    return bear(seed, Refusal(sys.maxsize, 0, is_lasting=False), groups=groups)[1].files.operations


def bear(seed: int, refusal: Refusal, *, groups: int) -> tuple[str, Story]:
    """A run on a disk that refuses operations: where it ended, and the story. Raises `BrokenPromise` when anything
    is acknowledged after the journal has failed."""
    files = new_disk()
    files.refusal = refusal
    story = Story(files, seed, watch=lambda _: None)
    try:
        story.start()
        story.trade(groups=groups)
        story.close()
    except BrokenPromise as e:
        if e.kind != "refused":
            raise
        return "no start", story
    except JournalError:
        insist(story.journal)
        return "journal failed", story
    except OSError:
        return "no epoch", story
    return "snapshot given up" if story.snapshots_refused else "went on", story


def insist(journal: Journal) -> None:
    """Try to get something out of a journal that has failed. Raises `BrokenPromise` when that works."""
    durable = journal.durable_count
    if journal.failure is None:
        raise BrokenPromise("wrong", "the journal raised, but does not say that it failed")
    record = Record(0, 0, 0, Checkpoint("never"))
    for attempt in (lambda: journal.append(record), lambda: finish(journal.wait_durable(durable + 1))):
        try:
            attempt()
        except JournalError:
            continue
        raise BrokenPromise("wrong", "the journal failed, and then took a record")
    with suppress(JournalError):
        journal.close()
    if journal.durable_count != durable:
        raise BrokenPromise("wrong", "the journal failed, and then acknowledged a record")


def check_refusal(seed: int, refusal: Refusal, *, groups: int) -> str:
    """A run with refused operations, then a power failure: everything acknowledged is there. Says how it ended."""
    end, story = bear(seed, refusal, groups=groups)
    for fate in SAFE_FATES:
        check(story.files.after_power_loss(fate, random.Random(refusal.at)), story.promises)
    return end
