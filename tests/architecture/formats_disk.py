"""What lies in a state directory, byte for byte: written by the real writers into an empty folder."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from framework.domain.market_events import Heartbeat
from framework.domain.operator_requests import SOCKET_NAME
from framework.ops.alerts.alert_file import AlertFile
from framework.ops.operator_service import HISTORY_NAME
from framework.persistence.journal.records import Checkpoint, Record, encode_record
from framework.persistence.journal.restore import fold_record
from framework.persistence.journal.segments import FIRST_CHAIN, Header, encode_frame, encode_header
from framework.persistence.journal.snapshots import SnapshotFile, write_snapshot
from framework.persistence.journal.verify import REMOVED
from framework.persistence.ledger.schema import connect, move_aside
from framework.persistence.tape import Tape, TapeSettings
from framework.reconciliation.differences import Difference
from framework.reconciliation.history import ReconcileHistory
from framework.runtime.background import InlineWorker
from framework.runtime.clock import ManualClock
from framework.runtime.files import DRAFT_SUFFIX, RealFiles
from framework.runtime.state_directory import JOURNAL_NAME, LEDGER_NAME, bind_account, lock_state, set_aside
from framework.state.accounts import Accounts
from framework.state.orders.client_order_ids import ClientOrderIds
from tests.architecture.formats_walk import sample
from tests.framework.cli.test_ledger import SESSION
from tests.support.runs import beginner

FILES = RealFiles()
HEARTBEAT = Heartbeat("tide", 1, 2)


def disk_formats(directory: Path) -> dict[str, list[str]]:
    """Names, headers, frames and small files of a state directory."""
    state = directory / "state"
    lock = lock_state(state)
    beginner(TapeSettings())(state).close()
    bind_account(FILES, state / JOURNAL_NAME, "tide", "host key")
    write_snapshot(FILES, state / JOURNAL_NAME, SnapshotFile(7, b"state"))
    tape = Tape.open(FILES, state / "tape", InlineWorker())
    tape.record(1, 2, 3, HEARTBEAT)
    tape.close()
    history = ReconcileHistory(FILES, state / HISTORY_NAME, ManualClock(wall_ns=9))
    history.add("tide", (sample(Difference),))
    AlertFile(FILES, state).write(())
    lock.close()
    snapshot, tape_file = next(state.rglob("snapshot-*")), next(state.rglob("tape-*"))
    record = encode_record(Record(1, 2, 3, Checkpoint("x")))
    names = sorted(path.relative_to(state).as_posix() for path in state.rglob("*"))
    return {
        "names": [*names, SOCKET_NAME, *_names_beside(directory)],
        "journal header": [encode_header(Header(7, FIRST_CHAIN)).hex()],
        "journal frame": [encode_frame(FIRST_CHAIN, 7, 5, record)[0].hex()],
        "journal mark": [encode_frame(FIRST_CHAIN, 0, 5, b"")[0].hex()],
        "snapshot file": [snapshot.read_bytes().hex()],
        "snapshot of nothing": [Accounts().to_snapshot().hex()],
        "snapshot of a session": [session().to_snapshot().hex()],
        "digest of a session": [session().digest(1)],
        "digest of a session, version 2": [session().digest(2)],
        "digest of a session, version 3": [session().digest(3)],
        "tape file": [tape_file.read_bytes().hex()],
        "epoch file": [(state / "epoch").read_text()],
        "accounts file": (state / JOURNAL_NAME / "accounts").read_text().splitlines(),
        "history file": _history_keys(state / HISTORY_NAME),
        "client order id": [ClientOrderIds("tg7f3a91", 12).next()],
    }


def ledger_formats(directory: Path) -> dict[str, list[str]]:
    """Tables and indexes of the ledger as SQLite describes them, and the version of its schema."""
    connection = connect(directory / LEDGER_NAME)
    try:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {table: _columns(connection, table) for table in tables}
        indexes = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'index' AND sql != '' ORDER BY name")
        found["indexes"] = [sql for (sql,) in indexes]
        found["user_version"] = [str(connection.execute("PRAGMA user_version").fetchone()[0])]
    finally:
        connection.close()
    return found


def session() -> Accounts:
    """The state after a short session."""
    accounts = Accounts()
    for body in SESSION:
        fold_record(accounts, body, 5)
    return accounts


def _history_keys(path: Path) -> list[str]:
    """Keys of a line, and of a difference in it."""
    (line,) = [json.loads(text) for text in path.read_text().splitlines()]
    return [*line, *(f"differences[].{key}" for key in line["differences"][0])]


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    rows = connection.execute('SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)', (table,))
    return [
        f"{name} {kind}"
        + (" NOT NULL" if is_needed else "")
        + (f" DEFAULT {default}" if default is not None else "")
        + (f" KEY {place}" if place else "")
        for name, kind, is_needed, default, place in rows
    ]


def _names_beside(directory: Path) -> list[str]:
    """Names that something gets that is put aside or half-written."""
    past = directory / "of-a-sandbox"
    for _ in range(2):
        set_aside(past)
    ledger = directory / "damaged" / LEDGER_NAME
    ledger.parent.mkdir()
    ledger.touch()
    moved = sorted(path.relative_to(past).as_posix() for path in past.rglob("*"))
    return [f"…{DRAFT_SUFFIX}", f"…{REMOVED}", move_aside(ledger).name, *moved]
