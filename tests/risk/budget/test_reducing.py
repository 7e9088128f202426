"""Reducing requests have precedence, not impunity."""

from __future__ import annotations

import pytest

from framework.domain.market_events import RequestOutcome
from framework.domain.rate_limits import RequestKind
from risk.budget.fair_share import FairShare
from risk.budget.venue_budget import BudgetSettings, VenueBudget
from tests.bench.budget import LIMITS, Asker, share

NEW, REDUCE, CANCEL = RequestKind.NEW, RequestKind.REDUCE, RequestKind.CANCEL
S = 10**9
KINDS = pytest.mark.parametrize("second", [NEW, REDUCE], ids=lambda kind: f"beside-{kind.value}")


@KINDS
@pytest.mark.parametrize("first", [NEW, REDUCE], ids=lambda kind: kind.value)
def test_strategies_when_both_ask_without_pause_then_each_has_its_half_whatever_it_asks_for(
    first: RequestKind, second: RequestKind
) -> None:
    found = share((Asker("a", first, 0), Asker("b", second, 0)), seconds=60)

    assert abs(found["a"].served - found["b"].served) <= 3
    assert sum(one.served for one in found.values()) >= 1_200, "all of the flow is used"
    assert max(one.longest_ms for one in found.values()) <= 200


@KINDS
@pytest.mark.parametrize("first", [NEW, REDUCE], ids=lambda kind: kind.value)
def test_strategy_when_it_asks_now_and_then_beside_one_that_never_pauses_then_it_is_served_at_once(
    first: RequestKind, second: RequestKind
) -> None:
    found = share((Asker("loud", first, 0), Asker("calm", second, 500)), seconds=60)

    assert found["calm"].longest_ms <= 20
    assert found["loud"].served >= 1_060, "and what it leaves is not wasted"


@pytest.mark.parametrize("idle", [0, 6])
def test_strategies_when_several_storm_with_reducing_requests_then_new_orders_of_another_still_have_their_part(
    idle: int,
) -> None:
    askers = (*(Asker(f"loud{n}", REDUCE, 0) for n in range(3)), Asker("calm", NEW, 0))
    found = share(askers, seconds=60, idle=tuple(f"idle{n}" for n in range(idle)))

    fair = sum(one.served for one in found.values()) / len(found)
    assert all(0.7 * fair <= one.served <= 1.4 * fair for one in found.values())
    assert found["calm"].longest_ms <= 700


def test_reducing_when_all_shares_are_used_up_then_each_strategy_may_borrow_one_request_and_pays_it_back_first() -> (
    None
):
    budget = VenueBudget(LIMITS, monotonic_ns=0, shares={"a": 1, "b": 1})
    budget.advance(5 * S)
    for name in "ab":
        while budget.available(NEW, name):
            budget.hold(NEW, name)
    assert [budget.available(REDUCE, name) for name in "ab"] == [1, 1]

    budget.hold(REDUCE, "a")
    budget.complete(REDUCE, "a", RequestOutcome.SPENT)

    assert [budget.available(REDUCE, name) for name in "ab"] == [0, 0], "the reserve has one request for reducing"
    assert [budget.wait_ns(REDUCE, name) > 0 for name in "ab"] == [True, True]
    assert budget.available(CANCEL, "b") == 5, "the lower half is for cancels alone"
    budget.advance(5 * S + S // 10 + 100_000)
    assert [budget.available(REDUCE, name) for name in "ab"] == [1, 1], "its own flow has paid it back"


def test_reducing_when_the_strategy_has_cancelled_a_lot_then_its_debt_does_not_hold_it_back() -> None:
    share = FairShare({"a": 1, "b": 1}, capacity=100, rate_per_weight=1, at_ns=0, reserve=20, request=10)
    share.owe("a", 40, 0)  # The pool is 40 short of the reserve; 20 ns later it is back at it.

    assert share.available("a", 0, 20) <= 0
    assert share.available_reducing("a", 20, 20) == 10
    share.take_reducing("a", 10, 20, 20)
    assert share.available_reducing("a", 10, 20) == 0
    assert share.wait_reducing_ns("a", 10, 10, 20) == 10
    assert share.available_reducing("a", 30, 30) == 10, "what was borrowed is paid back before what the cancels owe"


def test_stranger_when_it_reduces_then_it_has_what_is_common() -> None:
    share = FairShare({"a": 1, "b": 1}, capacity=100, rate_per_weight=1, at_ns=0, reserve=20, request=10)

    assert share.available_reducing("x", 60, 10) == 60 - 20 - 20
    share.take_reducing("x", 10, 60, 10)
    assert share.wait_reducing_ns("x", 10, 30, 10) > 10**18


@pytest.mark.parametrize("strategies", [2, 3, 4])
@pytest.mark.parametrize("percent", [0, 10, 50])
def test_new_orders_when_all_others_storm_with_reducing_ones_then_a_reserve_of_any_size_lets_them_in(
    percent: int, strategies: int
) -> None:
    budget = VenueBudget(
        LIMITS,
        monotonic_ns=0,
        shares=dict.fromkeys("abcd"[:strategies], 1),
        settings=BudgetSettings(cancel_reserve_percent=percent, clock_drift_ppm=0),
    )
    counts = dict.fromkeys("abcd"[:strategies], 0)
    for now_ms in range(5_000, 35_000):
        budget.advance(now_ms * 1_000_000)
        for name in counts:
            kind = NEW if name == "b" else REDUCE
            if budget.available(kind, name):
                budget.hold(kind, name)
                budget.start(kind)
                budget.complete(kind, name, RequestOutcome.SPENT)
                counts[name] += 1

    assert counts["b"] >= 0.8 * 600 / strategies, counts
