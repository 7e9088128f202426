"""One WebSocket connection from its first command to its end. Pure: bytes and times in, events and commands out.

Call order: `open` once; then `receive` for every message and `tick` a few times a second, until one of them raises
`StreamBroken`. A session is never used for a second connection.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import msgspec
import structlog

from connectors.client.turns import Turns
from connectors.client.venue_time import VenueTime
from connectors.client.wire.decimals import NS_PER_MS
from connectors.kalshi.markets.registry import MarketRegistry
from connectors.kalshi.stream.book_sync import BookLiveness, BookRecovery, SequenceTracker, Step
from connectors.kalshi.stream.frame_events import FrameEvents
from connectors.kalshi.stream.subscriptions import (
    ACCOUNT_CHANNELS,
    BOOK,
    GROUPS,
    LIFECYCLE,
    POSITIONS,
    TICKER,
    Subscriptions,
)
from connectors.kalshi.wire import decode_stream as decode
from connectors.kalshi.wire import stream_messages as s
from framework.domain.account_events import Fill, OrderSnapshot, PositionReport
from framework.domain.events import Event
from framework.domain.market_events import BookStale, ConnectorStatus, Heartbeat
from framework.domain.venue import Publish

_log = structlog.get_logger("kalshi")

# Vendor docs: these end the subscription and leave the socket open.
_TERMINAL_CODES = frozenset({10, 25})
_ACCOUNT_FRAMES = frozenset({"fill", "user_order", "market_position"})
_DELTA = "orderbook_delta"
_BOOK_FRAMES = frozenset({"orderbook_snapshot", _DELTA})
_BOOK_FRAME_TYPES = frozenset({s.SnapshotFrame, s.DeltaFrame})
_OPTIONAL_CHANNELS = frozenset({TICKER, GROUPS, POSITIONS})
# Also while books flow: the response carries the venue's time, and shows that it still reads commands.
_PROBE_NS = 10_000_000_000


class StreamBroken(Exception):
    """The connection is of no use any more; connect again. The text is the reason that `ConnectorStatus` carries."""


class SessionCallbacks(msgspec.Struct, frozen=True):
    """Where a session's results go. `fetch` asks for a market to be read again, `refresh` for all known ones."""

    publish: Publish
    send: Callable[[bytes], None]
    fetch: Callable[[str], None]
    refresh: Callable[[], None]


class SessionTerms(msgspec.Struct, frozen=True):
    """What to subscribe, and the longest waits in nanoseconds: for a command's response and for a book.

    `subaccount`: only its fills, orders and positions are ours; None takes all of the account's.
    """

    channels: tuple[str, ...]
    ack_ns_max: int
    snapshot_ns_max: int
    subaccount: int | None = None


class StreamSession:
    """Follows one connection: subscriptions, sequence numbers, gaps, and what every frame means."""

    def __init__(
        self,
        venue: str,
        registry: MarketRegistry,
        callbacks: SessionCallbacks,
        *,
        terms: SessionTerms,
        counts: decode.DecodeCounts,
        time: VenueTime,
    ) -> None:
        self._venue = venue
        self._registry = registry
        self._publish = callbacks.publish
        self._callbacks = callbacks
        self._terms = terms
        self._counts = counts
        self._time = time
        self._decoder = decode.FrameDecoder(counts)
        self._sequence = SequenceTracker()
        self._subscriptions = Subscriptions(terms.channels, callbacks.send)
        self._books = BookRecovery(terms.snapshot_ns_max)
        events = FrameEvents(venue, registry, self._books, counts=counts, subaccount=terms.subaccount)
        self._event_of = events.decoders
        self._is_reported_up = False
        self._liveness = BookLiveness()
        self._account_turns = Turns()
        self._account_reason = ""
        self._probed_ns = 0
        self._now_ns = 0
        self._ts_recv = 0
        self._control: dict[type, Callable[[Any], None]] = {
            s.LifecycleFrame: self._on_lifecycle,
            s.SubscribedFrame: self._on_subscribed,
            s.UnsubscribedFrame: self._on_unsubscribed,
            s.OkFrame: self._on_ok,
            s.ErrorFrame: self._on_error,
            s.OtherFrame: self._on_other,
        }

    def __repr__(self) -> str:
        return f"<StreamSession {self._venue} up={self._is_reported_up} {self._subscriptions!r} {self._books!r}>"

    @property
    def is_up(self) -> bool:
        """Whether the venue was last reported as up."""
        return self._is_reported_up

    def open(self, *, ts_recv: int, now_ns: int) -> None:
        """Subscribe. `ts_recv` is wall time and `now_ns` monotonic, both nanoseconds, here and below."""
        self._ts_recv, self._now_ns = ts_recv, now_ns
        self._probed_ns = now_ns
        self._liveness.begin(now_ns)
        self._sync()

    def receive(self, data: bytes, ts_recv: int, now_ns: int) -> None:
        """Take one message. One that can't be read makes no more unusable than what it was about. Raises `StreamBroken`
        for a refused channel and for the end of one that is not named."""
        self._ts_recv, self._now_ns = ts_recv, now_ns
        try:
            frame = self._decoder.decode(data)
        except decode.NotAFrame as e:
            # What it was is not known. A missing number shows as a gap; own fills and orders have none.
            self._compare_account(f"the venue sent what is no frame: {e}")
            return
        if (event_of := self._event_of.get(type(frame))) is None:
            self._control[type(frame)](frame)
        elif not frame.seq or self._is_in_order(frame.sid, frame.seq):  # type: ignore[union-attr]  # all data frames have
            self._take(frame, event_of)
            if type(frame) in _BOOK_FRAME_TYPES and self._liveness.on_frame(now_ns):
                self._publish(Heartbeat(self._venue, frame.sending_ts_ms * NS_PER_MS, ts_recv))

    def tick(self, *, ts_recv: int, now_ns: int) -> None:
        """Do what is due: ask for late books, probe the venue, subscribe what is missing.

        Raises `StreamBroken` when a command has no response in time or no book comes.
        """
        self._ts_recv, self._now_ns = ts_recv, now_ns
        oldest_ns = self._subscriptions.oldest_pending_ns()
        if oldest_ns is not None and now_ns - oldest_ns >= self._terms.ack_ns_max:
            raise StreamBroken("the venue did not answer a command in time")
        if self._books.is_overdue(now_ns):
            self._press_for_books()
        self._catch_up()
        self._probe()
        self._sync()

    def follow_new(self) -> None:
        """The registry follows more markets than before: stream them too."""
        self._sync()

    def resync(self, ticker: str, *, ts_recv: int, now_ns: int) -> None:
        """Mark a book that contradicts itself as stale and ask for the whole of it, at most once a second, and less
        often when it does so again and again.

        Nothing happens while a snapshot of it is under way or due anyway, or when it is not streamed.
        """
        self._ts_recv, self._now_ns = ts_recv, now_ns
        if ticker in self._registry.followed and self._subscriptions.is_live((BOOK,)):
            if self._books.may_lose(ticker, now_ns):
                self._lose((ticker,), "its changes did not add up")

    def close(self, reason: str, *, ts_recv: int) -> None:
        """End the session with the connection: every book becomes stale, and the venue is reported as down."""
        self._ts_recv = ts_recv
        self._mark_stale(reason)
        self._is_reported_up = False
        self._publish(ConnectorStatus(self._venue, False, reason, ts_recv))

    def _catch_up(self) -> None:
        """Ask for what could not be read before, as far as its turn has come."""
        self._subscriptions.get_snapshot(self._books.take_turns(self._now_ns))
        self._request_comparison()

    def _probe(self) -> None:
        """Ask for a quiet book, whose snapshot proves all of them, and for the list of subscriptions: that response
        must come, or `tick` ends the connection."""
        is_quiet = self._liveness.is_quiet(self._now_ns)
        proved = [ticker for ticker in self._registry.followed if ticker in self._books.proved] if is_quiet else []
        if proved:
            self._subscriptions.get_snapshot((self._liveness.choose(proved, self._now_ns),))
        is_due = bool(proved) or self._now_ns - self._probed_ns >= _PROBE_NS
        if is_due and self._subscriptions.oldest_pending_ns() is None:
            self._probed_ns = self._now_ns
            self._subscriptions.probe(now_ns=self._now_ns)

    def _take(self, frame: s.Frame, event_of: Callable[[Any, int], Event | None]) -> None:
        try:
            event = event_of(frame, self._ts_recv)
        except ValueError as e:
            self._on_unreadable_values(frame, e)
            return
        if event is not None:
            # The kernel's step begins with the receipt: nothing but decoding lies between.
            self._publish(event, self._ts_recv, self._now_ns)
        if isinstance(event, (Fill, OrderSnapshot, PositionReport)) and self._registry.find(event.instrument) is None:
            # Something of ours happened in a market that is not known: have it read.
            self._callbacks.fetch(event.instrument.partition(":")[2])

    def _on_unreadable_values(self, frame: s.Frame, error: ValueError) -> None:
        self._counts.unreadable += 1
        kind = str(frame.__struct_config__.tag)
        market = getattr(getattr(frame, "msg", None), "market_ticker", "")
        self._unreadable(kind, market, f"{kind} can't be read: {error}")

    def _on_lifecycle(self, frame: s.LifecycleFrame) -> None:
        if not self._is_in_order(frame.sid, frame.seq):
            return
        ts_venue = frame.sending_ts_ms * NS_PER_MS
        outcome = self._registry.apply(frame.msg, ts_venue=ts_venue, ts_recv=self._ts_recv, now_ns=self._now_ns)
        if outcome is None:
            self._counts.count(self._counts.unknown_values, f"market_lifecycle_v2.event_type={frame.msg.event_type}")
            return
        for event in outcome.events:
            self._publish(event)
        if outcome.is_fetch_needed:
            self._callbacks.fetch(frame.msg.market_ticker)
        if frame.msg.market_ticker not in self._registry.followed:
            self._books.forget(frame.msg.market_ticker)

    def _on_other(self, frame: s.OtherFrame) -> None:
        if frame.seq and not self._is_in_order(frame.sid, frame.seq):
            return
        if frame.type in s.FRAME_TYPES:
            self._unreadable(frame.type, frame.market, f"{frame.type} can't be read: {frame.flaw}")
        elif frame.market in self._registry.followed and self._subscriptions.channels.get(frame.sid) == BOOK:
            # It has a number among the changes of books: nothing proves that it is none.
            self._lose((frame.market,), f"a frame of the unknown type {frame.type!r} is about this book")

    def _on_subscribed(self, frame: s.SubscribedFrame) -> None:
        channel = frame.msg.channel
        pending = self._subscriptions.acknowledge(frame.id, channel, frame.msg.sid)
        if pending is None:
            self._counts.strays += 1
            return
        self._time.sample_ms(frame.sending_ts_ms, sent_ns=pending.sent_ns, received_ns=self._now_ns)
        if channel == LIFECYCLE:
            # Whatever changed before this acknowledgement was not announced to us.
            self._callbacks.refresh()
        self._sync()
        self._publish_status("subscribed")

    def _on_unsubscribed(self, frame: s.UnsubscribedFrame) -> None:
        self._sequence.forget(frame.sid)

    def _on_ok(self, frame: s.OkFrame) -> None:
        if frame.seq:
            self._is_in_order(frame.sid, frame.seq)
        pending = self._subscriptions.complete(frame.id)
        if pending is not None:
            self._time.sample_ms(frame.sending_ts_ms, sent_ns=pending.sent_ns, received_ns=self._now_ns)
        self._publish_status("subscribed")

    def _on_error(self, frame: s.ErrorFrame) -> None:
        error = f"code {frame.msg.code} {frame.msg.msg}".strip()
        pending = self._subscriptions.complete(frame.id)
        channel = self._subscriptions.channels.get(frame.sid)
        if channel and frame.seq:
            self._is_in_order(frame.sid, frame.seq)
        if frame.msg.code in _TERMINAL_CODES and channel:
            self._end(channel, f"the {channel} channel ended: {error}")
        elif pending is not None and pending.channel in _OPTIONAL_CHANNELS:
            self._subscriptions.stop_asking(pending.channel)
            self._counts.count(self._counts.unknown_values, f"error.{pending.channel}={frame.msg.code}")
            self._publish_status("subscribed")
        elif pending is not None and pending.channel:
            raise StreamBroken(f"the venue refused the {pending.channel} channel: {error}")
        elif frame.msg.code in _TERMINAL_CODES and not frame.sid:
            raise StreamBroken(f"a channel ended, and the venue does not say which: {error}")
        else:
            self._counts.count(self._counts.unknown_values, f"error.code={frame.msg.code}")

    def _is_in_order(self, sid: int, seq: int) -> bool:
        """Whether a numbered frame is to be used. A gap is dealt with here; the frame after it is used."""
        channel = self._subscriptions.channels.get(sid)
        if not channel:
            self._counts.strays += 1
            return False
        step = self._sequence.observe(sid, seq)
        if step is Step.NEXT:
            return True
        if step is Step.REPEATED:
            self._counts.repeated += 1
            return False
        self._counts.gaps += 1
        if channel == BOOK:
            self._lose(self._registry.followed, "a gap in the sequence of book changes")
        elif channel == LIFECYCLE:
            self._callbacks.refresh()
        return True

    def _unreadable(self, kind: str, market: str, reason: str) -> None:
        """Decide what an unreadable frame makes unusable: the book that it names, all books when it is a change of one
        that can't be told, or nothing that a read of the venue does not bring back. The log has the first, the second,
        the fourth, … of each kind."""
        count = self._counts.count(self._counts.unreadable_kinds, kind)
        if count & (count - 1) == 0:
            _log.warning("a frame can't be read", kind=kind, market=market, reason=reason, count=count)
        if kind in _ACCOUNT_FRAMES:
            self._compare_account(reason)
        elif kind == "market_lifecycle_v2":
            self._callbacks.refresh()
        elif market in self._registry.followed and kind in _BOOK_FRAMES:
            self._lose((market,), reason)
        elif kind == _DELTA and not market:
            self._lose(self._registry.followed, reason)

    def _compare_account(self, reason: str) -> None:
        """Own fills or orders may have been missed: have the account compared, which asks the venue for all of them."""
        self._account_reason = reason
        self._account_turns.want(self._venue, self._now_ns, was_well=True)
        self._request_comparison()

    def _request_comparison(self) -> None:
        """Publish that the venue is up with the reason why the account is to be compared: each such report does it."""
        if self._account_turns and self._is_reported_up and self._account_turns.take(self._now_ns):
            self._publish(ConnectorStatus(self._venue, True, self._account_reason, self._ts_recv))

    def _press_for_books(self) -> None:
        """Act on late snapshots. Where others come, these markets are at fault and stay stale without taking the others
        down: the venue may have no book for a closed one. Else subscribe again once, then give the connection up."""
        if self._books.is_delivering:
            self._subscriptions.get_snapshot(self._books.lose(self._books.missing, self._now_ns))
        elif self._books.attempts == 1:
            self._end(BOOK, "no snapshot came in time", is_dropped=True)
        else:
            raise StreamBroken(f"no book came for {', '.join(self._books.missing[:3])}")

    def _lose(self, tickers: Collection[str], reason: str) -> None:
        """Make these books stale, and ask for each at its own pace."""
        for ticker in tickers:
            if self._books.is_in_use(ticker):
                self._publish(BookStale(self._registry.followed[ticker], self._ts_recv, reason))
        self._subscriptions.get_snapshot(self._books.lose(tickers, self._now_ns))

    def _mark_stale(self, reason: str) -> None:
        for instrument in self._registry.followed.values():
            self._publish(BookStale(instrument, self._ts_recv, reason))

    def _end(self, channel: str, reason: str, *, is_dropped: bool = False) -> None:
        """Note the end of a subscription; it is asked for again after a second at the earliest."""
        sid = self._subscriptions.drop(channel) if is_dropped else self._subscriptions.ended(channel)
        if sid is not None:
            self._sequence.forget(sid)
        if channel == BOOK:
            self._mark_stale(reason)
            self._books.expect(self._registry.followed, now_ns=self._now_ns)
        self._publish_status(reason)
        self._sync()

    def _sync(self) -> None:
        self._books.retain(self._registry.followed)
        asked = self._subscriptions.sync(self._registry.followed, now_ns=self._now_ns)
        if asked:
            self._books.expect(asked, now_ns=self._now_ns)

    def _publish_status(self, reason: str) -> None:
        """Report up once every command has its response, and down while own fills or orders are not streamed."""
        is_live = self._subscriptions.is_live(ACCOUNT_CHANNELS)
        is_up = is_live and (self._is_reported_up or self._subscriptions.oldest_pending_ns() is None)
        if is_up != self._is_reported_up:
            self._is_reported_up = is_up
            self._publish(ConnectorStatus(self._venue, is_up, reason, self._ts_recv))
