"""While a process beside the daemon ends a venue's orders, the daemon sends nothing there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from framework.domain.market_events import LimitsDeclared, RequestCompleted
from framework.domain.rate_limits import Cost, Pool, PoolShape, RateLimits, RequestKind
from framework.execution.dispatcher import Dispatcher
from framework.execution.request_turns import RequestTurns
from framework.ops.venue_share import SharedVenue
from framework.own_budget import OwnBudget
from framework.runtime.venue_lease import BudgetLeft, BudgetNote, VenueLease
from tests.support.world import MS, VENUE, Scribe, World, until


def share(world: World) -> SharedVenue:
    return SharedVenue(
        world.directory,
        VENUE,
        budget=lambda: world.budgets.get(VENUE),  # type: ignore[arg-type,return-value]
        publish=world.kernel.publish,
        clock=world.clock,
    )


@pytest.fixture
async def lease(tmp_path: Path) -> AsyncIterator[VenueLease]:
    """The lease of the world's venue, not taken yet."""
    made = VenueLease(tmp_path, VENUE)
    yield made
    made.close()


@pytest.fixture
async def dispatching(world: World) -> AsyncIterator[World]:
    """The world with a dispatcher that looks for leases."""
    shared = share(world)
    dependencies = msgspec.structs.replace(world.dispatcher._dependencies, share=shared)
    running = asyncio.create_task(Dispatcher(dependencies).run())
    yield world
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    shared.close()


async def test_cancel_when_the_venue_is_leased_then_it_waits_and_leaves_when_the_lease_ends(
    dispatching: World, scribe: Scribe, lease: VenueLease
) -> None:
    handle = await dispatching.working(scribe)
    assert lease.take()
    dispatching.do(scribe, handle.cancel)
    await asyncio.sleep(0.15)
    assert len(dispatching.gateway.signed) == 1

    lease.close()

    await until(lambda: len(dispatching.gateway.sent) == 2)


async def test_request_when_the_venue_is_leased_while_it_waits_for_a_connection_then_it_does_not_leave(
    dispatching: World, scribe: Scribe, lease: VenueLease
) -> None:
    dispatching.gateway.jam()
    dispatching.buy(scribe)
    await until(lambda: dispatching.gateway.signed)
    assert lease.take()
    dispatching.gateway.unjam()
    await asyncio.sleep(0.15)
    assert dispatching.gateway.sent == []


async def test_read_when_the_venue_is_leased_then_its_turn_comes_when_the_lease_ends(
    world: World, lease: VenueLease
) -> None:
    shared = share(world)
    turns = RequestTurns(
        VENUE,
        budget=lambda: world.budgets.get(VENUE),  # type: ignore[arg-type,return-value]
        publish=world.kernel.publish,
        clock=world.clock,
        share=shared,
    )
    read: list[str] = []

    async def look() -> None:
        async with turns(RequestKind.QUERY):
            read.append("read")

    assert lease.take()
    looking = asyncio.create_task(look())
    await asyncio.sleep(0.1)
    assert read == []
    lease.close()
    await asyncio.wait_for(looking, 2)
    shared.close()


LIMITS = RateLimits(
    (Pool("write", 100, 10),), (Cost(RequestKind.NEW, "write", 10), Cost(RequestKind.CANCEL, "write", 2))
)


async def test_budget_when_requests_leave_then_it_is_noted_what_is_left_whatever_the_venue_has_charged(
    world: World, scribe: Scribe
) -> None:
    world.kernel.publish(LimitsDeclared(VENUE, LIMITS, 0))
    world.clock.advance(60_000 * MS)
    world.quote(40, 60)
    shared, note = share(world), BudgetNote(world.directory, VENUE)
    world.gateway.hold()
    dependencies = msgspec.structs.replace(world.dispatcher._dependencies, share=shared)
    running = asyncio.create_task(Dispatcher(dependencies).run())
    for _ in range(3):
        world.buy(scribe)
    await until(lambda: len(world.gateway.sent) == 3)
    left = note.read()
    assert left is not None
    assert left.tokens == {"write": 70}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    shared.close()
    note.close()


async def test_budget_when_another_process_has_sent_then_nothing_counts_as_left_and_no_limit_was_reached(
    world: World, lease: VenueLease
) -> None:
    world.kernel.publish(LimitsDeclared(VENUE, LIMITS, 0))
    world.clock.advance(60_000 * MS)
    world.quote(40, 60)
    shared = share(world)
    assert lease.take()
    assert shared.is_leased()
    assert world.budgets[VENUE].tokens() == {"write": 100}
    lease.close()
    assert not shared.is_leased()
    assert world.budgets[VENUE].tokens() == {"write": 0}
    assert all(event.weight == 0 for event in world.watcher.events_of(RequestCompleted))
    shared.close()


async def test_own_budget_when_the_last_sender_left_a_note_then_it_goes_on_from_there(
    tmp_path: Path, world: World
) -> None:
    note = BudgetNote(tmp_path, VENUE)
    now_ns = world.clock.monotonic_ns()
    note.write(BudgetLeft(now_ns, {"write": 50, "gone": 7}))
    world.clock.advance(1_000 * MS)
    budget = OwnBudget(VENUE, clock=world.clock, note=note)
    budget.publish(LimitsDeclared(VENUE, LIMITS, 0))
    async with budget.turn(RequestKind.CANCEL):
        left = note.read()
    assert left is not None
    assert left.tokens == {"write": 57}
    note.close()


async def test_window_when_another_process_has_sent_then_what_that_noted_is_left_of_it(
    world: World, lease: VenueLease
) -> None:
    window = Pool("minute", 100, 100, 60_000 * MS, PoolShape.WINDOW)
    costs = tuple(Cost(kind, "minute", 1) for kind in RequestKind)
    world.kernel.publish(LimitsDeclared(VENUE, RateLimits((window,), costs), 0))
    world.clock.advance(120_000 * MS)
    world.quote(40, 60)
    shared, note = share(world), BudgetNote(world.directory, VENUE)
    assert lease.take()
    note.write(BudgetLeft(world.clock.monotonic_ns(), {"minute": 42}))
    lease.close()
    assert not shared.is_leased()
    assert world.budgets[VENUE].tokens() == {"minute": 42}
    shared.close()
    note.close()
