from __future__ import annotations

import pytest
from pydantic import ValidationError

from framework.domain.numbers import Size
from framework.domain.orders import Side
from framework.domain.verdicts import RefusalCode
from risk.checks.max_position import MaxPosition
from tests.support.risk_view import Exposure, Propose, StaticView, working_order

CHECK = MaxPosition.model_validate({"max_position": "20", "max_strategy_position": "15"})


def exposure(position: int, open_buy: int = 0, open_sell: int = 0) -> Exposure:
    return Exposure(Size(position), Size(open_buy), Size(open_sell))


@pytest.mark.parametrize(
    ("account", "side", "passes"),
    [
        (exposure(999), Side.BUY, True),
        (exposure(1_000), Side.BUY, True),
        (exposure(1_001), Side.BUY, False),
        (exposure(500, open_buy=500), Side.BUY, True),
        (exposure(500, open_buy=501), Side.BUY, False),
        (exposure(501, open_buy=500, open_sell=5_000), Side.BUY, False),
        (exposure(-1_000), Side.SELL, True),
        (exposure(-1_001), Side.SELL, False),
        (exposure(-500, open_sell=500), Side.SELL, True),
        (exposure(-500, open_buy=5_000, open_sell=501), Side.SELL, False),
        (exposure(3_000), Side.SELL, True),
        (exposure(-3_000), Side.BUY, True),
    ],
)
def test_account_when_the_worst_case_is_under_at_and_over_the_limit_then_only_over_is_refused(
    view: StaticView, propose: Propose, account: Exposure, side: Side, passes: bool
) -> None:
    view.account = account
    refusal = CHECK.check(propose(side=side), view)
    assert (refusal is None) is passes
    if refusal is not None:
        assert refusal.code is RefusalCode.POSITION_MAX
        assert "scope=account" in refusal.text


@pytest.mark.parametrize(("position", "passes"), [(499, True), (500, True), (501, False)])
def test_strategy_when_its_own_worst_case_is_over_then_refused_though_the_account_is_not(
    view: StaticView, propose: Propose, position: int, passes: bool
) -> None:
    view.own = exposure(position)
    refusal = CHECK.check(propose(), view)
    assert (refusal is None) is passes
    assert refusal is None or "scope=strategy" in refusal.text


def test_reducing_when_far_over_the_limit_then_passes_but_not_when_it_could_turn_the_position(
    view: StaticView, propose: Propose
) -> None:
    tight = MaxPosition.model_validate({"max_position": "0.01"})
    view.account = view.own = exposure(9_000)
    assert tight.check(propose(side=Side.SELL, size=9_000), view) is None
    assert tight.check(propose(side=Side.SELL, size=9_001), view) is None, "one hundredth short is the limit"
    assert tight.check(propose(side=Side.SELL, size=9_002), view) is not None
    view.account = view.own = exposure(9_000, open_sell=1)
    assert tight.check(propose(side=Side.SELL, size=9_001), view) is not None


def test_many_in_one_tick_when_each_alone_would_pass_then_together_they_stay_under_the_limit(
    view: StaticView, propose: Propose
) -> None:
    passed = 0
    for _ in range(100):
        if CHECK.check(propose(size=100), view) is None:
            passed += 1
            view.account = exposure(0, open_buy=passed * 100)
    assert passed == 20


def test_amend_when_it_grows_then_only_the_growth_is_added(view: StaticView, propose_change: Propose) -> None:
    order = working_order(filled=Size(400))
    view.account = exposure(1_000, open_buy=600)
    assert CHECK.check(propose_change(order, size=1_400), view) is None
    assert CHECK.check(propose_change(order, size=1_401), view) is not None
    assert CHECK.check(propose_change(order, size=500), view) is None


def test_settings_when_exceptions_have_no_general_limit_then_refused() -> None:
    with pytest.raises(ValidationError, match="strategy_overrides"):
        MaxPosition.model_validate({"max_position": "1", "strategy_overrides": {"*": "1"}})


def test_amend_when_already_over_the_limit_then_may_shrink_and_not_stay(
    view: StaticView, propose_change: Propose
) -> None:
    view.account = view.own = exposure(2_500, open_buy=1_000)
    order = working_order()
    assert CHECK.check(propose_change(order, size=999), view) is None
    assert CHECK.check(propose_change(order, size=1_000), view) is not None
