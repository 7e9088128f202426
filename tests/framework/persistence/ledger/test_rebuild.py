from __future__ import annotations

from pathlib import Path

import pytest

from framework.domain.account_events import FillVoided, InstrumentDefined, OrderReport, ReportKind
from framework.domain.errors import JournalError
from framework.domain.intents import NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side
from framework.domain.rate_limits import RequestKind
from framework.domain.verdicts import Approved
from framework.persistence.journal.journal import Journal, JournalSettings, prune
from framework.persistence.journal.records import Body, Checkpoint, EpochTaken, Record
from framework.persistence.journal.restore import fold_record
from framework.persistence.journal.segments import segment_numbers
from framework.persistence.journal.snapshots import SnapshotFile, write_snapshot
from framework.persistence.ledger.ledger import Ledger
from framework.persistence.ledger.reader import LedgerReader
from framework.persistence.ledger.rebuild import rebuild_ledger
from framework.persistence.ledger.schema import LedgerError
from framework.persistence.recorder import Recorder
from framework.runtime.background import BackgroundWorker, InlineWorker
from framework.runtime.disk_writer import InlineWriter
from framework.runtime.files import RealFiles
from framework.state.accounts import Accounts
from framework.state.fills import FILLS_KEPT_MAX
from tests.support.records import content
from tests.support.state_records import fill, kalshi_market

FILES = RealFiles()
TERMS = kalshi_market("KXTIDE-A")
MARKET = TERMS.id


def session() -> list[Body]:
    """What one run records: ten orders, each accepted and partly filled, one fill taken back."""
    bodies: list[Body] = [EpochTaken(1, "tg", "", "0.1.0", 1), InstrumentDefined(TERMS, 1)]
    for n in range(1, 11):
        side = Side.BUY if n % 3 else Side.SELL
        client, venue_order = f"tg-1-{n}", f"v-{n}"
        intent = NewOrder(strategy="mm", instrument=MARKET, side=side, price=Price(5_000 + 100 * n), size=Size(1_000))
        bodies += [
            Approved(
                intent=intent, venue="kalshi", client_order_id=client, request_kind=RequestKind.NEW, ts_ns=1_000 + n
            ),
            OrderReport(
                venue="kalshi", client_order_id=client, kind=ReportKind.ACCEPTED, ts_recv=n, venue_order_id=venue_order
            ),
            fill(
                f"f-{n}",
                name=client,
                venue_order_id=venue_order,
                side=side,
                price=intent.price,
                size=100 * n,
                fee=n,
                at=n,
                instrument=MARKET,
            ),
        ]
    return [*bodies, FillVoided(venue="kalshi", fill_id="f-10", ts_recv=1), Checkpoint("end")]


def record_session(directory: Path, settings: JournalSettings | None = None) -> tuple[Journal, Accounts]:
    """Record it the way a daemon does, ledger included."""
    journal, _ = Journal.open(
        FILES, directory / "journal", start_writer=InlineWriter, worker=InlineWorker(), settings=settings
    )
    ledger = Ledger.open(directory / "ledger", BackgroundWorker("ledger"))
    recorder = Recorder(journal, None, ledger)
    accounts = Accounts()
    for step, body in enumerate(session()):
        recorder.journal(step, 1_000 + step, step, body)
        recorder.orders(fold_record(accounts, body, 1_000 + step))
        recorder.flush()
    ledger.close()
    return journal, accounts


def pruned_at(directory: Path, *, number: int, fills_kept: int = FILLS_KEPT_MAX) -> Accounts:
    """A journal that a snapshot after `number` lets begin later, without a ledger; the whole one's is in `whole`. The
    state after all of it."""
    record_session(directory / "live")[0].close()
    (directory / "live" / "ledger").rename(directory / "whole")
    journal, _ = Journal.open(
        FILES,
        directory / "journal",
        start_writer=InlineWriter,
        worker=InlineWorker(),
        settings=JournalSettings(segment_bytes_max=300, snapshots_kept=1),
    )
    accounts = Accounts()
    accounts.fills._kept_max = fills_kept
    for step, body in enumerate(session(), 1):
        journal.append(Record(step, 1_000 + step, step, body))
        fold_record(accounts, body, 1_000 + step)
        if step == number:
            write_snapshot(FILES, directory / "journal", SnapshotFile(number, accounts.to_snapshot()))
    journal.close()
    prune(FILES, directory / "journal", snapshots_kept=1)
    assert segment_numbers(FILES, directory / "journal")[0] > 1
    return accounts


def test_rebuild_when_the_whole_journal_is_there_then_it_equals_what_was_written_live(tmp_path: Path) -> None:
    journal, accounts = record_session(tmp_path)
    journal.close()
    live = content(tmp_path / "ledger")

    number = rebuild_ledger(FILES, tmp_path / "journal", tmp_path / "ledger")

    assert number == len(session())
    assert content(tmp_path / "ledger") == live
    reader = LedgerReader(tmp_path / "ledger")
    (position,) = reader.positions()
    assert position.size == TERMS.size_text(accounts.positions.account(MARKET).size) == "9.00"
    assert all(line.status == "partially_filled" for line in reader.orders() if line.client_order_id != "tg-1-10")
    assert {line.client_order_id: line.filled for line in reader.orders()} == {
        f"tg-1-{n}": f"{n}.00" if n < 10 else "0.00" for n in range(1, 11)
    }
    reader.close()


async def test_rebuild_when_the_journal_has_dropped_its_beginning_then_it_keeps_the_old_ledger(tmp_path: Path) -> None:
    settings = JournalSettings(segment_bytes_max=500, snapshots_kept=1)
    journal, accounts = record_session(tmp_path, settings)
    await journal.snapshot(accounts.to_snapshot(), at_number=journal.appended_count)
    journal.close()
    live = content(tmp_path / "ledger")

    with pytest.raises(LedgerError, match="move it away first"):
        rebuild_ledger(FILES, tmp_path / "journal", tmp_path / "ledger")
    assert content(tmp_path / "ledger") == live

    (tmp_path / "ledger").rename(tmp_path / "old")
    rebuild_ledger(FILES, tmp_path / "journal", tmp_path / "ledger")
    reader = LedgerReader(tmp_path / "ledger")
    assert (reader.gap, reader.begins_after) == ("", journal.appended_count)
    reader.close()


async def test_rebuild_when_it_begins_with_a_snapshot_then_orders_and_positions_are_those_of_the_whole_journal(
    tmp_path: Path,
) -> None:
    whole = pruned_at(tmp_path, number=20)
    rebuild_ledger(FILES, tmp_path / "journal", tmp_path / "ledger")

    reader, live = LedgerReader(tmp_path / "ledger"), LedgerReader(tmp_path / "whole")
    assert reader.begins_after == 20
    assert reader.positions() == live.positions()
    assert reader.positions(strategy="mm") == live.positions(strategy="mm")
    shown = {line.client_order_id: (line.status, line.price, line.filled) for line in reader.orders()}
    assert shown == {line.client_order_id: (line.status, line.price, line.filled) for line in live.orders()}
    assert {line.fill_id for line in reader.fills()} == {line.fill_id for line in live.fills()}
    assert reader.positions()[0].size == TERMS.size_text(whole.positions.account(MARKET).size)
    reader.close()
    live.close()


async def test_rebuild_when_the_state_has_forgotten_old_fills_then_they_still_count_in_the_position(
    tmp_path: Path,
) -> None:
    pruned_at(tmp_path, number=32, fills_kept=3)
    rebuild_ledger(FILES, tmp_path / "journal", tmp_path / "ledger")

    reader, live = LedgerReader(tmp_path / "ledger"), LedgerReader(tmp_path / "whole")
    assert len(reader.fills()) == 3
    assert reader.positions() == live.positions()
    reader.close()
    live.close()


def test_rebuild_when_the_journal_is_damaged_then_the_old_ledger_stays(tmp_path: Path) -> None:
    journal, _ = record_session(tmp_path)
    journal.close()
    live = content(tmp_path / "ledger")
    (segment,) = (tmp_path / "journal").iterdir()
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)

    with pytest.raises(JournalError, match="is damaged at offset"):
        rebuild_ledger(FILES, tmp_path / "journal", tmp_path / "ledger")

    assert content(tmp_path / "ledger") == live


def test_rebuild_when_the_journal_is_empty_then_the_old_ledger_stays(tmp_path: Path) -> None:
    journal, _ = record_session(tmp_path)
    journal.close()
    live = content(tmp_path / "ledger")
    (segment,) = (tmp_path / "journal").iterdir()
    segment.unlink()

    with pytest.raises(LedgerError, match="move it away first"):
        rebuild_ledger(FILES, tmp_path / "journal", tmp_path / "ledger")

    assert content(tmp_path / "ledger") == live
