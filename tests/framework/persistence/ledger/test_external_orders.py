from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from framework.domain.account_events import ExternalOrderIgnored, InstrumentDefined
from framework.domain.numbers import Size
from framework.persistence.journal.journal import Journal
from framework.persistence.journal.records import Body
from framework.persistence.journal.restore import fold_record, read_accounts
from framework.persistence.ledger.ledger import Ledger
from framework.persistence.ledger.reader import LedgerReader
from framework.persistence.ledger.rebuild import rebuild_ledger
from framework.persistence.ledger.schema import SCHEMA_VERSION, LedgerError
from framework.persistence.recorder import Recorder
from framework.runtime.background import InlineWorker
from framework.runtime.disk_writer import InlineWriter
from framework.runtime.files import RealFiles
from framework.state.accounts import Accounts
from tests.support.state_records import INSTRUMENT, VENUE, adopted, listed, new

DEFINED = InstrumentDefined(INSTRUMENT, 1)
FOREIGN = listed("theirs", venue_order_id="v9")


class Book:
    """A journal with its ledger, and the state that both describe."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "ledger"
        self.journal_directory = directory / "journal"
        self._journal, _ = Journal.open(
            RealFiles(), self.journal_directory, start_writer=InlineWriter, worker=InlineWorker()
        )
        self.ledger = Ledger.open(self.path, InlineWorker())
        self._recorder = Recorder(self._journal, None, self.ledger)
        self.accounts = Accounts()

    def write(self, *bodies: Body) -> None:
        for body in bodies:
            self._recorder.journal(1, 1, 1, body)
            self._recorder.orders(fold_record(self.accounts, body, 1))
        self._recorder.flush()

    def external_orders(self, *, ignored: bool = False) -> list[str]:
        reader = LedgerReader(self.path)
        found = [line.venue_order_id for line in reader.external_orders(ignored=ignored)]
        reader.close()
        return found

    def close(self) -> None:
        self._journal.close()
        self.ledger.close()


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path)
    book.write(DEFINED)
    yield book
    book.close()


def ignored(reason: str = "mine") -> ExternalOrderIgnored:
    return ExternalOrderIgnored(venue=VENUE, venue_order_id="v9", reason=reason, ts_recv=1)


ADOPTED = adopted(strategy="maker", client_order_id="theirs", venue_order_id="v9", at=1)


def test_external_order_when_listed_then_it_is_shown_with_exact_amounts(book: Book) -> None:
    book.write(FOREIGN)
    reader = LedgerReader(book.path)
    (line,) = reader.external_orders()
    reader.close()
    assert (line.venue_order_id, line.client_order_id, line.side) == ("v9", "theirs", "buy")
    assert (line.price, line.size, line.filled, line.seen_ns) == ("0.50", "10", "0", 10)


def test_listing_when_it_is_of_an_order_of_ours_then_it_is_no_external_order(book: Book) -> None:
    book.write(new("c1"), listed("c1", venue_order_id="v1"), listed("", venue_order_id="v1"))
    assert book.external_orders() == []


def test_external_order_when_listed_again_then_the_newest_listing_is_shown_once(book: Book) -> None:
    book.write(FOREIGN, msgspec.structs.replace(FOREIGN, filled=Size(3), ts_recv=20), FOREIGN)
    reader = LedgerReader(book.path)
    (line,) = reader.external_orders()
    reader.close()
    assert (line.filled, line.seen_ns) == ("3", 20)


@pytest.mark.parametrize("ended_at", [5, 20])
def test_external_order_when_it_has_ended_then_no_listing_brings_it_back(book: Book, ended_at: int) -> None:
    book.write(FOREIGN, msgspec.structs.replace(FOREIGN, is_open=False, ts_recv=ended_at), FOREIGN)
    assert book.external_orders() == []
    assert book.accounts.external_orders(VENUE) == ()


def test_external_order_when_ignored_then_it_is_only_shown_on_request(book: Book) -> None:
    book.write(FOREIGN, ignored(), msgspec.structs.replace(FOREIGN, ts_recv=20))
    assert (book.external_orders(), book.external_orders(ignored=True)) == ([], ["v9"])


def test_external_order_when_ignored_without_a_reason_then_it_is_ignored_all_the_same(book: Book) -> None:
    book.write(FOREIGN, ignored(""))
    assert book.external_orders() == []
    assert book.accounts.external_orders(VENUE) == ()


def test_external_order_when_adopted_then_it_is_an_order(book: Book) -> None:
    book.write(FOREIGN, ignored(), ADOPTED, msgspec.structs.replace(FOREIGN, ts_recv=20))
    reader = LedgerReader(book.path)
    assert (reader.external_orders(ignored=True), [line.strategy for line in reader.orders()]) == ([], ["maker"])
    reader.close()


def test_external_order_when_its_market_is_defined_later_then_its_amounts_find_their_scale(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.write(FOREIGN, DEFINED)
    reader = LedgerReader(book.path)
    assert [line.price for line in reader.external_orders()] == ["0.50"]
    reader.close()
    book.close()


def test_external_orders_when_the_ledger_is_rebuilt_then_they_are_the_same(tmp_path: Path) -> None:
    book = Book(tmp_path)
    other = listed("others", venue_order_id="v8")
    book.write(DEFINED, FOREIGN, other, ignored())
    live = (book.external_orders(), book.external_orders(ignored=True))
    book.close()
    rebuild_ledger(RealFiles(), book.journal_directory, book.path)
    assert (book.external_orders(), book.external_orders(ignored=True)) == live == (["v8"], ["v8", "v9"])


def test_ledger_when_it_has_the_schema_before_external_orders_then_opening_it_adds_them(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.write(DEFINED, new("c1"))
    book.close()
    connection = sqlite3.connect(book.path)
    for column in ("kind", "trigger_kind", "trigger_price", "trigger_by", "quote_amount"):
        connection.execute(f"ALTER TABLE orders DROP COLUMN {column}")
    connection.executescript("DROP TABLE orphans; DROP TABLE carried; PRAGMA user_version = 1;")
    for column in ("moved", "cost", "fee_paid", "fee_currency", "source"):
        connection.execute(f"ALTER TABLE fills DROP COLUMN {column}")
    for column in ("base_currency", "quote_currency", "settle_currency"):
        connection.execute(f"ALTER TABLE instruments DROP COLUMN {column}")
    connection.close()
    with pytest.raises(LedgerError, match=f"has schema 1, this program reads {SCHEMA_VERSION}; start the daemon once"):
        LedgerReader(book.path)

    Ledger.open(book.path, InlineWorker()).close()

    assert book.external_orders() == []
    reader = LedgerReader(book.path)
    assert [line.client_order_id for line in reader.orders()] == ["c1"]
    reader.close()


def test_ledger_when_the_file_is_none_then_reading_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("not a database, and long enough to look at" * 10)
    with pytest.raises(LedgerError, match="rebuild-ledger"):
        LedgerReader(tmp_path / "ledger")


async def test_read_accounts_when_the_daemon_is_away_then_it_is_the_state_it_had(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.write(DEFINED, new("c1"), FOREIGN)
    names = sorted(path.name for path in tmp_path.rglob("*"))

    accounts = read_accounts(RealFiles(), book.journal_directory)

    assert accounts.digest() == book.accounts.digest()
    assert sorted(path.name for path in tmp_path.rglob("*")) == names
    await book._journal.snapshot(book.accounts.to_snapshot(), at_number=3)
    book.write(ignored())
    assert read_accounts(RealFiles(), book.journal_directory).digest() == book.accounts.digest()
    book.close()
