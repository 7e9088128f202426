"""A hop that adds nothing is not added again: how many calls, files and clock reads the two hot ways may take."""

from __future__ import annotations

import pytest

from tests.bench.calls import CHECKS, Way, count_calls


@pytest.fixture(scope="module")
def ways() -> tuple[Way, Way]:
    return count_calls()


def test_book_delta_when_its_frame_is_received_then_the_way_to_on_book_is_short(ways: tuple[Way, Way]) -> None:
    tick, _ = ways
    assert len(tick.stops) <= 24, tick.stops
    assert tick.files <= 13, tick.stops
    assert tick.clock_reads <= 2, tick.stops


def test_order_when_a_strategy_asks_for_its_first_then_the_way_to_its_handle_is_short(ways: tuple[Way, Way]) -> None:
    _, order = ways
    without_checks = order.without(CHECKS)
    assert len(without_checks.stops) <= 120, without_checks.stops
    assert without_checks.files <= 27, without_checks.stops
    assert order.clock_reads == 0, order.stops


def test_ways_when_counted_then_they_begin_and_end_where_they_should(ways: tuple[Way, Way]) -> None:
    tick, order = ways
    assert (tick.stops[0].function, tick.stops[-1].function) == ("PicowsConnection.on_ws_frame", "StrategyHost.call")
    assert (order.stops[0].function, order.stops[-1].function) == ("Strategy.buy", "OrderHandle.__init__")
    assert any(stop.function == "Kernel.submit" for stop in order.stops)
