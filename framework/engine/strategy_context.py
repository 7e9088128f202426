"""What one strategy may see and do: the market, its orders and positions, the way to the gate, timers.

Timers are one-shot, replaced by name, and delivered to the kernel as events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from framework.domain.account_events import StrategySaved, TradingState
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.intents import AmendOrder, CancelAll, Intent, NewOrder
from framework.domain.market_events import MarkPrice, TimerFired
from framework.domain.orders import Order
from framework.domain.ports import Clock
from framework.domain.rate_limits import RequestKind
from framework.domain.terms import VenueTerms
from framework.domain.verdicts import Approved, Verdict
from framework.domain.views import BookView, BudgetView, LimitView, PositionView, StrategyExposure
from framework.engine.kernel import Kernel
from framework.engine.universe import Universe
from framework.state.order_book import Book

SAVED_BYTES_MAX = 1024 * 1024
"""The most that a strategy may save at once: it is a record of the journal and a part of every snapshot."""

TIMER_MS_MAX = 366 * 86_400_000
"""A year: the longest time until a timer fires."""


class Timers(Protocol):
    """Where a strategy's timers are set: the event loop, or a list that a test or a replay fires by hand."""

    def set(self, strategy: str, name: str, after_ms: int) -> None:
        """Fire the timer `name` of a strategy once, after `after_ms` milliseconds; replaces one of that name."""
        ...


class StrategyContext:
    """What one strategy may see and do; implements `framework.domain.ports.Desk`. All it shows is as of this step."""

    __slots__ = (
        "_accounts",
        "_books",
        "_budgets",
        "_kernel",
        "_log",
        "_name",
        "_timers",
        "_trade_anything",
        "_universe",
        "_view",
    )

    def __init__(
        self,
        name: str,
        universe: Universe,
        kernel: Kernel,
        *,
        timers: Timers,
        log: Callable[..., None],
        trade_anything: bool = False,
    ) -> None:
        self._name = name
        self._trade_anything = trade_anything
        self._universe = universe
        self._kernel = kernel
        self._view, self._books = kernel.dependencies.view, kernel.dependencies.books
        self._accounts, self._budgets = kernel.dependencies.accounts, kernel.dependencies.budgets
        self._timers = timers
        self._log = log

    @property
    def now_ns(self) -> int:
        """Wall time of the event being handled, nanoseconds."""
        return self._view.now_ns

    @property
    def monotonic_ns(self) -> int:
        """Monotonic time of the event being handled, nanoseconds: for ages and intervals."""
        return self._view.monotonic_ns

    @property
    def instruments(self) -> tuple[InstrumentId, ...]:
        """The instruments of this strategy now, in the order of their names."""
        return self._universe.instruments

    def why_not_its_own(self, approved: Approved, /) -> str:
        """Why the strategy may not have a new order outside of its instruments, or an amend that makes one larger;
        empty when it may, or the configuration allows any (`trade_anything`). What only closes a position there passes:
        it is an exit from what was bought when the configuration was another one, or adopted."""
        intent = approved.intent
        if self._trade_anything or approved.request_kind is RequestKind.REDUCE:
            return ""
        if isinstance(intent, NewOrder):
            instrument = intent.instrument
        else:
            order = self._accounts.orders.get(approved.client_order_id)
            if not isinstance(intent, AmendOrder) or order is None or intent.size <= order.size:
                return ""
            instrument = order.instrument
        if instrument in self._universe.instruments:
            return ""
        return f"{instrument} is not among its instruments; strategies.{self._name}.trade_anything = true allows any"

    def instrument(self, instrument: InstrumentId, /) -> Instrument:
        """The instrument as last defined. Raises `KeyError` when no connector has defined it."""
        found = self._view.instrument(instrument)
        if found is None:
            raise KeyError(f"instrument: no connector has defined {instrument}")
        return found

    def book(self, instrument: InstrumentId, /) -> BookView:
        """The live book: it changes under its reader with every step. Empty and not fresh until a snapshot came.

        Of an instrument that no connector has defined it is an empty one that stays so: a wrong name makes no book.
        """
        if (book := self._books.get(instrument)) is not None:
            return book
        return self._books.of(instrument) if instrument in self._accounts.instruments else Book(instrument)

    def mark(self, instrument: InstrumentId, /) -> MarkPrice | None:
        """The newest mark price, None before the first."""
        return self._books.mark(instrument)

    def position(self, instrument: InstrumentId, /) -> PositionView:
        """This strategy's own position, from its fills; the account's may differ."""
        return self._accounts.positions.of_strategy(self._name, instrument)

    def exposure(self, instrument: InstrumentId, /) -> StrategyExposure:
        """This strategy's own position with what its orders may still add, and how much of that is in flight."""
        return self._accounts.desk_exposure(self._name, instrument)

    def order(self, client_order_id: str, /) -> Order | None:
        """One of this strategy's orders, ended ones included as long as they are remembered; None for any other."""
        order = self._accounts.orders.get(client_order_id)
        return order if order is not None and order.strategy == self._name else None

    def orders(self, instrument: InstrumentId | None = None, /) -> tuple[Order, ...]:
        """This strategy's orders that have not ended, oldest first; of one instrument where given."""
        return self._accounts.orders.open(strategy=self._name, instrument=instrument)

    def budget(self, venue: str, /) -> BudgetView | None:
        """What is left of the venue's rate limits; None as long as the venue has not declared any."""
        return self._budgets.get(venue)

    def terms(self, venue: str, /) -> VenueTerms:
        """What the venue offers, as declared last."""
        return self._view.terms(venue)

    def state(self, instrument: InstrumentId, /) -> TradingState:
        """The strictest trading state that applies to this strategy in an instrument."""
        venue = instrument.partition(":")[0]
        return self._view.trading_state(strategy=self._name, instrument=instrument, venue=venue)

    def limits(self) -> Sequence[LimitView]:
        """Every setting of the gate's checks as it counts now."""
        return self._kernel.dependencies.limits.rows()

    def submit(self, intent: Intent, /) -> Verdict:
        """Have the intent judged, now. Raises `ValueError` when it is not this strategy's to ask for,
        and `RuntimeError` outside of a hook."""
        if isinstance(intent, CancelAll):
            raise ValueError("intent: cancel-all is the operator's; a strategy cancels its orders one by one")
        asking = getattr(intent, "strategy", self._name)
        if asking != self._name:
            raise ValueError(f"intent.strategy: {asking!r} is not {self._name!r}, who asks; use self.name")
        return self._kernel.submit(intent, self._name)

    def set_timer(self, name: str, *, after_ms: int) -> None:
        """Fire once after `after_ms`. Raises `ValueError` for what is no number of milliseconds: one that compares with
        nothing (NaN) would put everybody's timers out of order; and for a name that is no printable text: it could not
        be written, and would end the tape."""
        if type(name) is not str or not name.isprintable():
            raise ValueError(f"name: {name!r} of a timer; give printable characters")
        if type(after_ms) is not int or not 0 <= after_ms <= TIMER_MS_MAX:
            raise ValueError(f"after_ms: {after_ms!r} of timer {name!r}; give an int from 0 to {TIMER_MS_MAX}")
        self._timers.set(self._name, name, after_ms)

    def save(self, state: bytes, /) -> None:
        """Keep these bytes for the next start, instead of those before. Raises `TypeError` for anything but bytes, and
        `ValueError` for more than `SAVED_BYTES_MAX`: every call is a record of the journal."""
        if not isinstance(state, bytes):
            raise TypeError(f"save: {type(state).__name__} is not bytes; encode it first, as with msgspec.json.encode")
        if len(state) > SAVED_BYTES_MAX:
            raise ValueError(f"save: {len(state)} bytes are more than {SAVED_BYTES_MAX}; keep less, or in a file")
        self._kernel.publish(StrategySaved(self._name, state, self.now_ns))

    @property
    def saved(self) -> bytes:
        """What was kept last, by this run or an earlier one; empty when nothing was."""
        return self._accounts.saved_states.get(self._name, b"")

    def log(self, message: str, **fields: object) -> None:
        """Write a line into the log, with the strategy's name as a field."""
        self._log(message, strategy=self._name, **fields)


class LoopTimers:
    """Timers of the running event loop: each publishes a `TimerFired` when it is due."""

    def __init__(self, publish: Callable[[TimerFired], None], clock: Clock) -> None:
        self._publish = publish
        self._clock = clock
        self._handles: dict[tuple[str, str], asyncio.TimerHandle] = {}

    def set(self, strategy: str, name: str, after_ms: int) -> None:
        """Fire once after `after_ms`; replaces the strategy's timer of that name."""
        key = (strategy, name)
        if (old := self._handles.pop(key, None)) is not None:
            old.cancel()
        self._handles[key] = asyncio.get_running_loop().call_later(after_ms / 1000, self._fire, key)

    def close(self) -> None:
        """Cancel every timer that is set; none fires any more."""
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()

    def _fire(self, key: tuple[str, str]) -> None:
        self._handles.pop(key, None)
        self._publish(TimerFired(key[0], key[1], self._clock.now_ns()))
