"""`tidegate limit` and `show-config`: what they print of the configuration and of the records, without a daemon."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from framework.cli.main import main
from framework.domain.account_events import LimitChanged
from framework.persistence.journal.journal import Journal
from framework.persistence.journal.records import Record
from framework.runtime.background import InlineWorker
from framework.runtime.disk_writer import InlineWriter
from framework.runtime.files import RealFiles
from tests.support.command_line import Capsys

NAME, KEY = "max_position", "max_position"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory in whose journal an operator made one limit stricter, and one of a check that is gone."""
    journal, _ = Journal.open(RealFiles(), tmp_path / "journal", start_writer=InlineWriter, worker=InlineWorker())
    for step, (check, key, value) in enumerate(((NAME, KEY, "50"), ("order_rate", "max_rate", "5")), start=1):
        change = LimitChanged(
            check=check, key=key, value=value, configured="200", reason="listing", ts_recv=1_790_000_000_000_000_000,
            by="operator",
        )  # fmt: skip
        journal.append(Record(step, 1, 1, change))
    journal.close()
    return tmp_path


def test_show_when_no_daemon_runs_then_it_is_what_would_count_after_a_start(state: Path, capsys: Capsys) -> None:
    assert main(["limit", "show", NAME, "-c", "sandbox", "--state-dir", str(state)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["check", "key", "value"]
    assert lines[1].split() == [NAME, KEY, "50", "*"]
    assert lines[3].startswith("* max_position.max_position: set 2026-09-21T")
    assert lines[3].endswith("by operator: listing; the configuration has 200")
    assert lines[4] == "no daemon runs: so it would be after a start"
    assert "order_rate" in lines[5]
    assert "does not count" in lines[5]
    assert all(len(line) <= 120 for line in lines[:4])


def test_show_when_for_a_program_then_each_setting_is_an_object(state: Path, capsys: Capsys) -> None:
    assert main(["limit", "show", "-c", "sandbox", "--state-dir", str(state), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (row,) = [row for row in rows if row["key"] == KEY]
    assert (row["value"], row["configured"], row["by"], row["reason"]) == ("50", "200", "operator", "listing")


def test_show_config_when_a_limit_was_changed_then_its_origin_says_by_whom_and_why(state: Path, capsys: Capsys) -> None:
    assert main(["show-config", "-c", "sandbox", "--state-dir", str(state)]) == 0
    (line,) = [one for one in capsys.readouterr().out.splitlines() if one.startswith("max_position = ")]
    assert line.split("#") == ["max_position = 50".ljust(50), " set by operator while it ran: listing"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["shew"], 'limit: there is no action "shew"; did you mean "show"?'),
        (["set", NAME], "limit set: name CHECK, KEY and VALUE"),
        (["reset", NAME, KEY, "5"], "limit reset: name CHECK, KEY alone"),
        (["show", NAME, KEY], "limit show: name one check at most"),
        (["show", "max_positoin", "-c", "sandbox"], 'there is no check "max_positoin"; did you mean "max_position"?'),
        (["set", NAME, KEY, "5", "--reason", "r"], "no daemon answers in"),
    ],
)
def test_limit_when_it_can_not_be_done_then_one_line_says_so(
    tmp_path: Path, capsys: Capsys, words: list[str], message: str
) -> None:
    assert main(["limit", *words, "--state-dir", str(tmp_path)]) != 0
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
