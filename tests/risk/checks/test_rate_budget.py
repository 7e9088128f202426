from __future__ import annotations

import pytest

from framework.domain.numbers import Size
from framework.domain.orders import Side
from framework.domain.rate_limits import Cost, Pool, RateLimits, RequestKind
from framework.domain.verdicts import RefusalCode
from risk.budget.venue_budget import BudgetSettings, VenueBudget
from risk.checks.rate_budget import RateBudget
from tests.support.desk import CountedBudget
from tests.support.risk_view import Exposure, Propose, StaticView, working_order

S = 10**9


def test_order_when_the_venue_declared_nothing_then_refused(view: StaticView, propose: Propose) -> None:
    refusal = RateBudget().check(propose(), view)
    assert refusal is not None
    assert refusal.code is RefusalCode.LIMITS_UNKNOWN


@pytest.mark.parametrize(
    ("kind", "other"),
    [(RequestKind.NEW, RequestKind.AMEND), (RequestKind.AMEND, RequestKind.NEW), (RequestKind.REDUCE, RequestKind.NEW)],
)
def test_order_when_its_own_kind_has_room_then_passes_and_else_says_when_to_come_again(
    view: StaticView,
    propose: Propose,
    propose_change: Propose,
    kind: RequestKind,
    other: RequestKind,
) -> None:
    if kind is RequestKind.REDUCE:
        view.account = view.own = Exposure(Size(1_000))
    proposal = propose_change(working_order()) if kind is RequestKind.AMEND else propose(side=Side.SELL)
    view.budgets = {"kalshi": CountedBudget({kind: 1})}
    assert RateBudget().check(proposal, view) is None
    view.budgets = {"kalshi": CountedBudget({other: 1}, wait=1_000_001)}
    refusal = RateBudget().check(proposal, view)
    assert refusal is not None
    assert refusal.code is RefusalCode.BUDGET_EXHAUSTED
    assert refusal.details == {"venue": "kalshi", "kind": kind.value, "wait_ms": 2}


def test_order_when_only_the_strategys_share_is_used_up_then_that_is_said(view: StaticView, propose: Propose) -> None:
    limits = RateLimits((Pool("write", 100, 100),), (Cost(RequestKind.NEW, "write", 10),))
    settings = BudgetSettings(cancel_reserve_percent=0, clock_drift_ppm=0)
    budget = VenueBudget(limits, monotonic_ns=0, shares={"mm": 1, "other": 1}, settings=settings)
    view.budgets = {"kalshi": budget}
    budget.advance(S // 5)
    assert RateBudget().check(propose(), view) is None
    budget.hold(RequestKind.NEW, "mm")
    refusal = RateBudget().check(propose(), view)
    assert refusal is not None
    assert (refusal.code, refusal.details["wait_ms"]) == (RefusalCode.BUDGET_SHARE, 200)
    budget.hold(RequestKind.NEW, "other")
    refusal = RateBudget().check(propose(), view)
    assert refusal is not None
    assert refusal.code is RefusalCode.BUDGET_EXHAUSTED
