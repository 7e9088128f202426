"""A channel of the stream that says nothing about one market: what it would have told is learnt by reading."""

from __future__ import annotations

from pathlib import Path

import pytest

from framework.cli.main import main
from framework.domain.account_events import InstrumentSettled, TradingStateChanged
from framework.persistence.journal.scan import read_entries
from framework.runtime.files import RealFiles
from tests.journeys.conftest import Configure
from tests.support.daemon import Daemon, Sandbox, running, wait_until
from tests.support.records import positions


def mute(sandbox: Sandbox, channel: str) -> str:
    """Have the channel leave out the first market for good; the market."""
    market = min(sandbox.truth()["markets"])
    sandbox.fault(kind="mute", count=-1, match={"channel": channel, "market": market})
    return market


def has_left_out(sandbox: Sandbox, count: int) -> bool:
    return int(sandbox.truth()["faults_struck"].get("mute", 0)) >= count


def assert_agreed(daemon: Daemon, sandbox: Sandbox, state: Path) -> None:
    """It ended well, nothing was halted, and both sides hold the same."""
    assert sandbox.open_orders() == []
    assert positions(state) == sandbox.positions()
    assert not daemon.logged("alarm")
    halts = [entry for entry in journal_of(state) if isinstance(entry, TradingStateChanged)]
    assert halts == []


def journal_of(state: Path) -> list[object]:
    return [entry.record.body for entry in read_entries(RealFiles(), state / "journal")]


@pytest.mark.parametrize(("channel", "count"), [("fill", 4), ("user_orders", 10)])
def test_daemon_when_a_channel_leaves_out_a_market_then_it_learns_its_fills_and_orders_by_reading(
    tmp_path: Path, sandbox: Sandbox, configure: Configure, channel: str, count: int
) -> None:
    mute(sandbox, channel)
    with running(configure(read_lag_ms=200), tmp_path / "log") as daemon:
        daemon.wait_ready()
        wait_until(lambda: has_left_out(sandbox, count), f"messages left out; {daemon.tail}")
        code, _ = daemon.terminate()

    assert code == 0, daemon.tail
    assert_agreed(daemon, sandbox, tmp_path / "state")


def test_daemon_when_the_stream_does_not_tell_of_a_settlement_then_it_is_looked_for_once_the_position_is_gone(
    tmp_path: Path, sandbox: Sandbox, configure: Configure
) -> None:
    market = mute(sandbox, "market_lifecycle_v2")
    state = tmp_path / "state"
    with running(configure(read_lag_ms=200), tmp_path / "log") as daemon:
        daemon.wait_ready()
        wait_until(lambda: sandbox.positions().get(market), f"a position; {daemon.tail}")
        sandbox.fault(kind="settle", value="yes", match={"market": market})
        wait_until(lambda: has_left_out(sandbox, 2), "the settlement's messages left out")
        assert not any(isinstance(one, InstrumentSettled) for one in journal_of(state))
        assert main(["reconcile", "--state-dir", str(state)]) in (0, 1), "a pass now, not in 15 s"
        wait_until(
            lambda: any(isinstance(one, InstrumentSettled) for one in journal_of(state)), f"settlement; {daemon.tail}"
        )
        code, _ = daemon.terminate()

    assert code == 0, daemon.tail
    assert_agreed(daemon, sandbox, state)


def test_daemon_when_a_market_in_which_nothing_is_held_settles_between_two_runs_then_the_next_one_learns_it(
    tmp_path: Path, sandbox: Sandbox, configure: Configure
) -> None:
    state, market = tmp_path / "state", min(sandbox.truth()["markets"])
    arguments = configure("[strategies.mm]\nenabled = false\n")
    with running(arguments, tmp_path / "log") as daemon:
        daemon.wait_ready()
        daemon.kill()
    sandbox.fault(kind="settle", value="yes", match={"market": market})
    wait_until(lambda: sandbox.truth()["markets"][market]["status"] == "finalized", "settlement")

    with running(arguments, tmp_path / "log") as daemon:
        daemon.wait_ready()
        wait_until(
            lambda: any(isinstance(one, InstrumentSettled) for one in journal_of(state)), f"settlement; {daemon.tail}"
        )
        assert daemon.terminate()[0] == 0
