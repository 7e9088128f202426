"""Turns of a connector's own requests, in a loop whose time jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from fractions import Fraction
from functools import partial
from typing import TypeVar

import pytest

from framework.domain.market_events import LimitsDeclared
from framework.domain.rate_limits import Cost, Pool, RateLimits, RequestKind
from framework.domain.turns import Turn, no_limits
from framework.own_budget import OwnBudget
from tests.connectors.support import LoopClock, run_jumping
from tests.risk.budget.test_venue_budget import VenueBucket

T = TypeVar("T")
QUERY = RequestKind.QUERY


def limits(capacity: int = 200, refill: int = 200) -> RateLimits:
    return RateLimits(
        (Pool("read", capacity, refill), Pool("balance", 1, 1)),
        (Cost(QUERY, "read", 10), Cost(QUERY, "read", 2, "/order/*"), Cost(QUERY, "balance", 1, "/balance")),
    )


def with_budget(
    use: Callable[[OwnBudget, LoopClock], Awaitable[T]], declared: RateLimits | None = None, *, is_full: bool = False
) -> T:
    async def main(clock: LoopClock) -> T:
        budget = OwnBudget("v", clock=clock)
        budget.publish(LimitsDeclared("v", declared or limits(), 0))
        if is_full:
            await asyncio.sleep(60)
        return await use(budget, clock)

    return run_jumping(main)


@pytest.mark.parametrize("delays_s", [[0.001], [0.4, 0.001], [2.0, 0.001, 0.3]])
def test_reads_when_the_venues_bucket_is_empty_at_the_start_then_none_is_refused(delays_s: list[float]) -> None:
    async def use(budget: OwnBudget, clock: LoopClock) -> tuple[int, int, float]:
        venue = VenueBucket(200, 200, Fraction(0))

        async def read(number: int) -> None:
            async with budget.turn(QUERY):
                delay_s = delays_s[number % len(delays_s)]
                await asyncio.sleep(delay_s / 2)
                venue.charge(10, clock.monotonic_ns())
                await asyncio.sleep(delay_s / 2)

        await asyncio.gather(*(read(number) for number in range(400)))
        return venue.refused, venue.served, clock.monotonic_ns() / 1e9

    refused, served, elapsed_s = with_budget(use)
    assert (refused, served) == (0, 4_000)
    assert max(delays_s) > 0.1 or 4_000 / (elapsed_s * 200) > 0.99


def test_reads_when_an_answer_is_late_then_its_tokens_come_back_only_after_it() -> None:
    async def use(budget: OwnBudget, _clock: LoopClock) -> tuple[bool, bool]:
        answered = asyncio.Event()

        async def slow() -> None:
            async with budget.turn(QUERY, weight=20):
                await answered.wait()

        async def next_one() -> None:
            async with budget.turn(QUERY, weight=20):
                pass

        tasks = [asyncio.create_task(slow()), asyncio.create_task(next_one())]
        await asyncio.sleep(5)
        was_early = tasks[1].done()
        answered.set()
        await asyncio.sleep(1.2)
        return was_early, tasks[1].done()

    assert with_budget(use, is_full=True) == (False, True)


async def waited_s(clock: LoopClock, turn: Callable[[], Awaitable[object]]) -> float:
    before_ns = clock.monotonic_ns()
    await turn()
    return (clock.monotonic_ns() - before_ns) / 1e9


async def read(
    budget: OwnBudget, say: Callable[[Turn], None] = lambda _: None, endpoint: str = "", times: int = 1
) -> None:
    async with budget.turn(QUERY, endpoint, times) as turn:
        say(turn)


def test_read_when_limited_then_the_next_waits_for_new_tokens_and_when_not_sent_for_nothing() -> None:
    async def use(budget: OwnBudget, clock: LoopClock) -> list[float]:
        what: list[Callable[[Turn], None]] = [
            lambda turn: turn.not_sent(),
            lambda turn: turn.was_limited(),
            lambda _: None,
        ]
        return [await waited_s(clock, partial(read, budget, say, times=20)) for say in what]

    assert with_budget(use, is_full=True) == pytest.approx([0, 0, 1], abs=0.01)


def test_read_when_it_costs_more_than_its_pool_holds_then_it_waits_for_a_full_one() -> None:
    async def use(budget: OwnBudget, clock: LoopClock) -> float:
        return await waited_s(clock, lambda: read(budget, times=99))

    assert with_budget(use) == pytest.approx(1, abs=0.01)


def test_read_when_it_waits_for_a_pool_of_its_own_then_it_holds_up_nobody_else() -> None:
    async def use(budget: OwnBudget, clock: LoopClock) -> list[float]:
        ends = ("/balance", "/balance", "", "/order/*")
        waits = [waited_s(clock, partial(read, budget, endpoint=end)) for end in ends]
        return list(await asyncio.gather(*waits))

    assert with_budget(use, is_full=True) == pytest.approx([0, 1, 0, 0], abs=0.01)


def test_read_when_its_endpoint_has_a_price_then_that_is_taken_in_place_of_the_kinds() -> None:
    async def use(budget: OwnBudget, clock: LoopClock) -> float:
        return await waited_s(clock, lambda: asyncio.gather(*(read(budget, endpoint="/order/*") for _ in range(200))))

    assert with_budget(use, is_full=True) == pytest.approx(1, abs=0.02), "the first hundred at once, then a second"


def test_read_when_it_is_cancelled_while_it_waits_then_the_next_is_served_and_nothing_was_spent() -> None:
    async def use(budget: OwnBudget, clock: LoopClock) -> tuple[bool, float]:
        first, second = (asyncio.create_task(read(budget, times=20)) for _ in range(2))
        await asyncio.sleep(0.5)
        first.cancel()
        await asyncio.wait({first, second})
        return first.cancelled(), clock.monotonic_ns() / 1e9

    was_cancelled, elapsed_s = with_budget(use)
    assert was_cancelled
    assert elapsed_s == pytest.approx(1, abs=0.01)


def test_read_when_it_fails_then_its_tokens_count_as_spent() -> None:
    async def use(budget: OwnBudget, clock: LoopClock) -> float:
        with pytest.raises(ZeroDivisionError):
            async with budget.turn(QUERY, weight=20):
                raise ZeroDivisionError
        return await waited_s(clock, lambda: read(budget, times=20))

    assert with_budget(use, is_full=True) == pytest.approx(1, abs=0.01)


def test_limits_when_they_change_while_reads_wait_then_the_new_ones_hold() -> None:
    async def use(budget: OwnBudget, clock: LoopClock) -> float:
        waiting = [asyncio.create_task(read(budget, times=20)) for _ in range(3)]
        await asyncio.sleep(0.1)
        budget.publish(LimitsDeclared("v", limits(20_000, 20_000), 0))
        await asyncio.wait(waiting)
        return clock.monotonic_ns() / 1e9

    assert with_budget(use) < 0.5


def test_turn_when_no_limits_are_known_then_it_comes_at_once() -> None:
    async def main(clock: LoopClock) -> float:
        budget = OwnBudget("v", clock=clock)
        for turn in (budget.turn, no_limits):
            async with turn(QUERY, "/orders", 1_000) as mine:
                mine.was_limited()
                mine.not_sent()
        return clock.monotonic_ns() / 1e9

    assert run_jumping(main) == 0
