"""Applying facts to orders: approvals, the venue's reports and listings, fills and adoptions.

A fact adds to the order's evidence; the order's status follows from the evidence
(`framework.state.orders.evidence`), so the sequence in which facts arrive does not matter (I8). What contradicts the
evidence is an alarm, and is applied all the same: a fill is real whatever was known before (I6, I7).
"""

from __future__ import annotations

from framework.domain.account_events import Fill, OrderAdopted, OrderReport, OrderSnapshot, ReportKind
from framework.domain.instruments import InstrumentId
from framework.domain.intents import AmendOrder, CancelAll, CancelOrder, NewOrder
from framework.domain.numbers import Money, Size
from framework.domain.orders import Order
from framework.domain.verdicts import Approved
from framework.state.change import Draft
from framework.state.fills import cost_of, is_inferred
from framework.state.orders.evidence import (
    CODE_LISTED,
    END_OF_FACT,
    RANK_AMENDED,
    OrderEvidence,
    learn_flags,
    learn_reason,
    learn_terms,
    renew_terms,
    row_of,
    size_worst,
    stated_terms,
)
from framework.state.orders.index import Orders
from framework.state.orders.transitions import INFERRED_ROW, OrderFact, fact_of

_GRAVE = frozenset({OrderFact.FILL_PARTIAL, OrderFact.FILL_FULL, OrderFact.FILL_OVER, OrderFact.FILLS_MISSING})
"""Facts about money: where they contradict what is known, the instrument must not be traded on."""
_WITH_REASON = frozenset(
    {
        OrderFact.NOT_SENT,
        OrderFact.NEVER_ARRIVED,
        OrderFact.CANCEL_REFUSED,
        OrderFact.AMEND_REFUSED,
        OrderFact.NOT_FOUND,
        *END_OF_FACT,
    }
)


class OrderMachine:
    """Applies facts to `Orders`. It knows nothing of positions: `framework.state.account_updates` joins the two.

    `now_ns` is the wall time of the step; changed orders and alarms are put into `draft`.
    """

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    def approve(self, approved: Approved, now_ns: int, draft: Draft) -> None:
        """Take in an approval: a new order is recorded, an amend or a cancel marks the orders that it is about."""
        intent = approved.intent
        if isinstance(intent, NewOrder):
            self._record(approved, intent, now_ns, draft)
        elif isinstance(intent, CancelAll):
            for one in self._orders.open(venue=intent.venue, instrument=intent.instrument or None):
                if one.status.may_trade:
                    self._request(one, intent, now_ns, draft)
        elif (order := self._orders.get(approved.client_order_id)) is not None:
            self._request(order, intent, now_ns, draft)
        else:
            draft.alarm(f"approval for an order that is not known: {approved.client_order_id}")

    def report(self, order: Order, report: OrderReport, now_ns: int, draft: Draft) -> None:
        """Apply a fact that an answer, a stream or a look-up states about the order."""
        before = _visible(order)
        evidence, fact = self._orders.evidence(order), fact_of(report.kind, report.code)
        was_over = _is_over(order, evidence)
        self._learn(order, fact, report.ts_recv, draft)
        if report.filled is not None:
            evidence.stated = max(evidence.stated, report.filled)
        if report.kind is ReportKind.AMENDED:
            _amended(order, evidence, report)
        elif report.kind is ReportKind.AMEND_REFUSED:
            order.amend_price = order.amend_size = None
        elif report.kind is ReportKind.CANCEL_REFUSED:
            order.cancel_wanted = False
        elif report.kind is ReportKind.CANCEL_PENDING:
            order.cancel_wanted = True
        elif report.kind is ReportKind.SENT and _is_about_new(order, evidence):
            order.sent_as = report.detail
        elif report.kind is ReportKind.ACCEPTED:
            time_ns = report.ts_venue or report.ts_recv
            learn_terms(order, evidence, *stated_terms(order, report.price, report.size), time_ns=time_ns)
        if fact in _WITH_REASON:
            text = ": ".join(part for part in (report.code, report.detail) if part) or fact.value
            learn_reason(order, evidence, text, fact=fact, ts_recv=report.ts_recv)
        self._report_over_fill(order, was_over, draft)
        self._finish(order, before, now_ns, draft, is_given_up=report.kind is ReportKind.FILLS_MISSING)

    def snapshot(self, order: Order, snapshot: OrderSnapshot, now_ns: int, draft: Draft) -> None:
        """Apply a listing of the order by the venue, as open or as ended."""
        before = _visible(order)
        evidence, fact = self._orders.evidence(order), _listed_fact(snapshot, order)
        was_over = _is_over(order, evidence)
        if (snapshot.instrument, snapshot.side) != (order.instrument, order.side):
            draft.alarm(
                f"{order.client_order_id}: the venue lists it as {snapshot.side.value} {snapshot.instrument}, "
                f"it is {order.side.value} {order.instrument}",
                halt=order.instrument,
            )
        self._learn(order, fact, snapshot.ts_recv, draft)
        evidence.stated = max(evidence.stated, snapshot.filled)
        if snapshot.is_open:
            _order_terms(order, evidence, snapshot)
            # The venue has taken a cancel, ours or not: an answer that was lost, or a restart, does not undo that.
            order.cancel_wanted = order.cancel_wanted or snapshot.is_cancelling
        else:
            learn_reason(order, evidence, snapshot.reason, fact=fact, ts_recv=snapshot.ts_recv)
        self._report_over_fill(order, was_over, draft)
        self._finish(order, before, now_ns, draft)

    def adopt(self, event: OrderAdopted, now_ns: int, draft: Draft) -> Order:
        """Add an order of the venue that was not known, and return it. The venue has shown that it holds the order."""
        name = event.client_order_id or f"{event.venue}/{event.venue_order_id}"
        order = Order(
            client_order_id=name,
            venue=event.venue,
            strategy=event.strategy,
            instrument=event.instrument,
            side=event.side,
            price=event.price,
            size=event.size,
            time_in_force=event.time_in_force,
            created_ns=now_ns,
        )
        self._orders.add(order, OrderEvidence(is_proved=True, stated=event.filled, seen_ns=event.ts_recv))
        self._finish(order, None, now_ns, draft)
        return order

    def link(self, order: Order, venue_order_id: str, draft: Draft, *, is_amended: bool = False) -> bool:
        """Learn the venue's id of the order. True when it is news. A second id is an alarm, but after an amend; so is
        the id of another order of ours, which keeps it: else it would depend on a restart which of them it names."""
        holder = self._orders.by_venue_id(order.venue, venue_order_id)
        if not venue_order_id or self._is_of_other(order, holder, venue_order_id, draft):
            return False
        is_news = self._orders.link(order, venue_order_id)
        evidence = self._orders.evidence(order)
        is_excused = is_amended or evidence.is_amended or order.amend_size is not None
        if is_news and order.venue_order_id and not is_excused:
            draft.alarm(
                f"{order.client_order_id}: the venue knows two orders of this id: "
                f"{order.venue_order_id} and {venue_order_id}",
                halt=order.instrument,
            )
        if (is_amended or not order.venue_order_id) and order.venue_order_id != venue_order_id:
            order.venue_order_id = venue_order_id
            draft.orders[order.client_order_id] = order
        return is_news

    def _is_of_other(self, order: Order, holder: Order | None, venue_order_id: str, draft: Draft) -> bool:
        if holder is None or holder is order:
            return False
        if order.venue_order_id != venue_order_id:
            order.venue_order_id = venue_order_id
            text = f"{order.client_order_id}: the venue names it {venue_order_id}, like {holder.client_order_id}"
            draft.alarm(text, halt=order.instrument)
            draft.orders[order.client_order_id] = order
        return True

    def fill(self, order: Order, fill: Fill, fee: int, now_ns: int, draft: Draft, *, is_voided: bool) -> None:
        """Count a fill that is new to the order, with its fee as money; a voided one counts as traded only, and not at
        all if it was inferred."""
        evidence = self._orders.evidence(order)
        if is_inferred(fill):
            evidence.inferred += fill.size
            if is_voided:
                return
        traded, size = evidence.traded + fill.size, size_worst(order, evidence)
        if traded > size:
            fact = OrderFact.FILL_OVER
        else:
            fact = OrderFact.FILL_FULL if max(traded, evidence.stated) >= size else OrderFact.FILL_PARTIAL
        if (fill.instrument, fill.side) != (order.instrument, order.side):
            draft.alarm(
                f"{order.client_order_id}: fill {fill.fill_id} is {fill.side.value} {fill.instrument}, "
                f"the order is {order.side.value} {order.instrument}",
                halt=order.instrument,
            )
        self._learn(order, fact, fill.ts_recv, draft)
        evidence.traded = traded
        evidence.cost += cost_of(fill)
        if not is_voided:
            order.filled = Size(order.filled + fill.size)
            order.fees = Money(order.fees + fee)
        self._finish(order, None, now_ns, draft)

    def void(self, order: Order, fill: Fill, fee: int, now_ns: int, draft: Draft) -> None:
        """Subtract a counted fill. What may still trade grows by it: the venue may let it trade again."""
        if is_inferred(fill):
            evidence = self._orders.evidence(order)
            evidence.traded -= fill.size
            evidence.cost -= cost_of(fill)
        order.filled = Size(order.filled - fill.size)
        order.fees = Money(order.fees - fee)
        self._finish(order, None, now_ns, draft)

    def give(self, order: Order, strategy: str, now_ns: int, draft: Draft) -> None:
        """Give an order to another strategy; its exposure goes with it."""
        self._orders.give(order, strategy)
        self._finish(order, None, now_ns, draft)

    def _record(self, approved: Approved, intent: NewOrder, now_ns: int, draft: Draft) -> None:
        if self._orders.get(approved.client_order_id) is not None:
            draft.alarm(
                f"{approved.client_order_id}: a second order was approved under this id; it is not recorded",
                halt=intent.instrument,
            )
            return
        order = Order(
            client_order_id=approved.client_order_id,
            venue=approved.venue,
            strategy=intent.strategy,
            instrument=intent.instrument,
            side=intent.side,
            price=intent.price,
            size=intent.size,
            time_in_force=intent.time_in_force,
            post_only=intent.post_only,
            reduce_only=intent.reduce_only,
            expires_ns=intent.expires_ns,
            created_ns=now_ns,
            kind=intent.kind,
            trigger=intent.trigger,
            quote_amount=intent.quote_amount,
        )
        self._orders.add(order, OrderEvidence())
        self._finish(order, None, now_ns, draft)

    def _request(self, order: Order, intent: AmendOrder | CancelOrder | CancelAll, now_ns: int, draft: Draft) -> None:
        before = _visible(order)
        if isinstance(intent, AmendOrder):
            self._learn(order, OrderFact.AMEND_REQUESTED, 0, draft)
            evidence = self._orders.evidence(order)
            evidence.amend_since_ns = max(evidence.terms_ns, evidence.stepped_ns)
            order.amend_price = intent.price
            order.amend_size = Size(max(intent.size, order.amend_size or 0))
        else:
            self._learn(order, OrderFact.CANCEL_REQUESTED, 0, draft)
            order.cancel_wanted = True
        self._finish(order, before, now_ns, draft)

    def _learn(self, order: Order, fact: OrderFact, ts_recv: int, draft: Draft) -> None:
        evidence = self._orders.evidence(order)
        row = row_of(order, evidence)
        learn_flags(evidence, fact, ts_recv)
        if row[fact].is_alarm:
            is_grave = fact in _GRAVE or row is INFERRED_ROW
            halt: InstrumentId | None = order.instrument if is_grave else None
            draft.alarm(f"{order.client_order_id}: {fact.value}, while it is {order.status.value}", halt=halt)

    def _report_over_fill(self, order: Order, was_over: bool, draft: Draft) -> None:
        """Alarm when fills that were within the size before are more than it now, because its terms became known."""
        evidence = self._orders.evidence(order)
        if not was_over and _is_over(order, evidence):
            text = f"{order.client_order_id}: {OrderFact.FILL_OVER.value}: {evidence.traded} of {order.size} traded"
            draft.alarm(text, halt=order.instrument)

    def _finish(
        self, order: Order, before: tuple[object, ...] | None, now_ns: int, draft: Draft, *, is_given_up: bool = False
    ) -> None:
        shown = draft.shown.setdefault(order.client_order_id, order.status)
        self._orders.refresh(order, now_ns, shown=shown, is_given_up=is_given_up)
        if before is None or before != _visible(order):
            draft.orders[order.client_order_id] = order


def _visible(order: Order) -> tuple[object, ...]:
    """What others see of an order and a fact can change: if it stays the same, nobody is notified."""
    return (
        order.status,
        order.price,
        order.size,
        order.reason,
        order.cancel_wanted,
        order.amend_price,
        order.amend_size,
    )


def _is_about_new(order: Order, evidence: OrderEvidence) -> bool:
    """Whether what is sent about the order is the order itself: changes are asked for when the venue has it."""
    return not (evidence.is_proved or order.cancel_wanted or order.amend_size is not None)


def _amended(order: Order, evidence: OrderEvidence, report: OrderReport) -> None:
    """An amend was answered with yes: the pending one, unless the statement is an older one's.

    Of two statements of terms the one with the later venue time is the newer. But the venue's clock may be set back,
    so what is newer by its cause counts whatever its date: the answer that grants the pending amend's very terms comes
    after all that was received before that amend was asked for; what reconciliation found listed (`CODE_LISTED`) after
    all that was received before it.
    """
    time_ns = report.ts_venue or report.ts_recv
    price, size = stated_terms(order, report.price, report.size)
    is_newest = report.code == CODE_LISTED
    if order.amend_price is not None and order.amend_size is not None:
        is_match = price in (None, order.amend_price) and size in (None, order.amend_size)
        if is_newest or is_match or time_ns > evidence.amend_since_ns:
            is_newest = is_newest or (is_match and evidence.terms_ns <= evidence.amend_since_ns)
            price = order.amend_price if price is None else price
            size = order.amend_size if size is None else size
            order.amend_price = order.amend_size = None
    if is_newest and price is not None and size is not None:
        renew_terms(order, evidence, price, size, time_ns=time_ns)
    else:
        learn_terms(order, evidence, price, size, time_ns=time_ns, rank=RANK_AMENDED)


def _is_over(order: Order, evidence: OrderEvidence) -> bool:
    """Whether more traded than the largest size that the order may have."""
    return evidence.traded > size_worst(order, evidence)


def _listed_fact(snapshot: OrderSnapshot, order: Order) -> OrderFact:
    """What a listing shows. An order by amount is filled when its amount is spent, however much of its size that was:
    it has traded, and no reason is given for its end."""
    if snapshot.is_open:
        return OrderFact.SNAPSHOT_OPEN
    is_spent = order.quote_amount > 0 and snapshot.filled > 0 and not snapshot.reason
    return OrderFact.SNAPSHOT_FILLED if is_spent or snapshot.filled >= snapshot.size else OrderFact.SNAPSHOT_ENDED


def _order_terms(order: Order, evidence: OrderEvidence, snapshot: OrderSnapshot) -> None:
    """Apply price and size as listed. A pending amend is proved by a listing that shows exactly its terms, unless the
    listing's date was stated before: the order may have had these terms then."""
    time_ns = snapshot.ts_venue or snapshot.ts_recv
    price, size = stated_terms(order, snapshot.price, snapshot.size)
    is_match = (price, size) == (order.amend_price, order.amend_size)
    if is_match and time_ns >= evidence.amend_since_ns and time_ns > evidence.stepped_ns:
        order.amend_price = order.amend_size = None
    learn_terms(order, evidence, price, size, time_ns=time_ns)
