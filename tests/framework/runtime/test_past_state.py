from __future__ import annotations

from pathlib import Path

from framework.runtime.past_state import set_aside


def test_records_when_set_aside_then_they_are_in_the_past_and_lock_and_epoch_stay(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "a").write_text("1")
    for name in ("ledger.sqlite3", "epoch", "lock"):
        (tmp_path / name).write_text(name)

    past = set_aside(tmp_path)

    assert past == tmp_path / "past"
    assert (past / "journal" / "a").read_text() == "1"
    assert {path.name for path in tmp_path.iterdir()} == {"past", "epoch", "lock"}


def test_records_when_set_aside_again_then_the_newer_ones_are_kept(tmp_path: Path) -> None:
    for text in ("first", "second"):
        (tmp_path / "tape").mkdir()
        (tmp_path / "tape" / "a").write_text(text)
        set_aside(tmp_path)

    assert (tmp_path / "past" / "tape" / "a").read_text() == "second"


def test_records_when_there_are_none_then_nothing_is_touched(tmp_path: Path) -> None:
    assert set_aside(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
