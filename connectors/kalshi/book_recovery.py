"""Which books are proved on one connection, and until when the others must be. Pure."""

from __future__ import annotations

from collections.abc import Iterable


class BookRecovery:
    """A book is proved from its snapshot until the next gap. Times are monotonic nanoseconds."""

    def __init__(self, limit_ns: int) -> None:
        """Allow `limit_ns` for a snapshot to come."""
        self._limit_ns = limit_ns
        self._proved: set[str] = set()
        self._missing: dict[str, None] = {}
        self._deadline_ns = 0
        self._attempts = 0

    def __repr__(self) -> str:
        return f"<BookRecovery proved={len(self._proved)} missing={len(self._missing)} attempts={self._attempts}>"

    @property
    def missing(self) -> tuple[str, ...]:
        """Markets whose snapshot has not come yet."""
        return tuple(self._missing)

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

    def expect(self, tickers: Iterable[str], *, now_ns: int) -> None:
        """These books are unproved from now on; their snapshots are under way."""
        for ticker in tickers:
            self._proved.discard(ticker)
            self._missing[ticker] = None
        self._deadline_ns = now_ns + self._limit_ns

    def prove(self, ticker: str) -> None:
        """A snapshot came."""
        self._proved.add(ticker)
        self._missing.pop(ticker, None)
        if not self._missing:
            self._attempts = 0

    def forget(self, ticker: str) -> None:
        """The market has ended; no snapshot of it is awaited."""
        self._proved.discard(ticker)
        self._missing.pop(ticker, None)

    def is_overdue(self, now_ns: int) -> bool:
        """Whether a snapshot should have come by now. Counts an attempt and starts the next one when it is so."""
        if not self._missing or now_ns < self._deadline_ns:
            return False
        self._attempts += 1
        self._deadline_ns = now_ns + self._limit_ns
        return True
