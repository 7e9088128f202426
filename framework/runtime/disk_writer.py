"""Durable appends: in a writer thread with group commit, or in the caller's thread; `start_writer` chooses.

With the thread the loop only queues records: the thread encodes and writes everything queued in one go, syncs once, and
wakes all that wait with one call per commit. After the first error nothing is written any more: a failed sync says
nothing about what is on the disk, and a second one that succeeds says nothing either.
"""

from __future__ import annotations

import asyncio
import heapq
import threading
from collections.abc import Callable, Sequence
from enum import Enum
from queue import SimpleQueue
from typing import Protocol

from framework.domain.errors import JournalError
from framework.domain.ports import Clock
from framework.runtime.failpoints import reach

BATCH_MAX = 4096
"""Most records of one commit: bounds how long the first of them waits for the others to be written."""


class Durability(Enum):
    """What a durable record survives."""

    POWER_LOSS = "power-loss"
    """Synced to the disk before it counts as durable."""
    PROCESS_CRASH = "process-crash"
    """Written to the operating system: survives the end of the process, not of the machine."""


class Sink(Protocol):
    """Where records end up: see `framework.persistence.journal.segments`. One thread at a time; raises `OSError`."""

    @property
    def last_number(self) -> int:
        """The number of the last record written (0 = none)."""
        ...

    def write(self, records: Sequence[object], committed: int, /) -> None:
        """Encode and write records in order, all or none. `committed`: how many have been acknowledged as durable so
        far. Raises `JournalError` for a record that can't be encoded; nothing is written then."""
        ...

    def sync(self) -> None:
        """Make everything written so far durable on the disk. Raises `OSError`; nothing unsynced can be relied on
        then."""
        ...

    def close(self, committed: int, /) -> None:
        """Leave a mark that `committed` records were acknowledged, sync, and give the file back."""
        ...


class Writer(Protocol):
    """Where journal records become durable, in order; with an end."""

    def append(self, record: object, /) -> int:
        """Queue a record, which never changes any more, and return its number. Raises `JournalError` once the log has
        failed or is closed."""
        ...

    @property
    def appended_count(self) -> int:
        """The number of the last record taken."""
        ...

    @property
    def durable_count(self) -> int:
        """The number of the last record that is durable."""
        ...

    @property
    def failure(self) -> JournalError | None:
        """What made the log fail, or None."""
        ...

    async def wait_durable(self, number: int, /) -> None:
        """Return once record `number` is durable. Raises `JournalError` when it can't become so."""
        ...

    def close(self) -> None:
        """Write what is queued, sync, end. Raises `JournalError` when that failed; a second call does nothing."""
        ...


def ignore(_: int) -> None:
    """The `observe_sync_ns` of a writer whose syncs are not measured."""


class DiskWriter:
    """A `Writer` with a thread. `observe_sync_ns` is called from that thread with the nanoseconds each sync took.

    `append` and `wait_durable` belong to one event loop; call `close` before that loop ends.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        clock: Clock,
        durability: Durability = Durability.POWER_LOSS,
        observe_sync_ns: Callable[[int], None] = ignore,
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._syncs = durability is Durability.POWER_LOSS
        self._observe_sync_ns = observe_sync_ns
        self._appended = self._durable = sink.last_number
        self._queue: SimpleQueue[object | None] = SimpleQueue()
        self._put = self._queue.put
        self._failure: JournalError | None = None
        self._is_closed = self._is_finished = False
        self._waits = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"DiskWriter(appended={self._appended}, durable={self._durable}, failure={self._failure!s})"

    def append(self, record: object, /) -> int:
        """Queue a record for the thread. Raises `JournalError` once the log has failed or is closed."""
        if self._failure is not None:
            raise JournalError(*self._failure.args)
        if self._is_closed:
            raise JournalError("journal: closed; append before close()")
        self._appended += 1
        self._put(record)
        return self._appended

    @property
    def appended_count(self) -> int:
        """The number of the last record queued; the thread may not have written it yet."""
        return self._appended

    @property
    def durable_count(self) -> int:
        """The number of the last record that the thread has written, and synced where that was asked for."""
        return self._durable

    @property
    def failure(self) -> JournalError | None:
        """What made the thread stop writing, or None while it works."""
        return self._failure

    async def wait_durable(self, number: int, /) -> None:
        """Return once record `number` is durable: woken by the thread, one call per commit.

        Raises `JournalError` when it can't become durable, `ValueError` when it was never appended.
        """
        if number <= self._durable:
            return
        if number > self._appended:
            raise ValueError(f"number: {number} was never appended, the last one is {self._appended}")
        self._loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = self._loop.create_future()
        self._waits += 1
        heapq.heappush(self._waiting, (number, self._waits, future))
        # The thread publishes first and looks for waiters second; asking again here closes the gap between the two.
        self._wake()
        await future

    def close(self) -> None:
        """Write what is queued, sync, and block until the thread has ended; a second call does nothing.

        Raises `JournalError` when that failed, or had failed before.
        """
        if self._is_closed:
            return
        self._is_closed = True
        self._put(None)
        self._thread.join()
        self._wake()
        if self._failure is not None:
            raise self._failure

    def _wake(self) -> None:
        """On the loop: end every wait for a record that is durable, or every wait once the log has failed."""
        waiting = self._waiting
        while waiting and (waiting[0][0] <= self._durable or self._failure is not None):
            number, _, future = heapq.heappop(waiting)
            if future.done():
                continue
            if number <= self._durable or self._failure is None:
                future.set_result(None)
            else:
                future.set_exception(JournalError(*self._failure.args))

    def _work(self) -> None:
        try:
            while self._commit():
                pass
            self._sink.close(self._durable)
            self._is_finished = True
        except OSError as e:
            self._fail(journal_error(self._durable + 1, f"{type(e).__name__}: {e}"))
        except JournalError as e:
            self._fail(e)
        finally:
            if not self._is_finished and self._failure is None:
                self._fail(journal_error(self._durable + 1, "the writer thread ended on an unexpected error"))

    def _commit(self) -> bool:
        """Write and sync one batch; False once `close` was asked for."""
        queue = self._queue
        batch: list[object] = []
        item = queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) == BATCH_MAX or queue.empty():
                break
            item = queue.get()
        if batch:
            reach("before-durable")
            self._sink.write(batch, self._durable)
            reach("after-write-before-sync")
            if self._syncs:
                self._sync()
            self._durable += len(batch)
            reach("after-sync-before-acknowledge")
            self._notify()
        return item is not None

    def _sync(self) -> None:
        started_ns = self._clock.monotonic_ns()
        self._sink.sync()
        self._observe_sync_ns(self._clock.monotonic_ns() - started_ns)

    def _notify(self) -> None:
        if self._waiting and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _fail(self, error: JournalError) -> None:
        self._failure = error
        self._notify()


class InlineWriter:
    """A `Writer` without a thread: a record is durable when `append` returns. With `PROCESS_CRASH` it blocks for one
    write into the page cache; with `POWER_LOSS` for a sync, which is for tools, tests and simulations."""

    def __init__(self, sink: Sink, *, durability: Durability = Durability.POWER_LOSS) -> None:
        self._sink = sink
        self._syncs = durability is Durability.POWER_LOSS
        self._durable = sink.last_number
        self._failure: JournalError | None = None
        self._is_closed = False

    def append(self, record: object, /) -> int:
        """Write a record, and sync it where that was asked for, before returning its number.

        Raises `JournalError` when that fails, and from then on at every call; also when closed.
        """
        if self._failure is not None:
            raise JournalError(*self._failure.args)
        if self._is_closed:
            raise JournalError("journal: closed; append before close()")
        try:
            reach("before-durable")
            self._sink.write((record,), self._durable)
            reach("after-write-before-sync")
            if self._syncs:
                self._sink.sync()
        except OSError as e:
            raise self._fail(e) from e
        except JournalError as e:
            self._failure = e
            raise
        self._durable += 1
        reach("after-sync-before-acknowledge")
        return self._durable

    @property
    def appended_count(self) -> int:
        """The number of the last record taken: the same as `durable_count`, since `append` waits."""
        return self._durable

    @property
    def durable_count(self) -> int:
        """The number of the last record that is durable."""
        return self._durable

    @property
    def failure(self) -> JournalError | None:
        """What made the log fail, or None while it works."""
        return self._failure

    async def wait_durable(self, number: int, /) -> None:
        """Return at once: `append` has waited already.

        Raises `JournalError` for a later record once the log has failed, `ValueError` for one that was never appended.
        """
        if number > self._durable:
            if self._failure is not None:
                raise JournalError(*self._failure.args)
            raise ValueError(f"number: {number} was never appended, the last one is {self._durable}")

    def close(self) -> None:
        """Sync and give the file back. Raises `JournalError` when that failed, or had failed before; a second call does
        nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._failure is not None:
            raise self._failure
        try:
            self._sink.close(self._durable)
        except OSError as e:
            raise self._fail(e) from e

    def _fail(self, error: OSError) -> JournalError:
        self._failure = journal_error(self._durable + 1, f"{type(error).__name__}: {error}")
        return self._failure


def journal_error(number: int, reason: str) -> JournalError:
    """The error of a log that can't be written from record `number` on."""
    return JournalError(
        f"journal: record {number} and later ones could not be made durable ({reason}); nothing leaves any more. "
        "Free or repair the disk that holds the state directory, run `tidegate journal verify`, then start again"
    )


def start_writer(
    sink: Sink, *, clock: Clock, durability: Durability, observe_sync_ns: Callable[[int], None] = ignore
) -> Writer:
    """The quickest writer for a durability: a thread where each commit waits for the disk; none where a commit is one
    write into the page cache, which costs the loop less than waking a thread."""
    if durability is Durability.PROCESS_CRASH:
        return InlineWriter(sink, durability=durability)
    return DiskWriter(sink, clock=clock, durability=durability, observe_sync_ns=observe_sync_ns)
