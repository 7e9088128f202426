"""One look at a daemon and at its venue: do they agree? Allows for what is under way, and for nothing else."""

from __future__ import annotations

import time
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import aiohttp
import msgspec

from framework.daemon import Daemon
from framework.domain.numbers import to_decimal
from framework.domain.orders import OrderStatus
from framework.persistence.ledger.reader import LedgerReader
from tests.proofs.sigkill.truth import Report, Truth
from tests.proofs.sigkill.venues import Row

UNDER_WAY_NS_MAX = 2_000_000_000
RESTING = frozenset({OrderStatus.WORKING, OrderStatus.PARTIALLY_FILLED})


class Own:
    """What the daemon holds true at this moment: open orders by id, and positions per market that are not 0."""

    def __init__(self, daemon: Daemon, venue: str) -> None:
        accounts = daemon.kernel.dependencies.accounts
        known = accounts.orders.open(venue=venue)
        self.orders = {order.client_order_id: order.status for order in known}
        self.updated_ns = {order.client_order_id: order.updated_ns for order in known}
        self.sent = {order.sent_as: order.client_order_id for order in known}
        sizes = {
            name.partition(":")[2]: to_decimal(held.size, accounts.instruments[name].size_decimals)
            for name, held in accounts.positions.accounts()
            if name in accounts.instruments
        }
        self.positions = {market: size for market, size in sizes.items() if size}

    def inquiries(self, now_ns: int) -> list[str]:
        """Orders of which it is not known what became of them, or whose answer is long in coming."""
        return [
            f"{name} {status.value}"
            for name, status in self.orders.items()
            if status is OrderStatus.UNKNOWN
            or (status not in RESTING and now_ns - self.updated_ns[name] > UNDER_WAY_NS_MAX)
        ]


class Eyes:
    """Looks at both sides. The venue's answer comes straight from its administrator's side, past every fault."""

    def __init__(self, daemon: Daemon, session: aiohttp.ClientSession, admin_url: str, row: Row) -> None:
        self._daemon = daemon
        self._session = session
        self._admin_url = admin_url
        self._venue = row.venue
        self._row = row
        self._sent: dict[str, str] = {}

    async def look(self) -> str:
        """Why they do not agree; empty when they do."""
        dependencies = self._daemon.kernel.dependencies
        if not dependencies.books.is_connected(self._venue):
            return "not connected"
        if reasons := self._daemon.not_ready():
            return f"not ready: {reasons}"
        before = Own(self._daemon, self._venue)
        since_ns = time.time_ns() - round(self._row.behind_s * 1e9)
        async with self._session.get(f"{self._admin_url}/truth?words=neutral") as answer:
            report = msgspec.json.decode(await answer.read(), type=Report)
        after = Own(self._daemon, self._venue)
        self._sent |= before.sent | after.sent
        truth = Truth(report, self._row.fills, sent=self._sent)
        return _difference(truth, before, after, dependencies.clock.now_ns(), since_ns)

    @staticmethod
    def fill_times(state: Path) -> list[tuple[int, int]]:
        """Venue time and time of receipt of every fill, by the ledger."""
        reader = LedgerReader(state / "ledger.sqlite3")
        try:
            return [(row.ts_venue, row.ts_recv) for row in reader.fills(limit=1_000_000)]
        finally:
            reader.close()


def _difference(truth: Truth, before: Own, after: Own, now_ns: int, since_ns: int) -> str:
    """What was not so at any moment of the look. What changed during it, or since `since_ns` where news have to be
    asked for, may be on either side of the change."""
    if inquiries := after.inquiries(now_ns):
        return f"in doubt: {inquiries}"
    if zombies := truth.open - set(before.orders) - set(after.orders):
        return f"open at the venue only: {sorted(zombies)}"
    resting = {name for name, status in before.orders.items() if status in RESTING and after.orders.get(name) is status}
    if ghosts := {name for name in resting - truth.open if truth.updated.get(name, 0) < since_ns}:
        return f"open here only: {sorted(ghosts)}"
    if not any(_holds(truth, own, since_ns) for own in (before.positions, after.positions)):
        return f"positions: venue {truth.positions}, own {after.positions}"
    return ""


def _holds(truth: Truth, own: Mapping[str, Decimal], since_ns: int) -> bool:
    """Whether each of these positions is one that the venue had since then."""
    markets = {*truth.positions, *own}
    nothing = Decimal(0)
    return all(
        own.get(market, nothing) == truth.positions.get(market, nothing)
        or own.get(market, nothing) in truth.nets_since(market, since_ns)
        for market in markets
    )
