"""One order book: it is complete and fresh, or it says why it is not.

A book is fresh from a snapshot until something is missed, impossible (a size below zero, crossed sides) or reported
stale. Changes to a book that is not fresh are dropped: only a snapshot makes it fresh again. Times are the kernel's
monotonic nanoseconds; how late a message came by the venue's own clock is added to its age.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nlargest, nsmallest

from framework.domain.instruments import InstrumentId
from framework.domain.market_events import BookDelta, BookLevel, BookSnapshot, BookStale, Heartbeat
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side

AGE_NEVER_NS = 2**63 - 1
"""The age of what was never received."""

NO_SNAPSHOT = "no snapshot yet"
"""Why a book is stale of which nothing was received."""

_NO_SIZE = Size(0)


class FeedClock:
    """When a venue last sent a sign of life, how late its messages are, how far its clock is off. Nanoseconds;
    `received_ns` is monotonic, -1 before the first; `down_reason` is empty while it is connected. Venue time = our wall
    time + `offset_ns`."""

    __slots__ = (
        "down_reason",
        "is_connected",
        "is_late_known",
        "is_offset_known",
        "late_ns",
        "offset_ns",
        "received_ns",
    )

    def __init__(self) -> None:
        self.received_ns = -1
        self.late_ns = 0
        self.is_late_known = False
        self.offset_ns = 0
        self.is_offset_known = False
        self.is_connected = False
        self.down_reason = "not connected yet"

    def lateness_ns(self, ts_venue: int, ts_recv: int) -> int:
        """How late a message came by the venue's clock: never negative, 0 when the venue gave no time."""
        return max(0, ts_recv + self.offset_ns - ts_venue) if ts_venue else 0


class Book:
    """One instrument's book: price to total size per side, with cached best prices. Implements `BookView`.

    Written by `Books` only. The best prices `bid` and `ask` (None: nobody) are kept, and searched again only after
    they were removed.
    """

    __slots__ = (
        "_asks",
        "_bids",
        "_feed_clock",
        "_late_ns",
        "_received_ns",
        "ask",
        "bid",
        "instrument",
        "is_fresh",
        "stale_reason",
        "ts_venue",
    )

    def __init__(self, instrument: InstrumentId, feed_clock: FeedClock | None = None) -> None:
        self.instrument = instrument
        self.is_fresh = False
        self.stale_reason = NO_SNAPSHOT
        self.ts_venue = 0
        self._bids: dict[Price, Size] = {}
        self._asks: dict[Price, Size] = {}
        self.bid: Price | None = None
        self.ask: Price | None = None
        self._received_ns = -1
        self._late_ns = 0
        self._feed_clock = FeedClock() if feed_clock is None else feed_clock

    @property
    def bid_size(self) -> Size:
        """Size at the best bid (0 = none)."""
        return _NO_SIZE if self.bid is None else self._bids[self.bid]

    @property
    def ask_size(self) -> Size:
        """Size at the best ask (0 = none)."""
        return _NO_SIZE if self.ask is None else self._asks[self.ask]

    @property
    def is_two_sided(self) -> bool:
        """Both sides are there and not crossed."""
        return self.bid is not None and self.ask is not None and self.bid < self.ask

    @property
    def mid_twice(self) -> int | None:
        """Bid plus ask: the mid, doubled so that it stays an integer of the price scale; None unless two-sided."""
        bid, ask = self.bid, self.ask
        return None if bid is None or ask is None or bid >= ask else bid + ask

    @property
    def microprice(self) -> Price | None:
        """Each best price weighted by the other side's size, as a scaled price, rounded half up; None unless
        two-sided."""
        bid, ask = self.bid, self.ask
        if bid is None or ask is None or bid >= ask:
            return None
        bid_size, ask_size = self._bids[bid], self._asks[ask]
        total = bid_size + ask_size
        return Price((2 * (bid * ask_size + ask * bid_size) + total) // (2 * total))

    def age_ns(self, monotonic_ns: int) -> int:
        """Time since the newest proof (own message or the venue's heartbeat) plus how late that proof was.

        `AGE_NEVER_NS` when nothing of this book was ever received.
        """
        received, late, feed_clock = self._received_ns, self._late_ns, self._feed_clock
        if received < 0:
            return AGE_NEVER_NS
        if feed_clock.received_ns > received:
            received = feed_clock.received_ns
            late = feed_clock.late_ns if feed_clock.is_late_known else late
        return max(0, monotonic_ns - received) + late

    def proof_age_ns(self, monotonic_ns: int) -> int | None:
        """Time since this book's own last message plus how late that was; None when there was none. A venue's
        heartbeat does not count: it goes on when one book has stopped."""
        received = self._received_ns
        return None if received < 0 else max(0, monotonic_ns - received) + self._late_ns

    def depth(self, side: Side, levels: int) -> Sequence[tuple[Price, Size]]:
        """The best `levels` levels of a side, best first."""
        if side is Side.BUY:
            return [(price, self._bids[price]) for price in nlargest(levels, self._bids)]
        return [(price, self._asks[price]) for price in nsmallest(levels, self._asks)]

    def apply_snapshot(self, event: BookSnapshot, monotonic_ns: int) -> bool:
        """Replace everything and become fresh, unless the snapshot itself is impossible. Always a change."""
        self._mark_received(event.ts_venue, event.ts_recv, monotonic_ns)
        self._bids = {price: size for price, size in event.bids if size}
        self._asks = {price: size for price, size in event.asks if size}
        self.bid = max(self._bids, default=None)
        self.ask = min(self._asks, default=None)
        self.is_fresh, self.stale_reason = True, ""
        wrong = [price for side in (self._bids, self._asks) for price, size in side.items() if size < 0 or price <= 0]
        if wrong:
            self.mark_stale(f"snapshot with an impossible level at price {wrong[0]}")
        elif self.bid is not None and self.ask is not None and self.bid >= self.ask:
            self.mark_stale(f"snapshot is crossed: bid {self.bid}, ask {self.ask}")
        return True

    def apply_proof(self, event: Heartbeat, monotonic_ns: int) -> None:
        """Take that the venue has the same book still: what is known of it is as young as this, and no fresher."""
        if self._received_ns >= 0:
            self._mark_received(event.ts_venue, event.ts_recv, monotonic_ns)

    def apply_delta(self, event: BookDelta, monotonic_ns: int) -> bool:
        """Change one level's total. False when nothing changed because the book is not fresh."""
        if not self.is_fresh:
            return self._drop(event)
        side = self._bids if event.side is Side.BUY else self._asks
        size = side.get(event.price, 0) + event.change
        return self._set(event, Size(size), monotonic_ns)

    def apply_level(self, event: BookLevel, monotonic_ns: int) -> bool:
        """Set one level's total. False when nothing changed because the book is not fresh."""
        if not self.is_fresh:
            return self._drop(event)
        return self._set(event, event.size, monotonic_ns)

    def apply_stale(self, event: BookStale, monotonic_ns: int) -> bool:
        """Make the book stale, because its connector says so. False when it already was."""
        return self.mark_stale(event.reason)

    def mark_stale(self, reason: str) -> bool:
        """Make the book stale until the next snapshot. False when it already was: the first reason stays.
        For one of which nothing was received yet the reason says why."""
        if not self.is_fresh:
            if self.stale_reason == NO_SNAPSHOT:
                self.stale_reason = reason
            return False
        self.is_fresh, self.stale_reason = False, reason
        return True

    def __repr__(self) -> str:
        state = "fresh" if self.is_fresh else f"stale: {self.stale_reason}"
        return f"Book({self.instrument}: {self.bid_size}@{self.bid} / {self.ask_size}@{self.ask}, {state})"

    def _set(self, event: BookDelta | BookLevel, size: Size, monotonic_ns: int) -> bool:
        price = event.price
        if size < 0 or price <= 0:
            return self.mark_stale(f"{event.side.value} level {price} would hold {size}")
        self._received_ns, self.ts_venue = monotonic_ns, event.ts_venue
        late = event.ts_recv + self._feed_clock.offset_ns - event.ts_venue
        self._late_ns = late if late > 0 and event.ts_venue else 0
        if event.side is Side.BUY:
            self._set_bid(price, size)
        else:
            self._set_ask(price, size)
        return True

    def _set_bid(self, price: Price, size: Size) -> None:
        bids, best = self._bids, self.bid
        if size:
            bids[price] = size
            if best is None or price > best:
                self.bid = price
                self._refuse_crossing()
        else:
            bids.pop(price, None)
            if price == best:
                self.bid = max(bids, default=None)

    def _set_ask(self, price: Price, size: Size) -> None:
        asks, best = self._asks, self.ask
        if size:
            asks[price] = size
            if best is None or price < best:
                self.ask = price
                self._refuse_crossing()
        else:
            asks.pop(price, None)
            if price == best:
                self.ask = min(asks, default=None)

    def _refuse_crossing(self) -> None:
        # The only place where a change can cross the book: a new best price.
        if self.bid is not None and self.ask is not None and self.bid >= self.ask:
            self.mark_stale(f"crossed: bid {self.bid}, ask {self.ask}")

    def _mark_received(self, ts_venue: int, ts_recv: int, monotonic_ns: int) -> None:
        self._received_ns = monotonic_ns
        self._late_ns = self._feed_clock.lateness_ns(ts_venue, ts_recv)
        self.ts_venue = ts_venue

    def _drop(self, event: BookDelta | BookLevel) -> bool:
        if self._received_ns < 0:
            self.stale_reason = f"a change of level {event.price} came before any snapshot"
        return False
