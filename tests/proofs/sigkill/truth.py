"""What really happened at the venue, and what the ledger says of it: one look at each."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import msgspec

from framework.domain.terms import FillListing
from framework.persistence.ledger.schema import connect_for_reading
from tests.support.daemon import Sandbox, get

ENDED = "ended"


class FillFacts(NamedTuple):
    """What is compared of a fill; where an order states what it has traded, of all fills of an order, and where the
    position alone shows it, of a market, as what was bought there. In a sum price and fee are 0."""

    market: str
    side: str
    price: Decimal
    size: Decimal
    fee: Decimal


class Amounts(NamedTuple):
    """What an order has traded: its size, what that cost (price times size), and its fees."""

    side: str
    size: Decimal
    cost: Decimal
    fee: Decimal


NOTHING = Amounts("", Decimal(0), Decimal(0), Decimal(0))


class VenueOrder(msgspec.Struct, frozen=True):
    """What is compared of an order of the venue. Times are the venue's, which has this machine's clock."""

    order_id: str
    client_order_id: str
    sent_as: str
    status: str
    reason: str
    price: Decimal
    size: Decimal
    created_ns: int
    updated_ns: int


class VenueFill(msgspec.Struct, frozen=True):
    """What is compared of a fill of the venue."""

    fill_id: str
    order_id: str
    instrument: str
    side: str
    price: Decimal
    size: Decimal
    fee: Decimal
    ts_ns: int


class VenuePosition(msgspec.Struct, frozen=True):
    """What is compared of a position of the venue."""

    instrument: str
    size: Decimal


class Observed(msgspec.Struct, frozen=True):
    """What the venue refused."""

    rate_limited: int = 0
    refused_signatures: int = 0


class Report(msgspec.Struct, frozen=True):
    """The part of the sandbox's report that is compared: decoding no more makes a look cheap."""

    orders: list[VenueOrder]
    fills: list[VenueFill]
    positions: list[VenuePosition]
    observed: Observed
    problems: list[str]


def ask(sandbox: Sandbox) -> Report:
    """The sandbox's report. Raises `RuntimeError` when it gives none."""
    status, body = get(f"{sandbox.ready['admin_url']}/truth?words=neutral")
    if status != 200:
        raise RuntimeError(f"the sandbox answered {status} and not its truth: {body[:200]!r}")
    return msgspec.json.decode(body, type=Report)


class Truth:
    """One look at the venue, all of it at one moment: the sandbox writes its report in one go. `listing` says which of
    its fills the venue shows to the account; `sent` has our ids by what their requests are known by, for a venue whose
    orders have none of ours. Orders with a price below `stand_ins_below` only take an id, as a look-up does."""

    def __init__(
        self,
        report: Report,
        listing: FillListing = FillListing.LISTED,
        *,
        sent: Mapping[str, str] | None = None,
        stand_ins_below: int = 0,
    ) -> None:
        names = {order.order_id: _name(order, sent or {}) for order in report.orders}
        named = [(names[order.order_id], order) for order in report.orders]
        self.names = Counter(names.values())
        self.arrivals = {name: order.created_ns for name, order in named if order.price >= stand_ins_below}
        self.stand_ins = {name: order.created_ns for name, order in named if order.price < stand_ins_below}
        self.limits = {name: order.price for name, order in named}
        self.filled = {name: order.size for name, order in named if order.reason == "filled"}
        self.updated = {name: order.updated_ns for name, order in named}
        self.open = {name for name, order in named if order.status != ENDED}
        rows = [(fill.fill_id, names.get(fill.order_id, ""), _facts(fill)) for fill in report.fills]
        self.fills = _fills(rows, listing)
        self.amounts = _amounts((name, facts, facts.price * facts.size) for _, name, facts in rows)
        self._times = [fill.ts_ns for fill in report.fills]
        self._rows = rows
        self.positions = {one.instrument: one.size for one in report.positions if one.size}
        self.rate_limited = report.observed.rate_limited
        self.refused_signatures = report.observed.refused_signatures
        doubled = len(rows) - len({fill_id for fill_id, _, _ in rows})
        self.fill_count = len(rows)
        self.problems = [*report.problems, *([f"{doubled} fills share the id of another one"] if doubled else [])]

    def nets_since(self, market: str, since_ns: int) -> set[Decimal]:
        """Every position that the market had at a moment since then."""
        net, passed = Decimal(0), {Decimal(0)}
        for ts_ns, (_, _, facts) in zip(self._times, self._rows, strict=True):
            if facts.market == market:
                net += _signed(facts)
                passed = {net} if ts_ns < since_ns else passed | {net}
        return passed


class Shown:
    """One look at the ledger, all of it at one moment."""

    def __init__(self, state: Path, listing: FillListing = FillListing.LISTED) -> None:
        with closing(connect_for_reading(state / "ledger.sqlite3")) as ledger:
            ledger.execute("BEGIN")
            fills = ledger.execute("SELECT * FROM fills WHERE NOT is_voided").fetchall()
            held = ledger.execute("SELECT instrument, size FROM positions").fetchall()
            orders = ledger.execute("SELECT client_order_id, status FROM orders").fetchall()
            gaps = ledger.execute("SELECT value FROM meta WHERE key = 'gap'").fetchall()
        self.status: dict[str, str] = {row["client_order_id"]: row["status"] for row in orders}
        rows = [(row["fill_id"], row["client_order_id"], _row_facts(row)) for row in fills]
        self.fills = _fills(rows, listing)
        costs = [_cost(row) for row in fills]
        self.amounts = _amounts((name, facts, cost) for (_, name, facts), cost in zip(rows, costs, strict=True))
        self.unattributed: set[str] = {
            fill_id if listing is FillListing.TAKER_ONLY else _key(fill_id, name, facts, listing)
            for (fill_id, name, facts), row in zip(rows, fills, strict=True)
            if not row["strategy"]
        }
        self.gaps: list[str] = [row["value"] for row in gaps]
        self.positions = _added((_market(row["instrument"]), Decimal(row["size"])) for row in held)


def added(fills: Mapping[str, FillFacts]) -> dict[str, Decimal]:
    """The positions that fills add up to."""
    return _added((one.market, _signed(one)) for one in fills.values())


def _signed(facts: FillFacts) -> Decimal:
    return facts.size if facts.side == "buy" else -facts.size


def _name(order: VenueOrder, sent: Mapping[str, str]) -> str:
    return order.client_order_id or sent.get(order.sent_as, f"unknown order {order.order_id}")


def _fills(rows: Iterable[tuple[str, str, FillFacts]], listing: FillListing) -> dict[str, FillFacts]:
    """The facts by fill or, where not all are listed, added up; a fill of no order stays by itself."""
    found: dict[str, FillFacts] = {}
    for fill_id, name, facts in rows:
        key = _key(fill_id, name, facts, listing)
        if key == fill_id:
            found[key] = facts
            continue
        before = found[key].size if key in found else Decimal(0)
        if key == facts.market:
            found[key] = FillFacts(facts.market, "buy", Decimal(0), before + _signed(facts), Decimal(0))
        else:
            found[key] = FillFacts(facts.market, facts.side, Decimal(0), before + facts.size, Decimal(0))
    return found


def _key(fill_id: str, name: str, facts: FillFacts, listing: FillListing) -> str:
    if listing is FillListing.TAKER_ONLY:
        return facts.market
    return name if name and listing is FillListing.BY_ORDER else fill_id


def _amounts(rows: Iterable[tuple[str, FillFacts, Decimal]]) -> dict[str, Amounts]:
    found: dict[str, Amounts] = {}
    for name, facts, cost in rows:
        before = found.get(name, NOTHING)
        found[name] = Amounts(facts.side, before.size + facts.size, before.cost + cost, before.fee + facts.fee)
    return found


def _added(sizes: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    """What each market's sizes add up to, flat ones left out."""
    sums: dict[str, Decimal] = {}
    for market, size in sizes:
        sums[market] = sums.get(market, Decimal(0)) + size
    return {market: size for market, size in sums.items() if size}


def _market(instrument: str) -> str:
    return instrument.partition(":")[2]


def _facts(fill: VenueFill) -> FillFacts:
    return FillFacts(fill.instrument, fill.side, fill.price, fill.size, fill.fee)


def _row_facts(row: sqlite3.Row) -> FillFacts:
    values = (Decimal(row[name]) for name in ("price", "size", "fee"))
    return FillFacts(_market(row["instrument"]), row["side"], *values)


def _cost(row: sqlite3.Row) -> Decimal:
    return Decimal(row["cost"]) if row["cost"] else Decimal(row["price"]) * Decimal(row["size"])
