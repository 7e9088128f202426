"""Where orders are listed nowhere one part looks them up: seldom, and soon when the market reaches them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from framework.domain.orders import Side
from framework.testing.conformance.candidates import find_venues
from framework.testing.conformance.cases.orders import rest, until_filled
from framework.testing.conformance.sandbox import Sandbox
from framework.testing.conformance.stage import Setting, Stage
from tests.architecture.source_tree import ROOT

ORDERS = 5
WATCHED_S = 2.5
TRADES = 10
NAMES = ("bitexasia", "by_order_venue")


@asynccontextmanager
async def staged(name: str, directory: Path) -> AsyncIterator[Stage]:
    """A daemon on a venue that lists nothing."""
    venue = find_venues([ROOT / "tests" / "support"])[name]
    sandbox = await Sandbox.start(venue, directory)
    stage = Stage(Setting(venue, venue.dialects[0], "picows"), sandbox, directory)
    try:
        yield stage
    finally:
        await stage.close()
        await sandbox.stop()


async def look_ups(stage: Stage) -> int:
    """How often an order was looked up until now."""
    requests = (await stage.sandbox.truth())["observed"]["requests"]
    return int(requests.get("GET /orders/{id}", 0))


async def _rest_quietly(stage: Stage) -> int:
    session, market = await stage.trade()
    for number in range(ORDERS):
        await rest(session, market, steps=-1 - number)
    await asyncio.sleep(WATCHED_S)
    return await look_ups(stage)


async def _rest_and_trade(stage: Stage) -> int:
    session, market = await stage.trade()
    handle = await rest(session, market, lots=50)
    for _ in range(TRADES):
        await market.take(Side.SELL, -1, market.lot)
        await asyncio.sleep(WATCHED_S / TRADES)
    await until_filled(session, handle, market.lot * TRADES)
    return await look_ups(stage)


def played(name: str, directory: Path, play: Callable[[Stage], object]) -> int:
    """What a play comes to on a stage of its own."""

    async def run() -> int:
        async with staged(name, directory) as stage:
            found = play(stage)
            assert asyncio.iscoroutine(found)
            return int(await found)

    return uvloop.run(run())


@pytest.mark.parametrize("name", NAMES)
def test_orders_when_nothing_trades_then_none_is_looked_up_before_its_turn(tmp_path: Path, name: str) -> None:
    assert played(name, tmp_path, _rest_quietly) == 0


@pytest.mark.parametrize("name", NAMES)
def test_order_when_trades_reach_its_price_again_and_again_then_it_is_looked_up_once_a_second(
    tmp_path: Path, name: str
) -> None:
    assert 2 <= played(name, tmp_path, _rest_and_trade) <= 5
