"""`tidegate alerts` and `tidegate ack`: with a daemon, without one, for people and for programs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from framework.cli.main import main
from framework.domain.account_events import Scope
from framework.domain.operator_requests import AcknowledgeAlerts, Answer, ShowAlerts
from framework.ops.alerts.alert import Alert, AlertKind, AlertsShown, OutputStatus
from framework.ops.alerts.alert_file import AlertFile
from framework.runtime.files import RealFiles
from tests.framework.cli.test_operator import StandIn
from tests.support.command_line import Capsys

DOWN = Alert(
    kind=AlertKind.VENUE_DOWN,
    scope=Scope.VENUE,
    target="kalshi",
    text="venue kalshi is not connected: the connection was reset by the other end while it was read [bold]",
    since_ns=1_796_000_000_000_000_000,
    sent=3,
)
LEDGER = Alert(
    kind=AlertKind.LEDGER_DOWN,
    scope=Scope.GLOBAL,
    target="",
    text="the ledger can't be written",
    since_ns=1_796_000_100_000_000_000,
    acknowledged_by="ann",
    reason="disk is ordered",
)
SHOWN = AlertsShown(
    (DOWN, LEDGER), (OutputStatus("phone", "page", "HTTP 404: no_service"), OutputStatus("log", "ticket"))
)


def listed(directory: Path, capsys: Capsys, *words: str) -> str:
    assert main(["alerts", *words, "--state-dir", str(directory)]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [60, 80, 140])
def test_alerts_when_a_daemon_answers_then_all_of_them_are_shown_in_the_width_of_the_terminal(
    tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    with StandIn(tmp_path) as daemon:
        daemon.answer = Answer(is_ok=True, data=SHOWN)
        text = listed(tmp_path, capsys)
    assert daemon.heard == [ShowAlerts()]
    assert all(len(line) <= width for line in text.splitlines())
    words = " ".join(text.split())
    for part in ("venue_down:kalshi", "2026-11-30T00:53:20Z", "page", "ledger_down", "ticket", "disk is ordered"):
        assert part in words
    assert "output phone (pages) does not take messages: HTTP 404: no_service" in words
    assert "output log (pages and tickets) takes messages" in words
    assert ("sent 3 times, not acknowledged" in words) == (width < 120)
    assert "[bold]" in words


def test_alerts_when_there_are_none_then_that_is_said_and_where_they_would_go(tmp_path: Path, capsys: Capsys) -> None:
    with StandIn(tmp_path) as daemon:
        daemon.answer = Answer(is_ok=True, data=AlertsShown())
        text = listed(tmp_path, capsys)
    assert text.splitlines() == ["no alert", "no output is configured: alerts are sent to nobody"]


def test_alerts_when_a_program_asks_then_each_is_an_object(tmp_path: Path, capsys: Capsys) -> None:
    with StandIn(tmp_path) as daemon:
        daemon.answer = Answer(is_ok=True, data=SHOWN)
        rows = [json.loads(line) for line in listed(tmp_path, capsys, "--json").splitlines()]
    assert [(row["name"], row["level"], row["sent"]) for row in rows] == [
        ("venue_down:kalshi", "page", 3),
        ("ledger_down", "ticket", 0),
    ]
    assert set(rows[0]) == {"name", "level", *Alert.__struct_fields__}


def test_alerts_when_the_daemon_does_not_know_the_request_then_its_reason_is_shown(
    tmp_path: Path, capsys: Capsys
) -> None:
    with StandIn(tmp_path) as daemon:
        daemon.answer = Answer(is_ok=False, lines=('unknown command "alerts"',))
        assert main(["alerts", "--state-dir", str(tmp_path)]) == 1
    assert capsys.readouterr().out == 'tidegate: unknown command "alerts"\n'


def test_alerts_when_no_daemon_runs_then_those_of_its_end_are_shown(
    tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    AlertFile(RealFiles(), tmp_path).write((DOWN,))
    first, *rest = listed(tmp_path, capsys).splitlines()
    assert first.startswith("no daemon answers in ")
    assert first.endswith("This held when it ended")
    assert "venue_down:kalshi" in " ".join(rest)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["alerts", "tset", "phone"], 'alerts: there is no action "tset"; did you mean "test"?'),
        (["alerts", "test"], "alerts test: name the output"),
        (["ack"], "ack: name one alert as `tidegate alerts` does, or --all"),
        (["ack", "x", "--all"], "ack: name one alert"),
    ],
)
def test_command_when_it_can_not_be_meant_then_one_line_says_so(
    tmp_path: Path, capsys: Capsys, words: list[str], problem: str
) -> None:
    assert main([*words, "--state-dir", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert problem in line


@pytest.mark.parametrize("words", [["ack", "x"], ["ack", "--all"], ["alerts", "test", "phone"]])
def test_command_when_no_daemon_answers_then_one_line_says_so(tmp_path: Path, capsys: Capsys, words: list[str]) -> None:
    assert main([*words, "--state-dir", str(tmp_path)]) == 1
    assert "no daemon answers" in capsys.readouterr().err


def test_acknowledgement_when_nobody_knows_the_users_name_then_it_is_the_operators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SUDO_USER", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    with StandIn(tmp_path) as daemon:
        assert main(["ack", "ledger_down", "--state-dir", str(tmp_path)]) == 0
    assert daemon.heard == [AcknowledgeAlerts(name="ledger_down", by="operator")]


def test_row_when_it_is_written_then_it_reads_back() -> None:
    assert msgspec.json.decode(msgspec.json.encode(DOWN), type=Alert) == DOWN
