"""Which books are proved on one connection, and until when the others must be. Pure.

How recent the books of one connection are, and when a quiet one must be asked about. Pure.

All books come by one subscription, whose frames are numbered: the next frame in order proves that no change of any book
before it is missing. Only such a frame proves it. Pings of the socket, answers to other commands and other channels go
on when the books have come to a standstill.

Sequence numbers of a stream: one count per subscription id, starting at 1, shared by all its markets.

Vendor docs: every frame of a sequenced subscription has the next number, `ok` and `unsubscribed` included; ids and
numbers start anew on each connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum

TURN_NS = 1_000_000_000
"""A book that keeps contradicting itself is not asked for more often than this."""


class BookRecovery:
    """A book is proved from its snapshot until the next gap. Times are monotonic nanoseconds."""

    def __init__(self, limit_ns: int) -> None:
        """Allow `limit_ns` for a snapshot to come."""
        self._limit_ns = limit_ns
        self._proved: set[str] = set()
        self._due_ns: dict[str, int] = {}
        self._last_turn_ns: dict[str, int] = {}
        self._attempts = 0

    def __repr__(self) -> str:
        return f"<BookRecovery proved={len(self._proved)} missing={len(self._due_ns)} attempts={self._attempts}>"

    @property
    def missing(self) -> tuple[str, ...]:
        """Markets whose snapshot has not come yet."""
        return tuple(self._due_ns)

    @property
    def attempts(self) -> int:
        """How often the deadline has passed since all books were last proved."""
        return self._attempts

    @property
    def is_any_proved(self) -> bool:
        """Whether at least one book is proved."""
        return bool(self._proved)

    def is_proved(self, ticker: str) -> bool:
        """Whether changes of this book may be used."""
        return ticker in self._proved

    def take_turn(self, ticker: str, now_ns: int) -> bool:
        """Whether a proved book may be asked for anew: once in `TURN_NS`. A yes counts."""
        last_ns = self._last_turn_ns.get(ticker)
        if ticker not in self._proved or (last_ns is not None and now_ns - last_ns < TURN_NS):
            return False
        self._last_turn_ns[ticker] = now_ns
        return True

    def expect(self, tickers: Iterable[str], *, now_ns: int) -> None:
        """These books are unproved from now on; their snapshots are under way. Others keep their deadlines."""
        for ticker in tickers:
            self._proved.discard(ticker)
            self._due_ns[ticker] = now_ns + self._limit_ns

    def prove(self, ticker: str) -> None:
        """A snapshot came."""
        self._proved.add(ticker)
        self._due_ns.pop(ticker, None)
        if not self._due_ns:
            self._attempts = 0

    def forget(self, ticker: str) -> None:
        """The market has ended; no snapshot of it is awaited."""
        self._proved.discard(ticker)
        self._due_ns.pop(ticker, None)

    def is_overdue(self, now_ns: int) -> bool:
        """Whether a snapshot should have come by now. Counts an attempt and starts the next one when it is so."""
        if not self._due_ns or now_ns < min(self._due_ns.values()):
            return False
        self._attempts += 1
        self._due_ns = dict.fromkeys(self._due_ns, now_ns + self._limit_ns)
        return True


REPORT_INTERVAL_NS = 1_000_000_000
"""A proof is told of at most this often."""
QUIET_NS = 2_000_000_000
"""Without a proof for so long, one book is asked for: the answer is a frame like any other. One command of the 10,000
that the venue takes in a second (vendor docs)."""


class BookLiveness:
    """Times are monotonic nanoseconds. Call `begin` when the connection opens."""

    def __init__(self) -> None:
        self._reported_ns = 0
        self._proved_ns = 0
        self._asked_ns = 0
        self._turn = 0

    def __repr__(self) -> str:
        return f"<BookPulse proved_ns={self._proved_ns} asked_ns={self._asked_ns}>"

    def begin(self, now_ns: int) -> None:
        """Nothing is proved yet, and the first books are under way."""
        self._proved_ns = self._asked_ns = now_ns

    def on_frame(self, now_ns: int) -> bool:
        """A frame of the books came, in order. Whether to tell of it."""
        self._proved_ns = now_ns
        if now_ns - self._reported_ns < REPORT_INTERVAL_NS:
            return False
        self._reported_ns = now_ns
        return True

    def is_quiet(self, now_ns: int) -> bool:
        """Whether it is time to ask (again)."""
        return now_ns - max(self._proved_ns, self._asked_ns) >= QUIET_NS

    def choose(self, tickers: Sequence[str], now_ns: int) -> str:
        """The market to ask for, of at least one: the same as long as it answers, then the next. The venue may have no
        book for a closed one."""
        if self._proved_ns < self._asked_ns:
            self._turn += 1
        self._asked_ns = now_ns
        return tickers[self._turn % len(tickers)]


class Step(Enum):
    """What a frame's number says."""

    NEXT = "next"
    REPEATED = "repeated"
    """The same number as the frame before: a copy, to be dropped."""
    GAP = "gap"
    """Frames are missing, or the count went back: nothing of this subscription is proved any more."""


class SequenceTracker:
    """Last number seen per subscription of one connection."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<SequenceTracker last={self._last}>"

    def observe(self, sid: int, seq: int) -> Step:
        """Judge the number of one frame and remember it. After a gap the count goes on from the frame seen."""
        last = self._last.get(sid, 0)
        if seq == last + 1:
            self._last[sid] = seq
            return Step.NEXT
        if seq == last:
            return Step.REPEATED
        self._last[sid] = seq
        return Step.GAP

    def forget(self, sid: int) -> None:
        """The subscription has ended."""
        self._last.pop(sid, None)
