"""The kernel: one event in, state updated, strategies asked, intents judged, promises recorded. Synchronous.

From `publish` until it returns there is no await, no I/O, no randomness, and time stands still: the two clock
reads at the start of a step are all the time a step knows. Feed the same inputs again and the same outputs
come out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import cast

import msgspec

from framework.domain.account_events import (
    AccountEvent,
    CancelRequested,
    OrderSnapshot,
    Scope,
    ShutdownRequested,
    StrategyQuarantined,
    TradingState,
    TradingStateChanged,
)
from framework.domain.errors import JournalError
from framework.domain.events import Event
from framework.domain.instruments import InstrumentId
from framework.domain.intents import CANCELS, CancelOrder, Intent
from framework.domain.market_events import (
    MARKET_EVENTS,
    BookStale,
    ConnectorStatus,
    LimitsDeclared,
    MarketEvent,
    RequestCompleted,
    StrategyStarted,
    TimerFired,
    TradePrint,
)
from framework.domain.orders import Order
from framework.domain.verdicts import Approved, RefusalCode, Refused, Verdict
from framework.engine.bus import Bus, bind, halt, notify
from framework.engine.kernel_ports import KernelDependencies
from framework.engine.pending_cancels import PendingCancels
from framework.engine.strategy_host import StrategyHost
from framework.execution.request_queue import QueuedRequest
from framework.state.change import Change


class Kernel:
    """The one place where events become decisions. Call `publish` for every input; never from two threads."""

    def __init__(self, dependencies: KernelDependencies) -> None:
        self._dependencies = dependencies
        self._view = dependencies.view
        self._budgets = dependencies.budgets
        self._bus = Bus()
        self._hosts: dict[str, StrategyHost] = {}
        self._quarantined: set[str] = set()
        self._pending_cancels = PendingCancels(dependencies.accounts.orders.open())
        self._pending: deque[Event] = deque()
        self._is_stepping = False
        self._step_number = 0
        self._journal_error: JournalError | None = None
        self._is_shutting_down = False

    @property
    def hosts(self) -> Mapping[str, StrategyHost]:
        """The strategies, by name."""
        return self._hosts

    @property
    def step_number(self) -> int:
        """How many inputs were taken."""
        return self._step_number

    @property
    def dependencies(self) -> KernelDependencies:
        """What it is made of."""
        return self._dependencies

    def resume(self, step_number: int) -> None:
        """Go on counting steps where a predecessor stopped. Before the first `publish`."""
        self._step_number = step_number

    def add_host(self, host: StrategyHost, instruments: tuple[InstrumentId, ...]) -> None:
        """Bind a strategy to the topics of its instruments. A quarantine of an earlier run still stands."""
        self._hosts[host.name] = host
        if self._dependencies.accounts.trading.is_quarantined(host.name):
            host.quarantine = "since an earlier run"
        bind(self._bus, host, instruments, self._dependencies.books)

    def publish(self, event: Event) -> None:
        """Take one input, and every input that follows from it, to its end.

        In a replay, what follows is not decided again: it comes out of the record as an input of its own.
        """
        if self._is_stepping and not self._dependencies.decides:
            return
        self._pending.append(event)
        if self._is_stepping:
            return
        self._is_stepping = True
        try:
            while self._pending:
                self._step(self._pending.popleft())
        finally:
            self._is_stepping = False

    def submit(self, intent: Intent, asking: str = "") -> Verdict:
        """Have an intent judged. Only from inside a step: a decision belongs to the event that caused it.

        `asking` is the strategy that asks: nonsense does not say whose it is.
        """
        if not self._is_stepping:
            raise RuntimeError("submit: intents are judged while an event is handled; place orders from a hook")
        verdict = self._judge(intent, asking)
        try:
            self._record(verdict)
        except JournalError as e:
            self._fail(e)
            if not isinstance(intent, CANCELS):
                verdict = self._refuse(intent, RefusalCode.JOURNAL_FAILED, str(e))
        if isinstance(verdict, Approved):
            self._commit_approved(verdict)
        elif verdict.code is RefusalCode.INVALID_INTENT and (host := self._hosts.get(asking)):
            host.fault(f"asked for nonsense: {verdict.detail}")
        self._dependencies.watcher.on_verdict(verdict)
        return verdict

    def on_fault(self, host: StrategyHost, reason: str, is_grave: bool) -> None:
        """A strategy failed: tell, and quarantine it if it was once too often.

        The quarantine is an input of its own and begins with it: a replay, which can't see how long a call took,
        finds it there.
        """
        self._dependencies.watcher.on_fault(host.name, reason, host.faults)
        too_many = host.faults >= self._dependencies.strategy_faults_max
        if (is_grave or too_many) and host.name not in self._quarantined:
            self._quarantined.add(host.name)
            self.publish(StrategyQuarantined(host.name, reason, self._view.now_ns))

    def is_ending(self, order: Order) -> bool:
        """Whether the order is to end, whatever became of the requests for it so far."""
        host = self._hosts.get(order.strategy)
        is_wanted = self._is_shutting_down or (host is not None and host.is_quarantined)
        return order.is_open and (is_wanted or order.client_order_id in self._pending_cancels)

    def _step(self, event: Event) -> None:
        now_ns, monotonic_ns = self._dependencies.clock.now_ns(), self._dependencies.clock.monotonic_ns()
        self._step_number += 1
        self._view.at(now_ns, monotonic_ns)
        for budget in self._budgets.values():
            budget.advance(monotonic_ns)
        if type(event) in MARKET_EVENTS:
            market_event = cast("MarketEvent", event)
            self._dependencies.recorder.tape(self._step_number, now_ns, monotonic_ns, market_event)
            self._handle_market(market_event, monotonic_ns)
        else:
            account_event = cast("AccountEvent", event)
            try:
                self._record(account_event)
            except JournalError as e:
                self._fail(e)
            self._handle_account(account_event, now_ns)
        self._dependencies.watcher.on_event(event)

    def _handle_market(self, event: MarketEvent, monotonic_ns: int) -> None:
        book = self._dependencies.books.apply(event, monotonic_ns)
        if book is not None:
            self._bus.publish(event, book.instrument)
        elif isinstance(event, TradePrint):
            self._bus.publish(event, event.instrument)
        elif isinstance(event, RequestCompleted):
            if budget := self._budgets.get(event.venue):
                budget.complete(event.kind, event.strategy, event.outcome)
        elif isinstance(event, ConnectorStatus):
            self._handle_connector(event)
        elif isinstance(event, LimitsDeclared):
            self._declare(event, monotonic_ns)
        elif isinstance(event, TimerFired):
            if host := self._hosts.get(event.strategy):
                host.call(host.strategy.on_timer, event.name)
        elif isinstance(event, StrategyStarted) and (host := self._hosts.get(event.strategy)):
            host.call(host.strategy.on_start)

    def _handle_connector(self, status: ConnectorStatus) -> None:
        if not status.is_up:
            for book in self._dependencies.books.of_venue(status.venue):
                self._bus.publish(BookStale(book.instrument, status.ts_recv, status.reason), book.instrument)
        self._bus.publish(status)

    def _handle_account(self, event: AccountEvent, now_ns: int) -> None:
        change = self._dependencies.accounts.apply(event, now_ns)
        self._dependencies.recorder.orders(change.orders)
        self._report_change(change)
        notify(self._hosts, change, self._dependencies.accounts.orders)
        self._end_due(event, change)
        if isinstance(event, StrategyQuarantined):
            self._quarantine(event)
        elif isinstance(event, TradingStateChanged):
            self._lift_quarantine(event)
        elif isinstance(event, CancelRequested):
            if (order := self._dependencies.accounts.orders.get(event.client_order_id)) is not None and order.is_open:
                self._cancel(order)
        elif isinstance(event, ShutdownRequested):
            for host in self._hosts.values():
                host.call(host.strategy.on_stop)
            self._is_shutting_down = True
            self._cancel_orders("")

    def _report_change(self, change: Change) -> None:
        self._dependencies.watcher.on_change(change)
        for instrument in change.halts:
            self.publish(halt(instrument, change, self._view.now_ns))

    def _quarantine(self, event: StrategyQuarantined) -> None:
        if host := self._hosts.get(event.strategy):
            host.quarantine = event.reason
        self._cancel_orders(event.strategy)

    def _lift_quarantine(self, event: TradingStateChanged) -> None:
        """Setting a strategy ACTIVE ends its quarantine."""
        host = self._hosts.get(event.target) if event.scope is Scope.STRATEGY else None
        if host is not None and event.state is TradingState.ACTIVE:
            host.quarantine, host.faults = "", 0
            self._quarantined.discard(host.name)

    def _declare(self, event: LimitsDeclared, monotonic_ns: int) -> None:
        if budget := self._budgets.get(event.venue):
            budget.declare(event.limits)
        else:
            self._budgets[event.venue] = self._dependencies.make_budget(event.venue, event.limits, monotonic_ns)

    def _judge(self, intent: Intent, asking: str) -> Verdict:
        """The gate first: only what it has found to be an intent can be written into the journal and read again."""
        verdict = self._dependencies.gate.judge(intent, self._view)
        if isinstance(verdict, Refused) and verdict.code is RefusalCode.INVALID_INTENT:
            return msgspec.structs.replace(verdict, intent=CancelOrder(strategy=asking, client_order_id=""))
        if isinstance(intent, CANCELS):
            return verdict
        if self._journal_error is not None:
            return self._refuse(intent, RefusalCode.JOURNAL_FAILED, str(self._journal_error))
        if self._is_shutting_down:
            return self._refuse(intent, RefusalCode.SHUTTING_DOWN, "the daemon is stopping")
        if (host := self._hosts.get(intent.strategy)) and host.is_quarantined:
            return self._refuse(intent, RefusalCode.QUARANTINED, host.quarantine)
        return verdict

    def _refuse(self, intent: Intent, code: RefusalCode, detail: str) -> Refused:
        return Refused(intent=intent, code=code, detail=detail, check="kernel", ts_ns=self._view.now_ns)

    def _commit_approved(self, approved: Approved) -> None:
        """Fold the approval into the state and queue it, unless it is a second order under one id. A cancel of an order
        that the venue has not confirmed waits: the dispatcher drops the order if it has not left, and `_end_due` asks
        again once it is there."""
        accounts = self._dependencies.accounts
        leaves = True
        if isinstance(approved.intent, CancelOrder) and (order := accounts.orders.get(approved.client_order_id)):
            leaves = self._pending_cancels.ask(order)
        change = accounts.apply(approved, self._view.now_ns)
        self._dependencies.recorder.orders(change.orders)
        if change.alarms:
            self._report_change(change)
        if leaves and not change.halts:
            if budget := self._budgets.get(approved.venue):
                budget.hold(approved.request_kind, approved.intent.strategy)
            self._dependencies.queues[approved.venue].push(QueuedRequest(approved))

    def _end_due(self, event: AccountEvent, change: Change) -> None:
        """Ask (again) for the end of orders that are to end and turn out to be at the venue."""
        orders = {order.client_order_id: order for order in change.orders}
        if isinstance(event, OrderSnapshot):
            listed = self._dependencies.accounts.orders.by_venue_id(event.venue, event.venue_order_id)
            if listed is not None:
                orders.setdefault(listed.client_order_id, listed)
        for order in self._pending_cancels.due_after(event, orders.values()):
            self._cancel(order)
        for order in orders.values():
            if self.is_ending(order) and order.client_order_id not in self._pending_cancels:
                self._cancel(order)

    def _cancel(self, order: Order) -> None:
        self.submit(CancelOrder(strategy=order.strategy, client_order_id=order.client_order_id))

    def _cancel_orders(self, strategy: str) -> None:
        for order in self._dependencies.accounts.orders.open(strategy=strategy):
            if order.client_order_id not in self._pending_cancels:
                self._cancel(order)

    def _record(self, record: Verdict | AccountEvent) -> None:
        self._dependencies.recorder.journal(self._step_number, self._view.now_ns, self._view.monotonic_ns, record)

    def _fail(self, error: JournalError) -> None:
        if self._journal_error is None:
            self._journal_error = error
            self._dependencies.on_journal_failure(error)
