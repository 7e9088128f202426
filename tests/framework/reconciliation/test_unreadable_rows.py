"""Rows of the venue's lists that can't be read: neither there nor gone, and said so in every pass."""

from __future__ import annotations

from framework.domain.account_events import PositionReport
from framework.domain.instruments import InstrumentId
from framework.domain.numbers import Size
from framework.domain.orders import OrderStatus
from framework.domain.venue import UnreadableRow
from framework.reconciliation.differences import Difference, DifferenceKind
from framework.reconciliation.fill_query import FillQuery
from tests.support.inquiries import working
from tests.support.world import MARKET, MS, VENUE, Scribe, World

LAG_NS = 100 * MS


def row(listing: str, subject: str = "", instrument: InstrumentId = MARKET) -> UnreadableRow:
    return UnreadableRow(listing=listing, instrument=instrument, subject=subject, detail="price: null")


def kinds(found: tuple[Difference, ...]) -> list[tuple[DifferenceKind, str]]:
    return [(one.kind, one.subject) for one in found]


async def test_order_when_its_row_can_not_be_read_then_it_is_not_taken_for_gone_and_differs_in_each_pass(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    order = world.order(handle)
    world.gateway.orders_there.clear()
    world.gateway.unreadable_rows = (row("orders", order.venue_order_id),)
    for _ in range(3):
        world.clock.advance(20 * LAG_NS)
        assert kinds(await world.reconciler.once()) == [(DifferenceKind.UNREADABLE, order.venue_order_id)]
    assert world.order(handle).status is OrderStatus.WORKING
    assert world.gateway.looked_up == []
    assert kinds(await world.reconciler.dry_run()) == [(DifferenceKind.UNREADABLE, order.venue_order_id)]

    world.gateway.unreadable_rows = ()
    world.clock.advance(20 * LAG_NS)
    assert kinds(await world.reconciler.once()) == [(DifferenceKind.ONLY_HERE, handle.client_order_id)]
    assert world.gateway.looked_up == [handle.client_order_id]


async def test_position_when_its_row_can_not_be_read_then_it_does_not_count_as_flat(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.kernel.publish(world.fill(handle, 10))
    world.gateway.fills_there.append(world.fill(handle, 10))
    world.gateway.unreadable_rows = (row("positions"),)
    for _ in range(3):
        world.clock.advance(200 * LAG_NS)
        found = await world.reconciler.once()
        assert DifferenceKind.UNREADABLE in [one.kind for one in found]
        assert DifferenceKind.POSITION not in [one.kind for one in found]
    assert world.reconciler.drift == {}

    world.gateway.unreadable_rows = ()
    world.gateway.positions_there = [PositionReport(venue=VENUE, instrument=MARKET, size=Size(10), ts_recv=1)]
    assert DifferenceKind.UNREADABLE not in [one.kind for one in await world.reconciler.once()]


async def test_fill_when_its_row_can_not_be_read_then_it_is_asked_for_until_it_can(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    query = FillQuery(VENUE, world.gateway, world.accounts, world.clock)
    world.gateway.unreadable_rows = (row("fills", "f-1"),)
    await query.fetch()
    world.clock.advance(10**12)
    world.gateway.fills_there.append(world.fill(handle, 1))
    await query.fetch()
    await query.fetch()
    world.gateway.unreadable_rows = ()
    await query.fetch()
    await query.fetch()
    *held, last = world.gateway.fills_asked_since[-4:]
    assert len(set(held)) == 1
    assert last > held[0]


async def test_row_when_it_names_no_market_then_it_is_shown_without_one(world: World, scribe: Scribe) -> None:
    world.gateway.unreadable_rows = (row("fills", "", InstrumentId("")),)
    (found,) = await world.reconciler.once()
    assert (found.instrument, found.kind) == (f"{VENUE}:?", DifferenceKind.UNREADABLE)
    assert "fills that can't be read (price: null)" in found.text
