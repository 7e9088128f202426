"""The supervisor: owns every task of the daemon, measures its heartbeat, and stops it in order.

Call order: `spawn` and `on_stop` as parts are started, `install_signals` once the loop runs, then `run`, which
returns the exit code. Stop hooks run in the order in which they were registered, while the tasks still live (a
cancel needs its gateway); afterwards the tasks are cancelled and awaited. Nothing outlives `run`.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import structlog

from framework.domain.errors import EXIT_FAILED, EXIT_INTERRUPTED, TidegateError
from framework.domain.ports import Clock
from framework.runtime.metrics import Histogram

BEAT_INTERVAL_MS = 100
"""The heartbeat's period: lag is how much later than this a beat comes."""

_log = structlog.get_logger("supervisor")


@dataclass(frozen=True, slots=True)
class StopHook:
    """Something to do before the tasks are cancelled, within its time."""

    name: str
    call: Callable[[], Awaitable[None]]
    timeout_ms: int


class Supervisor:
    """Owner of tasks, heartbeat and shutdown. One per daemon."""

    def __init__(self, *, clock: Clock, loop_lag: Histogram | None = None) -> None:
        self._clock = clock
        self._loop_lag = loop_lag
        self._tasks: dict[asyncio.Task[Any], bool] = {}
        self._hooks: list[StopHook] = []
        self._stop = asyncio.Event()
        self._exit_code = 0
        self._reason = ""
        self._signals_seen = 0
        self._last_beat_ns = clock.monotonic_ns()

    def spawn(self, name: str, work: Coroutine[Any, Any, Any], *, is_critical: bool = True) -> asyncio.Task[Any]:
        """Run `work` as a task until the daemon stops.

        When a critical task ends by itself, with an exception or without, the daemon stops with that reason. The
        failure of another one is logged. Needs a running loop.
        """
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks[task] = is_critical
        task.add_done_callback(self._on_done)
        return task

    def on_stop(self, name: str, call: Callable[[], Awaitable[None]], *, timeout_ms: int) -> None:
        """Await `call()` when the daemon stops, for at most `timeout_ms`; a failure is logged and the next one runs."""
        self._hooks.append(StopHook(name, call, timeout_ms))

    def request_stop(self, reason: str, *, exit_code: int = 0) -> None:
        """Begin the shutdown. The first reason counts; a failing exit code is never taken back."""
        if not self._stop.is_set():
            self._reason = reason
            self._stop.set()
        self._exit_code = self._exit_code or exit_code

    @property
    def is_stopping(self) -> bool:
        """Whether the shutdown has begun; it never goes back to False."""
        return self._stop.is_set()

    @property
    def stop_reason(self) -> str:
        """The first reason that a stop was asked for; empty while none was."""
        return self._reason

    def beat_age_ns(self) -> int:
        """Nanoseconds since the loop's last heartbeat: more than `BEAT_INTERVAL_MS` means that something blocks the
        loop."""
        return self._clock.monotonic_ns() - self._last_beat_ns

    def install_signals(self) -> None:
        """The first SIGTERM or SIGINT stops gracefully, the second exits at once. Needs a running loop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)

    async def run(self, *, duration_s: float | None = None) -> int:
        """Live until a stop is asked for, or for `duration_s`; shut down; return the exit code."""
        beat = asyncio.get_running_loop().create_task(self._beat(), name="heartbeat")
        try:
            await self._wait_for_stop(duration_s)
            (_log.error if self._exit_code else _log.info)("stopping", reason=self._reason)
            for hook in self._hooks:
                await self._call(hook)
        finally:
            await self._cancel_tasks(beat)
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
            await asyncio.sleep(BEAT_INTERVAL_MS / 1000)
            if self._loop_lag is not None:
                self._loop_lag.observe_ns(self._clock.monotonic_ns() - before_ns - BEAT_INTERVAL_MS * 1_000_000)

    async def _call(self, hook: StopHook) -> None:
        try:
            async with asyncio.timeout(hook.timeout_ms / 1000):
                await hook.call()
        except TimeoutError:
            self._exit_code = self._exit_code or EXIT_FAILED
            _log.error("stop hook timed out", hook=hook.name, timeout_ms=hook.timeout_ms)
        except Exception as e:  # noqa: BLE001  (whatever fails here, the hooks after it must still run)
            self._exit_code = self._exit_code or EXIT_FAILED
            _log.error("stop hook failed", hook=hook.name, error=repr(e))

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
            self.request_stop(f"task {task.get_name()} {ending}", exit_code=EXIT_FAILED)

    def _on_signal(self, number: signal.Signals) -> None:
        self._signals_seen += 1
        if self._signals_seen > 1:
            # At once: an ordinary exit would run through the loop and the threads that may be what is stuck.
            os._exit(EXIT_INTERRUPTED)
        self.request_stop(f"{number.name} received")


def _describe(error: BaseException) -> str:
    return str(error) if isinstance(error, TidegateError) else repr(error)
