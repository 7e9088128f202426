"""Watches for books that went stale by themselves: crossed, or with a level below zero.

A connector notices gaps in its stream and gets a snapshot by itself. That changes do not add up only the book notices.
Nothing but a snapshot makes such a book fresh again, so the connector is asked for one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from framework.domain.instruments import InstrumentId
from framework.domain.ports import Clock
from framework.state.books import Books

PATIENCE_NS = 1_000_000_000
"""How long a book may be stale before its snapshot is asked for: one that is under way comes sooner."""

LOOK_MS = 250
"""How often the books are looked at. `PATIENCE_NS` counts from the first look that finds a book stale."""


class BookWatch:
    """One venue's books. `run` until cancelled; `resync` is the connector's, which limits how often it asks."""

    def __init__(self, venue: str, books: Books, resync: Callable[[InstrumentId], None], *, clock: Clock) -> None:
        self._venue = venue
        self._books = books
        self._resync = resync
        self._clock = clock
        self._since_ns: dict[InstrumentId, int] = {}

    def __repr__(self) -> str:
        return f"<BookWatch {self._venue} stale={list(self._since_ns)}>"

    async def run(self) -> None:
        """Look a few times a second until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_MS / 1000)

    def look(self) -> None:
        """Ask for the books that have been stale for longer than `PATIENCE_NS`, unless the venue is down: then all
        of them come with the next connection."""
        now_ns = self._clock.monotonic_ns()
        is_up = self._books.is_connected(self._venue)
        stale = [book.instrument for book in self._books.of_venue(self._venue) if is_up and not book.is_fresh]
        self._since_ns = {instrument: self._since_ns.get(instrument, now_ns) for instrument in stale}
        for instrument, since_ns in self._since_ns.items():
            if now_ns - since_ns >= PATIENCE_NS:
                self._resync(instrument)
