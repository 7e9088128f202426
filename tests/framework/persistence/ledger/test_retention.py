"""Rows that are too old or too many leave the ledger, in order, and positions stay whole."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from framework.domain.account_events import Fill, FillVoided, InstrumentDefined, InstrumentSettled
from framework.domain.intents import NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import OrderStatus, Side
from framework.domain.verdicts import RefusalCode, Refused
from framework.persistence.journal.records import Body, Entry, Record
from framework.persistence.ledger.ledger import Ledger
from framework.persistence.ledger.reader import LedgerReader
from framework.persistence.ledger.retention import DAY_NS, SLICE_ROWS, Retention, give_back, used_bytes
from framework.runtime.background import InlineWorker
from tests.support import state_records
from tests.support.state_records import kalshi_market, order_of

TERMS = kalshi_market("KXTIDE-A")
INTENT = NewOrder(strategy="mm", instrument=TERMS.id, side=Side.BUY, price=Price(5600), size=Size(1000))
ROOMY, NO_ROOM = 1 << 30, 1
NOW = 100 * DAY_NS


class Filled:
    """A ledger and what was put into it, record by record."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ledger = Ledger.open(path, InlineWorker())
        self.number = 0
        self.put(InstrumentDefined(TERMS, 1))

    def put(self, body: Body) -> None:
        self.number += 1
        self.ledger.apply(Entry(self.number, Record(self.number, 1, 1, body)))

    def order(self, name: str, *, at_ns: int, status: OrderStatus = OrderStatus.FILLED) -> None:
        facts = {"status": status, "venue_order_id": f"v-{name}", "created_ns": at_ns, "updated_ns": at_ns}
        self.ledger.put_orders([order_of(INTENT, name, **facts)])

    def fill(self, name: str, size: int, *, at_ns: int) -> Fill:
        said = state_records.fill(name, name=name, venue_order_id=f"v-{name}", side=Side.BUY, price=5600, size=size,
                                  fee=17_300, at=5, instrument=TERMS.id)  # fmt: skip
        said = msgspec.structs.replace(said, ts_recv=at_ns)
        self.put(said)
        return said

    def refusal(self, *, at_ns: int) -> None:
        self.put(Refused(intent=INTENT, code=RefusalCode.OFF_GRID, detail="", check="grid", ts_ns=at_ns))

    def prune(self, retention: Retention, now_ns: int = NOW) -> None:
        self.ledger.flush()
        self.ledger.prune(retention, now_ns)

    def shown(self) -> tuple[list[str], list[str], int]:
        """Orders, fills, and the number of refusals that are left."""
        self.ledger.flush()
        reader = LedgerReader(self.path)
        try:
            orders = [line.client_order_id for line in reader.orders()]
            return sorted(orders), sorted(line.fill_id for line in reader.fills()), len(reader.refusals(limit=10**6))
        finally:
            reader.close()

    def position(self, strategy: str = "") -> tuple[str, str]:
        self.ledger.flush()
        reader = LedgerReader(self.path)
        try:
            line = reader.positions(strategy=strategy)[0]
            return line.size, line.fees
        finally:
            reader.close()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Filled]:
    filled = Filled(tmp_path / "ledger.sqlite3")
    yield filled
    filled.ledger.close()


def test_rows_older_than_the_days_go_and_younger_ones_stay(kept: Filled) -> None:
    for name, age in (("old", 91), ("young", 89)):
        at_ns = NOW - age * DAY_NS
        kept.order(name, at_ns=at_ns)
        kept.fill(name, 300, at_ns=at_ns)
        kept.refusal(at_ns=at_ns)
    for turn in range(4):
        kept.prune(Retention(bytes_max=ROOMY, days_max=90), NOW + turn * DAY_NS // 1000)
    assert kept.shown() == (["young"], ["young"], 1)


def test_without_room_refusals_go_first_then_ended_orders_then_fills(kept: Filled) -> None:
    at_ns = NOW - 2 * DAY_NS
    kept.order("done", at_ns=at_ns)
    kept.fill("done", 300, at_ns=at_ns)
    kept.refusal(at_ns=NOW - 1)
    seen = [kept.shown()]
    for turn in range(3):
        kept.prune(Retention(bytes_max=NO_ROOM, days_max=90), NOW + turn * DAY_NS // 1000)
        seen.append(kept.shown())
    assert seen == [(["done"], ["done"], 1), (["done"], ["done"], 0), ([], ["done"], 0), ([], [], 0)]


def test_with_room_nothing_young_goes(kept: Filled) -> None:
    kept.order("done", at_ns=NOW)
    kept.refusal(at_ns=NOW)
    kept.prune(Retention(bytes_max=ROOMY, days_max=90))
    assert kept.shown() == (["done"], [], 1)


def test_open_orders_and_what_is_younger_than_a_day_stay_without_room(kept: Filled) -> None:
    kept.order("open", at_ns=1, status=OrderStatus.WORKING)
    kept.order("young", at_ns=NOW - DAY_NS + 1)
    kept.fill("young", 300, at_ns=NOW - DAY_NS + 1)
    for turn in range(3):
        kept.prune(Retention(bytes_max=NO_ROOM, days_max=1), NOW + turn)
    assert kept.shown() == (["open", "young"], ["young"], 0)


def test_positions_and_fees_stay_whole_when_their_fills_have_gone(kept: Filled) -> None:
    kept.order("a", at_ns=1)
    kept.fill("a", 300, at_ns=1)
    kept.order("b", at_ns=2)
    kept.fill("b", 200, at_ns=2)
    taken_back = kept.fill("c", 700, at_ns=3)
    kept.put(FillVoided(venue=taken_back.venue, fill_id="c", ts_recv=4))
    before = kept.position(), kept.position("mm")
    for turn in range(4):
        kept.prune(Retention(bytes_max=ROOMY, days_max=90), NOW + turn * DAY_NS // 1000)
    assert kept.shown()[1] == []
    kept.fill("d", 100, at_ns=NOW)
    kept.put(FillVoided(venue=taken_back.venue, fill_id="d", ts_recv=4))  # counts the position again
    assert (kept.position(), kept.position("mm")) == before
    assert before[0][0] == "5.00"


def test_a_settled_instrument_goes_when_nothing_of_it_is_left(kept: Filled) -> None:
    kept.order("a", at_ns=1)
    kept.fill("a", 300, at_ns=1)
    kept.put(InstrumentSettled(TERMS.id, Price(10_000), 0, 0))
    for turn in range(5):
        kept.prune(Retention(bytes_max=ROOMY, days_max=90), NOW + turn * DAY_NS // 1000)
    reader = LedgerReader(kept.path)
    assert (reader.positions(), reader.fills(), reader.orders()) == ([], [], [])
    reader.close()
    kept.put(InstrumentDefined(TERMS, 1))  # the venue lists it again
    kept.fill("late", 100, at_ns=NOW)
    assert kept.position()[0] == "1.00"


def test_a_look_at_many_settled_instruments_reads_their_orders_once(kept: Filled) -> None:
    for number in range(200):
        market = kalshi_market(f"KXTIDE-{number}")
        kept.put(InstrumentDefined(market, 1))
        intent = msgspec.structs.replace(INTENT, instrument=market.id)
        kept.ledger.put_orders([order_of(intent, f"o-{number}", status=OrderStatus.CANCELLED, updated_ns=NOW)])
        kept.put(InstrumentSettled(market.id, Price(10_000), 0, 0))
    kept.ledger.flush()
    looks: list[int] = []
    kept.ledger._connection.set_progress_handler(lambda: looks.append(1), 100)
    kept.prune(Retention(bytes_max=ROOMY, days_max=90))
    assert len(looks) < 200, "of 100 operations of SQLite each"


def test_what_goes_is_in_the_archive_as_gzipped_json_lines(kept: Filled, tmp_path: Path) -> None:
    kept.order("a", at_ns=1)
    kept.fill("a", 300, at_ns=1)
    kept.refusal(at_ns=1)
    archive = tmp_path / "archive"
    for turn in range(4):
        kept.prune(Retention(bytes_max=ROOMY, days_max=90, archive=archive), NOW + turn * DAY_NS // 1000)
    (path,) = archive.iterdir()
    rows = [json.loads(line) for line in gzip.open(path).read().splitlines()]
    assert [row["table"] for row in rows] == ["refusals", "orders", "fills"]
    assert (rows[1]["client_order_id"], rows[2]["size"], rows[2]["strategy"]) == ("a", "3.00", "mm")
    assert path.stat().st_mode & 0o777 == 0o600


def test_rows_stay_and_the_trouble_is_named_while_the_archive_can_not_be_written(kept: Filled, tmp_path: Path) -> None:
    kept.refusal(at_ns=1)
    blocked = tmp_path / "archive"
    blocked.write_text("a file where the folder should be")
    kept.prune(Retention(bytes_max=ROOMY, days_max=90, archive=blocked))
    assert kept.shown()[2] == 1
    assert "old rows stay" in kept.ledger.trouble
    assert str(blocked) in kept.ledger.trouble
    blocked.unlink()
    kept.prune(Retention(bytes_max=ROOMY, days_max=90, archive=blocked), 2 * NOW)
    assert (kept.shown()[2], kept.ledger.trouble) == (0, "")


def test_one_turn_removes_a_slice_and_the_next_comes_soon(kept: Filled) -> None:
    for _ in range(SLICE_ROWS + 1):
        kept.refusal(at_ns=1)
    retention = Retention(bytes_max=ROOMY, days_max=90)
    kept.prune(retention)
    assert kept.shown()[2] == 1
    kept.prune(retention, NOW + 500_000_000)
    assert kept.shown()[2] == 1
    kept.prune(retention, NOW + 1_000_000_000)
    assert kept.shown()[2] == 0


def test_the_file_is_not_rewritten_where_the_disk_has_no_room_for_the_copies(kept: Filled) -> None:
    for _ in range(2 * SLICE_ROWS):
        kept.put(Refused(intent=INTENT, code=RefusalCode.OFF_GRID, detail="x" * 4_000, check="grid", ts_ns=1))
    kept.ledger.flush()
    db = kept.ledger._connection
    db.execute("DELETE FROM refusals")
    pages = int(db.execute("PRAGMA page_count").fetchone()[0])
    give_back(db, 2 * used_bytes(db))
    assert int(db.execute("PRAGMA page_count").fetchone()[0]) == pages
    give_back(db, 4 * used_bytes(db))
    assert int(db.execute("PRAGMA page_count").fetchone()[0]) < pages / 2


def test_the_file_shrinks_when_most_of_it_is_free(kept: Filled) -> None:
    for _ in range(4 * SLICE_ROWS):
        kept.put(Refused(intent=INTENT, code=RefusalCode.OFF_GRID, detail="x" * 1_500, check="grid", ts_ns=1))
    kept.ledger.flush()
    large = kept.path.stat().st_size
    for turn in range(6):
        kept.prune(Retention(bytes_max=ROOMY, days_max=90), NOW + turn * DAY_NS // 1000)
    assert kept.shown()[2] == 0
    assert large > 20_000_000 > 1_000_000 > kept.path.stat().st_size
