"""Whether the books of one connection can be used: numbers in order, snapshots after a gap, quiet books. Pure.

Venues number their changes in one of four ways, and each has its tracker here:

* one count for all books of a subscription (`SequenceTracker`): the next number proves every book, a gap loses all;
* a count per book, each change naming the one before it (`PreviousTracker`): a gap loses that book;
* whole books with an id that only grows (`UpdateTracker`): nothing can be missing, only come late or twice;
* no numbers: nothing to track, a change counts as it comes.

`BookRecovery` keeps which books are proved, whatever the numbers are. Times are monotonic nanoseconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from enum import Enum

from connectors.client.turns import Turns

REPORT_INTERVAL_NS = 1_000_000_000
"""A proof is reported at most this often."""

QUIET_NS = 2_000_000_000
"""Without a proof for so long, one of the books that share a count is asked for: the response is a frame like any
other."""


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
        """The symbols whose snapshot is awaited, in the order in which they were first asked for."""
        return tuple(self._due_ns)

    @property
    def attempts(self) -> int:
        """How often the deadline has passed since no snapshot was awaited."""
        return self._attempts

    @property
    def is_delivering(self) -> bool:
        """Whether books come by this connection: at least one is proved, or one came that could not be read."""
        return bool(self.proved) or bool(self._turns)

    def is_in_use(self, symbol: str) -> bool:
        """Whether the book is proved or its snapshot is awaited, so that losing it is news."""
        return symbol in self.proved or symbol in self._due_ns

    def may_lose(self, symbol: str, now_ns: int) -> bool:
        """Whether a proved book could be asked for right now."""
        return symbol in self.proved and self._turns.is_free(symbol, now_ns)

    def lose(self, symbols: Iterable[str], now_ns: int) -> tuple[str, ...]:
        """Mark these books as unproved. Returns those to ask for now; the others follow in `take_turns`."""
        for symbol in symbols:
            self._turns.want(symbol, now_ns, was_well=symbol in self.proved)
            self.proved.discard(symbol)
            self._due_ns.pop(symbol, None)
        return self.take_turns(now_ns)

    def take_turns(self, now_ns: int) -> tuple[str, ...]:
        """The lost books whose turn has come: the caller asks for them, and their snapshots are awaited."""
        taken = self._turns.take(now_ns)
        self.expect(taken, now_ns=now_ns)
        return taken

    def expect(self, symbols: Iterable[str], *, now_ns: int) -> None:
        """Mark these books as unproved and asked for: their snapshots are due from now. Others keep their deadlines."""
        for symbol in symbols:
            self.proved.discard(symbol)
            self._turns.cease(symbol)
            self._due_ns[symbol] = now_ns + self._limit_ns

    def prove(self, symbol: str) -> None:
        """Mark a book as proved, because its snapshot came."""
        self.proved.add(symbol)
        self._turns.cease(symbol)
        self._due_ns.pop(symbol, None)
        if not self._due_ns:
            self._attempts = 0

    def forget(self, symbol: str) -> None:
        """Drop a market that has ended: no snapshot of it is awaited any more."""
        self.proved.discard(symbol)
        self._turns.forget(symbol)
        self._due_ns.pop(symbol, None)

    def retain(self, symbols: Collection[str]) -> None:
        """Drop every market but these."""
        for symbol in {*self.proved, *self._due_ns, *self._turns.names}.difference(symbols):
            self.forget(symbol)

    def is_overdue(self, now_ns: int) -> bool:
        """Whether a snapshot should have come by now. True counts an attempt and sets the deadlines anew."""
        if not self._due_ns or now_ns < min(self._due_ns.values()):
            return False
        self._attempts += 1
        self._due_ns = dict.fromkeys(self._due_ns, now_ns + self._limit_ns)
        return True


class BookLiveness:
    """When to report that the books of one count are alive, and when to ask about quiet ones.

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

    def choose(self, symbols: Sequence[str], now_ns: int) -> str:
        """The market to ask for, of at least one: the same as long as its book comes, else the next.

        The venue may have no book for a closed market, and one such market must not make all others look dead.
        """
        if self._proved_ns < self._asked_ns:
            self._turn += 1
        self._asked_ns = now_ns
        return symbols[self._turn % len(symbols)]


class Step(Enum):
    """What the number of a frame means for its subscription."""

    NEXT = "next"
    REPEATED = "repeated"
    """The same number as the frame before: a copy, to be dropped."""
    GAP = "gap"
    """Frames are missing, or the count went backwards: nothing of this subscription is proved any more."""


class SequenceTracker:
    """The last number seen of each subscription of one connection. Numbers start at 1 per subscription."""

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


OLDER_MAX = 20
"""So many older numbers of one book in a row mean that the venue has begun to count anew."""


class PreviousTracker:
    """The number of each book's last change, where a change names the one before it (`seq` and `prev_seq`)."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._older: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<PreviousTracker last={self._last}>"

    def begin(self, symbol: str, seq: int) -> None:
        """A snapshot came that has all changes up to `seq`."""
        self._last[symbol] = seq
        self._older.pop(symbol, None)

    def observe(self, symbol: str, seq: int, previous: int) -> Step:
        """Compare a change with the book's last one and keep its number. A change that the book has already is a copy,
        but for the last of `OLDER_MAX` in a row: the count has begun anew, which is a gap. After a gap, and before the
        first snapshot, every change is a gap until `begin`."""
        last = self._last.get(symbol)
        is_older = last is not None and seq <= last
        older = self._older[symbol] = self._older.get(symbol, 0) + 1 if is_older else 0
        if is_older and older < OLDER_MAX:
            return Step.REPEATED
        if is_older or previous != last:
            self._last.pop(symbol, None)
            return Step.GAP
        self._last[symbol] = seq
        return Step.NEXT


class UpdateTracker:
    """The last update id of each book, where every message is the whole book and ids only grow (`lastUpdateId`)."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._older: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<UpdateTracker last={self._last}>"

    def observe(self, symbol: str, update_id: int) -> Step:
        """Compare a whole book with the last one taken. NEXT and GAP are to be taken, REPEATED is not: it is the same
        book or an older one. GAP: the ids start anew."""
        last = self._last.get(symbol, -1)
        if update_id == last:
            return Step.REPEATED
        if update_id < last:
            older = self._older[symbol] = self._older.get(symbol, 0) + 1
            if older < OLDER_MAX:
                return Step.REPEATED
        self._last[symbol] = update_id
        self._older.pop(symbol, None)
        return Step.NEXT if update_id > last else Step.GAP


class QuietBooks:
    """Which books are alive and which have been quiet for too long, each by itself: where no other book's number
    proves them."""

    def __init__(self, quiet_ns: int) -> None:
        """A book without a proof for `quiet_ns` nanoseconds is asked for."""
        self._quiet_ns = quiet_ns
        self._proved_ns: dict[str, int] = {}
        self._reported_ns: dict[str, int] = {}
        self._asked: set[str] = set()

    def on_frame(self, symbol: str, now_ns: int) -> bool:
        """Note a frame of this book. Returns whether to report a frame that changes nothing: once a second."""
        self._proved_ns[symbol] = now_ns
        self._asked.discard(symbol)
        if now_ns - self._reported_ns.get(symbol, -REPORT_INTERVAL_NS) < REPORT_INTERVAL_NS:
            return False
        self._reported_ns[symbol] = now_ns
        return True

    def take(self, symbols: Iterable[str], now_ns: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Those of these books that are to be asked for, which count as asked for now, and those that were asked for
        the last time already: no frame of them came since."""
        quiet = tuple(one for one in symbols if now_ns - self._proved_ns.setdefault(one, now_ns) >= self._quiet_ns)
        self._proved_ns.update(dict.fromkeys(quiet, now_ns))
        silent = tuple(one for one in quiet if one in self._asked)
        self._asked.difference_update(silent)
        asked = tuple(one for one in quiet if one not in silent)
        self._asked.update(asked)
        return asked, silent
