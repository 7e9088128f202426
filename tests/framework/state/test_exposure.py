"""Exposure, kept step by step."""

from __future__ import annotations

from framework.domain.numbers import Size
from framework.domain.orders import Side
from framework.state.exposure import Exposure, Exposures
from tests.support.state_records import MARKET, order


def test_count_when_an_order_changes_then_replaces_what_it_counted_with() -> None:
    exposures, bid = Exposures(), order()
    exposures.count(bid, Size(10), is_open=True)
    exposures.count(bid, Size(10), is_open=True)
    exposures.count(bid, Size(4), is_open=True)
    exposure = exposures.account(MARKET)
    assert (exposure.open_buy, exposure.open_sell, exposure.open_orders) == (4, 0, 1)
    assert exposures.of_strategy("maker", MARKET) == exposure
    exposures.count(bid, Size(0), is_open=False)
    assert exposures.account(MARKET) == Exposure()


def test_count_when_an_ended_order_awaits_fills_then_counts_size_but_no_order() -> None:
    exposures = Exposures()
    exposures.count(order(Side.SELL), Size(3), is_open=False)
    exposure = exposures.account(MARKET)
    assert (exposure.open_sell, exposure.open_orders) == (3, 0)


def test_uncount_when_called_then_nothing_of_the_order_is_left() -> None:
    exposures, bid = Exposures(), order()
    exposures.count(bid, Size(10), is_open=True)
    exposures.uncount(bid)
    exposures.uncount(bid)
    assert exposures.account(MARKET) == Exposure()
    assert exposures.of_strategy("maker", MARKET) == Exposure()


def test_exposure_when_nothing_was_counted_then_reading_it_leaves_no_trace() -> None:
    exposures = Exposures()
    assert exposures.account(MARKET) is not exposures.account(MARKET)
    exposures.set_account_position(MARKET, Size(5))
    assert exposures.account(MARKET) is exposures.account(MARKET)
    assert "position=5" in repr(exposures.account(MARKET))
    assert exposures.account(MARKET) != Exposure()
