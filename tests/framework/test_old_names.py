"""Names that plugins and container files of users were written with: each is the same thing under its new name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from framework.config.plugins import Plugins
from framework.domain.loading import load_late

EVENTS = {
    "account_events": (
        "InstrumentDefined InstrumentStatusChanged InstrumentSettled ReportKind OrderReport OrderSnapshot Fill "
        "FillVoided PositionReport BalanceReport TradingState Scope TradingStateChanged StrategyQuarantined "
        "StrategySaved ShutdownRequested OrderAdopted AccountEvent"
    ),
    "market_events": (
        "Level BookSnapshot BookDelta BookLevel BookStale TradePrint Heartbeat VenueClock ConnectorStatus "
        "LimitsDeclared RequestOutcome TimerFired StrategyStarted MarketEvent MARKET_EVENTS"
    ),
}
SAME = {
    **{("framework.domain.events", f"framework.domain.{new}"): names for new, names in EVENTS.items()},
    ("framework.domain.ports", "framework.domain.views"): (
        "BookView ExposureView PositionView BudgetView RiskView Proposal"
    ),
    ("framework.domain.tickets", "framework.domain.verdicts"): "Approved Refused Verdict Signed",
    ("framework.domain.refusals", "framework.domain.verdicts"): "RefusalCode Refusal refusal_table",
    ("framework.domain.limits", "framework.domain.rate_limits"): "RequestKind Pool Cost RateLimits",
    ("framework.practice", "framework.testing.practice"): (
        "VENUE INSTRUMENT GateClass PlentyBudget PracticeVenue PracticeDesk"
    ),
    ("framework.plugins", "framework.config.plugins"): "OWN_PACKAGES ConnectorPlugin Plugins entry_points",
}
OLD_AND_NEW = [(f"{old}:{name}", f"{new}:{name}") for (old, new), names in SAME.items() for name in names.split()]
CHECKS = [
    "allow_list:AllowList", "book_freshness:BookFreshness", "max_open_orders:MaxOpenOrders",
    "max_order_notional:MaxOrderNotional", "max_order_size:MaxOrderSize", "max_position:MaxPosition",
    "order_grid:OrderGrid", "price_collar:PriceCollar", "rate_budget:RateBudget", "trading_state:TradingStateCheck",
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *OLD_AND_NEW,
        ("framework.domain.events:RequestSettled", "framework.domain.market_events:RequestCompleted"),
        ("framework.practice:Judge", "framework.engine.kernel_ports:IntentJudge"),
    ],
)
def test_name_when_a_plugin_imports_it_as_before_then_it_is_the_same_thing(old: str, new: str) -> None:
    assert load_late(old) is load_late(new)


@pytest.mark.parametrize("check", CHECKS)
def test_check_when_it_is_named_with_and_without_its_folder_then_it_is_the_same_class(check: str) -> None:
    plugins = Plugins()
    assert plugins.check(f"risk.{check}") is plugins.check(f"risk.checks.{check}")


def test_health_check_when_run_as_container_files_name_it_then_it_reports_a_daemon_that_does_not_answer() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "framework.control.healthcheck", "http://127.0.0.1:1/healthz"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, "no answer" in done.stderr) == (1, True)
