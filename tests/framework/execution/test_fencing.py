"""The older of two runs on one state sends nothing more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from framework.execution.dispatcher import Dispatcher
from framework.persistence.recovery import RecordSettings, open_records
from framework.runtime.clock import ManualClock, seeded_rng
from framework.runtime.disk_writer import Durability
from framework.runtime.files import RealFiles
from framework.runtime.state_directory import take_epoch
from tests.support.world import World, until


async def carried(world: World, *, is_fenced: bool) -> list[str]:
    """Place an order while another run has, or has not, taken over; what reached the venue."""
    dependencies = msgspec.structs.replace(world.dispatcher._dependencies, is_fenced=lambda: is_fenced)
    dispatcher = Dispatcher(dependencies)
    scribe = world.add("scribe")
    handle = world.buy(scribe)
    running = asyncio.create_task(dispatcher.run())
    await until(lambda: bool(world.failures) or world.order(handle).status.is_at_venue)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return [name for _, name in world.gateway.sent_names]


async def test_dispatch_when_a_newer_run_took_over_then_nothing_leaves_and_the_daemon_is_told(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.start()
    assert await carried(world, is_fenced=True) == []
    assert "newer run" in str(world.failures[0])
    world.close()


async def test_dispatch_when_nobody_took_over_then_the_order_leaves(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.start()
    assert len(await carried(world, is_fenced=False)) == 1
    world.close()


async def test_records_when_another_run_takes_the_epoch_then_they_are_fenced(tmp_path: Path) -> None:
    settings = RecordSettings(
        directory=tmp_path, durability=Durability.PROCESS_CRASH, tape=None, version="0", config_hash="0"
    )
    records = open_records(
        RealFiles(), settings, clock=ManualClock(), rng=seeded_rng(1), observe_sync_ns=lambda _: None
    )
    try:
        assert not records.is_fenced()
        take_epoch(RealFiles(), tmp_path)
        assert records.is_fenced()
    finally:
        records.close()
