"""What a state directory owes to whoever relied on it, and whether a restart on a surviving disk finds it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from framework.domain.errors import Fatal, JournalError
from framework.persistence.journal.journal import Journal, JournalSettings, Recovered
from framework.persistence.journal.records import Checkpoint, EpochTaken, Record, encode_record
from framework.persistence.journal.restore import begin_accounts, fold_record
from framework.persistence.journal.scan import read_entries
from framework.runtime.background import InlineWorker, Worker
from framework.runtime.disk_writer import InlineWriter, Sink, Writer
from framework.runtime.state_directory import Epoch, take_epoch
from framework.state.accounts import Accounts
from tests.support.crash_files import CrashFiles, Fate

STATE = Path("/state")
JOURNAL = STATE / "journal"


class BrokenPromise(Exception):
    """A restart did not find what it had to. `kind`: `lost` (a record or snapshot that was acknowledged is not
    there), `wrong` (something is there that was never written, or folds to another state), `refused` (no start)."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(f"{kind}: {what}")
        self.kind = kind


class Found(NamedTuple):
    """What a restart reads: the last record, the snapshot it began with, every record kept, the state that they fold
    to, and the highest epoch among them."""

    last: int
    snapshot: int
    kept: tuple[tuple[int, bytes], ...]
    digest: str
    epoch: int


class Restart(NamedTuple):
    """A journal open for writing, and what was found in it."""

    journal: Journal
    accounts: Accounts
    found: Found


class Promises:
    """Every record handed to the journal so far, the state after each, and what of it was acknowledged."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.digests: list[str] = [Accounts().digest()]
        self.acknowledged = 0
        self.snapshot = 0
        self.epochs: list[int] = []

    def copy(self) -> Promises:
        """The promises as they are now, to go on with elsewhere."""
        other = Promises()
        other.payloads, other.digests, other.epochs = self.payloads[:], self.digests[:], self.epochs[:]
        other.acknowledged, other.snapshot = self.acknowledged, self.snapshot
        return other

    def record(self, payload: bytes, digest: str) -> None:
        """A record is about to be handed to the journal; `digest` is that of the state after it."""
        self.payloads.append(payload)
        self.digests.append(digest)

    def verify(self, found: Found) -> None:
        """Compare with what a restart found. Raises `BrokenPromise`."""
        if found.last < self.acknowledged:
            raise BrokenPromise("lost", f"{self.acknowledged} records were acknowledged, {found.last} are there")
        if found.snapshot < self.snapshot:
            raise BrokenPromise("lost", f"snapshot {self.snapshot} was acknowledged, {found.snapshot} is the newest")
        if found.last > len(self.payloads):
            raise BrokenPromise("wrong", f"{len(self.payloads)} records were written, {found.last} are there")
        for number, payload in found.kept:
            if payload != self.payloads[number - 1]:
                raise BrokenPromise("wrong", f"record {number} is not the one that was written")
        if found.digest != self.digests[found.last]:
            raise BrokenPromise("wrong", f"the state after record {found.last} is another one")

    def accept(self, found: Found) -> None:
        """A restart went on from what it found: that is the truth now. Raises `BrokenPromise`."""
        self.verify(found)
        del self.payloads[found.last :]
        del self.digests[found.last + 1 :]
        self.acknowledged = found.last
        self.snapshot = found.snapshot

    def take_epoch(self, files: CrashFiles, found: Found) -> Epoch:
        """Take the next epoch, as a start does. Raises `BrokenPromise` when it was taken before."""
        epoch = take_epoch(files, STATE, at_least=found.epoch)
        if epoch <= max(self.epochs, default=0):
            raise BrokenPromise("wrong", f"epoch {epoch} was taken again, after {self.epochs}")
        self.epochs.append(epoch)
        return epoch


def new_disk(*, syncs: bool = True) -> CrashFiles:
    """A disk with an empty state directory."""
    files = CrashFiles(syncs=syncs)
    files.make_directory(STATE)
    files.durable_names, files.operations = dict(files.names), 0
    files.changes.clear()
    return files


def restart(
    files: CrashFiles,
    *,
    start_writer: Callable[[Sink], Writer] = InlineWriter,
    worker: Worker | None = None,
    settings: JournalSettings | None = None,
) -> Restart:
    """Open the journal and fold it. Raises `BrokenPromise` when the journal does not let itself be opened."""
    try:
        journal, recovered = Journal.open(
            files, JOURNAL, start_writer=start_writer, worker=worker or InlineWorker(), settings=settings
        )
        accounts, found = _fold(files, recovered)
    except Fatal as e:
        raise BrokenPromise("refused", str(e)) from e
    return Restart(journal, accounts, found)


def fold(accounts: Accounts, record: Record) -> None:
    """Take in one record of the past. Raises `JournalError` when a checkpoint does not agree."""
    body = record.body
    if isinstance(body, Checkpoint) and body.digest != accounts.digest(body.version):
        raise JournalError(f"checkpoint: {body.digest} was recorded, the fold gives {accounts.digest(body.version)}")
    fold_record(accounts, body, record.now_ns)


def check(files: CrashFiles, promises: Promises) -> None:
    """Restart on this disk, twice with a power failure between, and take an epoch. Raises `BrokenPromise`."""
    found = restart(files).found
    promises.verify(found)
    files = files.after_power_loss(Fate.LOSE_ALL, random.Random(0))
    again = restart(files).found
    if again != found:
        raise BrokenPromise("wrong", f"a second recovery found {again.last} records, the first {found.last}")
    _take_epoch(promises.copy(), files, again)


def check_going_on(files: CrashFiles, promises: Promises) -> None:
    """Restart on this disk, take an epoch, and record it; the power fails. Raises `BrokenPromise`."""
    owed = promises.copy()
    opened = restart(files)
    owed.accept(opened.found)
    epoch = _take_epoch(owed, files, opened.found)
    record = Record(0, 0, 0, EpochTaken(epoch, "tg7f3a91", "", "", 0))
    fold(opened.accounts, record)
    owed.record(encode_record(record), opened.accounts.digest())
    owed.acknowledged = opened.journal.append(record)
    owed.verify(restart(files.after_power_loss(Fate.LOSE_ALL, random.Random(0))).found)


def _take_epoch(promises: Promises, files: CrashFiles, found: Found) -> Epoch:
    try:
        return promises.take_epoch(files, found)
    except Fatal as e:
        raise BrokenPromise("refused", str(e)) from e


def _fold(files: CrashFiles, recovered: Recovered) -> tuple[Accounts, Found]:
    snapshot = recovered.snapshot
    accounts = begin_accounts(snapshot)
    epoch = 0
    for entry in recovered.entries():
        fold(accounts, entry.record)
        if isinstance(entry.record.body, EpochTaken):
            epoch = max(epoch, entry.record.body.epoch)
    kept = tuple((entry.number, encode_record(entry.record)) for entry in read_entries(files, JOURNAL))
    number = snapshot.number if snapshot else 0
    return accounts, Found(recovered.last_number, number, kept, accounts.digest(), epoch)
