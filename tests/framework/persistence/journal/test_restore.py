"""What one record of the journal does to the state."""

from __future__ import annotations

from framework.domain.account_events import ShutdownRequested
from framework.persistence.journal.records import Checkpoint, EpochTaken, SnapshotTaken
from framework.persistence.journal.restore import fold_record
from framework.state.accounts import Accounts
from tests.support.state_records import new


def test_epoch_when_folded_then_the_last_runs_shutdown_is_over() -> None:
    accounts = Accounts()
    fold_record(accounts, ShutdownRequested("SIGTERM", 1), 1)
    assert accounts.trading.is_shutting_down

    assert fold_record(accounts, EpochTaken(2, "tg7f3a91", "", "", 2), 2) == ()

    assert not accounts.trading.is_shutting_down


def test_approval_when_folded_then_its_order_is_returned() -> None:
    accounts = Accounts()
    (order,) = fold_record(accounts, new("a"), 5)
    assert (order.client_order_id, order.created_ns) == ("a", 5)


def test_marks_of_the_journal_when_folded_then_the_state_stays() -> None:
    accounts = Accounts()
    fold_record(accounts, new("a"), 5)
    before = accounts.digest()

    assert [fold_record(accounts, body, 6) for body in (Checkpoint("another"), SnapshotTaken(1, ""))] == [(), ()]

    assert accounts.digest() == before
