"""Turns of a connector's own requests: each waits for its tokens, holds them while it is under way, and books them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from framework.domain.events import Event
from framework.domain.market_events import RequestCompleted, RequestOutcome, TurnTaken
from framework.domain.ports import Clock
from framework.domain.rate_limits import RequestKind
from framework.domain.turns import Turn
from framework.execution.ports import ALONE, VenueShare

PAUSE_S_MAX = 0.25
"""Longest time until a waiting request looks again: limits may have changed, or tokens come back."""
_LEASED_NS = 50_000_000


class TurnBudget(Protocol):
    """A budget's side for turns; `risk.budget.venue_budget.VenueBudget` says what each call means."""

    def pools_of(self, kind: RequestKind, endpoint: str, /) -> tuple[str, ...]:
        """The pools that a request takes tokens from, always in the same order."""
        ...

    def turn_wait_ns(self, kind: RequestKind, endpoint: str, weight: int, monotonic_ns: int, /) -> int:
        """Nanoseconds until the request may have its turn; 0 = now."""
        ...

    def start(self, kind: RequestKind, endpoint: str, weight: int, /) -> None:
        """The request is about to be sent: its tokens count as under way."""
        ...

    def take_back(self, kind: RequestKind, endpoint: str, weight: int, /) -> None:
        """A started request has proved not to have left."""
        ...


class _Taken:
    """Implements `framework.domain.turns.Turn`."""

    def __init__(self) -> None:
        self.outcome = RequestOutcome.SPENT

    def was_limited(self) -> None:
        self.outcome = RequestOutcome.LIMITED

    def not_sent(self) -> None:
        self.outcome = RequestOutcome.NOT_CHARGED


class RequestTurns:
    """The turns of one venue account; implements `framework.domain.turns.TakeTurn`.

    `budget` is the venue's now, None until its limits are declared. `publish` takes what becomes of each turn to the
    budget's owner: the kernel, which writes it to the tape, so that a replay finds what its gate saw. `share` is how
    the venue is shared with another process: while that sends, no turn comes.
    """

    def __init__(
        self,
        venue: str,
        *,
        budget: Callable[[], TurnBudget | None],
        publish: Callable[[Event], object],
        clock: Clock,
        share: VenueShare = ALONE,
    ) -> None:
        self._venue = venue
        self._budget = budget
        self._publish = publish
        self._clock = clock
        self._share = share
        self._lines: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._ended = asyncio.Event()

    def __repr__(self) -> str:
        return f"<RequestTurns {self._venue}>"

    @asynccontextmanager
    async def __call__(self, kind: RequestKind, endpoint: str = "", weight: int = 1) -> AsyncIterator[Turn]:
        """Wait for the turn; what leaves the block books it."""
        taken = _Taken()
        if self._budget() is None:
            yield taken
            return
        await self._take(kind, endpoint, weight)
        try:
            yield taken
        finally:
            self._end(kind, endpoint, weight, taken.outcome)

    async def _take(self, kind: RequestKind, endpoint: str, weight: int) -> None:
        """Stand in the line of each pool: first come, first served, and one that has to wait for a pool of its own
        holds up nobody else. Lines are joined in the order of their names, so that no two wait for each other."""
        async with AsyncExitStack() as places:
            for name in self._found().pools_of(kind, endpoint):
                await places.enter_async_context(self._lines[name])
            while wait_ns := self._wait_ns(kind, endpoint, weight):
                await self._pause(wait_ns / 1e9)
            self._publish(TurnTaken(self._venue, kind, self._clock.now_ns(), endpoint, weight))
            self._found().start(kind, endpoint, weight)
            self._share.note_start()

    def _wait_ns(self, kind: RequestKind, endpoint: str, weight: int) -> int:
        if self._share.is_leased():
            return _LEASED_NS
        return self._found().turn_wait_ns(kind, endpoint, weight, self._clock.monotonic_ns())

    def _end(self, kind: RequestKind, endpoint: str, weight: int, outcome: RequestOutcome) -> None:
        if outcome is RequestOutcome.NOT_CHARGED:
            self._found().take_back(kind, endpoint, weight)
        now_ns = self._clock.now_ns()
        self._publish(RequestCompleted(self._venue, "", kind, outcome, now_ns, endpoint, weight))
        self._ended.set()

    def _found(self) -> TurnBudget:
        budget = self._budget()
        if budget is None:
            raise RuntimeError(f"{self._venue}: its budget has gone")
        return budget

    async def _pause(self, seconds: float) -> None:
        """Wait for the time or for the end of another turn."""
        self._ended.clear()
        try:
            async with asyncio.timeout(min(seconds, PAUSE_S_MAX)):
                await self._ended.wait()
        except TimeoutError:
            return
