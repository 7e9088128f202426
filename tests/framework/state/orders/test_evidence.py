"""What the evidence about an order amounts to."""

from __future__ import annotations

import msgspec
import pytest

from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, OrderStatus
from framework.state.orders.evidence import OrderEvidence, learn_flags, learn_reason, learn_terms, status_of
from framework.state.orders.transitions import OrderFact
from tests.support import state_records

S = OrderStatus


@pytest.fixture
def order() -> Order:
    return state_records.order()


LADDER: list[tuple[dict[str, object], OrderStatus]] = [
    ({}, S.RECORDED),
    ({"is_sent": True}, S.SENT),
    ({"is_ambiguous": True}, S.UNKNOWN),
    ({"is_denied": True}, S.REJECTED),
    ({"is_proved": True}, S.WORKING),
    ({"traded": 3}, S.PARTIALLY_FILLED),
    ({"not_found_ns": 5}, S.UNKNOWN),
    ({"seen_ns": 5}, S.PARTIALLY_FILLED),
    ({"end": 1}, S.CANCELLED),
    ({"end": 2}, S.REJECTED),
    ({"end": 3}, S.EXPIRED),
    ({"stated": 10}, S.FILLED),
]


def test_status_when_evidence_adds_up_then_the_strongest_decides(order: Order) -> None:
    evidence = OrderEvidence()
    for news, status in LADDER:
        evidence = msgspec.structs.replace(evidence, **news)
        assert status_of(order, evidence) is status, news


def test_status_when_a_larger_amend_is_open_then_filled_waits_for_it_unless_the_order_ended(order: Order) -> None:
    order.amend_size = Size(12)
    assert status_of(order, OrderEvidence(is_proved=True, traded=10)) is S.AMEND_REQUESTED
    assert status_of(order, OrderEvidence(is_proved=True, traded=10, end=1)) is S.FILLED


def test_status_when_more_traded_than_the_old_size_then_the_open_amend_counts_after_the_end_too(order: Order) -> None:
    order.amend_size = Size(12)
    assert status_of(order, OrderEvidence(is_proved=True, traded=11, end=1)) is S.CANCELLED
    assert status_of(order, OrderEvidence(is_proved=True, traded=12, end=1)) is S.FILLED


def test_flags_when_learnt_in_any_order_then_the_strongest_end_stays() -> None:
    evidence = OrderEvidence()
    for fact in (OrderFact.EXPIRED, OrderFact.CANCELLED, OrderFact.REJECTED, OrderFact.SNAPSHOT_ENDED):
        learn_flags(evidence, fact, 1)
    assert evidence.end == 3


def test_terms_when_price_and_size_are_stated_apart_then_each_follows_its_newest(order: Order) -> None:
    evidence = OrderEvidence()
    learn_terms(order, evidence, Price(51), None, time_ns=20)
    learn_terms(order, evidence, Price(49), Size(8), time_ns=10)
    assert (order.price, order.size) == (51, 8)


def test_terms_when_stated_at_one_time_then_the_answer_to_an_amend_wins(order: Order) -> None:
    evidence = OrderEvidence()
    learn_terms(order, evidence, None, Size(5), time_ns=10, rank=1)
    learn_terms(order, evidence, None, Size(10), time_ns=10)
    assert order.size == 5


def test_reason_when_an_end_is_known_then_refusals_do_not_replace_it(order: Order) -> None:
    evidence = OrderEvidence()
    learn_reason(order, evidence, "too_late", fact=OrderFact.CANCEL_REFUSED, ts_recv=5)
    learn_reason(order, evidence, "expired", fact=OrderFact.EXPIRED, ts_recv=6)
    learn_reason(order, evidence, "too_late", fact=OrderFact.CANCEL_REFUSED, ts_recv=7)
    learn_reason(order, evidence, "", fact=OrderFact.EXPIRED, ts_recv=8)
    assert order.reason == "expired"
