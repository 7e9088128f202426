from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.domain.instruments import Instrument, InstrumentKind, TickBand, instrument_id
from framework.domain.numbers import Price, Size
from tests.support.state_records import kalshi_market

CENTS = kalshi_market("T")
TAPERED = kalshi_market("T", (0, 1_000, 10), (1_000, 9_000, 100), (9_000, 10_000, 10))


@pytest.mark.parametrize(
    ("price", "expected"), [(0, False), (10_000, False), (100, True), (5_150, False), (9_900, True)]
)
def test_grid_when_binary_then_prices_lie_strictly_inside_zero_and_one(price: int, expected: bool) -> None:
    assert CENTS.is_on_grid(Price(price)) is expected


def test_tick_when_two_bands_meet_then_the_finer_one_counts() -> None:
    assert TAPERED.tick_at(Price(500)) == 10
    assert TAPERED.tick_at(Price(5_000)) == 100
    assert TAPERED.tick_at(Price(9_000)) == 10


@pytest.mark.parametrize("instrument", [CENTS, TAPERED])
@given(price=st.integers(100, 9_900))
def test_rounding_when_inside_the_grid_then_it_brackets_the_price_on_the_grid(
    instrument: Instrument, price: int
) -> None:
    down, up = instrument.round_down(Price(price)), instrument.round_up(Price(price))
    assert instrument.is_on_grid(down)
    assert instrument.is_on_grid(up)
    assert down <= price <= up
    assert (down == up) == instrument.is_on_grid(Price(price))


def test_rounding_when_at_the_edges_then_it_stays_inside_or_refuses() -> None:
    assert CENTS.round_down(Price(10_000)) == 9_900
    assert CENTS.round_up(Price(0)) == 100
    with pytest.raises(ValueError, match="no grid price at or below"):
        CENTS.round_down(Price(50))
    with pytest.raises(ValueError, match="no grid price at or above"):
        CENTS.round_up(Price(9_950))


def test_sizes_when_given_as_decimals_then_they_mean_contracts() -> None:
    assert CENTS.size(10) == 1_000
    assert CENTS.price("0.56") == 5_600
    with pytest.raises(ValueError, match="kalshi:T size"):
        CENTS.size("0.001")


def test_complement_when_not_binary_then_it_refuses() -> None:
    assert CENTS.complement_price(Price(4_800)) == 5_200
    spot = Instrument(
        id=instrument_id("x", "BTC-USD"),
        venue="x",
        symbol="BTC-USD",
        kind=InstrumentKind.SPOT,
        quote_currency="USD",
        price_decimals=2,
        size_decimals=8,
        tick_bands=(TickBand(Price(1), Price(10**9), Price(1)),),
    )
    with pytest.raises(ValueError, match="only binary"):
        spot.complement_price(Price(1))


def test_instrument_when_an_order_could_pass_what_a_record_holds_then_it_is_refused() -> None:
    fine = kalshi_market("A")
    with pytest.raises(ValueError, match=r"kalshi:A: a price of \d+ .* passes 2\^62; take the scales"):
        msgspec.structs.replace(fine, price_decimals=8, size_decimals=18)
    with pytest.raises(ValueError, match="passes 2"):
        msgspec.structs.replace(fine, size_max=Size(2**62))


@pytest.mark.parametrize(("price_decimals", "size_decimals"), [(-1, 2), (2, -1), (25, 0), (0, 10**9), (13, 12)])
def test_instrument_when_its_scale_is_none_then_it_is_refused(price_decimals: int, size_decimals: int) -> None:
    scales = {"price_decimals": price_decimals, "size_decimals": size_decimals}
    with pytest.raises(ValueError, match=r"kalshi:A: price_decimals=.* add up to more than 24; take the scales"):
        msgspec.structs.replace(kalshi_market("A"), tick_bands=(), size_max=Size(1), **scales)


def test_amount_when_it_is_a_decimal_then_it_has_the_scale_of_price_times_size() -> None:
    instrument = kalshi_market("A")
    assert instrument.amount("25.5") == instrument.price("0.5") * instrument.size(51)
    assert instrument.money(instrument.amount("0.000001")) == Decimal("0.000001")
    with pytest.raises(ValueError, match="kalshi:A amount"):
        instrument.amount(0.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kalshi:A amount"):
        instrument.amount("0.0000001")
