from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from framework.domain.account_events import ReportKind, ShutdownRequested
from framework.domain.orders import OrderStatus
from framework.persistence import recovery
from framework.persistence.journal.records import EpochTaken, SnapshotTaken
from framework.persistence.journal.scan import read_entries
from framework.persistence.ledger.reader import LedgerReader
from framework.runtime.clock import ManualClock
from framework.runtime.files import RealFiles
from tests.support.runs import Begin, Run, write
from tests.support.state_records import new, report


def shown(directory: Path) -> list[tuple[str, str]]:
    """The orders of the ledger: id and status."""
    reader = LedgerReader(directory / "ledger.sqlite3")
    try:
        return [(row.client_order_id, row.status) for row in reader.orders()]
    finally:
        reader.close()


async def test_start_when_there_is_a_snapshot_then_it_folds_only_what_came_after_and_knows_who_it_is(run: Run) -> None:
    first = run()
    write(first, new("c1"), report(ReportKind.SENT, "c1"))
    await first.keep_snapshot(5, 5)
    write(first, report(ReportKind.ACCEPTED, "c1", venue_order_id="v1"))
    first.checkpoint(5, 5)
    digest, step = first.accounts.digest(), first.last_step
    first.close()

    second = run()

    assert second.accounts.digest() == digest
    assert second.snapshot_number == 3
    assert (second.instance, first.epoch, second.epoch) == (first.instance, 1, 2)
    assert second.last_step == step
    second.close()


async def test_snapshot_when_it_is_kept_then_the_epoch_stands_between_it_and_its_record(
    run: Run, tmp_path: Path
) -> None:
    first = run()
    write(first, new("c1"))
    await first.keep_snapshot(5, 5)
    first.close()

    bodies = [type(entry.record.body) for entry in read_entries(RealFiles(), tmp_path / "journal")]
    assert bodies[2:] == [EpochTaken, SnapshotTaken]


async def test_ledger_when_it_was_behind_the_snapshot_then_it_shows_the_orders_that_are_in_it(
    run: Run, tmp_path: Path
) -> None:
    first = run()
    records = (new("c1"), report(ReportKind.SENT, "c1"), report(ReportKind.ACCEPTED, "c1", venue_order_id="v1"))
    for body in records:
        # Written and folded, but what the order has become never got to the ledger: so it is after a kill.
        first.recorder.journal(1, 5, 5, body)
        first.accounts.apply(body, 5)
    await first.keep_snapshot(5, 5)
    first.journal.close()

    second = run()
    second.close()

    assert shown(tmp_path) == [("c1", OrderStatus.WORKING.value)]
    first.close()


async def test_ledger_when_a_start_dies_before_it_showed_what_it_folded_then_the_next_one_shows_it(
    tmp_path: Path, begin: Begin
) -> None:
    first = begin(tmp_path / "1")
    write(first, new("c1"), report(ReportKind.SENT, "c1"), report(ReportKind.ACCEPTED, "c1", venue_order_id="v1"))
    first.close()
    second = begin(tmp_path / "1")
    second.recorder.journal(9, 5, 5, gone := report(ReportKind.CANCELLED, "c1", venue_order_id="v1"))
    second.accounts.apply(gone, 5)
    await second.keep_snapshot(5, 5)
    shutil.copytree(tmp_path / "1", tmp_path / "2")  # it dies here: the ledger does not have the end
    third = begin(tmp_path / "2")
    shutil.copytree(tmp_path / "2", tmp_path / "3")  # and so does the next one, before its ledger's first flush

    fourth = begin(tmp_path / "3")

    fourth.close()
    assert shown(tmp_path / "3") == [("c1", OrderStatus.CANCELLED.value)]
    for records in (second, third):
        records.close()


async def test_ledger_when_it_knew_of_records_that_the_journal_lost_then_it_shows_orders_as_they_were_before(
    tmp_path: Path, begin: Begin
) -> None:
    first = begin(tmp_path / "1")
    write(first, new("c1"), report(ReportKind.SENT, "c1"), report(ReportKind.ACCEPTED, "c1", venue_order_id="v1"))
    await first.keep_snapshot(5, 5)
    await first.recorder.wait_durable()
    kept = {path: path.read_bytes() for path in (tmp_path / "1" / "journal").iterdir()}
    write(first, report(ReportKind.CANCELLED, "c1", venue_order_id="v1"))
    first.close()
    for path, data in kept.items():
        path.write_bytes(data)

    second = begin(tmp_path / "1")

    second.close()
    assert shown(tmp_path / "1") == [("c1", OrderStatus.WORKING.value)]


async def test_maintenance_when_a_minute_or_enough_records_have_passed_then_checkpoints_and_snapshots_are_kept(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "SNAPSHOT_RECORDS", 5)
    clock = ManualClock(wall_ns=10**18)
    first = run()
    await first.run_maintenance(1, clock)
    assert (first.journal.appended_count, first.snapshot_number) == (1, 0)
    clock.advance(60_000_000_000)
    await first.run_maintenance(2, clock)
    assert (first.journal.appended_count, first.snapshot_number) == (2, 0)
    write(first, new("c1"), report(ReportKind.SENT, "c1"), report(ReportKind.ACCEPTED, "c1", venue_order_id="v1"))

    await first.run_maintenance(9, clock)

    assert (first.journal.appended_count, first.snapshot_number) == (7, 5)
    first.close()


async def test_maintenance_when_the_daemon_is_stopping_then_no_snapshot_repeats_the_epoch(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "SNAPSHOT_RECORDS", 2)
    first = run()
    write(first, new("c1"), ShutdownRequested("SIGTERM received", 5))

    await first.run_maintenance(3, ManualClock(wall_ns=10**18))
    first.checkpoint(5, 5)
    first.close()

    assert first.snapshot_number == 0
    second = run()
    assert second.snapshot_number == 0
    second.close()
