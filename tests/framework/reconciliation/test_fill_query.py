"""Which fills are asked for, at the start of a run and later."""

from __future__ import annotations

import msgspec
import pytest

from framework.domain.account_events import Fill, PositionReport
from framework.domain.numbers import Size
from framework.domain.strategy import OrderHandle
from framework.reconciliation.fill_query import FILLS_OVERLAP_NS, UNTOUCHED_NS, FillQuery
from tests.support.world import MARKET, MS, VENUE, Scribe, World

HOUR_NS = 3_600_000 * MS


@pytest.fixture
def fill_query(world: World) -> FillQuery:
    return FillQuery(VENUE, world.gateway, world.accounts, world.clock)


def ended(world: World, scribe: Scribe) -> OrderHandle:
    """An order that is over."""
    handle = world.buy(scribe)
    world.kernel.publish(world.listing(handle, is_open=False))
    return handle


def known(world: World, handle: OrderHandle, fill_id: str = "f1") -> Fill:
    """A fill that is booked."""
    fill = world.fill(handle, 1, fill_id)
    world.kernel.publish(fill)
    return fill


async def test_read_when_a_run_starts_then_begins_an_overlap_before_the_newest_known_fill(
    world: World, scribe: Scribe, fill_query: FillQuery
) -> None:
    handle = ended(world, scribe)
    known(world, handle)
    world.clock.advance(HOUR_NS)
    newest = known(world, handle, "f2")
    world.clock.advance(HOUR_NS)

    await fill_query.fetch()

    assert world.gateway.fills_asked_since == [newest.ts_venue - FILLS_OVERLAP_NS]


async def test_read_when_an_older_order_is_still_open_then_begins_where_it_began(
    world: World, scribe: Scribe, fill_query: FillQuery
) -> None:
    resting = world.buy(scribe)
    created_ns = world.order(resting).created_ns
    world.clock.advance(HOUR_NS)
    known(world, ended(world, scribe))

    await fill_query.fetch()

    assert world.gateway.fills_asked_since == [created_ns - FILLS_OVERLAP_NS]


async def test_read_when_fills_of_an_ended_order_are_missing_then_begins_where_it_began(
    world: World, scribe: Scribe, fill_query: FillQuery
) -> None:
    short = world.buy(scribe)
    created_ns = world.order(short).created_ns
    world.kernel.publish(world.listing(short, is_open=False, filled=10))
    world.clock.advance(HOUR_NS)
    known(world, ended(world, scribe))

    await fill_query.fetch()

    assert world.gateway.fills_asked_since == [created_ns - FILLS_OVERLAP_NS]


async def test_read_when_made_again_then_begins_at_the_newest_fill_of_the_last_one(
    world: World, scribe: Scribe, fill_query: FillQuery
) -> None:
    handle = world.buy(scribe)
    known(world, handle)
    await fill_query.fetch()
    world.clock.advance(HOUR_NS)
    newest = world.fill(handle, 1, "f2")
    world.gateway.fills_there.append(newest)
    await fill_query.fetch()

    await fill_query.fetch()

    assert world.gateway.fills_asked_since[-1] == newest.ts_venue - FILLS_OVERLAP_NS


async def test_read_when_the_newest_fill_lies_ahead_of_our_clock_then_begins_before_now(
    world: World, scribe: Scribe, fill_query: FillQuery
) -> None:
    handle = ended(world, scribe)
    ahead = msgspec.structs.replace(world.fill(handle, 1), ts_venue=world.clock.now_ns() + HOUR_NS)
    world.kernel.publish(ahead)

    await fill_query.fetch()

    assert world.gateway.fills_asked_since == [world.clock.now_ns() - FILLS_OVERLAP_NS]


async def test_read_when_an_earlier_time_is_given_then_begins_there_this_once(
    world: World, scribe: Scribe, fill_query: FillQuery
) -> None:
    newest = known(world, ended(world, scribe))
    early_ns = newest.ts_venue - HOUR_NS

    await fill_query.fetch(from_ns=early_ns)
    await fill_query.fetch(from_ns=newest.ts_venue + HOUR_NS)

    wanted = [early_ns - FILLS_OVERLAP_NS, newest.ts_venue - FILLS_OVERLAP_NS]
    assert world.gateway.fills_asked_since == wanted


async def test_first_read_when_the_account_is_untouched_then_leaves_its_old_history_alone(
    world: World, fill_query: FillQuery
) -> None:
    begin_ns = world.clock.now_ns() - UNTOUCHED_NS
    world.clock.advance(HOUR_NS)
    world.clock.set_wall(world.clock.now_ns() - HOUR_NS)

    await fill_query.fetch()

    assert world.gateway.fills_asked_since == [begin_ns, begin_ns - FILLS_OVERLAP_NS]


async def test_first_read_when_the_account_traded_of_late_then_is_of_its_whole_history(
    world: World, scribe: Scribe, fill_query: FillQuery
) -> None:
    world.gateway.fills_there.append(world.fill(ended(world, scribe), 3))

    await fill_query.fetch()

    assert world.gateway.fills_asked_since[-1] == 0


async def test_first_read_when_the_account_holds_an_old_position_then_is_of_its_whole_history(
    world: World, fill_query: FillQuery
) -> None:
    held = PositionReport(venue=VENUE, instrument=MARKET, size=Size(4), ts_recv=world.clock.now_ns())
    world.gateway.positions_there.append(held)

    await fill_query.fetch()

    assert world.gateway.fills_asked_since[-1] == 0


async def test_inquiry_when_fills_are_missing_then_they_are_asked_for_since_the_venue_made_the_order(
    world: World, scribe: Scribe
) -> None:
    short = world.carried(scribe)
    made_ns = world.clock.now_ns() - 2 * HOUR_NS
    listing = msgspec.structs.replace(world.listing(short, is_open=False, filled=10), created_ns=made_ns)
    world.gateway.orders_there[short.client_order_id] = listing
    world.kernel.publish(listing)
    known(world, short)

    await world.reconciler.resolve_inquiries()
    world.clock.advance(300 * MS)
    await world.reconciler.resolve_inquiries()

    assert world.gateway.fills_asked_since == [made_ns - FILLS_OVERLAP_NS]


async def test_look_when_it_finds_news_then_the_next_read_begins_where_it_would_have(
    world: World, scribe: Scribe, fill_query: FillQuery
) -> None:
    handle = ended(world, scribe)
    booked = known(world, handle)
    world.clock.advance(HOUR_NS)
    world.gateway.fills_there.append(world.fill(handle, 1, "f2"))

    await fill_query.peek()
    await fill_query.fetch()

    assert world.gateway.fills_asked_since == [booked.ts_venue - FILLS_OVERLAP_NS] * 2
