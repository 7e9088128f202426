from __future__ import annotations

from framework.assembly import all_checks
from risk.checks.order_grid import OrderGrid
from risk.checks.trading_state import TradingStateCheck


def test_checks_when_the_configuration_forgot_the_trading_states_then_they_are_asked_first() -> None:
    checks = all_checks([("grid", OrderGrid())])
    assert [type(check) for _, check in checks] == [TradingStateCheck, OrderGrid]


def test_checks_when_the_configuration_names_the_trading_states_then_its_order_is_kept() -> None:
    configured = [("grid", OrderGrid()), ("states", TradingStateCheck())]
    assert all_checks(configured) == configured
