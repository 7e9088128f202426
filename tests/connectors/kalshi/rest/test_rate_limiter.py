"""Pacing, in a loop whose time jumps."""

from __future__ import annotations

import asyncio

import pytest

from connectors.kalshi.rest.rate_limiter import RateLimiter
from tests.connectors.kalshi.support import LoopClock, run_jumping


class VenueBucket:
    """The venue's own bucket: refuses what it can't pay."""

    def __init__(self, clock: LoopClock, *, level: float, capacity: float, refill_per_s: float) -> None:
        self._clock = clock
        self._level = level
        self._capacity = capacity
        self._refill_per_s = refill_per_s
        self._as_of_s = 0.0
        self.refusals = 0
        self.served = 0

    def take(self, tokens: int) -> None:
        now_s = self._clock.monotonic_ns() / 1e9
        self._level = min(self._capacity, self._level + (now_s - self._as_of_s) * self._refill_per_s)
        self._as_of_s = now_s
        if self._level < tokens - 1e-6:
            self.refusals += 1
        else:
            self._level -= tokens
            self.served += 1


def run_reads(*, count: int, delays_s: list[float], start_level: float) -> tuple[VenueBucket, float]:
    async def main(clock: LoopClock) -> tuple[VenueBucket, float]:
        budget = RateLimiter(capacity=200, refill_per_s=200, clock=clock)
        venue = VenueBucket(clock, level=start_level, capacity=200, refill_per_s=200)

        async def read(number: int) -> None:
            async with budget.spend(10):
                delay_s = delays_s[number % len(delays_s)]
                await asyncio.sleep(delay_s / 2)
                venue.take(10)
                await asyncio.sleep(delay_s / 2)

        await asyncio.gather(*(read(number) for number in range(count)))
        return venue, clock.monotonic_ns() / 1e9

    return run_jumping(main)


@pytest.mark.parametrize("delays_s", [[0.001], [0.4, 0.001], [2.0, 0.001, 0.3]])
def test_reads_when_the_venues_bucket_is_empty_at_the_start_then_none_is_refused(delays_s: list[float]) -> None:
    venue, _ = run_reads(count=400, delays_s=delays_s, start_level=0)
    assert (venue.refusals, venue.served) == (0, 400)


def test_reads_when_saturated_then_most_of_the_limit_is_used() -> None:
    _, elapsed_s = run_reads(count=400, delays_s=[0.001], start_level=0)
    assert 400 * 10 / (elapsed_s * 200) > 0.97


def test_reads_when_an_answer_is_late_then_its_tokens_come_back_only_after_it() -> None:
    async def main(clock: LoopClock) -> tuple[bool, bool]:
        budget = RateLimiter(capacity=20, refill_per_s=200, clock=clock)
        answered = asyncio.Event()

        async def slow() -> None:
            async with budget.spend(20):
                await answered.wait()

        async def next_one() -> None:
            async with budget.spend(20):
                pass

        tasks = [asyncio.create_task(slow()), asyncio.create_task(next_one())]
        await asyncio.sleep(5)
        was_early = tasks[1].done()
        answered.set()
        await asyncio.sleep(0.2)
        return was_early, tasks[1].done()

    assert run_jumping(main) == (False, True)


def test_budget_when_drained_then_the_next_read_waits_for_new_tokens() -> None:
    async def main(clock: LoopClock) -> float:
        budget = RateLimiter(capacity=200, refill_per_s=100, clock=clock)
        await asyncio.sleep(10)
        budget.drain()
        before_s = clock.monotonic_ns() / 1e9
        async with budget.spend(49):
            return clock.monotonic_ns() / 1e9 - before_s

    assert run_jumping(main) == pytest.approx(0.5, abs=0.01)


def test_budget_when_a_request_costs_more_than_the_bucket_then_it_waits_for_a_full_one() -> None:
    async def main(clock: LoopClock) -> bool:
        budget = RateLimiter(capacity=10, refill_per_s=100, clock=clock)
        async with budget.spend(150):
            return True

    assert run_jumping(main)


def test_budget_when_a_waiting_read_is_cancelled_then_the_next_one_is_served() -> None:
    async def main(clock: LoopClock) -> bool:
        budget = RateLimiter(capacity=10, refill_per_s=1, clock=clock)

        async def read() -> None:
            async with budget.spend(10):
                pass

        first, second = asyncio.create_task(read()), asyncio.create_task(read())
        await asyncio.sleep(1)
        first.cancel()
        await asyncio.wait({first, second})
        return first.cancelled() and second.done() and not second.cancelled()

    assert run_jumping(main)


@pytest.mark.parametrize(("capacity", "refill_per_s"), [(0, 1), (1, 0)])
def test_budget_when_limits_are_not_positive_then_they_are_refused(capacity: int, refill_per_s: int) -> None:
    async def main(clock: LoopClock) -> None:
        with pytest.raises(ValueError, match="at least 1"):
            RateLimiter(capacity=capacity, refill_per_s=refill_per_s, clock=clock)

    run_jumping(main)
