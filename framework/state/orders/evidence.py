"""The evidence of an order's status: it only adds up, so that the sequence in which facts arrive can't matter (I8).

Each field is a flag that is only set, a maximum, or the newest of dated statements. `status_of` computes the status
from them. Two things are no evidence and stand in the order itself, the requested cancel and the requested amend: they
follow our own requests, whose answers come after them.
"""

from __future__ import annotations

import msgspec

from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, OrderKind, OrderStatus
from framework.domain.orders import OrderStatus as S
from framework.state.orders.transitions import INFERRED_ROW, TABLE, OrderFact, Row

END_OF_FACT = {
    OrderFact.CANCELLED: 1,
    OrderFact.SNAPSHOT_ENDED: 1,
    OrderFact.REJECTED: 2,
    OrderFact.EXPIRED: 3,
    OrderFact.SNAPSHOT_FILLED: 4,
}
"""How strong an end is: the strongest stated one gives the final status. The numbers are in snapshots."""
_STATUS_OF_END = (S.RECORDED, S.CANCELLED, S.REJECTED, S.EXPIRED, S.FILLED)
RANK_AMENDED = 1
"""The rank of a statement of terms that answers an amend: it beats another one of the same venue time."""
CODE_LISTED = "listed"
"""The code of an AMENDED that reconciliation concludes from a listing which was asked for later than the read lag after
the last news of the order: its terms are the newest, whatever their date. A format: it is in the journal."""


class OrderEvidence(msgspec.Struct, array_like=True):
    """What is proved about one order. Sizes are scaled by the instrument's size_decimals, times are nanoseconds.

    `is_sent`: bytes may have left. `is_ambiguous`: an answer left the outcome open. `is_proved`: the venue has shown
    that it has the order. `is_denied`: it was inferred that the venue never had it. `end` is the strongest stated end,
    a value of `END_OF_FACT`, 0 for none.

    `traded` is the sum of its distinct fills, voided ones included (a voided fill does not make the order live again);
    `stated` the most that the venue ever stated as filled. `not_found_ns` is when the venue last answered "not found",
    `seen_ns` when it last listed the order as open, both by receipt, -1 for never.

    `price_dated` and `size_dated` are the newest statements of price and size: (venue time, rank, value).
    `amend_since_ns` is the venue time of the newest one when an amend was requested. `stepped_ns` is 0 until the
    venue's clock is found to have been set back; then it is the newest time that was stated before that.

    `is_end_wanted`: a cancel was asked for, whatever it was answered. It proves nothing and decides no status: it is
    kept, so that a later run still asks for the end.

    `cost` is what the `traded` size cost, in the instrument's money. `inferred` is the sum of all fills that were ever
    inferred for it: it only grows, so that it names the next one. An inferred fill that was taken back never was:
    `traded` and `cost` don't hold it.
    """

    is_sent: bool = False
    is_ambiguous: bool = False
    is_proved: bool = False
    is_denied: bool = False
    is_amended: bool = False
    end: int = 0
    traded: int = 0
    stated: int = 0
    not_found_ns: int = -1
    seen_ns: int = -1
    price_dated: tuple[int, int, int] = (0, 0, 0)
    size_dated: tuple[int, int, int] = (0, 0, 0)
    amend_since_ns: int = 0
    reason_rank: tuple[int, int] = (0, 0)
    venue_order_ids: list[str] = []
    stepped_ns: int = 0
    is_end_wanted: bool = False
    cost: int = 0
    inferred: int = 0

    def canonical(self, version: int) -> tuple[object, ...]:
        """What is proved, for the digest: without the time of an amend's request, and without the cost, which snapshots
        of before do not hold. Version 1 of the form did not hold the wish for an end."""
        fields = msgspec.structs.astuple(msgspec.structs.replace(self, amend_since_ns=0, cost=0))
        return fields[:16] if version == 1 else fields

    @property
    def missing(self) -> int:
        """How much more the venue states as filled than there are fills: never negative. They must be fetched."""
        return max(0, self.stated - self.traded)

    @property
    def terms_ns(self) -> int:
        """The venue time of the newest statement of price or size, 0 before the first."""
        return max(self.price_dated[0], self.size_dated[0])

    @property
    def is_not_found(self) -> bool:
        """Whether the venue answered "not found" after it last listed the order. That proves no end (I9)."""
        return self.not_found_ns > self.seen_ns


def status_of(order: Order, evidence: OrderEvidence) -> OrderStatus:
    """The status that the evidence amounts to, the strongest first: see `framework.state.orders.transitions`."""
    known = evidence.traded if evidence.traded >= evidence.stated else evidence.stated
    if known >= size_worst(order, evidence):
        return S.FILLED
    if evidence.end:
        return _STATUS_OF_END[evidence.end]
    if evidence.is_proved:
        return _live_status(order, evidence, known)
    if evidence.is_denied:
        return S.REJECTED
    if evidence.is_ambiguous or evidence.is_not_found:
        return S.UNKNOWN
    return S.SENT if evidence.is_sent else S.RECORDED


def status_shown(
    order: Order, evidence: OrderEvidence, *, shown: OrderStatus, is_given_up: bool = False
) -> OrderStatus:
    """The order's status: what the evidence amounts to, but no end before the fills that the venue states are booked.

    Until then an order is ENDING. One that was `shown` as ended before stays so (I7): the venue's statement came later.
    `is_given_up` shows the end without them, because the venue does not list them.
    """
    status = status_of(order, evidence)
    if evidence.stated <= evidence.traded or is_given_up or not status.is_final:
        return status
    return shown if shown.is_final else S.ENDING


def size_worst(order: Order, evidence: OrderEvidence) -> Size:
    """The largest total that may trade: an unanswered amend counts until the venue stated an end, and also after it
    when more was traded than could be without the amend."""
    if order.amend_size is None or (evidence.end and max(evidence.traded, evidence.stated) <= order.size):
        return order.size
    return max(order.size, order.amend_size)


def _live_status(order: Order, evidence: OrderEvidence, known: int) -> OrderStatus:
    if evidence.is_not_found:
        return S.UNKNOWN
    if order.cancel_wanted:
        return S.CANCEL_REQUESTED
    if order.amend_size is not None:
        return S.AMEND_REQUESTED
    return S.PARTIALLY_FILLED if known else S.WORKING


def row_of(order: Order, evidence: OrderEvidence) -> Row:
    """The row of the transition table that applies to the order as it stands."""
    if order.status is S.REJECTED and not evidence.end:
        return INFERRED_ROW
    if order.status is S.UNKNOWN and evidence.is_proved:
        return TABLE[S.WORKING]
    return TABLE[order.status]


def exposed(order: Order, evidence: OrderEvidence, *, may_trade: bool) -> Size:
    """The most that may still change the position: what may trade, and what traded but is not booked yet."""
    if not may_trade:
        return Size(evidence.missing)
    size = order.size if order.amend_size is None else max(order.size, order.amend_size)
    return Size(max(size - order.filled, evidence.missing))


def learn_flags(evidence: OrderEvidence, fact: OrderFact, ts_recv: int) -> None:
    """Add what the fact as such proves. Terms and fills are added by functions of their own."""
    if fact is OrderFact.SENT:
        evidence.is_sent = True
    elif fact is OrderFact.UNKNOWN:
        evidence.is_ambiguous = True
    elif fact is OrderFact.NEVER_ARRIVED or (fact is OrderFact.NOT_SENT and not evidence.is_ambiguous):
        evidence.is_denied = True
    elif fact is OrderFact.NOT_FOUND:
        evidence.not_found_ns = max(evidence.not_found_ns, ts_recv)
    elif fact in END_OF_FACT:
        evidence.end = max(evidence.end, END_OF_FACT[fact])
    elif fact in _PROVING:
        evidence.is_proved = True
    elif fact is OrderFact.CANCEL_REQUESTED:
        evidence.is_end_wanted = True
    if fact is OrderFact.AMENDED:
        evidence.is_amended = True
    elif fact is OrderFact.SNAPSHOT_OPEN:
        evidence.seen_ns = max(evidence.seen_ns, ts_recv)


_PROVING = frozenset(
    {
        OrderFact.ACCEPTED,
        OrderFact.AMENDED,
        OrderFact.CANCEL_PENDING,
        OrderFact.SNAPSHOT_OPEN,
        OrderFact.FILL_PARTIAL,
        OrderFact.FILL_FULL,
        OrderFact.FILL_OVER,
    }
)


def stated_terms(order: Order, price: Price | None, size: Size | None) -> tuple[Price | None, Size | None]:
    """What of the venue's statement of an order's terms is one: a market order's price at the venue is none, or what it
    traded at, and an order by amount has no size there. Ours stay: the worst price, and the most that may trade."""
    return None if order.kind is OrderKind.MARKET else price, None if order.quote_amount else size


def learn_terms(
    order: Order, evidence: OrderEvidence, price: Price | None, size: Size | None, *, time_ns: int, rank: int = 0
) -> None:
    """Set price and size as stated at the venue time `time_ns`, unless a newer statement is known.

    The newest statement is the one with the latest date, as long as the venue's clock only goes forward. After it
    stepped back (`renew_terms`), dates come a second time that were stated before; they prove nothing until the clock
    has passed them.
    """
    if time_ns <= evidence.stepped_ns:
        return
    if price is not None and (time_ns, rank, price) > evidence.price_dated:
        evidence.price_dated, order.price = (time_ns, rank, price), price
    if size is not None and (time_ns, rank, size) > evidence.size_dated:
        evidence.size_dated, order.size = (time_ns, rank, size), size


def renew_terms(order: Order, evidence: OrderEvidence, price: Price, size: Size, *, time_ns: int) -> None:
    """Set price and size that are known to be newer than all that was stated before, whatever their date.

    Other terms with an earlier date prove that the venue's clock was set back: `stepped_ns` is then the time up to
    which dates come twice. With a clock that only goes forward this is `learn_terms` with `RANK_AMENDED`.
    """
    if time_ns > max(evidence.terms_ns, evidence.stepped_ns) or (price, size) == (order.price, order.size):
        learn_terms(order, evidence, price, size, time_ns=time_ns, rank=RANK_AMENDED)
        return
    evidence.stepped_ns = max(evidence.stepped_ns, evidence.terms_ns)
    evidence.price_dated, order.price = (time_ns, RANK_AMENDED, price), price
    evidence.size_dated, order.size = (time_ns, RANK_AMENDED, size), size


def learn_reason(order: Order, evidence: OrderEvidence, reason: str, *, fact: OrderFact, ts_recv: int) -> None:
    """Keep the reason of the strongest end, or of the newest refusal while there is none."""
    rank = (END_OF_FACT.get(fact, 0), ts_recv)
    if reason and (rank, reason) > (evidence.reason_rank, order.reason):
        evidence.reason_rank, order.reason = rank, reason
