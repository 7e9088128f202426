"""The assembly: kernel, gate, budgets and strategies, put together in one place for every kind of run.

A live daemon, a replay, a bench and a test differ only in what they hand in: the clock, the records, the timers, and
whether the kernel decides what follows from an input or finds it in a record. Nobody else builds a `Kernel`.

Call order: `assemble` once, `Core.add_strategy` for each strategy, then `Core.kernel.publish` for each input.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import msgspec

from framework.config.check_settings import CheckSettings
from framework.config.resolve import Resolved
from framework.domain.errors import JournalError, describe_error
from framework.domain.instruments import InstrumentId
from framework.domain.ports import AnyCheck, Clock, Desk
from framework.domain.rate_limits import RateLimits
from framework.domain.strategy import Strategy
from framework.domain.terms import VenueTerms
from framework.engine.kernel import Kernel
from framework.engine.kernel_ports import KernelDependencies, KernelRecorder, Watcher
from framework.engine.strategy_context import StrategyContext, Timers
from framework.engine.strategy_host import StrategyHost
from framework.engine.universe import InstrumentPattern, Universe
from framework.engine.venue_budgets import Budget
from framework.execution.last_look import LastLook, never_killed
from framework.execution.ports import ALONE, VenueShare
from framework.execution.request_queue import RequestQueue
from framework.execution.request_turns import RequestTurns, TurnBudget
from framework.execution.send_ledger import SEND_LEDGER, SendLedger
from framework.state.accounts import Accounts
from framework.state.books import Books
from framework.state.risk_view import DeclaredTerms, View
from risk.budget.token_pool import Pools
from risk.budget.venue_budget import VenueBudget
from risk.checks.trading_state import TradingStateCheck
from risk.gate import Gate


class CoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a configuration says about a core.

    `venues`: names of the venue accounts. `checks`: (name, check) in the order in which the gate asks them. `shares`:
    the weight of each strategy in the rate limits of each venue where it trades, 1 or more; without any, first come is
    first served. `exits`: what tells the way out of each venue, the same text for those that an exchange sees under one
    IP address (`risk.budget.token_pool.Pools`); without one a venue is alone. A strategy
    is quarantined after `strategy_faults_max` faults, or at once when a hook takes longer than `strategy_call_ms_max`
    milliseconds, or while it is refused more than `refusals_per_second_max` times a second. A new order that has not
    left `order_deadline_ms` milliseconds after its approval is not sent.
    """

    venues: Sequence[str]
    checks: Sequence[tuple[str, AnyCheck]] = ()
    shares: Mapping[str, Mapping[str, int]] = {}
    exits: Mapping[str, str] = {}
    strategy_faults_max: int = 5
    strategy_call_ms_max: int = 100
    order_deadline_ms: int = 2_000
    refusals_per_second_max: int = 1_000


def core_settings(resolved: Resolved) -> CoreSettings:
    """The settings of a resolved configuration: its venues and checks, at each venue equal shares for the strategies
    that trade there."""
    kernel = resolved.config.kernel
    return CoreSettings(
        venues=[venue.name for venue in resolved.venues],
        checks=resolved.checks if resolved.is_unguarded else all_checks(resolved.checks),
        shares={
            venue.name: {strategy.name: 1 for strategy in resolved.strategies if strategy.trades_at(venue.name)}
            for venue in resolved.venues
        },
        exits={venue.name: f"{venue.row.use} {venue.row.proxy}" for venue in resolved.venues},
        strategy_faults_max=kernel.strategy_faults_max,
        strategy_call_ms_max=kernel.strategy_call_ms_max,
        order_deadline_ms=kernel.order_deadline_ms,
        refusals_per_second_max=kernel.refusals_per_second_max,
    )


def all_checks(configured: Sequence[tuple[str, AnyCheck]]) -> Sequence[tuple[str, AnyCheck]]:
    """The configured checks, with the trading states first where the configuration forgot them: a halt must hold."""
    if any(isinstance(check, TradingStateCheck) for _, check in configured):
        return configured
    return [("trading_state", TradingStateCheck()), *configured]


MakeStrategy: TypeAlias = Callable[[str, Any, Desk], Strategy[Any]]
"""A strategy's class, or what calls it: gets its name, its settings and its desk."""


class Core(msgspec.Struct, frozen=True):
    """A kernel and what surrounds it. `last_look` is asked before a queued request leaves, `send_ledger` before each
    write; `limits` are the settings of the checks as they count now; `log` takes what strategies log: a message and
    fields."""

    settings: CoreSettings
    kernel: Kernel
    last_look: LastLook
    send_ledger: SendLedger
    limits: CheckSettings
    timers: Timers
    log: Callable[..., None]

    @property
    def accounts(self) -> Accounts:
        """Orders, fills, positions and trading states."""
        return self.kernel.dependencies.accounts

    @property
    def books(self) -> Books:
        """Every order book, by instrument; empty ones that are not fresh included."""
        return self.kernel.dependencies.books

    @property
    def budgets(self) -> Mapping[str, Budget]:
        """The rate budget of each venue that has declared its limits."""
        return self.kernel.dependencies.budgets

    @property
    def queues(self) -> Mapping[str, RequestQueue]:
        """What is approved and has not left, by venue."""
        return self.kernel.dependencies.queues

    def terms(self, venue: str) -> VenueTerms:
        """What the venue offers, as its connector declared last."""
        return self.kernel.dependencies.view.terms(venue)

    def add_strategy(
        self,
        name: str,
        factory: MakeStrategy,
        settings: Any,
        instruments: Sequence[InstrumentId],
        pattern: InstrumentPattern | None = None,
        *,
        trade_anything: bool = False,
    ) -> Strategy[Any]:
        """Make a strategy and bind it to the events of the instruments that it starts with. Others join these as
        `pattern` says, none without it. It may open positions in these only, or, with `trade_anything`, in any.

        Its `on_start` is called by the event `StrategyStarted`, which the caller publishes (in a replay the record
        does). When its constructor raises, a `Strategy` that does nothing stands in its place, and that event
        quarantines it.
        """
        universe = Universe(instruments, pattern)
        context = StrategyContext(
            name, universe, self.kernel, timers=self.timers, log=self.log, trade_anything=trade_anything
        )
        flaw, strategy = "", Strategy(name, settings, context)
        try:
            strategy = factory(name, settings, context)
        except BaseException as e:  # noqa: BLE001 - whatever it raises, the other strategies go on
            flaw = f"__init__ raised {describe_error(e)}"
        host = StrategyHost(
            name,
            strategy,
            clock=self.kernel.dependencies.clock,
            call_ns_max=self.settings.strategy_call_ms_max * 1_000_000,
            on_fault=self.kernel.on_fault,
            why_not_its_own=context.why_not_its_own,
            flaw=flaw,
        )
        self.kernel.add_host(host, universe)
        return strategy


def assemble(
    settings: CoreSettings, *, clock: Clock, accounts: Accounts, books: Books, next_client_order_id: Callable[[], str],
    recorder: KernelRecorder, watcher: Watcher, timers: Timers, on_journal_failure: Callable[[JournalError], None],
    log: Callable[..., None], decides: bool = True, is_killed: Callable[[str], bool] = never_killed,
) -> Core:  # fmt: skip
    """Build a kernel with its gate, its budgets and a queue per venue, to go on from `accounts` and `books`.

    `next_client_order_id` is called per approved new order, `on_journal_failure` once, when nothing can be recorded any
    more; `is_killed` asks for a venue's kill latch. With `decides=False`, as in a replay, what follows is read."""
    budgets, terms = dict[str, Budget](), DeclaredTerms()
    (gate, limits), ledger = _gate_of(settings, accounts, next_client_order_id), SendLedger(accounts.orders)
    dependencies = KernelDependencies(
        clock=clock,
        books=books,
        accounts=accounts,
        view=View(books=books, accounts=accounts, budgets=budgets, terms=terms),
        gate=gate,
        limits=limits,
        recorder=recorder,
        watcher=watcher,
        budgets=budgets,
        terms=terms,
        make_budget=_budgets_of(settings),
        queues={venue: RequestQueue() for venue in settings.venues},
        on_journal_failure=on_journal_failure,
        monitors=ChainMap({SEND_LEDGER: ledger}, gate.monitors),
        decides=decides,
        strategy_faults_max=settings.strategy_faults_max,
        refusals_per_second_max=settings.refusals_per_second_max,
    )
    kernel = Kernel(dependencies)
    last_look = _last_look(gate, kernel, settings.order_deadline_ms, is_killed)
    return Core(settings, kernel, last_look, ledger, limits, timers, log)


def _gate_of(
    settings: CoreSettings, accounts: Accounts, next_client_order_id: Callable[[], str]
) -> tuple[Gate, CheckSettings]:
    limits = CheckSettings(settings.checks, accounts.limits.values(), on_check=lambda *check: gate.replace(*check))
    gate = Gate(limits.checks, next_client_order_id=next_client_order_id)
    return gate, limits


def _budgets_of(settings: CoreSettings) -> Callable[[str, RateLimits, int], Budget]:
    pools = Pools(settings.exits)

    def make(venue: str, limits: RateLimits, monotonic_ns: int) -> Budget:
        shares = settings.shares.get(venue)
        return VenueBudget(limits, monotonic_ns=monotonic_ns, shares=shares, venue=venue, pools=pools)

    return make


def turns_of(core: Core, venue: str, share: VenueShare = ALONE) -> RequestTurns:
    """The turns of a venue's own requests in the budget of this core, which may `share` the venue with a process that
    ends its orders."""
    kernel = core.kernel

    def budget() -> TurnBudget | None:
        return cast("TurnBudget | None", core.budgets.get(venue))

    clock = kernel.dependencies.clock
    return RequestTurns(venue, budget=budget, publish=kernel.publish, clock=clock, share=share)


def _last_look(gate: Gate, kernel: Kernel, deadline_ms: int, is_killed: Callable[[str], bool]) -> LastLook:
    parts = kernel.dependencies
    view = View(books=parts.books, accounts=parts.accounts, budgets=parts.budgets, terms=parts.terms)
    return LastLook(
        gate,
        view,
        clock=parts.clock,
        is_ending=kernel.is_ending,
        why_not_all=kernel.why_not_all,
        deadline_ms=deadline_ms,
        is_killed=is_killed,
    )
