"""Looking up orders of which the venue's evidence is missing, each at its own pace, until it is there (I3, I9).

No timer alone ends an order. One that a look-up does not find counts as never arrived (or, when the venue has had it,
as gone) only when two look-ups in a row, each later than the venue's read lag, did not find it. Trouble with the venue
proves nothing and is tried again.

Also here: what a restart reports of requests that were under way when the last run ended.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from framework.domain.account_events import OrderReport, OrderSnapshot, ReportKind
from framework.domain.errors import OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.orders import Order, OrderStatus
from framework.domain.terms import FillListing
from framework.reconciliation import order_terms
from framework.reconciliation.hidden_fills import HiddenFills
from framework.reconciliation.ports import ReconcileDependencies
from framework.state.accounts import Accounts

LOOKUP_FIRST_NS = 250_000_000
"""Time from the beginning of an inquiry to its first look-up."""
LOOKUP_AGAIN_NS = 500_000_000
"""The longest time between a look-up that found nothing after the read lag and the one that confirms it."""
LOOKUP_LATEST_NS = 5_000_000_000
"""The longest time between two look-ups; it doubles from the first one up to this."""
LOOKUP_FAILED_NS = 1_000_000_000
"""Time to the next look-up after one that was not answered; other orders are looked up meanwhile."""
LOOKUPS_MIN = 2
"""So many look-ups in a row, each after the read lag, must not find an order before it counts as not there."""
FILL_QUERIES_MIN = 5
"""So many queries in a row, each after the read lag, must not list an order's stated fills before its end counts
without them: 9 s or more."""
FILL_QUERY_LATEST_NS = 300_000_000_000
"""The longest time between two queries for the fills of an order that has ended here. They may never come, as where a
venue states a trade that it does not list."""

UNANSWERED = (OrderStatus.SENT, OrderStatus.CANCEL_REQUESTED, OrderStatus.AMEND_REQUESTED)
"""Statuses of an order that waits for the answer to a request."""

FetchFills = Callable[[int], Awaitable[object]]
"""Fetches and publishes the fills since a venue time in nanoseconds. Raises what the gateway raises."""


class Inquiry(msgspec.Struct):
    """One order that needs evidence.

    `subject` is what the evidence is needed for: when it changes, a new inquiry begins. `since_ns` is when it began and
    `due_ns` when the next look-up is due, both monotonic because the wall clock may be set. `wait_ns` is the time to
    wait after that look-up, `not_found` how many look-ups in a row, each after the read lag, found nothing of what was
    asked for: the order, or fills that are missing.
    """

    subject: tuple[object, ...]
    since_ns: int
    due_ns: int
    wait_ns: int = LOOKUP_FIRST_NS
    not_found: int = 0


class OrderInquiry:
    """The inquiries of one venue account. Call `resolve` a few times a second, never twice at a time."""

    def __init__(self, dependencies: ReconcileDependencies, fetch_fills: FetchFills, hidden: HiddenFills) -> None:
        self._dependencies = dependencies
        self._hidden = hidden
        self._fetch_fills = fetch_fills
        self._inquiries: dict[str, Inquiry] = {}
        self._flagged: set[str] = set()

    def __repr__(self) -> str:
        return f"<OrderInquiry {self._dependencies.venue} {list(self._inquiries)}>"

    def flag(self, order: Order) -> None:
        """Begin an inquiry about an order that the venue does not list as open any more, or refused to change, without
        a report of what became of it."""
        self._flagged.add(order.client_order_id)

    async def resolve(self) -> None:
        """Look up each order that needs evidence and whose look-up is due.

        Raises what the gateway raises. The look-up that failed is due again later: the next call goes on with others.
        """
        needing = {order.client_order_id: order for order in self._needing_evidence()}
        self._flagged.intersection_update(needing)
        now_ns = self._dependencies.clock.monotonic_ns()
        for client_order_id in [known for known in self._inquiries if known not in needing]:
            del self._inquiries[client_order_id]
        for client_order_id, order in needing.items():
            inquiry = self._inquiries.get(client_order_id)
            if inquiry is None or inquiry.subject != _subject(order):
                inquiry = Inquiry(subject=_subject(order), since_ns=now_ns, due_ns=now_ns + LOOKUP_FIRST_NS)
                self._inquiries[client_order_id] = inquiry
            if now_ns >= inquiry.due_ns:
                await self._resolve(order, inquiry)

    def _needing_evidence(self) -> list[Order]:
        """Orders of unknown outcome, changes without an answer, orders that should have ended, flagged ones, and those
        with fewer fills than the venue states."""
        dependencies, orders = self._dependencies, self._dependencies.accounts.orders
        return [
            order
            for order in orders.open(venue=dependencies.venue)
            if order.status is OrderStatus.UNKNOWN
            or self._is_unanswered(order)
            or (order.status in order_terms.RESTING and dependencies.is_ending(order))
            or order.client_order_id in self._flagged
        ] + self._awaiting_fills()

    def _awaiting_fills(self) -> list[Order]:
        """Orders whose fills the venue may still list, or state; hidden ones are found by passes."""
        dependencies = self._dependencies
        if dependencies.terms().fills is FillListing.TAKER_ONLY:
            return []
        return [one for one in dependencies.accounts.orders.awaiting_fills() if one.venue == dependencies.venue]

    async def _resolve(self, order: Order, inquiry: Inquiry) -> None:
        clock, lag_ns = self._dependencies.clock, self._dependencies.lag_ns
        age_ns = clock.monotonic_ns() - inquiry.since_ns
        is_past_lag = age_ns > lag_ns
        try:
            if order.status.may_trade:
                await self._query_order(order, inquiry, is_past_lag=is_past_lag)
            else:
                await self._query_fills(order, inquiry, is_past_lag=is_past_lag)
        except (Retryable, OutcomeUnknown, RefusedByVenue):
            inquiry.due_ns = clock.monotonic_ns() + LOOKUP_FAILED_NS
            raise
        wait_ns = inquiry.wait_ns if is_past_lag else min(inquiry.wait_ns, lag_ns - age_ns + 1)
        inquiry.due_ns = clock.monotonic_ns() + wait_ns
        latest_ns = FILL_QUERY_LATEST_NS if order.status.is_final else LOOKUP_LATEST_NS
        inquiry.wait_ns = min(inquiry.wait_ns * 2, latest_ns)

    async def _query_order(self, order: Order, inquiry: Inquiry, *, is_past_lag: bool) -> None:
        """Make one look-up and publish what it proves. Absence proves nothing within the read lag, nor when more became
        known of the order while the look-up was under way."""
        must_show = is_past_lag and self._dependencies.as_of().must_show(order.updated_ns)
        is_unanswered, known = self._is_unanswered(order), _known(order)
        found = await self._dependencies.find_order(order)
        is_same = known == _known(order)
        if found is not None:
            self._hidden.take_in(found)
            inquiry.not_found = 0
            if is_past_lag or not found.is_open:
                self._flagged.discard(order.client_order_id)
            if found.filled > order.filled:
                await self._fetch_fills(found.created_ns or order.created_ns)
            if is_past_lag and is_same and is_unanswered:
                self._refuse_change(order, found)
        elif must_show and is_same:
            inquiry.not_found += 1
            inquiry.wait_ns = min(max(inquiry.wait_ns, self._dependencies.lag_ns), LOOKUP_AGAIN_NS)
            if inquiry.not_found >= LOOKUPS_MIN:
                self._report_absent(order)

    async def _query_fills(self, order: Order, inquiry: Inquiry, *, is_past_lag: bool) -> None:
        """Fetch the fills of an order that has ended at the venue, from the time at which the venue made it. The venue
        keeps ended orders for a while only; their fills may be listed longer."""
        missing = self._missing(order)
        found = await self._dependencies.find_order(order)
        if found is not None:
            self._hidden.take_in(found)
        await self._fetch_fills(found.created_ns if found is not None and found.created_ns else order.created_ns)
        inquiry.not_found = inquiry.not_found + 1 if is_past_lag and self._missing(order) == missing else 0
        if inquiry.not_found < FILL_QUERIES_MIN or self._hidden.settle_missing(order):
            return
        if not order.status.is_final:
            detail = f"{FILL_QUERIES_MIN} queries after the read lag did not list them"
            self._report(order, ReportKind.FILLS_MISSING, "", detail)

    def _missing(self, order: Order) -> int:
        return self._dependencies.accounts.orders.evidence(order).missing

    def _is_unanswered(self, order: Order) -> bool:
        """Whether an answer is outstanding and will not come any more: the request is not under way, or it is later
        than any answer comes."""
        dependencies = self._dependencies
        if order.status not in UNANSWERED:
            return False
        late_ns = dependencies.clock.now_ns() - dependencies.answer_ms_max * 1_000_000
        return order.updated_ns < late_ns or not dependencies.is_under_way(order.client_order_id)

    def _refuse_change(self, order: Order, found: OrderSnapshot) -> None:
        """Report what became of a change that was requested longer ago than reads lag. One that the venue does not show
        did not happen, but for a cancel that it has taken and not carried out yet. If it shows other terms than the old
        ones, these are the order's terms now, also where the date of the listing does not prove it."""
        has_old_terms = found.is_open and (found.price, found.size) == (order.price, order.size)
        if order.status is OrderStatus.AMEND_REQUESTED and has_old_terms:
            self._report(order, ReportKind.AMEND_REFUSED, "never_applied", "the venue still shows the old terms")
        elif order.status is OrderStatus.AMEND_REQUESTED and found.is_open:
            self._dependencies.publish(order_terms.as_listed(order, found))
        elif order.status is OrderStatus.CANCEL_REQUESTED and found.is_open and not found.is_cancelling:
            self._report(order, ReportKind.CANCEL_REFUSED, "never_applied", "the venue still shows it open")

    def _report_absent(self, order: Order) -> None:
        self._flagged.discard(order.client_order_id)
        detail = f"{LOOKUPS_MIN} look-ups after the read lag did not find it"
        if order.venue_order_id:
            self._report(order, ReportKind.CANCELLED, "not_listed", detail)
        else:
            self._report(order, ReportKind.NEVER_ARRIVED, "", detail)

    def _report(self, order: Order, kind: ReportKind, code: str, detail: str) -> None:
        self._dependencies.publish(
            OrderReport(
                venue=order.venue,
                client_order_id=order.client_order_id,
                kind=kind,
                ts_recv=self._dependencies.clock.now_ns(),
                code=code,
                detail=detail,
            )
        )


def _subject(order: Order) -> tuple[object, ...]:
    """What evidence is needed for: the order's status and its requested changes."""
    return order.status, order.cancel_wanted, order.amend_price, order.amend_size


def _known(order: Order) -> tuple[object, ...]:
    """Everything known of an order, and since when: equal before and after a look-up if nothing else came in."""
    return *_subject(order), order.price, order.size, order.filled, order.venue_order_id, order.updated_ns


RESTART_REPORTS = {
    OrderStatus.RECORDED: ReportKind.UNKNOWN,
    OrderStatus.SENT: ReportKind.UNKNOWN,
    OrderStatus.AMEND_REQUESTED: ReportKind.UNKNOWN,
    OrderStatus.CANCEL_REQUESTED: ReportKind.CANCEL_REFUSED,
}
"""The report that a restart makes of an order that was in such a status."""


def unanswered_at_restart(accounts: Accounts, now_ns: int) -> list[OrderReport]:
    """The reports that a restart must publish of orders whose requests were under way: their answers are lost.

    New and amended orders become unknown until the venue confirms (I3). A cancel counts as refused: whoever still wants
    it may ask again, which does no harm. `now_ns` is wall time.
    """
    return [
        OrderReport(
            venue=order.venue,
            client_order_id=order.client_order_id,
            kind=RESTART_REPORTS[order.status],
            ts_recv=now_ns,
            code="restart",
            detail="under way when an earlier run ended",
        )
        for order in accounts.orders.open()
        if order.status in RESTART_REPORTS
    ]
