"""A ledger that can't be used is no reason not to trade: it is renamed, and a new one shows what there is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from framework.domain.account_events import InstrumentDefined, ReportKind
from framework.domain.errors import Fatal
from framework.persistence.journal.journal import JournalSettings
from framework.persistence.journal.records import Checkpoint
from framework.persistence.ledger.reader import LedgerReader
from framework.persistence.ledger.schema import LedgerError, LedgerUnusable, ledger_error
from framework.state.account_snapshot import CANONICAL_VERSION
from tests.support.runs import Run, write
from tests.support.state_records import INSTRUMENT, fill, new, report


@pytest.fixture
def ledger(tmp_path: Path, run: Run) -> Path:
    """The ledger of a run that ended with a working order."""
    first = run()
    write(first, new("c1"), report(ReportKind.SENT, "c1"), report(ReportKind.ACCEPTED, "c1", venue_order_id="v1"))
    first.close()
    return tmp_path / "ledger.sqlite3"


def shown(path: Path) -> list[tuple[str, str]]:
    """The orders of the ledger: id and status."""
    reader = LedgerReader(path)
    try:
        assert reader.gap == ""
        return [(row.client_order_id, row.status) for row in reader.orders()]
    finally:
        reader.close()


def fill_with_garbage(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)


def cut_in_half(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def damage_the_orders(path: Path) -> None:
    """What only shows when an order is written."""
    connection = sqlite3.connect(path)
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'orders'").fetchone()
    connection.close()
    data = bytearray(path.read_bytes())
    data[(root - 1) * size : root * size] = b"\xff" * size
    path.write_bytes(data)


def make_newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def drop_a_table(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE meta")
    connection.close()


@pytest.mark.parametrize("spoil", [fill_with_garbage, cut_in_half, damage_the_orders, make_newer, drop_a_table])
def test_ledger_when_it_can_not_be_used_then_it_is_renamed_and_a_new_one_shows_the_journal(
    ledger: Path, run: Run, spoil: Callable[[Path], None]
) -> None:
    spoil(ledger)

    second = run()
    second.close()

    (note,) = second.notes
    assert "put aside as ledger.sqlite3.damaged and a new one begun" in note
    assert ledger.with_name("ledger.sqlite3.damaged").exists()
    assert shown(ledger) == [("c1", "working")]


def test_ledger_when_it_is_damaged_twice_then_each_is_kept(ledger: Path, run: Run) -> None:
    fill_with_garbage(ledger)
    run().close()
    ledger.write_bytes(b"again" * 1000)
    run().close()

    names = sorted(path.name for path in ledger.parent.glob("ledger.sqlite3.damaged*"))
    assert names == ["ledger.sqlite3.damaged", "ledger.sqlite3.damaged-2"]
    assert ledger.with_name(names[1]).read_bytes() == b"again" * 1000
    assert shown(ledger) == [("c1", "working")]


@pytest.mark.parametrize("spoil", [Path.unlink, fill_with_garbage, damage_the_orders])
async def test_ledger_when_it_is_lost_and_the_journal_begins_later_then_it_begins_with_the_snapshot(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], None]
) -> None:
    small = partial(JournalSettings, segment_bytes_max=400, snapshots_kept=1)
    monkeypatch.setattr("framework.persistence.journal.journal.JournalSettings", small)
    first = run()
    write(first, InstrumentDefined(INSTRUMENT, 1), new("c1", size=30), report(ReportKind.SENT, "c1"))
    write(first, report(ReportKind.ACCEPTED, "c1", venue_order_id="v1"), fill("f1", size=7))
    for _ in range(20):
        first.recorder.journal(9, 5, 5, Checkpoint(first.accounts.digest(), CANONICAL_VERSION))
        await first.recorder.wait_durable()  # one group each: a group of all would end in one segment
    first.recorder.flush()
    await first.ledger._worker.run(lambda: None)
    await first.keep_snapshot(5, 5)
    write(first, fill("f2", size=5), new("c2"))
    first.close()
    assert min(path.name for path in (tmp_path / "journal").glob("*.seg")) > "journal-00000000000000000001.seg"
    path = tmp_path / "ledger.sqlite3"
    spoil(path)

    run().close()

    assert sorted(shown(path)) == [("c1", "partially_filled"), ("c2", "recorded")]
    reader = LedgerReader(path)
    (position,) = reader.positions()
    assert position.size == "12"
    assert {line.fill_id for line in reader.fills()} == {"f1", "f2"}
    assert reader.begins_after == 26
    reader.close()


@pytest.mark.parametrize("spoil", [Path.unlink, fill_with_garbage, damage_the_orders])
async def test_ledger_when_it_is_lost_and_the_journal_has_all_of_it_then_it_shows_all_of_it(
    tmp_path: Path, run: Run, spoil: Callable[[Path], None]
) -> None:
    first = run()
    write(first, new("c1"), report(ReportKind.SENT, "c1"), report(ReportKind.ACCEPTED, "c1", venue_order_id="v1"))
    await first.keep_snapshot(5, 5)
    write(first, new("c2"))
    first.close()
    path = tmp_path / "ledger.sqlite3"
    spoil(path)

    run().close()

    assert sorted(shown(path)) == [("c1", "working"), ("c2", "recorded")]
    reader = LedgerReader(path)
    assert reader.begins_after == 0
    reader.close()


def test_ledger_when_another_program_holds_it_then_it_is_not_taken_for_damaged(tmp_path: Path) -> None:
    for name, kind in (("SQLITE_BUSY", LedgerError), ("SQLITE_FULL", LedgerError), ("SQLITE_CORRUPT", LedgerUnusable)):
        error = sqlite3.OperationalError("no")
        error.sqlite_errorcode = getattr(sqlite3, name)
        assert type(ledger_error(tmp_path, error)) is kind


@pytest.mark.parametrize("name", ["ledger.sqlite3", "epoch", "epoch.tmp", "journal"])
def test_start_when_the_disk_refuses_something_then_it_says_so_in_a_sentence(
    tmp_path: Path, run: Run, name: str
) -> None:
    (tmp_path / name).mkdir() if name != "journal" else (tmp_path / name).write_text("")
    with pytest.raises((Fatal, LedgerError), match=str(tmp_path)) as caught:
        run()
    assert "\n" not in str(caught.value)
