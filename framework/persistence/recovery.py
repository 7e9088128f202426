"""Opening the records of a run: the state is rebuilt by replaying the journal, and the next epoch is taken.

Every run begins here, the first one with an empty journal. Order: open journal, ledger and tape; fold the journal; show
in the ledger what it has missed; take the epoch durably (C24); write it down as the run's first record (C23).

A journal that has lost its end looks whole: what is left of it was true once. The ledger knows better, because its
`durable_mark` is the number of a record that was durable. A run that begins before that record begins halted, and
says so in its first records. No order is sent twice by going on, because the epoch lies outside the journal and so no
client order id comes twice; what was open at the venues comes back as external orders and fills. But a halt that an
operator ordered may be among the lost records, so an operator must resume trading.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import msgspec

from framework.domain.account_events import Scope, TradingState, TradingStateChanged
from framework.domain.errors import Fatal, JournalError
from framework.domain.orders import Order
from framework.domain.ports import Clock, Rng
from framework.persistence.journal.journal import Journal, Recovered
from framework.persistence.journal.records import Checkpoint, Entry, EpochTaken
from framework.persistence.journal.restore import begin_accounts, fold, fold_record, known_orders
from framework.persistence.journal.verify import lost_end
from framework.persistence.ledger.ledger import Ledger
from framework.persistence.ledger.rebuild import open_ledger, show_past
from framework.persistence.ledger.retention import DEFAULT_RETENTION, Retention
from framework.persistence.ledger.schema import LedgerError
from framework.persistence.recorder import Recorder
from framework.persistence.tape import Tape, TapeSettings
from framework.runtime.background import BackgroundWorker, Worker
from framework.runtime.disk_writer import Durability, start_writer
from framework.runtime.failpoints import reach
from framework.runtime.files import FileSystem
from framework.runtime.state_directory import read_epoch, take_epoch
from framework.state.account_snapshot import CANONICAL_VERSION
from framework.state.accounts import Accounts
from framework.state.orders.client_order_ids import new_instance

CHECKPOINT_NS = 60_000_000_000
"""How often the digest of the state is recorded: a start that folds to another state stops at the next one."""
COMPARE_INTERVAL_NS = 600_000_000_000
"""How often the journal on the disk is folded again and compared with the state in memory (I22)."""
SNAPSHOT_RECORDS = 20_000
"""After so many records a snapshot is written: a start reads it and folds hardly more records than these."""


class RecordSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how a run is recorded.

    `directory` is the state directory, `tape` None records no market data, `retention` says how much of the past the
    ledger keeps. `version` of the program and `config_hash` (SHA-256) are written into the journal beside the epoch
    (C23).
    """

    directory: Path
    durability: Durability
    tape: TapeSettings | None
    version: str
    config_hash: str
    retention: Retention = DEFAULT_RETENTION


class Records:
    """The open records of this run: journal, tape and ledger, and the state that the journal folds to.

    `open_records` makes it. Call `run_maintenance` ten times a second and `close` at the end.

    `instance` and `epoch` name the run (`framework.state.orders.client_order_ids`). `last_step` is the last step that
    journal or tape know: the kernel counts on after it. `snapshot_number` is the record of the newest snapshot, 0 for
    none. `was_stopped` says whether the run before was stopped and did not just end, None when there was none. `notes`
    are sentences for the log about what was repaired at the start. `lost` says which durable records are
    gone from the journal's end, empty for none: then the run begins halted. `checkpoint_ns` and `compared_ns` are the
    monotonic times of the last checkpoint and comparison.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        recorder: Recorder,
        ledger: Ledger,
        retention: Retention,
        accounts: Accounts,
        epoch_on_disk: Callable[[], int],
        digest_on_disk: Callable[[int], Awaitable[str]],
        opened: ExitStack,
    ) -> None:
        self.journal = journal
        self.recorder = recorder
        self.ledger = ledger
        self.accounts = accounts
        self.epoch = 0
        self.instance = ""
        self.last_step = 0
        self.snapshot_number = 0
        self.checkpoint_ns = 0
        self.compared_ns = 0
        self.notes: tuple[str, ...] = ()
        self.lost = ""
        self.was_stopped: bool | None = None
        self._begun: int | None = None
        self._taken: EpochTaken | None = None
        self._retention = retention
        self._epoch_on_disk = epoch_on_disk
        self._digest_on_disk = digest_on_disk
        self._opened = opened

    def fold(self, entry: Entry) -> Sequence[Order]:
        """Apply one record of an earlier run and return the orders that it changed.

        Raises `JournalError` when a checkpoint does not agree with the state: this program, or the disk, makes
        something else of the same records, and nothing may be traded on it.
        """
        record, body = entry.record, entry.record.body
        self.last_step = max(self.last_step, record.step)
        if isinstance(body, EpochTaken):
            self.instance, self.epoch = body.instance, body.epoch
        elif isinstance(body, Checkpoint) and body.digest != _digest(self.accounts, body.version, entry.number):
            raise JournalError(
                f"journal record {entry.number}: the state folded from the journal is not the state that was "
                "recorded there; do not trade on it. Run `tidegate journal verify` and keep the files."
            )
        return fold_record(self.accounts, body, record.now_ns)

    def is_fenced(self) -> bool:
        """Whether a newer run has taken an epoch on this state directory: then this run must not send any more (I20).

        Reads the disk. Raises `OSError` and what reading a damaged epoch file raises.
        """
        return self._epoch_on_disk() > self.epoch

    @property
    def ledger_lag(self) -> int:
        """How many durable records the ledger does not show yet."""
        return max(0, self.journal.durable_count - self.ledger.applied_number)

    def checkpoint(self, now_ns: int, monotonic_ns: int) -> None:
        """Record the digest of the state, so that a later fold can be compared with it. Raises `JournalError` once the
        journal has failed."""
        self.recorder.journal(
            self.last_step, now_ns, monotonic_ns, Checkpoint(self.accounts.digest(), CANONICAL_VERSION)
        )

    def begin(self, taken: EpochTaken, monotonic_ns: int) -> None:
        """Begin the run: record its epoch, which is already durable in its own file, and, if records were lost, halt.

        Once, before anything else is recorded. Raises `JournalError` when the journal has failed.
        """
        self.was_stopped = self.accounts.trading.is_shutting_down if self.epoch else None
        self.epoch, self.instance = taken.epoch, taken.instance
        self._taken = taken
        self.checkpoint_ns = self.compared_ns = monotonic_ns
        self.accounts.begin_epoch()
        self.recorder.journal(self.last_step, taken.ts_ns, monotonic_ns, taken)
        if self.lost:
            # A step of its own: every step has one input at most, and this event is an input.
            self.last_step += 1
            halt = TradingStateChanged(
                scope=Scope.GLOBAL,
                target="",
                state=TradingState.HALTED,
                reason=self.lost,
                ts_recv=taken.ts_ns,
                by="recovery",
            )
            self.recorder.journal(self.last_step, taken.ts_ns, monotonic_ns, halt)
            self.accounts.apply(halt, taken.ts_ns)
        self._begun = self.journal.appended_count

    async def run_maintenance(self, step: int, clock: Clock) -> None:
        """Call ten times a second after `begin`: starts the writing of tape and ledger and the removal of old rows,
        writes checkpoints and snapshots and compares disk and memory when they are due, as long as the journal can be
        written.

        `step` is the kernel's last one. Raises what `checkpoint`, `compare_with_disk` and `keep_snapshot` raise.
        """
        self._report_durable()
        self.recorder.flush()
        if self.journal.failure is not None:
            return
        now_ns, monotonic_ns = clock.now_ns(), clock.monotonic_ns()
        self.ledger.prune(self._retention, now_ns)
        self.last_step = step
        if monotonic_ns - self.checkpoint_ns >= CHECKPOINT_NS:
            self.checkpoint_ns = monotonic_ns
            self.checkpoint(now_ns, monotonic_ns)
        if monotonic_ns - self.compared_ns >= COMPARE_INTERVAL_NS:
            self.compared_ns = monotonic_ns
            await self.compare_with_disk()
        is_due = self.journal.appended_count - self.snapshot_number >= SNAPSHOT_RECORDS
        # The epoch is recorded again behind a snapshot, and on a fold an epoch ends a shutdown: while this run shuts
        # down, memory and journal would come apart.
        if is_due and not self.accounts.trading.is_shutting_down:
            await self.keep_snapshot(now_ns, monotonic_ns)

    async def compare_with_disk(self) -> None:
        """Fold the journal on the disk, outside the event loop, and compare it with the state as it is now (I22).

        Raises `JournalError` when they differ: one of them is wrong, and nothing may be traded on it.
        """
        # Both are read before the first await: afterwards the state may be that of later records.
        number, digest = self.journal.appended_count, self.accounts.digest()
        await self.journal.wait_durable(number)
        if await self._digest_on_disk(number) != digest:
            raise JournalError(
                f"journal: folded up to record {number} it is not the state in memory; stop, keep the state directory, "
                "and run `tidegate journal verify`"
            )

    async def keep_snapshot(self, now_ns: int, monotonic_ns: int) -> None:
        """Write a snapshot of the state as it is now, so that the next start folds only what comes after it.

        After `begin`, and not while the run shuts down. The epoch is recorded again right after it: a start that reads
        no earlier record finds its instance and epoch there. Raises `RuntimeError` before `begin`, `JournalError` when
        the journal has failed, and `OSError` when the snapshot can't be written: trading goes on then, because the
        records are all still there.
        """
        if self._taken is None:
            raise RuntimeError("keep_snapshot: call begin first")
        number, state = self.journal.appended_count, self.accounts.to_snapshot()
        self.snapshot_number = number
        epoch_number = self.recorder.journal(self.last_step, now_ns, monotonic_ns, self._taken)
        await self.journal.wait_durable(epoch_number)
        written = await self.journal.snapshot(state, at_number=number, keep_from=self.ledger.applied_number)
        self.recorder.journal(self.last_step, now_ns, monotonic_ns, written)

    def close(self) -> None:
        """Flush and close everything, even when a part of it fails. Raises what failed, the journal's error first."""
        try:
            with self._opened:
                self.journal.close()
                self._report_durable()
        except LedgerError as e:
            if self.journal.failure is not None:
                raise self.journal.failure from e
            raise

    def _report_durable(self) -> None:
        """Give the ledger the number of the last durable record, once the beginning of this run is durable.

        Not before: a mark from an earlier run that shows lost records must stay until their loss is on record.
        """
        if self._begun is not None and self.journal.durable_count >= self._begun:
            self.ledger.mark_durable(self.journal.durable_count)


def open_records(
    files: FileSystem, settings: RecordSettings, *, clock: Clock, rng: Rng, observe_sync_ns: Callable[[int], None]
) -> Records:
    """Open the records under `settings.directory`, rebuild the state and take the next epoch durably.

    The caller holds the directory's lock. `observe_sync_ns` gets the duration of each sync of the journal in
    nanoseconds. Raises `JournalError` when something durable can't be read, naming file and remedy, `LedgerError` when
    another program holds the ledger, and `Fatal` when the disk refuses something. A start that failed can be repeated.
    """
    try:
        records, recovered = _open(files, settings, clock, observe_sync_ns)
        try:
            _recover(records, recovered)
            reach("recovery-after-fold")
            _begin(records, files, settings, clock=clock, rng=rng)
            reach("recovery-after-epoch")
        except BaseException:
            records.close()
            raise
    except OSError as e:
        raise Fatal(f"state_dir: {settings.directory} can't be read or written ({e}); check the disk and rights") from e
    return records


def _open(
    files: FileSystem, settings: RecordSettings, clock: Clock, observe_sync_ns: Callable[[int], None]
) -> tuple[Records, Recovered]:
    directory, journal_directory = settings.directory, settings.directory / "journal"
    start = partial(start_writer, clock=clock, durability=settings.durability, observe_sync_ns=observe_sync_ns)
    with ExitStack() as opened:
        disk, writing = BackgroundWorker("disk"), BackgroundWorker("ledger")
        opened.callback(disk.close)
        opened.callback(writing.close)
        journal, recovered = Journal.open(files, journal_directory, start_writer=start, worker=disk)
        opened.callback(journal.close)
        last = recovered.last_number
        ledger, notes = open_ledger(directory / "ledger.sqlite3", writing, last_number=last)
        opened.callback(ledger.close)
        tape = Tape.open(files, directory / "tape", BackgroundWorker("tape"), settings.tape) if settings.tape else None
        if tape is not None:
            opened.callback(tape.close)
        records = Records(
            journal=journal,
            recorder=Recorder(journal, tape, ledger),
            ledger=ledger,
            retention=settings.retention,
            accounts=begin_accounts(recovered.snapshot),
            epoch_on_disk=partial(read_epoch, files, directory),
            digest_on_disk=partial(_digest_on_disk, disk, files, journal_directory),
            opened=opened.pop_all(),
        )
    records.notes = (*recovered.notes, *notes)
    # The tape may hold later steps than the journal, and no step gets a second input: count on after both.
    records.last_step = tape.last_step if tape else 0
    records.lost = lost_end(last, ledger.durable_mark)
    return records, recovered


def _digest(accounts: Accounts, version: int, number: int) -> str:
    try:
        return accounts.digest(version)
    except ValueError as e:
        raise JournalError(f"journal record {number}: {e}") from e


async def _digest_on_disk(disk: Worker, files: FileSystem, directory: Path, last: int) -> str:
    return await disk.run(lambda: fold(files, directory, last=last).digest())


def _recover(records: Records, recovered: Recovered) -> None:
    """Fold the journal, and show in the ledger what it has missed and what became of the orders."""
    ledger = records.ledger
    changed: dict[str, Order] = {}
    if recovered.snapshot is not None:
        records.snapshot_number = recovered.snapshot.number
        # The ledger lacks records that are folded into the snapshot, so any order in it may have changed since.
        if ledger.is_rewound or ledger.applied_number <= recovered.snapshot.number:
            changed.update(known_orders(records.accounts))
    for entry in recovered.entries():
        changed.update((order.client_order_id, order) for order in records.fold(entry))
    records.notes += show_past(ledger, recovered, changed, records.accounts)


def _begin(records: Records, files: FileSystem, settings: RecordSettings, *, clock: Clock, rng: Rng) -> None:
    """Take the next epoch durably, and record it."""
    instance = records.instance or new_instance(rng)
    epoch = take_epoch(files, settings.directory, at_least=records.epoch)
    taken = EpochTaken(epoch, instance, settings.config_hash, settings.version, clock.now_ns())
    records.begin(taken, clock.monotonic_ns())
