"""The table of transitions: complete, and what the state really does."""

from __future__ import annotations

import pytest

from framework.domain.account_events import Fill, OrderReport, OrderSnapshot, ReportKind
from framework.domain.orders import OrderStatus
from framework.domain.verdicts import Approved
from framework.state.accounts import Accounts
from framework.state.orders.transitions import INFERRED_ROW, LIVE, TABLE, OrderFact, Step, fact_of, transition_table
from tests.support.state_records import amend, cancel, fill, listed, new, report

K, F, S = ReportKind, OrderFact, OrderStatus
Record = Approved | OrderReport | OrderSnapshot | Fill

PATHS: dict[str, tuple[Record, ...]] = {
    "recorded": (new(),),
    "sent": (new(), report(K.SENT)),
    "unknown": (new(), report(K.SENT), report(K.UNKNOWN)),
    "working": (new(), report(K.ACCEPTED)),
    "partially_filled": (new(), fill("f0", size=4)),
    "cancel_requested": (new(), report(K.ACCEPTED), cancel()),
    "amend_requested": (new(), report(K.ACCEPTED), amend(price=51)),
    "ending": (new(), report(K.ACCEPTED, filled=10)),
    "filled": (new(), fill("f0", size=10)),
    "cancelled": (new(), report(K.CANCELLED)),
    "expired": (new(), report(K.EXPIRED)),
    "rejected": (new(), report(K.REJECTED)),
    "inferred": (new(), report(K.NEVER_ARRIVED)),
}


def record_of(fact: OrderFact, booked: int) -> Record:
    """A record that states `fact` about an order of size 10 of which `booked` is filled."""
    sizes = {F.FILL_PARTIAL: 1, F.FILL_FULL: 10 - booked, F.FILL_OVER: 11 - booked}
    others: dict[OrderFact, Record] = {
        F.CANCEL_REQUESTED: cancel(),
        F.AMEND_REQUESTED: amend(price=52),
        F.SNAPSHOT_OPEN: listed(),
        F.SNAPSHOT_ENDED: listed(is_open=False),
        F.SNAPSHOT_FILLED: listed(is_open=False, filled=10),
        F.NOT_FOUND: report(K.CANCEL_REFUSED, code="not_found", at=20),
    }
    if fact in sizes:
        return fill("f9", size=sizes[fact])
    return others[fact] if fact in others else report(K[fact.name])


def reached(name: str) -> Accounts:
    accounts = Accounts()
    for record in PATHS[name]:
        accounts.apply(record, 1)
    return accounts


def step_of(name: str, fact: OrderFact) -> Step:
    return INFERRED_ROW[fact] if name == "inferred" else TABLE[S(name)][fact]


def test_table_when_walked_then_has_an_answer_for_every_pair() -> None:
    assert set(TABLE) == set(OrderStatus)
    for row in (*TABLE.values(), INFERRED_ROW):
        assert set(row) == set(OrderFact)


@pytest.mark.parametrize("fact", OrderFact, ids=lambda fact: fact.name)
@pytest.mark.parametrize("name", PATHS)
def test_state_when_a_fact_meets_a_status_then_does_what_the_table_says(name: str, fact: OrderFact) -> None:
    if name == "filled" and fact in (F.FILL_PARTIAL, F.FILL_FULL):
        pytest.skip("a filled order has nothing left: another fill goes beyond it")
    accounts = reached(name)
    order = accounts.orders.get("c1")
    assert order is not None
    before, step = order.status, step_of(name, fact)
    assert before is (S.REJECTED if name == "inferred" else S(name))
    change = accounts.apply(record_of(fact, order.filled), 2)
    expected = before if step.status is None else step.status
    if expected is S.WORKING and order.filled:
        expected = S.PARTIALLY_FILLED  # a live status stands for all of them
    assert order.status is expected
    assert bool(change.alarms) is step.is_alarm


@pytest.mark.parametrize("status", [S.FILLED, S.CANCELLED, S.EXPIRED, S.REJECTED], ids=lambda status: status.name)
def test_table_when_an_order_has_ended_then_no_fact_brings_it_back(status: OrderStatus) -> None:
    for step in TABLE[status].values():
        assert step.status is None or step.status.is_final


def test_table_when_unknown_then_only_evidence_ends_it() -> None:
    end_facts = {fact for fact, step in TABLE[S.UNKNOWN].items() if step.status is not None}
    assert end_facts == {
        F.ACCEPTED,
        F.REJECTED,
        F.CANCELLED,
        F.AMENDED,
        F.CANCEL_PENDING,
        F.EXPIRED,
        F.NEVER_ARRIVED,
        F.FILL_PARTIAL,
        F.FILL_FULL,
        F.FILL_OVER,
        F.SNAPSHOT_OPEN,
        F.SNAPSHOT_ENDED,
        F.SNAPSHOT_FILLED,
    }


def test_table_when_a_cancel_is_refused_then_nothing_ends() -> None:
    for row in TABLE.values():
        for fact in (F.CANCEL_REFUSED, F.AMEND_REFUSED, F.NOT_FOUND):
            status = row[fact].status
            assert status is None or not status.is_final


def test_inferred_row_when_existence_is_proved_then_alarms() -> None:
    for fact in (F.ACCEPTED, F.AMENDED, F.SNAPSHOT_OPEN, F.FILL_PARTIAL):
        assert INFERRED_ROW[fact].is_alarm
        assert INFERRED_ROW[fact].status in LIVE


def test_fact_when_refusal_says_not_found_then_is_a_fact_of_its_own() -> None:
    assert fact_of(K.CANCEL_REFUSED, "not_found") is F.NOT_FOUND
    assert fact_of(K.AMEND_REFUSED, "not_found") is F.NOT_FOUND
    assert fact_of(K.CANCEL_REFUSED, "too_late") is F.CANCEL_REFUSED
    assert fact_of(K.REJECTED, "not_found") is F.REJECTED
    assert {fact_of(kind, "") for kind in K} < set(OrderFact)


def test_transition_table_when_printed_then_has_a_row_per_fact_and_a_column_per_status() -> None:
    lines = transition_table().splitlines()
    print("\n".join(lines))
    assert len(lines) == 2 + len(OrderFact)
    assert {line.count("|") for line in lines} == {len(OrderStatus) + 3}
    assert "| sent | sent |" in transition_table()
    assert "rejected ⚠" in transition_table()
