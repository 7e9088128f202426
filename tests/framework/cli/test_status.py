"""`tidegate status`: with a daemon, without one, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from framework.cli.main import main
from framework.domain.account_events import Scope, ShutdownRequested, TradingState, TradingStateChanged
from framework.domain.operator_requests import Answer, ShowStatus
from framework.ops.status import Status
from framework.runtime.state_directory import PARTS
from tests.framework.cli.test_operator import StandIn
from tests.framework.ops.test_status_screen import NAMES, STATUS
from tests.support.command_line import Capsys
from tests.support.inquiries import listed
from tests.support.world import MARKET, Scribe, World


def shown(directory: Path, capsys: Capsys, *words: str) -> str:
    assert main(["status", *words, "--state-dir", str(directory)]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [80, 140])
def test_status_when_a_daemon_answers_then_all_of_it_is_shown_in_the_width_of_the_terminal(
    tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    with StandIn(tmp_path) as daemon:
        daemon.answer = Answer(is_ok=True, data=STATUS)
        text = shown(tmp_path, capsys)
    assert daemon.heard == [ShowStatus()]
    for word in (
        "not ready: venue other is not connected",
        "HALTED strategy mm: drill, by operator, since 2026-11-30",
        "order t-1-1 of mm on kalshi:A: unknown for 12.3 s",
        "down: silent for 25 s",
        "rate limit left",
        "cash kalshi 10000 USD",
        "on disk: journal",
        "-1.2500",
    ):
        assert word in text
    assert all(len(line) <= width for line in text.splitlines())
    assert all(name in text for name in NAMES) == (width == 140)


def test_status_when_a_program_asks_then_it_is_one_object_with_the_sizes_on_disk(
    tmp_path: Path, capsys: Capsys
) -> None:
    with StandIn(tmp_path) as daemon:
        daemon.answer = Answer(is_ok=True, data=STATUS)
        found = json.loads(shown(tmp_path, capsys, "--json"))
    assert found["not_ready"] == ["venue other is not connected"]
    assert found["venues"][0]["rate_limit_left"] == {"write": 87, "balance": 1}
    assert set(found["part_bytes"]) == set(PARTS)
    assert found["disk_free_bytes"] > 0
    assert set(found) == {*Status.__struct_fields__, "part_bytes", "disk_free_bytes"}


def test_status_when_the_daemon_does_not_know_the_request_then_its_reason_is_shown(
    tmp_path: Path, capsys: Capsys
) -> None:
    with StandIn(tmp_path) as daemon:
        daemon.answer = Answer(is_ok=False, lines=('unknown command "status"',))
        assert main(["status", "--state-dir", str(tmp_path)]) == 1
    assert capsys.readouterr().out == 'tidegate: unknown command "status"\n'


def test_status_when_the_daemon_was_killed_then_the_records_say_so_and_what_is_open(
    world: World, scribe: Scribe, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    handle = listed(world, scribe)
    world.kernel.publish(world.fill(handle, 3))
    world.kernel.publish(
        TradingStateChanged(scope=Scope.GLOBAL, target="", state=TradingState.HALTED, reason="drill", ts_recv=1)
    )
    text = shown(world.directory, capsys)
    assert "no daemon answers" in text
    assert "ended without a stop (killed, crashed, or the machine went down); its last record is of " in text
    assert "HALTED everything: drill" in text
    assert f"order {handle.client_order_id} of scribe on {MARKET}: open for" in text
    assert f"position 3 {MARKET}" in text


def test_status_when_the_daemon_was_stopped_then_the_records_say_so(
    world: World, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    world.kernel.publish(ShutdownRequested("signal SIGTERM", 1))
    text = shown(world.directory, capsys)
    assert "The last run was stopped; its last record is of " in text
    assert "HALTED everything: shutdown: signal SIGTERM" in text
    assert "no position" in text


def test_status_when_a_program_asks_without_a_daemon_then_it_is_not_ready_and_what_no_record_says_is_null(
    world: World, capsys: Capsys
) -> None:
    world.kernel.publish(ShutdownRequested("signal SIGTERM", 1))
    found = json.loads(shown(world.directory, capsys, "--json"))
    assert [found[name] for name in ("uptime_s", "fills", "refusals", "open_orders")] == [None, None, None, 0]
    (reason,) = found["not_ready"]
    assert "no daemon answers" in reason


def test_status_when_there_is_neither_daemon_nor_journal_then_it_is_one_line(tmp_path: Path, capsys: Capsys) -> None:
    assert main(["status", "--state-dir", str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "there is no" in line
