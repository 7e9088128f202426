"""Where orders are listed nowhere one part looks them up: seldom, and soon when the market reaches them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path

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

Play = Callable[[Stage], Awaitable[int]]


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


async def _played(play: Play, name: str, directory: Path) -> int:
    directory.mkdir()
    async with staged(name, directory) as stage:
        return await play(stage)


async def _side_by_side(plays: Collection[tuple[Play, str]], directory: Path) -> list[int]:
    return await asyncio.gather(*(_played(play, name, directory / str(at)) for at, (play, name) in enumerate(plays)))


def test_orders_when_they_rest_then_none_is_looked_up_before_its_turn_and_once_a_second_where_trades_reach_it(
    tmp_path: Path,
) -> None:
    plays = [(play, name) for play in (_rest_quietly, _rest_and_trade) for name in NAMES]
    found = dict(zip(plays, uvloop.run(_side_by_side(plays, tmp_path)), strict=True))
    assert [found[_rest_quietly, name] for name in NAMES] == [0, 0]
    assert [name for name in NAMES if not 2 <= found[_rest_and_trade, name] <= 5] == [], found
