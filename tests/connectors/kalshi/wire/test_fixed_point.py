"""Numbers and times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.client.wire.decimals import iso_ns
from connectors.kalshi.wire.fixed_point import money_of, price_of, price_text, size_of, size_text
from framework.domain.numbers import format_scaled


def test_numbers_when_written_as_the_venue_does_then_they_are_exact() -> None:
    assert price_of("0.5600") == 5600
    assert price_of("0.56") == 5600
    assert size_of("-3.00") == -300
    assert size_of("7.77") == 777
    assert money_of("0.017500") == 17_500
    assert price_text(price_of("0.0100")) == "0.0100"
    assert size_text(size_of("10")) == "10.00"


@given(st.integers(-(10**12), 10**12), st.integers(0, 8))
def test_number_when_written_with_any_number_of_digits_then_it_is_exact_or_refused(scaled: int, decimals: int) -> None:
    text = format_scaled(scaled, decimals)
    if decimals > 2 and scaled % 10 ** (decimals - 2):
        with pytest.raises(ValueError, match="count"):
            size_of(text)
    else:
        assert size_of(text) * 10**decimals == scaled * 100


@pytest.mark.parametrize("text", ["1_0.00", "١.00", "1 .00", "--1.00", "1.-1", ".", "-.", "+-1.00"])
def test_count_when_oddly_written_then_it_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="count"):
        size_of(text)


@pytest.mark.parametrize("text", ["", "abc", "0.56001", "nan", "Infinity", "0x10"])
def test_price_when_not_an_exact_price_then_it_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="price"):
        price_of(text)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2026-06-11T06:31:29.957081Z", 1_781_159_489_957_081_000),
        ("2026-06-11T06:29:47.42784Z", 1_781_159_387_427_840_000),
        ("2026-06-11T06:29:47Z", 1_781_159_387_000_000_000),
        ("2026-06-11T08:29:47.5+02:00", 1_781_159_387_500_000_000),
        (None, 0),
        ("", 0),
        ("0001-01-01T00:00:00Z", 0),
    ],
)
def test_time_when_fraction_is_trimmed_or_missing_then_it_is_exact(text: str | None, ns: int) -> None:
    assert iso_ns(text) == ns


@pytest.mark.parametrize("text", ["yesterday", "2026-06-11", "2026-06-11T06:29:47", "2026-13-11T06:29:47Z"])
def test_time_when_not_rfc3339_then_it_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="RFC 3339"):
        iso_ns(text)
