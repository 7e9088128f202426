"""How a run begins with its ledger: what it has missed is shown in it, and one that can't be used is no reason to stop.

A ledger that is damaged, or of another version, is put aside whole and a new one begun: from the journal's first record
where the journal still has it, else from the snapshot that the run itself begins with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from framework.domain.orders import Order
from framework.runtime.background import Worker
from framework.state.accounts import Accounts
from framework.state.audit import dump
from framework.state.journal import Recovered
from framework.state.ledger import Ledger
from framework.state.ledger_schema import LedgerError, LedgerUnusable, put_aside
from framework.state.segment_sink import segment_numbers


def open_ledger(path: Path, worker: Worker, *, last_number: int) -> tuple[Ledger, tuple[str, ...]]:
    """The ledger, and sentences for the log. `last_number` is the journal's last record. Raises `LedgerError` when
    another program holds the file or the disk refuses it."""
    try:
        return Ledger.open(path, worker, last_number=last_number), ()
    except LedgerUnusable as e:
        note = _put_aside_note(e, put_aside(path))
        return Ledger.open(path, worker, last_number=last_number), (note,)


def show_past(
    ledger: Ledger, recovered: Recovered, changed: Mapping[str, Order], accounts: Accounts
) -> tuple[str, ...]:
    """Show what the ledger has missed and what has become of the orders; returns sentences for the log.

    `changed` are the orders that `recovered` has changed, by client order id, `accounts` is the state after all of it.
    Raises `LedgerError` as `open_ledger` does, and `JournalError`.
    """
    try:
        _catch_up(ledger, recovered, changed.values())
    except LedgerUnusable as e:
        note = _put_aside_note(e, ledger.begin_anew())
        known = {one.order.client_order_id: one.order for one in accounts.orders.image().known}
        _catch_up(ledger, recovered, {**known, **changed}.values())
        return (note,)
    return ()


def _catch_up(ledger: Ledger, recovered: Recovered, orders: Iterable[Order]) -> None:
    files, directory, snapshot = recovered.files, recovered.directory, recovered.snapshot
    is_pruned = min(segment_numbers(files, directory), default=1) > 1
    if ledger.applied_number == 0 and snapshot is not None and is_pruned:
        ledger.begin_from(Accounts.from_snapshot(snapshot.state), snapshot.number)
    ledger.catch_up(dump(files, directory, first=ledger.applied_number + 1), tuple(orders))


def _put_aside_note(error: LedgerError, aside: Path) -> str:
    return f"{error}. It was put aside as {aside.name} and a new one begun; trading does not need it"
