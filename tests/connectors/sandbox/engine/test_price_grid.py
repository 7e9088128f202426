"""Banded tick grids: what is on them and what comes next."""

from itertools import pairwise

import pytest

from connectors.kalshi.sandbox.listings import TAPERED_DECI_CENT
from connectors.sandbox.engine.model import MarketSpec
from connectors.sandbox.engine.price_grid import above, at_or_below, on_grid, stepped

TAPERED = MarketSpec(market_id="M", bands=TAPERED_DECI_CENT)
LINEAR = MarketSpec(market_id="M")


@pytest.mark.parametrize(
    ("price", "valid"),
    [
        (0, False),
        (10, True),
        (15, False),
        (1_000, True),
        (1_010, False),
        (1_100, True),
        (9_010, True),
        (9_990, True),
        (10_000, False),
    ],
)
def test_grid_when_it_has_bands_then_each_band_has_its_own_step(price: int, valid: bool) -> None:
    assert on_grid(TAPERED, price) is valid


@pytest.mark.parametrize(
    ("price", "below", "over"),
    [
        (1_000, 1_000, 1_100),
        (999, 990, 1_000),
        (1_050, 1_000, 1_100),
        (9_000, 9_000, 9_010),
        (5, None, 10),
        (9_995, 9_990, None),
    ],
)
def test_grid_when_asked_for_neighbours_then_they_are_the_nearest_valid_prices(
    price: int, below: int | None, over: int | None
) -> None:
    assert at_or_below(TAPERED, price) == below
    assert above(TAPERED, price) == over


def test_grid_when_stepping_across_a_band_then_the_step_changes() -> None:
    assert stepped(TAPERED, 980, steps=3) == 1_100
    assert stepped(TAPERED, 1_100, steps=-3) == 980
    assert stepped(LINEAR, 100, steps=-1) is None
    assert stepped(LINEAR, 9_900, steps=1) is None


def test_grid_when_walked_up_then_every_price_is_valid_and_walks_back() -> None:
    price: int | None = 10
    seen = []
    while price is not None:
        assert on_grid(TAPERED, price)
        seen.append(price)
        price = stepped(TAPERED, price, steps=1)
    assert len(seen) == 100 + 80 + 99
    assert all(stepped(TAPERED, high, steps=-1) == low for low, high in pairwise(seen))
