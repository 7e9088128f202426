"""The settings of checks as they count now: what a change makes of them, what it may not be, when it is stricter."""

from __future__ import annotations

from decimal import Decimal

import pytest

from framework.config.check_settings import CheckSettings
from framework.domain.account_events import LimitChanged
from framework.domain.errors import ConfigurationError
from framework.domain.ports import Check
from risk.checks.allow_list import AllowList
from risk.checks.max_order_size import MaxOrderSize
from risk.checks.max_position import MaxPosition
from risk.checks.price_collar import PriceCollar
from risk.checks.trading_state import TradingStateCheck

CHECKS: list[tuple[str, Check]] = [
    ("trading_state", TradingStateCheck()),
    ("allow_list", AllowList.model_validate({"instruments": ["kalshi:KX*", "kalshi:B*"]})),
    ("max_order_size", MaxOrderSize.model_validate({"max_size": "20", "overrides": {"kalshi:KXBTC*": "10"}})),
    ("max_position", MaxPosition.model_validate({"max_position": "100"})),
    ("price_collar", PriceCollar.model_validate({"band": {"ticks": 10}, "age_ms_max": 5000})),
]


def changed(check: str, key: str, value: str) -> LimitChanged:
    """A record of a change."""
    return LimitChanged(check=check, key=key, value=value, configured="old", reason="drill", ts_recv=5, by="operator")


def value_of(settings: CheckSettings, check: str, key: str) -> str | None:
    """A setting as it is shown; None when it is not."""
    return next((row.value for row in settings.rows() if (row.check, row.key) == (check, key)), None)


def test_settings_when_a_change_is_made_then_the_check_is_made_anew_and_handed_over() -> None:
    handed: list[tuple[str, Check]] = []
    settings = CheckSettings(CHECKS, on_check=lambda *check: handed.append(check))
    settings.change(changed("max_position", "max_position", "50"))
    ((name, check),) = handed
    assert (name, check.max_position) == ("max_position", Decimal(50))  # type: ignore[attr-defined]
    assert dict(settings.checks)["max_position"] is check
    assert [one for one, _ in settings.checks] == [one for one, _ in CHECKS]
    row = next(one for one in settings.rows() if one.key == "max_position")
    assert (row.value, row.configured, row.by, row.since_ns, row.reason) == ("50", "100", "operator", 5, "drill")


def test_settings_when_a_change_is_taken_back_then_the_configuration_counts_again() -> None:
    settings = CheckSettings(CHECKS, [changed("max_position", "max_position", "50")])
    settings.change(changed("max_position", "max_strategy_position", "30"))
    settings.change(changed("max_position", "max_position", ""))
    assert value_of(settings, "max_position", "max_position") == "100"
    assert value_of(settings, "max_position", "max_strategy_position") == "30"


def test_settings_when_an_exception_is_added_then_it_is_asked_before_those_that_were_there() -> None:
    settings = CheckSettings(CHECKS)
    settings.change(changed("max_order_size", "overrides.kalshi:*", "5"))
    (check,) = (check for name, check in settings.checks if name == "max_order_size")
    assert list(check.overrides) == ["kalshi:*", "kalshi:KXBTC*"]  # type: ignore[attr-defined]
    settings.change(changed("max_order_size", "overrides.kalshi:KXBTC*", "9"))
    assert value_of(settings, "max_order_size", "overrides.kalshi:KXBTC*") == "9"
    assert value_of(settings, "max_order_size", "overrides.kalshi:*") == "5"


def test_settings_when_a_pattern_holds_dots_then_it_stays_one_key() -> None:
    settings = CheckSettings(CHECKS)
    settings.change(changed("max_order_size", "overrides.kalshi:A.B-1", "5"))
    assert value_of(settings, "max_order_size", "overrides.kalshi:A.B-1") == "5"


@pytest.mark.parametrize(
    ("check", "key", "value", "line"),
    [
        ("max_positions", "max_position", "5", 'there is no check "max_positions"; did you mean "max_position"?'),
        ("max_position", "max_positon", "5", 'unknown key "max_positon"; did you mean "max_position"?'),
        ("max_position", "max_position", "five", "five is no value of TOML"),
        ("max_position", "max_position", '"five"', "'five': is not a decimal number"),
        ("max_position", "max_position", "nan", "is not a"),
        ("max_position", "max_position", "-5", "is not a finite number above 0"),
        ("max_position", "strategy_overrides.kalshi:*", "5", "give max_strategy_position too"),
        ("price_collar", "band.ticks", "0", "0: is not above 0"),
        ("trading_state", "state", "1", "trading_state.state"),
    ],
)
def test_change_when_it_can_not_be_then_one_line_names_field_and_value(
    check: str, key: str, value: str, line: str
) -> None:
    settings = CheckSettings(CHECKS)
    with pytest.raises(ConfigurationError) as raised:
        settings.plan(check, key, value)
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)
    before = settings.rows()
    settings.change(changed(check, key, value))
    assert settings.rows() == before


@pytest.mark.parametrize(
    ("check", "key", "value", "is_no_looser"),
    [
        ("max_position", "max_position", "99.5", True),
        ("max_position", "max_position", "100", True),
        ("max_position", "max_position", "101", False),
        ("max_position", "max_strategy_position", "1000", True),
        ("max_position", "overrides.kalshi:*", "100", True),
        ("max_position", "overrides.kalshi:*", "101", False),
        ("max_order_size", "overrides.kalshi:*", "10", True),
        ("max_order_size", "overrides.kalshi:*", "11", False),
        ("max_order_size", "overrides.kalshi:KXBTC*", "9", True),
        ("max_order_size", "overrides.kalshi:KXBTC*", "11", False),
        ("price_collar", "band.ticks", "9", True),
        ("price_collar", "band.ticks", "11", False),
        ("price_collar", "band.bps", "50", True),
        ("price_collar", "age_ms_max", "6000", False),
        ("allow_list", "instruments", '["kalshi:KX*"]', True),
        ("allow_list", "instruments", '["kalshi:*"]', False),
        ("allow_list", "stop_before_close_ms", "9000", False),
    ],
)
def test_change_when_planned_then_it_is_known_whether_it_is_surely_no_looser(
    check: str, key: str, value: str, is_no_looser: bool
) -> None:
    row, found = CheckSettings(CHECKS).plan(check, key, value)
    assert found is is_no_looser
    assert (row.check, row.key) == (check, key)


def test_change_when_it_takes_back_a_stricter_one_then_it_is_looser() -> None:
    settings = CheckSettings(CHECKS, [changed("max_position", "max_position", "50")])
    row, is_no_looser = settings.plan("max_position", "max_position", "")
    assert (row.before, row.value, row.configured, is_no_looser) == ("50", "100", "100", False)
    _, is_no_looser = CheckSettings(CHECKS, [changed("max_position", "max_strategy_position", "9")]).plan(
        "max_position", "max_strategy_position", ""
    )
    assert not is_no_looser


def test_start_when_changes_do_not_fit_the_configuration_any_more_then_they_are_said_and_left_out() -> None:
    gone = changed("order_rate", "max_per_second", "5")
    settings = CheckSettings(CHECKS, [gone, changed("max_position", "max_position", "50")])
    (line,) = settings.unusable
    assert "order_rate" in line
    assert value_of(settings, "max_position", "max_position") == "50"
    other, said = settings.notes
    assert "50, as operator set it while it ran (drill); the configuration has 100 (it was old then)" in other
    assert "tidegate limit reset max_position max_position" in other
    assert said == line
