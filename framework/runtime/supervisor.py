"""The supervisor: owns every task of the daemon, measures its heartbeat, and stops it in order.

Call order: `follow` the signals as soon as the loop runs, `unless_stopped` for what the start waits for, `spawn` and
`on_stop` as parts are started, then `run`, which returns the exit code. Stop hooks run in the order in which they were
registered, while the tasks still live (a cancel needs its gateway); afterwards the tasks are cancelled and awaited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog
import uvloop

from framework.domain.errors import EXIT_FAILED, ConfigurationError, Fatal, TidegateError, describe_error
from framework.domain.ports import Clock
from framework.runtime.heartbeat import LoopHeartbeat
from framework.runtime.metrics import Histogram
from framework.runtime.stop_signals import StopSignals

BEAT_INTERVAL_MS = 100
"""The heartbeat's period: lag is how much later than this a beat comes."""

_log = structlog.get_logger("supervisor")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StopHook:
    """Something to do before the tasks are cancelled, within its time."""

    name: str
    call: Callable[[], Awaitable[None]]
    timeout_ms: int


class Supervisor:
    """Owner of tasks, heartbeat and shutdown. One per daemon."""

    def __init__(self, *, clock: Clock, loop_lag: Histogram | None = None, beats_in: Path | None = None) -> None:
        """`beats_in` is the state directory, where processes beside the daemon see that the loop runs."""
        self._clock = clock
        self._heartbeat = LoopHeartbeat(beats_in) if beats_in is not None else None
        self._loop_lag = loop_lag
        self._tasks: dict[asyncio.Task[Any], bool] = {}
        self._hooks: list[StopHook] = []
        self._stop = asyncio.Event()
        self._exit_code = 0
        self._reason = ""
        self._last_beat_ns = clock.monotonic_ns()

    def spawn(self, name: str, work: Coroutine[Any, Any, Any], *, is_critical: bool = True) -> asyncio.Task[Any]:
        """Run `work` as a task until the daemon stops.

        When a critical task ends by itself, with an exception or without, the daemon stops with that reason. The
        failure of another one is logged. Needs a running loop.
        """
        task = asyncio.get_running_loop().create_task(_contained(work), name=name)
        self._tasks[task] = is_critical
        task.add_done_callback(self._on_done)
        task.add_done_callback(lambda _: work.close())  # it has not begun when the task is cancelled at once
        return task

    def on_stop(self, name: str, call: Callable[[], Awaitable[None]], *, timeout_ms: int) -> None:
        """Await `call()` when the daemon stops, for at most `timeout_ms`; a failure is logged and the next one runs."""
        self._hooks.append(StopHook(name, call, timeout_ms))

    def request_stop(self, reason: str, *, exit_code: int = 0) -> None:
        """Begin the shutdown. The first reason counts, and the highest exit code: that orders may be left says more
        than that a part failed."""
        if not self._stop.is_set():
            self._reason = reason
            self._stop.set()
        self._exit_code = max(self._exit_code, exit_code)

    @property
    def is_stopping(self) -> bool:
        """Whether the shutdown has begun; it never goes back to False."""
        return self._stop.is_set()

    @property
    def stop_reason(self) -> str:
        """The first reason that a stop was asked for; empty while none was."""
        return self._reason

    @property
    def exit_code(self) -> int:
        """The highest exit code that a stop was asked for with, 0 while none was."""
        return self._exit_code

    def beat_age_ns(self) -> int:
        """Nanoseconds since the loop's last heartbeat: more than `BEAT_INTERVAL_MS` means that something blocks the
        loop."""
        return self._clock.monotonic_ns() - self._last_beat_ns

    def follow(self, signals: StopSignals, last_words: Callable[[], str]) -> None:
        """Stop when a signal asks for it, or has asked before; `last_words` as in `StopSignals`. Needs a running
        loop."""
        loop = asyncio.get_running_loop()

        def stop(reason: str) -> None:
            with suppress(RuntimeError):  # the loop is closed: the process ends already
                loop.call_soon_threadsafe(partial(self.request_stop, reason))

        signals.follow(stop, last_words)

    async def unless_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Await `work`, and cancel it when a stop is asked for first. Raises what `work` raises."""
        working = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working

    async def run(self, *, duration_s: float | None = None) -> int:
        """Live until a stop is asked for, or for `duration_s`; shut down; return the exit code."""
        beat = asyncio.get_running_loop().create_task(self._beat(), name="heartbeat")
        try:
            await self._wait_for_stop(duration_s)
            (_log.error if self._exit_code else _log.info)("stopping", reason=self._reason)
            for hook in self._hooks:
                await self.finish(hook)
        finally:
            await self._cancel_tasks(beat)
            self._end_heartbeat()
        _log.info("stopped", reason=self._reason, exit_code=self._exit_code)
        return self._exit_code

    async def close(self) -> None:
        """End every task that is left, as after a start that failed: `run` leaves none."""
        await self._cancel_tasks()

    async def _wait_for_stop(self, duration_s: float | None) -> None:
        try:
            async with asyncio.timeout(duration_s):
                await self._stop.wait()
        except TimeoutError:
            self.request_stop(f"its duration of {duration_s:g} s is over")

    async def _beat(self) -> None:
        while True:
            before_ns = self._clock.monotonic_ns()
            self._last_beat_ns = before_ns
            self._write_beat(before_ns)
            await asyncio.sleep(BEAT_INTERVAL_MS / 1000)
            if self._loop_lag is not None:
                self._loop_lag.observe_ns(self._clock.monotonic_ns() - before_ns - BEAT_INTERVAL_MS * 1_000_000)

    def _write_beat(self, monotonic_ns: int) -> None:
        """Trading goes on without it: a guard that sees no beat ends the orders, which says it loudly enough."""
        if self._heartbeat is not None:
            try:
                self._heartbeat.beat(monotonic_ns)
            except OSError as e:
                _log.error("the heartbeat can't be written", reason=str(e))
                self._heartbeat = None

    def _end_heartbeat(self) -> None:
        """After an end that leaves orders, or that is none, no last beat is written: a guard then ends what is open."""
        if self._heartbeat is not None:
            with suppress(OSError):
                if self._exit_code == 0 and self._stop.is_set():
                    self._heartbeat.end(self._clock.monotonic_ns())
            self._heartbeat.close()

    async def finish(self, hook: StopHook) -> None:
        """Do the last work of a part within its time. A failure is logged and makes the exit code a failing one."""
        try:
            async with asyncio.timeout(hook.timeout_ms / 1000):
                await hook.call()
        except TimeoutError:
            self._exit_code = max(self._exit_code, EXIT_FAILED)
            _log.error("stop hook timed out", hook=hook.name, timeout_ms=hook.timeout_ms)
        except Exception as e:  # noqa: BLE001  (whatever fails here, the hooks after it must still run)
            self._exit_code = max(self._exit_code, EXIT_FAILED)
            _log.error("stop hook failed", hook=hook.name, error=describe_error(e))

    async def _cancel_tasks(self, *more: asyncio.Task[None]) -> None:
        tasks = [*self._tasks, *more]
        for task in tasks:
            task.remove_done_callback(self._on_done)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()

    def _on_done(self, task: asyncio.Task[Any]) -> None:
        is_critical = self._tasks.pop(task, False)
        error = None if task.cancelled() else task.exception()
        if error is None and not is_critical:
            return
        ending = "ended by itself" if error is None else f"failed: {_describe(error)}"
        _log.error("task ended", task=task.get_name(), is_critical=is_critical, ending=ending, exc_info=error)
        if is_critical:
            # What is wrong with the configuration is for its user to mend: which task met it says nothing.
            is_for_user = isinstance(error, ConfigurationError)
            reason = str(error) if is_for_user else f"task {task.get_name()} {ending}"
            self.request_stop(reason, exit_code=EXIT_FAILED)


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on an event loop of its own and return its result, or raise what it raises.

    A `SystemExit` or `KeyboardInterrupt` out of a callback, or out of a task that is not ours, does not end the loop:
    it is logged like any other exception there, with file and line. A plugin may have left it, and orders are open.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        loop = runner.get_loop()
        task = loop.create_task(work)
        while True:
            try:
                return loop.run_until_complete(task)
            except (SystemExit, KeyboardInterrupt) as e:
                if task.done():
                    raise
                loop.call_exception_handler({"message": "what would end the program was raised", "exception": e})


async def _contained(work: Coroutine[Any, Any, Any]) -> Any:
    """What would end the program instead of the task becomes an error of the task: it may come from a connector, and
    the others must still cancel their orders."""
    try:
        return await work
    except (SystemExit, KeyboardInterrupt) as e:
        raise Fatal(f"raised {describe_error(e)}") from e


def _describe(error: BaseException) -> str:
    return str(error) if isinstance(error, TidegateError) else describe_error(error)
