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
from framework.reconciliation import order_terms as listed_terms
from framework.reconciliation.ports import ReconcileParts
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


class Doubt(msgspec.Struct):
    """An order that needs evidence: about what, since when and when to look next (both monotonic: the wall clock may be
    set), how long to wait after that, and how often it was not found. A look-up's own answer does not make the doubt
    any younger."""

    about: tuple[object, ...]
    since_ns: int
    due_ns: int
    wait_ns: int = LOOKUP_FIRST_NS
    not_found: int = 0


class Doubts:
    """The doubts of one venue account. Call `resolve` a few times a second."""

    def __init__(self, parts: ReconcileParts, fetch_fills: FetchFills) -> None:
        self._parts = parts
        self._fetch_fills = fetch_fills
        self._doubts: dict[str, Doubt] = {}
        self._suspects: set[str] = set()

    def __repr__(self) -> str:
        return f"<Doubts {self._parts.venue} {list(self._doubts)}>"

    def suspect(self, order: Order) -> None:
        """The venue does not list this order as open any more, or refused to change it, and did not say what became of
        it."""
        self._suspects.add(order.client_order_id)

    async def resolve(self) -> None:
        """Look up each order that needs evidence and whose turn has come. Raises what the gateway raises: then the next
        call goes on with the others."""
        needing = {order.client_order_id: order for order in self._needing_evidence()}
        self._suspects.intersection_update(needing)
        now_ns = self._parts.clock.monotonic_ns()
        for client_order_id in [known for known in self._doubts if known not in needing]:
            del self._doubts[client_order_id]
        for client_order_id, order in needing.items():
            doubt = self._doubts.get(client_order_id)
            if doubt is None or doubt.about != _about(order):
                doubt = Doubt(about=_about(order), since_ns=now_ns, due_ns=now_ns + LOOKUP_FIRST_NS)
                self._doubts[client_order_id] = doubt
            if now_ns >= doubt.due_ns:
                await self._resolve(order, doubt)

    def _needing_evidence(self) -> list[Order]:
        """Orders in doubt: unknown ones, changes without an answer, those that should have ended, suspects, missing
        fills."""
        parts, orders = self._parts, self._parts.accounts.orders
        return [
            order
            for order in orders.open(venue=parts.venue)
            if order.status is OrderStatus.UNKNOWN
            or self._is_unanswered(order)
            or (order.status in listed_terms.RESTING and parts.is_ending(order))
            or order.client_order_id in self._suspects
        ] + [order for order in orders.awaiting_fills() if order.venue == parts.venue]

    async def _resolve(self, order: Order, doubt: Doubt) -> None:
        clock, lag_ns = self._parts.clock, self._parts.lag_ns
        age_ns = clock.monotonic_ns() - doubt.since_ns
        try:
            await self._seek(order, doubt, is_past_lag=age_ns > lag_ns)
        except (Retryable, OutcomeUnknown, RefusedByVenue):
            doubt.due_ns = clock.monotonic_ns() + LOOKUP_FAILED_NS
            raise
        wait_ns = doubt.wait_ns if age_ns > lag_ns else min(doubt.wait_ns, lag_ns - age_ns + 1)
        doubt.due_ns = clock.monotonic_ns() + wait_ns
        doubt.wait_ns = min(doubt.wait_ns * 2, LOOKUP_LATEST_NS)

    async def _seek(self, order: Order, doubt: Doubt, *, is_past_lag: bool) -> None:
        """One look-up, and what it proves. Nothing, when more became known of the order while it was under way."""
        is_settled = is_past_lag and self._parts.moment().is_settled(order.updated_ns)
        is_unanswered, known = self._is_unanswered(order), _known(order)
        found = await self._parts.gateway.find_order(order)
        is_same = known == _known(order)
        if found is not None:
            self._parts.publish(found)
            doubt.not_found = 0
            if is_past_lag or not found.is_open:
                self._suspects.discard(order.client_order_id)
            if found.filled > order.filled:
                await self._fetch_fills(found.created_ns or order.created_ns)
            if is_past_lag and is_same and is_unanswered:
                self._refuse_change(order, found)
        elif order.status.is_final:
            # The venue has put it away. The fills that it stated may be listed longer.
            await self._fetch_fills(order.created_ns)
        elif is_settled and is_same:
            doubt.not_found += 1
            doubt.wait_ns = min(max(doubt.wait_ns, self._parts.lag_ns), LOOKUP_AGAIN_NS)
            if doubt.not_found >= LOOKUPS_MIN:
                self._give_up(order)

    def _is_unanswered(self, order: Order) -> bool:
        """Whether an answer is outstanding and does not come any more: nobody carries the request, or it is too late
        for one."""
        parts = self._parts
        if order.status not in UNANSWERED:
            return False
        late_ns = parts.clock.now_ns() - parts.answer_ms_max * 1_000_000
        return order.updated_ns < late_ns or not parts.is_under_way(order.client_order_id)

    def _refuse_change(self, order: Order, found: OrderSnapshot) -> None:
        """A change asked for longer ago than reads lag, and that the venue does not show, did not happen. Other
        terms than the old ones are the order's now, also where the date of the listing does not prove it."""
        if order.status is OrderStatus.AMEND_REQUESTED and self._has_old_terms(order, found):
            self._report(order, ReportKind.AMEND_REFUSED, "never_applied", "the venue still shows the old terms")
        elif order.status is OrderStatus.AMEND_REQUESTED and found.is_open:
            self._parts.publish(listed_terms.as_listed(order, found))
        elif order.status is OrderStatus.CANCEL_REQUESTED and found.is_open:
            self._report(order, ReportKind.CANCEL_REFUSED, "never_applied", "the venue still shows it open")

    def _give_up(self, order: Order) -> None:
        self._suspects.discard(order.client_order_id)
        detail = f"{LOOKUPS_MIN} look-ups after the read lag did not find it"
        if order.venue_order_id:
            self._report(order, ReportKind.CANCELLED, "not_listed", detail)
        else:
            self._report(order, ReportKind.NEVER_ARRIVED, "", detail)

    @staticmethod
    def _has_old_terms(order: Order, found: OrderSnapshot) -> bool:
        return found.is_open and found.price == order.price and found.size == order.size

    def _report(self, order: Order, kind: ReportKind, code: str, detail: str) -> None:
        self._parts.publish(
            OrderReport(
                venue=order.venue,
                client_order_id=order.client_order_id,
                kind=kind,
                ts_recv=self._parts.clock.now_ns(),
                code=code,
                detail=detail,
            )
        )


def _about(order: Order) -> tuple[object, ...]:
    """What an order's doubt is about: when it changes, it is another doubt."""
    return order.status, order.cancel_wanted, order.amend_price, order.amend_size


def _known(order: Order) -> tuple[object, ...]:
    """What is known of an order, and since when."""
    return *_about(order), order.price, order.size, order.filled, order.venue_order_id, order.updated_ns


RESTART_REPORTS = {
    OrderStatus.RECORDED: ReportKind.UNKNOWN,
    OrderStatus.SENT: ReportKind.UNKNOWN,
    OrderStatus.AMEND_REQUESTED: ReportKind.UNKNOWN,
    OrderStatus.CANCEL_REQUESTED: ReportKind.CANCEL_REFUSED,
}


def doubts_left(accounts: Accounts, now_ns: int) -> list[OrderReport]:
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
