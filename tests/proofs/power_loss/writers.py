"""A writer and a worker without threads, so that the same seed gives the same operations in the same order."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

from framework.domain.errors import JournalError
from framework.runtime.background import Job
from framework.runtime.disk_writer import Sink, journal_error

T = TypeVar("T")


class GroupWriter:
    """A `Writer` that commits as the writer thread does, one write and one sync for everything queued, but when it is
    waited for: so that the same seed gives the same operations."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._queue: list[object] = []
        self._durable = sink.last_number
        self._failure: JournalError | None = None

    def append(self, record: object, /) -> int:
        """See `Writer`."""
        if self._failure is not None:
            raise JournalError(*self._failure.args)
        self._queue.append(record)
        return self.appended_count

    @property
    def appended_count(self) -> int:
        """See `Writer`."""
        return self._durable + len(self._queue)

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
            self._commit()

    def close(self) -> None:
        """See `Writer`."""
        self._commit()
        self._sink.close(self._durable)

    def _commit(self) -> None:
        if self._failure is not None:
            raise JournalError(*self._failure.args)
        if not self._queue:
            return
        try:
            self._sink.write(self._queue, self._durable)
            self._sink.sync()
        except OSError as e:
            self._failure = journal_error(self._durable + 1, str(e))
            raise self._failure from e
        self._durable += len(self._queue)
        self._queue.clear()


class _Pause:
    def __await__(self) -> Generator[None, None, None]:
        yield


class LateWorker:
    """A `Worker` that does its job in the middle of somebody else's work, some operations of the disk later."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._job: Job | None = None
        self._operations_left = 0

    @property
    def failure(self) -> BaseException | None:
        """Always None."""
        return None

    @property
    def is_busy(self) -> bool:
        """Whether a job waits."""
        return self._job is not None

    def submit(self, job: Job, /) -> bool:
        """Take a job."""
        self._job, self._operations_left = job, self._rng.randrange(1, 12)
        return True

    async def run(self, job: Callable[[], T], /) -> T:
        """See `Worker`."""
        results: list[T] = []
        errors: list[OSError] = []

        def carry_out() -> None:
            try:
                results.append(job())
            except OSError as e:
                errors.append(e)

        self.submit(carry_out)
        await _Pause()
        if errors:
            raise errors[0]
        return results[0]

    def before_operation(self) -> None:
        """Time passes: do the job if it is due."""
        self._operations_left -= 1
        if self._operations_left <= 0:
            self.close()

    def close(self) -> None:
        """Do the job that waits."""
        job, self._job = self._job, None
        if job is not None:
            job()


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing outside."""
    try:
        work.send(None)
    except StopIteration as e:
        result: T = e.value
        return result
    raise AssertionError("the work waits for somebody else")
