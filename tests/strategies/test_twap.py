"""A size that is traded in equal parts over time."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from framework.domain.intents import CancelOrder, NewOrder
from framework.domain.orders import Side, TimeInForce
from framework.domain.terms import VenueTerms
from framework.testing import INSTRUMENT, TradingHarness
from strategies.twap import Schedule, Twap, TwapSettings, schedule
from tests.support.desk import RecordingDesk

SETTINGS = {
    "run": "one",
    "side": "buy",
    "size": "100",
    "price_limit": "0.60",
    "duration_ms": 100_000,
    "slices": 10,
    "check_ms": 500,
}


class World:
    """One market that is quoted anew ten times a second, and the strategy."""

    def __init__(self, terms: VenueTerms = VenueTerms(), **settings: object) -> None:  # noqa: B008 - frozen
        self.harness = TradingHarness(terms=terms)
        self.bid, self.ask, self.shown = "0.48", "0.52", "1000"
        self.settings = SETTINGS | settings
        self.quote()
        self.harness.add("twap", Twap, self.settings)

    def quote(self) -> None:
        self.harness.venue.quote(bid=self.bid, ask=self.ask, size=self.shown)

    def wait(self, seconds: int) -> None:
        for _ in range(10 * seconds):
            self.harness.advance(ms=100)
            self.quote()

    @property
    def held(self) -> int:
        return self.harness.position("twap").size

    def asked(self) -> list[NewOrder]:
        return [one for one in self.harness.intents if isinstance(one, NewOrder)]

    def ends(self) -> list[Mapping[str, object]]:
        return [fields for message, fields in self.harness.recorder.lines if message == "TWAP ends"]


@pytest.mark.parametrize(
    ("now_ms", "at"),
    [
        (-5, Schedule(1, 0, False)),
        (0, Schedule(1, 0, False)),
        (249, Schedule(1, 0, False)),
        (250, Schedule(2, 250_000_000, False)),
        (999, Schedule(4, 750_000_000, False)),
        (1_000, Schedule(4, 750_000_000, True)),
        (9_000, Schedule(4, 750_000_000, True)),
    ],
)
def test_schedule_when_time_passes_then_each_slice_has_its_part_and_the_end_is_the_end(
    now_ms: int, at: Schedule
) -> None:
    assert schedule(0, now_ms * 1_000_000, 1_000, 4) == at


def test_take_when_each_slice_begins_then_its_part_is_bought_at_once_and_the_end_says_what_it_cost() -> None:
    world = World(style="take")
    world.wait(5)
    assert world.held == 1_000
    world.ask = "0.54"
    world.wait(50)
    assert world.held == 6_000
    world.wait(50)
    assert world.held == 10_000
    assert [(one.size, one.time_in_force) for one in world.asked()] == [(1_000, TimeInForce.IMMEDIATE_OR_CANCEL)] * 10
    # 10 at 0.52 and 90 at 0.54
    assert [(one["done"], one["left"], one["average"]) for one in world.ends()] == [("100.00", "0.00", "0.5380")]


def test_take_when_little_is_shown_then_half_of_it_at_a_time() -> None:
    world = World(style="take")
    world.shown = "6"
    world.wait(12)
    assert [one.size for one in world.asked()][1:5] == [300, 300, 300, 100]


def test_last_slice_when_it_comes_then_it_takes_all_that_is_shown_within_the_limit() -> None:
    world = World()
    world.shown = "60"
    world.wait(91)
    assert [one.size for one in world.asked()[-2:]] == [6_000, 4_000]
    assert world.held == 10_000


def test_price_when_it_is_beyond_the_limit_then_nothing_is_bought_and_the_end_says_what_is_left() -> None:
    world = World(style="take")
    world.wait(15)
    world.ask = "0.61"
    world.wait(90)
    assert world.held == 2_000
    assert [(one["done"], one["left"]) for one in world.ends()] == [("20.00", "80.00")]
    assert world.harness.orders("twap") == ()


def test_join_when_it_rests_then_what_did_not_trade_rolls_over_and_the_last_slice_takes_it() -> None:
    world = World()
    world.wait(5)
    (order,) = world.harness.orders("twap")
    assert (order.price, order.size, order.post_only) == (4_800, 1_000, True)
    world.harness.venue.fill(order, size="4")
    world.wait(10)
    (order,) = world.harness.orders("twap")
    assert (order.size, world.held) == (1_600, 400)
    world.wait(74)
    (order,) = world.harness.orders("twap")
    assert (order.size, world.held) == (8_600, 400)
    world.wait(2)
    assert world.held == 10_000
    last = world.asked()[-1]
    assert (last.price, last.size, last.time_in_force) == (5_200, 9_600, TimeInForce.IMMEDIATE_OR_CANCEL)


def test_join_when_the_best_price_is_beyond_the_limit_then_it_rests_at_the_limit() -> None:
    world = World(price_limit="0.45")
    assert [one.price for one in world.asked()] == [4_500]


def test_sell_when_asked_for_then_the_limit_is_the_lowest_price() -> None:
    world = World(side="sell", price_limit="0.48", style="take")
    world.wait(1)
    world.bid = "0.47"
    world.wait(20)
    assert (world.held, {one.side for one in world.asked()}) == (-1_000, {Side.SELL})


def test_venue_when_it_has_no_immediate_or_cancel_then_what_rests_is_cancelled_before_the_next_order() -> None:
    world = World(VenueTerms(times_in_force=(TimeInForce.GOOD_TILL_CANCELLED,)), style="take", depth_percent=100)
    world.harness.venue.hold()
    world.wait(11)
    world.ask = "0.56"
    world.quote()
    world.harness.venue.release()
    world.wait(2)
    kinds = [type(one) for one in world.harness.intents]
    assert kinds.count(CancelOrder) <= 1
    assert world.held == 2_000


def test_book_when_it_is_too_old_then_nothing_is_asked_for() -> None:
    world = World(style="take")
    before = len(world.asked())
    world.harness.advance(ms=15_000)
    assert len(world.asked()) == before
    world.quote()
    assert len(world.asked()) == before + 1


def test_order_when_its_outcome_is_unknown_then_it_is_not_asked_for_again_until_it_is_known() -> None:
    world = World(style="take")
    world.wait(5)
    world.harness.venue.lose_next(reached=True)
    world.wait(25)
    assert (len(world.asked()), world.held) == (2, 1_000)
    world.harness.reconcile()
    world.wait(1)
    assert [one.size for one in world.asked()] == [1_000, 1_000, 2_000]
    assert world.held == 4_000


def test_order_when_the_venue_rejects_it_then_it_is_asked_for_again_after_a_while() -> None:
    world = World(style="take")
    world.harness.venue.reject_next("busy")
    world.wait(10)
    before = world.held
    world.wait(1)
    assert (before, world.held) == (1_000, 2_000)


def test_restart_when_it_is_under_way_then_it_goes_on_with_what_is_left_of_its_time() -> None:
    world = World(style="take")
    world.wait(25)
    assert world.held == 3_000
    world.harness.clock.advance(30_000_000_000)
    world.quote()
    world.harness.restart()
    world.wait(1)
    assert world.held == 6_000
    world.wait(50)
    assert world.held == 10_000
    assert len(world.ends()) == 1


def test_restart_when_the_time_is_over_then_nothing_more_is_bought_and_what_is_left_is_said() -> None:
    world = World(style="take")
    world.wait(25)
    world.harness.clock.advance(100_000_000_000)
    world.harness.restart()
    world.wait(5)
    assert world.held == 3_000
    assert [one["left"] for one in world.ends()] == ["70.00"]


def test_restart_when_it_has_ended_then_it_does_not_begin_again() -> None:
    world = World(style="take")
    world.wait(101)
    world.harness.restart()
    world.wait(30)
    assert (world.held, len(world.ends())) == (10_000, 1)


def test_instrument_when_it_closes_then_the_execution_ends() -> None:
    world = World(style="take")
    world.harness.venue.settle("1")
    assert len(world.ends()) == 1


def test_settings_when_they_do_not_fit_then_the_start_is_refused_and_the_field_named() -> None:
    with pytest.raises(ValueError, match=r"price_limit: 0\.605 is not on the grid"):
        World(price_limit="0.605")
    with pytest.raises(ValueError, match=r"size: 1\.001 for practice:TEST; give at most 2 decimals"):
        World(size="1.001")


def test_run_when_its_name_was_something_else_then_it_is_refused_and_a_new_name_begins_anew() -> None:
    desk = RecordingDesk([INSTRUMENT])
    Twap("twap", TwapSettings.model_validate(SETTINGS), desk).on_start()
    bought = TwapSettings.model_validate(SETTINGS | {"size": "50"})
    with pytest.raises(ValueError, match="run: 'one' was buy 100 practice:TEST in 100000 ms, not buy 50"):
        Twap("twap", bought, desk).on_start()
    Twap("twap", bought.model_copy(update={"run": "two"}), desk).on_start()
    assert msgspec.json.decode(desk.saved)["run"] == "two"
