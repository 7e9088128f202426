"""Polled orders and fills."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

from connectors.client.polling.account import LOOKUPS_MAX, MISSES_MAX, OrderWatch, WatchedOrder
from framework.domain.account_events import Fill, OrderSnapshot
from framework.domain.errors import Retryable
from framework.domain.instruments import instrument_id
from framework.domain.numbers import Price
from framework.domain.orders import Side
from tests.connectors.client.polling.polled_venue import SECOND_NS, PolledVenue, fill, order
from tests.connectors.support import START_NS, LoopClock, run_jumping

A = instrument_id("tide", "A")


def poll(seconds: float, use: Callable[[PolledVenue], Awaitable[None]]) -> PolledVenue:
    async def main(clock: LoopClock) -> PolledVenue:
        venue = PolledVenue(clock)
        acting = asyncio.create_task(use(venue))
        await venue.for_seconds(seconds)
        await acting
        return venue

    return run_jumping(main)


def orders(venue: PolledVenue) -> list[tuple[str, int, bool]]:
    found = [event for event in venue.events if isinstance(event, OrderSnapshot)]
    return [(one.venue_order_id, one.filled, one.is_open) for one in found]


def test_account_when_no_order_is_open_then_it_is_read_seldom_and_often_once_one_is_taken() -> None:
    async def trade(venue: PolledVenue) -> None:
        await asyncio.sleep(20.5)
        venue.open = [order(1)]
        venue.account.watch("o1", A, Side.BUY, Price(100))

    venue = poll(40, trade)
    times = [at for at, what in venue.asked if what == "open"]
    assert len([at for at in times if at < 20.5]) == 5
    later = [at for at in times if at > 20.5]
    assert later[0] < 21.1
    assert len(later) >= 18


def test_order_when_it_changes_then_each_state_is_published_once_dated_by_its_question() -> None:
    async def trade(venue: PolledVenue) -> None:
        venue.slow_s = 0.2
        venue.open = [order(1)]
        await asyncio.sleep(5)
        venue.open = [order(1, filled=4)]

    venue = poll(12, trade)
    assert orders(venue) == [("o1", 0, True), ("o1", 4, True)]
    published = [
        (event.ts_recv - START_NS, at)
        for event, at in zip(venue.events, venue.times_s, strict=True)
        if isinstance(event, OrderSnapshot)
    ]
    assert all(at * SECOND_NS - ts_recv >= 0.2 * SECOND_NS for ts_recv, at in published)


def test_order_when_it_leaves_the_list_then_it_is_looked_up_and_its_fills_come_before_its_end() -> None:
    async def trade(venue: PolledVenue) -> None:
        venue.open = [order(1)]
        await asyncio.sleep(5)
        venue.open, venue.fills = [], [fill(1), fill(2)]
        venue.orders["o1"] = order(1, filled=10, is_open=False)

    venue = poll(12, trade)
    kinds = [type(event) for event in venue.events if isinstance(event, (Fill, OrderSnapshot))]
    assert kinds == [OrderSnapshot, Fill, Fill, OrderSnapshot]
    assert orders(venue)[-1] == ("o1", 10, False)
    assert venue.count("order o1") == 1


def test_order_when_its_end_does_not_state_what_it_traded_then_it_is_published_as_one_that_is_being_cancelled() -> None:
    async def main(clock: LoopClock) -> PolledVenue:
        venue = PolledVenue(clock, has_vague_ends=True)
        venue.open = [order(1), order(2)]
        acting = asyncio.create_task(venue.for_seconds(12))
        await asyncio.sleep(5)
        venue.open = []
        venue.orders = {"o1": order(1, filled=0, is_open=False), "o2": order(2, filled=10, is_open=False)}
        await acting
        return venue

    venue = run_jumping(main)
    assert orders(venue)[2:] == [("o1", 0, True), ("o2", 10, False)]
    (vague,) = [one for one in venue.events if isinstance(one, OrderSnapshot) and one.is_cancelling]
    assert vague.venue_order_id == "o1"
    # It has ended as far as the poll is concerned.
    assert venue.account.orders.orders == {}


def test_order_when_it_was_just_taken_then_its_absence_from_the_list_proves_nothing_yet() -> None:
    async def trade(venue: PolledVenue) -> None:
        await asyncio.sleep(10)
        venue.account.watch("o1", A, Side.BUY, Price(100))
        await asyncio.sleep(1.9)
        assert venue.count("order o1") == 0

    assert poll(20, trade).count("order o1") >= 1


def test_order_when_no_look_up_finds_it_then_it_is_given_up() -> None:
    async def trade(venue: PolledVenue) -> None:
        venue.account.watch("o1", A, Side.BUY, Price(100))

    venue = poll(400, trade)
    assert venue.count("order o1") == MISSES_MAX
    assert venue.account.orders.orders == {}


def test_orders_when_they_can_not_be_listed_then_each_is_looked_up_seldom_and_when_the_market_reaches_it() -> None:
    async def trade(venue: PolledVenue) -> None:
        venue.open = None
        for number in range(20):
            venue.orders[f"o{number}"] = order(number, price=100 + number)
            venue.account.watch(f"o{number}", A, Side.BUY, Price(100 + number))
        await asyncio.sleep(30.5)
        before = venue.count("order o19"), venue.count("order o0")
        venue.account.orders.touch(A, Price(119), venue.clock.monotonic_ns())
        await asyncio.sleep(2)
        assert (venue.count("order o19"), venue.count("order o0")) == (before[0] + 1, before[1])

    venue = poll(60, trade)
    looked_up = [at for at, what in venue.asked if what.startswith("order ")]
    assert len(looked_up) <= 20 * 60 / 12 + 2
    times = [at for at, what in venue.asked if what == "order o0"]
    assert all(later - earlier < 15 for earlier, later in pairwise(times))


def test_fills_when_read_again_then_each_is_published_once() -> None:
    async def trade(venue: PolledVenue) -> None:
        venue.fills = [fill(1, ts_venue=START_NS), fill(2, ts_venue=START_NS + SECOND_NS)]

    venue = poll(30, trade)
    assert [event.fill_id for event in venue.events if isinstance(event, Fill)] == ["f1", "f2"]


def test_fills_when_the_poll_begins_then_those_of_before_are_not_asked_for_and_each_read_begins_at_the_last() -> None:
    async def trade(venue: PolledVenue) -> None:
        venue.fills = [fill(1, ts_venue=START_NS - 60 * SECOND_NS)]
        await asyncio.sleep(7)
        venue.fills.append(fill(2, ts_venue=START_NS + 7 * SECOND_NS))

    venue = poll(30, trade)
    assert [event.fill_id for event in venue.events if isinstance(event, Fill)] == ["f2"]
    assert (venue.fills_since[0], venue.fills_since[-1]) == (START_NS - 2 * SECOND_NS, START_NS + 5 * SECOND_NS)


def test_account_when_nothing_changes_then_nothing_is_published() -> None:
    async def rest(venue: PolledVenue) -> None:
        venue.open = [order(1)]

    venue = poll(30, rest)
    assert len([event for event in venue.events if isinstance(event, OrderSnapshot)]) == 1


def watched(number: int, side: Side, price: int) -> WatchedOrder:
    return WatchedOrder(f"o{number}", A, side, Price(price), 0)


def test_watch_when_the_market_trades_then_the_orders_that_it_may_have_filled_are_wanted() -> None:
    watch = OrderWatch(12 * SECOND_NS)
    for number, side, price in ((1, Side.BUY, 100), (2, Side.BUY, 90), (3, Side.SELL, 110), (4, Side.SELL, 95)):
        watch.add(watched(number, side, price))
    watch.touch(A, Price(95), 1)
    watch.touch(instrument_id("tide", "B"), Price(1), 1)
    assert watch.take(1, is_listed=True) == ("o1", "o4")
    watch.touch(A, Price(95), 2)
    assert watch.take(2, is_listed=True) == ()
    assert watch.take(SECOND_NS + 1, is_listed=True) == ("o1", "o4")


def test_watch_when_many_are_due_then_a_turn_takes_some_and_the_next_one_the_others() -> None:
    watch = OrderWatch(SECOND_NS)
    for number in range(15):
        watch.add(watched(number, Side.BUY, 100))
    first = watch.take(SECOND_NS, is_listed=False)
    second = watch.take(SECOND_NS + 1, is_listed=False)
    assert (len(first), len(second)) == (LOOKUPS_MAX, 5)
    assert len({*first, *second}) == 15


def test_watch_when_many_orders_come_together_then_their_look_ups_are_spread_over_the_interval() -> None:
    watch = OrderWatch(12 * SECOND_NS)
    for number in range(20):
        watch.add(watched(number, Side.BUY, 100))
    turns = [len(watch.take(second * SECOND_NS, is_listed=False)) for second in range(1, 37)]
    assert max(turns) == 4
    assert 55 <= sum(turns) <= 70
    for number in range(20):
        watch.want(f"o{number}", 40 * SECOND_NS)
    wanted = [len(watch.take(second * SECOND_NS, is_listed=False)) for second in range(40, 76)]
    assert wanted[:2] == [LOOKUPS_MAX, LOOKUPS_MAX]
    assert max(wanted[2:]) <= 4


def test_order_when_the_market_reaches_its_price_then_it_is_looked_up_at_once() -> None:
    async def trade(venue: PolledVenue) -> None:
        venue.open = None
        venue.orders["o1"] = order(1, price=100)
        venue.account.watch("o1", A, Side.BUY, Price(100))
        await asyncio.sleep(5.1)
        before = venue.count("order o1")
        for _ in range(3):
            venue.account.touch(A, Price(100))
            await asyncio.sleep(0.3)
            assert venue.count("order o1") == before + 1

    poll(8, trade)


def test_watch_when_a_look_up_showed_a_change_then_the_next_one_does_not_wait_longer() -> None:
    watch = OrderWatch(60 * SECOND_NS)
    watch.add(watched(1, Side.BUY, 100))
    for second, is_taken in ((1, True), (2, True), (3, False), (4, True), (5, True)):
        watch.touch(A, Price(100), second * SECOND_NS)
        assert bool(watch.take(second * SECOND_NS, is_listed=False)) is is_taken
        if second == 4:
            watch.changed("o1")


def test_order_when_it_can_not_be_read_then_the_others_are_looked_up_all_the_same() -> None:
    async def trade(venue: PolledVenue) -> None:
        venue.open = None
        for number in range(3):
            venue.orders[f"o{number}"] = order(number, filled=number)
            venue.account.watch(f"o{number}", A, Side.BUY, Price(100))
        venue.errors["order o0"] = ValueError("price: 'x' is no number")

    venue = poll(40, trade)
    assert [one for one, _, _ in orders(venue)] == ["o1", "o2"]
    assert venue.health.is_up or not venue.health.downs


def test_order_when_the_venue_is_lost_in_the_middle_of_a_turn_then_what_was_read_is_read_again_soon() -> None:
    async def trade(venue: PolledVenue) -> None:
        venue.open = None
        for number in range(2):
            venue.orders[f"o{number}"] = order(number, is_open=False)
            venue.account.watch(f"o{number}", A, Side.BUY, Price(100))
        venue.errors["order o1"] = Retryable("lost")
        await asyncio.sleep(14)
        assert orders(venue) == []
        venue.errors.clear()
        await asyncio.sleep(4)
        assert len(orders(venue)) == 2

    poll(30, trade)


def test_account_when_orders_have_ended_or_are_given_up_then_nothing_of_them_is_kept() -> None:
    async def trade(venue: PolledVenue) -> None:
        venue.open = [order(1), order(2)]
        await asyncio.sleep(5)
        venue.open = []
        venue.orders["o1"] = order(1, is_open=False)

    venue = poll(400, trade)
    assert venue.account.orders.orders == venue.account._states == {}
