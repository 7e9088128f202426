"""A whole trading core without a network: real kernel, state, gate, journal and dispatcher; a scripted venue.

Time moves by hand, and so does durability: `log.release()` makes durable what was recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from framework.assembly import CoreSettings, all_checks, assemble
from framework.domain.account_events import Fill, InstrumentDefined, OrderSnapshot, TradingStateChanged
from framework.domain.client_order_ids import ClientOrderIds
from framework.domain.errors import Fatal, JournalError
from framework.domain.events import Event
from framework.domain.instruments import InstrumentId
from framework.domain.intents import Intent
from framework.domain.market_events import (
    BookSnapshot,
    ConnectorStatus,
    LimitsDeclared,
    MarkPrice,
    TermsDeclared,
    TimerFired,
    TradePrint,
)
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order
from framework.domain.ports import AnyCheck
from framework.domain.rate_limits import RateLimits
from framework.domain.strategy import OrderHandle, Strategy
from framework.domain.terms import VenueTerms
from framework.domain.verdicts import Refused, Verdict
from framework.domain.views import BookView
from framework.engine.strategy_host import FaultKind
from framework.execution.dispatcher import Dispatcher
from framework.execution.ports import DispatchDependencies
from framework.persistence.journal.journal import Journal
from framework.persistence.journal.records import Entry
from framework.persistence.journal.scan import read_entries
from framework.persistence.recorder import Recorder
from framework.reconciliation.differences import Difference
from framework.reconciliation.ports import ReconcileDependencies
from framework.reconciliation.reconciler import Reconciler
from framework.runtime.background import InlineWorker
from framework.runtime.clock import ManualClock
from framework.runtime.disk_writer import Sink
from framework.runtime.files import RealFiles
from framework.state.accounts import Accounts
from framework.state.books import Books
from framework.state.change import Change
from tests.support.scripted_gateway import ScriptedGateway
from tests.support.state_records import INSTRUMENT, MARKET, VENUE, fill, listed

UNLIMITED = RateLimits(pools=(), costs=())
START_NS = 1_700_000_000_000_000_000
MS = 1_000_000


class HandWriter:
    """A log whose records are durable when the test says so. Implements `Writer`."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._queued: list[object] = []
        self.durable_count = sink.last_number
        self.appended_count = sink.last_number
        self.failure: JournalError | None = None
        self.is_automatic = True
        self._changed = asyncio.Event()

    def append(self, record: object, /) -> int:
        if self.failure is not None:
            raise self.failure
        self._queued.append(record)
        self.appended_count += 1
        if self.is_automatic:
            self.release()
        return self.appended_count

    def release(self) -> None:
        """Everything recorded so far is durable."""
        if self._queued:
            self._sink.write(tuple(self._queued), self.durable_count)
            self._queued.clear()
        self.durable_count = self.appended_count
        self._wake()

    def fail(self) -> None:
        """The disk is gone."""
        self.failure = JournalError("journal: disk full; free some space")
        self._wake()

    async def wait_durable(self, number: int, /) -> None:
        while number > self.durable_count:
            if self.failure is not None:
                raise self.failure
            changed = self._changed
            await changed.wait()

    def close(self) -> None:
        self._sink.close(self.durable_count)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class HandTimers:
    """Keeps timers that are set; the test fires them. Implements `framework.engine.strategy_context.Timers`."""

    def __init__(self) -> None:
        self.due: dict[tuple[str, str], int] = {}

    def set(self, strategy: str, name: str, after_ms: int) -> None:
        self.due[strategy, name] = after_ms


class Scribe(Strategy[None]):
    """Writes down what it is told, and does in a hook what the test asks it to do."""

    def __init__(self, name: str, settings: None, desk: Any) -> None:
        super().__init__(name, settings, desk)
        self.heard: list[tuple[str, object]] = []
        self.chores: dict[str, Callable[[], object]] = {}

    def on_start(self) -> None:
        self._hear("start", None)

    def on_book(self, book: BookView) -> None:
        self._hear("book", book.bid)

    def on_trade(self, trade: TradePrint) -> None:
        self._hear("trade", trade.trade_id)

    def on_mark(self, mark: MarkPrice) -> None:
        self._hear("mark", mark.mark)

    def on_fill(self, fill: Fill, order: Order) -> None:
        self._hear("fill", fill.fill_id)

    def on_order(self, order: Order) -> None:
        self._hear("order", order.status.value)

    def on_timer(self, name: str) -> None:
        self._hear("timer", name)

    def on_connector(self, status: ConnectorStatus) -> None:
        self._hear("connector", status.is_up)

    def on_state(self, change: TradingStateChanged) -> None:
        self._hear("state", change.state)

    def on_stop(self) -> None:
        self._hear("stop", None)

    def of(self, kind: str) -> list[object]:
        """What was heard of one kind."""
        return [what for heard, what in self.heard if heard == kind]

    def _hear(self, kind: str, what: object) -> None:
        self.heard.append((kind, what))
        if (chore := self.chores.get(kind)) is not None:
            chore()


class RecordingWatcher:
    """Keeps what the kernel did. Implements `Watcher`."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.verdicts: list[Verdict] = []
        self.changes: list[Change] = []
        self.faults: list[tuple[str, str, int]] = []
        self.bound: list[tuple[str, InstrumentId, bool]] = []

    def on_event(self, event: Event) -> None:
        self.events.append(event)

    def on_verdict(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)

    def on_change(self, change: Change) -> None:
        self.changes.append(change)

    def on_fault(self, strategy: str, reason: str, faults: int, kind: FaultKind) -> None:
        self.faults.append((strategy, reason, faults))

    def on_bound(self, strategy: str, instrument: InstrumentId, has_joined: bool) -> None:
        self.bound.append((strategy, instrument, has_joined))

    @property
    def refusals(self) -> list[Refused]:
        """The gate's noes."""
        return [verdict for verdict in self.verdicts if isinstance(verdict, Refused)]

    def events_of(self, kind: type) -> list[Any]:
        """Inputs of one class."""
        return [event for event in self.events if isinstance(event, kind)]


class World:
    """Everything between the market and the scripted venue. `start` defines the market and opens the venue."""

    def __init__(
        self,
        directory: Path,
        *,
        checks: Sequence[tuple[str, AnyCheck]] = (),
        faults_max: int = 3,
        next_client_order_id: Callable[[], str] | None = None,
    ) -> None:
        self.clock = ManualClock(wall_ns=START_NS, monotonic_ns=1_000_000_000)
        self.directory = directory
        self.log: HandWriter | None = None
        self.journal, _ = Journal.open(
            RealFiles(), directory / "journal", start_writer=self._start_writer, worker=InlineWorker()
        )
        self.watcher = RecordingWatcher()
        self.failures: list[Fatal] = []
        self.passes: list[tuple[Difference, ...]] = []
        self.troubles: list[str] = []
        self.alarms: list[str] = []
        self.stages: list[str] = []
        self.recorder = Recorder(self.journal)
        self.timers = HandTimers()
        self.gateway = ScriptedGateway(VENUE, self.clock)
        self.core = assemble(
            CoreSettings(venues=[VENUE], checks=all_checks(checks), strategy_faults_max=faults_max),
            clock=self.clock,
            accounts=Accounts(),
            books=Books(),
            next_client_order_id=next_client_order_id or ClientOrderIds("t", 1).next,
            recorder=self.recorder,
            watcher=self.watcher,
            timers=self.timers,
            on_journal_failure=self.failures.append,
            log=lambda *_, **__: None,
        )
        self.kernel, self.accounts, self.books = self.core.kernel, self.core.accounts, self.core.books
        self.budgets, self.queue = self.core.budgets, self.core.queues[VENUE]
        self.dispatcher = Dispatcher(self._dispatch_dependencies())
        self.reconciler = Reconciler(self.reconcile_dependencies())

    def start(self, limits: RateLimits = UNLIMITED) -> None:
        """The venue is up, its market is open and quoted at 40 to 60."""
        now_ns = self.clock.now_ns()
        for event in (
            InstrumentDefined(INSTRUMENT, now_ns),
            LimitsDeclared(VENUE, limits, now_ns),
            ConnectorStatus(VENUE, True, "subscribed", now_ns),
        ):
            self.kernel.publish(event)
        self.quote(40, 60)

    def offer(self, terms: VenueTerms) -> None:
        """The venue offers this from now on, and its gateway answers so."""
        self.gateway.terms = terms
        self.kernel.publish(TermsDeclared(VENUE, terms, self.clock.now_ns()))

    def quote(self, bid: int, ask: int) -> None:
        """The market moves."""
        now_ns = self.clock.now_ns()
        bids, asks = ((Price(bid), Size(100)),), ((Price(ask), Size(100)),)
        self.kernel.publish(BookSnapshot(MARKET, now_ns, now_ns, bids, asks))

    def add(self, name: str = "scribe", kind: type[Strategy[Any]] = Scribe) -> Any:
        """Let a strategy in; returns it."""
        return self.core.add_strategy(name, kind, None, (MARKET,))

    def do(self, strategy: Scribe, chore: Callable[[], Any]) -> Any:
        """Have the strategy do something in a hook, as it must; returns what it got."""
        got: list[Any] = []
        strategy.chores["timer"] = lambda: got.append(chore())
        self.kernel.publish(TimerFired(strategy.name, "chore", self.clock.now_ns()))
        strategy.chores.pop("timer", None)
        assert got, "the strategy was not called"
        return got[0]

    def buy(self, strategy: Scribe, price: int = 45, size: int = 10, **terms: Any) -> OrderHandle:
        """Have the strategy place a bid."""
        handle = self.do(strategy, lambda: strategy.buy(MARKET, Price(price), Size(size), **terms))
        assert isinstance(handle, OrderHandle)
        return handle

    def carried(self, strategy: Scribe, price: int = 45) -> OrderHandle:
        """Have the strategy place a bid and somebody take it from the queue."""
        handle = self.buy(strategy, price)
        self.queue.pop()
        return handle

    def next_intent(self) -> Intent:
        """What the next request in the queue asks for; takes it."""
        request = self.queue.pop()
        assert request is not None
        return request.approved.intent

    async def working(self, strategy: Scribe, price: int = 45, size: int = 10) -> OrderHandle:
        """Have the strategy place a bid and the venue take it. The dispatcher runs."""
        handle = self.buy(strategy, price, size)
        await until(lambda: self.order(handle).status.is_at_venue)
        return handle

    def order(self, handle: OrderHandle) -> Order:
        """What is known of the order now."""
        order = self.accounts.orders.get(handle.client_order_id)
        assert order is not None
        return order

    def listing(self, handle: OrderHandle, *, is_open: bool = True, filled: int = 0) -> OrderSnapshot:
        """The order as the venue would list it."""
        order = self.order(handle)
        return listed(
            order.client_order_id,
            is_open=is_open,
            filled=filled,
            size=order.size,
            price=order.price,
            at=self.clock.now_ns(),
            venue_order_id=f"v-{order.client_order_id}",
            side=order.side,
        )

    def fill(self, handle: OrderHandle, size: int, fill_id: str = "f1") -> Fill:
        """A trade of the order."""
        order = self.order(handle)
        return fill(
            fill_id,
            name=order.client_order_id,
            venue_order_id=f"v-{order.client_order_id}",
            side=order.side,
            price=order.price,
            size=size,
            at=self.clock.now_ns(),
        )

    def entries(self) -> list[Entry]:
        """The journal as it is on the disk."""
        return list(read_entries(RealFiles(), self.directory / "journal", first=1))

    def close(self) -> None:
        """Give the files back."""
        self.journal.close()

    def _start_writer(self, sink: Sink) -> HandWriter:
        self.log = HandWriter(sink)
        return self.log

    def _dispatch_dependencies(self) -> DispatchDependencies:
        return DispatchDependencies(
            venue=VENUE,
            gateway=self.gateway,
            queue=self.queue,
            publish=self.kernel.publish,
            find=self.accounts.orders.get,
            budget=lambda: self.budgets.get(VENUE),  # type: ignore[arg-type,return-value]
            wait_durable=self.recorder.wait_durable,
            observe=lambda stage, _: self.stages.append(stage),
            on_fatal=self.failures.append,
            clock=self.clock,
            why_unwanted=self.core.last_look.why_unwanted,
            why_unaccounted=self.core.send_ledger.why_not,
            on_refused=lambda order: self.reconciler.flag(order),
            covered=self.kernel.covered,
        )

    def reconcile_dependencies(self) -> ReconcileDependencies:
        """What this world's reconciler is made of."""
        return ReconcileDependencies(
            venue=VENUE,
            gateway=self.gateway,
            accounts=self.accounts,
            publish=self.kernel.publish,
            clock=self.clock,
            is_ending=self.kernel.is_ending,
            on_pass=self.passes.append,
            on_trouble=lambda _, reason: self.troubles.append(reason),
            terms=lambda: self.core.terms(VENUE),
            on_alarm=self.alarms.append,
        )


class Dispatching:
    """The dispatcher at work for the length of an `async with`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Dispatching:
        self._task = asyncio.create_task(self._world.dispatcher.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        try:
            await self._task
        except asyncio.CancelledError:
            return


async def until(condition: Callable[[], object], *, timeout_s: float = 2.0) -> None:
    """Return once the condition holds; fail when it does not within the time."""
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.001)
    except TimeoutError:
        raise AssertionError("what was waited for did not happen") from None


async def settle(rounds: int = 20) -> None:
    """Let every task that can go on do so."""
    for _ in range(rounds):
        await asyncio.sleep(0)
