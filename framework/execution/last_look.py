"""The last look: whether a request that was approved may still leave, asked until immediately before its first byte.

Between the approval and the write lie the queue, the rate budget, the disk and a connection: milliseconds mostly,
seconds in a jam. What has changed meanwhile is asked again, by the rules that the approval was judged by; what only our
own requests can change (limits, counts, the budget) counts the request already and is not. So a halt also stops what
was approved before it, and so does the kill latch, of which only the disk knows (C15). Cancels leave while their order
is open; one of all orders while everything of ours that it would end is to end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from framework.domain.intents import AmendOrder, CancelAll, CancelOrder, NewOrder, only_shrinks
from framework.domain.orders import Order
from framework.domain.ports import Clock
from framework.domain.verdicts import Refusal, RefusalCode
from framework.domain.views import RiskView
from framework.execution.request_queue import QueuedRequest
from framework.state.risk_view import View

_IN_WORDS: Mapping[RefusalCode, str] = {
    RefusalCode.TRADING_HALTED: "trading was halted before it left",
    RefusalCode.TRADING_REDUCING: "only what reduces may leave since",
    RefusalCode.BOOK_NOT_FRESH: "the book is not fresh any more",
    RefusalCode.VENUE_DOWN: "the venue went down before it left",
    RefusalCode.INSTRUMENT_NOT_ACTIVE: "the instrument is not open for trading any more",
}


class SecondJudge(Protocol):
    """The gate's side of the last look; `risk.gate.Gate.reconsider` says what it asks."""

    def reconsider(self, intent: NewOrder | AmendOrder, order: Order, view: RiskView, /) -> Refusal | None:
        """Why what was approved must not leave any more; None when it may."""
        ...


def never_killed(_venue: str) -> bool:
    """No latch: for a core without a state directory."""
    return False


class LastLook:
    """Says of a queued request why it must not leave any more.

    `view` is one of its own: its times are those of the question, not of a step of the kernel. `is_ending` says that an
    order is to end, `why_not_all` why a cancel of all orders would do too much, or nothing, `is_killed` whether nothing
    but cancels may leave for a venue. A new order, and an amend that does more than shrink, leaves within `deadline_ms`
    milliseconds of its approval or not at all: it answers to a market that is gone.
    """

    def __init__(
        self,
        judge: SecondJudge,
        view: View,
        *,
        clock: Clock,
        is_ending: Callable[[Order], bool],
        why_not_all: Callable[[CancelAll], str | None],
        deadline_ms: int,
        is_killed: Callable[[str], bool] = never_killed,
    ) -> None:
        self._judge = judge
        self._view = view
        self._clock = clock
        self._is_ending = is_ending
        self._why_not_all = why_not_all
        self._deadline_ms = deadline_ms
        self._is_killed = is_killed

    def why_unwanted(self, request: QueuedRequest) -> str | None:
        """Why the request must not leave any more, in words; None when it may."""
        intent = request.approved.intent
        if isinstance(intent, CancelAll):
            return self._why_not_all(intent)
        order = self._view.order(request.approved.client_order_id)
        if order is None or not order.status.may_trade:
            return "the order has ended"
        if isinstance(intent, CancelOrder):
            return None
        if self._is_killed(request.approved.venue):
            return "the kill latch is set"
        if order.cancel_wanted or self._is_ending(order):
            return "cancelled before it left"
        return self._why_refused(intent, order) or self._why_late(request, intent, order)

    def _why_refused(self, intent: NewOrder | AmendOrder, order: Order) -> str | None:
        self._view.now_ns, self._view.monotonic_ns = self._clock.now_ns(), self._clock.monotonic_ns()
        refusal = self._judge.reconsider(intent, order, self._view)
        if refusal is None:
            return None
        return ": ".join(part for part in (_IN_WORDS.get(refusal.code, refusal.code.value), refusal.text) if part)

    def _why_late(self, request: QueuedRequest, intent: NewOrder | AmendOrder, order: Order) -> str | None:
        if 0 < intent.deadline_ns < self._view.now_ns:
            return "past its deadline"
        has_grown = isinstance(intent, NewOrder) or not only_shrinks(intent, order)
        age_ms = (self._view.monotonic_ns - request.approved_ns) // 1_000_000
        if has_grown and request.approved_ns and age_ms > self._deadline_ms:
            return f"past its deadline: approved {age_ms} ms ago, order_deadline_ms={self._deadline_ms}"
        return None
