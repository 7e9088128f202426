"""Reconciliation does not wait for a wall clock that was set back to catch up, nor hurries when it was set ahead."""

from __future__ import annotations

import pytest

from framework.domain.orders import OrderStatus
from framework.reconciliation.fill_query import FILLS_OVERLAP_NS
from framework.reconciliation.order_terms import AsOf
from tests.support.inquiries import listed, look, unknown
from tests.support.world import MARKET, MS, Scribe, World

HOUR_NS = 3_600_000 * MS


async def test_unknown_order_when_the_wall_clock_is_set_back_then_its_inquiry_ends_all_the_same(
    world: World, scribe: Scribe
) -> None:
    handle = unknown(world, scribe)
    world.clock.set_wall(world.clock.now_ns() - HOUR_NS)

    await look(world, after_ns=0)
    await look(world, after_ns=300 * MS)
    assert world.order(handle).status is OrderStatus.UNKNOWN
    await look(world, after_ns=300 * MS)

    assert world.order(handle).status is OrderStatus.REJECTED
    assert world.accounts.exposure(MARKET).open_buy == 0


async def test_unknown_order_when_the_wall_clock_is_set_ahead_then_silence_within_the_read_lag_proves_nothing(
    world: World, scribe: Scribe
) -> None:
    world.gateway.read_lag_ms = 10_000
    handle = unknown(world, scribe)
    world.clock.set_wall(world.clock.now_ns() + HOUR_NS)

    await look(world, after_ns=0)
    for _ in range(4):
        await look(world, after_ns=2_000 * MS)

    assert len(world.gateway.looked_up) >= 2
    assert world.order(handle).status is OrderStatus.UNKNOWN


async def test_working_order_when_gone_and_the_wall_clock_was_set_back_then_its_end_is_looked_up(
    world: World, scribe: Scribe
) -> None:
    handle = listed(world, scribe)
    world.gateway.orders_there[handle.client_order_id] = world.listing(handle, is_open=False)
    world.clock.set_wall(world.clock.now_ns() - HOUR_NS)
    world.clock.advance(300 * MS)

    await world.reconciler.once()

    assert world.order(handle).status is OrderStatus.CANCELLED


@pytest.mark.parametrize(("changed_ns", "must_show"), [(50, False), (0, False), (-1, True), (101, True)])
def test_change_when_it_is_older_than_the_read_lag_or_ahead_of_the_clock_then_it_must_show(
    changed_ns: int, must_show: bool
) -> None:
    assert AsOf(now_ns=100, monotonic_ns=0, lag_ns=100).must_show(changed_ns) is must_show


async def test_fills_when_the_wall_clock_is_set_then_they_are_asked_for_from_the_last_one_on_by_the_venues_time(
    world: World, scribe: Scribe
) -> None:
    handle = listed(world, scribe)
    world.gateway.fills_there.append(world.fill(handle, 3))
    await world.reconciler.once()
    world.clock.set_wall(world.clock.now_ns() + HOUR_NS)
    await world.reconciler.once()

    await world.reconciler.once()

    newest_ns = world.gateway.fills_there[0].ts_venue
    assert world.gateway.fills_asked_since[-2:] == [newest_ns - FILLS_OVERLAP_NS] * 2
