"""Ports: what the core needs from outside, and what a strategy may use, as Protocols.

A live daemon, a replay and a simulation differ only in what is plugged in here. What strategies and checks read of the
state is in `views`; plugins also find it under this name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

from framework.domain.account_events import CancelRequested, ControlSaved, TradingState, TradingStateChanged
from framework.domain.events import Event
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.intents import Intent
from framework.domain.market_events import MarkPrice
from framework.domain.orders import Order
from framework.domain.terms import VenueTerms
from framework.domain.verdicts import Approved, Refusal, Verdict
from framework.domain.views import BookView as BookView
from framework.domain.views import BudgetView as BudgetView
from framework.domain.views import ExposureView as ExposureView
from framework.domain.views import LimitView as LimitView
from framework.domain.views import OwnPrice as OwnPrice
from framework.domain.views import PositionView as PositionView
from framework.domain.views import Proposal as Proposal
from framework.domain.views import RiskView as RiskView
from framework.domain.views import StrategyExposure as StrategyExposure


class Clock(Protocol):
    """Where time comes from. Nothing outside `framework.runtime` reads a clock in another way."""

    def now_ns(self) -> int:
        """Wall time: nanoseconds since the Unix epoch. May step backwards: never measure a duration with it."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary start; never runs backwards."""
        ...


class Rng(Protocol):
    """Where randomness comes from: the operating system when live, a seed where a run must be repeatable."""

    def random(self) -> float:
        """A float from 0.0 up to but not including 1.0, evenly spread."""
        ...

    def randbytes(self, n: int, /) -> bytes:
        """`n` random bytes; secret only where the source is the operating system's."""
        ...


class Check(Protocol):
    """One question of the gate. A check is a frozen settings model: its fields are its limits."""

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        """Return a refusal with its numbers, or None to let it pass. Called once per new order and amend, never for
        cancels; must be quick and change nothing. An exception refuses too, as CHECK_FAILED: the gate fails closed.

        A class attribute `asked_again`, `"always"` or `"when it grows"`, has it asked once more before the request
        leaves, for all requests or not for amends that only shrink; `view` then has the times of that question."""
        ...


ControlAction = TradingStateChanged | CancelRequested | ControlSaved
"""What a check that watches may order: REDUCING or HALTED for a scope, with or without cancelling what is open there,
the end of one order, and that what it keeps for the next run is recorded. Who orders it and when is filled in."""

Followed = Event | Approved
"""What a monitor can be shown: every input of the kernel, and every approval of the gate."""


class Monitor(Protocol):
    """A check at work that remembers: made by `StatefulCheck.begin` for one run, and asked like any other."""

    @property
    def follows(self) -> Collection[type]:
        """The classes of what it is shown, of `Followed`; the same whatever the settings are."""
        ...

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        """As `Check.check`; None where it only watches."""
        ...

    def follow(self, event: Any, view: RiskView, /) -> Iterable[ControlAction]:
        """Take notice of what has just happened, and say what follows. Called within the kernel's step, once the state
        knows of it; of an approval once it is recorded. A fill is shown when it is booked to an order of ours, so once.

        Must be quick; time is the view's. What it orders is an input of its own, which comes after this one: a replay
        finds it in the record and leaves out what is ordered there. An exception halts everything: a control that
        broke does not watch. So does what it may not order, such as ACTIVE."""
        ...


@runtime_checkable
class StatefulCheck(Protocol):
    """The settings of a check that remembers what it saw: frozen like those of any other check."""

    def begin(self, before: Any = None, /) -> Monitor:
        """What is asked and shown what happens. `before` is None at the beginning of a run, and the memory is empty;
        when the settings change while it runs, it is what `begin` made of those before, whose memory goes on."""
        ...


AnyCheck = Check | StatefulCheck
"""What a table of the configuration can be: a check, or one that remembers."""


class Desk(Protocol):
    """What a strategy may use: read the market, place intents, set timers. It never sees keys or sockets."""

    @property
    def now_ns(self) -> int:
        """Wall time of the event being handled, in nanoseconds: the same for everything that one event causes."""
        ...

    @property
    def monotonic_ns(self) -> int:
        """Monotonic time of the event being handled, in nanoseconds: for ages and intervals."""
        ...

    @property
    def instruments(self) -> tuple[InstrumentId, ...]:
        """The instruments of this strategy now, in the order of their names: those that the configuration's patterns
        name, as they open and until they settle (see `Strategy.on_instrument`)."""
        ...

    def instrument(self, instrument: InstrumentId, /) -> Instrument:
        """The instrument. Raises `KeyError` when no connector defined it."""
        ...

    def book(self, instrument: InstrumentId, /) -> BookView:
        """The book of an instrument, as it is after the event being handled; empty and not fresh until a snapshot came.
        It changes with the next event: copy what must be kept."""
        ...

    def mark(self, instrument: InstrumentId, /) -> MarkPrice | None:
        """The newest mark price of a perpetual, with index and funding; None where the venue has published none."""
        ...

    def position(self, instrument: InstrumentId, /) -> PositionView:
        """This strategy's own position in an instrument, from its fills alone; flat when it never traded there."""
        ...

    def exposure(self, instrument: InstrumentId, /) -> StrategyExposure:
        """This strategy's own position in an instrument with what its orders may still add to it, as of now: an order
        counts from its approval until it has ended and its fills are in the position."""
        ...

    def order(self, client_order_id: str, /) -> Order | None:
        """One of this strategy's orders, ended ones included as long as they are kept; None for any other order."""
        ...

    def orders(self, instrument: InstrumentId | None = None, /) -> tuple[Order, ...]:
        """This strategy's orders that have not ended, oldest first."""
        ...

    def budget(self, venue: str, /) -> BudgetView | None:
        """What is left of the venue's rate limits for this strategy; None until the venue has declared them."""
        ...

    def terms(self, venue: str, /) -> VenueTerms:
        """What the venue offers: order types, times in force, flags, and what can be listed. `VenueTerms()`, which
        lists everything and takes limit orders alone, until its connector has declared it."""
        ...

    def state(self, instrument: InstrumentId, /) -> TradingState:
        """The strictest trading state that applies to this strategy in an instrument: REDUCING lets only orders pass
        that shrink a position, HALTED none."""
        ...

    def limits(self) -> Sequence[LimitView]:
        """Every setting of the gate's checks as it counts now, changes of this run included. It is made anew at each
        call: not per market event."""
        ...

    def submit(self, intent: Intent, /) -> Verdict:
        """Have the intent judged, now. What is approved is already recorded and queued when this returns.

        Raises `ValueError` for an intent that is not this strategy's to ask for: in another strategy's name, or for a
        `CancelAll`.
        """
        ...

    def set_timer(self, name: str, *, after_ms: int) -> None:
        """Call `on_timer(name)` once after `after_ms` milliseconds; a timer of the same name is replaced. Timers do not
        survive a restart: set them in `on_start`. Raises `ValueError` unless it is an int from 0 to 366 days and the
        name printable text.
        """
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
        """Write a line to the log with the strategy's name and these fields. Not per market event: a line costs tens of
        microseconds."""
        ...
