"""What a daemon has recorded, compared with what really happened at the venue."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from decimal import Decimal
from itertools import chain, pairwise, repeat
from pathlib import Path
from typing import Any

from framework.domain.events import OrderReport, ReportKind, TradingStateChanged
from framework.runtime.files import RealFiles
from framework.state.audit import dump
from framework.state.ledger_schema import connect_for_reading
from framework.state.records import Checkpoint, EpochTaken, SnapshotTaken
from tests.support.daemon import Sandbox

AGREE_S_MAX = 5.0
POLLS_S = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Pauses between looks. The venue's whole truth is much to ask for: asked too often, it has no time to trade."""
OPEN_AT_VENUE = frozenset({"resting", "pending"})
DOUBTFUL = frozenset({"recorded", "sent", "unknown"})
FINAL = frozenset({"filled", "cancelled", "expired", "rejected"})
MONEY_DECIMALS = 6

FillFacts = tuple[str, str, Decimal, Decimal, Decimal]
"""Market, side, price, size, fee."""


class Truth:
    """One look at the venue."""

    def __init__(self, report: dict[str, Any]) -> None:
        decimals = report["decimals"]
        self.names = Counter(order["client_order_id"] for order in report["orders"])
        self.arrivals = {order["client_order_id"]: int(order["arrival_ns"]) for order in report["orders"]}
        self.open = {order["client_order_id"] for order in report["orders"] if order["status"] in OPEN_AT_VENUE}
        self.fills: dict[str, FillFacts] = {}
        for fill in report["fills"]:
            market = fill["market_id"]
            self.fills[fill["trade_id"]] = (
                market,
                {"bid": "buy", "ask": "sell"}.get(fill["side"], fill["side"]),
                Decimal(fill["price"]).scaleb(-decimals[market]["price"]),
                Decimal(fill["size"]).scaleb(-decimals[market]["size"]),
                Decimal(fill["fee"]).scaleb(-MONEY_DECIMALS),
            )
        self.positions = {
            market: Decimal(position["net"]).scaleb(-decimals[market]["size"])
            for positions in report["positions"].values()
            for market, position in positions.items()
            if position["net"]
        }
        self.rate_limited = int(report["rate_limited"])
        self.refused_signatures = int(report["refused_signatures"])
        self.problems = list(report["problems"])


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


class Comparison:
    """What must agree soon after a start. `look` until it is `settled`; what is left after the time is wrong.

    An order counts as soon as both sides were once seen to agree on it, and positions are exact when on both sides they
    are the sum of the same fills: the daemon trades on while it is watched.
    """

    def __init__(self, sandbox: Sandbox, state: Path) -> None:
        self._sandbox = sandbox
        self._state = state
        self.truth, self._shown = Truth(sandbox.truth()), Shown(state)
        self._orders = self.truth.open | {name for name, status in self._shown.status.items() if status not in FINAL}
        self._fills = set(self.truth.fills) | set(self._shown.fills)
        self._sums_off: set[str] = set()
        self._settle()

    @property
    def is_settled(self) -> bool:
        """Whether everything agreed."""
        return not self._orders and not self._fills

    @property
    def is_exact(self) -> bool:
        """Whether both have the same positions now: to be asked when nothing trades any more."""
        return self.truth.positions == self._shown.positions

    def wait(self, is_alive: Callable[[], bool], watch: JournalWatch) -> float:
        """Look until it is settled, for as long as a start may take; the seconds that it took."""
        started, pauses = time.monotonic(), chain(POLLS_S, repeat(POLLS_S[-1]))
        while not self.is_settled and time.monotonic() - started < AGREE_S_MAX and is_alive():
            time.sleep(next(pauses))
            watch.read()
            self.truth, self._shown = Truth(self._sandbox.truth()), Shown(self._state)
            self._settle()
        return time.monotonic() - started

    def wrong(self) -> dict[str, list[str]]:
        """What does not agree, by kind."""
        truth, shown = self.truth, self._shown
        return {
            "zombies": sorted(f"{name} {shown.status.get(name)}" for name in self._orders & truth.open),
            "ghosts": sorted(f"{name} {shown.status.get(name)}" for name in self._orders - truth.open),
            "fills_lost": sorted(set(truth.fills) & self._fills - set(shown.fills)),
            "fills_invented": sorted(set(shown.fills) & self._fills - set(truth.fills)),
            "fills_altered": sorted(
                fill for fill in set(shown.fills) & set(truth.fills) if shown.fills[fill] != truth.fills[fill]
            ),
            "positions_off": sorted(self._sums_off),
            "ledger_gaps": shown.gaps,
        }

    def _settle(self) -> None:
        truth, shown = self.truth, self._shown
        for name in list(self._orders):
            status = shown.status.get(name, "rejected")
            agrees = status not in FINAL | DOUBTFUL if name in truth.open else status in FINAL
            if agrees:
                self._orders.discard(name)
        self._fills = {
            fill for fill in self._fills if shown.fills.get(fill) != truth.fills.get(fill) or fill in shown.unattributed
        }
        self._sums_off |= {
            f"{look.positions} is not the sum {added(look.fills)}"
            for look in (truth, shown)
            if look.positions != added(look.fills)
        }


class JournalWatch:
    """Reads what the journal has gained, as often as it is asked to, and keeps what the promises are about."""

    def __init__(self, state: Path) -> None:
        self._directory = state / "journal"
        self._number = 0
        self.sent_ns: dict[str, int] = {}
        self.epochs: list[tuple[int, int]] = []
        self.halts: list[str] = []
        self.checkpoints = self.snapshots = self.missed = 0
        self.checkpoints_to_fold = 0

    @property
    def number(self) -> int:
        """The last record that was read."""
        return self._number

    def read(self) -> None:
        """Take in the records since the last call."""
        if not self._directory.exists():
            return
        for entry in dump(RealFiles(), self._directory, first=self._number + 1):
            self.missed += entry.number - self._number - 1
            self._number = entry.number
            body = entry.record.body
            if isinstance(body, OrderReport) and body.kind is ReportKind.SENT:
                self.sent_ns.setdefault(body.client_order_id, entry.record.now_ns)
            elif isinstance(body, EpochTaken):
                self._hear(body)
            elif isinstance(body, TradingStateChanged):
                self.halts.append(f"{body.scope.value} {body.target} {body.state.value}: {body.reason}")
            elif isinstance(body, SnapshotTaken):
                self.snapshots += 1
                self.checkpoints_to_fold = 0
            elif isinstance(body, Checkpoint):
                self.checkpoints += 1
                self.checkpoints_to_fold += 1

    def unrecorded(self, truth: Truth) -> set[str]:
        """Orders that reached the venue without an older record of being sent."""
        return {name for name, arrival_ns in truth.arrivals.items() if self.sent_ns.get(name, 1 << 63) >= arrival_ns}

    @property
    def epochs_repeated(self) -> int:
        """How often a run's epoch was not higher than the one of the run before."""
        return sum(later <= earlier for (earlier, _), (later, _) in pairwise(self.epochs))

    def _hear(self, taken: EpochTaken) -> None:
        run = (taken.epoch, taken.ts_ns)
        if run not in self.epochs[-1:]:  # a snapshot is followed by the epoch of its own run, said again
            self.epochs.append(run)
