"""Decimals and times of any venue."""

from __future__ import annotations

from decimal import ROUND_UP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.client.wire.decimals import (
    NS_PER_S,
    NS_PER_US,
    any_unit_ns,
    cut_text,
    cut_to,
    decimals_of,
    from_base_units,
    moved_text,
    plain_text,
    scaled_of,
    sum_text,
    time_ns,
    to_base_units,
)
from framework.domain.numbers import format_scaled


@pytest.mark.parametrize(
    ("step", "decimals"),
    [("0.01", 2), ("0.0010", 3), ("1", 0), ("1.00", 0), ("50", 0), ("1e-8", 8), ("0.00000001", 8), ("2.5", 1)],
)
def test_scale_when_read_from_a_step_then_trailing_zeros_do_not_count(step: str, decimals: int) -> None:
    assert decimals_of(step) == decimals


@pytest.mark.parametrize("step", ["0", "-0.01", "", "NaN", "Infinity", "abc", "0.00000000000000001"])
def test_scale_when_the_step_is_none_then_it_is_refused(step: str) -> None:
    with pytest.raises(ValueError, match="tick"):
        decimals_of(step, "tick")


@given(st.integers(-(10**15), 10**15), st.integers(0, 10))
def test_number_when_written_and_read_again_then_it_is_the_same_in_both_forms(scaled: int, decimals: int) -> None:
    for text in (plain_text(scaled, decimals), format_scaled(scaled, decimals)):
        assert scaled_of(text, decimals, "price") == scaled


def test_number_when_written_plainly_then_no_zero_trails_and_none_is_lost() -> None:
    assert [plain_text(one, 4) for one in (1000, 300_000_000, 0, -5, 12_345)] == [
        "0.1",
        "30000",
        "0",
        "-0.0005",
        "1.2345",
    ]
    assert plain_text(1200, 0) == "1200"


@pytest.mark.parametrize("text", ["0.001", "NaN", "inf", "", "1,5", "0x1", "٣.00", "99999999999999999", "1e30"])
def test_number_when_off_the_scale_or_none_then_it_is_refused_by_the_fields_name(text: str) -> None:
    with pytest.raises(ValueError, match="quantity"):
        scaled_of(text, 2, "quantity")


def test_base_units_when_exact_then_they_are_scaled_both_ways() -> None:
    assert from_base_units("30000000000", base_decimals=6, decimals=2, field="price") == 3_000_000
    assert to_base_units(3_000_000, decimals=2, base_decimals=6, field="price") == "30000000000"
    assert from_base_units("100000000000000000", base_decimals=18, decimals=4, field="quantity") == 1_000
    assert to_base_units(1_000, decimals=4, base_decimals=18, field="quantity") == "100000000000000000"
    assert to_base_units(1_500, decimals=4, base_decimals=2, field="quantity") == "15"


def test_base_units_when_a_remainder_is_left_then_they_are_refused() -> None:
    with pytest.raises(ValueError, match="price"):
        from_base_units("30000000001", base_decimals=6, decimals=2, field="price")
    with pytest.raises(ValueError, match="price"):
        to_base_units(1_501, decimals=4, base_decimals=2, field="price")
    for text in ("1.0", "", "-", "1e5", "٣"):
        with pytest.raises(ValueError, match="price"):
            from_base_units(text, base_decimals=6, decimals=2, field="price")


@pytest.mark.parametrize(
    ("value", "unit_ns", "ns"),
    [
        (1_767_225_600_000, 1_000_000, 1_767_225_600_000_000_000),
        ("1767225600000", 1_000_000, 1_767_225_600_000_000_000),
        (1_767_225_600, NS_PER_S, 1_767_225_600_000_000_000),
        (1_767_225_600_000_123, NS_PER_US, 1_767_225_600_000_123_000),
        ("2026-01-01T00:00:00.5Z", 1_000_000, 1_767_225_600_500_000_000),
        (None, 1_000_000, 0),
        ("", 1_000_000, 0),
        (0, 1_000_000, 0),
    ],
)
def test_time_when_given_in_any_unit_or_as_text_then_it_is_nanoseconds(
    value: int | str | None, unit_ns: int, ns: int
) -> None:
    assert time_ns(value, unit_ns=unit_ns) == ns


@pytest.mark.parametrize("value", [-1, 2**63, 10**30, "soon"])
def test_time_when_no_record_can_hold_it_then_it_is_refused(value: int | str) -> None:
    with pytest.raises(ValueError, match="time"):
        time_ns(value)


@pytest.mark.parametrize(
    "value",
    [
        1_767_225_600,
        1_767_225_600_000,
        "1767225600000",
        1_767_225_600_000_000,
        1_767_225_600 * 10**9,
        "2026-01-01T00:00:00Z",
    ],
)
def test_time_of_any_unit_when_its_unit_is_any_then_it_is_the_same(value: object) -> None:
    assert any_unit_ns(value) == 1_767_225_600 * 10**9


@pytest.mark.parametrize("value", ["soon", "1e9", 10**30, "²"])
def test_time_of_any_unit_when_it_is_none_then_it_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="time"):
        any_unit_ns(value)


def test_time_of_any_unit_when_it_is_not_set_then_it_is_0() -> None:
    assert [any_unit_ns(value) for value in (None, 0, "")] == [0, 0, 0]


@pytest.mark.parametrize(
    ("text", "places", "moved"),
    [
        ("25", -2, "0.25"),
        ("0.025", -2, "0.00025"),
        (10**27 + 1, -18, "1000000000.000000000000000001"),
        ("63000", 0, "63000"),
        ("x", -2, "x"),
        (None, -2, ""),
        ("1e99", -2, "1e99"),
        ("nan", -2, "nan"),
        ("9" * 50, -2, "9" * 50),
    ],
)
def test_text_when_its_point_moves_then_every_digit_stays_and_what_is_no_decimal_too(
    text: object, places: int, moved: str
) -> None:
    assert moved_text(text, places) == moved


def test_text_when_sums_are_made_then_they_are_exact_and_empty_for_what_is_no_decimal() -> None:
    assert sum_text("123456789012345678.000000000000000001", "1") == "123456789012345679.000000000000000001"
    assert sum_text("0.1", "0.04", sign=-1) == "0.06"
    assert (sum_text("", "1"), sum_text("1", "x", sign=-1)) == ("", "")


def test_text_when_it_is_cut_then_it_is_so_to_the_side_that_was_asked_for() -> None:
    assert cut_text("1.123456789", 8) == "1.12345678"
    assert cut_text("0.63000000001", 6, rounding=ROUND_UP) == "0.630001"
    assert (cut_text("x", 8), cut_text(None, 8)) == ("x", "")


@pytest.mark.parametrize(("text", "value"), [("71045.29", 710_452), ("0.1", 1), ("5", 50), ("1e2", 1_000)])
def test_figure_when_it_has_more_digits_than_are_kept_then_they_are_cut(text: str, value: int) -> None:
    assert cut_to(text, 1) == value


@pytest.mark.parametrize("text", [None, "", "0", "-1", "x", "1e400", "NaN", "Infinity", "0.01"])
def test_figure_when_it_is_none_that_can_be_then_it_is_left_out(text: str | None) -> None:
    assert cut_to(text, 1) is None
