"""The request sender: one approved intent from its signature to the venue's answer.

Sign it freshly, record that it goes, wait until that record is durable, send, and bring the answer back as ordinary
events. An ambiguous answer makes the order unknown; nothing is ever sent twice unless the first try is proved to have
had no effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from framework.domain.account_events import OrderReport, ReportKind
from framework.domain.errors import (
    AccountRefused,
    Fatal,
    JournalError,
    OutcomeUnknown,
    RefusedByVenue,
    Retryable,
    message_of,
)
from framework.domain.events import Event
from framework.domain.intents import CANCELS, AmendOrder, CancelAll, CancelOrder, NewOrder
from framework.domain.market_events import RequestCompleted, RequestOutcome
from framework.domain.rate_limits import RequestKind
from framework.domain.verdicts import Approved, Signed
from framework.execution.ports import DispatchDependencies
from framework.execution.request_queue import QueuedRequest
from framework.execution.send_ledger import halt
from framework.runtime.failpoints import reach, reach_soon

ATTEMPTS_MAX = 4
RETRY_MS = 50

REFUSED_PAUSE_NS = 10_000_000_000
"""How long nothing is sent after a refusal of the account: it would be refused again, and a venue shuts out an address
that goes on asking."""

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

SENDING: Mapping[type, tuple[str, str]] = {
    NewOrder: ("after-durable-before-write", "after-write-before-answer"),
    AmendOrder: ("amend-before-send", "amend-after-send"),
    CancelOrder: ("cancel-before-send", "cancel-after-send"),
    CancelAll: ("cancel-before-send", "cancel-after-send"),
}
"""Fail points before and after a request is given to the gateway, by the intent's class."""


class RequestSender:
    """Sends the requests of one venue account, and reports those that do not go as not sent."""

    def __init__(self, dependencies: DispatchDependencies) -> None:
        self._dependencies = dependencies
        self._newest_amends: dict[str, Approved] = {}
        self._refused_until_ns = 0

    def __repr__(self) -> str:
        return f"<RequestSender {self._dependencies.venue}>"

    async def send(self, request: QueuedRequest) -> None:
        """One try. Whatever happens, the request's tokens are accounted for once."""
        approved = request.approved
        outcome: RequestOutcome | None = RequestOutcome.SPENT
        if isinstance(approved.intent, AmendOrder):
            self._newest_amends[approved.client_order_id] = approved
        try:
            outcome = await self._attempt(request)
        except AccountRefused as e:
            self._refused_until_ns = self._dependencies.clock.monotonic_ns() + REFUSED_PAUSE_NS
            self._report(approved, NOT_SENT_AS[type(approved.intent)], "account_refused", str(e))
            self._dependencies.on_account_refused(e)
        except Fatal as e:
            self._report(approved, NOT_SENT_AS[type(approved.intent)], "fatal", str(e))
            self._dependencies.on_fatal(e)
        finally:
            if self._newest_amends.get(approved.client_order_id) is approved:
                del self._newest_amends[approved.client_order_id]
            if outcome is not None:
                self._complete(approved, outcome)

    def account_accepted(self) -> None:
        """The venue has taken the account: requests leave at once again."""
        self._refused_until_ns = 0

    def drop(self, approved: Approved, reason: str) -> None:
        """Drop a request that was never tried, or is not tried again: it is not sent, and its tokens are free."""
        self._report(approved, NOT_SENT_AS[type(approved.intent)], "not_sent", reason)
        self._complete(approved, RequestOutcome.NOT_CHARGED)

    def _last_word(self, request: QueuedRequest) -> str | None:
        """Why a request must not be written, asked immediately before the write: while it waited for a connection, all
        that the last look asks may have changed, or a newer run, or a process beside this one, may have taken over."""
        if self._dependencies.is_fenced():
            return "a newer run has taken over"
        if self._dependencies.share.is_leased():
            return "another process ends the venue's orders now"
        return self._dependencies.why_unwanted(request)

    async def _attempt(self, request: QueuedRequest) -> RequestOutcome | None:
        """Sign, record, wait until the record is durable, send. None: it will be tried again."""
        dependencies, approved = self._dependencies, request.approved
        started_ns = dependencies.clock.monotonic_ns()
        if started_ns < self._refused_until_ns:
            return self._give_back(approved, "account_refused", "the venue refused the account a moment ago")
        reach("before-sign")
        try:
            signed = dependencies.gateway.sign(approved, dependencies.find(approved.client_order_id))
        except Retryable as e:
            return await self._retry(request, e)
        except RefusedByVenue as e:
            return self._give_back(approved, e.code, str(e))
        except (AccountRefused, Fatal):
            raise
        except BaseException as e:  # noqa: BLE001 - whatever breaks in a signer: nothing leaves
            return self._give_back(approved, "sign_failed", f"{type(e).__name__}: {message_of(e)}")
        reach("after-sign")
        self._report(approved, ReportKind.SENT, "", signed.digest)
        reach("after-sent-record")
        signed_ns = dependencies.clock.monotonic_ns()
        dependencies.observe("sign", signed_ns - started_ns)
        await self._wait_durable(approved)
        dependencies.observe("durable", dependencies.clock.monotonic_ns() - signed_ns)
        if (reason := dependencies.why_unwanted(request)) is not None:
            return self._give_back(approved, "not_sent", reason)
        return await self._send(request, signed)

    async def _wait_durable(self, approved: Approved) -> None:
        """Return once everything recorded is durable. A cancel leaves also when nothing can be recorded any more."""
        try:
            await self._dependencies.wait_durable()
        except JournalError:
            if not isinstance(approved.intent, CANCELS):
                raise

    async def _send(self, request: QueuedRequest, signed: Signed) -> RequestOutcome | None:
        dependencies, approved = self._dependencies, request.approved
        if dependencies.is_fenced():
            raise Fatal("state_dir: a newer run has taken it over; this one sends nothing more. Stop this process.")
        if (flaw := dependencies.why_unaccounted(signed)) is not None:
            return self._stop(approved, flaw)
        sent_ns = dependencies.clock.monotonic_ns()
        before, after = SENDING[type(approved.intent)]
        reach(before)
        reach_soon(after)
        try:
            events = await dependencies.gateway.send(signed, last_word=partial(self._last_word, request))
        except Retryable as e:
            return await self._retry(request, e)
        except (AccountRefused, Fatal):
            raise
        except BaseException as e:
            if _ends_this_task(e):
                raise
            # A gateway that breaks has proved nothing, like an ambiguous answer.
            detail = str(e) if isinstance(e, OutcomeUnknown) else f"{type(e).__name__}: {message_of(e)}"
            self._report(approved, UNKNOWN_AS[type(approved.intent)], "outcome_unknown", detail)
            return RequestOutcome.SPENT
        dependencies.observe("venue", dependencies.clock.monotonic_ns() - sent_ns)
        reach("after-answer-before-record")
        # Asked before the first event: publishing it can bring the next amend into the queue.
        is_superseded = self._is_superseded(approved)
        for event in events:
            is_amended = isinstance(event, OrderReport) and event.kind is ReportKind.AMENDED
            if isinstance(event, OrderReport) and not event.client_order_id:
                self._report(approved, event.kind, event.code, event.detail)
            elif not (is_superseded and is_amended):
                dependencies.publish(event)
        self._flag_amends(events, is_superseded=is_superseded)
        reach("after-answer-recorded")
        return RequestOutcome.SPENT

    def _is_superseded(self, approved: Approved) -> bool:
        """Whether a later amend of the same order was approved while the answer to this one was under way: the stream
        had shown its effect already. Where the later one asks for terms that the order had before, its own answer could
        not be told from this one."""
        if not isinstance(approved.intent, AmendOrder):
            return False
        name = approved.client_order_id
        return self._newest_amends.get(name) is not approved or self._dependencies.queue.holds(name, RequestKind.AMEND)

    def _flag_amends(self, events: Sequence[Event], *, is_superseded: bool) -> None:
        """An amend that the venue refuses is often one of an order that has just traded or ended, and a superseded one
        says nothing of the order's terms now: both orders are queried. A refused cancel is followed up in any case,
        because its order is to end."""
        flagged = {ReportKind.AMEND_REFUSED, ReportKind.AMENDED} if is_superseded else {ReportKind.AMEND_REFUSED}
        for event in events:
            if isinstance(event, OrderReport) and event.kind in flagged:
                order = self._dependencies.find(event.client_order_id)
                if order is not None and order.status.may_trade:
                    self._dependencies.on_refused(order)

    async def _retry(self, request: QueuedRequest, error: Retryable) -> RequestOutcome | None:
        """Proved to have had no effect. What never reached the venue is tried again soon with a fresh signature, or
        dropped; cancels never are. What the venue answered may have cost tokens, so it is not sent again from here:
        the reconciler asks for cancels again, with tokens that the budget has really got."""
        approved = request.approved
        if error.was_answered:
            code = "rate_limited" if error.is_rate_limit else error.code or "not_done"
            self._report(approved, NOT_SENT_AS[type(approved.intent)], code, str(error))
            return RequestOutcome.LIMITED if error.is_rate_limit else RequestOutcome.SPENT
        request.attempts += 1
        if request.attempts >= ATTEMPTS_MAX and not isinstance(approved.intent, CANCELS):
            return self._give_back(approved, "not_sent", str(error))
        if (budget := self._dependencies.budget()) is not None:
            budget.take_back(approved.request_kind)
        await asyncio.sleep(max(error.after_ms, RETRY_MS * 2 ** min(request.attempts - 1, 6)) / 1000)
        self._dependencies.queue.push(request)
        return None

    def _stop(self, approved: Approved, flaw: str) -> RequestOutcome:
        """What would leave is not what was approved and recorded: it stays, and everything is halted. What became of
        the order is not concluded from this: it is looked up."""
        self._dependencies.publish(halt(flaw, self._dependencies.clock.now_ns()))
        if (budget := self._dependencies.budget()) is not None:
            budget.take_back(approved.request_kind)
        self._report(approved, UNKNOWN_AS[type(approved.intent)], "not_accounted", flaw)
        return RequestOutcome.NOT_CHARGED

    def _give_back(self, approved: Approved, code: str, reason: str) -> RequestOutcome:
        """Report a request as not sent that had its tokens and did not leave."""
        if (budget := self._dependencies.budget()) is not None:
            budget.take_back(approved.request_kind)
        self._report(approved, NOT_SENT_AS[type(approved.intent)], code, reason)
        return RequestOutcome.NOT_CHARGED

    def _report(self, approved: Approved, kind: ReportKind, code: str, detail: str) -> None:
        names = [approved.client_order_id]
        if isinstance(approved.intent, CancelAll):
            # Its bytes are of no single order; what becomes of it is reported of each.
            is_sent = kind is ReportKind.SENT
            names = [] if is_sent else [one.client_order_id for one in self._dependencies.covered(approved.intent)]
        for name in names:
            self._dependencies.publish(
                OrderReport(
                    venue=self._dependencies.venue,
                    client_order_id=name,
                    kind=kind,
                    ts_recv=self._dependencies.clock.now_ns(),
                    code=code,
                    detail=detail,
                )
            )

    def _complete(self, approved: Approved, outcome: RequestOutcome) -> None:
        self._dependencies.publish(
            RequestCompleted(
                self._dependencies.venue,
                approved.intent.strategy,
                approved.request_kind,
                outcome,
                self._dependencies.clock.now_ns(),
            )
        )


def _ends_this_task(error: BaseException) -> bool:
    """Whether the daemon itself ends the task. A `CancelledError` that nobody asked for is the gateway's."""
    task = asyncio.current_task()
    is_asked = task is not None and task.cancelling() > 0
    return isinstance(error, GeneratorExit) or (isinstance(error, asyncio.CancelledError) and is_asked)
