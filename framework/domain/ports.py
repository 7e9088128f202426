"""Seams: everything the core needs from outside, as Protocols.

A live daemon, a replay and a simulation differ only in what is plugged in here.
"""

from __future__ import annotations

from typing import Protocol

from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.intents import Intent
from framework.domain.orders import Order
from framework.domain.verdicts import Refusal, Verdict
from framework.domain.views import BookView, BudgetView, ExposureView, PositionView, Proposal, RiskView


class Clock(Protocol):
    """Where time comes from. Nothing outside `framework.runtime` reads a clock in another way."""

    def now_ns(self) -> int:
        """Wall time: nanoseconds since the Unix epoch. May step backwards."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary start; never runs backwards."""
        ...


class Rng(Protocol):
    """Where randomness comes from: seeded in simulations, seeded from the system when live."""

    def random(self) -> float:
        """A float in [0.0, 1.0)."""
        ...

    def randbytes(self, n: int, /) -> bytes:
        """`n` random bytes."""
        ...


class Check(Protocol):
    """One question of the gate. A check is a frozen settings model: its fields are its limits."""

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        """Refuse with a reason, or None. An exception refuses too."""
        ...


class Desk(Protocol):
    """What a strategy may use: read the market, place intents, set timers. It never sees keys or sockets."""

    @property
    def now_ns(self) -> int:
        """Wall time of the event being handled."""
        ...

    @property
    def monotonic_ns(self) -> int:
        """Monotonic time of the event being handled: for ages and intervals."""
        ...

    @property
    def instruments(self) -> tuple[InstrumentId, ...]:
        """The instruments that the configuration gave to this strategy, in order."""
        ...

    def instrument(self, instrument: InstrumentId, /) -> Instrument:
        """The instrument. Raises `KeyError` when no connector defined it."""
        ...

    def book(self, instrument: InstrumentId, /) -> BookView:
        """The book: empty and not fresh until a snapshot came."""
        ...

    def position(self, instrument: InstrumentId, /) -> PositionView:
        """This strategy's position."""
        ...

    def order(self, client_order_id: str, /) -> Order | None:
        """One of this strategy's orders, ended ones included as long as they are kept."""
        ...

    def orders(self, instrument: InstrumentId | None = None, /) -> tuple[Order, ...]:
        """This strategy's orders that have not ended, oldest first."""
        ...

    def budget(self, venue: str, /) -> BudgetView | None:
        """What is left of the venue's rate limits for this strategy."""
        ...

    def submit(self, intent: Intent, /) -> Verdict:
        """Have the intent judged, now. What is approved is already recorded and queued when this returns."""
        ...

    def set_timer(self, name: str, *, after_ms: int) -> None:
        """Call `on_timer(name)` once after `after_ms`; a timer of the same name is replaced."""
        ...

    def save(self, state: bytes, /) -> None:
        """Keep these bytes for the next start: durable with the next order, replaced by the next call.

        Raises `TypeError` for anything but bytes and `ValueError` for more than 1 MiB: every call is a record.
        """
        ...

    @property
    def saved(self) -> bytes:
        """What was kept last, by this run or an earlier one; empty at first. Read it in `on_start`."""
        ...

    def log(self, message: str, **fields: object) -> None:
        """A line in the log, with the strategy's name."""
        ...


__all__ = [
    "BookView",
    "BudgetView",
    "Check",
    "Clock",
    "Desk",
    "ExposureView",
    "PositionView",
    "Proposal",
    "RiskView",
    "Rng",
]
