from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import pytest

from framework.domain.account_events import ReportKind, ShutdownRequested
from framework.domain.errors import JournalError
from framework.domain.market_events import TimerFired
from framework.domain.orders import OrderStatus
from framework.persistence.journal.records import Checkpoint
from framework.persistence.ledger.reader import LedgerReader
from framework.persistence.tape import TapeSettings
from framework.reconciliation.order_inquiry import unanswered_at_restart
from framework.state.orders.client_order_ids import ClientOrderIds
from tests.support.runs import Run, beginner, write
from tests.support.state_records import amend, cancel, new, report


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Open the records of one more run in the same directory, with a tape."""
    return partial(beginner(TapeSettings()), tmp_path)


def test_state_when_a_run_ends_then_the_next_one_begins_where_it_stopped(run: Run) -> None:
    first = run()
    write(first, new("c1"), report(ReportKind.SENT, "c1"), report(ReportKind.ACCEPTED, "c1", venue_order_id="v1"))
    first.checkpoint(5, 5)
    digest, step = first.accounts.digest(), first.last_step
    first.close()

    second = run()

    assert second.accounts.digest() == digest
    assert second.last_step == step
    assert (first.epoch, second.epoch) == (1, 2)
    assert second.instance == first.instance
    assert second.notes == ()
    second.close()


def test_run_when_another_was_before_then_it_is_known_whether_that_was_stopped(run: Run) -> None:
    first = run()
    assert first.was_stopped is None
    first.close()

    second = run()
    assert second.was_stopped is False
    write(second, ShutdownRequested("SIGTERM", 5))
    second.close()

    third = run()
    assert third.was_stopped is True
    third.close()


def test_state_when_it_is_not_what_the_checkpoint_says_then_nothing_starts_and_nothing_is_left_open(run: Run) -> None:
    first = run()
    write(first, new("c1"))
    first.recorder.journal(first.last_step, 5, 5, Checkpoint("0" * 64))
    first.close()
    before = set(threading.enumerate())

    with pytest.raises(JournalError, match="journal record 3: the state folded from the journal is not the state"):
        run()

    assert set(threading.enumerate()) == before


def test_checkpoint_when_an_earlier_version_wrote_it_then_it_is_checked_in_that_version(run: Run) -> None:
    first = run()
    write(first, new("c1"))
    before = first.accounts
    assert before.digest(1) != before.digest(2)
    first.recorder.journal(first.last_step, 5, 5, Checkpoint(before.digest(1)))
    first.recorder.journal(first.last_step, 5, 5, Checkpoint(before.digest(2), 2))
    first.recorder.journal(first.last_step, 5, 5, Checkpoint(before.digest(3), 3))
    first.close()
    run().close()


def test_checkpoint_when_a_later_version_wrote_it_then_nothing_starts(run: Run) -> None:
    first = run()
    first.recorder.journal(first.last_step, 5, 5, Checkpoint("0" * 64, 99))
    first.close()
    with pytest.raises(JournalError, match="journal record 2: canonical form: version 99 is not known"):
        run()


def test_epoch_when_its_file_is_lost_then_the_journal_still_knows_it(run: Run, tmp_path: Path) -> None:
    for _ in range(3):
        run().close()
    (tmp_path / "epoch").unlink()

    records = run()

    assert records.epoch == 4
    records.close()


def test_ids_when_runs_follow_each_other_then_none_comes_twice(run: Run) -> None:
    seen: set[str] = set()
    for _ in range(3):
        records = run()
        ids = ClientOrderIds(records.instance, records.epoch)
        taken = {ids.next() for _ in range(50)}
        assert len(taken) == 50
        assert seen.isdisjoint(taken)
        seen |= taken
        records.close()


def test_steps_when_the_tape_holds_more_than_the_journal_then_counting_goes_on_after_it(run: Run) -> None:
    first = run()
    write(first, new("c1"))
    first.recorder.tape(40, 5, 5, TimerFired("maker", "check", 5))
    first.close()

    second = run()

    assert second.last_step == 40
    second.close()


def test_restart_when_a_run_died_then_each_open_request_is_reported(run: Run) -> None:
    records = run()
    write(records, new("recorded"), new("sent"), report(ReportKind.SENT, "sent"))
    for name in ("working", "cancelled", "amended"):
        accepted = report(ReportKind.ACCEPTED, name, venue_order_id=f"v-{name}")
        write(records, new(name), report(ReportKind.SENT, name), accepted)
    write(records, cancel("cancelled"), amend("amended", price=51))
    records.close()

    again = run()
    inquiries = unanswered_at_restart(again.accounts, 7)

    assert {inquiry.client_order_id: inquiry.kind for inquiry in inquiries} == {
        "recorded": ReportKind.UNKNOWN,
        "sent": ReportKind.UNKNOWN,
        "cancelled": ReportKind.CANCEL_REFUSED,
        "amended": ReportKind.UNKNOWN,
    }
    for inquiry in inquiries:
        again.accounts.apply(inquiry, 7)
    statuses = {order.client_order_id: order.status for order in again.accounts.orders.open()}
    assert statuses["recorded"] is statuses["sent"] is OrderStatus.UNKNOWN
    assert statuses["cancelled"] is statuses["working"] is OrderStatus.WORKING
    again.close()


def test_ledger_when_it_was_lost_then_the_next_run_fills_it_from_the_journal(run: Run, tmp_path: Path) -> None:
    first = run()
    write(first, new("c1"), report(ReportKind.SENT, "c1"), report(ReportKind.ACCEPTED, "c1", venue_order_id="v1"))
    first.close()
    for path in tmp_path.glob("ledger.sqlite3*"):
        path.unlink()

    run().close()

    reader = LedgerReader(tmp_path / "ledger.sqlite3")
    assert [(order.client_order_id, order.status) for order in reader.orders()] == [("c1", "working")]
    assert not reader.gap
    reader.close()


def test_ledger_when_runs_and_checkpoints_follow_each_other_then_it_misses_no_record(run: Run, tmp_path: Path) -> None:
    for number in range(3):
        records = run()
        write(records, new(f"c{number}"))
        records.checkpoint(5, 5)
        records.close()

    reader = LedgerReader(tmp_path / "ledger.sqlite3")
    assert len(reader.orders()) == 3
    assert not reader.gap
    reader.close()
