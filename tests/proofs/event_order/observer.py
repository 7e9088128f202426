"""What a perfect observer knows of the orders and the money, given what was asked and what has been told so far.

Written from the words of `framework.domain` and not from `framework.state`: it keeps what it was told and works out
the answer from scratch each time it is asked, so that no order of arrival can matter. It also sees which request an
answer belongs to and when the venue took it up, which nobody else does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from framework.domain.account_events import (
    Fill,
    FillSource,
    FillVoided,
    InstrumentSettled,
    OrderAdopted,
    OrderReport,
    OrderSnapshot,
    ReportKind,
)
from framework.domain.instruments import InstrumentId
from framework.domain.intents import NewOrder
from framework.domain.orders import OrderStatus, Side
from framework.domain.verdicts import Approved
from tests.proofs.event_order.words import Ask, Request, Telling

K, S = ReportKind, OrderStatus
PROVING = frozenset({K.ACCEPTED, K.AMENDED, K.CANCEL_PENDING})
FINAL = (S.FILLED, S.CANCELLED, S.EXPIRED, S.REJECTED)
ENDS = {K.EXPIRED: S.EXPIRED, K.REJECTED: S.REJECTED, K.CANCELLED: S.CANCELLED}


class Money(NamedTuple):
    """Size held, cash that sales brought less what purchases took, and fees."""

    size: int
    cash: int
    fees: int


class Watched(msgspec.Struct, kw_only=True):
    """What was told of one order of ours. `terms` is (venue time, price, size) of the newest statement. `shown_end` is
    the end that its strategy may have seen; `is_given_up` says that it was shown without all the fills told of.
    `is_cancelling`: the venue told of a cancel that it has taken."""

    name: str
    strategy: str
    market: InstrumentId
    side: Side
    terms: tuple[int, int, int]
    is_sent: bool = False
    is_ambiguous: bool = False
    is_denied: bool = False
    is_shown: bool = False
    is_linked: bool = False
    ends: set[OrderStatus] = set()
    told_filled: int = 0
    fills: dict[str, Fill] = {}
    requests: list[Request] = []
    not_found_at: int = -1
    listed_at: int = -1
    shown_end: OrderStatus | None = None
    is_given_up: bool = False
    is_cancelling: bool = False
    is_alarmed: bool = False

    def pending(self, ask: Ask) -> list[Request]:
        """Requests without an answer."""
        return [request for request in self.requests if request.ask is ask and not request.is_answered]

    @property
    def price(self) -> int:
        """As stated last."""
        return self.terms[1]

    @property
    def size(self) -> int:
        """As stated last."""
        return self.terms[2]

    @property
    def size_worst(self) -> int:
        """The most that may trade in all: an amend without an answer may have succeeded."""
        return max([self.size, *(request.size for request in self.pending(Ask.AMEND))])

    @property
    def traded(self) -> int:
        """The sum of its distinct fills, those taken back included."""
        return sum(fill.size for fill in self.fills.values())


class Observer:
    """Hears everything that reaches the daemon, and nothing else."""

    def __init__(self) -> None:
        self.orders: dict[str, Watched] = {}
        self.fills: dict[str, Fill] = {}
        self.voids: set[str] = set()
        self.settled: dict[InstrumentId, int] = {}
        self.published: set[str] = set()
        self._of_venue_id: dict[str, Watched] = {}
        self._aside: dict[str, list[Telling]] = {}
        self._listed_by_hand: dict[str, set[bool]] = {}

    def ask(self, approved: Approved, request: Request) -> None:
        """A request of ours was approved and recorded."""
        intent = approved.intent
        if isinstance(intent, NewOrder):
            self.orders[request.name] = Watched(
                name=request.name,
                strategy=intent.strategy,
                market=intent.instrument,
                side=intent.side,
                terms=(0, intent.price, intent.size),
            )
        self.orders[request.name].requests.append(request)

    def adopt(self, event: OrderAdopted, name: str) -> None:
        """An order that was placed by hand becomes ours."""
        order = self.orders[name] = Watched(
            name=name,
            strategy=event.strategy,
            market=event.instrument,
            side=event.side,
            terms=(0, event.price, event.size),
            is_shown=True,
            told_filled=event.filled,
            listed_at=event.ts_recv,
        )
        self._link(order, event.venue_order_id)
        self._show(order, event)

    def hear(self, telling: Telling) -> None:
        """Something is told. Its receipt time is set."""
        record = telling.record
        if isinstance(record, FillVoided):
            self.voids.add(record.fill_id)
            self._forget_inferred(record.fill_id)
        elif isinstance(record, InstrumentSettled):
            self.settled.setdefault(record.instrument, record.value)
        else:
            if isinstance(record, Fill):
                self.fills.setdefault(record.fill_id, record)
            order = self._order_of(record)
            if order is not None:
                self._learn(order, telling)
                self._link(order, record.venue_order_id)
                self._show(order, record)
            elif record.venue_order_id:
                self._aside.setdefault(record.venue_order_id, []).append(telling)

    def status(self, order: Watched) -> OrderStatus:
        """What the order's status is, as far as was told: no end before the fills that the venue counted were told,
        but one that was shown before stays."""
        status = self._amounts_to(order)
        if not status.is_final or order.told_filled <= order.traded:
            return status
        return order.shown_end or S.ENDING

    def _amounts_to(self, order: Watched) -> OrderStatus:
        known = max(order.traded, order.told_filled)
        # Of an ended order an amend without an answer counts only if the fills would be too many without it.
        is_amend_out = bool(order.ends) and known <= order.size
        if S.FILLED in order.ends or known >= (order.size if is_amend_out else order.size_worst):
            return S.FILLED
        for end in ENDS.values():
            if end in order.ends:
                return end
        is_not_found = order.not_found_at > order.listed_at
        if order.is_shown:
            if is_not_found:
                return S.UNKNOWN
            if order.is_cancelling or order.pending(Ask.CANCEL):
                return S.CANCEL_REQUESTED
            if order.pending(Ask.AMEND):
                return S.AMEND_REQUESTED
            return S.PARTIALLY_FILLED if known else S.WORKING
        if order.is_denied:
            return S.REJECTED
        if order.is_ambiguous or is_not_found:
            return S.UNKNOWN
        return S.SENT if order.is_sent else S.RECORDED

    def filled(self, order: Watched) -> int:
        """What traded by the fills told and was not told to be taken back."""
        return sum(fill.size for fill in order.fills.values() if fill.fill_id not in self.voids)

    def fees(self, order: Watched) -> int:
        """The fees of those fills."""
        return sum(fill.fee for fill in order.fills.values() if fill.fill_id not in self.voids)

    def exposed(self, order: Watched) -> int:
        """The most by which the order may still change the position."""
        missing = max(order.told_filled - order.traded, 0)
        if self.status(order) in (S.ENDING, *FINAL):
            return missing
        return max(order.size_worst - self.filled(order), missing)

    def money(self, market: InstrumentId, strategy: str | None = None) -> Money:
        """What the account, or one strategy, holds in a market after every fill told."""
        standing = [fill for fill in self._fills_of(market, strategy) if fill.fill_id not in self.voids]
        size = sum(fill.side.sign * fill.size for fill in standing)
        cash = -sum(fill.side.sign * fill.size * fill.price for fill in standing)
        if market in self.settled:
            size, cash = 0, cash + size * self.settled[market]
        return Money(size, cash, sum(fill.fee for fill in standing))

    def external_orders(self) -> set[str]:
        """Venue ids of orders listed as open, not as ended, that are not ours."""
        return {
            name
            for name, tellings in self._aside.items()
            if {one.record.is_open for one in tellings if isinstance(one.record, OrderSnapshot)} == {True}
        }

    def external_exposures(self, market: InstrumentId) -> list[tuple[Side, int]]:
        """Side and open size of each external order in a market: as listed newest, less the fills told of it."""
        found = []
        for name in sorted(self.external_orders()):
            records = [one.record for one in self._aside[name]]
            listings = [one for one in records if isinstance(one, OrderSnapshot)]
            newest = max(listings, key=lambda one: (one.ts_venue, one.ts_recv, one.filled))
            traded = {one.fill_id: one.size for one in records if isinstance(one, Fill)}
            if newest.instrument == market:
                found.append((newest.side, max(newest.size - sum(traded.values()), 0)))
        return found

    def _show(self, order: Watched, record: object) -> None:
        """All that the record leads to is known: this is what is seen of the order now."""
        is_given_up = isinstance(record, OrderReport) and record.kind is K.FILLS_MISSING
        status = self._amounts_to(order) if is_given_up else self.status(order)
        order.shown_end = status if status.is_final else None

    def _forget_inferred(self, fill_id: str) -> None:
        """What was worked out and taken back never was."""
        fill = self.fills.get(fill_id)
        if fill is not None and fill.source is not FillSource.LISTED:
            del self.fills[fill_id]
            for order in self.orders.values():
                order.fills.pop(fill_id, None)

    def _fills_of(self, market: InstrumentId, strategy: str | None) -> Iterator[Fill]:
        if strategy is None:
            return (fill for fill in self.fills.values() if fill.instrument == market)
        mine = (order for order in self.orders.values() if (order.strategy, order.market) == (strategy, market))
        return (fill for order in mine for fill in order.fills.values())

    def _order_of(self, record: OrderReport | OrderSnapshot | Fill) -> Watched | None:
        order = self.orders.get(record.client_order_id) if record.client_order_id else None
        return order or self._of_venue_id.get(record.venue_order_id)

    def _link(self, order: Watched, venue_order_id: str) -> None:
        """The order's name at the venue is known now: take up what was told of it before."""
        if not venue_order_id or venue_order_id in self._of_venue_id:
            return
        self._of_venue_id[venue_order_id] = order
        order.is_linked = True
        for telling in self._aside.pop(venue_order_id, []):
            self._learn(order, telling)

    def _learn(self, order: Watched, telling: Telling) -> None:
        record = telling.record
        if isinstance(record, Fill):
            order.is_shown = True
            order.fills.setdefault(record.fill_id, record)
        elif isinstance(record, OrderSnapshot):
            self._learn_listing(order, record)
        elif isinstance(record, OrderReport):
            self._learn_report(order, record, telling.request)

    def _learn_listing(self, order: Watched, listing: OrderSnapshot) -> None:
        order.told_filled = max(order.told_filled, listing.filled)
        if not listing.is_open:
            order.ends.add(S.FILLED if listing.filled >= listing.size else S.CANCELLED)
            return
        order.is_shown = True
        order.is_cancelling = order.is_cancelling or listing.is_cancelling
        order.terms = max(order.terms, (listing.ts_venue, listing.price, listing.size))
        order.listed_at = max(order.listed_at, listing.ts_recv)
        for request in order.pending(Ask.AMEND):
            is_taken_up = 0 < request.decided_at <= listing.ts_venue
            if is_taken_up and (request.price, request.size) == (listing.price, listing.size):
                request.is_answered = True

    def _learn_report(self, order: Watched, report: OrderReport, request: Request | None) -> None:
        if report.filled is not None:
            order.told_filled = max(order.told_filled, report.filled)
        if report.price is not None and report.size is not None:
            order.terms = max(order.terms, (report.ts_venue, report.price, report.size))
        if report.code == "not_found":
            order.not_found_at = max(order.not_found_at, report.ts_recv)
        if request is not None:
            request.is_answered = True
        if report.kind in (K.CANCEL_PENDING, K.CANCEL_REFUSED):
            order.is_cancelling = report.kind is K.CANCEL_PENDING
        if report.kind in PROVING:
            order.is_shown = True
        elif report.kind in ENDS:
            order.ends.add(ENDS[report.kind])
        elif report.kind is K.SENT:
            order.is_sent = True
        elif report.kind is K.UNKNOWN:
            order.is_ambiguous = True
        elif report.kind in (K.NOT_SENT, K.NEVER_ARRIVED):
            order.is_denied = True
        elif report.kind is K.FILLS_MISSING:
            order.is_given_up = True
