from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel, ValidationError

from risk.checks.max_open_orders import MaxOpenOrders
from risk.checks.max_order_notional import MaxOrderNotional
from risk.checks.max_order_size import MaxOrderSize
from risk.checks.max_position import MaxPosition
from risk.limit_table import LimitTable, parse_limit
from tests.support.risk_view import BINARY, SPOT


@pytest.mark.parametrize(("value", "limit"), [("10.5", "10.5"), (7, "7"), (Decimal("0.01"), "0.01"), ("1e3", "1000")])
def test_limit_when_exact_and_positive_then_taken(value: object, limit: str) -> None:
    assert parse_limit(value) == Decimal(limit)


@pytest.mark.parametrize(
    "value", ["NaN", "sNaN", "Infinity", "-Infinity", "0", "-1", 0, -3, "ten", "", None, True, 1.5]
)
@pytest.mark.parametrize(
    ("model", "field"),
    [(MaxOrderSize, "max_size"), (MaxOrderNotional, "max_notional"), (MaxPosition, "max_position")],
)
def test_limit_when_it_is_none_then_refused_at_load_by_name(model: type[BaseModel], field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        model.model_validate({field: value})
    with pytest.raises(ValidationError, match="overrides"):
        model.model_validate({field: "1", "overrides": {"kalshi:*": value}})


@pytest.mark.parametrize("model", [MaxOrderSize, MaxOrderNotional, MaxPosition, MaxOpenOrders])
def test_settings_when_empty_or_misspelt_then_refused(model: type[BaseModel]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate({})
    with pytest.raises(ValidationError):
        model.model_validate({"max_size": "1", "max_notional": "1", "max_position": "1", "max_total": 1, "typo": 1})


@pytest.mark.parametrize("model", [MaxOrderSize, MaxOrderNotional, MaxPosition, MaxOpenOrders])
def test_settings_when_listed_then_each_says_what_it_is(model: type[BaseModel]) -> None:
    assert model.__doc__
    assert model.model_config.get("frozen")
    assert model.model_config.get("extra") == "forbid"
    assert all(field.description for field in model.model_fields.values())


def test_table_when_patterns_match_then_the_first_one_counts_and_else_the_general_limit() -> None:
    overrides = {"kalshi:KXTIDE-*": Decimal(5), "kalshi:*": Decimal(7), "KALSHI:*": Decimal(9)}
    table = LimitTable(Decimal(100), overrides, decimals_of=lambda each: each.size_decimals)
    other = msgspec.structs.replace(BINARY, id="kalshi:KXBTC-1")
    assert [table.scaled(each) for each in (BINARY, other, SPOT)] == [500, 700, 100 * 10**8]


def test_table_when_finer_than_the_instrument_then_cut_down_and_never_up() -> None:
    def table(limit: str) -> LimitTable:
        return LimitTable(Decimal(limit), {}, decimals_of=lambda each: each.size_decimals)

    assert table("1.239").scaled(BINARY) == 123
    assert table("0.001").scaled(BINARY) == 0
    assert table("1e-30").scaled(SPOT) == 0
    assert table("1" * 40).scaled(BINARY) == int("1" * 40) * 100


def test_table_when_an_instrument_is_defined_anew_then_the_limit_is_scaled_anew() -> None:
    table = LimitTable(Decimal(3), {}, decimals_of=lambda each: each.size_decimals)
    finer: Any = msgspec.structs.replace(BINARY, size_decimals=4)
    assert [table.scaled(BINARY), table.scaled(finer), table.scaled(BINARY)] == [300, 30_000, 300]
