from __future__ import annotations

from pathlib import Path

import msgspec

from framework.assembly import CoreSettings, all_checks, core_settings
from framework.config.layers import load
from framework.config.resolve import resolve
from framework.domain.market_events import LimitsDeclared
from framework.domain.rate_limits import Cost, Pool, PoolShape, RequestKind
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


VENUES = """
[checks.trading_state]
use = "risk.trading_state:TradingStateCheck"
[venues.kalshi]
use = "connectors.kalshi.plugin"
embedded_sandbox = true
[venues.second]
use = "connectors.kalshi.plugin"
embedded_sandbox = true
[venues.third]
use = "connectors.kalshi.plugin"
embedded_sandbox = true
proxy = "http://proxy:3128"
[strategies.noop]
use = "strategies.noop:Noop"
instruments = ["kalshi:*"]
[strategies.both]
use = "strategies.noop:Noop"
instruments = ["*:*"]
[strategies.anything]
use = "strategies.noop:Noop"
instruments = ["second:*"]
trade_anything = true
"""


def settings_of(tmp_path: Path) -> CoreSettings:
    file = tmp_path / "my.toml"
    file.write_text(VENUES)
    return core_settings(resolve(load([file], environ={})))


def test_shares_when_a_strategy_never_trades_at_a_venue_then_it_has_none_there(tmp_path: Path) -> None:
    shares = settings_of(tmp_path).shares
    assert {venue: sorted(weights) for venue, weights in shares.items()} == {
        "kalshi": ["anything", "both", "noop"],
        "second": ["anything", "both"],
        "third": ["anything", "both"],
    }


def test_exits_when_connector_and_proxy_are_the_same_then_the_venues_have_the_same(tmp_path: Path) -> None:
    exits = settings_of(tmp_path).exits
    assert exits["kalshi"] == exits["second"] != exits["third"]


def test_limits_when_an_earlier_version_taped_them_then_they_are_read_as_buckets_per_second() -> None:
    pools = [{"name": "write", "capacity": 300, "refill_per_s": 100}]
    costs = [{"kind": "new", "pool": "write", "tokens": 10}]
    read = msgspec.convert(["LimitsDeclared", "kalshi", {"pools": pools, "costs": costs}, 7], type=LimitsDeclared)
    assert read.limits.pools == (Pool("write", 300, 100),)
    assert (read.limits.pools[0].period_ns, read.limits.pools[0].shape) == (1_000_000_000, PoolShape.BUCKET)
    assert read.limits.costs == (Cost(RequestKind.NEW, "write", 10),)
