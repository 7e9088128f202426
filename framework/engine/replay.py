"""Replay: feed recorded inputs to a kernel again and compare what it decides with what was decided.

session = read_session(files, state_directory)
core = assemble(..., decides=False)  # of session.accounts, session.client_order_ids(), clock, recorder
result = replay_session(session, core.kernel, clock, recorder, start=add_the_strategy)
assert result.is_same
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from framework.domain.account_events import AccountEvent
from framework.domain.errors import JournalError
from framework.domain.events import Event
from framework.domain.market_events import MarketEvent, StrategyStarted
from framework.domain.orders import Order
from framework.domain.verdicts import Approved, Decision, RefusalsCounted, Refused
from framework.engine.kernel import Kernel
from framework.persistence.journal.records import Entry, EpochTaken
from framework.persistence.journal.restore import fold_record
from framework.persistence.journal.scan import read_entries
from framework.persistence.tape import merge, read_tape
from framework.runtime.files import FileSystem
from framework.state.accounts import Accounts
from framework.state.orders.client_order_ids import ClientOrderIds


class RecordedInput(Protocol):
    """One input of a kernel, with the times that its step saw."""

    @property
    def step(self) -> int:
        """The number of its step: 1, 2, …"""
        ...

    @property
    def now_ns(self) -> int:
        """The step's wall time in nanoseconds."""
        ...

    @property
    def monotonic_ns(self) -> int:
        """The step's monotonic time in nanoseconds."""
        ...

    @property
    def event(self) -> Event:
        """What came in: a market or an account event."""
        ...


class SteppedClock:
    """A clock that stands still: replay sets it to the times of each recorded step."""

    def __init__(self) -> None:
        self._now_ns = 0
        self._monotonic_ns = 0

    def set(self, now_ns: int, monotonic_ns: int) -> None:
        """Set the times of the next step: nanoseconds, wall and monotonic."""
        self._now_ns, self._monotonic_ns = now_ns, monotonic_ns

    def now_ns(self) -> int:
        """Wall time of the recorded step, nanoseconds."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """Monotonic time of the recorded step, nanoseconds."""
        return self._monotonic_ns


class DecisionRecorder:
    """Keeps what the kernel decides: one line of bytes per verdict, or per count of refusals that are not journaled one
    by one, and a digest over all of them."""

    def __init__(self) -> None:
        self.decisions: list[bytes] = []
        self._encoder = msgspec.msgpack.Encoder()

    def journal(self, step: int, now_ns: int, monotonic_ns: int, record: Decision | AccountEvent) -> None:
        """Keep a verdict; anything else was an input of the replay and is known already."""
        if isinstance(record, (Approved, Refused, RefusalsCounted)):
            self.decisions.append(self._encoder.encode((step, now_ns, monotonic_ns, record)))

    def tape(self, step: int, now_ns: int, monotonic_ns: int, event: MarketEvent) -> None:
        """Keep nothing: what a tape would hold was an input of the replay."""

    def orders(self, orders: Sequence[Order]) -> None:
        """Keep nothing: what orders are follows from the inputs and the verdicts."""

    def digest(self) -> str:
        """SHA-256 over all decisions so far, in order, as hexadecimal digits."""
        return hashlib.sha256(b"".join(self.decisions)).hexdigest()


class Session(NamedTuple):
    """One recorded run: how it began, its records, and where its market data is."""

    taken: EpochTaken
    accounts: Accounts
    entries: tuple[Entry, ...]
    steps: range
    files: FileSystem
    tape: Path

    def client_order_ids(self) -> ClientOrderIds:
        """The ids of the run's orders, from the first."""
        return ClientOrderIds(self.taken.instance, self.taken.epoch)

    def inputs(self) -> Iterator[RecordedInput]:
        """Every recorded input of the run, by step. Raises `TapeError` and `OSError`."""
        taped = (found for found in read_tape(self.files, self.tape) if found.step in self.steps)
        return merge(self.entries, taped)

    def decisions(self) -> list[bytes]:
        """What was decided, as `DecisionRecorder` keeps it."""
        kept = DecisionRecorder()
        for entry in self.entries:
            record = entry.record
            if isinstance(record.body, (Approved, Refused, RefusalsCounted)):
                kept.journal(record.step, record.now_ns, record.monotonic_ns, record.body)
        return kept.decisions


class Replayed(NamedTuple):
    """What came of a replay: inputs fed, steps that were not recorded, decisions then and now, and the state."""

    fed: int
    missing: int
    recorded: list[bytes]
    decided: list[bytes]
    accounts: Accounts

    @property
    def accounts_digest(self) -> str:
        """The digest of the state at the end."""
        return self.accounts.digest()

    @property
    def is_same(self) -> bool:
        """Whether every decision came out again, byte for byte."""
        return self.recorded == self.decided

    @property
    def digest(self) -> str:
        """SHA-256 over all decisions of the replay."""
        return hashlib.sha256(b"".join(self.decided)).hexdigest()

    def first_difference(self) -> tuple[object, object] | None:
        """The first decision that is another one: as recorded, as replayed (None: there is none); None when same."""
        pairs = zip_longest(self.recorded, self.decided)
        found = next(((then, now) for then, now in pairs if then != now), None)
        return found and (_readable(found[0]), _readable(found[1]))


def read_session(files: FileSystem, directory: Path, *, epoch: int = 0) -> Session:
    """The run of this epoch, or the last one, from a state directory whose journal is whole.

    Raises `JournalError` when there is no such run or the journal does not begin with record 1, and `OSError`.
    """
    journal = directory / "journal"
    taken = [entry for entry in read_entries(files, journal) if isinstance(entry.record.body, EpochTaken)]
    # A run's epoch is repeated after each of its snapshots: the run began at the first.
    starts = list({_taken(entry).epoch: entry for entry in reversed(taken)}.values())[::-1]
    chosen = [n for n, entry in enumerate(starts) if epoch in (0, _taken(entry).epoch)][-1:]
    if not chosen:
        raise JournalError(f"epoch: {journal} holds no run {epoch or ''}; it holds {[_taken(e).epoch for e in starts]}")
    start = starts[chosen[0]]
    following = starts[chosen[0] + 1] if chosen[0] + 1 < len(starts) else None
    accounts, entries = Accounts(), []
    for expected, entry in enumerate(read_entries(files, journal), start=1):
        if entry.number != expected:
            raise JournalError(f"journal record {expected} is not in {journal}: a replay needs all of them from 1 on")
        if entry.number <= start.number:
            fold_record(accounts, entry.record.body, entry.record.now_ns)
        elif following is None or entry.number < following.number:
            entries.append(entry)
    last_step = following.record.step if following else sys.maxsize - 1
    steps = range(start.record.step + 1, last_step + 1)
    return Session(_taken(start), accounts, tuple(entries), steps, files, directory / "tape")


def replay_session(
    session: Session, kernel: Kernel, clock: SteppedClock, recorder: DecisionRecorder, *, start: Callable[[str], None]
) -> Replayed:
    """Feed a whole run to a kernel that was made of the session's accounts and ids, this clock and this recorder,
    with `decides=False`. `start` adds a strategy's host, when the record says that it began."""
    fed = 0
    missing = 0
    step = session.steps.start - 1
    for recorded in session.inputs():
        if isinstance(recorded.event, StrategyStarted):
            start(recorded.event.strategy)
        missing += recorded.step - step - 1
        step = recorded.step
        fed += replay((recorded,), kernel, clock)
    return Replayed(fed, missing, session.decisions(), recorder.decisions, session.accounts)


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


def _taken(entry: Entry) -> EpochTaken:
    body = entry.record.body
    assert isinstance(body, EpochTaken)  # noqa: S101 - chosen so
    return body


def _readable(decision: bytes | None) -> object:
    return None if decision is None else msgspec.msgpack.decode(decision)
