"""Doubts: orders of which the venue must be asked, each at its own pace, until its evidence ends the doubt.

Silence is never evidence: an order that a look-up does not find counts as never arrived (or, when the venue has had
it, as gone) only when two look-ups, each later than the venue's read lag, did not find it.

What the last run left in doubt: requests that were under way when it ended, whose answers nobody heard.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from framework.domain.account_events import OrderReport, OrderSnapshot, ReportKind
from framework.domain.errors import OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.orders import Order, OrderStatus
from framework.reconciliation import order_terms
from framework.reconciliation.ports import ReconcileDependencies
from framework.state.accounts import Accounts

LOOKUP_FIRST_NS = 250_000_000
LOOKUP_AGAIN_NS = 500_000_000
"""The longest time between a look-up that found nothing after the read lag and the one that confirms it."""
LOOKUP_LATEST_NS = 5_000_000_000
LOOKUP_FAILED_NS = 1_000_000_000
"""After a look-up that was not answered: others have their turn meanwhile."""
LOOKUPS_MIN = 2

UNANSWERED = (OrderStatus.SENT, OrderStatus.CANCEL_REQUESTED, OrderStatus.AMEND_REQUESTED)

FetchFills = Callable[[int], Awaitable[object]]
"""Has the fills since a venue time booked."""


class Inquiry(msgspec.Struct):
    """An order that needs evidence: about what, since when and when to look next (both monotonic: the wall clock may be
    set), how long to wait after that, and how often it was not found. A look-up's own answer does not make the doubt
    any younger."""

    subject: tuple[object, ...]
    since_ns: int
    due_ns: int
    wait_ns: int = LOOKUP_FIRST_NS
    not_found: int = 0


class OrderInquiry:
    """The doubts of one venue account. Call `resolve` a few times a second."""

    def __init__(self, dependencies: ReconcileDependencies, fetch_fills: FetchFills) -> None:
        self._dependencies = dependencies
        self._fetch_fills = fetch_fills
        self._inquiries: dict[str, Inquiry] = {}
        self._flagged: set[str] = set()

    def __repr__(self) -> str:
        return f"<Doubts {self._dependencies.venue} {list(self._inquiries)}>"

    def flag(self, order: Order) -> None:
        """The venue does not list this order as open any more, or refused to change it, and did not say what became of
        it."""
        self._flagged.add(order.client_order_id)

    async def resolve(self) -> None:
        """Look up each order that needs evidence and whose turn has come. Raises what the gateway raises: then the next
        call goes on with the others."""
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
        """Orders in doubt: unknown ones, changes without an answer, those that should have ended, suspects, missing
        fills."""
        dependencies, orders = self._dependencies, self._dependencies.accounts.orders
        return [
            order
            for order in orders.open(venue=dependencies.venue)
            if order.status is OrderStatus.UNKNOWN
            or self._is_unanswered(order)
            or (order.status in order_terms.RESTING and dependencies.is_ending(order))
            or order.client_order_id in self._flagged
        ] + [order for order in orders.awaiting_fills() if order.venue == dependencies.venue]

    async def _resolve(self, order: Order, inquiry: Inquiry) -> None:
        clock, lag_ns = self._dependencies.clock, self._dependencies.lag_ns
        age_ns = clock.monotonic_ns() - inquiry.since_ns
        try:
            await self._query_order(order, inquiry, is_past_lag=age_ns > lag_ns)
        except (Retryable, OutcomeUnknown, RefusedByVenue):
            inquiry.due_ns = clock.monotonic_ns() + LOOKUP_FAILED_NS
            raise
        wait_ns = inquiry.wait_ns if age_ns > lag_ns else min(inquiry.wait_ns, lag_ns - age_ns + 1)
        inquiry.due_ns = clock.monotonic_ns() + wait_ns
        inquiry.wait_ns = min(inquiry.wait_ns * 2, LOOKUP_LATEST_NS)

    async def _query_order(self, order: Order, inquiry: Inquiry, *, is_past_lag: bool) -> None:
        """One look-up, and what it proves. Nothing, when more became known of the order while it was under way."""
        must_show = is_past_lag and self._dependencies.as_of().must_show(order.updated_ns)
        is_unanswered, known = self._is_unanswered(order), _known(order)
        found = await self._dependencies.gateway.find_order(order)
        is_same = known == _known(order)
        if found is not None:
            self._dependencies.publish(found)
            inquiry.not_found = 0
            if is_past_lag or not found.is_open:
                self._flagged.discard(order.client_order_id)
            if found.filled > order.filled:
                await self._fetch_fills(found.created_ns or order.created_ns)
            if is_past_lag and is_same and is_unanswered:
                self._refuse_change(order, found)
        elif order.status.is_final:
            # The venue has put it away. The fills that it stated may be listed longer.
            await self._fetch_fills(order.created_ns)
        elif must_show and is_same:
            inquiry.not_found += 1
            inquiry.wait_ns = min(max(inquiry.wait_ns, self._dependencies.lag_ns), LOOKUP_AGAIN_NS)
            if inquiry.not_found >= LOOKUPS_MIN:
                self._give_up(order)

    def _is_unanswered(self, order: Order) -> bool:
        """Whether an answer is outstanding and does not come any more: nobody carries the request, or it is too late
        for one."""
        dependencies = self._dependencies
        if order.status not in UNANSWERED:
            return False
        late_ns = dependencies.clock.now_ns() - dependencies.answer_ms_max * 1_000_000
        return order.updated_ns < late_ns or not dependencies.is_under_way(order.client_order_id)

    def _refuse_change(self, order: Order, found: OrderSnapshot) -> None:
        """A change asked for longer ago than reads lag, and that the venue does not show, did not happen. Other
        terms than the old ones are the order's now, also where the date of the listing does not prove it."""
        if order.status is OrderStatus.AMEND_REQUESTED and self._has_old_terms(order, found):
            self._report(order, ReportKind.AMEND_REFUSED, "never_applied", "the venue still shows the old terms")
        elif order.status is OrderStatus.AMEND_REQUESTED and found.is_open:
            self._dependencies.publish(order_terms.as_listed(order, found))
        elif order.status is OrderStatus.CANCEL_REQUESTED and found.is_open:
            self._report(order, ReportKind.CANCEL_REFUSED, "never_applied", "the venue still shows it open")

    def _give_up(self, order: Order) -> None:
        self._flagged.discard(order.client_order_id)
        detail = f"{LOOKUPS_MIN} look-ups after the read lag did not find it"
        if order.venue_order_id:
            self._report(order, ReportKind.CANCELLED, "not_listed", detail)
        else:
            self._report(order, ReportKind.NEVER_ARRIVED, "", detail)

    @staticmethod
    def _has_old_terms(order: Order, found: OrderSnapshot) -> bool:
        return found.is_open and found.price == order.price and found.size == order.size

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
    """What an order's doubt is about: when it changes, it is another doubt."""
    return order.status, order.cancel_wanted, order.amend_price, order.amend_size


def _known(order: Order) -> tuple[object, ...]:
    """What is known of an order, and since when."""
    return *_subject(order), order.price, order.size, order.filled, order.venue_order_id, order.updated_ns


RESTART_REPORTS = {
    OrderStatus.RECORDED: ReportKind.UNKNOWN,
    OrderStatus.SENT: ReportKind.UNKNOWN,
    OrderStatus.AMEND_REQUESTED: ReportKind.UNKNOWN,
    OrderStatus.CANCEL_REQUESTED: ReportKind.CANCEL_REFUSED,
}


def unanswered_at_restart(accounts: Accounts, now_ns: int) -> list[OrderReport]:
    """What a restart must say of orders whose requests were under way: nobody heard the answer.

    New and amended orders become unknown until the venue tells; a cancel may simply be asked for again.
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
