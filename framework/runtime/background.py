"""Background work: small jobs, done in order by one thread away from the loop, at once in the caller's thread, or in a
thread that may hang."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Full, Queue
from typing import Protocol, TypeVar

from framework.domain.errors import Fatal

T = TypeVar("T")
Job = Callable[[], None]


class Worker(Protocol):
    """Where slow work goes, so that the event loop does not wait for it: the ledger, the tape, snapshots."""

    def submit(self, job: Job, /) -> bool:
        """Queue a job; False when the queue is full and the job was not taken. A job that raises ends the worker:
        the error is in `failure` and every later `submit` answers False."""
        ...

    async def run(self, job: Callable[[], T], /) -> T:
        """Do a job in its turn and return its result, or raise what it raised (the worker goes on)."""
        ...

    @property
    def failure(self) -> BaseException | None:
        """The error of the job that ended the worker, or None while it works."""
        ...

    def close(self) -> None:
        """Finish what is queued and end; blocks until then. A second call does nothing."""
        ...


class BackgroundWorker:
    """A `Worker` with a thread and a bounded queue. Start on construction; call `close` at the end."""

    def __init__(self, name: str, *, capacity: int = 64) -> None:
        self._queue: Queue[Job | None] = Queue(capacity)
        self._failure: BaseException | None = None
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    @property
    def failure(self) -> BaseException | None:
        """The error of the job that ended the thread, or None while it works."""
        return self._failure

    def submit(self, job: Job, /) -> bool:
        """Queue a job; False, and not taken, when the queue is full, a job has failed, or it is closed."""
        if self._failure is not None or self._is_closed:
            return False
        try:
            self._queue.put_nowait(job)
        except Full:
            return False
        return True

    async def run(self, job: Callable[[], T], /) -> T:
        """Do a job in its turn in the thread and return its result, or raise what it raised; the thread goes on then.

        Raises `Fatal` when the queue is full or the worker has ended. Needs a running loop.
        """
        carry_out, future = _awaitable(job)
        if not self.submit(carry_out):
            raise Fatal(f"{self._thread.name}: the job was not taken: {self._failure or 'the queue is full'}")
        return await future

    def close(self) -> None:
        """Do what is queued, end the thread, and block until it has ended. A second call does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._failure is None:
            self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            try:
                job()
            except Exception as e:  # noqa: BLE001 - kept for the owner, who asks for `failure`
                self._failure = e
                self._drain()
                return

    def _drain(self) -> None:
        """Make room, so that a `close` under way does not wait for ever."""
        while not self._queue.empty():
            self._queue.get()


class InlineWorker:
    """A `Worker` that does every job at once, in the caller's thread: for tools, tests and simulations."""

    def __init__(self) -> None:
        self._failure: BaseException | None = None

    @property
    def failure(self) -> BaseException | None:
        """Always None: a job that raises, raises in the caller."""
        return self._failure

    def submit(self, job: Job, /) -> bool:
        """Do the job now and return True; what it raises reaches the caller."""
        job()
        return True

    async def run(self, job: Callable[[], T], /) -> T:
        """Do the job now and return its result, or raise what it raised."""
        return job()

    def close(self) -> None:
        """Does nothing: there is no queue and no thread to end."""


def end_process_if_held(code: int) -> None:
    """End the process with `code` at once when threads of plugins would keep it: everything of ours is closed, and a
    container would wait for nothing. Names them on standard error. Returns when there are none."""
    held = [one.name for one in threading.enumerate() if one is not threading.main_thread() and not one.daemon]
    if held:
        sys.stderr.write(f"tidegate: threads that still run end with the process: {', '.join(held)}\n")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


async def run_detached(job: Callable[[], T], *, name: str) -> T:
    """Do a job in a thread of its own and return its result, or raise what it raised. Nothing ever waits for the
    thread: a job that hangs does not hold the end of the process, as one of the event loop's own threads would."""
    carry_out, future = _awaitable(job)

    def work() -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            carry_out()

    threading.Thread(target=work, name=name, daemon=True).start()
    return await future


def repeat_detached(job: Callable[[], bool], *, every_s: float, name: str) -> None:
    """Do a job in a thread of its own, again `every_s` seconds after its end as long as it returns True. Nothing ever
    waits for the thread. For programs that have no event loop yet; the job must not raise."""

    def work() -> None:
        pause = threading.Event()
        while job():
            pause.wait(every_s)

    threading.Thread(target=work, name=name, daemon=True).start()


def _awaitable(job: Callable[[], T]) -> tuple[Job, asyncio.Future[T]]:
    """The job for another thread, and what becomes of it for the running loop."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def carry_out() -> None:
        try:
            result = job()
        except Exception as e:  # noqa: BLE001 - raised again in the caller, who decides
            loop.call_soon_threadsafe(_set_error, future, e)
        else:
            loop.call_soon_threadsafe(_set_result, future, result)

    return carry_out, future


def _set_result(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _set_error(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
