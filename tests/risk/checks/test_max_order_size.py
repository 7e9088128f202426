from __future__ import annotations

import pytest

from framework.domain.numbers import Size
from framework.domain.orders import Side
from framework.domain.verdicts import RefusalCode
from risk.checks.max_order_size import MaxOrderSize
from tests.support.risk_view import BINARY, SPOT, Exposure, Propose, StaticView, working_order

CHECK = MaxOrderSize.model_validate({"max_size": "10", "overrides": {"coin:*": "0.5"}})


@pytest.mark.parametrize(
    ("instrument", "size", "passes"),
    [
        (BINARY, 999, True),
        (BINARY, 1_000, True),
        (BINARY, 1_001, False),
        (SPOT, 50_000_000, True),
        (SPOT, 50_000_001, False),
    ],
)
def test_size_when_under_at_and_over_the_limit_then_only_over_is_refused(
    view: StaticView, propose: Propose, instrument: object, size: int, passes: bool
) -> None:
    refusal = CHECK.check(propose(instrument, size=size), view)
    assert (refusal is None) is passes
    if refusal is not None:
        assert refusal.code is RefusalCode.ORDER_SIZE_MAX
        assert f"size={size}" in refusal.text


def test_amend_when_part_has_filled_then_that_part_counts_too(view: StaticView, propose_change: Propose) -> None:
    order = working_order(filled=Size(500), size=Size(900))
    assert CHECK.check(propose_change(order, size=1_000), view) is None
    refusal = CHECK.check(propose_change(order, size=1_001), view)
    assert refusal is not None
    assert refusal.text == "size=1001 max_size=1000 filled=500"


def test_order_when_it_only_closes_then_may_be_of_any_size(view: StaticView, propose: Propose) -> None:
    view.account = view.own = Exposure(Size(5_000))
    assert CHECK.check(propose(side=Side.SELL, size=5_000), view) is None
    assert CHECK.check(propose(side=Side.SELL, size=5_001), view) is not None, "it could turn the position"
    view.account = Exposure(Size(4_999))
    assert CHECK.check(propose(side=Side.SELL, size=5_000), view) is not None, "the account could turn"


def test_amend_when_over_the_limit_then_may_shrink_and_not_stay(view: StaticView, propose_change: Propose) -> None:
    order = working_order(size=Size(3_000))
    assert CHECK.check(propose_change(order, size=2_999), view) is None
    assert CHECK.check(propose_change(order, size=3_000), view) is not None
