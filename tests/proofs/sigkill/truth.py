"""What really happened at the venue, and what the ledger says of it: one look at each."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import msgspec

from framework.persistence.ledger.schema import connect_for_reading
from tests.support.daemon import Sandbox, get

OPEN_AT_VENUE = frozenset({"resting", "pending"})
MONEY_DECIMALS = 6

FillFacts = tuple[str, str, Decimal, Decimal, Decimal]
"""Market, side, price, size, fee."""


class MarketScale(msgspec.Struct, frozen=True):
    """Decimals of a market's integers."""

    price: int
    size: int


class VenueOrder(msgspec.Struct, frozen=True):
    """What is compared of an order of the venue. Times are the venue's, which has this machine's clock."""

    client_order_id: str
    status: str
    arrival_ns: int
    updated_ns: int


class VenueFill(msgspec.Struct, frozen=True):
    """What is compared of a fill of the venue."""

    trade_id: str
    market_id: str
    side: str
    price: int
    size: int
    fee: int


class VenuePosition(msgspec.Struct, frozen=True):
    """What is compared of a position of the venue."""

    net: int


class Report(msgspec.Struct, frozen=True):
    """The part of the sandbox's report that is compared: decoding no more makes a look cheap."""

    decimals: dict[str, MarketScale]
    orders: list[VenueOrder]
    fills: list[VenueFill]
    positions: dict[str, dict[str, VenuePosition]]
    rate_limited: int
    refused_signatures: int
    problems: list[str]


def ask(sandbox: Sandbox) -> Report:
    """The sandbox's report. Raises `RuntimeError` when it gives none."""
    status, body = get(f"{sandbox.ready['admin_url']}/truth")
    if status != 200:
        raise RuntimeError(f"the sandbox answered {status} and not its truth: {body[:200]!r}")
    return msgspec.json.decode(body, type=Report)


class Truth:
    """One look at the venue, all of it at one moment: the sandbox writes its report in one go."""

    def __init__(self, report: Report) -> None:
        scales = report.decimals
        self.names = Counter(order.client_order_id for order in report.orders)
        self.arrivals = {order.client_order_id: order.arrival_ns for order in report.orders}
        self.updated = {order.client_order_id: order.updated_ns for order in report.orders}
        self.open = {order.client_order_id for order in report.orders if order.status in OPEN_AT_VENUE}
        self.fills: dict[str, FillFacts] = {
            fill.trade_id: (
                fill.market_id,
                {"bid": "buy", "ask": "sell"}.get(fill.side, fill.side),
                Decimal(fill.price).scaleb(-scales[fill.market_id].price),
                Decimal(fill.size).scaleb(-scales[fill.market_id].size),
                Decimal(fill.fee).scaleb(-MONEY_DECIMALS),
            )
            for fill in report.fills
        }
        self.positions = {
            market: Decimal(position.net).scaleb(-scales[market].size)
            for positions in report.positions.values()
            for market, position in positions.items()
            if position.net
        }
        self.rate_limited = report.rate_limited
        self.refused_signatures = report.refused_signatures
        doubled = len(report.fills) - len(self.fills)
        self.problems = [*report.problems, *([f"{doubled} fills share the id of another one"] if doubled else [])]


class Shown:
    """One look at the ledger, all of it at one moment."""

    def __init__(self, state: Path) -> None:
        with closing(connect_for_reading(state / "ledger.sqlite3")) as ledger:
            ledger.execute("BEGIN")
            fills = ledger.execute("SELECT * FROM fills WHERE NOT is_voided").fetchall()
            held = ledger.execute("SELECT instrument, size FROM positions").fetchall()
            orders = ledger.execute("SELECT client_order_id, status FROM orders").fetchall()
            gaps = ledger.execute("SELECT value FROM meta WHERE key = 'gap'").fetchall()
        self.status: dict[str, str] = {row["client_order_id"]: row["status"] for row in orders}
        self.fills: dict[str, FillFacts] = {row["fill_id"]: _facts(row) for row in fills}
        self.unattributed: set[str] = {row["fill_id"] for row in fills if not row["strategy"]}
        self.gaps: list[str] = [row["value"] for row in gaps]
        self.positions = _added((_market(row["instrument"]), Decimal(row["size"])) for row in held)


def added(fills: Mapping[str, FillFacts]) -> dict[str, Decimal]:
    """The positions that fills add up to."""
    return _added((market, size if side == "buy" else -size) for market, side, _, size, _ in fills.values())


def _added(sizes: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    """What each market's sizes add up to, flat ones left out."""
    sums: dict[str, Decimal] = {}
    for market, size in sizes:
        sums[market] = sums.get(market, Decimal(0)) + size
    return {market: size for market, size in sums.items() if size}


def _market(instrument: str) -> str:
    return instrument.partition(":")[2]


def _facts(row: sqlite3.Row) -> FillFacts:
    return _market(row["instrument"]), row["side"], Decimal(row["price"]), Decimal(row["size"]), Decimal(row["fee"])
