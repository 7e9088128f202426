"""A token bucket that keeps requests below the venue's own limit, so that a read is never refused with 429.

A bucket like the venue's, with two differences that make it exact from the outside: it starts empty (the venue's
may have been drained by an earlier run), and tokens of a request without a response are not refilled, because the
venue takes them only when the request arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from framework.domain.ports import Clock

_NS_PER_S = 1_000_000_000
# Our clock and the venue's drift apart, so the bucket refills by 98 % of the declared rate.
_REFILL_SHARE_NUM, _REFILL_SHARE_DEN = 49, 50


class RateLimiter:
    """One token bucket. Levels are kept in billionths of a token, so that whole nanoseconds add up exactly."""

    def __init__(self, *, capacity: int, refill_per_s: int, clock: Clock) -> None:
        """Start empty; hold at most `capacity` tokens, refilled by `refill_per_s`. Raises `ValueError` below 1."""
        self._clock = clock
        self._turn = asyncio.Lock()
        self._level = 0
        self._held = 0
        self._as_of_ns = clock.monotonic_ns()
        self.configure(capacity=capacity, refill_per_s=refill_per_s)

    def __repr__(self) -> str:
        return f"<RateLimiter level={self._level // _NS_PER_S} held={self._held} capacity={self._capacity}>"

    @property
    def capacity(self) -> int:
        """The most tokens that the bucket holds, which is the most that one request can wait for."""
        return self._capacity

    def configure(self, *, capacity: int, refill_per_s: int) -> None:
        """Take over the limits that the venue declares. Raises `ValueError` for limits below 1."""
        if capacity < 1 or refill_per_s < 1:
            raise ValueError(f"capacity={capacity} refill_per_s={refill_per_s}: both must be at least 1")
        self._capacity = capacity
        self._refill_per_s = refill_per_s
        self._level = min(self._level, capacity * _NS_PER_S)

    @asynccontextmanager
    async def spend(self, tokens: int) -> AsyncIterator[None]:
        """Wait, first come first served, until `tokens` are there; hold them while the request is under way.

        A request that costs more than the whole bucket waits for a full one.
        """
        cost = min(tokens, self._capacity)
        async with self._turn:
            wait_ns = self._wait_ns(cost)
            while wait_ns > 0:
                await asyncio.sleep(wait_ns / _NS_PER_S)
                wait_ns = self._wait_ns(cost)
            self._level -= cost * _NS_PER_S
            self._held += cost
        try:
            yield
        finally:
            self._refill()
            self._held -= cost

    def drain(self) -> None:
        """Set the level to 0, because the venue answered 429: its bucket is empty."""
        self._refill()
        self._level = min(self._level, 0)

    def _wait_ns(self, cost: int) -> int:
        self._refill()
        missing = cost * _NS_PER_S - self._level
        if missing <= 0:
            return 0
        return max(1, -(-missing * _REFILL_SHARE_DEN // (self._refill_per_s * _REFILL_SHARE_NUM)))

    def _refill(self) -> None:
        now_ns = self._clock.monotonic_ns()
        gained = (now_ns - self._as_of_ns) * self._refill_per_s * _REFILL_SHARE_NUM // _REFILL_SHARE_DEN
        self._as_of_ns = now_ns
        room = (self._capacity - self._held) * _NS_PER_S
        self._level = max(self._level, min(self._level + gained, room))
