from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import Configure
from tests.support.daemon import Daemon, Sandbox, running, wait_until
from tests.support.records import journal_is_sound, positions, promised_at

STRIKES: list[dict[str, Any]] = [
    {"kind": "drop_connection"},
    {"kind": "sequence_gap"},
    {"kind": "duplicate_frame"},
    {"kind": "delay", "delay_ms": 600},
    {"kind": "error_after_accept", "match": {"method": "POST"}},
    {"kind": "lost_response", "match": {"method": "POST"}},
    {"kind": "lost_request", "match": {"method": "POST"}},
    {"kind": "rate_limit_storm"},
    {"kind": "silent_stream", "duration_ms": 1_100},
]
"""Faults that strike one answer, one frame or one stream."""

STATES: list[dict[str, Any]] = [
    {"kind": "pause", "duration_ms": 400},
    {"kind": "read_lag", "lag_ms": 300, "duration_ms": 600},
]
"""Faults that are states of the venue for a while."""

QUICK = {"silence_ms_max": 1_000, "request_timeout_ms": 400, "snapshot_timeout_ms": 400, "ack_timeout_ms": 400}
"""Waits short enough for a test."""

AMENDS = 4
"""So many amends are awaited at each stage of a clock's fault."""


def test_daemon_when_every_fault_strikes_once_then_it_recovers_by_itself_and_agrees_with_the_venue(
    tmp_path: Path, sandbox: Sandbox, configure: Configure
) -> None:
    arguments = configure(read_lag_ms=200, connects_per_minute_max=60, **QUICK)
    with running(arguments, tmp_path / "log") as daemon:
        daemon.wait_ready()
        for fault in STRIKES:
            sandbox.fault(**fault)
            wait_until(partial(_has_struck, sandbox, fault["kind"]), fault["kind"])
            _recover(daemon, sandbox, fault)
        for fault in STATES:
            sandbox.fault(**fault)
            _recover(daemon, sandbox, fault)
        market = wait_until(lambda: next(iter(sandbox.positions()), ""), "position")
        sandbox.fault(kind="settle", value="yes", match={"market": market})
        wait_until(lambda: sandbox.truth()["markets"][market]["status"] == "finalized", "settlement")
        _recover(daemon, sandbox, {"kind": "settle"})
        code, _ = daemon.terminate()

    assert code == 0, daemon.tail
    assert not daemon.logged("task ended")
    _agree(daemon, sandbox, tmp_path / "state")


@pytest.mark.parametrize("skew_ms", [8_000, -8_000])
def test_daemon_when_the_venues_clock_is_wrong_for_a_while_then_no_signature_is_refused_for_long(
    tmp_path: Path, sandbox: Sandbox, configure: Configure, skew_ms: int
) -> None:
    arguments = configure(read_lag_ms=200, **QUICK)
    with running(arguments, tmp_path / "log") as daemon:
        daemon.wait_ready()
        _wait_for_amends(sandbox, "before the clock is wrong")
        sandbox.fault(kind="clock_skew", skew_ms=skew_ms, duration_ms=60_000)
        _wait_for_amends(sandbox, "while the clock is wrong")
        sandbox.heal()
        _wait_for_amends(sandbox, "after it was set right")
        _recover(daemon, sandbox, {"kind": "clock_skew"})
        code, _ = daemon.terminate()

    assert code == 0, daemon.tail
    _agree(daemon, sandbox, tmp_path / "state")


def _agree(daemon: Daemon, sandbox: Sandbox, state: Path) -> None:
    """No order came twice or unasked, none is left, and the books of both sides are the same."""
    assert not daemon.logged("alarm")
    truth = sandbox.truth()
    names = [order["client_order_id"] for order in truth["orders"]]
    assert len(names) == len(set(names))
    assert set(names) <= set(promised_at(state))
    assert truth["problems"] == []
    assert sandbox.open_orders() == []
    assert positions(state) == sandbox.positions()
    assert journal_is_sound(state)


def _has_struck(sandbox: Sandbox, kind: str) -> bool:
    return kind in sandbox.truth()["faults_struck"]


def _wait_for_amends(sandbox: Sandbox, when: str) -> None:
    """Orders are amended, so that both clocks have dated statements about the same order."""
    before = _amends(sandbox)
    wait_until(lambda: _amends(sandbox) >= before + AMENDS, f"amend {when}", timeout_s=30)


def _amends(sandbox: Sandbox) -> int:
    return sum(count for request, count in sandbox.truth()["requests"].items() if request.endswith("/amend"))


def _recover(daemon: Daemon, sandbox: Sandbox, fault: dict[str, Any]) -> None:
    """The fault ends; the daemon is ready, and places orders, again."""
    time.sleep(fault.get("duration_ms", 0) / 1_000)
    sandbox.heal()
    placed = len(sandbox.truth()["orders"])
    wait_until(lambda: not daemon.not_ready(), f"readiness after {fault['kind']}; {daemon.tail}")
    wait_until(lambda: len(sandbox.truth()["orders"]) > placed, f"order after {fault['kind']}; {daemon.tail}")
