"""The dispatcher of one venue account: takes approved intents in order of priority and carries them to the venue.

For each parcel: is it still wanted, may the budget pay it, sign it freshly, record that it goes, wait until that
record is durable, send, and bring the answer back as ordinary events. An ambiguous answer makes the order
unknown; nothing is ever sent twice unless the first try is proved to have had no effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec

from framework.domain.errors import Fatal, JournalError, OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.events import (
    Event,
    OrderReport,
    ReportKind,
    RequestOutcome,
    RequestSettled,
)
from framework.domain.intents import AmendOrder, CancelAll, CancelOrder, NewOrder
from framework.domain.limits import RequestKind
from framework.domain.orders import Order
from framework.domain.ports import Clock
from framework.domain.tickets import Approved, Signed
from framework.domain.venue import Gateway
from framework.flow.outbox import Outbox, Parcel
from framework.runtime.failpoints import reach, reach_soon

SLOTS_FOR_CANCELS = 2
"""Connections that only cancels may use, so that slow new orders never hold them up."""

ATTEMPTS_MAX = 4
RETRY_MS = 50


NOT_SENT_AS: Mapping[type, ReportKind] = {
    NewOrder: ReportKind.NOT_SENT,
    AmendOrder: ReportKind.AMEND_REFUSED,
    CancelOrder: ReportKind.CANCEL_REFUSED,
    CancelAll: ReportKind.CANCEL_REFUSED,
}
"""What a request that never left means for its order."""

UNKNOWN_AS: Mapping[type, ReportKind] = {
    NewOrder: ReportKind.UNKNOWN,
    AmendOrder: ReportKind.UNKNOWN,
    CancelOrder: ReportKind.CANCEL_REFUSED,
    CancelAll: ReportKind.CANCEL_REFUSED,
}
"""What an ambiguous answer means: a cancel is repeated once a look-up shows the order still open."""

CANCELS = (CancelOrder, CancelAll)

SENDING: Mapping[type, tuple[str, str]] = {
    NewOrder: ("after-durable-before-write", "after-write-before-answer"),
    AmendOrder: ("amend-before-send", "amend-after-send"),
    CancelOrder: ("cancel-before-send", "cancel-after-send"),
    CancelAll: ("cancel-before-send", "cancel-after-send"),
}
"""Fail points before and after a request is handed over."""


class DispatchBudget(Protocol):
    """The dispatcher's side of a venue's budget: see `risk.budgets.VenueBudget`."""

    def dispatch_wait_ns(self, kind: RequestKind, monotonic_ns: int, /) -> int: ...
    def start(self, kind: RequestKind, /) -> None: ...
    def take_back(self, kind: RequestKind, /) -> None: ...


def never() -> bool:
    """Nobody takes over: for a core without a state directory."""
    return False


class DispatchParts(msgspec.Struct, frozen=True, kw_only=True):
    """What a dispatcher needs.

    `publish` is the kernel's; `wait_durable` returns once everything recorded so far is durable; `observe` takes
    the latency of a stage in nanoseconds; `on_fatal` is told when the account can't be used any more;
    `is_fenced` says that a newer run has taken over the state: nothing is sent any more, not even a cancel.
    """

    venue: str
    gateway: Gateway
    outbox: Outbox
    publish: Callable[[Event], None]
    find: Callable[[str], Order | None]
    budget: Callable[[], DispatchBudget | None]
    wait_durable: Callable[[], Awaitable[None]]
    observe: Callable[[str, int], None]
    on_fatal: Callable[[Fatal], None]
    clock: Clock
    is_fenced: Callable[[], bool] = never
    requests_max: int = 8


class Dispatcher:
    """One worker. `run` until cancelled; `drain` waits until nothing is under way."""

    def __init__(self, parts: DispatchParts) -> None:
        if parts.requests_max <= SLOTS_FOR_CANCELS:
            raise ValueError(
                f"requests_max: {parts.requests_max} leaves no room beside {SLOTS_FOR_CANCELS} for cancels"
            )
        self._parts = parts
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

    async def _next(self) -> Parcel | None:
        """The most urgent parcel if it may go now; else wait a little, because a more urgent one may come."""
        parcel = self._parts.outbox.peek()
        if parcel is None:
            return None
        if (reason := self._unwanted(parcel.approved)) is not None:
            self._parts.outbox.pop()
            self._drop(parcel.approved, reason)
            return None
        if (wait_s := self._wait_s(parcel.approved.request_kind)) > 0:
            await self._pause(wait_s)
            return None
        self._parts.outbox.pop()
        self._under_way.append(parcel.approved.client_order_id)
        if (budget := self._parts.budget()) is not None:
            budget.start(parcel.approved.request_kind)
        return parcel

    async def drain(self) -> None:
        """Return when the outbox is empty and nothing is under way."""
        while self._under_way or len(self._parts.outbox):
            await self._pause(0.05)

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

    def _unwanted(self, approved: Approved) -> str | None:
        intent = approved.intent
        if isinstance(intent, CancelAll):
            return None
        order = self._parts.find(approved.client_order_id)
        if order is None or order.status.is_final:
            return "the order has ended"
        if isinstance(intent, NewOrder) and order.cancel_wanted:
            return "cancelled before it left"
        deadline_ns = 0 if isinstance(intent, CancelOrder) else intent.deadline_ns
        if deadline_ns and self._parts.clock.now_ns() > deadline_ns:
            return "past its deadline"
        return None

    async def _carry(self, parcel: Parcel) -> None:
        """One try. Whatever happens, the request's tokens are accounted for once."""
        approved = parcel.approved
        outcome: RequestOutcome | None = RequestOutcome.SPENT
        try:
            outcome = await self._attempt(parcel)
        except Fatal as e:
            self._report(approved, NOT_SENT_AS[type(approved.intent)], "fatal", str(e))
            self._parts.on_fatal(e)
        finally:
            self._under_way.remove(approved.client_order_id)
            if outcome is not None:
                self._settle(approved, outcome)
            self._finished.set()

    async def _attempt(self, parcel: Parcel) -> RequestOutcome | None:
        """Sign, record, wait until the record is durable, send. None: it will be tried again."""
        parts, approved = self._parts, parcel.approved
        started_ns = parts.clock.monotonic_ns()
        reach("before-sign")
        try:
            signed = parts.gateway.sign(approved, parts.find(approved.client_order_id))
        except Retryable as e:
            return await self._retry(parcel, e)
        except RefusedByVenue as e:
            return self._give_back(approved, e.code, str(e))
        except Fatal:
            raise
        except Exception as e:  # noqa: BLE001 - whatever breaks in a signer: nothing leaves
            return self._give_back(approved, "sign_failed", f"{type(e).__name__}: {e}")
        reach("after-sign")
        self._report(approved, ReportKind.SENT, "", signed.digest)
        reach("after-sent-record")
        signed_ns = parts.clock.monotonic_ns()
        parts.observe("sign", signed_ns - started_ns)
        await self._wait_durable(approved)
        parts.observe("durable", parts.clock.monotonic_ns() - signed_ns)
        if (reason := self._unwanted(approved)) is not None:
            return self._give_back(approved, "not_sent", reason)
        return await self._send(parcel, signed)

    async def _wait_durable(self, approved: Approved) -> None:
        """Return once everything recorded is durable. A cancel leaves also when nothing can be recorded any more."""
        try:
            await self._parts.wait_durable()
        except JournalError:
            if not isinstance(approved.intent, CANCELS):
                raise

    async def _send(self, parcel: Parcel, signed: Signed) -> RequestOutcome | None:
        parts, approved = self._parts, parcel.approved
        if parts.is_fenced():
            raise Fatal("state_dir: a newer run has taken it over; this one sends nothing more. Stop this process.")
        sent_ns = parts.clock.monotonic_ns()
        before, after = SENDING[type(approved.intent)]
        reach(before)
        reach_soon(after)
        try:
            events = await parts.gateway.send(signed)
        except Retryable as e:
            return await self._retry(parcel, e)
        except Fatal:
            raise
        except Exception as e:  # noqa: BLE001 - a gateway that breaks has proved nothing, like an ambiguous answer
            detail = str(e) if isinstance(e, OutcomeUnknown) else f"{type(e).__name__}: {e}"
            self._report(approved, UNKNOWN_AS[type(approved.intent)], "outcome_unknown", detail)
            return RequestOutcome.SPENT
        parts.observe("venue", parts.clock.monotonic_ns() - sent_ns)
        reach("after-answer-before-record")
        for event in events:
            parts.publish(event)
        reach("after-answer-recorded")
        return RequestOutcome.SPENT

    async def _retry(self, parcel: Parcel, error: Retryable) -> RequestOutcome | None:
        """Proved to have had no effect. What never reached the venue is tried again soon with a fresh signature, or
        given up; cancels never are. What the venue answered may have cost tokens, so it is not sent again from here:
        the reconciler asks for cancels again, with tokens that the budget has really got."""
        approved = parcel.approved
        if error.was_answered:
            code = "rate_limited" if error.is_rate_limit else error.code or "not_done"
            self._report(approved, NOT_SENT_AS[type(approved.intent)], code, str(error))
            return RequestOutcome.LIMITED if error.is_rate_limit else RequestOutcome.SPENT
        parcel.attempts += 1
        if parcel.attempts >= ATTEMPTS_MAX and not isinstance(approved.intent, CANCELS):
            return self._give_back(approved, "not_sent", str(error))
        if (budget := self._parts.budget()) is not None:
            budget.take_back(approved.request_kind)
        await asyncio.sleep(max(error.after_ms, RETRY_MS * 2 ** min(parcel.attempts - 1, 6)) / 1000)
        self._parts.outbox.push(parcel)
        return None

    def _give_back(self, approved: Approved, code: str, reason: str) -> RequestOutcome:
        """Give up a request that had its tokens and did not leave."""
        if (budget := self._parts.budget()) is not None:
            budget.take_back(approved.request_kind)
        self._report(approved, NOT_SENT_AS[type(approved.intent)], code, reason)
        return RequestOutcome.UNSPENT

    def _drop(self, approved: Approved, reason: str) -> None:
        """Give up a parcel that was never tried."""
        self._report(approved, NOT_SENT_AS[type(approved.intent)], "not_sent", reason)
        self._settle(approved, RequestOutcome.UNSPENT)

    def _report(self, approved: Approved, kind: ReportKind, code: str, detail: str) -> None:
        if isinstance(approved.intent, CancelAll):
            return
        self._parts.publish(
            OrderReport(
                venue=self._parts.venue,
                client_order_id=approved.client_order_id,
                kind=kind,
                ts_recv=self._parts.clock.now_ns(),
                code=code,
                detail=detail,
            )
        )

    def _settle(self, approved: Approved, outcome: RequestOutcome) -> None:
        self._parts.publish(
            RequestSettled(
                self._parts.venue,
                approved.intent.strategy,
                approved.request_kind,
                outcome,
                self._parts.clock.now_ns(),
            )
        )
