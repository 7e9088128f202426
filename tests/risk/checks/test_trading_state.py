from __future__ import annotations

import pytest

from framework.domain.account_events import TradingState
from framework.domain.numbers import Size
from framework.domain.orders import Side
from framework.domain.verdicts import RefusalCode
from risk.checks.trading_state import TradingStateCheck
from tests.support.risk_view import Exposure, Propose, StaticView


@pytest.mark.parametrize(
    ("state", "side", "code"),
    [
        (TradingState.ACTIVE, Side.BUY, None),
        (TradingState.ACTIVE, Side.SELL, None),
        (TradingState.REDUCING, Side.BUY, RefusalCode.TRADING_REDUCING),
        (TradingState.REDUCING, Side.SELL, None),
        (TradingState.HALTED, Side.BUY, RefusalCode.TRADING_HALTED),
        (TradingState.HALTED, Side.SELL, RefusalCode.TRADING_HALTED),
        (None, Side.SELL, RefusalCode.TRADING_HALTED),
        ("active", Side.SELL, RefusalCode.TRADING_HALTED),
    ],
)
def test_order_when_long_then_each_state_lets_through_what_it_should_and_an_unknown_state_nothing(
    view: StaticView, propose: Propose, state: TradingState, side: Side, code: RefusalCode | None
) -> None:
    view.state, view.account, view.own = state, Exposure(Size(1_000)), Exposure(Size(1_000))
    refusal = TradingStateCheck().check(propose(side=side), view)
    assert (refusal and refusal.code) is code


def test_order_when_reducing_and_it_could_turn_the_position_then_refused(view: StaticView, propose: Propose) -> None:
    view.state, view.account, view.own = TradingState.REDUCING, Exposure(Size(999)), Exposure(Size(999))
    assert TradingStateCheck().check(propose(side=Side.SELL), view) is not None
