from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from framework.domain.account_events import (
    Fill,
    FillSource,
    FillVoided,
    InstrumentDefined,
    InstrumentSettled,
    Scope,
    StrategyQuarantined,
    StrategySaved,
    TradingState,
    TradingStateChanged,
)
from framework.domain.intents import NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, OrderStatus, Side
from framework.domain.rate_limits import RequestKind
from framework.domain.verdicts import Approved, RefusalCode, Refused
from framework.persistence.journal.records import Body, Entry, Record
from framework.persistence.ledger.ledger import Ledger
from framework.persistence.ledger.reader import LedgerReader
from framework.persistence.ledger.schema import LedgerError
from framework.runtime.background import BackgroundWorker, InlineWorker
from framework.state.accounts import Accounts
from tests.support import state_records
from tests.support.records import content
from tests.support.state_records import kalshi_market, order_of

TERMS = kalshi_market("KXTIDE-A")
MARKET = TERMS.id
DEFINED = InstrumentDefined(TERMS, 1)
INTENT = NewOrder(strategy="mm", instrument=MARKET, side=Side.BUY, price=Price(5600), size=Size(1000))
APPROVED = Approved(intent=INTENT, venue="kalshi", client_order_id="tg-1-1", request_kind=RequestKind.NEW, ts_ns=1_000)


def fill(fill_id: str, size: int, *, side: Side = Side.BUY, client: str = "tg-1-1", fee: int = 17_300) -> Fill:
    said = state_records.fill(
        fill_id, name=client, venue_order_id="v-1", side=side, price=5600, size=size, fee=fee, at=5, instrument=MARKET
    )
    return msgspec.structs.replace(said, ts_recv=6)


def strategies(reader: LedgerReader) -> list[tuple[str, bytes, str]]:
    """What the ledger shows of strategies: name, saved state, why quarantined."""
    return [tuple(row) for row in reader._rows("SELECT strategy, state, quarantined FROM strategies", ())]  # type: ignore[misc]


def entries(*bodies: Body) -> list[Entry]:
    return [Entry(n, Record(n, 1_000 + n, n, body)) for n, body in enumerate(bodies, 1)]


def order(status: OrderStatus = OrderStatus.PARTIALLY_FILLED, filled: int = 300) -> Order:
    facts = {"status": status, "filled": Size(filled), "venue_order_id": "v-1", "updated_ns": 2_000}
    return order_of(INTENT, "tg-1-1", **facts)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    ledger = Ledger.open(path, InlineWorker())
    yield ledger
    ledger.close()


@pytest.fixture
def reader(path: Path, ledger: Ledger) -> Iterator[LedgerReader]:
    reader = LedgerReader(path)
    yield reader
    reader.close()


def flushed(ledger: Ledger, worker: BackgroundWorker) -> None:
    """Return when the worker has had its turn."""
    ledger.flush()
    done = threading.Event()
    assert worker.submit(done.set)
    assert done.wait(5)


def put(ledger: Ledger, *bodies: Body) -> None:
    for entry in entries(*bodies):
        ledger.apply(entry)
    ledger.flush()


def test_ledger_when_an_order_is_approved_and_changes_then_its_row_shows_exact_text(
    ledger: Ledger, reader: LedgerReader, path: Path
) -> None:
    put(ledger, DEFINED, APPROVED)
    (line,) = reader.orders()
    assert (line.status, line.price, line.size, line.filled, line.record) == ("recorded", "0.5600", "10.00", "0.00", 2)

    changed = order()
    ledger.put_orders([changed])
    changed.status = OrderStatus.FILLED
    ledger.flush()

    (line,) = reader.orders(open_only=True)
    assert (line.status, line.filled, line.venue_order_id) == ("partially_filled", "3.00", "v-1")
    assert reader.orders(strategy="other") == []
    assert reader.orders(status="filled") == []
    assert reader.applied_number == 2
    assert path.stat().st_mode & 0o777 == 0o600


def test_ledger_when_fills_come_twice_then_the_position_counts_them_once(ledger: Ledger, reader: LedgerReader) -> None:
    put(ledger, DEFINED, APPROVED, fill("a", 700), fill("a", 700), fill("b", 1000, side=Side.SELL, fee=-300))

    (position,) = reader.positions()
    assert (position.size, position.fees) == ("-3.00", "0.017000")
    assert [(line.fill_id, line.strategy) for line in reader.fills()] == [("b", "mm"), ("a", "mm")]
    assert reader.positions(strategy="mm")[0].size == "-3.00"
    assert reader.positions(strategy="other") == []


def test_ledger_when_a_record_comes_again_then_it_changes_nothing(path: Path) -> None:
    bodies = (DEFINED, APPROVED, fill("a", 700), FillVoided(venue="kalshi", fill_id="a", ts_recv=1), fill("b", 50))
    for _ in range(3):
        ledger = Ledger.open(path, InlineWorker())
        put(ledger, *bodies)
        ledger.close()

    reader = LedgerReader(path)
    (position,) = reader.positions()
    assert (position.size, position.fees) == ("0.50", "0.017300")
    reader.close()


def test_ledger_when_an_old_record_comes_again_then_the_newer_one_stays(ledger: Ledger, reader: LedgerReader) -> None:
    bodies = (StrategySaved("mm", b"old"), StrategySaved("mm", b"new"))
    put(ledger, *bodies)

    put(ledger, bodies[0])

    assert strategies(reader) == [("mm", b"new", "")]


@pytest.mark.parametrize("void_first", [True, False])
def test_ledger_when_a_fill_is_voided_then_it_is_reversed_once_whatever_comes_first(
    ledger: Ledger, reader: LedgerReader, void_first: bool
) -> None:
    void = FillVoided(venue="kalshi", fill_id="a", ts_recv=1, reason="bust")
    pair = (void, fill("a", 700)) if void_first else (fill("a", 700), void)
    put(ledger, DEFINED, APPROVED, fill("b", 100), *pair, void)

    (position,) = reader.positions()
    assert (position.size, position.fees) == ("1.00", "0.017300")
    assert [line.is_voided for line in reader.fills()] == [True, False]


def test_ledger_when_the_market_settles_then_the_position_ends(ledger: Ledger, reader: LedgerReader) -> None:
    settled = InstrumentSettled(MARKET, Price(10_000), 1, 2)
    put(ledger, DEFINED, APPROVED, fill("a", 700), settled, fill("late", 100))

    (position,) = reader.positions()
    assert (position.size, position.fees, position.settled_value) == ("0.00", "0.034600", "1.0000")


def test_ledger_when_a_fill_comes_before_its_order_then_it_is_claimed_later(
    ledger: Ledger, reader: LedgerReader
) -> None:
    put(ledger, DEFINED, fill("a", 700, client=""))
    assert reader.fills()[0].strategy == ""

    ledger.put_orders([order()])
    ledger.flush()

    (line,) = reader.fills()
    assert (line.strategy, line.client_order_id) == ("mm", "tg-1-1")
    assert reader.positions(strategy="mm")[0].size == "7.00"
    assert reader.positions()[0].size == "7.00"


def test_ledger_when_a_fill_is_of_no_order_then_no_order_without_a_venue_id_has_it(
    ledger: Ledger, reader: LedgerReader
) -> None:
    put(ledger, DEFINED)
    ledger.put_orders([msgspec.structs.replace(order(), venue_order_id="")])
    source = FillSource.INFERRED_POSITION
    put(ledger, DEFINED, msgspec.structs.replace(fill("m", 500, client=""), venue_order_id="", source=source))
    (line,) = reader.fills()
    assert (line.strategy, line.source) == ("", "inferred_position")
    assert reader.positions()[0].size == "5.00"


def test_ledger_when_the_instrument_is_defined_later_then_amounts_are_placed_on_its_scale(
    ledger: Ledger, reader: LedgerReader
) -> None:
    put(ledger, APPROVED, fill("a", 700))
    assert reader.fills()[0].price == "scaled:5600"
    assert reader.positions() == []

    ledger.apply(Entry(3, Record(3, 1, 1, DEFINED)))
    ledger.flush()

    (line,) = reader.fills()
    assert (line.price, line.size, line.fee) == ("0.5600", "7.00", "0.017300")
    assert reader.orders()[0].size == "10.00"
    assert reader.positions()[0].size == "7.00"


def test_ledger_when_intents_are_refused_and_strategies_speak_then_it_is_there(
    ledger: Ledger, reader: LedgerReader
) -> None:
    refused = Refused(intent=INTENT, code=RefusalCode.POSITION_MAX, detail="limit=10", check="max_position", ts_ns=9)
    put(ledger, refused, StrategySaved("mm", b"\x00state"), StrategyQuarantined("mm", "raised 5 times", 1))

    (line,) = reader.refusals(code="POSITION_MAX")
    assert (line.record, line.strategy, line.instrument, line.detail) == (1, "mm", MARKET, "limit=10")
    assert reader.refusals(strategy="other") == []
    assert strategies(reader) == [("mm", b"\x00state", "raised 5 times")]


def test_refusals_when_a_row_has_an_old_spelling_then_the_code_of_today_is_shown(
    ledger: Ledger, reader: LedgerReader, path: Path
) -> None:
    put(ledger, Refused(intent=INTENT, code=RefusalCode.INVALID_INTENT, detail="", check="gate", ts_ns=9))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE refusals SET code = 'NONSENSE'")
    connection.close()

    assert [line.code for line in reader.refusals()] == ["INVALID_INTENT"]
    assert len(reader.refusals(code="INVALID_INTENT")) == 1
    assert reader.refusals(code="OFF_GRID") == []


@pytest.mark.parametrize(
    ("scope", "target", "state", "left"),
    [
        (Scope.STRATEGY, "mm", TradingState.ACTIVE, ""),
        (Scope.STRATEGY, "mm", TradingState.REDUCING, "raised 5 times"),
        (Scope.STRATEGY, "other", TradingState.ACTIVE, "raised 5 times"),
        (Scope.VENUE, "mm", TradingState.ACTIVE, "raised 5 times"),
    ],
)
def test_ledger_when_a_strategy_is_resumed_then_it_is_not_quarantined_any_more(
    ledger: Ledger, reader: LedgerReader, scope: Scope, target: str, state: TradingState, left: str
) -> None:
    change = TradingStateChanged(scope=scope, target=target, state=state, reason="repaired", ts_recv=2)
    put(ledger, StrategySaved("mm", b"state"), StrategyQuarantined("mm", "raised 5 times", 1), change)
    assert strategies(reader) == [("mm", b"state", left)]


def test_ledger_when_written_behind_then_it_ends_like_one_that_was_written_at_once(tmp_path: Path) -> None:
    bodies: list[Body] = [DEFINED, APPROVED]
    bodies += [fill(str(n), 100 + n, side=Side.BUY if n % 3 else Side.SELL) for n in range(2_500)]
    behind = Ledger.open(tmp_path / "behind", BackgroundWorker("ledger"))
    put(behind, *bodies)
    behind.put_orders([order()])
    behind.close()
    caught_up = Ledger.open(tmp_path / "caught_up", InlineWorker())
    caught_up.catch_up(entries(*bodies))
    caught_up.put_orders([order()])
    caught_up.close()

    assert content(tmp_path / "behind") == content(tmp_path / "caught_up")
    assert behind.applied_number == caught_up.applied_number == len(bodies)


def test_ledger_when_the_journal_lost_records_then_they_are_forgotten(path: Path, tmp_path: Path) -> None:
    kept = (DEFINED, APPROVED, fill("a", 700), fill("b", 300))
    lost = (FillVoided(venue="kalshi", fill_id="a", ts_recv=1), fill("c", 9), InstrumentSettled(MARKET, Price(0), 1, 1))
    ledger = Ledger.open(path, InlineWorker())
    put(ledger, *kept, *lost)
    ledger.close()

    ledger = Ledger.open(path, InlineWorker(), last_number=len(kept))
    assert ledger.applied_number == len(kept)
    ledger.close()

    expected = Ledger.open(tmp_path / "expected", InlineWorker())
    put(expected, *kept)
    expected.close()
    assert content(path) == content(tmp_path / "expected")


def test_ledger_when_records_are_missing_then_the_reader_says_which(ledger: Ledger, reader: LedgerReader) -> None:
    put(ledger, DEFINED)
    assert reader.gap == ""

    ledger.apply(Entry(5, Record(5, 1, 1, APPROVED)))
    ledger.flush()

    assert reader.gap == "2 to 4"


def test_ledger_when_another_program_holds_the_file_then_nothing_is_skipped(path: Path) -> None:
    worker = BackgroundWorker("ledger")
    ledger = Ledger.open(path, worker)
    ledger._connection.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    first, *others = entries(DEFINED, APPROVED, fill("a", 700), fill("b", 50))

    ledger.apply(first)
    flushed(ledger, worker)
    assert "locked" in ledger.trouble
    other.execute("COMMIT")
    other.close()
    for entry in others:
        ledger.apply(entry)
    flushed(ledger, worker)

    assert (ledger.trouble, ledger.applied_number) == ("", 4)
    ledger.close()
    reader = LedgerReader(path)
    assert (reader.gap, reader.positions()[0].size) == ("", "7.50")
    reader.close()


def test_ledger_when_a_transaction_is_undone_then_its_definitions_are_written_again(path: Path) -> None:
    ledger = Ledger.open(path, InlineWorker())
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TRIGGER broken BEFORE INSERT ON fills BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END")

    put(ledger, DEFINED, APPROVED, fill("a", 700))
    assert "disk I/O error" in ledger.trouble
    other.execute("DROP TRIGGER broken")
    other.close()
    ledger.flush()
    ledger.close()

    reader = LedgerReader(path)
    assert reader.positions()[0].size == "7.00"
    reader.close()


def test_ledger_when_the_rest_cannot_be_written_at_the_end_then_the_next_start_goes_on_there(path: Path) -> None:
    ledger = Ledger.open(path, InlineWorker())
    ledger._connection.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    bodies = (DEFINED, APPROVED, fill("a", 700))
    for entry in entries(*bodies):
        ledger.apply(entry)

    with pytest.raises(LedgerError, match="locked"):
        ledger.close()
    other.execute("COMMIT")
    other.close()
    ledger = Ledger.open(path, InlineWorker(), last_number=3)
    ledger.catch_up(entries(*bodies))
    ledger.close()

    reader = LedgerReader(path)
    assert (reader.gap, reader.positions()[0].size) == ("", "7.00")
    reader.close()


def test_ledger_when_the_worker_stands_still_then_it_stalls_instead_of_growing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framework.persistence.ledger.ledger.PENDING_MAX", 10)
    ledger = Ledger.open(path, BusyWorker())
    for entry in entries(*[DEFINED] * 20):
        ledger.apply(entry)
    ledger.put_orders([order()])

    assert "stands still until the next start" in ledger.trouble
    ledger.close()
    assert ledger.applied_number == 10


class BusyWorker(InlineWorker):
    def submit(self, job: object, /) -> bool:
        return False


def test_ledger_when_the_file_is_not_one_then_the_error_names_the_remedy(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to be read as one" * 20)

    with pytest.raises(LedgerError, match="rebuild-ledger"):
        Ledger.open(path, InlineWorker())


def test_reader_when_there_is_no_ledger_then_it_says_so(path: Path) -> None:
    with pytest.raises(LedgerError, match="there is no"):
        LedgerReader(path)


@pytest.mark.parametrize("fee", [3, 0, 7, -2])
def test_fee_in_the_base_currency_when_booked_and_counted_anew_then_the_position_is_that_of_the_state(
    path: Path, ledger: Ledger, fee: int
) -> None:
    terms = msgspec.structs.replace(TERMS, base_currency="BTC")
    small = msgspec.structs.replace(fill("f1", 5, fee=fee), fee_currency="BTC", fee_decimals=2)
    records = (InstrumentDefined(terms, 1), APPROVED, small, fill("f2", 100, fee=0), fill("f3", 1))
    accounts = Accounts()
    for entry in entries(*records, FillVoided(venue="kalshi", fill_id="f3", ts_recv=7)):
        accounts.apply(entry.record.body, 1)  # type: ignore[arg-type]
        ledger.apply(entry)
    ledger.flush()

    (row,) = LedgerReader(path).positions()
    held = accounts.positions.of_strategy("mm", MARKET)
    assert (row.size, row.fees) == (terms.size_text(held.size), str(terms.money(held.fees)))
    assert held.size == 105 - fee
