"""The supervisor: tasks, heartbeat, shutdown in order, signals."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import pytest
import structlog

from framework.domain.errors import EXIT_FAILED, EXIT_ORDERS_LEFT, ConfigurationError, Fatal
from framework.runtime.clock import SystemClock
from framework.runtime.metrics import Histogram
from framework.runtime.stop_signals import StopSignals
from framework.runtime.supervisor import Supervisor, run_to_end


@pytest.fixture
def supervisor() -> Supervisor:
    return Supervisor(clock=SystemClock(), loop_lag=Histogram())


async def _forever() -> None:
    await asyncio.Event().wait()


async def test_run_when_a_stop_is_requested_then_hooks_run_in_order_while_tasks_still_live(
    supervisor: Supervisor,
) -> None:
    seen: list[str] = []
    task = supervisor.spawn("gateway", _forever())

    async def cancel_orders() -> None:
        seen.append(f"cancel, gateway alive: {not task.done()}")

    async def flush() -> None:
        seen.append("flush")

    supervisor.on_stop("cancel orders", cancel_orders, timeout_ms=1_000)
    supervisor.on_stop("flush", flush, timeout_ms=1_000)
    supervisor.request_stop("operator")
    supervisor.request_stop("too late to matter")

    assert await supervisor.run() == 0
    assert seen == ["cancel, gateway alive: True", "flush"]
    assert task.cancelled()
    assert supervisor.stop_reason == "operator"
    assert supervisor.is_stopping


async def test_run_when_a_critical_task_fails_then_stops_with_its_reason(supervisor: Supervisor) -> None:
    async def fail() -> None:
        raise Fatal("journal: no space left")

    supervisor.spawn("journal", fail())
    assert await supervisor.run(duration_s=5) == EXIT_FAILED
    assert supervisor.stop_reason == "task journal failed: journal: no space left"


async def test_run_when_the_configuration_is_wrong_then_the_reason_is_for_its_user(
    supervisor: Supervisor,
) -> None:
    async def fail() -> None:
        raise ConfigurationError("venues.tide.settings: markets: there is no KXNONE")

    supervisor.spawn("tide reconcile", fail())
    assert await supervisor.run(duration_s=5) == EXIT_FAILED
    assert supervisor.stop_reason == "venues.tide.settings: markets: there is no KXNONE"


async def test_run_when_a_critical_task_returns_then_stops(supervisor: Supervisor) -> None:
    async def leave() -> None:
        return

    supervisor.spawn("stream", leave())
    assert await supervisor.run(duration_s=5) == EXIT_FAILED
    assert supervisor.stop_reason == "task stream ended by itself"


async def test_run_when_a_critical_task_is_cancelled_from_outside_then_stops(supervisor: Supervisor) -> None:
    supervisor.spawn("stream", _forever()).cancel()
    assert await supervisor.run(duration_s=5) == EXIT_FAILED


async def test_run_when_an_uncritical_task_fails_then_lives_on(supervisor: Supervisor) -> None:
    async def fail() -> None:
        raise RuntimeError("status")

    supervisor.spawn("status", fail(), is_critical=False)
    assert await supervisor.run(duration_s=0.05) == 0
    assert supervisor.stop_reason == "its duration of 0.05 s is over"


async def test_run_when_a_hook_fails_or_hangs_then_the_next_ones_still_run(supervisor: Supervisor) -> None:
    seen: list[str] = []

    async def fail() -> None:
        raise RuntimeError("broken")

    async def flush() -> None:
        seen.append("flush")

    supervisor.on_stop("fails", fail, timeout_ms=1_000)
    supervisor.on_stop("hangs", _forever, timeout_ms=10)
    supervisor.on_stop("flush", flush, timeout_ms=1_000)
    supervisor.request_stop("operator")
    async with asyncio.timeout(5):
        assert await supervisor.run() == EXIT_FAILED
    assert seen == ["flush"]


async def test_run_when_it_ends_then_no_task_is_left(supervisor: Supervisor) -> None:
    before = asyncio.all_tasks()
    supervisor.spawn("one", _forever())
    supervisor.spawn("two", _forever())
    assert {task.get_name() for task in asyncio.all_tasks() - before} == {"one", "two"}
    await supervisor.run(duration_s=0.01)
    assert asyncio.all_tasks() == before


async def test_close_when_it_never_ran_then_its_tasks_end_and_nothing_is_said_of_them(supervisor: Supervisor) -> None:
    task = supervisor.spawn("sandbox", asyncio.Event().wait())
    with structlog.testing.capture_logs() as logged:
        await supervisor.close()
        await asyncio.sleep(0)
    assert task.cancelled()
    assert logged == []


async def test_heartbeat_when_the_loop_runs_then_beats_and_measures_lag() -> None:
    lag = Histogram()
    supervisor = Supervisor(clock=SystemClock(), loop_lag=lag)
    await asyncio.sleep(0.25)
    await supervisor.run(duration_s=0.25)
    assert supervisor.beat_age_ns() < 200_000_000
    assert lag.count >= 1


async def test_stop_when_the_exit_code_says_failure_then_is_never_taken_back(supervisor: Supervisor) -> None:
    supervisor.request_stop("journal failed", exit_code=1)
    supervisor.request_stop("operator")
    assert await supervisor.run() == 1


async def test_signal_when_it_came_before_the_loop_ran_then_it_stops_all_the_same(supervisor: Supervisor) -> None:
    signals = StopSignals()
    signals._on_signal(signal.SIGTERM, None)

    supervisor.follow(signals, str)

    assert await supervisor.run(duration_s=5) == 0
    assert supervisor.stop_reason == "SIGTERM received"


async def test_start_when_a_stop_is_asked_for_then_what_it_waits_for_is_cancelled(supervisor: Supervisor) -> None:
    ended: list[str] = []

    async def connect() -> None:
        try:
            await _forever()
        finally:
            ended.append("connect")

    asyncio.get_running_loop().call_soon(supervisor.request_stop, "operator")
    async with asyncio.timeout(5):
        await supervisor.unless_stopped(connect())

    assert ended == ["connect"]


async def test_start_when_it_fails_then_its_error_reaches_the_caller(supervisor: Supervisor) -> None:
    async def connect() -> None:
        raise Fatal("no such account")

    with pytest.raises(Fatal, match="no such account"):
        await supervisor.unless_stopped(connect())


async def test_stop_when_orders_may_be_left_then_its_exit_code_counts_more_than_a_failed_part(
    supervisor: Supervisor,
) -> None:
    supervisor.request_stop("task failed", exit_code=EXIT_FAILED)
    supervisor.request_stop("orders may be left", exit_code=EXIT_ORDERS_LEFT)
    assert await supervisor.run() == EXIT_ORDERS_LEFT


@pytest.mark.parametrize("ending", [SystemExit(3), KeyboardInterrupt()])
async def test_task_when_it_raises_what_ends_a_program_then_the_daemon_stops_in_order(
    supervisor: Supervisor, ending: BaseException
) -> None:
    cancelled: list[str] = []

    async def leave() -> None:
        raise ending

    async def cancel_orders() -> None:
        cancelled.append("all")

    supervisor.on_stop("cancel orders", cancel_orders, timeout_ms=1_000)
    supervisor.spawn("stream", leave())

    assert await supervisor.run(duration_s=5) == EXIT_FAILED
    assert cancelled == ["all"]
    assert f"task stream failed: raised {type(ending).__name__}" in supervisor.stop_reason
    assert f"{__file__}:" in supervisor.stop_reason


@pytest.mark.parametrize("ending", [SystemExit(9), KeyboardInterrupt()])
@pytest.mark.parametrize("is_task", [True, False])
def test_loop_when_a_callback_or_a_task_of_a_plugin_raises_what_ends_a_program_then_it_is_told_and_the_work_goes_on(
    ending: BaseException, is_task: bool
) -> None:
    told: list[BaseException] = []

    def leave() -> None:
        raise ending

    async def leave_later() -> None:
        leave()

    async def work() -> str:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        left = loop.create_task(leave_later()) if is_task else loop.call_soon(leave)
        await asyncio.sleep(0.01)
        del left
        return "orders are cancelled"

    assert run_to_end(work()) == "orders are cancelled"
    assert told[0] is ending


@pytest.mark.parametrize("ending", [SystemExit, Fatal])
def test_loop_when_its_work_raises_then_that_reaches_the_caller(ending: Callable[[str], BaseException]) -> None:
    async def work() -> None:
        raise ending("no such account")

    with pytest.raises(BaseException, match="no such account") as raised:
        run_to_end(work())
    assert isinstance(raised.value, (SystemExit, Fatal))
