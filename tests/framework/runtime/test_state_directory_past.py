from __future__ import annotations

from pathlib import Path

import pytest

from framework.domain.errors import ConfigurationError, Fatal
from framework.runtime.state_directory import refuse_sandbox_records, set_aside

SEGMENT = "journal-00000000000000000001.seg"


def run_of_a_sandbox(state: Path, text: str) -> None:
    """What a run on an embedded sandbox leaves behind."""
    set_aside(state)
    (state / "journal" / SEGMENT).write_text(text)
    (state / "tape").mkdir()
    (state / "tape" / "a").write_text(text)
    for name in ("ledger.sqlite3", "alerts.json", "epoch", "lock"):
        (state / name).write_text(text)


def run_of_an_account(state: Path) -> None:
    """What a run on a venue's account leaves behind."""
    (state / "journal").mkdir()
    (state / "journal" / SEGMENT).write_text("orders at a venue")


def test_records_when_a_sandbox_begins_anew_then_they_are_in_the_past_and_lock_and_epoch_stay(tmp_path: Path) -> None:
    run_of_a_sandbox(tmp_path, "first")

    past = set_aside(tmp_path)

    assert past == tmp_path / "past"
    assert (past / "journal" / SEGMENT).read_text() == "first"
    assert {path.name for path in tmp_path.iterdir()} == {"past", "journal", "epoch", "lock"}
    assert not (tmp_path / "journal" / SEGMENT).exists()


def test_records_when_set_aside_again_then_the_newer_ones_are_kept(tmp_path: Path) -> None:
    for text in ("first", "second"):
        run_of_a_sandbox(tmp_path, text)

    past = set_aside(tmp_path)

    assert past is not None
    assert (past / "journal" / SEGMENT).read_text() == (past / "tape" / "a").read_text() == "second"


def test_records_when_setting_them_aside_was_interrupted_then_going_on_loses_none(tmp_path: Path) -> None:
    run_of_a_sandbox(tmp_path, "first")
    (tmp_path / "past").mkdir()
    (tmp_path / "journal").rename(tmp_path / "past" / "journal")

    past = set_aside(tmp_path)

    assert past is not None
    assert {path.name for path in past.iterdir()} == {"journal", "tape", "ledger.sqlite3", "alerts.json"}


def test_records_when_there_are_none_then_a_marked_journal_begins(tmp_path: Path) -> None:
    assert set_aside(tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]


def test_records_when_a_venue_account_left_them_then_a_sandbox_does_not_touch_them(tmp_path: Path) -> None:
    run_of_an_account(tmp_path)

    for _ in range(2):
        with pytest.raises(ConfigurationError, match="holds the records of a venue's account"):
            set_aside(tmp_path)

    assert (tmp_path / "journal" / SEGMENT).read_text() == "orders at a venue"
    assert not (tmp_path / "past").exists()


def test_records_when_a_sandbox_left_them_then_an_account_does_not_go_on_from_them(tmp_path: Path) -> None:
    run_of_a_sandbox(tmp_path, "first")

    with pytest.raises(ConfigurationError, match="holds the records of an embedded sandbox"):
        refuse_sandbox_records(tmp_path)


def test_records_when_an_account_left_them_or_there_are_none_then_an_account_goes_on(tmp_path: Path) -> None:
    refuse_sandbox_records(tmp_path)
    set_aside(tmp_path / "begun")
    refuse_sandbox_records(tmp_path / "begun")
    run_of_an_account(tmp_path)
    refuse_sandbox_records(tmp_path)


def test_records_when_the_disk_refuses_to_move_them_then_it_says_so_in_a_sentence(tmp_path: Path) -> None:
    run_of_a_sandbox(tmp_path, "first")
    (tmp_path / "past").write_text("not a folder")
    with pytest.raises(Fatal, match=f"state_dir: {tmp_path} can't be read or written"):
        set_aside(tmp_path)
