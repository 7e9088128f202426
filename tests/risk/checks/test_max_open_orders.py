from __future__ import annotations

import pytest
from pydantic import ValidationError

from framework.domain.numbers import Size
from framework.domain.orders import Side
from framework.domain.verdicts import RefusalCode
from risk.checks.max_open_orders import MaxOpenOrders
from tests.support.risk_view import Exposure, Propose, StaticView, working_order

CHECK = MaxOpenOrders(max_total=10, max_per_strategy=5, max_per_venue=7, max_per_instrument=3)


@pytest.mark.parametrize(
    ("counts", "on_instrument", "scope"),
    [
        ({"": 9, "mm": 4, "kalshi": 6}, 2, None),
        ({"": 10}, 0, "total"),
        ({"mm": 5}, 0, "strategy"),
        ({"kalshi": 7}, 0, "venue"),
        ({}, 3, "instrument"),
        ({"": -1}, 0, "total"),
    ],
)
def test_new_order_when_under_and_at_each_limit_then_refused_at_it(
    view: StaticView, propose: Propose, counts: dict[str, int], on_instrument: int, scope: str | None
) -> None:
    view.counts, view.account = counts, Exposure(open_orders=on_instrument)
    refusal = CHECK.check(propose(), view)
    assert (refusal and (refusal.code, refusal.details["scope"])) == (scope and (RefusalCode.OPEN_ORDERS_MAX, scope))


def test_limits_when_not_given_then_only_the_total_counts(view: StaticView, propose: Propose) -> None:
    view.counts = {"mm": 10**6, "kalshi": 10**6, "": 0}
    assert MaxOpenOrders(max_total=1).check(propose(), view) is None


def test_amend_when_at_the_limit_then_passes_because_it_adds_none(view: StaticView, propose_change: Propose) -> None:
    view.counts = {"": 10, "mm": 10}
    assert CHECK.check(propose_change(working_order()), view) is None


@pytest.mark.parametrize("bad", [{}, {"max_total": 0}, {"max_total": 1, "max_per_venue": -1}])
def test_settings_when_a_limit_is_missing_or_none_then_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        MaxOpenOrders.model_validate(bad)


@pytest.mark.parametrize(
    ("own", "side", "passes"),
    [
        (Exposure(Size(1_000)), Side.SELL, True),
        (Exposure(Size(1_000), open_buy=Size(500)), Side.SELL, True),
        (Exposure(Size(1_000)), Side.BUY, False),
        (Exposure(Size(999)), Side.SELL, False),
        (Exposure(Size(2_000), open_sell=Size(1)), Side.SELL, False),
        (Exposure(Size(-1_000)), Side.BUY, True),
        (Exposure(Size(-2_000), open_buy=Size(1)), Side.BUY, False),
        (Exposure(), Side.SELL, False),
    ],
)
def test_exit_when_every_count_is_full_then_a_strategy_has_one_place_on_the_side_that_closes(
    view: StaticView, propose: Propose, own: Exposure, side: Side, passes: bool
) -> None:
    view.counts, view.account = {"": 10, "mm": 5, "kalshi": 7}, Exposure(open_sell=Size(9_000), open_orders=3)
    view.own = own
    assert (CHECK.check(propose(side=side), view) is None) is passes
