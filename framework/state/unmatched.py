"""Facts about orders of the venue that are not known as ours: kept aside until one is.

An order's fills and listings can arrive before the answer that tells its venue order id. And orders that a person
placed by hand never become ours: what is open of them is shown as strangers.
"""

from __future__ import annotations

from bisect import insort

import msgspec

from framework.domain.account_events import ExternalOrderIgnored, Fill, OrderReport, OrderSnapshot

UNMATCHED_MAX = 10_000
"""Orders of which facts are kept aside; beyond that the oldest one is let go."""

VenueKey = tuple[str, str]
"""Venue and venue order id."""


class UnmatchedOrder(msgspec.Struct, array_like=True):
    """What is known of one order that is not ours (yet). Of reports the newest of each kind is kept. `ignored_for` is
    the operator's reason not to hear of it, empty when there is none."""

    fills: list[Fill] = []
    reports: dict[str, OrderReport] = {}
    open_snapshot: OrderSnapshot | None = None
    ended_snapshot: OrderSnapshot | None = None
    ignored_for: str = ""

    def facts(self) -> list[OrderReport | OrderSnapshot]:
        """Everything but the fills."""
        snapshots = [one for one in (self.open_snapshot, self.ended_snapshot) if one is not None]
        return [*self.reports.values(), *snapshots]


class UnmatchedReports:
    """The facts kept aside, by venue and venue order id."""

    def __init__(self) -> None:
        self._by_order: dict[VenueKey, UnmatchedOrder] = {}

    def add_fill(self, fill: Fill) -> None:
        """Keep a fill aside: it is in the account's position already, only its order is not known."""
        insort(self._own((fill.venue, fill.venue_order_id)).fills, fill, key=lambda one: (one.ts_venue, one.fill_id))

    def add_report(self, report: OrderReport) -> None:
        """Keep a report aside."""
        self._own((report.venue, report.venue_order_id)).reports[report.kind.value] = report

    def add_snapshot(self, snapshot: OrderSnapshot) -> None:
        """Keep a listing aside; of listings as open, and as ended, the newest, with the last time it was heard."""
        kept = self._own((snapshot.venue, snapshot.venue_order_id))
        before = kept.open_snapshot if snapshot.is_open else kept.ended_snapshot
        if before is not None:
            received_ns = max(before.ts_recv, snapshot.ts_recv)
            snapshot = msgspec.structs.replace(max(before, snapshot, key=_age_key), ts_recv=received_ns)
        if snapshot.is_open:
            kept.open_snapshot = snapshot
        else:
            kept.ended_snapshot = snapshot

    def ignore(self, event: ExternalOrderIgnored) -> None:
        """Leave an order out of the strangers from now on."""
        self._own((event.venue, event.venue_order_id)).ignored_for = event.reason or "no reason given"

    def claim(self, venue: str, venue_order_id: str) -> UnmatchedOrder | None:
        """Take everything that was kept aside for an order which is known now."""
        return self._by_order.pop((venue, venue_order_id), None)

    def external_orders(self, venue: str, *, ignored: bool = False) -> tuple[OrderSnapshot, ...]:
        """Orders open at the venue, as far as listed, that are not ours; or, of those, the `ignored` ones."""
        return tuple(
            kept.open_snapshot
            for (at, _), kept in self._by_order.items()
            if at == venue
            and kept.open_snapshot is not None
            and kept.ended_snapshot is None
            and bool(kept.ignored_for) is ignored
        )

    def unlisted(self, venue: str) -> tuple[Fill, ...]:
        """Of each order that traded, that nobody claims and that was never listed, the oldest fill."""
        return tuple(
            kept.fills[0]
            for (at, _), kept in self._by_order.items()
            if at == venue and kept.fills and kept.open_snapshot is None and kept.ended_snapshot is None
        )

    def snapshot(self) -> list[tuple[VenueKey, UnmatchedOrder]]:
        """All of it in canonical order, to be written down."""
        return sorted(self._by_order.items(), key=lambda item: item[0])

    def keys(self) -> list[VenueKey]:
        """In the order in which they came: the oldest is let go first."""
        return list(self._by_order)

    @classmethod
    def from_snapshot(cls, snapshot: list[tuple[VenueKey, UnmatchedOrder]], keys: list[VenueKey]) -> UnmatchedReports:
        """The parking that `snapshot` and `keys` were taken of."""
        unmatched = cls()
        by_key = dict(snapshot)
        unmatched._by_order = {key: by_key[key] for key in keys}
        return unmatched

    def _own(self, key: VenueKey) -> UnmatchedOrder:
        kept = self._by_order.get(key)
        if kept is None:
            kept = self._by_order[key] = UnmatchedOrder()
            if len(self._by_order) > UNMATCHED_MAX:
                del self._by_order[next(iter(self._by_order))]
        return kept


def _age_key(snapshot: OrderSnapshot) -> tuple[int, int, int]:
    return snapshot.ts_venue, snapshot.ts_recv, snapshot.filled
