"""All order books, and which venues are connected: a fold of market data, none of which is in the journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework.domain.instruments import InstrumentId
from framework.domain.market_events import (
    BookDelta,
    BookLevel,
    BookSnapshot,
    BookStale,
    ConnectorStatus,
    Heartbeat,
    MarketEvent,
    MarkPrice,
    VenueClock,
)
from framework.state.order_book import AGE_NEVER_NS, Book, FeedClock

__all__ = ["AGE_NEVER_NS", "Book", "Books", "venue_of"]


class Books:
    """Every book and every venue's feed clock. Written by `apply` only.

    Times are the kernel's monotonic nanoseconds.
    """

    def __init__(self) -> None:
        self._books: dict[InstrumentId, Book] = {}
        self._feed_clocks: dict[str, FeedClock] = {}
        self._marks: dict[InstrumentId, MarkPrice] = {}
        self.get: Callable[[InstrumentId], Book | None] = self._books.get
        """The book, or None when nothing was ever received or asked of it."""
        self._apply_to_book: dict[type, Callable[[Book, Any, int], bool]] = {
            BookDelta: Book.apply_delta,
            BookLevel: Book.apply_level,
            BookSnapshot: Book.apply_snapshot,
            BookStale: Book.apply_stale,
        }
        self._apply_to_feed: dict[type, Callable[[Any, int], None]] = {
            Heartbeat: self._apply_heartbeat,
            VenueClock: self._apply_clock,
            ConnectorStatus: self._apply_status,
            MarkPrice: self._apply_mark,
        }

    def apply(self, event: MarketEvent, monotonic_ns: int) -> Book | None:
        """Apply one event and return the book that it changed, None when it changed none.

        `ConnectorStatus` down makes all books of the venue stale and returns None: read them with `of_venue`.
        """
        apply_to_book = self._apply_to_book.get(type(event))
        if apply_to_book is not None:
            instrument: InstrumentId = event.instrument  # type: ignore[union-attr]  # those in the table have one
            book = self._books.get(instrument) or self.of(instrument)
            return book if apply_to_book(book, event, monotonic_ns) else None
        if apply_to_feed := self._apply_to_feed.get(type(event)):
            apply_to_feed(event, monotonic_ns)
        return None

    def of(self, instrument: InstrumentId) -> Book:
        """The book; an empty one that is not fresh when nothing was received yet."""
        book = self._books.get(instrument)
        if book is None:
            book = self._books[instrument] = Book(instrument, self._feed_clock(venue_of(instrument)))
        return book

    def forget(self, instrument: InstrumentId) -> None:
        """Drop the book of an instrument that has left."""
        self._books.pop(instrument, None)
        self._marks.pop(instrument, None)

    def of_venue(self, venue: str) -> tuple[Book, ...]:
        """All books of a venue, in the order in which they were first received or asked for."""
        return tuple(book for book in self._books.values() if venue_of(book.instrument) == venue)

    def down_reason(self, venue: str) -> str:
        """Why the venue's connector is down, as it said last; empty while it is up."""
        feed_clock = self._feed_clocks.get(venue)
        return "not connected yet" if feed_clock is None else feed_clock.down_reason

    def clock_offset_ns(self, venue: str) -> int | None:
        """The venue's clock minus ours in nanoseconds, as measured last; None until it was."""
        feed_clock = self._feed_clocks.get(venue)
        return feed_clock.offset_ns if feed_clock is not None and feed_clock.is_offset_known else None

    def is_connected(self, venue: str) -> bool:
        """Whether the venue's connector said that it is up and has not said otherwise since."""
        feed_clock = self._feed_clocks.get(venue)
        return feed_clock is not None and feed_clock.is_connected

    @property
    def venues(self) -> tuple[str, ...]:
        """Names of the venues of which anything was received or any book asked for."""
        return tuple(self._feed_clocks)

    def age_ns(self, venue: str, monotonic_ns: int) -> int:
        """Nanoseconds since anything was received of the venue, and how late that was; `AGE_NEVER_NS` for nothing."""
        feed_clock = self._feed_clocks.get(venue)
        ages = [book.age_ns(monotonic_ns) for book in self.of_venue(venue)]
        if feed_clock is not None and feed_clock.received_ns >= 0:
            ages.append(max(0, monotonic_ns - feed_clock.received_ns) + feed_clock.late_ns)
        return min(ages, default=AGE_NEVER_NS)

    def mark(self, instrument: InstrumentId) -> MarkPrice | None:
        """The newest mark price that the venue has published of an instrument, None before the first."""
        return self._marks.get(instrument)

    def _apply_mark(self, event: MarkPrice, monotonic_ns: int) -> None:
        self._marks[event.instrument] = event

    def _feed_clock(self, venue: str) -> FeedClock:
        feed_clock = self._feed_clocks.get(venue)
        if feed_clock is None:
            feed_clock = self._feed_clocks[venue] = FeedClock()
        return feed_clock

    def _apply_heartbeat(self, event: Heartbeat, monotonic_ns: int) -> None:
        if event.instrument:
            if (book := self._books.get(event.instrument)) is not None:
                book.apply_proof(event, monotonic_ns)
            return
        feed_clock = self._feed_clock(event.venue)
        feed_clock.received_ns = monotonic_ns
        if event.ts_venue:
            feed_clock.late_ns, feed_clock.is_late_known = feed_clock.lateness_ns(event.ts_venue, event.ts_recv), True

    def _apply_clock(self, event: VenueClock, monotonic_ns: int) -> None:
        feed_clock = self._feed_clock(event.venue)
        feed_clock.offset_ns, feed_clock.is_offset_known = event.offset_ns, True

    def _apply_status(self, event: ConnectorStatus, monotonic_ns: int) -> None:
        feed_clock = self._feed_clock(event.venue)
        feed_clock.is_connected, feed_clock.down_reason = event.is_up, "" if event.is_up else event.reason
        if not event.is_up:
            for book in self.of_venue(event.venue):
                book.mark_stale(f"{event.venue} is down: {event.reason}")


def venue_of(instrument: InstrumentId) -> str:
    """The connector's name in front of the symbol."""
    return instrument.partition(":")[0]
