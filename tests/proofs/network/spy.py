"""What the network proof watches inside the daemon, without changing what it does; and the mutant."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any

from connectors.client.stream import VenueStream
from connectors.client.subscriptions import Subscriptions
from connectors.transport.reconnect import Attempt, ConnectBreaker, SilenceWatch
from framework.daemon import Daemon
from framework.domain.events import Event
from framework.domain.intents import AmendOrder, NewOrder
from framework.domain.market_events import ConnectorStatus
from framework.domain.verdicts import Approved, Verdict
from framework.engine.kernel import Kernel

MUTANTS = ("no-silence-watch",)
BOOK_AGE_NS_MAX = 5_000_000_000

_stream_connects: list[int] = []
_rest_connects: list[int] = []


def patch(mutant: str) -> None:
    """Count every attempt to connect, also where no proxy can see it; and make the mutant, if one is named."""
    connect, dial = VenueStream._one_connection, ConnectBreaker.begin

    async def count_stream(self: VenueStream) -> None:
        _stream_connects.append(time.monotonic_ns())
        await connect(self)

    def count_rest(self: ConnectBreaker, now_ns: int) -> Attempt:
        _rest_connects.append(time.monotonic_ns())
        return dial(self, now_ns)

    changes: list[tuple[type, str, object]] = [
        (VenueStream, "_one_connection", count_stream),
        (ConnectBreaker, "begin", count_rest),
    ]
    if mutant == "no-silence-watch":
        changes += [(SilenceWatch, "is_silent", _never), (Subscriptions, "oldest_pending_ns", _nothing)]
    for owner, name, function in changes:
        setattr(owner, name, function)


def _never(_self: object, _now_ns: int) -> bool:
    return False


def _nothing(_self: object) -> None:
    return None


def keep_made(composition: ModuleType) -> list[Daemon]:
    """The daemons that will be put together: the list fills as they are."""
    made: list[Daemon] = []

    def make(*arguments: Any, **named: Any) -> Daemon:
        made.append(Daemon(*arguments, **named))
        return made[-1]

    vars(composition)["Daemon"] = make
    return made


def attach(daemon: Daemon, venue: str) -> Spy:
    """Begin to watch a daemon."""
    spy = Spy(daemon.kernel, venue)
    watcher: Any = daemon.kernel.dependencies.watcher
    on_event, on_verdict = watcher.on_event, watcher.on_verdict

    def see_event(event: Event) -> None:
        spy.on_event(event)
        on_event(event)

    def see_verdict(verdict: Verdict) -> None:
        spy.on_verdict(verdict)
        on_verdict(verdict)

    watcher.on_event, watcher.on_verdict = see_event, see_verdict
    return spy


class Spy:
    """`downs`: when (monotonic) the connector went down, and why. `orders`: new orders and amends that were approved,
    `stale` those of them on a book that was not proved or too old, or without a connection. `…_connects`: when it was
    tried to connect."""

    def __init__(self, kernel: Kernel, venue: str) -> None:
        self.downs: list[tuple[int, str]] = []
        self.orders = 0
        self.stale = 0
        self.stream_connects = _stream_connects
        self.rest_connects = _rest_connects
        self._kernel = kernel
        self._venue = venue
        self._up_since_ns = 0

    def up_for_s(self, now_ns: int) -> float:
        """For how long the connector has been up; 0 while it is down."""
        return (now_ns - self._up_since_ns) / 1e9 if self._up_since_ns else 0.0

    def on_event(self, event: Event) -> None:
        """An input of the kernel."""
        if isinstance(event, ConnectorStatus):
            if event.is_up:
                self._up_since_ns = time.monotonic_ns()
            elif self._up_since_ns:
                self._up_since_ns = 0
                self.downs.append((time.monotonic_ns(), event.reason))

    def on_verdict(self, verdict: Verdict) -> None:
        """A decision of the gate."""
        intent = verdict.intent
        if not isinstance(verdict, Approved) or not isinstance(intent, (NewOrder, AmendOrder)):
            return
        self.orders += 1
        dependencies = self._kernel.dependencies
        order = dependencies.accounts.orders.get(verdict.client_order_id)
        instrument = intent.instrument if isinstance(intent, NewOrder) else order.instrument if order else None
        book = None if instrument is None else dependencies.view.book(instrument)
        is_sound = (
            book is not None
            and book.is_fresh
            and 0 <= book.age_ns(time.monotonic_ns()) <= BOOK_AGE_NS_MAX
            and dependencies.view.is_connected(self._venue)
        )
        self.stale += not is_sound
