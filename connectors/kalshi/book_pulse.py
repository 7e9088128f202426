"""How recent the books of one connection are, and when a quiet one must be asked about. Pure.

All books come by one subscription, whose frames are numbered: the next frame in order proves that no change of any book
before it is missing. Only such a frame proves it. Pings of the socket, answers to other commands and other channels go
on when the books have come to a standstill.
"""

from __future__ import annotations

from collections.abc import Sequence

TOLD_NS = 1_000_000_000
"""A proof is told of at most this often."""
QUIET_NS = 2_000_000_000
"""Without a proof for so long, one book is asked for: the answer is a frame like any other. One command of the 10,000
that the venue takes in a second (vendor docs)."""


class BookPulse:
    """Times are monotonic nanoseconds. Call `begin` when the connection opens."""

    def __init__(self) -> None:
        self._told_ns = 0
        self._proved_ns = 0
        self._asked_ns = 0
        self._turn = 0

    def __repr__(self) -> str:
        return f"<BookPulse proved_ns={self._proved_ns} asked_ns={self._asked_ns}>"

    def begin(self, now_ns: int) -> None:
        """Nothing is proved yet, and the first books are under way."""
        self._proved_ns = self._asked_ns = now_ns

    def hear(self, now_ns: int) -> bool:
        """A frame of the books came, in order. Whether to tell of it."""
        self._proved_ns = now_ns
        if now_ns - self._told_ns < TOLD_NS:
            return False
        self._told_ns = now_ns
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
