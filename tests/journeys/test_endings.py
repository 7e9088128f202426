"""However a stop is asked for, it is orderly: what is open is cancelled and proved, or listed."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from framework.domain.errors import EXIT_INTERRUPTED, EXIT_ORDERS_LEFT
from tests.journeys.conftest import Configure
from tests.support.daemon import READY_S, ROOT, Daemon, Sandbox, running, wait_until
from tests.support.signals import STOPS, inherited

QUICK_STOP = ["--set", "kernel.shutdown_ms_max=1000"]


def trading(daemon: Daemon, sandbox: Sandbox) -> int:
    """How many orders rest at the venue, once there are some."""
    daemon.wait_ready()
    return len(wait_until(sandbox.open_orders, "open orders"))


def left(daemon: Daemon) -> set[str]:
    """The orders that the log names at the end."""
    return {str(line["order"]) for line in daemon.logged("order may be left")}


@pytest.mark.parametrize("number", STOPS)
def test_stop_when_a_signal_asks_for_it_then_nothing_is_left_at_the_venue(
    tmp_path: Path, sandbox: Sandbox, configure: Configure, number: signal.Signals
) -> None:
    with running(configure(), tmp_path / "log") as daemon:
        trading(daemon, sandbox)
        daemon.signal(number)

        assert daemon.wait(READY_S) == 0, daemon.tail

        assert daemon.logged("stopping", reason=f"{number.name} received")
        assert sandbox.open_orders() == []


@pytest.mark.parametrize("trouble", [signal.SIGSTOP, signal.SIGKILL])
def test_stop_when_the_venue_hangs_or_is_dead_then_it_lists_what_may_be_left_in_time(
    tmp_path: Path, sandbox: Sandbox, configure: Configure, trouble: signal.Signals
) -> None:
    with running([*configure(), *QUICK_STOP], tmp_path / "log") as daemon:
        trading(daemon, sandbox)
        ours = {str(order["client_order_id"]) for order in sandbox.open_orders()}
        sandbox.signal(trouble)

        code, _ = daemon.terminate()

        assert code == EXIT_ORDERS_LEFT, daemon.tail
        assert ours & left(daemon)
        assert not daemon.logged("stop hook timed out")


def test_stop_when_the_start_still_waits_for_the_venue_then_it_lists_the_orders_of_the_run_before(
    tmp_path: Path, sandbox: Sandbox, configure: Configure
) -> None:
    arguments = [*configure(), *QUICK_STOP]
    with running(arguments, tmp_path / "log") as daemon:
        trading(daemon, sandbox)
        ours = {str(order["client_order_id"]) for order in sandbox.open_orders()}
        daemon.kill()
    sandbox.signal(signal.SIGKILL)
    with running(arguments, tmp_path / "log-2") as daemon:
        wait_until(lambda: daemon.logged("venue is not ready; trying again"), "try to connect")

        code, _ = daemon.terminate()

        assert code == EXIT_ORDERS_LEFT, daemon.tail
        assert ours & left(daemon)


def test_second_signal_when_the_venue_hangs_then_it_ends_at_once_and_lists_what_may_be_left(
    tmp_path: Path, sandbox: Sandbox, configure: Configure
) -> None:
    arguments = [*configure(), "--set", "kernel.shutdown_ms_max=120000"]
    with running(arguments, tmp_path / "log") as daemon:
        trading(daemon, sandbox)
        ours = {str(order["client_order_id"]) for order in sandbox.open_orders()}
        sandbox.signal(signal.SIGSTOP)
        daemon.signal(signal.SIGINT)
        wait_until(lambda: daemon.logged("stopping"), "stop")
        daemon.signal(signal.SIGHUP)  # a terminal that closes: no second wish
        daemon.signal(signal.SIGINT)

        assert daemon.wait(READY_S / 2) == EXIT_INTERRUPTED

        told = [line["text"] for line in daemon.lines if "text" in line]
        assert told[0] == "tidegate: ended at once"
        assert any(name in line for name in ours for line in told[1:])


def test_hangup_when_it_was_ignored_at_the_start_then_it_stays_so(
    tmp_path: Path, sandbox: Sandbox, configure: Configure
) -> None:
    daemon = Daemon(configure(), tmp_path / "log", ignored=[signal.SIGHUP])  # as `nohup` starts it
    try:
        trading(daemon, sandbox)
        daemon.signal(signal.SIGHUP)
        time.sleep(0.3)

        assert not daemon.logged("stopping")
    finally:
        assert daemon.terminate()[0] == 0


@pytest.mark.parametrize("delay_ms", [0, 200, 500])
def test_stop_when_it_is_asked_for_during_the_start_then_nothing_was_sent_and_nothing_is_wrong(
    tmp_path: Path, sandbox: Sandbox, configure: Configure, delay_ms: int
) -> None:
    with running(configure(), tmp_path / "log") as daemon:
        daemon.wait_for_handlers()
        time.sleep(delay_ms / 1000)

        assert daemon.terminate()[0] == 0, daemon.tail

        assert daemon.logged("stopping", reason="SIGTERM received")
        assert sandbox.open_orders() == []


def test_stop_when_the_terminal_closes_then_nothing_is_left_at_the_venue(
    tmp_path: Path, sandbox: Sandbox, configure: Configure
) -> None:
    ours, theirs = pty.openpty()
    with inherited():
        process = subprocess.Popen(
            [sys.executable, "-m", "framework", "run", "--set", "http.port=0", *configure()],
            stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
    try:
        os.close(theirs)
        os.set_blocking(ours, False)
        wait_until(lambda: shown(ours) and sandbox.open_orders(), "open orders")

        os.close(ours)

        assert process.wait(READY_S) == 0
    finally:
        process.kill()
        process.wait()
    assert sandbox.open_orders() == []
    log = (tmp_path / "state" / "log.jsonl").read_text()
    assert "SIGHUP received" in log
    assert "Traceback" not in log


def shown(terminal: int) -> bool:
    """Read what is on the terminal, so that it does not fill up."""
    try:
        return bool(os.read(terminal, 65_536)) or True
    except BlockingIOError:
        return True


THREAD = """
import threading
import time

from framework.domain.strategy import Strategy


class Lingers(Strategy[None]):
    def on_start(self):
        threading.Thread(target=time.sleep, args=(60,), name="lingering").start()
"""


def test_stop_when_a_strategy_has_left_a_thread_then_the_process_ends_all_the_same(
    tmp_path: Path, configure: Configure
) -> None:
    (tmp_path / "lingers.py").write_text(THREAD)
    row = (
        '[strategies.mm]\nenabled = false\n[strategies.lingers]\nuse = "lingers:Lingers"\ninstruments = ["kalshi:*"]\n'
    )
    paths = ["--set", f'plugin_paths=["{tmp_path}"]']
    with running([*configure(row), *paths], tmp_path / "log") as daemon:
        daemon.wait_ready()
        daemon.signal(signal.SIGTERM)
        assert daemon.wait(READY_S) == 0, daemon.tail
        assert "threads that still run end with the process: lingering" in daemon.tail
