from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from framework.domain.instruments import InstrumentId
from framework.reconciliation.differences import Difference, DifferenceKind
from framework.reconciliation.history import ReconcileHistory
from framework.runtime.clock import ManualClock
from framework.runtime.files import RealFile, RealFiles

CLOCK = ManualClock(wall_ns=1_700_000_000_000_000_000, monotonic_ns=1_000)


def external_order(name: str) -> Difference:
    return Difference(
        kind=DifferenceKind.EXTERNAL_ORDER,
        venue="tide",
        instrument=InstrumentId("tide:A"),
        subject=name,
        venue_word="open",
        own_word="unknown",
        why="by hand",
        action="nothing",
        since_ns=1_000,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reconcile.jsonl"


@pytest.fixture
def history(path: Path) -> ReconcileHistory:
    return ReconcileHistory(RealFiles(), path, CLOCK)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_pass_when_it_finds_something_then_it_is_a_line(history: ReconcileHistory, path: Path) -> None:
    assert history.add("tide", (external_order("a"),)) == ((external_order("a"),), "")

    (line,) = lines(path)
    assert (line["ts_ns"], line["venue"]) == (CLOCK.now_ns(), "tide")
    assert (line["differences"][0]["subject"], line["differences"][0]["since_ns"]) == ("a", CLOCK.now_ns())


def test_pass_when_all_agrees_from_the_start_then_nothing_is_written(history: ReconcileHistory, path: Path) -> None:
    assert history.add("tide", ()) == ((), "")
    assert not path.exists()


def test_pass_when_it_finds_the_same_again_then_it_is_not_written_again(history: ReconcileHistory, path: Path) -> None:
    for _ in range(5):
        history.add("tide", (external_order("a"),))
    assert len(lines(path)) == 1


def test_pass_when_it_finds_more_then_only_the_news_are_new(history: ReconcileHistory, path: Path) -> None:
    history.add("tide", (external_order("a"),))
    assert history.add("tide", (external_order("a"), external_order("b"))) == ((external_order("b"),), "")
    assert [len(line["differences"]) for line in lines(path)] == [1, 2]


def test_pass_when_what_differed_agrees_then_that_is_written(history: ReconcileHistory, path: Path) -> None:
    history.add("tide", (external_order("a"),))
    history.add("tide", ())
    assert [len(line["differences"]) for line in lines(path)] == [1, 0]


def test_file_when_it_is_full_then_it_is_renamed(
    history: ReconcileHistory, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framework.reconciliation.history.FILE_BYTES_MAX", 10)
    history.add("tide", (external_order("a"),))
    assert not path.exists()
    assert len(lines(path.with_name("reconcile.jsonl.1"))) == 1


def test_file_when_it_can_not_be_written_then_the_pass_counts_all_the_same(tmp_path: Path) -> None:
    class FullDisk(RealFiles):
        def open_append(self, path: Path, /) -> RealFile:
            raise OSError(28, "No space left on device")

    history = ReconcileHistory(FullDisk(), tmp_path / "reconcile.jsonl", CLOCK)

    new, trouble = history.add("tide", (external_order("a"),))

    assert new == (external_order("a"),)
    assert "No space left" in trouble
    assert history.add("tide", (external_order("a"),)) == ((), "")
