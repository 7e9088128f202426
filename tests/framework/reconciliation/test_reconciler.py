from __future__ import annotations

import asyncio
from itertools import pairwise

import msgspec
import pytest

from framework.domain.account_events import PositionReport, ReportKind, ShutdownRequested
from framework.domain.errors import OutcomeUnknown, Retryable
from framework.domain.intents import CancelOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import OrderStatus
from framework.reconciliation.reconciler import Reconciler
from tests.support.inquiries import look, report, unknown, working
from tests.support.world import MARKET, MS, VENUE, Scribe, World, until

LAG_NS = 100 * MS


async def test_unknown_order_when_the_venue_lists_it_then_it_works(world: World, scribe: Scribe) -> None:
    handle = unknown(world, scribe)
    world.gateway.orders_there[handle.client_order_id] = world.listing(handle)

    await look(world, after_ns=0)
    assert world.gateway.looked_up == []
    await look(world, after_ns=250 * MS)

    assert world.order(handle).status is OrderStatus.WORKING


async def test_unknown_order_when_the_venue_lists_it_as_filled_then_its_fills_are_fetched_and_booked(
    world: World, scribe: Scribe
) -> None:
    handle = unknown(world, scribe)
    world.gateway.orders_there[handle.client_order_id] = world.listing(handle, is_open=False, filled=10)
    world.gateway.fills_there.append(world.fill(handle, 10))

    await look(world, after_ns=0)
    await look(world, after_ns=250 * MS)

    assert world.order(handle).status is OrderStatus.FILLED
    assert world.accounts.positions.account(MARKET).size == 10


async def test_unknown_order_when_two_look_ups_past_the_lag_do_not_find_it_then_it_never_arrived(
    world: World, scribe: Scribe
) -> None:
    handle = unknown(world, scribe)
    await look(world, after_ns=0)
    await look(world, after_ns=300 * MS)
    assert world.order(handle).status is OrderStatus.UNKNOWN

    await look(world, after_ns=300 * MS)

    assert world.order(handle).status is OrderStatus.REJECTED
    assert len(world.gateway.looked_up) == 2
    assert world.accounts.exposure(MARKET).open_buy == 0


async def test_unknown_order_when_look_ups_lie_within_the_read_lag_then_their_silence_proves_nothing(
    world: World, scribe: Scribe
) -> None:
    world.gateway.read_lag_ms = 10_000
    handle = unknown(world, scribe)
    await look(world, after_ns=0)

    for _ in range(4):
        await look(world, after_ns=2_000 * MS)

    assert len(world.gateway.looked_up) >= 2
    assert world.order(handle).status is OrderStatus.UNKNOWN
    assert world.accounts.exposure(MARKET).open_buy == 10


async def test_unknown_order_when_looked_up_again_and_again_then_the_pauses_grow(world: World, scribe: Scribe) -> None:
    world.gateway.read_lag_ms = 10**6
    unknown(world, scribe)
    times: list[int] = []
    for _ in range(400):
        before = len(world.gateway.looked_up)
        await look(world, after_ns=50 * MS)
        if len(world.gateway.looked_up) > before:
            times.append(world.clock.monotonic_ns())

    pauses = [(later - earlier) // MS for earlier, later in pairwise(times)]
    assert pauses[:4] == [250, 500, 1_000, 2_000]
    assert max(pauses) <= 5_000


@pytest.mark.parametrize("status", [ReportKind.SENT, None])
async def test_order_when_its_answer_is_not_late_yet_then_the_venue_is_not_asked(
    world: World, scribe: Scribe, status: ReportKind | None
) -> None:
    handle = world.buy(scribe)
    if status is not None:
        report(world, handle, status)

    await look(world, after_ns=0)
    await look(world, after_ns=9_000 * MS)

    assert world.gateway.looked_up == []


async def test_sent_order_when_no_answer_comes_for_long_then_it_is_looked_up(world: World, scribe: Scribe) -> None:
    handle = world.buy(scribe)
    report(world, handle, ReportKind.SENT)
    world.gateway.orders_there[handle.client_order_id] = world.listing(handle)

    await look(world, after_ns=10_001 * MS)
    await look(world, after_ns=250 * MS)

    assert world.order(handle).status is OrderStatus.WORKING


async def test_amend_when_the_venue_shows_the_old_terms_for_long_then_it_was_never_applied(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.do(scribe, lambda: handle.amend(Price(44), Size(20)))

    await look(world, after_ns=10_001 * MS)
    await look(world, after_ns=250 * MS)

    assert world.order(handle).status is OrderStatus.WORKING
    assert (world.order(handle).price, world.order(handle).size) == (45, 10)
    assert world.accounts.exposure(MARKET).open_buy == 10


async def test_amend_when_the_venue_shows_the_new_terms_then_it_was_applied(world: World, scribe: Scribe) -> None:
    handle = working(world, scribe)
    world.do(scribe, lambda: handle.amend(Price(44), Size(20)))
    world.clock.advance(10_001 * MS)
    world.gateway.orders_there[handle.client_order_id] = msgspec.structs.replace(
        world.listing(handle), price=Price(44), size=Size(20)
    )

    await look(world, after_ns=0)
    await look(world, after_ns=250 * MS)

    assert world.order(handle).status is OrderStatus.WORKING
    assert (world.order(handle).price, world.order(handle).size) == (44, 20)


async def test_cancel_when_it_had_no_effect_then_it_is_asked_again_at_the_pace_of_look_ups(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.do(scribe, handle.cancel)
    world.queue.pop()
    report(world, handle, ReportKind.CANCEL_REFUSED, code="outcome_unknown")
    await look(world, after_ns=0)
    assert len(world.queue) == 0

    await look(world, after_ns=250 * MS)

    assert isinstance(world.next_intent(), CancelOrder)


async def test_cancel_when_its_answer_never_comes_then_it_is_taken_as_refused_and_asked_again(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.do(scribe, handle.cancel)
    world.queue.pop()

    for _ in range(4):
        await look(world, after_ns=10_001 * MS)

    assert len(world.queue) >= 1


async def test_shutdown_when_a_cancel_got_lost_then_the_order_is_asked_to_end_again(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.kernel.publish(ShutdownRequested("SIGTERM", 1))
    world.queue.pop()
    report(world, handle, ReportKind.CANCEL_REFUSED, code="rate_limited")

    await look(world, after_ns=0)
    await look(world, after_ns=250 * MS)

    assert len(world.queue) == 1


async def test_pass_when_made_then_orders_fills_and_positions_are_published(world: World, scribe: Scribe) -> None:
    handle = unknown(world, scribe)
    world.gateway.orders_there[handle.client_order_id] = world.listing(handle, filled=4)
    world.gateway.fills_there.append(world.fill(handle, 4))
    world.gateway.positions_there.append(
        PositionReport(venue=VENUE, instrument=MARKET, size=Size(4), ts_recv=world.clock.now_ns())
    )

    differences = await world.reconciler.once()

    assert differences == ()
    assert world.order(handle).status is OrderStatus.PARTIALLY_FILLED
    assert world.accounts.positions.account(MARKET).size == 4
    assert world.passes == [()]


async def test_pass_when_an_order_is_no_longer_listed_as_open_then_its_end_is_looked_up(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.clock.advance(LAG_NS + 1)
    world.gateway.orders_there[handle.client_order_id] = world.listing(handle, is_open=False)

    await world.reconciler.once()

    assert world.order(handle).status is OrderStatus.CANCELLED


async def test_pass_when_an_order_is_younger_than_the_read_lag_then_its_absence_proves_nothing(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.gateway.orders_there.clear()

    await world.reconciler.once()

    assert world.gateway.looked_up == []
    assert world.order(handle).status is OrderStatus.WORKING


async def test_order_when_the_venue_lists_it_nowhere_any_more_then_two_look_ups_end_it(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.gateway.orders_there.clear()
    world.clock.advance(LAG_NS + 1)

    await world.reconciler.once()
    await look(world, after_ns=0)
    await look(world, after_ns=250 * MS)
    assert world.order(handle).status is OrderStatus.WORKING
    await look(world, after_ns=500 * MS)

    assert world.order(handle).status is OrderStatus.CANCELLED
    assert world.order(handle).reason.startswith("not_listed")


async def test_fills_when_asked_for_then_an_overlap_before_the_last_one_is_asked_for_again(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.gateway.fills_there.append(world.fill(handle, 3))
    await world.reconciler.once()
    world.clock.advance(1_000 * MS)
    await world.reconciler.once()

    assert world.gateway.fills_asked_since[-1] == world.gateway.fills_there[0].ts_venue - 60_000 * MS


async def test_dry_run_when_it_finds_a_fill_then_the_next_pass_asks_for_it_again(world: World, scribe: Scribe) -> None:
    handle = working(world, scribe)
    world.kernel.publish(world.fill(handle, 1))
    booked_ns = world.clock.now_ns()
    world.clock.advance(3_600_000 * MS)
    world.gateway.fills_there.append(world.fill(handle, 2, "f2"))

    await world.reconciler.dry_run()
    await world.reconciler.once()

    assert set(world.gateway.fills_asked_since) == {booked_ns - 60_000 * MS}


async def test_position_when_it_differs_for_less_than_the_read_lag_then_that_is_no_difference_yet(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.kernel.publish(world.fill(handle, 4))

    assert await world.reconciler.once() == ()
    world.clock.advance(LAG_NS + MS)

    (difference,) = await world.reconciler.once()
    assert difference.instrument == MARKET
    assert (int(difference.venue_size), int(difference.own_size)) == (0, 4)


async def test_position_when_it_stays_apart_for_long_then_the_venue_is_asked_at_the_usual_pace_again(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.kernel.publish(world.fill(handle, 4))
    due = []
    for _ in range(60):
        if world.clock.monotonic_ns() >= world.reconciler._next_pass_ns:
            await world.reconciler.once()
            due.append(world.clock.monotonic_ns())
        world.clock.advance(1_000 * MS)
    waits = [(later - earlier) // (1_000 * MS) for earlier, later in pairwise(due)]
    assert set(waits[:9]) == {1}
    assert set(waits[11:]) == {15}


@pytest.mark.parametrize(("theirs", "reread"), [(0, [MARKET, MARKET]), (1, [])])
async def test_position_when_it_is_gone_at_the_venue_then_its_instrument_is_read_again_for_a_settlement(
    world: World, scribe: Scribe, theirs: int, reread: list[str]
) -> None:
    asked: list[str] = []
    world.reconciler = Reconciler(msgspec.structs.replace(world.reconciler._dependencies, reread=asked.append))
    handle = working(world, scribe)
    world.kernel.publish(world.fill(handle, 4))
    world.gateway.positions_there.append(PositionReport(venue=VENUE, instrument=MARKET, size=Size(theirs), ts_recv=2))

    for _ in range(2):
        await world.reconciler.once()

    assert asked == reread


async def test_position_when_both_move_and_stay_apart_then_the_difference_keeps_its_age(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.kernel.publish(world.fill(handle, 4))
    await world.reconciler.once()
    since_ns = world.clock.monotonic_ns()
    world.clock.advance(LAG_NS + MS)
    world.kernel.publish(world.fill(handle, 2, "f2"))
    world.gateway.positions_there.append(PositionReport(venue=VENUE, instrument=MARKET, size=Size(2), ts_recv=2))

    (difference,) = await world.reconciler.once()

    assert (int(difference.gap), difference.since_ns) == (-4, since_ns)


async def test_external_order_when_the_venue_lists_an_order_that_is_not_ours_then_it_is_shown_and_left_alone(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    foreign = msgspec.structs.replace(world.listing(handle), venue_order_id="v-foreign", client_order_id="theirs")
    world.gateway.orders_there["theirs"] = foreign

    await world.reconciler.once()

    assert [external_order.client_order_id for external_order in world.reconciler.external_orders] == ["theirs"]
    assert len(world.queue) == 0


@pytest.mark.parametrize("error", [Retryable("refused"), OutcomeUnknown("time-out")])
async def test_run_when_the_venue_can_not_be_asked_then_it_says_so_and_tries_again(
    world: World, error: Exception
) -> None:
    world.gateway.lookup_errors.append(error)
    task = asyncio.create_task(world.reconciler.run())

    await until(lambda: world.troubles)
    assert world.passes == []
    world.clock.advance(1_001 * MS)
    await until(lambda: world.passes)

    task.cancel()
    assert "put off" in world.troubles[0]


async def test_run_when_a_pass_is_asked_for_then_it_is_made_before_its_time(world: World) -> None:
    task = asyncio.create_task(world.reconciler.run())
    await until(lambda: len(world.passes) == 1)
    await asyncio.sleep(0.15)
    assert len(world.passes) == 1

    world.reconciler.request()

    await until(lambda: len(world.passes) == 2)
    task.cancel()
