from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.domain.numbers import format_scaled, parse_scaled, to_decimal


@pytest.mark.parametrize(
    ("text", "decimals", "scaled"),
    [("0.5600", 4, 5600), ("0.56", 4, 5600), ("-3.00", 2, -300), ("1e2", 2, 10000), ("7", 0, 7), ("0", 4, 0)],
)
def test_parse_when_the_text_fits_then_it_is_exact(text: str, decimals: int, scaled: int) -> None:
    assert parse_scaled(text, decimals) == scaled


@pytest.mark.parametrize(
    "value", ["0.56001", "1e-30", "nan", "inf", "", "abc", "1_0", "\u0661.5", "1" + "0" * 3 + "e60"]
)
def test_parse_when_nothing_exact_can_be_kept_then_it_refuses_and_names_the_field(value: str) -> None:
    with pytest.raises(ValueError, match="price"):
        parse_scaled(value, 4, field="price")


@pytest.mark.parametrize("value", [0.5, True, None, b"1"])
def test_parse_when_the_type_is_not_exact_then_it_refuses(value: object) -> None:
    with pytest.raises(ValueError, match="never a float"):
        parse_scaled(value, 4)  # type: ignore[arg-type]


@given(st.integers(-(10**18), 10**18), st.integers(0, 12))
def test_format_and_parse_when_going_around_then_nothing_is_lost(scaled: int, decimals: int) -> None:
    text = format_scaled(scaled, decimals)
    assert parse_scaled(text, decimals) == scaled
    assert to_decimal(scaled, decimals) == Decimal(text)
