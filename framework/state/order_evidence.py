"""What proves an order's status: facts that only add up, so that their order of arrival can't matter.

Each field is a flag that is only set, a maximum, or the newest of dated statements. `status_of` reads the status
from them. The two exceptions follow our own requests: an answer to a cancel or an amend comes after its request.
"""

from __future__ import annotations

import msgspec

from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, OrderStatus
from framework.domain.orders import OrderStatus as S
from framework.state.order_transitions import INFERRED_ROW, TABLE, OrderFact, Row

END_OF_FACT = {
    OrderFact.CANCELLED: 1,
    OrderFact.SNAPSHOT_ENDED: 1,
    OrderFact.REJECTED: 2,
    OrderFact.EXPIRED: 3,
    OrderFact.SNAPSHOT_FILLED: 4,
}
"""How strong an end is: the strongest stated one gives the final status."""
_STATUS_OF_END = (S.RECORDED, S.CANCELLED, S.REJECTED, S.EXPIRED, S.FILLED)
RANK_AMENDED = 1
"""A statement of terms in answer to an amend beats another one of the same moment."""
CODE_LISTED = "listed"
"""The code of an AMENDED that reconciliation concludes from a listing that was read later than the read lag after what
became known of the order: its terms are the newest, whatever their date."""


class OrderEvidence(msgspec.Struct, array_like=True):
    """What is proved about one order.

    `traded` is the sum of its distinct fills, voided ones included (a voided fill does not bring the order back);
    `stated` the most that the venue ever said was filled. `not_found_ns` is when the venue last said "not found",
    `seen_ns` when it last listed the order as open. `price_dated` and `size_dated` are the newest statements of
    price and size: (time, rank, value). `amend_since_ns` is the time of the newest one when an amend was asked for.
    `stepped_ns` is 0 until the venue's clock is found to have been set back; then it is the newest time that was stated
    before that.
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

    @property
    def missing(self) -> int:
        """What the venue says was filled and no fill of ours shows yet."""
        return max(0, self.stated - self.traded)

    @property
    def terms_ns(self) -> int:
        """The venue's time of the newest statement of price or size."""
        return max(self.price_dated[0], self.size_dated[0])

    @property
    def is_not_found(self) -> bool:
        """Whether the venue said "not found" after it last listed the order."""
        return self.not_found_ns > self.seen_ns


def status_of(order: Order, evidence: OrderEvidence) -> OrderStatus:
    """The status that the proofs amount to."""
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
    """The row of the table that applies to the order as it stands."""
    if order.status is S.REJECTED and not evidence.end:
        return INFERRED_ROW
    if order.status is S.UNKNOWN and evidence.is_proved:
        return TABLE[S.WORKING]
    return TABLE[order.status]


def exposed(order: Order, evidence: OrderEvidence, *, is_final: bool) -> Size:
    """The most that may still change the position: what may trade, and what traded but is not booked yet."""
    missing = max(0, evidence.stated - evidence.traded)
    if is_final:
        return Size(missing)
    size = order.size if order.amend_size is None else max(order.size, order.amend_size)
    return Size(max(size - order.filled, missing))


def learn_flags(evidence: OrderEvidence, fact: OrderFact, ts_recv: int) -> None:
    """Add what a fact proves by being there; terms, fills and requests are added by their own functions."""
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
    if fact is OrderFact.AMENDED:
        evidence.is_amended = True
    elif fact is OrderFact.SNAPSHOT_OPEN:
        evidence.seen_ns = max(evidence.seen_ns, ts_recv)


_PROVING = frozenset(
    {
        OrderFact.ACCEPTED,
        OrderFact.AMENDED,
        OrderFact.SNAPSHOT_OPEN,
        OrderFact.FILL_PARTIAL,
        OrderFact.FILL_FULL,
        OrderFact.FILL_OVER,
    }
)


def learn_terms(
    order: Order, evidence: OrderEvidence, price: Price | None, size: Size | None, *, time_ns: int, rank: int = 0
) -> None:
    """Take over price and size as stated at the venue's time `time_ns`, unless a newer statement is known.

    The newest is the one with the latest date, as long as the venue's clock only goes forward. After it stepped back
    (`renew_terms`) a date that had been used up before comes a second time, and proves nothing until the clock has
    passed it.
    """
    if time_ns <= evidence.stepped_ns:
        return
    if price is not None and (time_ns, rank, price) > evidence.price_dated:
        evidence.price_dated, order.price = (time_ns, rank, price), price
    if size is not None and (time_ns, rank, size) > evidence.size_dated:
        evidence.size_dated, order.size = (time_ns, rank, size), size


def renew_terms(order: Order, evidence: OrderEvidence, price: Price, size: Size, *, time_ns: int) -> None:
    """Take over price and size that are known to be newer than all that was stated before, whatever their date.

    Other terms with an earlier date prove that the venue's clock was set back: `stepped_ns` says up to where dates are
    used up. With a clock that only goes forward this is `learn_terms` with `RANK_AMENDED`.
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
