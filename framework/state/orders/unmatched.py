"""Unmatched reports: what the venue states about orders that are not known as ours (yet).

An order's fills and listings can arrive before the answer that contains its venue order id. They are kept here until an
order of ours gets this id (I8). Orders that somebody else placed never become ours: those that are open are shown as
external orders, and count in the account's exposure, since they can fill as ours can.
"""

from __future__ import annotations

from bisect import insort

import msgspec

from framework.domain.account_events import ExternalOrderIgnored, Fill, OrderReport, OrderSnapshot
from framework.domain.numbers import Size
from framework.state.exposure import Exposures, ExternalExposure

UNMATCHED_MAX = 10_000
"""Orders of which reports are kept. Beyond that the oldest one is dropped: memory stays bounded, also when others trade
on the account."""

VenueKey = tuple[str, str]
"""Venue and venue order id."""


class UnmatchedOrder(msgspec.Struct, array_like=True):
    """What is known of one order that is not ours (yet). `fills` are in order of venue time; of `reports` the last of
    each kind is kept, by the kind's value. `ignored_for` is the operator's reason to leave the order out of the
    external ones, empty when there is none."""

    fills: list[Fill] = []
    reports: dict[str, OrderReport] = {}
    open_snapshot: OrderSnapshot | None = None
    ended_snapshot: OrderSnapshot | None = None
    ignored_for: str = ""

    def facts(self) -> list[OrderReport | OrderSnapshot]:
        """Everything but the fills, to be applied to the order in this sequence."""
        snapshots = [one for one in (self.open_snapshot, self.ended_snapshot) if one is not None]
        return [*self.reports.values(), *snapshots]

    @property
    def external(self) -> OrderSnapshot | None:
        """Its newest listing as open, when it was never listed as ended: it is an external order then."""
        return self.open_snapshot if self.ended_snapshot is None else None

    def exposure(self) -> ExternalExposure | None:
        """What it may still add to the account's position: all but its known fills, which are in the position. What it
        traded before the oldest known fill counts as open still, on the safe side. None unless it is external."""
        listed = self.external
        if listed is None:
            return None
        left = listed.size - sum(fill.size for fill in self.fills)
        return listed.instrument, listed.side, Size(max(left, 0)), listed.price


class UnmatchedReports:
    """All unmatched reports, by venue and venue order id, in the order in which the orders became known."""

    def __init__(self, exposures: Exposures) -> None:
        self._exposures = exposures
        self._by_order: dict[VenueKey, UnmatchedOrder] = {}

    def add_fill(self, fill: Fill) -> None:
        """Keep a fill whose order is not known. It is in the account's position already."""
        order = self._own((fill.venue, fill.venue_order_id))
        insort(order.fills, fill, key=lambda one: (one.ts_venue, one.fill_id))
        self._exposures.count_external((fill.venue, fill.venue_order_id), order.exposure())

    def add_report(self, report: OrderReport) -> None:
        """Keep a report whose order is not known; one of the same kind is replaced."""
        self._own((report.venue, report.venue_order_id)).reports[report.kind.value] = report

    def add_snapshot(self, snapshot: OrderSnapshot) -> None:
        """Keep a listing whose order is not known: of those as open, and of those as ended, the newest one, with the
        last receipt time of any."""
        order = self._own((snapshot.venue, snapshot.venue_order_id))
        before = order.open_snapshot if snapshot.is_open else order.ended_snapshot
        if before is not None:
            received_ns = max(before.ts_recv, snapshot.ts_recv)
            snapshot = msgspec.structs.replace(max(before, snapshot, key=_age_key), ts_recv=received_ns)
        if snapshot.is_open:
            order.open_snapshot = snapshot
        else:
            order.ended_snapshot = snapshot
        self._exposures.count_external((snapshot.venue, snapshot.venue_order_id), order.exposure())

    def ignore(self, event: ExternalOrderIgnored) -> None:
        """Leave an order out of the external ones from now on: the operator said so."""
        self._own((event.venue, event.venue_order_id)).ignored_for = event.reason or "no reason given"

    def claim(self, venue: str, venue_order_id: str) -> UnmatchedOrder | None:
        """Take out everything that is kept for an order which is known now; None when there is nothing."""
        self._exposures.count_external((venue, venue_order_id), None)
        return self._by_order.pop((venue, venue_order_id), None)

    def external_orders(self, venue: str, *, ignored: bool = False) -> tuple[OrderSnapshot, ...]:
        """Orders listed as open at the venue, and never as ended, that are not ours; either those that the operator
        ignores or the others."""
        return tuple(
            order.external
            for (at, _), order in self._by_order.items()
            if at == venue and order.external is not None and bool(order.ignored_for) is ignored
        )

    def unlisted(self, venue: str) -> tuple[Fill, ...]:
        """The oldest fill of each order that traded and was never listed: whose order it is must be asked for."""
        return tuple(
            order.fills[0]
            for (at, _), order in self._by_order.items()
            if at == venue and order.fills and order.open_snapshot is None and order.ended_snapshot is None
        )

    def snapshot(self) -> list[tuple[VenueKey, UnmatchedOrder]]:
        """All of it in canonical order, for digest and snapshot; `keys` says the rest."""
        return sorted(self._by_order.items(), key=lambda item: item[0])

    def keys(self) -> list[VenueKey]:
        """Venue and venue order id of each order, in the order in which they came: the first one is dropped first."""
        return list(self._by_order)

    @classmethod
    def from_snapshot(
        cls, snapshot: list[tuple[VenueKey, UnmatchedOrder]], keys: list[VenueKey], exposures: Exposures
    ) -> UnmatchedReports:
        """The reports that `snapshot` and `keys` were taken of, counted in `exposures`. Raises `KeyError` when these
        contradict each other."""
        unmatched = cls(exposures)
        by_key = dict(snapshot)
        unmatched._by_order = {key: by_key[key] for key in keys}
        for key, order in unmatched._by_order.items():
            exposures.count_external(key, order.exposure())
        return unmatched

    def _own(self, key: VenueKey) -> UnmatchedOrder:
        order = self._by_order.get(key)
        if order is None:
            order = self._by_order[key] = UnmatchedOrder()
            if len(self._by_order) > UNMATCHED_MAX:
                oldest = next(iter(self._by_order))
                self.claim(*oldest)
        return order


def _age_key(snapshot: OrderSnapshot) -> tuple[int, int, int]:
    return snapshot.ts_venue, snapshot.ts_recv, snapshot.filled
