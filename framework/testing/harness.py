"""The trading harness: a whole core in one process, for tests. `framework.testing` has an example."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, ParamSpec, TypeVar, cast

from framework.assembly import CoreSettings, all_checks, assemble
from framework.config.errors import parse_settings
from framework.domain.account_events import Fill
from framework.domain.events import Event
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.intents import Intent
from framework.domain.market_events import ConnectorStatus, StrategyStarted, TimerFired
from framework.domain.orders import Order
from framework.domain.ports import AnyCheck, Clock
from framework.domain.rate_limits import Pool, RateLimits
from framework.domain.strategy import Strategy
from framework.domain.terms import UNDECLARED, VenueTerms
from framework.domain.verdicts import Refused, Verdict
from framework.engine.strategy_host import FaultKind
from framework.engine.universe import InstrumentPattern
from framework.persistence.journal.records import Body, EpochTaken, Record, decode_record, encode_record
from framework.persistence.journal.restore import fold_record
from framework.runtime.clock import ManualClock
from framework.state.accounts import Accounts
from framework.state.books import Books
from framework.state.change import Change
from framework.state.orders.client_order_ids import ClientOrderIds
from framework.state.positions import Position, ProfitAndLoss, profit_and_loss
from framework.testing.scripted_venue import INSTRUMENT, ScriptedVenue

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound=Strategy[Any])
_Row = tuple[type[Strategy[Any]], Any, tuple[InstrumentId, ...], InstrumentPattern | None, bool]

START_NS = 1_700_000_000_000_000_000
"""The wall time at which a harness begins: 14 November 2023, 22:13:20 UTC."""

NO_LIMITS = RateLimits(pools=(), costs=())
"""Rate limits under which every request is free."""

REQUESTS_MAX = 10_000
"""More requests than this while time stands still: a strategy answers every answer with another request."""

MS = 1_000_000
_CALLER = "framework.testing"


class TradingHarness:
    """Kernel, gate, accounts, books and budgets of a live run; a clock that a test moves; venues that a test scripts.

    The venues are those of the `instruments`, connected from the start. `checks` are asked in their order, behind the
    trading states. With `limits` every venue has this rate budget, full at the start (and empty after a restart);
    `shares` are the strategies' weights in it (live: 1 each). Every venue declares these `terms`. A fault of a strategy
    is raised where the test caused it: its own exception, or `AssertionError` for another fault. With
    `raise_faults=False` faults are counted as in a live run, in `recorder.faults`, and five of them quarantine the
    strategy.

    Whatever a test does is carried to its end before the call returns: hooks, requests, answers, and what follows.
    Raises `RuntimeError` when that has no end.
    """

    def __init__(
        self,
        *,
        instruments: Sequence[Instrument] = (INSTRUMENT,),
        checks: Sequence[AnyCheck] = (),
        limits: RateLimits = NO_LIMITS,
        shares: Mapping[str, int] | None = None,
        terms: VenueTerms = UNDECLARED,
        raise_faults: bool = True,
    ) -> None:
        self.clock = ManualClock(wall_ns=START_NS, monotonic_ns=START_NS)
        self.recorder = MemoryRecorder()
        self.strategies: dict[str, Strategy[Any]] = {}
        self.venues: dict[str, ScriptedVenue] = {}
        for name in dict.fromkeys(one.venue for one in instruments):
            traded = [one for one in instruments if one.venue == name]
            self.venues[name] = ScriptedVenue(traded, limits, clock=self.clock, publish=self.publish, terms=terms)
        named_checks = all_checks(list(_named(checks)))
        self._settings = CoreSettings(
            venues=list(self.venues), checks=named_checks, shares=dict.fromkeys(self.venues, shares or {})
        )
        self._instruments = tuple(one.id for one in instruments)
        self._rows: dict[str, _Row] = {}
        self._raise_faults = raise_faults
        self._epoch = 0
        self._is_serving = False
        self._begin(Accounts(), step=0)
        # Our clock may run faster than the venue's: the budget refills a little slower than the limit says.
        self.advance(ms=max((_filling_ms(pool) for pool in limits.pools), default=0))

    @property
    def venue(self) -> ScriptedVenue:
        """The venue of the first instrument; `venues` has all of them by name."""
        return next(iter(self.venues.values()))

    @property
    def intents(self) -> list[Intent]:
        """What was asked for, oldest first, the kernel's own cancels too; for an invalid intent an empty cancel."""
        return [verdict.intent for verdict in self.recorder.verdicts]

    @property
    def refusals(self) -> list[Refused]:
        """Every refusal of the gate, oldest first, with its code, the numbers behind it and the check that refused."""
        return [verdict for verdict in self.recorder.verdicts if isinstance(verdict, Refused)]

    def add(
        self,
        name: str,
        factory: type[S],
        settings: Mapping[str, Any] | None = None,
        *,
        instruments: Sequence[InstrumentId] | None = None,
        pattern: InstrumentPattern | None = None,
        trade_anything: bool = False,
    ) -> S:
        """Add a strategy and start it: `on_start` is called before this returns. It gets all instruments unless named,
        or, as in a live run, those that are open and match a `pattern`, and later ones by `on_instrument`. With
        `trade_anything` it may open positions in others, too.

        Raises `ConfigurationError`, as a configuration does, for settings that do not fit `factory.Settings`,
        `ValueError` for a name that is taken, and what the constructor and `on_start` raise.
        """
        if name in self._rows:
            raise ValueError(f"name: there is a strategy {name!r} already")
        parsed = parse_settings(factory.Settings, dict(settings or {}), key=f"strategies.{name}.settings", origins={})
        bound = self._instruments if instruments is None else tuple(instruments)
        self._rows[name] = (factory, parsed, bound, pattern, trade_anything)
        self._start(name)
        return cast(S, self.strategies[name])

    def publish(self, event: Event) -> None:
        """Feed an input to the kernel, as a connector, a timer or an operator does, and carry what follows."""
        self._core.kernel.publish(event)
        if isinstance(event, ConnectorStatus) and event.is_up:
            self.reconcile()
        if not self._is_serving:
            self._serve()

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function as the kernel calls a hook, since orders can be placed in hooks only; returns its result.

        For a strategy's own methods: `harness.call(mine.buy, instrument, price, size)`. Raises what it raises.
        """
        results: list[R] = []
        errors: list[BaseException] = []

        def work() -> None:
            try:
                results.append(function(*args, **kwargs))
            except BaseException as e:  # noqa: BLE001 - the test's own, raised below: no fault of a strategy
                errors.append(e)

        self._core.kernel.hosts[_CALLER].strategy.settings = work
        self.publish(TimerFired(_CALLER, "call", self.clock.now_ns()))
        if errors:
            raise errors[0]
        return results[0]

    def submit(self, intent: Intent) -> Verdict:
        """Have an intent judged in the name of the strategy that it names: there need be none of this name."""
        return self.call(self._core.kernel.submit, intent)

    def advance(self, *, ms: int) -> None:
        """Let time pass: timers fire in the order in which they are due, and requests that waited for a rate limit
        leave. Books grow older."""
        end_ns = self.clock.monotonic_ns() + ms * MS
        while (now_ns := self.clock.monotonic_ns()) < end_ns:
            # Requests that wait for tokens get a chance ten times a second.
            self.clock.advance(min(end_ns, now_ns + 100 * MS, self._timers.next_ns(end_ns)) - now_ns)
            while (fired := self._timers.take_due()) is not None:
                self.publish(fired)
            self._serve()

    def reconcile(self) -> None:
        """Look up at the venues what became of our open orders, and take in fills that were missed: as a daemon does
        at each connect, on a schedule, and for every unknown outcome."""
        for venue in self.venues.values():
            queue, orders = self._core.queues[venue.name], self._core.accounts.orders.open(venue=venue.name)
            venue.reconcile([order for order in orders if not queue.holds(order.client_order_id)])

    def restart(self) -> None:
        """Stop without notice and start again, as after a crash: a new core whose state is rebuilt by replaying the
        records, new strategies with the same settings, and a reconciliation before they start. Timers and requests that
        were not answered are gone; `strategies` holds the new objects."""
        for venue in self.venues.values():
            venue.forget_requests()
        accounts = Accounts()
        for number, record in enumerate(self.recorder.records, start=1):
            fold_record(accounts, decode_record(number, encode_record(record)).record.body, record.now_ns)
        self._begin(accounts, step=self._core.kernel.step_number)

    def orders(self, strategy: str = "", instrument: InstrumentId | None = None) -> tuple[Order, ...]:
        """The orders that have not ended, oldest first: of one strategy, of one instrument, or all."""
        return self._core.accounts.orders.open(strategy=strategy, instrument=instrument)

    def position(self, strategy: str = "", instrument: InstrumentId | None = None) -> Position:
        """The position of a strategy, or of the whole account, in an instrument: the first one unless named."""
        positions, of = self._core.accounts.positions, instrument or self._instruments[0]
        return positions.of_strategy(strategy, of) if strategy else positions.account(of)

    def profit_and_loss(self, strategy: str = "", instrument: InstrumentId | None = None) -> ProfitAndLoss:
        """A position's profit and fees in `Money` of the instrument, marked by its book."""
        of = instrument or self._instruments[0]
        return profit_and_loss(self.position(strategy, of), self._core.books.of(of), self._core.books.mark(of))

    def _begin(self, accounts: Accounts, *, step: int) -> None:
        self._epoch += 1
        now_ns, monotonic_ns = self.clock.now_ns(), self.clock.monotonic_ns()
        self.recorder.journal(step, now_ns, monotonic_ns, EpochTaken(self._epoch, "test", "", "", now_ns))
        accounts.begin_epoch()
        self._timers = ManualTimers(self.clock)
        self._core = assemble(
            self._settings,
            clock=self.clock,
            accounts=accounts,
            books=Books(),
            next_client_order_id=ClientOrderIds("test", self._epoch).next,
            recorder=self.recorder,
            watcher=self.recorder,
            timers=self._timers,
            on_journal_failure=self.recorder.errors.append,
            log=self.recorder.log,
        )
        self._core.kernel.resume(step)
        self._core.add_strategy(_CALLER, _Caller, None, ())
        for venue in self.venues.values():
            venue.connect()
        for name in self._rows:
            self._start(name)

    def _start(self, name: str) -> None:
        factory, parsed, bound, pattern, trade_anything = self._rows[name]
        chosen = bound if pattern is None else pattern.choose(self._core.accounts.instruments.values())
        self.strategies[name] = self._core.add_strategy(
            name, factory, parsed, chosen, pattern, trade_anything=trade_anything
        )
        self.publish(StrategyStarted(name, self.clock.now_ns()))

    def _serve(self) -> None:
        """Carry every request that may leave now, and what follows from the answers; then raise what a hook raised."""
        self._is_serving, requests = True, 0
        while requests <= REQUESTS_MAX and any([self._step(venue) for venue in self.venues.values()]):
            requests += 1
        self._is_serving = False
        if requests > REQUESTS_MAX:
            raise RuntimeError(f"more than {REQUESTS_MAX} requests while time stands still: use a timer between them")
        errors, self.recorder.errors = self.recorder.errors, []
        if errors and self._raise_faults:
            raise errors[0]

    def _step(self, venue: ScriptedVenue) -> bool:
        """Send or drop the most urgent request, as the dispatcher does, else have one answered; False when idle."""
        queue, budget = self._core.queues[venue.name], cast(Any, self._core.budgets.get(venue.name))
        if (request := queue.peek()) is None:
            return venue.answer_next()
        approved, reason = request.approved, self._core.last_look.why_unwanted(request)
        if reason is None and budget is not None:
            if budget.dispatch_wait_ns(approved.request_kind, self.clock.monotonic_ns()) > 0:
                return venue.answer_next()
            budget.start(approved.request_kind)
        queue.pop()
        if reason is None:
            venue.receive(approved)
        else:
            venue.drop(approved, reason)
        return True


class MemoryRecorder:
    """Everything that happened, oldest first. Implements `KernelRecorder` and `Watcher`.

    `records`: what a daemon would have written into its journal. `verdicts`: the gate's answers. `fills`: ours, as they
    were booked. `alarms`: what an operator would have been told. `faults`: (strategy, reason). `lines`: what strategies
    logged, as (message, fields).
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.verdicts: list[Verdict] = []
        self.fills: list[Fill] = []
        self.alarms: list[str] = []
        self.faults: list[tuple[str, str]] = []
        self.lines: list[tuple[str, dict[str, object]]] = []
        self.errors: list[BaseException] = []

    def journal(self, step: int, now_ns: int, monotonic_ns: int, record: Body, /) -> None:
        """Keep what a journal would hold: one record of a step, with its times in nanoseconds."""
        self.records.append(Record(step, now_ns, monotonic_ns, record))

    def tape(self, *_: object) -> None:
        """Market events are not kept: nothing is replayed from them."""

    def orders(self, *_: object) -> None:
        """What became of orders is in the records."""

    def on_event(self, *_: object) -> None:
        """Inputs are kept when they are recorded."""

    def on_verdict(self, verdict: Verdict, /) -> None:
        """Keep an answer of the gate, to a strategy or to the kernel's own cancels."""
        self.verdicts.append(verdict)

    def on_change(self, change: Change, /) -> None:
        """Keep the fills and alarms of a change of the accounts."""
        self.fills += change.fills
        self.alarms += change.alarms

    def on_fault(self, strategy: str, reason: str, _faults: int, _kind: FaultKind, /) -> None:
        """Keep a fault. Called while the exception of a hook, if it is one, is being handled."""
        self.faults.append((strategy, reason))
        raised = sys.exc_info()[1] if " raised " in reason else None
        self.errors.append(raised or AssertionError(f"strategy {strategy}: {reason}"))

    def on_bound(self, *_: object) -> None:
        """A strategy's `on_instrument` is called as well."""

    def log(self, event: str, **fields: object) -> None:
        """Keep a line of a strategy's log. The message has the name that it has in a log's line, so that a field of
        this name is the error here that it is in a live run."""
        self.lines.append((event, fields))


class ManualTimers:
    """Timers that are due when the clock was moved there. Implements `Timers`. A timer of 0 ms is due after one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[tuple[str, str], tuple[int, int]] = {}
        self._numbers = count(1)

    def set(self, strategy: str, name: str, after_ms: int) -> None:
        """Set or replace a strategy's timer. Never at once, so that one that sets itself again has an end."""
        self._due[strategy, name] = (self._clock.monotonic_ns() + max(after_ms, 1) * MS, next(self._numbers))

    def next_ns(self, latest_ns: int) -> int:
        """When the next timer is due, monotonic, but at `latest_ns`."""
        return min([due_ns for due_ns, _ in self._due.values()], default=latest_ns)

    def take_due(self) -> TimerFired | None:
        """The timer that was due first and has not fired; None when no timer is due."""
        key = min(self._due, key=self._due.__getitem__, default=None)
        if key is None or self._due[key][0] > self._clock.monotonic_ns():
            return None
        del self._due[key]
        return TimerFired(*key, self._clock.now_ns())


def _named(checks: Sequence[AnyCheck]) -> Iterator[tuple[str, AnyCheck]]:
    """The checks by the names of their classes; the second of a class has a 2 behind it, as in a configuration."""
    seen = Counter[str]()
    for check in checks:
        name = type(check).__name__
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name}_{seen[name]}", check


def _filling_ms(pool: Pool) -> int:
    """Milliseconds in which the budget of a pool is full, whatever was used before."""
    return (max(pool.capacity, pool.refill) * pool.period_ns * 1_006) // (pool.refill * 1_000_000_000) + 1


class _Caller(Strategy[Any]):
    """Does in a hook what a test wants done there: its settings are the function."""

    def on_timer(self, name: str) -> None:
        """Do it."""
        self.settings()
