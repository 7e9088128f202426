"""Any order of arrival of the same facts ends in the same state."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from framework.domain.account_events import Fill, FillVoided, OrderReport, OrderSnapshot, ReportKind
from framework.domain.orders import OrderStatus, Side
from framework.domain.verdicts import Approved
from framework.state.accounts import Accounts
from tests.support.state_records import MARKET, VENUE, amend, cancel, fill, listed, new, report

K = ReportKind
Record = Approved | OrderReport | OrderSnapshot | Fill | FillVoided
ANSWERS = {
    "cancel": {K.CANCELLED, K.CANCEL_REFUSED},
    "amend": {K.AMENDED, K.AMEND_REFUSED},
}


@st.composite
def lives(draw: st.DrawFn) -> list[Record]:
    """What becomes known of one order: a history at a venue, reported by several sources, in the order it happened."""
    facts: list[Record] = [new(side=draw(st.sampled_from(Side))), report(K.SENT, at=2)]
    side = Side.BUY if facts[0].intent.side is Side.BUY else Side.SELL  # type: ignore[union-attr]
    if draw(st.booleans()):
        facts.append(report(K.UNKNOWN, at=3))
    facts.append(report(K.ACCEPTED, at=4, venue_order_id="v1"))
    price, size, filled, now = 50, 10, 0, 10
    if draw(st.booleans()):
        grown = draw(st.integers(8, 14))
        facts.append(amend(price=51, size=grown))
        if draw(st.booleans()):
            price, size = 51, grown
            facts.append(report(K.AMENDED, at=now, price=51, size=size))
        else:
            facts.append(report(K.AMEND_REFUSED, at=now, code="too_late"))
    for number, part in enumerate(draw(st.lists(st.integers(1, 4), max_size=3))):
        part = min(part, size - filled)
        if part == 0:
            break
        filled, now = filled + part, now + 10
        name = draw(st.sampled_from(["c1", ""]))
        traded_at, fee = draw(st.integers(40, 60)), draw(st.integers(0, 3))
        facts.append(fill(f"f{number}", name=name, side=side, price=traded_at, size=part, fee=fee, at=now))
        if draw(st.booleans()):
            name = draw(st.sampled_from(["c1", ""]))
            facts.append(listed(name, filled=filled, size=size, price=price, at=now + 1, side=side, ts_venue=now + 1))
        if draw(st.integers(0, 5)) == 0:
            facts.append(FillVoided(venue=VENUE, fill_id=f"f{number}", ts_recv=now + 2))
    return facts + draw(ends(size, filled, side))


@st.composite
def ends(draw: st.DrawFn, size: int, filled: int, side: Side) -> list[Record]:
    """How it went on: a cancel that worked or not, an expiry, a listing as ended, or nothing."""
    end = draw(st.sampled_from(["none", "cancelled", "refused", "not found", "expired", "listed"]))
    if filled == size:
        end = draw(st.sampled_from(["none", "refused", "not found", "listed"]))
    tails: dict[str, list[Record]] = {
        "none": [],
        "cancelled": [cancel(), report(K.CANCELLED, at=100, filled=filled)],
        "refused": [cancel(), report(K.CANCEL_REFUSED, at=100, code="too_late")],
        "not found": [cancel(), report(K.CANCEL_REFUSED, at=100, code="not_found")],
        "expired": [report(K.EXPIRED, at=100), listed(is_open=False, filled=filled, size=size, at=101, side=side)],
        "listed": [listed(is_open=False, filled=filled, size=size, at=100, side=side)],
    }
    return tails[end]


def is_answer(fact: Record, request: str) -> bool:
    return isinstance(fact, OrderReport) and fact.kind in ANSWERS[request]


def in_causal_order(facts: Sequence[Record]) -> list[Record]:
    """Our own requests before their answers, and the order's approval before everything."""
    ordered = list(facts)
    for request, type_name in (("cancel", "CancelOrder"), ("amend", "AmendOrder")):
        asked = [n for n, one in enumerate(ordered) if type(getattr(one, "intent", None)).__name__ == type_name]
        answered = [n for n, one in enumerate(ordered) if is_answer(one, request)]
        if asked and answered and answered[0] < asked[0]:
            ordered.insert(answered[0], ordered.pop(asked[0]))
    return ordered


def fold(facts: Sequence[Record]) -> Accounts:
    accounts = Accounts()
    for now_ns, fact in enumerate(facts):
        accounts.apply(fact, now_ns)
    return accounts


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_state_when_facts_come_in_any_order_and_twice_then_is_the_same(data: st.DataObject) -> None:
    life = data.draw(lives())
    in_order = fold(life)
    repeated = data.draw(st.lists(st.sampled_from([fact for fact in life[1:] if not isinstance(fact, Approved)])))
    shuffled = in_causal_order([life[0], *data.draw(st.permutations([*life[1:], *repeated]))])
    shuffled_state = fold(shuffled)
    assert shuffled_state.digest() == in_order.digest()
    assert shuffled_state.exposure(MARKET) == in_order.exposure(MARKET)
    order = shuffled_state.orders.get("c1")
    assert order is not None
    voided = {one.fill_id for one in life if isinstance(one, FillVoided)}
    booked = [one for one in life if isinstance(one, Fill) and one.fill_id not in voided]
    assert order.filled == sum(one.size for one in booked)
    assert shuffled_state.positions.account(MARKET).size == sum(one.side.sign * one.size for one in booked)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(lives())
def test_state_when_the_end_is_reported_last_or_first_then_final_stays_final(life: list[Record]) -> None:
    accounts = Accounts()
    has_ended = False
    for now_ns, fact in enumerate(life):
        accounts.apply(fact, now_ns)
        order = accounts.orders.get("c1")
        assert order is not None
        assert order.status.is_final or not has_ended
        has_ended = order.status.is_final and order.status is not OrderStatus.FILLED
