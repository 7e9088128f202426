"""Replay: feed recorded inputs to a kernel again and compare what it decides with what was decided."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from framework.domain.events import AccountEvent, Event, MarketEvent
from framework.domain.orders import Order
from framework.domain.tickets import Approved, Refused, Verdict
from framework.flow.kernel import Kernel


class RecordedInput(Protocol):
    """One input of a kernel, with the times that its step saw."""

    @property
    def step(self) -> int: ...
    @property
    def now_ns(self) -> int: ...
    @property
    def monotonic_ns(self) -> int: ...
    @property
    def event(self) -> Event: ...


class SteppedClock:
    """A clock that stands still: replay sets it to the times of each recorded step."""

    def __init__(self) -> None:
        self._now_ns = 0
        self._monotonic_ns = 0

    def set(self, now_ns: int, monotonic_ns: int) -> None:
        """Both times of the next step."""
        self._now_ns, self._monotonic_ns = now_ns, monotonic_ns

    def now_ns(self) -> int:
        """Recorded wall time."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """Recorded monotonic time."""
        return self._monotonic_ns


class DecisionRecorder:
    """Keeps what the kernel decides: one line of bytes per verdict, and a digest over all of them."""

    def __init__(self) -> None:
        self.decisions: list[bytes] = []
        self._encoder = msgspec.msgpack.Encoder()

    def journal(self, step: int, now_ns: int, monotonic_ns: int, record: Verdict | AccountEvent) -> None:
        """Keep verdicts; inputs are known already."""
        if isinstance(record, (Approved, Refused)):
            self.decisions.append(self._encoder.encode((step, now_ns, monotonic_ns, record)))

    def tape(self, step: int, now_ns: int, monotonic_ns: int, event: MarketEvent) -> None:
        """Nothing to keep."""

    def orders(self, orders: Sequence[Order]) -> None:
        """Nothing to keep: they follow from the rest."""

    def digest(self) -> str:
        """SHA-256 over all decisions, in order."""
        return hashlib.sha256(b"".join(self.decisions)).hexdigest()


def replay(inputs: Iterable[RecordedInput], kernel: Kernel, clock: SteppedClock) -> int:
    """Feed the inputs in order; the kernel must have been made with this clock and `decides=False`.

    Returns how many were fed. Steps missing in the record (shed by the tape) are skipped in the count too.
    """
    fed = 0
    for recorded in inputs:
        clock.set(recorded.now_ns, recorded.monotonic_ns)
        kernel.resume(recorded.step - 1)
        kernel.publish(recorded.event)
        fed += 1
    return fed
