"""A practice venue: a test calls a strategy's hooks by hand, through the real gate, without a kernel.

    venue = PracticeVenue(Gate)
    desk = venue.desk("mine")
    strategy = Mine("mine", MySettings(), desk)
    strategy.on_book(venue.quote(bid="0.40", ask="0.44"))
    assert venue.intents == [...]

It takes every approved order at once, and fills only when told to. New tests use `framework.testing.TradingHarness`,
where the hooks are called as in a live run, orders fill by the market, and venues refuse, delay and lose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import msgspec

from framework.config.check_settings import CheckSettings
from framework.domain.account_events import Fill, InstrumentDefined, StrategySaved, TradingState
from framework.domain.events import Event
from framework.domain.instruments import FeeSchedule, Instrument, InstrumentId, InstrumentStatus
from framework.domain.intents import Intent, NewOrder
from framework.domain.market_events import BookSnapshot, MarkPrice
from framework.domain.numbers import Size
from framework.domain.orders import Order, TimeInForce
from framework.domain.ports import Check, Desk
from framework.domain.rate_limits import RequestKind
from framework.domain.terms import VenueTerms
from framework.domain.verdicts import Approved, Refused, Verdict
from framework.domain.views import BookView, BudgetView, LimitView, PositionView, StrategyExposure
from framework.engine.kernel_ports import IntentJudge
from framework.engine.strategy_context import SAVED_BYTES_MAX
from framework.runtime.clock import ManualClock
from framework.state.accounts import Accounts
from framework.state.books import Books
from framework.state.risk_view import DeclaredTerms, View
from framework.testing.harness import MS, NO_LIMITS, START_NS
from framework.testing.scripted_venue import INSTRUMENT, VENUE, ScriptedVenue

__all__ = ["INSTRUMENT", "VENUE", "PlentyBudget", "PracticeDesk", "PracticeVenue"]

GateClass = Callable[..., IntentJudge]
"""`risk.gate.Gate`, as far as it is needed here: called with the checks and `next_client_order_id`."""


class PlentyBudget:
    """A rate limit that is never reached. Implements `BudgetView`."""

    def available(self, _kind: RequestKind, _strategy: str, /) -> int:
        """Requests that could be approved now: always a thousand."""
        return 1_000

    def wait_ns(self, _kind: RequestKind, _strategy: str, /) -> int:
        """Nanoseconds until one could be approved: never a wait."""
        return 0


class PracticeVenue:
    """A venue that does as it is told. `intents` and `refusals` are what strategies asked for, oldest first.

    `gate` is `risk.gate.Gate`, `checks` are (name, check) in the order in which it asks them. Time stands still between
    calls of `advance`. A test may put another budget into `budgets`, other terms into `terms`, and may write to `books`
    and `accounts` itself.
    """

    def __init__(
        self, gate: GateClass, *, checks: Sequence[tuple[str, Check]] = (), instrument: Instrument = INSTRUMENT
    ) -> None:
        self.instrument = instrument
        self.intents: list[Intent] = []
        self.refusals: list[Refused] = []
        self.accounts = Accounts()
        self.books = Books()
        self.budgets: dict[str, BudgetView] = {instrument.venue: PlentyBudget()}
        self.terms = DeclaredTerms()
        self.view = View(books=self.books, accounts=self.accounts, budgets=self.budgets, terms=self.terms)
        self.limits = CheckSettings(checks)
        numbers = count(1)
        self._gate = gate(checks, next_client_order_id=lambda: f"practice-{next(numbers)}")
        self._clock = ManualClock(wall_ns=START_NS, monotonic_ns=1)
        free = msgspec.structs.replace(instrument, fees=FeeSchedule(), status=InstrumentStatus.ACTIVE)
        self._venue = ScriptedVenue([free], NO_LIMITS, clock=self._clock, publish=self._apply)
        self.advance(ms=0)
        self._venue.connect()
        self._apply(InstrumentDefined(instrument, self.now_ns))

    @property
    def now_ns(self) -> int:
        """Wall time in nanoseconds, which stands still until advanced."""
        return self._clock.now_ns()

    @property
    def monotonic_ns(self) -> int:
        """Monotonic time in nanoseconds, which stands still until advanced."""
        return self._clock.monotonic_ns()

    def desk(self, strategy: str) -> PracticeDesk:
        """The desk to hand to the strategy of that name."""
        return PracticeDesk(strategy, self)

    def advance(self, *, ms: int) -> None:
        """Let time pass on both clocks: books grow older, no timer fires."""
        self._clock.advance(ms * MS)
        self.view.now_ns, self.view.monotonic_ns = self.now_ns, self.monotonic_ns

    def quote(self, *, bid: str = "", ask: str = "", size: str = "100") -> BookView:
        """Make the market: one level a side, "" for none. Returns the book, to hand to `on_book`."""
        of = self.instrument
        bids, asks = (((of.price(price), of.size(size)),) if price else () for price in (bid, ask))
        self._apply(BookSnapshot(of.id, self.now_ns, self.now_ns, bids, asks))
        return self.books.of(of.id)

    def fill(self, client_order_id: str, *, size: Size | None = None) -> tuple[Fill, Order]:
        """Trade an order, wholly or in part: `strategy.on_fill(*venue.fill(id))`. Raises `KeyError` when unknown."""
        order = self.accounts.orders.get(client_order_id)
        if order is None:
            raise KeyError(f"client_order_id: {client_order_id!r} was never approved here")
        return self._venue.fill(order, size=None if size is None else self.instrument.size_text(size)), order

    def submit(self, intent: Intent) -> Verdict:
        """Have an intent judged; what is approved takes effect at once."""
        self.intents.append(intent)
        verdict = self._gate.judge(intent, self.view)
        self.accounts.apply(verdict, self.now_ns)
        if isinstance(verdict, Refused):
            self.refusals.append(verdict)
        else:
            self._venue.receive(_at_rest(verdict))
            self._venue.answer_next()
        return verdict

    def _apply(self, event: Event) -> None:
        """Take in what the venue sends: the parts leave out what does not concern them."""
        of_any_kind: Any = event
        self.books.apply(of_any_kind, self.monotonic_ns)
        self.accounts.apply(of_any_kind, self.now_ns)


def _at_rest(approved: Approved) -> Approved:
    """The request as the venue gets it: an order rests until the test fills it, whatever its time in force."""
    if not isinstance(approved.intent, NewOrder):
        return approved
    intent = msgspec.structs.replace(approved.intent, time_in_force=TimeInForce.GOOD_TILL_CANCELLED)
    return msgspec.structs.replace(approved, intent=intent)


class PracticeDesk:
    """A strategy's desk at a practice venue; implements `framework.domain.ports.Desk`.

    `timers` are the timers set, by name, with their delay in milliseconds; `lines` is what was logged.
    """

    def __init__(self, strategy: str, venue: PracticeVenue) -> None:
        self._strategy = strategy
        self._venue = venue
        self.timers: dict[str, int] = {}
        self.lines: list[tuple[str, dict[str, object]]] = []

    @property
    def now_ns(self) -> int:
        """Wall time in nanoseconds, which stands still until advanced."""
        return self._venue.now_ns

    @property
    def monotonic_ns(self) -> int:
        """Monotonic time in nanoseconds, which stands still until advanced."""
        return self._venue.monotonic_ns

    @property
    def instruments(self) -> tuple[InstrumentId, ...]:
        """The venue's only instrument, as a tuple of one."""
        return (self._venue.instrument.id,)

    def instrument(self, instrument: InstrumentId, /) -> Instrument:
        """The venue's instrument. Raises `KeyError` for any other."""
        return self._venue.accounts.instruments[instrument]

    def book(self, instrument: InstrumentId, /) -> BookView:
        """The book as last quoted; empty and not fresh before."""
        return self._venue.books.of(instrument)

    def mark(self, instrument: InstrumentId, /) -> MarkPrice | None:
        """The newest mark price that the test has put into the books."""
        return self._venue.books.mark(instrument)

    def position(self, instrument: InstrumentId, /) -> PositionView:
        """The position that the strategy's fills come to."""
        return self._venue.accounts.positions.of_strategy(self._strategy, instrument)

    def exposure(self, instrument: InstrumentId, /) -> StrategyExposure:
        """The position with what the strategy's orders may still add."""
        return self._venue.accounts.desk_exposure(self._strategy, instrument)

    def order(self, client_order_id: str, /) -> Order | None:
        """One of the strategy's orders, open or ended; None for those of others."""
        order = self._venue.accounts.orders.get(client_order_id)
        return order if order is not None and order.strategy == self._strategy else None

    def orders(self, instrument: InstrumentId | None = None, /) -> tuple[Order, ...]:
        """The strategy's orders that have not ended, oldest first; of one instrument where given."""
        return self._venue.accounts.orders.open(strategy=self._strategy, instrument=instrument)

    def budget(self, venue: str, /) -> BudgetView | None:
        """Plenty, unless the test put another one into `venue.budgets`."""
        return self._venue.budgets.get(venue)

    def terms(self, venue: str, /) -> VenueTerms:
        """Those of a venue that has declared none, unless the test put others into `venue.terms`."""
        return self._venue.terms[venue]

    def state(self, instrument: InstrumentId, /) -> TradingState:
        """ACTIVE, unless the test has set another one in `venue.accounts`."""
        venue = instrument.partition(":")[0]
        return self._venue.view.trading_state(strategy=self._strategy, instrument=instrument, venue=venue)

    def limits(self) -> Sequence[LimitView]:
        """The settings of the checks that the venue was made with."""
        return self._venue.limits.rows()

    def submit(self, intent: Intent, /) -> Verdict:
        """Have the intent judged and, if approved, carried out."""
        return self._venue.submit(intent)

    def set_timer(self, name: str, *, after_ms: int) -> None:
        """Remember it; hand its name to `on_timer` when the test wants it to fire."""
        self.timers[name] = after_ms

    def save(self, state: bytes, /) -> None:
        """Keep these bytes. Raises `TypeError` for anything but bytes, `ValueError` for more than 1 MiB."""
        if not isinstance(state, bytes):
            raise TypeError(f"save: {type(state).__name__} is not bytes; encode it first")
        if len(state) > SAVED_BYTES_MAX:
            raise ValueError(f"save: {len(state)} bytes are more than {SAVED_BYTES_MAX}; keep less")
        self._venue.accounts.apply(StrategySaved(self._strategy, state, self.now_ns), self.now_ns)

    @property
    def saved(self) -> bytes:
        """What was kept last; empty at first."""
        return self._venue.accounts.saved_states.get(self._strategy, b"")

    def log(self, message: str, **fields: object) -> None:
        """Remember the line in `lines`, as (message, fields)."""
        self.lines.append((message, fields))


_CHECKED: type[Desk] = PracticeDesk
"""Has the type checker compare the desk with the Protocol."""
