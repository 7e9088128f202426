"""What happens to one state directory in several runs of a daemon, written down as promises on the way.

A run recovers, takes the epoch, records orders and their answers in groups, keeps snapshots, and is closed or loses
its power. Sizes, groups, writer and worker follow from the seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from hashlib import sha256
from typing import Any

from framework.domain.account_events import ReportKind, Scope, StrategySaved, TradingState, TradingStateChanged
from framework.domain.intents import Intent
from framework.domain.verdicts import RefusalCode, Refused
from framework.persistence.journal.journal import Journal, JournalSettings
from framework.persistence.journal.records import Body, Checkpoint, EpochTaken, Record, SnapshotTaken, encode_record
from framework.runtime.background import InlineWorker
from framework.runtime.disk_writer import InlineWriter, Sink, Writer
from framework.state.account_snapshot import CANONICAL_VERSION
from framework.state.accounts import Accounts
from tests.proofs.power_loss.promises import Promises, fold, restart
from tests.proofs.power_loss.writers import GroupWriter, LateWorker, finish
from tests.support import state_records as facts
from tests.support.crash_files import CrashFiles, Fate

GROUP_MAX = 6


class _Death(Exception):
    """The process ended here."""


def order_life(rng: random.Random, prefix: str) -> Iterator[list[Body]]:
    """Endless groups of facts as a kernel records them: what is in a group is waited for together."""
    count = 0
    while True:
        names = [f"{prefix}-{count + n}" for n in range(rng.randrange(1, GROUP_MAX))]
        count += len(names)
        approved = [facts.new(name, price=rng.randrange(1, 99), size=10) for name in names]
        yield [*approved]
        yield [_sent(name) for name in names]
        yield [facts.report(ReportKind.ACCEPTED, name, venue_order_id=f"v-{name}") for name in names]
        yield [
            facts.fill(
                f"f-{name}", name=name, venue_order_id=f"v-{name}", size=rng.randrange(1, 11), fee=rng.randrange(9)
            )
            for name in names
            if rng.random() < 0.7
        ] or [_refused(approved[0].intent)]
        yield [facts.cancel(names[0]), _sent(names[0])]
        yield [facts.report(ReportKind.CANCELLED, names[0]), StrategySaved("maker", rng.randbytes(rng.randrange(700)))]
        if rng.random() < 0.3:
            state = rng.choice(list(TradingState))
            yield [TradingStateChanged(scope=Scope.STRATEGY, target="maker", state=state, reason="test", ts_recv=1)]


def _sent(name: str) -> Body:
    report = facts.report(ReportKind.SENT, name)
    return type(report)(
        venue=report.venue,
        client_order_id=name,
        kind=report.kind,
        ts_recv=report.ts_recv,
        detail=sha256(name.encode()).hexdigest(),
    )


def _refused(intent: Intent) -> Body:
    return Refused(
        intent=intent, code=RefusalCode.POSITION_MAX, detail="position=100 limit=90", check="max_position", ts_ns=5
    )


class Story:
    """One state directory. `watch` is called before every operation of the disk, when `files` is the disk and
    `promises` is what it owes."""

    def __init__(
        self, files: CrashFiles, seed: int, *, watch: Callable[[Story], None], promises: Promises | None = None
    ) -> None:
        self.files = files
        self.promises = promises or Promises()
        self.watch = watch
        self.snapshots_refused = 0
        self._rng = random.Random(seed)
        # With the shortest segments each group has one of its own.
        segment_bytes_max = self._rng.choice([1, self._rng.randrange(300, 1_200), self._rng.randrange(300, 3_000)])
        self._settings = JournalSettings(segment_bytes_max, snapshots_kept=self._rng.randrange(1, 4))
        self._start_writer: Callable[[Sink], Writer] = InlineWriter if seed % 3 == 0 else GroupWriter
        self._worker = LateWorker(self._rng) if seed % 2 else InlineWorker()
        self._journal: Journal | None = None
        self._accounts = Accounts()
        self._snapshot: Coroutine[Any, Any, SnapshotTaken] | None = None
        self._groups: Iterator[list[Body]] = iter(())
        self._operations_left = -1
        self._taken: EpochTaken
        files.watch = self._before_operation

    def tell(self, *, groups: int = 9) -> None:
        """Four runs: one is closed, one dies while the machine goes on, one loses its power, one is closed."""
        self.start()
        self.trade(groups=groups)
        self.close()
        self.start()
        self.trade_until_death(groups=groups)
        self.start()
        self.trade_until_death(groups=groups)
        self.lose_power()
        self.start()
        self.trade(groups=groups)
        self.close()

    def start(self) -> None:
        """Recover and take the epoch, as a start does."""
        opened = restart(self.files, start_writer=self._start_writer, worker=self._worker, settings=self._settings)
        self.promises.accept(opened.found)
        self._journal, self._accounts = opened.journal, opened.accounts
        epoch = self.promises.take_epoch(self.files, opened.found)
        self._groups = order_life(self._rng, f"tg7f3a91-{epoch}")
        self._taken = EpochTaken(epoch, "tg7f3a91", "c0ffee", "0.1.0", 7)
        self.commit([self._taken])

    def trade(self, *, groups: int) -> None:
        """Record groups and wait for each, with two snapshots between."""
        snapshots_at = {groups // 3, groups - 2}
        for n in range(groups):
            self.commit(next(self._groups))
            if n in snapshots_at:
                self.keep_snapshot()
            self.finish_snapshot()

    def append(self, bodies: list[Body]) -> None:
        """Hand records to the journal."""
        for body in bodies:
            record = Record(len(self.promises.payloads), 1_000, 2_000, body)
            fold(self._accounts, record)
            self.promises.record(encode_record(record), self._accounts.digest())
            self.journal.append(record)

    def commit(self, bodies: list[Body]) -> None:
        """Hand records to the journal and wait for them."""
        self.append(bodies)
        self._wait()

    def keep_snapshot(self) -> None:
        """Have a snapshot of the state written; `finish_snapshot` takes the result."""
        self.finish_snapshot(at_once=True)
        if self._rng.random() < 0.5:
            self.append(next(self._groups))
        number = self.journal.appended_count
        state = self._accounts.to_snapshot()
        # As the daemon does: who starts from the snapshot learns the epoch from the record behind it.
        self.append([self._taken])
        if self._rng.random() < 0.5:
            self._wait()
        keep_from = self._rng.choice([None, self._rng.randrange(number + 1)])
        work = self.journal.snapshot(state, at_number=number, keep_from=keep_from)
        try:
            work.send(None)
        except StopIteration as e:
            self._keep(e.value)
        except OSError:
            self.snapshots_refused += 1
        else:
            self._snapshot = work

    def finish_snapshot(self, *, at_once: bool = False) -> None:
        """Take the result of a snapshot if there is one, or have it done at once."""
        if self._snapshot is None or not isinstance(self._worker, LateWorker):
            return
        if at_once:
            self._worker.close()
        if not self._worker.is_busy:
            work, self._snapshot = self._snapshot, None
            try:
                taken = finish(work)
            except OSError:
                self.snapshots_refused += 1
            else:
                self._keep(taken)

    def close(self) -> None:
        """End a run in good order."""
        self.finish_snapshot(at_once=True)
        self.commit([Checkpoint(self._accounts.digest(), CANONICAL_VERSION)])
        self.journal.close()
        self._acknowledge()

    def trade_until_death(self, *, groups: int) -> None:
        """Trade, and have the process die at some operation: what it wrote stays as it is, synced or not."""
        self._operations_left = self._rng.randrange(groups, 4 * groups)
        with suppress(_Death):
            self.trade(groups=groups)
        self._operations_left = -1
        self._snapshot = None
        if isinstance(self._worker, LateWorker):
            self._worker = LateWorker(self._rng)
        self._journal = None

    def lose_power(self) -> None:
        """The machine stops after the process; the disk is another one then."""
        operations = self.files.operations
        self.files = self.files.after_power_loss(self._rng.choice(list(Fate)), self._rng)
        self.files.operations = operations
        self.files.watch = self._before_operation

    @property
    def journal(self) -> Journal:
        """The open journal."""
        if self._journal is None:
            raise AssertionError("start() first")
        return self._journal

    def _keep(self, taken: SnapshotTaken) -> None:
        self.promises.snapshot = taken.number
        self.commit([taken])

    def _wait(self) -> None:
        finish(self.journal.wait_durable(self.journal.appended_count))
        self._acknowledge()

    def _acknowledge(self) -> None:
        if self._journal is not None:
            self.promises.acknowledged = max(self.promises.acknowledged, self._journal.durable_count)

    def _before_operation(self) -> None:
        if isinstance(self._worker, LateWorker):
            self._worker.before_operation()
        self._acknowledge()
        self.watch(self)
        self._operations_left -= 1
        if self._operations_left == 0:
            raise _Death
