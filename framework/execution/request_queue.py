"""The queue of one venue account: approved intents that wait for the dispatcher, the most urgent first."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

import msgspec

from framework.domain.rate_limits import RequestKind
from framework.domain.verdicts import Approved
from framework.runtime import failpoints

_PRIORITY = {kind: kind.priority for kind in RequestKind}


class QueuedRequest(msgspec.Struct, gc=False):
    """One approved intent that is to be sent. `attempts` counts how often that was tried; `approved_ns` is the
    monotonic time of its approval in nanoseconds, 0 where nobody asks how old it is."""

    approved: Approved
    attempts: int = 0
    approved_ns: int = 0


class RequestQueue:
    """A priority queue for one venue account: cancels, then reducing orders, amends, new orders; oldest first."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, QueuedRequest]] = []
        self._pushed = 0
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        return len(self._heap)

    def holds(self, client_order_id: str, kind: RequestKind | None = None) -> bool:
        """Whether a request about this order is queued, of this kind or of any. Looks at every request: not for the hot
        path."""
        queued = (request.approved for _, _, request in self._heap)
        return any(one.client_order_id == client_order_id and kind in (None, one.request_kind) for one in queued)

    def push(self, request: QueuedRequest) -> None:
        """Queue a request behind those of its priority, and wake who waits."""
        self._pushed += 1
        heapq.heappush(self._heap, (_PRIORITY[request.approved.request_kind], self._pushed, request))
        self._arrived.set()
        if failpoints.is_armed:
            failpoints.reach("after-outbox-push")

    def pop(self) -> QueuedRequest | None:
        """Take out the most urgent request; None when the queue is empty."""
        return heapq.heappop(self._heap)[2] if self._heap else None

    def peek(self) -> QueuedRequest | None:
        """The most urgent request, which stays queued; None when the queue is empty."""
        return self._heap[0][2] if self._heap else None

    def take(self, is_meant: Callable[[QueuedRequest], bool]) -> list[QueuedRequest]:
        """Take out every request that is meant, the most urgent first; the others keep their places."""
        queued = sorted(self._heap, key=lambda entry: entry[:2])
        self._heap = [entry for entry in queued if not is_meant(entry[2])]
        return [request for _, _, request in queued if is_meant(request)]

    async def wait(self) -> None:
        """Return once something was pushed after the last call that found the queue empty."""
        if not self._heap:
            self._arrived.clear()
            await self._arrived.wait()
