"""The dispatcher of one venue account: takes approved intents in order of priority and has them sent.

For each request: is it still wanted, is a connection free, does the rate budget allow it. How one is sent is
`framework.execution.request_sender`.
"""

from __future__ import annotations

import asyncio

from framework.domain.intents import CANCELS
from framework.domain.rate_limits import RequestKind
from framework.execution.ports import DispatchDependencies
from framework.execution.request_queue import QueuedRequest
from framework.execution.request_sender import RequestSender

SLOTS_FOR_CANCELS = 2
"""Connections that only cancels may use, so that slow new orders never hold them up."""

LOOK_AGAIN_S = 0.05
"""After so many seconds it is looked again whether a request may go."""


class Dispatcher:
    """Starts the requests of one queue, one after the other; up to `requests_max` are under way at once. `run` until
    cancelled. Raises `ValueError` when `requests_max` leaves no slot beside those for cancels."""

    def __init__(self, dependencies: DispatchDependencies) -> None:
        if dependencies.requests_max <= SLOTS_FOR_CANCELS:
            raise ValueError(
                f"requests_max: {dependencies.requests_max} leaves no room beside {SLOTS_FOR_CANCELS} for cancels"
            )
        self._dependencies = dependencies
        self._sender = RequestSender(dependencies)
        self._under_way: list[str] = []
        self._finished = asyncio.Event()

    @property
    def under_way(self) -> int:
        """How many requests have been taken from the queue and are not answered yet."""
        return len(self._under_way)

    def has_request_for(self, client_order_id: str) -> bool:
        """Whether a request about this order, or about all orders, is queued or not answered yet. When not, no answer
        is coming any more: what is not known of the order must be looked up."""
        names = (client_order_id, "")
        return any(name in self._under_way or self._dependencies.queue.holds(name) for name in names)

    def account_accepted(self) -> None:
        """The venue has taken the account (again): what waits after a refusal of it leaves at once."""
        self._sender.account_accepted()

    async def run(self) -> None:
        """Send requests until cancelled. One that can't go yet stays queued: a cancel may overtake it."""
        async with asyncio.TaskGroup() as senders:
            while True:
                await self._dependencies.queue.wait()
                request = await self._next()
                if request is not None:
                    senders.create_task(self._send(request), name=f"carry {request.approved.client_order_id}")

    def abandon(self, reason: str, *, is_final: bool = False) -> tuple[str, ...]:
        """Drop what is queued and has not left, as not sent: new orders and amends, and cancels too when nothing is
        sent any more (`is_final`). Returns the client order ids, in the order in which they would have left."""
        taken = self._dependencies.queue.take(
            lambda request: is_final or not isinstance(request.approved.intent, CANCELS)
        )
        for request in taken:
            self._sender.drop(request.approved, reason)
        return tuple(request.approved.client_order_id for request in taken)

    async def _next(self) -> QueuedRequest | None:
        """The most urgent request if it may go now; else wait a little, because a more urgent one may come."""
        request = self._dependencies.queue.peek()
        if request is None:
            return None
        if (reason := self._dependencies.why_unwanted(request)) is not None:
            self._dependencies.queue.pop()
            self._sender.drop(request.approved, reason)
            return None
        if (wait_s := self._wait_s(request.approved.request_kind)) > 0 or self._dependencies.share.is_leased():
            await self._pause(wait_s or LOOK_AGAIN_S)
            return None
        self._dependencies.queue.pop()
        self._under_way.append(request.approved.client_order_id)
        if (budget := self._dependencies.budget()) is not None:
            budget.start(request.approved.request_kind)
            self._dependencies.share.note_start()
        return request

    def _wait_s(self, kind: RequestKind) -> float:
        """Seconds until this request may go: a free slot is waited for in short steps, tokens exactly."""
        slots = self._dependencies.requests_max - (0 if kind is RequestKind.CANCEL else SLOTS_FOR_CANCELS)
        if len(self._under_way) >= slots:
            return LOOK_AGAIN_S
        budget = self._dependencies.budget()
        return budget.dispatch_wait_ns(kind, self._dependencies.clock.monotonic_ns()) / 1e9 if budget else 0.0

    async def _pause(self, seconds: float) -> None:
        """Wait for the time, a finished request, or a more urgent request, whichever comes first."""
        self._finished.clear()
        try:
            async with asyncio.timeout(min(seconds, LOOK_AGAIN_S)):
                await self._finished.wait()
        except TimeoutError:
            return

    async def _send(self, request: QueuedRequest) -> None:
        try:
            await self._sender.send(request)
        finally:
            self._under_way.remove(request.approved.client_order_id)
            self._finished.set()
