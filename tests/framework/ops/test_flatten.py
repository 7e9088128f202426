"""Positions that are worked out at an operator's word, on a whole core with a scripted venue."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec
import pytest

from framework.domain.account_events import OrderRequested, Scope, StrategyQuarantined, TradingState
from framework.domain.intents import NewOrder
from framework.domain.market_events import BookStale
from framework.domain.operator_requests import Answer, Flatten
from framework.domain.orders import Side, TimeInForce
from framework.domain.strategy import OrderHandle
from framework.domain.terms import VenueTerms
from framework.ops.operator_commands import Operator
from risk.checks.max_order_size import MaxOrderSize
from tests.framework.ops.test_operator_commands import hand, recorded, refused
from tests.support.world import MARKET, VENUE, Dispatching, Scribe, World, until

ALL = Flatten(scope=Scope.GLOBAL, reason="drill", time_ms=50_000)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A core whose largest order is 20 contracts, quoted at 40 to 60."""
    made = World(tmp_path, checks=[("max_order_size", MaxOrderSize.model_validate({"max_size": "20"}))])
    made.start()
    yield made
    made.close()


async def bought(world: World, scribe: Scribe, size: int) -> None:
    """The strategy holds so many contracts more."""
    for start in range(0, size, 20):
        handle = await world.working(scribe, size=min(20, size - start))
        world.kernel.publish(world.fill(handle, min(20, size - start), f"buy-{start}"))


def position(world: World, strategy: str = "scribe") -> int:
    """What it holds, signed."""
    return world.accounts.strategy_exposure(strategy, MARKET).position


def asked(world: World) -> list[NewOrder]:
    """The orders that the operator had placed."""
    found = recorded(world, OrderRequested)
    return [one.intent for one in found if isinstance(one, OrderRequested)]


async def flattened(world: World, operator: Operator, request: Flatten, *, share: int = 1) -> Answer:
    """Have it done while the venue trades a `share`-th of each order that comes, and time passes."""
    task = asyncio.create_task(operator.answer(request))
    done: set[str] = set()
    while not task.done():
        await asyncio.sleep(0.005)
        world.clock.advance(20_000_000)
        for order in world.accounts.orders.open(strategy="scribe"):
            if order.status.is_at_venue and order.side is Side.SELL and order.client_order_id not in done:
                done.add(order.client_order_id)
                sold = world.fill(
                    cast("OrderHandle", order), max(1, order.size // share), f"sell-{order.client_order_id}"
                )
                world.kernel.publish(sold)
    return await task


async def test_flatten_when_the_market_takes_it_then_everything_is_sold_in_orders_that_the_gate_lets_pass(
    world: World,
) -> None:
    scribe = world.add()
    async with Dispatching(world):
        await bought(world, scribe, 50)
        answer = await flattened(world, hand(world), ALL, share=2)
    assert answer.is_ok
    assert answer.lines[0] == f"scribe {MARKET} 50: flat"
    assert position(world) == 0
    sold = [order for order in asked(world) if order.side is Side.SELL]
    assert all(order.price == 39 for order in sold)
    assert all(order.reduce_only and order.time_in_force is TimeInForce.IMMEDIATE_OR_CANCEL for order in sold)
    assert [order.size for order in sold] == [50, 25, 13, 7, 4, 2, 1]
    (row,) = world.accounts.trading.rows()
    assert (row.scope, row.state, row.reason) == (Scope.GLOBAL, TradingState.REDUCING, "flatten: drill")
    assert "tidegate resume" in answer.lines[-1]


async def test_flatten_when_the_strategy_is_quarantined_then_it_is_got_out_of_its_position_all_the_same(
    world: World,
) -> None:
    scribe = world.add()
    async with Dispatching(world):
        await bought(world, scribe, 10)
        world.kernel.publish(StrategyQuarantined("scribe", "raised 5 times", 1))
        answer = await flattened(world, hand(world), ALL)
    assert (answer.is_ok, position(world)) == (True, 0)
    assert world.accounts.trading.is_quarantined("scribe")


async def test_flatten_when_the_venue_has_no_immediate_orders_then_what_rests_is_cancelled_and_the_rest_asked_again(
    world: World,
) -> None:
    scribe = world.add()
    world.offer(VenueTerms(times_in_force=(TimeInForce.GOOD_TILL_CANCELLED,), reduce_only=False))
    async with Dispatching(world):
        await bought(world, scribe, 10)
        task = asyncio.create_task(hand(world).answer(ALL))
        await until(lambda: [order for order in asked(world)])
        first = world.accounts.orders.open(strategy="scribe")[-1]
        world.kernel.publish(world.fill(cast("OrderHandle", first), 4, "part"))
        world.clock.advance(1_100_000_000)
        await until(lambda: len(asked(world)) > 1)
        second = asked(world)[1]
        world.clock.advance(50_000_000_000)
        answer = await task
    assert (second.size, second.time_in_force, second.reduce_only) == (6, TimeInForce.GOOD_TILL_CANCELLED, False)
    assert not answer.is_ok
    assert answer.lines[0] == f"scribe {MARKET} 10: 6 is left: its time was over"
    await asyncio.sleep(0)
    assert all(order.cancel_wanted for order in world.accounts.orders.open(strategy="scribe"))


async def test_flatten_when_a_book_is_not_fresh_then_no_order_is_placed_blindly(world: World) -> None:
    scribe = world.add()
    async with Dispatching(world):
        await bought(world, scribe, 10)
        world.kernel.publish(BookStale(MARKET, "gap", world.clock.now_ns()))
        task = asyncio.create_task(hand(world).answer(ALL))
        await asyncio.sleep(0.3)
        world.clock.advance(51_000_000_000)
        answer = await task
    assert answer.lines[0] == f"scribe {MARKET} 10: 10 is left: the book is not fresh, or its other side is empty"
    assert asked(world) == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"time_ms": 0}, "--time: it may take up to 50 seconds; 0 ms can't be"),
        ({"time_ms": 60_000}, "60000 ms can't be"),
        ({"collar_bps": -1}, "--collar: 0 to 1000 basis points; -1 can't be"),
        ({"scope": Scope.STRATEGY, "target": "scrib"}, 'there is no strategy "scrib"; did you mean "scribe"?'),
    ],
)
async def test_flatten_when_it_can_not_be_asked_for_then_one_line_says_why(
    world: World, changes: dict[str, object], line: str
) -> None:
    assert line in await refused(hand(world), msgspec.structs.replace(ALL, **changes))
    assert world.accounts.trading.rows() == ()


async def test_flatten_when_it_is_a_dry_run_then_it_names_each_position_and_does_nothing(world: World) -> None:
    scribe = world.add()
    request = msgspec.structs.replace(ALL, is_dry_run=True)
    assert (await hand(world).answer(request)).lines == ("dry run: nothing is done", "there is no position")
    async with Dispatching(world):
        await bought(world, scribe, 10)
        before = len(world.entries())
        for scope, target in ((Scope.VENUE, VENUE), (Scope.STRATEGY, "scribe"), (Scope.INSTRUMENT, MARKET)):
            one = msgspec.structs.replace(request, scope=scope, target=target)
            lines = (await hand(world).answer(one)).lines
            assert lines == ("dry run: nothing is done", f"would work out scribe {MARKET} 10")
    assert len(world.entries()) == before
