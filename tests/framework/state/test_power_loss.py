from __future__ import annotations

import random
from collections.abc import Coroutine
from pathlib import Path
from typing import NamedTuple

import pytest

from framework.domain.errors import JournalError
from framework.runtime.background import InlineWorker
from framework.runtime.inline_writer import InlineWriter
from framework.state.journal import Journal, JournalSettings, Recovered
from framework.state.records import Checkpoint, Record
from tests.support.power_files import Fate, PowerFiles, PowerLoss

DIRECTORY = Path("/state/journal")
SETTINGS = JournalSettings(segment_bytes_max=400)
RECORDS = 40


class Acknowledged:
    """What was acknowledged before the power failed."""

    def __init__(self) -> None:
        self.records = 0
        self.snapshot = 0


def open_journal(files: PowerFiles) -> tuple[Journal, Recovered]:
    return Journal.open(files, DIRECTORY, start_writer=InlineWriter, worker=InlineWorker(), settings=SETTINGS)


def at_once(work: Coroutine[object, object, object]) -> None:
    with pytest.raises(StopIteration):
        work.send(None)


def run(files: PowerFiles, acknowledged: Acknowledged) -> None:
    journal, recovered = open_journal(files)
    for number in range(recovered.last_number + 1, RECORDS + 1):
        acknowledged.records = journal.append(Record(number, 0, 0, Checkpoint(f"state {number}")))
        if number % 10 == 0:
            at_once(journal.snapshot(b"state %d" % number, at_number=number))
            acknowledged.snapshot = number
    journal.close()


def run_until_power_loss(files: PowerFiles, at: int) -> Acknowledged:
    files.power_fails_at = at
    acknowledged = Acknowledged()
    try:
        run(files, acknowledged)
    except PowerLoss:
        files.power_fails_at = None
    return acknowledged


class Found(NamedTuple):
    last: int
    snapshot: int
    steps: tuple[int, ...]


def recover(files: PowerFiles) -> Found:
    _, recovered = open_journal(files)
    steps = tuple(entry.record.step for entry in recovered.entries())
    snapshot = recovered.snapshot
    if snapshot is not None:
        assert snapshot.state == b"state %d" % snapshot.number
    return Found(recovered.last_number, snapshot.number if snapshot else 0, steps)


def is_whole(found: Found, acknowledged: Acknowledged) -> bool:
    return (
        found.last >= acknowledged.records
        and found.snapshot >= acknowledged.snapshot
        and found.steps == tuple(range(found.snapshot + 1, found.last + 1))
    )


def operations() -> int:
    files = PowerFiles()
    run(files, Acknowledged())
    return files.operations


@pytest.mark.parametrize("fate", list(Fate))
def test_journal_when_the_power_fails_at_any_operation_then_nothing_acknowledged_is_lost(fate: Fate) -> None:
    for at in range(operations()):
        files = PowerFiles()
        acknowledged = run_until_power_loss(files, at)
        files = files.after_power_loss(fate, random.Random(at))

        found = recover(files)

        assert is_whole(found, acknowledged), (at, fate, found)
        assert recover(files) == found
        run(files, Acknowledged())
        assert recover(files).last == RECORDS


@pytest.mark.parametrize("fate", list(Fate))
def test_recovery_when_the_power_fails_in_it_too_then_nothing_acknowledged_is_lost(fate: Fate) -> None:
    for at in range(0, operations(), 7):
        for later in range(8):
            rng = random.Random(at * 100 + later)
            files = PowerFiles()
            acknowledged = run_until_power_loss(files, at)
            files = files.after_power_loss(fate, rng)
            second = run_until_power_loss(files, later)
            files = files.after_power_loss(rng.choice(list(Fate)), rng)

            found = recover(files)

            acknowledged.records = max(acknowledged.records, second.records)
            assert is_whole(found, acknowledged), (at, later, fate, found)


def test_journal_when_nothing_is_ever_synced_then_records_are_lost() -> None:
    lost = 0
    for at in range(operations()):
        files = PowerFiles(syncs=False)
        acknowledged = run_until_power_loss(files, at)
        try:
            lost += not is_whole(recover(files.after_power_loss(Fate.LOST, random.Random(at))), acknowledged)
        except JournalError:
            lost += 1

    assert lost > operations() // 2
