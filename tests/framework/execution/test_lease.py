"""While a process beside the daemon ends a venue's orders, the daemon sends nothing there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from framework.domain.rate_limits import RequestKind
from framework.execution.dispatcher import Dispatcher
from framework.execution.request_turns import RequestTurns
from framework.runtime.venue_lease import LeaseWatch, VenueLease
from tests.support.world import VENUE, Scribe, World, until


@pytest.fixture
async def lease(tmp_path: Path) -> AsyncIterator[VenueLease]:
    """The lease of the world's venue, not taken yet."""
    made = VenueLease(tmp_path, VENUE)
    yield made
    made.close()


@pytest.fixture
async def dispatching(world: World) -> AsyncIterator[World]:
    """The world with a dispatcher that looks for leases."""
    watch = LeaseWatch(world.directory)
    dependencies = msgspec.structs.replace(world.dispatcher._dependencies, is_leased=lambda: watch.is_taken(VENUE))
    running = asyncio.create_task(Dispatcher(dependencies).run())
    yield world
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    watch.close()


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
    watch = LeaseWatch(world.directory)
    turns = RequestTurns(
        VENUE,
        budget=lambda: world.budgets.get(VENUE),  # type: ignore[arg-type,return-value]
        publish=world.kernel.publish,
        clock=world.clock,
        is_leased=lambda: watch.is_taken(VENUE),
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
    watch.close()
