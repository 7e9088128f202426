"""A journal that lost its end looks whole: the ledger knows better, and an operator decides when trading goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from framework.domain.account_events import ReportKind, Scope, TradingState, TradingStateChanged
from framework.persistence.journal.journal import Journal
from framework.persistence.journal.records import Body, EpochTaken
from framework.persistence.journal.scan import read_entries
from framework.persistence.journal.verify import cut_after, verify
from framework.persistence.ledger.reader import LedgerReader
from framework.persistence.recovery import Records
from framework.runtime.clock import ManualClock
from framework.runtime.files import RealFiles
from framework.state.orders.client_order_ids import ClientOrderIds
from tests.support.runs import Begin, write
from tests.support.state_records import MARKET, VENUE, new, report

FILES = RealFiles()


def bodies(directory: Path) -> list[Body]:
    return [entry.record.body for entry in read_entries(FILES, directory / "journal")]


def durable_mark(directory: Path) -> int:
    reader = LedgerReader(directory / "ledger.sqlite3")
    try:
        return reader.durable_mark
    finally:
        reader.close()


def state_of(records: Records) -> TradingState:
    return records.accounts.trading.state(strategy="maker", instrument=MARKET, venue=VENUE)


def halted_run(directory: Path, begin: Begin) -> Records:
    """A run that ended in good order, with an operator's halt as its last records. Its last record has number 5."""
    first = begin(directory)
    write(first, new("c1"), report(ReportKind.SENT, "c1"), report(ReportKind.ACCEPTED, "c1", venue_order_id="v1"))
    write(first, TradingStateChanged(scope=Scope.GLOBAL, target="", state=TradingState.HALTED, reason="", ts_recv=5))
    first.close()
    return first


def test_end_when_it_is_there_then_nothing_is_halted(tmp_path: Path, begin: Begin) -> None:
    first = begin(tmp_path)
    write(first, new("c1"))
    first.close()
    assert durable_mark(tmp_path) == 2

    second = begin(tmp_path)

    assert (second.lost, state_of(second)) == ("", TradingState.ACTIVE)
    second.close()


@pytest.mark.parametrize("left", [4, 2, 0])
def test_end_when_it_was_cut_off_then_the_next_run_begins_halted_and_no_id_comes_twice(
    tmp_path: Path, begin: Begin, left: int
) -> None:
    first = halted_run(tmp_path, begin)
    ids = ClientOrderIds(first.instance, first.epoch)
    cut_after(FILES, tmp_path / "journal", left)
    assert verify(FILES, tmp_path / "journal").is_sound

    second = begin(tmp_path)

    assert second.lost == f"records {left + 1} to 5 were durable and are gone from the journal's end"
    assert state_of(second) is TradingState.HALTED
    assert second.epoch == 2
    assert ClientOrderIds(second.instance, second.epoch).next() != ids.next()
    second.close()
    taken, halt = bodies(tmp_path)[left:]
    assert isinstance(taken, EpochTaken)
    assert isinstance(halt, TradingStateChanged)
    assert halt.reason == second.lost


def test_end_when_its_segment_was_removed_then_the_next_run_begins_halted(tmp_path: Path, begin: Begin) -> None:
    halted_run(tmp_path, begin)
    (segment,) = (tmp_path / "journal").glob("*.seg")
    segment.unlink()

    second = begin(tmp_path)

    assert second.lost.startswith("records 1 to 5 were durable")
    assert (state_of(second), second.epoch) == (TradingState.HALTED, 2)
    second.close()


def test_end_when_a_run_has_begun_halted_then_only_an_operator_ends_that(tmp_path: Path, begin: Begin) -> None:
    halted_run(tmp_path, begin)
    cut_after(FILES, tmp_path / "journal", 2)
    begin(tmp_path).close()
    assert durable_mark(tmp_path) == 4

    third = begin(tmp_path)
    assert (third.lost, state_of(third)) == ("", TradingState.HALTED)
    write(third, TradingStateChanged(scope=Scope.GLOBAL, target="", state=TradingState.ACTIVE, reason="", ts_recv=5))
    third.close()

    fourth = begin(tmp_path)
    assert (fourth.lost, state_of(fourth)) == ("", TradingState.ACTIVE)
    fourth.close()


async def test_end_when_a_run_dies_before_its_halt_is_durable_then_the_next_one_is_halted_too(
    tmp_path: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    halted_run(tmp_path / "1", begin)
    cut_after(FILES, tmp_path / "1" / "journal", 2)
    shutil.copytree(tmp_path / "1" / "journal", tmp_path / "journal")
    second = begin(tmp_path / "1")
    with monkeypatch.context() as slow_disk:
        slow_disk.setattr(Journal, "durable_count", property(lambda _: 3))
        await second.run_maintenance(1, ManualClock(wall_ns=10**18))
        await second.ledger._worker.run(lambda: None)
    shutil.copytree(tmp_path / "1", tmp_path / "2", ignore=lambda *_: ["journal"])
    shutil.copytree(tmp_path / "journal", tmp_path / "2" / "journal")
    second.close()

    third = begin(tmp_path / "2")

    assert third.lost == "records 3 to 5 were durable and are gone from the journal's end"
    assert state_of(third) is TradingState.HALTED
    third.close()


async def test_end_when_only_the_ledger_had_the_record_then_it_was_never_durable_and_nothing_is_lost(
    tmp_path: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = begin(tmp_path / "1")
    await first.recorder.wait_durable()
    shutil.copytree(tmp_path / "1" / "journal", tmp_path / "journal")
    write(first, new("c1"))
    with monkeypatch.context() as slow_disk:
        slow_disk.setattr(Journal, "durable_count", property(lambda _: 1))
        await first.run_maintenance(1, ManualClock(wall_ns=10**18))
        await first.ledger._worker.run(lambda: None)
    assert (first.ledger.applied_number, durable_mark(tmp_path / "1")) == (2, 1)
    shutil.copytree(tmp_path / "1", tmp_path / "2", ignore=lambda *_: ["journal"])
    shutil.copytree(tmp_path / "journal", tmp_path / "2" / "journal")
    first.close()

    second = begin(tmp_path / "2")

    assert (second.lost, state_of(second)) == ("", TradingState.ACTIVE)
    second.close()
