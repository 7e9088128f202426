"""The dispatcher of one venue account: takes approved intents in order of priority and has them carried to the venue.

For each parcel: is it still wanted, is a connection free, may the budget pay it. How one is carried is
`framework.execution.request_sender`.
"""

from __future__ import annotations

import asyncio

from framework.domain.intents import CANCELS
from framework.domain.rate_limits import RequestKind
from framework.execution.ports import DispatchParts
from framework.execution.request_queue import Parcel
from framework.execution.request_sender import Carrier

SLOTS_FOR_CANCELS = 2
"""Connections that only cancels may use, so that slow new orders never hold them up."""


class Dispatcher:
    """One worker. `run` until cancelled."""

    def __init__(self, parts: DispatchParts) -> None:
        if parts.requests_max <= SLOTS_FOR_CANCELS:
            raise ValueError(
                f"requests_max: {parts.requests_max} leaves no room beside {SLOTS_FOR_CANCELS} for cancels"
            )
        self._parts = parts
        self._carrier = Carrier(parts)
        self._under_way: list[str] = []
        self._finished = asyncio.Event()

    @property
    def under_way(self) -> int:
        """Requests that have been taken from the outbox and not been answered yet."""
        return len(self._under_way)

    def carries(self, client_order_id: str) -> bool:
        """Whether a request about this order, or about all orders, is queued or not answered yet. When not, no answer
        is coming any more: what is not known of the order must be looked up."""
        names = (client_order_id, "")
        return any(name in self._under_way or self._parts.outbox.holds(name) for name in names)

    async def run(self) -> None:
        """Carry parcels until cancelled. One that can't be paid or carried yet keeps its place in the queue."""
        async with asyncio.TaskGroup() as carriers:
            while True:
                await self._parts.outbox.wait()
                parcel = await self._next()
                if parcel is not None:
                    carriers.create_task(self._carry(parcel), name=f"carry {parcel.approved.client_order_id}")

    def abandon(self, reason: str, *, is_final: bool = False) -> tuple[str, ...]:
        """Give up what is queued and has not left, as not sent: new orders and amends, and cancels too when nothing is
        sent any more (`is_final`). Returns the client order ids, in the order in which they would have left."""
        taken = self._parts.outbox.take(lambda parcel: is_final or not isinstance(parcel.approved.intent, CANCELS))
        for parcel in taken:
            self._carrier.drop(parcel.approved, reason)
        return tuple(parcel.approved.client_order_id for parcel in taken)

    async def _next(self) -> Parcel | None:
        """The most urgent parcel if it may go now; else wait a little, because a more urgent one may come."""
        parcel = self._parts.outbox.peek()
        if parcel is None:
            return None
        if (reason := self._carrier.unwanted(parcel.approved)) is not None:
            self._parts.outbox.pop()
            self._carrier.drop(parcel.approved, reason)
            return None
        if (wait_s := self._wait_s(parcel.approved.request_kind)) > 0:
            await self._pause(wait_s)
            return None
        self._parts.outbox.pop()
        self._under_way.append(parcel.approved.client_order_id)
        if (budget := self._parts.budget()) is not None:
            budget.start(parcel.approved.request_kind)
        return parcel

    def _wait_s(self, kind: RequestKind) -> float:
        """Seconds until this request may go: a free slot is waited for in short steps, tokens exactly."""
        slots = self._parts.requests_max - (0 if kind is RequestKind.CANCEL else SLOTS_FOR_CANCELS)
        if len(self._under_way) >= slots:
            return 0.05
        budget = self._parts.budget()
        return budget.dispatch_wait_ns(kind, self._parts.clock.monotonic_ns()) / 1e9 if budget else 0.0

    async def _pause(self, seconds: float) -> None:
        """Wait for the time, a finished request, or a more urgent parcel, whichever comes first."""
        self._finished.clear()
        try:
            async with asyncio.timeout(min(seconds, 0.05)):
                await self._finished.wait()
        except TimeoutError:
            return

    async def _carry(self, parcel: Parcel) -> None:
        try:
            await self._carrier.carry(parcel)
        finally:
            self._under_way.remove(parcel.approved.client_order_id)
            self._finished.set()
