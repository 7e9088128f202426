"""Durable appends in the caller's thread, and the choice between that and a writer thread."""

from __future__ import annotations

from collections.abc import Callable

from framework.domain.errors import JournalError
from framework.domain.ports import Clock
from framework.runtime.disk_writer import DiskWriter, Durability, Sink, Writer, failed, ignore
from framework.runtime.failpoints import reach


def start_writer(
    sink: Sink, *, clock: Clock, durability: Durability, observe_sync_ns: Callable[[int], None] = ignore
) -> Writer:
    """The quickest writer for a durability: a thread where each commit waits for the disk; none where a commit is one
    write into the page cache, which costs the loop less than waking a thread."""
    if durability is Durability.PROCESS_CRASH:
        return InlineWriter(sink, durability=durability)
    return DiskWriter(sink, clock=clock, durability=durability, observe_sync_ns=observe_sync_ns)


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
        """See `Writer`."""
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
        """See `Writer`."""
        return self._durable

    @property
    def durable_count(self) -> int:
        """See `Writer`."""
        return self._durable

    @property
    def failure(self) -> JournalError | None:
        """See `Writer`."""
        return self._failure

    async def wait_durable(self, number: int, /) -> None:
        """See `Writer`."""
        if number > self._durable:
            if self._failure is not None:
                raise JournalError(*self._failure.args)
            raise ValueError(f"number: {number} was never appended, the last one is {self._durable}")

    def close(self) -> None:
        """See `Writer`."""
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
        self._failure = failed(self._durable + 1, f"{type(error).__name__}: {error}")
        return self._failure
