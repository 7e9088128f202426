"""The assembly: kernel, gate, budgets and strategies, put together in one place for every kind of run.

A live daemon, a replay, a bench and a test differ only in what they hand in: the clock, the records, the timers, and
whether the kernel decides what follows from an input or finds it in a record. Nobody else builds a `Kernel`.

Call order: `assemble` once, `Core.add_strategy` for each strategy, then `Core.kernel.publish` for each input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from framework.config.resolve import Resolved
from framework.domain.errors import JournalError
from framework.domain.instruments import InstrumentId
from framework.domain.ports import Check, Clock
from framework.domain.rate_limits import RateLimits
from framework.domain.strategy import Strategy
from framework.engine.kernel import Kernel
from framework.engine.kernel_ports import Budget, KernelDependencies, KernelRecorder, Watcher
from framework.engine.strategy_context import StrategyContext, Timers
from framework.engine.strategy_host import StrategyHost
from framework.execution.request_queue import RequestQueue
from framework.state.accounts import Accounts
from framework.state.books import Books
from framework.state.risk_view import View
from risk.budget.venue_budget import VenueBudget
from risk.checks.trading_state import TradingStateCheck
from risk.gate import Gate


class CoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a configuration says about a core.

    `venues`: names of the venue accounts. `checks`: (name, check) in the order in which the gate asks them. `shares`:
    the weight of each strategy in a venue's rate limits, 1 or more; without any, first come is first served. A strategy
    is quarantined after `strategy_faults_max` faults, or at once when a hook takes longer than `strategy_call_ms_max`
    milliseconds.
    """

    venues: Sequence[str]
    checks: Sequence[tuple[str, Check]] = ()
    shares: Mapping[str, int] = {}
    strategy_faults_max: int = 5
    strategy_call_ms_max: int = 100


def core_settings(resolved: Resolved) -> CoreSettings:
    """The settings of a resolved configuration: its venues and checks, equal shares for its strategies."""
    kernel = resolved.config.kernel
    return CoreSettings(
        venues=[venue.name for venue in resolved.venues],
        checks=all_checks(resolved.checks),
        shares={row.name: 1 for row in resolved.strategies},
        strategy_faults_max=kernel.strategy_faults_max,
        strategy_call_ms_max=kernel.strategy_call_ms_max,
    )


def all_checks(configured: Sequence[tuple[str, Check]]) -> Sequence[tuple[str, Check]]:
    """The configured checks, with the trading states first where the configuration forgot them: a halt must hold."""
    if any(isinstance(check, TradingStateCheck) for _, check in configured):
        return configured
    return [("TradingStateCheck", TradingStateCheck()), *configured]


class Core(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel and what surrounds it.

    `queues` hold what is approved and has not left, by venue. `budgets` get an entry when a venue first declares its
    rate limits. `log` is `StrategyContext.log`'s way out: a message and fields.
    """

    kernel: Kernel
    accounts: Accounts
    books: Books
    budgets: Mapping[str, Budget]
    queues: Mapping[str, RequestQueue]
    clock: Clock
    timers: Timers
    log: Callable[..., None]
    strategy_call_ms_max: int

    def add_strategy(
        self, name: str, factory: type[Strategy[Any]], settings: Any, instruments: tuple[InstrumentId, ...]
    ) -> Strategy[Any]:
        """Make a strategy and bind it to the events of its instruments.

        Its `on_start` is called by the event `StrategyStarted`, which the caller publishes (in a replay the record
        does). Raises what the strategy's constructor raises.
        """
        context = StrategyContext(name, instruments, self.kernel, timers=self.timers, log=self.log)
        strategy = factory(name, settings, context)
        host = StrategyHost(
            name,
            strategy,
            clock=self.clock,
            call_ns_max=self.strategy_call_ms_max * 1_000_000,
            on_fault=self.kernel.on_fault,
        )
        self.kernel.add_host(host, instruments)
        return strategy


def assemble(
    settings: CoreSettings,
    *,
    clock: Clock,
    accounts: Accounts,
    books: Books,
    next_client_order_id: Callable[[], str],
    recorder: KernelRecorder,
    watcher: Watcher,
    timers: Timers,
    on_journal_failure: Callable[[JournalError], None],
    log: Callable[..., None],
    decides: bool = True,
) -> Core:
    """Build a kernel with its gate, its budgets and a queue per venue.

    `accounts` and `books` are the state to go on from. `next_client_order_id` is called once per approved new order.
    `recorder` takes what the kernel writes, `watcher` is told what it did. `on_journal_failure` is called once, when
    nothing can be recorded any more. With `decides=False` what follows from an input is not decided again: it comes out
    of a record as an input of its own.
    """
    budgets: dict[str, Budget] = {}
    queues = {venue: RequestQueue() for venue in settings.venues}

    def make_budget(_venue: str, limits: RateLimits, monotonic_ns: int) -> Budget:
        return VenueBudget(limits, monotonic_ns=monotonic_ns, shares=settings.shares)

    kernel = Kernel(
        KernelDependencies(
            clock=clock,
            books=books,
            accounts=accounts,
            view=View(books=books, accounts=accounts, budgets=budgets),
            gate=Gate(settings.checks, next_client_order_id=next_client_order_id),
            recorder=recorder,
            watcher=watcher,
            budgets=budgets,
            make_budget=make_budget,
            queues=queues,
            on_journal_failure=on_journal_failure,
            decides=decides,
            strategy_faults_max=settings.strategy_faults_max,
        )
    )
    return Core(
        kernel=kernel,
        accounts=accounts,
        books=books,
        budgets=budgets,
        queues=queues,
        clock=clock,
        timers=timers,
        log=log,
        strategy_call_ms_max=settings.strategy_call_ms_max,
    )
