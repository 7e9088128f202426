"""Which books are proved on one connection, and until when the others must be. Pure."""

from __future__ import annotations

from collections.abc import Iterable

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
