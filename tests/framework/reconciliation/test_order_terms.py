"""A listing that must be newer than what is known counts whatever its date."""

from __future__ import annotations

import msgspec
import pytest

from framework.domain.account_events import OrderSnapshot
from framework.domain.numbers import Price, Size
from framework.domain.orders import OrderStatus
from framework.domain.strategy import OrderHandle
from tests.support.world import MARKET, MS, Scribe, World

LAG_NS = 100 * MS
AHEAD_NS = 8_000 * MS


def working(world: World, scribe: Scribe) -> OrderHandle:
    """A bid that was listed while the venue's clock ran ahead."""
    handle = world.carried(scribe)
    world.kernel.publish(dated(world, world.listing(handle), ahead_ns=AHEAD_NS))
    return handle


def dated(world: World, listing: OrderSnapshot, *, ahead_ns: int = 0, size: int = 10) -> OrderSnapshot:
    """The listing with a date of the venue's, and a size."""
    return msgspec.structs.replace(listing, ts_venue=world.clock.now_ns() + ahead_ns, size=Size(size))


def lists(world: World, handle: OrderHandle, *, size: int) -> None:
    """The venue has the order with this size now; its clock is right again."""
    world.gateway.orders_there[handle.client_order_id] = dated(world, world.listing(handle), size=size)


async def test_pass_when_the_listing_is_newer_by_its_cause_and_older_by_its_date_then_its_terms_hold(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.clock.advance(LAG_NS + 1)
    lists(world, handle, size=15)

    await world.reconciler.once()

    assert world.order(handle).size == 15
    assert world.accounts.exposure(MARKET).open_buy == 15
    assert not any(change.alarms for change in world.watcher.changes)
    assert await world.reconciler.once() == ()


async def test_pass_when_the_order_changed_within_the_read_lag_then_its_terms_need_not_be_the_newest(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.clock.advance(LAG_NS - 1)
    lists(world, handle, size=15)

    await world.reconciler.once()

    assert world.order(handle).size == 10


async def test_pass_when_the_order_changes_while_the_list_is_read_then_its_terms_need_not_be_the_newest(
    world: World, scribe: Scribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = working(world, scribe)
    world.clock.advance(LAG_NS + 1)
    lists(world, handle, size=15)
    read = world.gateway.open_orders

    async def slow() -> tuple[OrderSnapshot, ...]:
        listed = await read()
        world.clock.advance(1)
        world.kernel.publish(dated(world, world.listing(handle), ahead_ns=2 * AHEAD_NS, size=12))
        return listed

    monkeypatch.setattr(world.gateway, "open_orders", slow)
    await world.reconciler.once()

    assert world.order(handle).size == 12


async def test_amend_when_its_answer_is_lost_and_the_listing_is_dated_before_the_step_then_it_was_applied(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.do(scribe, lambda: handle.amend(Price(44), Size(20)))
    world.clock.advance(10_001 * MS)
    world.gateway.orders_there[handle.client_order_id] = msgspec.structs.replace(
        dated(world, world.listing(handle), ahead_ns=-10_000 * MS, size=20), price=Price(44)
    )

    await world.reconciler.resolve_inquiries()
    world.clock.advance(300 * MS)
    await world.reconciler.resolve_inquiries()

    order = world.order(handle)
    assert (order.status, order.price, order.size) == (OrderStatus.WORKING, 44, 20)
