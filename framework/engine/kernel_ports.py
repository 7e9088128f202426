"""What a kernel is made of: the faces that it sees of the gate, budgets, records and watchers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from framework.domain.account_events import AccountEvent, LimitChanged
from framework.domain.errors import JournalError
from framework.domain.events import Event
from framework.domain.instruments import InstrumentId
from framework.domain.market_events import MarketEvent, RequestOutcome, WindowSeen
from framework.domain.orders import Order
from framework.domain.ports import Clock, Monitor
from framework.domain.rate_limits import RateLimits, RequestKind
from framework.domain.verdicts import Decision, Verdict
from framework.domain.views import BudgetView, LimitView, RiskView
from framework.engine.strategy_host import FaultKind
from framework.execution.request_queue import RequestQueue
from framework.state.accounts import Accounts
from framework.state.books import Books
from framework.state.change import Change
from framework.state.risk_view import DeclaredTerms, View


class Budget(BudgetView, Protocol):
    """What the kernel does with a venue's budget; `risk.budget.venue_budget.VenueBudget` says what each call means."""

    def advance(self, monotonic_ns: int, /) -> None:
        """Refill up to this monotonic time, in nanoseconds; called at the start of each step."""
        ...

    def hold(self, kind: RequestKind, strategy: str, endpoint: str = "", weight: int = 1, /) -> None:
        """Reserve the tokens of one approved request, or of one that has its turn."""
        ...

    def complete(
        self, kind: RequestKind, strategy: str, outcome: RequestOutcome, endpoint: str = "", weight: int = 1, /
    ) -> None:
        """Book or give back the tokens of one held request, exactly once per `hold`."""
        ...

    def declare(self, limits: RateLimits, /) -> None:
        """Keep to these limits of the venue from now on; what is held stays held."""
        ...

    def see(self, seen: WindowSeen, /) -> None:
        """Take over what an answer of the venue showed of a window."""
        ...

    def tokens(self) -> Mapping[str, int]:
        """Whole tokens left per pool; below 0 while cancels are in debt."""
        ...


class IntentJudge(Protocol):
    """The gate: every intent is judged here, at once; it never raises."""

    def judge(self, intent: object, view: RiskView, /) -> Verdict:
        """Approve or refuse, with the reason; whatever breaks inside is a refusal."""
        ...


class Limits(Protocol):
    """The settings of the gate's checks, which may change while it runs."""

    def change(self, event: LimitChanged, /) -> None:
        """Let the gate ask with the changed setting from here on; never raises."""
        ...

    def rows(self) -> Sequence[LimitView]:
        """Every setting as it counts now."""
        ...

    def plan(self, check: str, key: str, value: str, /) -> tuple[LimitView, bool]:
        """What a setting would be and was, changed to `value` in TOML (empty: what is configured), and whether that is
        surely no looser. Raises `ConfigurationError` with a line for each thing that is wrong."""
        ...


class KernelRecorder(Protocol):
    """Where the kernel writes: the journal (what must survive), the tape (what may be replayed), and for people what
    became of orders. Times are nanoseconds: wall, then monotonic."""

    def journal(self, step: int, now_ns: int, monotonic_ns: int, record: Decision | AccountEvent, /) -> object:
        """Append a record of step `step`. Raises `JournalError` once nothing can be recorded any more."""
        ...

    def tape(self, step: int, now_ns: int, monotonic_ns: int, event: MarketEvent, /) -> None:
        """Queue a market event for the tape, which may drop it."""
        ...

    def orders(self, orders: Sequence[Order], /) -> None:
        """Show these orders as they are now in the ledger."""
        ...


class Watcher(Protocol):
    """Called with what the kernel did, when it is done: metrics and the log. It changes nothing."""

    def on_event(self, event: Event, /) -> None:
        """An input has been handled to its end."""
        ...

    def on_verdict(self, verdict: Verdict, /) -> None:
        """An intent has been judged, and if approved recorded and queued."""
        ...

    def on_change(self, change: Change, /) -> None:
        """A record has changed orders, fills or positions."""
        ...

    def on_fault(self, strategy: str, reason: str, faults: int, kind: FaultKind, /) -> None:
        """A strategy has failed, for the `faults`-th time since its start or its last release."""
        ...

    def on_bound(self, strategy: str, instrument: InstrumentId, has_joined: bool, /) -> None:
        """An instrument has joined a strategy's after its start, or has left it because it settled."""
        ...


class KernelDependencies(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a kernel is made of.

    `decides` is False in a replay, where quarantines come out of the record. `strategy_faults_max` faults
    quarantine a strategy, and so do more than `refusals_per_second_max` refusals a second for a while.
    `on_journal_failure` is called once, when nothing can be recorded any more. `monitors` are the checks that remember,
    by name, as they are now, and what else watches.
    """

    clock: Clock
    books: Books
    accounts: Accounts
    view: View
    gate: IntentJudge
    limits: Limits
    recorder: KernelRecorder
    watcher: Watcher
    budgets: dict[str, Budget]
    make_budget: Callable[[str, RateLimits, int], Budget]
    terms: DeclaredTerms
    queues: Mapping[str, RequestQueue]
    on_journal_failure: Callable[[JournalError], None]
    monitors: Mapping[str, Monitor]
    decides: bool = True
    strategy_faults_max: int = 5
    refusals_per_second_max: int = 1_000
