"""Whether the books of one connection can be used: numbers in order, snapshots after a gap, quiet books. Pure.

All books come by one subscription, whose frames are numbered. The next frame in order proves that no change of any book
before it is missing, and only such a frame proves it: pings of the socket, responses to other commands and other
channels go on when the books have come to a standstill.

Vendor docs: every frame of a sequenced subscription has the next number, `ok` and `unsubscribed` included; numbers
start at 1 per subscription, and ids and numbers start again on each connection. Times are monotonic nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum

TURN_NS = 1_000_000_000
"""A book whose changes contradict each other again and again is not asked for more often than this."""

REPORT_INTERVAL_NS = 1_000_000_000
"""A proof is reported at most this often."""

QUIET_NS = 2_000_000_000
"""Without a proof for so long, one book is asked for: the response is a frame like any other. One command of the 10,000
that the venue takes in a second (vendor docs)."""


class BookRecovery:
    """Which books are proved: each from its snapshot until the next gap; and until when the others must be."""

    def __init__(self, limit_ns: int) -> None:
        """Allow `limit_ns` nanoseconds from `expect` until the snapshot."""
        self._limit_ns = limit_ns
        self.proved: set[str] = set()
        """Markets whose books may be used. Written here only."""
        self._due_ns: dict[str, int] = {}
        self._last_turn_ns: dict[str, int] = {}
        self._attempts = 0

    def __repr__(self) -> str:
        return f"<BookRecovery proved={len(self.proved)} missing={len(self._due_ns)} attempts={self._attempts}>"

    @property
    def missing(self) -> tuple[str, ...]:
        """The tickers whose snapshot is awaited, in the order in which they were first asked for."""
        return tuple(self._due_ns)

    @property
    def attempts(self) -> int:
        """How often the deadline has passed since no snapshot was awaited."""
        return self._attempts

    @property
    def is_any_proved(self) -> bool:
        """Whether at least one book is proved, so that the connection delivers snapshots."""
        return bool(self.proved)

    def take_turn(self, ticker: str, now_ns: int) -> bool:
        """Whether a proved book may be asked for again: once in `TURN_NS`. True counts as a turn."""
        last_ns = self._last_turn_ns.get(ticker)
        if ticker not in self.proved or (last_ns is not None and now_ns - last_ns < TURN_NS):
            return False
        self._last_turn_ns[ticker] = now_ns
        return True

    def expect(self, tickers: Iterable[str], *, now_ns: int) -> None:
        """Mark these books as unproved, with their snapshots due from now. Others keep their deadlines."""
        for ticker in tickers:
            self.proved.discard(ticker)
            self._due_ns[ticker] = now_ns + self._limit_ns

    def prove(self, ticker: str) -> None:
        """Mark a book as proved, because its snapshot came."""
        self.proved.add(ticker)
        self._due_ns.pop(ticker, None)
        if not self._due_ns:
            self._attempts = 0

    def forget(self, ticker: str) -> None:
        """Drop a market that has ended: no snapshot of it is awaited any more."""
        self.proved.discard(ticker)
        self._due_ns.pop(ticker, None)

    def is_overdue(self, now_ns: int) -> bool:
        """Whether a snapshot should have come by now. True counts an attempt and sets the deadlines anew."""
        if not self._due_ns or now_ns < min(self._due_ns.values()):
            return False
        self._attempts += 1
        self._due_ns = dict.fromkeys(self._due_ns, now_ns + self._limit_ns)
        return True


class BookLiveness:
    """When to report that the books are alive, and when to ask about quiet ones.

    Call `begin` when the connection opens, `on_frame` for each frame of a book in order, and `choose` when `is_quiet`.
    """

    def __init__(self) -> None:
        self._reported_ns = 0
        self._proved_ns = 0
        self._asked_ns = 0
        self._turn = 0

    def __repr__(self) -> str:
        return f"<BookLiveness proved_ns={self._proved_ns} asked_ns={self._asked_ns}>"

    def begin(self, now_ns: int) -> None:
        """Start a connection: nothing is proved yet, and the first books were just asked for."""
        self._proved_ns = self._asked_ns = now_ns

    def on_frame(self, now_ns: int) -> bool:
        """Note a frame of a book that came in order. Returns whether to report it."""
        self._proved_ns = now_ns
        if now_ns - self._reported_ns < REPORT_INTERVAL_NS:
            return False
        self._reported_ns = now_ns
        return True

    def is_quiet(self, now_ns: int) -> bool:
        """Whether `QUIET_NS` have passed since the last proof and the last question."""
        return now_ns - max(self._proved_ns, self._asked_ns) >= QUIET_NS

    def choose(self, tickers: Sequence[str], now_ns: int) -> str:
        """The market to ask for, of at least one: the same as long as its book comes, else the next.

        The venue may have no book for a closed market, and one such market must not make all others look dead.
        """
        if self._proved_ns < self._asked_ns:
            self._turn += 1
        self._asked_ns = now_ns
        return tickers[self._turn % len(tickers)]


class Step(Enum):
    """What the number of a frame means for its subscription."""

    NEXT = "next"
    REPEATED = "repeated"
    """The same number as the frame before: a copy, to be dropped."""
    GAP = "gap"
    """Frames are missing, or the count went backwards: nothing of this subscription is proved any more."""


class SequenceTracker:
    """The last number seen of each subscription of one connection."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<SequenceTracker last={self._last}>"

    def observe(self, sid: int, seq: int) -> Step:
        """Compare a frame's number with the last one and keep it. After a gap the count goes on from this frame."""
        last = self._last.get(sid, 0)
        if seq == last + 1:
            self._last[sid] = seq
            return Step.NEXT
        if seq == last:
            return Step.REPEATED
        self._last[sid] = seq
        return Step.GAP

    def forget(self, sid: int) -> None:
        """Drop the count of a subscription that has ended."""
        self._last.pop(sid, None)
