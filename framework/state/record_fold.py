"""Folding the journal into the state: what one record, also one that is not about orders or money, does to it."""

from __future__ import annotations

from collections.abc import Sequence

from framework.domain.orders import Order
from framework.state.accounts import Accounts
from framework.state.records import Body, Checkpoint, EpochTaken, SnapshotTaken


def fold_record(accounts: Accounts, body: Body, now_ns: int) -> Sequence[Order]:
    """Take in what a record says, at the wall time of its step; the orders that it changed. Everything that reads a
    journal folds it so. What a checkpoint states is for its reader to compare."""
    if isinstance(body, EpochTaken):
        accounts.begin_epoch()
    if isinstance(body, (EpochTaken, Checkpoint, SnapshotTaken)):
        return ()
    return accounts.apply(body, now_ns).orders
