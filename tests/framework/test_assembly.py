from __future__ import annotations

from framework.assembly import all_checks, core_settings
from framework.config.layers import load
from framework.config.resolve import resolve
from risk.checks.order_grid import OrderGrid
from risk.checks.trading_state import TradingStateCheck


def test_checks_when_the_configuration_forgot_the_trading_states_then_they_are_asked_first() -> None:
    checks = all_checks([("grid", OrderGrid())])
    assert [type(check) for _, check in checks] == [TradingStateCheck, OrderGrid]


def test_checks_when_the_configuration_names_the_trading_states_then_its_order_is_kept() -> None:
    configured = [("grid", OrderGrid()), ("states", TradingStateCheck())]
    assert all_checks(configured) == configured


def test_checks_when_somebody_switched_the_trading_states_off_then_they_are_not_added_again() -> None:
    resolved = resolve(load([], environ={}, overrides=["checks.trading_state.enabled=false"]))
    asked = [name for name, _ in core_settings(resolved).checks]
    assert "trading_state" not in asked
    assert (asked[0], asked[-1]) == ("allow_list", "rate_budget")
