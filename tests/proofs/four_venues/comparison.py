"""What the daemon's records say of a venue, compared with what really happened there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from framework.domain.account_events import CashFlow
from framework.domain.terms import FillListing
from framework.persistence.journal.restore import read_accounts
from framework.persistence.journal.scan import read_entries
from framework.persistence.ledger.schema import connect_for_reading
from framework.runtime.files import RealFiles
from tests.proofs.inferred_fills.dialects import DIALECTS
from tests.proofs.sigkill.comparison import FINAL

LISTINGS = {name.partition("-")[0]: one.terms.fills for name, one in DIALECTS.items()}
"""What each venue lists of fills, as its connector declares it: the same in all of its dialects."""
LISTS_FILLS = frozenset(venue for venue, fills in LISTINGS.items() if fills is FillListing.LISTED)
"""Venues that list every fill: there each is compared, elsewhere what each order has traded."""
SHOWS_POSITIONS = frozenset(venue for venue, fills in LISTINGS.items() if fills is FillListing.TAKER_ONLY)
"""Venues that list no fill of a resting order, and do not say how much a cancelled one had traded: only the position
shows it. A buy and a sell that trade as much between two reads of it, and are cancelled then, nobody can see."""
FLOWS_LISTED = frozenset({"funding"})
"""What becomes a cash flow here; of a liquidation a venue lists nothing but the fill."""

Json = Mapping[str, Any]
Row = Mapping[str, Any]


class Records:
    """One look at the ledger and at the journal of a state directory, all of it as it was at that moment."""

    def __init__(self, state: Path) -> None:
        with closing(connect_for_reading(state / "ledger.sqlite3")) as ledger:
            ledger.execute("BEGIN")
            self._fills = [dict(row) for row in ledger.execute("SELECT * FROM fills WHERE NOT is_voided")]
            self._orders = [dict(row) for row in ledger.execute("SELECT * FROM orders")]
            self._held = [dict(row) for row in ledger.execute("SELECT * FROM positions")]
            self._settled = {
                row["instrument"]
                for row in ledger.execute("SELECT instrument FROM instruments WHERE settled_value != ''")
            }
        files, journal = RealFiles(), state / "journal"
        self._flows = [
            entry.record.body for entry in read_entries(files, journal) if isinstance(entry.record.body, CashFlow)
        ]
        self._balances = read_accounts(files, journal).balances

    def orders(self, venue: str) -> list[Row]:
        """The orders that we placed there."""
        return [row for row in self._orders if row["venue"] == venue]

    def open(self, venue: str) -> list[str]:
        """The ids of those that have not ended."""
        return [row["client_order_id"] for row in self.orders(venue) if row["status"] not in FINAL]

    def fills(self, venue: str) -> list[Row]:
        """The fills that are booked there, those that nobody of ours owns included."""
        return [row for row in self._fills if row["venue"] == venue]

    def positions(self, venue: str) -> dict[str, Decimal]:
        """The account's positions by symbol that are not flat, settled ones left out."""
        return _not_flat(
            (row["instrument"].partition(":")[2], Decimal(row["size"]))
            for row in self._held
            if row["instrument"].partition(":")[0] == venue and row["instrument"] not in self._settled
        )

    def flows(self, venue: str) -> dict[str, Decimal]:
        """Cash that came or went without a trade, by its id."""
        return {
            one.flow_id: Decimal(one.amount).scaleb(-one.decimals)
            for one in self._flows
            if one.venue == venue and one.kind.value in FLOWS_LISTED
        }

    def balances(self, venue: str) -> dict[str, Decimal]:
        """What the venue said last of its currencies."""
        return {
            currency: Decimal(one.amount).scaleb(-one.decimals)
            for (name, currency), one in self._balances.items()
            if name == venue
        }


def differences(records: Records, venue: str, truth: Json) -> list[str]:
    """What the records of a venue do not say as it is: orders, fills, positions, cash flows; once nothing is open."""
    return [
        *_orders_apart(records.orders(venue), truth, is_exact=venue not in SHOWS_POSITIONS),
        *_fills_apart(records, venue, truth),
        *_apart("position", records.positions(venue), positions_of(venue, truth)),
        *_apart("cash flow", records.flows(venue), _flows_of(truth)),
        *truth["problems"],
    ]


def balances_apart(records: Records, venue: str, truth: Json) -> list[str]:
    """Balances that the venue's last statement had otherwise. Where a member has several accounts, those of the others
    than the one that trades are named `account:currency`."""
    real: dict[str, list[Decimal]] = defaultdict(list)
    for row in truth["balances"]:
        for name in (row["currency"], f"{row['account']}:{row['currency']}"):
            real[name] += [Decimal(row["total"]), Decimal(row["available"])]
    shown = records.balances(venue)
    return [
        f"balance of {name}: {has}, really {real[name]}" for name, has in shown.items() if has not in real[name]
    ] + ([] if shown else ["no balance was ever stated"])


def apart_at_the_dead(records: Records, venue: str, truth: Json) -> list[str]:
    """Orders that have ended by the records, and had filled otherwise by the last words of a venue that died. Those
    that are still open by the records are in question: what they filled in its last moment nobody was told."""
    ended = {row["venue_order_id"]: Decimal(row["filled"]) for row in records.orders(venue) if row["status"] in FINAL}
    return [
        f"{row['order_id']} had filled {row['filled']}, recorded {ended[row['order_id']]}"
        for row in truth["orders"]
        if row["order_id"] in ended and Decimal(row["filled"]) != ended[row["order_id"]]
    ]


def unseen(records: Records, venue: str, truth: Json) -> dict[str, Decimal]:
    """What the venue's orders have traded beyond what is booked for them, by side: at a venue that shows positions only
    what was traded to and fro between two reads of them, elsewhere nothing."""
    booked = _filled(records.fills(venue), "venue_order_id")
    sizes: dict[str, Decimal] = defaultdict(Decimal)
    for row in truth["orders"]:
        sizes[row["side"]] += max(Decimal(row["filled"]) - booked.get(row["order_id"], Decimal(0)), Decimal(0))
    return {side: size for side, size in sizes.items() if size}


def _orders_apart(orders: Sequence[Row], truth: Json, *, is_exact: bool) -> Iterator[str]:
    real = {row["order_id"]: row for row in truth["orders"] if row["is_own"]}
    for row in orders:
        one = real.get(row["venue_order_id"])
        who = f"order {row['client_order_id']} ({row['venue_order_id']})"
        if row["status"] not in FINAL:
            yield f"{who} is {row['status']}, really {one and one['status']}"
        elif one is None:
            if row["status"] != "rejected":
                yield f"{who} is {row['status']} and was never there"
        elif one["status"] != "ended" or (is_exact and Decimal(row["filled"]) != Decimal(one["filled"])):
            yield f"{who} is {row['status']} with {row['filled']}, really {one['status']} with {one['filled']}"
    known = {row["venue_order_id"] for row in orders}
    rejected = {row["client_order_id"] for row in orders if row["status"] == "rejected"}
    for name, row in real.items():
        stands_in = row["client_order_id"] in rejected and not Decimal(row["filled"]) and row["status"] == "ended"
        if name not in known and not stands_in:
            yield f"order {name} is the venue's alone: {row}"
    twice = [name for name, count in Counter(row["client_order_id"] for row in real.values()).items() if count > 1]
    yield from (f"order {name} came twice" for name in twice if name)


def _fills_apart(records: Records, venue: str, truth: Json) -> Iterator[str]:
    fills, own = records.fills(venue), {row["order_id"] for row in truth["orders"] if row["is_own"]}
    yield from (f"fill {row['fill_id']} is nobody's" for row in fills if not row["strategy"])
    if venue in LISTS_FILLS:
        booked = {row["fill_id"]: _facts(row) for row in fills}
        real = {row["fill_id"]: _facts(row) for row in truth["fills"] if row["order_id"] in own}
        yield from _apart("fill", booked, real)
        return
    booked_sizes, real_sizes = _filled(fills, "venue_order_id"), _filled(truth["fills"], "order_id")
    if venue not in SHOWS_POSITIONS:
        yield from _apart("size filled of", booked_sizes, real_sizes)
        return
    # A liquidation trades for no order, and ends those that are open: which of the two it was the position can't show.
    liquidated = sum((Decimal(row["size"]) for row in truth["fills"] if row["order_id"] not in own), Decimal(0))
    beyond = {name: size - real_sizes.get(name, Decimal(0)) for name, size in booked_sizes.items() if name in own}
    beyond = {name: size for name, size in beyond.items() if size > 0}
    if sum(beyond.values()) > liquidated:
        yield f"more filled than really: {dict(beyond)}"


def _facts(row: Row) -> tuple[str, str, Decimal, Decimal, Decimal]:
    fee = row.get("fee_paid") or row["fee"]
    market = row["instrument"].rpartition(":")[2]
    return market, row["side"], Decimal(row["price"]), Decimal(row["size"]), Decimal(fee)


def _filled(fills: Sequence[Row], key: str) -> dict[str, Decimal]:
    return _not_flat((row[key], Decimal(row["size"])) for row in fills)


def positions_of(venue: str, truth: Json) -> dict[str, Decimal]:
    """The account's positions by symbol. A spot venue has none: there they are what its fills add up to."""
    if truth["positions"]:
        return _not_flat((row["instrument"], Decimal(row["size"])) for row in truth["positions"])
    return _not_flat(
        (row["instrument"], Decimal(row["size"]) * (1 if row["side"] == "buy" else -1)) for row in truth["fills"]
    )


def _flows_of(truth: Json) -> dict[str, Decimal]:
    return {row["flow_id"]: Decimal(row["amount"]) for row in truth["cash_flows"] if row["kind"] in FLOWS_LISTED}


def _not_flat(sizes: Any) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for name, size in sizes:
        sums[name] += size
    return {name: size for name, size in sums.items() if size}


def _apart(what: str, shown: Mapping[str, Any], real: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*shown, *real}):
        if shown.get(name) != real.get(name):
            yield f"{what} {name}: {shown.get(name)}, really {real.get(name)}"
