"""Whether the books of one connection can be used: numbers in order, snapshots after a gap, quiet books. Pure.

All books come by one subscription, whose frames are numbered. The next frame in order proves that no change of any book
before it is missing, and only such a frame proves it: pings of the socket, responses to other commands and other
channels go on when the books have come to a standstill.

Vendor docs: every frame of a sequenced subscription has the next number, `ok` and `unsubscribed` included; numbers
start at 1 per subscription, and ids and numbers start again on each connection. Times are monotonic nanoseconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from enum import Enum

from connectors.client.turns import Turns

REPORT_INTERVAL_NS = 1_000_000_000
"""A proof is reported at most this often."""

QUIET_NS = 2_000_000_000
"""Without a proof for so long, one book is asked for: the response is a frame like any other. One command of the 10,000
that the venue takes in a second (vendor docs)."""


class BookRecovery:
    """Which books are proved: each from its snapshot until it is lost; and when the others are asked for.

    A lost book is asked for at once, then at the pace of `Turns` until it comes: neither a market that can't be read
    nor a stream that goes wrong again and again costs more than that.
    """

    def __init__(self, limit_ns: int) -> None:
        """Allow `limit_ns` nanoseconds from asking until the snapshot."""
        self._limit_ns = limit_ns
        self.proved: set[str] = set()
        """Markets whose books may be used. Written here only."""
        self._due_ns: dict[str, int] = {}
        self._turns = Turns()
        self._attempts = 0

    def __repr__(self) -> str:
        return f"<BookRecovery proved={len(self.proved)} missing={len(self._due_ns)} {self._turns!r}>"

    @property
    def missing(self) -> tuple[str, ...]:
        """The tickers whose snapshot is awaited, in the order in which they were first asked for."""
        return tuple(self._due_ns)

    @property
    def attempts(self) -> int:
        """How often the deadline has passed since no snapshot was awaited."""
        return self._attempts

    @property
    def is_delivering(self) -> bool:
        """Whether books come by this connection: at least one is proved, or one came that could not be read."""
        return bool(self.proved) or bool(self._turns)

    def is_in_use(self, ticker: str) -> bool:
        """Whether the book is proved or its snapshot is awaited, so that losing it is news."""
        return ticker in self.proved or ticker in self._due_ns

    def may_lose(self, ticker: str, now_ns: int) -> bool:
        """Whether a proved book could be asked for right now."""
        return ticker in self.proved and self._turns.is_free(ticker, now_ns)

    def lose(self, tickers: Iterable[str], now_ns: int) -> tuple[str, ...]:
        """Mark these books as unproved. Returns those to ask for now; the others follow in `take_turns`."""
        for ticker in tickers:
            self._turns.want(ticker, now_ns, was_well=ticker in self.proved)
            self.proved.discard(ticker)
            self._due_ns.pop(ticker, None)
        return self.take_turns(now_ns)

    def take_turns(self, now_ns: int) -> tuple[str, ...]:
        """The lost books whose turn has come: the caller asks for them, and their snapshots are awaited."""
        taken = self._turns.take(now_ns)
        self.expect(taken, now_ns=now_ns)
        return taken

    def expect(self, tickers: Iterable[str], *, now_ns: int) -> None:
        """Mark these books as unproved and asked for: their snapshots are due from now. Others keep their deadlines."""
        for ticker in tickers:
            self.proved.discard(ticker)
            self._turns.cease(ticker)
            self._due_ns[ticker] = now_ns + self._limit_ns

    def prove(self, ticker: str) -> None:
        """Mark a book as proved, because its snapshot came."""
        self.proved.add(ticker)
        self._turns.cease(ticker)
        self._due_ns.pop(ticker, None)
        if not self._due_ns:
            self._attempts = 0

    def forget(self, ticker: str) -> None:
        """Drop a market that has ended: no snapshot of it is awaited any more."""
        self.proved.discard(ticker)
        self._turns.forget(ticker)
        self._due_ns.pop(ticker, None)

    def retain(self, tickers: Collection[str]) -> None:
        """Drop every market but these."""
        for ticker in {*self.proved, *self._due_ns, *self._turns.names}.difference(tickers):
            self.forget(ticker)

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
