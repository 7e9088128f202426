from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from framework.domain.intents import AmendOrder, NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side
from framework.domain.rate_limits import RequestKind
from framework.domain.verdicts import Approved, RefusalCode
from risk.checks.duplicate_order import DuplicateOrder, RecentOrders
from tests.support.risk_view import SPOT, Propose, StaticView, new_order, working_order

MS = 1_000_000
CHECK = DuplicateOrder(duplicate_ms=100)


def approved(intent: NewOrder | AmendOrder) -> Approved:
    return Approved(intent=intent, venue="kalshi", client_order_id="c1", request_kind=RequestKind.NEW, ts_ns=1)


def placed(view: StaticView, check: DuplicateOrder = CHECK, **terms: Any) -> RecentOrders:
    """The check at work, after one order of `terms` was approved."""
    recent = check.begin()
    recent.follow(approved(new_order(**terms)), view)
    return recent


@pytest.mark.parametrize(
    ("age_ns", "is_refused"), [(0, True), (99 * MS, True), (100 * MS, True), (100 * MS + 1, False), (10**12, False)]
)
def test_order_when_it_repeats_one_before_at_and_after_the_time_then_refused_within_it(
    view: StaticView, propose: Propose, age_ns: int, is_refused: bool
) -> None:
    recent = placed(view)
    view.monotonic_ns += age_ns
    refusal = recent.check(propose(), view)
    assert (refusal is not None and refusal.code is RefusalCode.DUPLICATE_ORDER) is is_refused


def test_refusal_when_given_then_it_says_how_old_the_other_one_is_and_what_to_do(
    view: StaticView, propose: Propose
) -> None:
    recent = placed(view)
    view.monotonic_ns += 7 * MS
    refusal = recent.check(propose(), view)
    assert refusal is not None
    assert refusal.text == "age_ms=7 duplicate_ms=100 give=allow_duplicate=True if it is meant"


@pytest.mark.parametrize(
    "other", [{"side": Side.SELL}, {"price": 5_100}, {"size": 900}, {"instrument": SPOT}, {"strategy": "other"}]
)
def test_order_when_it_differs_in_one_respect_then_it_passes(
    view: StaticView, propose: Propose, other: dict[str, Any]
) -> None:
    recent = placed(view)
    strategy = {"strategy": other.pop("strategy")} if "strategy" in other else {}
    assert recent.check(propose(**other, **strategy), view) is None


@pytest.mark.parametrize("terms", [{"post_only": True}, {"deadline_ns": 5}, {"allow_duplicate": False}])
def test_order_when_it_differs_in_something_else_then_it_is_the_same(
    view: StaticView, propose: Propose, terms: dict[str, Any]
) -> None:
    assert placed(view).check(propose(**terms), view) is not None


def test_order_when_it_says_that_it_is_meant_then_it_passes_and_counts_for_the_next(
    view: StaticView, propose: Propose
) -> None:
    recent = placed(view, allow_duplicate=True)
    assert recent.check(propose(allow_duplicate=True), view) is None
    assert recent.check(propose(), view) is not None


def test_order_when_the_time_is_0_then_nothing_is_refused_or_kept(view: StaticView, propose: Propose) -> None:
    recent = placed(view, DuplicateOrder(duplicate_ms=0))
    assert recent.check(propose(), view) is None
    assert not recent.approved_ns


def test_amend_when_it_has_the_terms_of_an_order_then_it_passes_and_is_not_kept(
    view: StaticView, propose_change: Propose
) -> None:
    recent = placed(view)
    assert recent.check(propose_change(working_order(), price=5_000, size=1_000), view) is None
    amend = AmendOrder(strategy="mm", client_order_id="c1", price=Price(5_000), size=Size(1_000))
    recent.follow(approved(amend), view)
    assert len(recent.approved_ns) == 1


def test_memory_when_many_orders_come_then_it_holds_those_of_the_time_alone(view: StaticView) -> None:
    recent = CHECK.begin()
    for price in range(1, 2_001):
        recent.follow(approved(new_order(price=price)), view)
        recent.follow(approved(new_order(price=1)), view)
        view.monotonic_ns += MS
    assert len(recent.approved_ns) == 102


def test_check_when_begun_twice_then_each_run_has_a_memory_of_its_own(view: StaticView, propose: Propose) -> None:
    placed(view)
    assert CHECK.begin().check(propose(), view) is None


def test_settings_when_they_change_while_it_runs_then_orders_of_before_are_known(
    view: StaticView, propose: Propose
) -> None:
    recent = DuplicateOrder(duplicate_ms=300).begin(placed(view))
    view.monotonic_ns += 200 * MS
    assert recent.check(propose(), view) is not None


def test_settings_when_the_time_is_negative_or_missing_then_refused() -> None:
    for settings in ({}, {"duplicate_ms": -1}, {"duplicate_ms": "200 ms"}):
        with pytest.raises(ValidationError, match="duplicate_ms"):
            DuplicateOrder.model_validate(settings)
