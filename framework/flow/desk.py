"""The desk of one strategy: its window on the market and its way to the gate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from framework.domain.events import StrategySaved
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.intents import CancelAll, Intent
from framework.domain.orders import Order
from framework.domain.ports import BookView, BudgetView, PositionView
from framework.domain.tickets import Verdict
from framework.flow.kernel import Kernel

SAVED_BYTES_MAX = 1024 * 1024
"""The most that a strategy may save at once: it is a record of the journal and a part of every snapshot."""

TIMER_MS_MAX = 366 * 86_400_000
"""A year: the longest time until a timer fires."""


class Timers(Protocol):
    """Where timers are set."""

    def set(self, strategy: str, name: str, after_ms: int) -> None: ...


class StrategyDesk:
    """What one strategy may see and do; implements `framework.domain.ports.Desk`."""

    __slots__ = ("_instruments", "_kernel", "_log", "_name", "_timers")

    def __init__(
        self,
        name: str,
        instruments: tuple[InstrumentId, ...],
        kernel: Kernel,
        *,
        timers: Timers,
        log: Callable[..., None],
    ) -> None:
        self._name = name
        self._instruments = instruments
        self._kernel = kernel
        self._timers = timers
        self._log = log

    @property
    def now_ns(self) -> int:
        """Wall time of the event being handled."""
        return self._kernel.parts.view.now_ns

    @property
    def monotonic_ns(self) -> int:
        """Monotonic time of the event being handled."""
        return self._kernel.parts.view.monotonic_ns

    @property
    def instruments(self) -> tuple[InstrumentId, ...]:
        """The instruments given to this strategy."""
        return self._instruments

    def instrument(self, instrument: InstrumentId, /) -> Instrument:
        """The instrument; `KeyError` when no connector defined it."""
        found = self._kernel.parts.view.instrument(instrument)
        if found is None:
            raise KeyError(f"instrument: no connector has defined {instrument}")
        return found

    def book(self, instrument: InstrumentId, /) -> BookView:
        """The book, empty and not fresh until a snapshot came."""
        return self._kernel.parts.books.of(instrument)

    def position(self, instrument: InstrumentId, /) -> PositionView:
        """This strategy's position."""
        return self._kernel.parts.accounts.positions.of_strategy(self._name, instrument)

    def order(self, client_order_id: str, /) -> Order | None:
        """One of this strategy's orders."""
        order = self._kernel.parts.accounts.orders.get(client_order_id)
        return order if order is not None and order.strategy == self._name else None

    def orders(self, instrument: InstrumentId | None = None, /) -> tuple[Order, ...]:
        """This strategy's open orders, oldest first."""
        return self._kernel.parts.accounts.orders.open(strategy=self._name, instrument=instrument)

    def budget(self, venue: str, /) -> BudgetView | None:
        """What is left of the venue's rate limits."""
        return self._kernel.parts.budgets.get(venue)

    def submit(self, intent: Intent, /) -> Verdict:
        """Have the intent judged, now. Raises `ValueError` when it is not this strategy's to ask for."""
        if isinstance(intent, CancelAll):
            raise ValueError("intent: cancel-all is the operator's; a strategy cancels its orders one by one")
        asking = getattr(intent, "strategy", self._name)
        if asking != self._name:
            raise ValueError(f"intent.strategy: {asking!r} is not {self._name!r}, who asks; use self.name")
        return self._kernel.submit(intent, self._name)

    def set_timer(self, name: str, *, after_ms: int) -> None:
        """Fire once after `after_ms`. Raises `ValueError` for what is no number of milliseconds: one that compares with
        nothing (NaN) would put everybody's timers out of order."""
        if type(after_ms) is not int or not 0 <= after_ms <= TIMER_MS_MAX:
            raise ValueError(f"after_ms: {after_ms!r} of timer {name!r}; give an int from 0 to {TIMER_MS_MAX}")
        self._timers.set(self._name, name, after_ms)

    def save(self, state: bytes, /) -> None:
        """Keep these bytes for the next start. Raises `TypeError`, or `ValueError` when they are too many."""
        if not isinstance(state, bytes):
            raise TypeError(f"save: {type(state).__name__} is not bytes; encode it first, as with msgspec.json.encode")
        if len(state) > SAVED_BYTES_MAX:
            raise ValueError(f"save: {len(state)} bytes are more than {SAVED_BYTES_MAX}; keep less, or in a file")
        self._kernel.publish(StrategySaved(self._name, state, self.now_ns))

    @property
    def saved(self) -> bytes:
        """What was kept last; empty at first."""
        return self._kernel.parts.accounts.memories.get(self._name, b"")

    def log(self, message: str, **fields: object) -> None:
        """A line in the log, with the strategy's name."""
        self._log(message, strategy=self._name, **fields)
