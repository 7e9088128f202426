"""The kernel: one event in, state updated, strategies called, intents judged, decisions recorded. Synchronous.

From `publish` until it returns there is no await, no I/O, no randomness, and time stands still: the two times read at
the start of a step are all the time a step knows. Feed the same inputs again and the same outputs come out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import msgspec

from framework.domain.account_events import (
    AccountEvent,
    CancelAllRequested,
    CancelRequested,
    InstrumentDefined,
    InstrumentPurged,
    InstrumentSettled,
    InstrumentStatusChanged,
    LimitChanged,
    OrderRequested,
    OrderSnapshot,
    Scope,
    ShutdownRequested,
    StrategyQuarantined,
    TradingState,
    TradingStateChanged,
)
from framework.domain.errors import Fatal, JournalError, describe_error
from framework.domain.events import Event
from framework.domain.instruments import InstrumentId
from framework.domain.intents import CANCELS, AmendOrder, CancelAll, CancelOrder, Intent, NewOrder
from framework.domain.market_events import (
    BookDelta,
    BookLevel,
    BookSnapshot,
    BookStale,
    ConnectorStatus,
    Heartbeat,
    LimitsDeclared,
    MarkPrice,
    StrategyStarted,
    TermsDeclared,
    TimerFired,
    TradePrint,
    VenueClock,
)
from framework.domain.operator_requests import OPERATOR
from framework.domain.orders import Order
from framework.domain.plausibility import implausible, in_plain_text
from framework.domain.verdicts import Approved, Decision, RefusalCode, Refused, Verdict
from framework.engine.bus import Bus, notify
from framework.engine.kernel_ports import KernelDependencies
from framework.engine.monitors import Monitors
from framework.engine.pending_cancels import PendingCancels, plan_cancels
from framework.engine.refusal_throttle import RefusalThrottle
from framework.engine.strategy_host import FaultKind, StrategyHost
from framework.engine.universe import Universe, Universes
from framework.engine.venue_budgets import VenueBudgets
from framework.execution.request_queue import QueuedRequest
from framework.state.change import Change

_Handlers = dict[type, Callable[[Any], None]]
_QUOTES = (BookSnapshot, BookDelta, BookLevel, MarkPrice)


class Kernel:
    """The one place where events become decisions. Call `publish` for every input; never from two threads."""

    def __init__(self, dependencies: KernelDependencies) -> None:
        self._dependencies = dependencies
        self._clock, self._view = dependencies.clock, dependencies.view
        self._books, self._accounts = dependencies.books, dependencies.accounts
        self._orders = dependencies.accounts.orders
        self._gate, self._budgets, self._queues = dependencies.gate, dependencies.budgets, dependencies.queues
        self._venue_budgets = VenueBudgets(dependencies.budgets, dependencies.make_budget)
        self._recorder, self._watcher = dependencies.recorder, dependencies.watcher
        self._tape: Callable[[int, int, int, Any], object] = dependencies.recorder.tape
        self._bus = Bus()
        accounts, on_bound = dependencies.accounts, dependencies.watcher.on_bound
        self._universes = Universes(self._bus, self._books, accounts.instruments, accounts.settlements, on_bound)
        self._hosts: dict[str, StrategyHost] = {}
        self._quarantined: set[str] = set()
        self._requested: set[str] = set()
        self.requested: Verdict | None = None
        """The verdict on the last order that an operator had placed."""
        self._pending_cancels = PendingCancels(self._orders)
        self._refusals = RefusalThrottle(dependencies.refusals_per_second_max)
        self._pending: deque[tuple[Event, int, int]] = deque()
        self._is_stepping, self._step_number = False, 0
        self._journal_error: JournalError | None = None
        self._is_shutting_down = False
        self._connector_followers: list[Callable[[ConnectorStatus], None]] = []
        self._trade_followers: list[Callable[[TradePrint], None]] = []
        self._monitors = Monitors(dependencies.monitors, dependencies.view, self.publish)
        self._market_handlers = self._monitors.shown_by(self._market_table())
        # On the tape, too, but looked at before: they are rare, and decide what a venue may be asked for.
        declarations: _Handlers = {LimitsDeclared: self._on_limits, TermsDeclared: self._on_terms}
        self._declaration_handlers = self._monitors.shown_by(declarations)

    @property
    def hosts(self) -> Mapping[str, StrategyHost]:
        """The hosts of all strategies of this run, by strategy name, in the order in which they were added."""
        return self._hosts

    @property
    def step_number(self) -> int:
        """How many inputs were taken, those of earlier runs on the same records included."""
        return self._step_number

    @property
    def dependencies(self) -> KernelDependencies:
        """What it was made of: state, budgets, gate and records."""
        return self._dependencies

    def resume(self, step_number: int) -> None:
        """Go on counting steps where a predecessor stopped. Before the first `publish`."""
        self._step_number = step_number

    def add_host(self, host: StrategyHost, universe: Universe) -> None:
        """Bind a strategy to the topics of its instruments. A quarantine of an earlier run still stands."""
        self._hosts[host.name] = host
        if self._accounts.trading.is_quarantined(host.name):
            host.quarantine = "since an earlier run"
        self._universes.add(host, universe)

    def instruments_of(self, strategy: str) -> tuple[InstrumentId, ...]:
        """The instruments of a strategy of this run as they are now, in the order of their names."""
        return self._universes.of(strategy)

    def follow_connectors(self, handler: Callable[[ConnectorStatus], None]) -> None:
        """Have `handler` called in the step of each `ConnectorStatus`, before strategies are. It must not raise."""
        self._connector_followers.append(handler)

    def follow_trades(self, handler: Callable[[TradePrint], None]) -> None:
        """Have `handler` called in the step of each `TradePrint`, before strategies are. It must not raise."""
        self._trade_followers.append(handler)

    def publish(self, event: Event, now_ns: int = 0, monotonic_ns: int = 0) -> None:
        """Take one input, and every input that follows from it, to its end.

        `now_ns` (wall) and `monotonic_ns` are the times at which the input arrived, from a caller that has read both
        clocks just now; without them the step reads the clocks itself. In a replay, what follows is not decided again:
        it comes out of the record as an input of its own. Raises `Fatal` when a step fails: it is half done.
        """
        if self._is_stepping and not self._dependencies.decides:
            return
        self._pending.append((event, now_ns, monotonic_ns))
        if self._is_stepping:
            return
        self._is_stepping = True
        try:
            while self._pending:
                self._step(*self._pending.popleft())
        except Exception as e:
            if isinstance(event, _QUOTES):
                raise  # its connector's trouble: at most a book is half done, and made anew with the streams
            raise Fatal(f"the kernel failed in step {self._step_number}: {describe_error(e)}") from e
        finally:
            self._is_stepping = False

    def submit(self, intent: Intent, asking: str = "") -> Verdict:
        """Have an intent judged, and what is approved recorded and queued. `asking` is the strategy that asks: an
        invalid intent does not say whose it is.

        Raises `RuntimeError` outside of a step: a decision belongs to the event that caused it.
        """
        if not self._is_stepping:
            raise RuntimeError("submit: intents are judged while an event is handled; place orders from a hook")
        verdict = self._gate.judge(intent, self._view)
        verdict = self._overrule(verdict, intent, asking)
        try:
            if isinstance(verdict, Approved) or self._is_recorded_singly(verdict):
                self._record(verdict)
        except JournalError as e:
            self._fail(e)
            if not isinstance(intent, CANCELS):
                verdict = self._refuse(intent, RefusalCode.JOURNAL_FAILED, str(e))
        if isinstance(verdict, Approved):
            # Asked before the state changes: a cancel of an order that the venue has not confirmed waits (`_end_due`).
            is_due = not isinstance(verdict.intent, CANCELS) or self._pending_cancels.is_due(verdict, self._orders)
            change = self._apply(verdict)
            if change.alarms:
                self._report(change)
            self._monitors.show(verdict)
            if is_due and not change.halts:
                if budget := self._budgets.get(verdict.venue):
                    budget.hold(verdict.request_kind, verdict.intent.strategy)
                self._queues[verdict.venue].push(QueuedRequest(verdict, approved_ns=self._view.monotonic_ns))
        self._watcher.on_verdict(verdict)
        if isinstance(verdict, Refused):
            self._on_refused(verdict, asking)
        return verdict

    def on_fault(self, host: StrategyHost, reason: str, kind: FaultKind, is_grave: bool) -> None:
        """A strategy failed: report it, and quarantine the strategy if that was once too often.

        The quarantine is an input of its own and begins with it: a replay, which can't see how long a call took,
        finds it there.
        """
        self._watcher.on_fault(host.name, reason, host.faults, kind)
        too_many = host.faults >= self._dependencies.strategy_faults_max
        if (is_grave or too_many) and host.name not in self._quarantined:
            self._quarantined.add(host.name)
            self.publish(StrategyQuarantined(host.name, reason, self._view.now_ns))

    def is_ending(self, order: Order) -> bool:
        """Whether the order is to end, whatever became of the requests for it so far."""
        host = self._hosts.get(order.strategy)
        is_left_alone = host is None or not host.is_quarantined or order.client_order_id in self._requested
        is_wanted = self._is_shutting_down or not is_left_alone
        return order.status.may_trade and (is_wanted or order.client_order_id in self._pending_cancels)

    def covered(self, intent: CancelAll) -> tuple[Order, ...]:
        """Our orders that a cancel of all is to end."""
        return self._pending_cancels.covered(intent, self._orders)

    def why_not_all(self, intent: CancelAll) -> str | None:
        """Why a cancel of all must not leave any more: nothing is to end by it, or what is to stay would."""
        if not self._is_ours_alone(intent.venue, intent.instrument):
            return "an order that is not ours would end"
        return self._pending_cancels.why_not_all(intent, self._orders)

    def _step(self, event: Event, now_ns: int, monotonic_ns: int) -> None:
        view = self._view
        if monotonic_ns <= view.monotonic_ns:
            # Not given, or not later than the last step: time never goes back from one step to the next.
            now_ns, monotonic_ns = self._clock.now_ns(), self._clock.monotonic_ns()
        view.now_ns, view.monotonic_ns = now_ns, monotonic_ns
        self._step_number += 1
        if monotonic_ns >= self._refusals.due_ns:
            self._record_counted()
        for budget in self._budgets.values():
            budget.advance(monotonic_ns)
        handler = self._market_handlers.get(type(event))
        if handler is not None:
            self._tape(self._step_number, now_ns, monotonic_ns, event)
            handler(event)
        elif (flaw := implausible(event)) and (flaw := implausible(event := in_plain_text(event))):
            self._refuse_event(event, flaw)
        elif (handler := self._declaration_handlers.get(type(event))) is not None:
            self._tape(self._step_number, now_ns, monotonic_ns, event)
            handler(event)
        else:
            self._on_account_event(cast("AccountEvent", event))
        self._watcher.on_event(event)

    def _market_table(self) -> _Handlers:
        """What goes to the tape, and what follows from it; all else goes to the journal and moves the accounts."""
        return {
            BookDelta: self._on_book_change,
            BookLevel: self._on_book_change,
            BookSnapshot: self._on_book_change,
            BookStale: self._on_book_change,
            TradePrint: self._on_trade,
            MarkPrice: self._on_mark,
            Heartbeat: self._on_feed,
            VenueClock: self._on_feed,
            ConnectorStatus: self._on_connector,
            **self._venue_budgets.handlers,
            TimerFired: self._on_timer,
            StrategyStarted: self._on_strategy_started,
        }

    def _on_book_change(self, event: BookDelta | BookLevel | BookSnapshot | BookStale) -> None:
        monotonic_ns = self._view.monotonic_ns
        book = self._books.apply(event, monotonic_ns)
        if book is not None:
            # Only the tape was written since the step began, and it waits for nothing: the first hook starts with the
            # step. In steps that write the journal, whose disk may stall, hooks are timed by themselves.
            self._bus.publish(book, book.instrument, monotonic_ns)

    def _on_trade(self, event: TradePrint) -> None:
        for follow in self._trade_followers:
            follow(event)
        self._bus.publish(event, event.instrument, self._view.monotonic_ns)

    def _on_mark(self, event: MarkPrice) -> None:
        self._books.apply(event, self._view.monotonic_ns)
        self._bus.publish(event, event.instrument, self._view.monotonic_ns)

    def _on_feed(self, event: Heartbeat | VenueClock) -> None:
        self._books.apply(event, self._view.monotonic_ns)

    def _on_connector(self, status: ConnectorStatus) -> None:
        self._books.apply(status, self._view.monotonic_ns)
        for follow in self._connector_followers:
            follow(status)
        if not status.is_up:
            for book in self._books.of_venue(status.venue):
                self._bus.publish(book, book.instrument)
        self._bus.publish(status)

    def _on_limits(self, event: LimitsDeclared) -> None:
        try:
            self._venue_budgets.declare(event, self._view.monotonic_ns)
        except ValueError as e:
            self._refuse_event(event, f"{event.venue}: {e}")

    def _on_terms(self, event: TermsDeclared) -> None:
        self._dependencies.terms[event.venue] = event.terms

    def _on_timer(self, event: TimerFired) -> None:
        if host := self._hosts.get(event.strategy):
            host.call("on_timer", event.name)

    def _on_strategy_started(self, event: StrategyStarted) -> None:
        if host := self._hosts.get(event.strategy):
            host.start()

    def _on_account_event(self, event: AccountEvent) -> None:
        try:
            self._record(event)
        except JournalError as e:
            # It happened all the same: the state follows it, and nothing new is approved from here on.
            self._fail(e)
        change = self._apply(event)
        self._report(change)
        self._monitors.show_booked(event, change.fills)
        notify(self._hosts, change, self._orders)
        self._end_due(event, change)
        match event:
            case StrategyQuarantined():
                self._quarantine(event)
            case TradingStateChanged() | CancelAllRequested():
                self._on_scope(event)
            case CancelRequested():
                if (order := self._orders.get(event.client_order_id)) is not None and order.status.may_trade:
                    self._cancel(order)
            case ShutdownRequested():
                self._shut_down()
            case InstrumentDefined():
                self._universes.follow(event.instrument.id)
            case InstrumentStatusChanged() | InstrumentSettled():
                self._universes.follow(event.instrument)
            case InstrumentPurged():
                self._universes.forget(event.instrument)
            case OrderRequested():
                self._place(event.intent)
            case LimitChanged():
                self._dependencies.limits.change(event)
            case _:
                pass

    def _place(self, intent: NewOrder) -> None:
        """Place an order as an operator asks, which a quarantine of its strategy does not end."""
        self.requested = self.submit(intent, OPERATOR)
        if isinstance(self.requested, Approved):
            self._requested.add(self.requested.client_order_id)

    def _shut_down(self) -> None:
        for host in self._hosts.values():
            host.call("on_stop")
        self._is_shutting_down = True
        self._cancel_orders(self._orders.open(), Scope.GLOBAL)
        self._record_counted()

    def _refuse_event(self, event: Event, flaw: str) -> None:
        """Report an event that can't be true, and stop trading in its instrument: what it was about is not known."""
        instrument = getattr(event, "instrument", "")
        halts = (InstrumentId(instrument),) if instrument and isinstance(instrument, str) else ()
        self._report(Change(alarms=(f"an event of the venue can't be true and is not booked: {flaw}",), halts=halts))

    def _is_recorded_singly(self, refused: Refused) -> bool:
        """Whether a refusal is a record of its own; a strategy that is refused without pause is quarantined."""
        monotonic_ns, strategy = self._view.monotonic_ns, refused.intent.strategy
        is_single = self._refusals.count(refused, self._step_number, monotonic_ns)
        host = self._hosts.get(strategy)
        if host and strategy not in self._quarantined and self._refusals.is_storm(strategy, monotonic_ns):
            limit = f"refusals_per_second_max={self._dependencies.refusals_per_second_max}"
            host.fault(f"was refused without pause, last with {refused.code.value} ({limit})", is_grave=True)
        return is_single

    def _record_counted(self) -> None:
        """Record the refusals of the last second that were too many to be recorded one by one."""
        for counted in self._refusals.close_window(self._view.now_ns):
            try:
                self._record(counted)
            except JournalError as e:
                self._fail(e)

    def _record(self, record: Decision | AccountEvent) -> None:
        self._recorder.journal(self._step_number, self._view.now_ns, self._view.monotonic_ns, record)

    def _apply(self, record: Approved | AccountEvent) -> Change:
        change = self._accounts.apply(record, self._view.now_ns)
        self._recorder.orders(change.orders)
        return change

    def _report(self, change: Change) -> None:
        """Report what changed; trading in an instrument stops, as an input of its own, after an alarm about it."""
        self._watcher.on_change(change)
        for instrument in change.halts:
            self.publish(
                TradingStateChanged(
                    scope=Scope.INSTRUMENT,
                    target=instrument,
                    state=TradingState.HALTED,
                    reason="; ".join(change.alarms),
                    ts_recv=self._view.now_ns,
                    by="kernel",
                )
            )

    def _overrule(self, verdict: Verdict, intent: Intent, asking: str) -> Verdict:
        """The kernel's own reasons to refuse what the gate has judged.

        The gate comes first, because only what it has found to be an intent can be written into the journal and read
        again.
        """
        if isinstance(verdict, Refused) and verdict.code is RefusalCode.INVALID_INTENT:
            return msgspec.structs.replace(verdict, intent=CancelOrder(strategy=asking, client_order_id=""))
        if isinstance(intent, CANCELS):
            return verdict
        if (
            isinstance(intent, AmendOrder)
            and isinstance(verdict, Approved)
            and verdict.client_order_id in self._pending_cancels
        ):
            # Also while no cancel is under way, because the last one was refused: it is asked for again.
            return self._refuse(intent, RefusalCode.ORDER_BUSY, "the order is to end")
        if self._journal_error is not None:
            return self._refuse(intent, RefusalCode.JOURNAL_FAILED, str(self._journal_error))
        if self._is_shutting_down:
            return self._refuse(intent, RefusalCode.SHUTTING_DOWN, "the daemon is stopping")
        host = self._hosts.get(intent.strategy)
        if host is not None and host.quarantine and asking != OPERATOR:
            return self._refuse(intent, RefusalCode.QUARANTINED, host.quarantine)
        if isinstance(verdict, Approved) and host is not None and (why := host.why_not_its_own(verdict)):
            return self._refuse(intent, RefusalCode.NOT_ALLOWED, why)
        return verdict

    def _on_refused(self, refused: Refused, asking: str) -> None:
        if refused.code is RefusalCode.INVALID_INTENT and (host := self._hosts.get(asking)):
            host.fault(f"asked for an invalid order or change: {refused.detail}")
        if refused.cancels:
            found = (self._orders.get(name) for name in refused.cancels)
            self._cancel_orders([order for order in found if order is not None], Scope.STRATEGY)

    def _refuse(self, intent: Intent, code: RefusalCode, detail: str) -> Refused:
        return Refused(intent=intent, code=code, detail=detail, check="kernel", ts_ns=self._view.now_ns)

    def _fail(self, error: JournalError) -> None:
        if self._journal_error is None:
            self._journal_error = error
            self._dependencies.on_journal_failure(error)

    def _quarantine(self, event: StrategyQuarantined) -> None:
        if host := self._hosts.get(event.strategy):
            host.quarantine = event.reason
        self._cancel_orders(self._orders.open(strategy=event.strategy), Scope.STRATEGY)

    def _on_scope(self, event: TradingStateChanged | CancelAllRequested) -> None:
        if isinstance(event, TradingStateChanged):
            self._lift_quarantine(event)
            self._bus.publish(event)
        if isinstance(event, CancelAllRequested) or event.is_cancelling:
            self._cancel_orders(self._orders.open_in(event.scope, event.target), event.scope)

    def _lift_quarantine(self, event: TradingStateChanged) -> None:
        """Setting a strategy ACTIVE ends its quarantine. One that was not started because of it, starts now."""
        host = self._hosts.get(event.target) if event.scope is Scope.STRATEGY else None
        if host is not None and event.state is TradingState.ACTIVE:
            host.quarantine, host.faults = "", 0
            self._quarantined.discard(host.name)
            self._refusals.forgive(host.name)
            host.start()
            if host.has_started:
                self._universes.release(host.name)

    def _end_due(self, event: AccountEvent, change: Change) -> None:
        """Ask (again) for the end of orders that are to end and are now known to be at the venue."""
        orders = {order.client_order_id: order for order in change.orders}
        if isinstance(event, OrderSnapshot):
            # A listing that changes nothing still shows that the order is open: its cancel is due again.
            listed = self._orders.by_venue_id(event.venue, event.venue_order_id)
            if listed is not None:
                orders.setdefault(listed.client_order_id, listed)
        for order in self._pending_cancels.due_after(event, orders.values()):
            self._cancel(order)
        for order in orders.values():
            if self.is_ending(order) and order.client_order_id not in self._pending_cancels:
                self._cancel(order)

    def _cancel(self, order: Order) -> None:
        self.submit(CancelOrder(strategy=order.strategy, client_order_id=order.client_order_id))

    def _cancel_orders(self, orders: Iterable[Order], scope: Scope) -> None:
        pending = self._pending_cancels
        due = [one for one in orders if one.status.may_trade and one.client_order_id not in pending]
        for intent in plan_cancels(due, scope, self._view.terms, self._is_ours_alone):
            self.submit(intent)

    def _is_ours_alone(self, venue: str, instrument: InstrumentId) -> bool:
        """Whether no order of others is open, in the instrument if one is given; never where they can't be listed."""
        return self._view.terms(venue).open_orders and not self._accounts.has_external_orders(venue, instrument)
