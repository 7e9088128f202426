"""One WebSocket connection from its first command to its end. Pure: bytes and times in, events and commands out.

`StreamSession` knows subscriptions, numbers, books and when a connection is of no use any more. What a message says is
the venue's: its feed reads it and reports to the session what it means for the books. Call order: `open` once; then
`receive` for every message and `tick` a few times a second, until one of them raises `StreamBroken`. A session is
never used for a second connection.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import Enum

import msgspec
import structlog

from connectors.client.book_sync import BookLiveness, BookRecovery, QuietBooks, SequenceTracker, Step
from connectors.client.counts import DecodeCounts
from connectors.client.status import STREAM, VenueStatus
from connectors.client.subscriptions import Subscriptions
from connectors.client.turns import Turns
from connectors.client.wire.decimals import NS_PER_MS
from connectors.transport.ports import OnMessage
from framework.domain.instruments import InstrumentId
from framework.domain.market_events import BookStale, Heartbeat
from framework.domain.venue import Publish

_log = structlog.get_logger("stream")


class StreamBroken(Exception):
    """The connection is of no use any more; connect again. The text is the reason that `ConnectorStatus` carries."""


class FrameRole(Enum):
    """What a kind of frame is about, which decides what an unreadable one makes unusable."""

    ACCOUNT = "account"
    """Own fills, orders, positions: the account is compared."""
    INSTRUMENTS = "instruments"
    """What instruments there are and in which state: all are read again."""
    BOOK = "book"
    """A whole book: the one that it names is lost."""
    BOOK_CHANGE = "book change"
    """A change of a book: the one that it names is lost, every one if it names none."""


class SessionPlan(msgspec.Struct, frozen=True):
    """The longest waits in nanoseconds, and the role of each kind of frame by its name in the messages; kinds without a
    role may be missed.

    `ack_ns_max` is for the response to a command, `snapshot_ns_max` for a book, `probe_ns` is how often the venue is
    asked for a sign of life while books flow. `quiet_ns`: a book that is proved by its own frames only and had none for
    so long is asked for; 0 where all books share a count, or where nothing brings a book but its change.
    """

    ack_ns_max: int
    snapshot_ns_max: int
    roles: Mapping[str, FrameRole] = {}
    probe_ns: int = 10_000_000_000
    has_shared_count: bool = True
    quiet_ns: int = 0


class SessionPorts(msgspec.Struct, frozen=True):
    """Where a session's results go. `refresh` asks for all known instruments to be read again."""

    publish: Publish
    status: VenueStatus
    refresh: Callable[[], None]


class StreamSession:
    """Follows one connection: subscriptions, numbers, gaps, quiet books, and whether the venue is up."""

    def __init__(
        self,
        venue: str,
        followed: Mapping[str, InstrumentId],
        subscriptions: Subscriptions,
        make_feed: Callable[[StreamSession], OnMessage],
        *,
        ports: SessionPorts,
        plan: SessionPlan,
        counts: DecodeCounts,
    ) -> None:
        """`followed`: the symbols to stream, as they are at each moment. `make_feed` makes what takes each message; the
        first that it does is to set `ts_recv` and `now_ns`."""
        self._venue = venue
        self._followed = followed
        self.subscriptions = subscriptions
        self.publish = ports.publish
        self._status = ports.status
        self._refresh = ports.refresh
        self._plan = plan
        self.counts = counts
        self.books = BookRecovery(plan.snapshot_ns_max)
        """Which books may be used: a change of any other one is dropped."""
        self.quiet = QuietBooks(plan.quiet_ns)
        self._sequence = SequenceTracker()
        self.liveness = BookLiveness()
        self._is_reported_up = False
        self._account_turns = Turns()
        self._account_reason = ""
        self._probed_ns = 0
        self.now_ns = 0
        self.ts_recv = 0
        self.receive: OnMessage = make_feed(self)

    def __repr__(self) -> str:
        return f"<StreamSession {self._venue} up={self._is_reported_up} {self.subscriptions!r} {self.books!r}>"

    @property
    def is_up(self) -> bool:
        """Whether the stream was last reported as up."""
        return self._is_reported_up

    def open(self, *, ts_recv: int, now_ns: int) -> None:
        """Subscribe. `ts_recv` is wall time and `now_ns` monotonic, both nanoseconds, here and below."""
        self.ts_recv, self.now_ns = ts_recv, now_ns
        self._probed_ns = now_ns
        self.liveness.begin(now_ns)
        self.follow_new()

    def tick(self, *, ts_recv: int, now_ns: int) -> None:
        """Do what is due: ask for late books, probe the venue, subscribe what is missing.

        Raises `StreamBroken` when a command has no response in time or no book comes.
        """
        self.ts_recv, self.now_ns = ts_recv, now_ns
        oldest_ns = self.subscriptions.oldest_pending_ns()
        if oldest_ns is not None and now_ns - oldest_ns >= self._plan.ack_ns_max:
            raise StreamBroken("the venue did not answer a command in time")
        if self.books.is_overdue(now_ns):
            self._press_for_books()
        self.subscriptions.get_snapshot(self.books.take_turns(now_ns))
        self._request_comparison()
        self._probe()
        self.follow_new()
        self.report("subscribed")

    def resync(self, symbol: str, *, ts_recv: int, now_ns: int) -> None:
        """Mark a book that contradicts itself as stale and ask for the whole of it, at most once a second, and less
        often when it does so again and again.

        Nothing happens while a snapshot of it is under way or due anyway, or when it is not streamed.
        """
        self.ts_recv, self.now_ns = ts_recv, now_ns
        if symbol in self._followed and self.subscriptions.is_live((self.subscriptions.book_channel,)):
            if self.books.may_lose(symbol, now_ns):
                self.lose((symbol,), "its changes did not add up")

    def close(self, reason: str, *, ts_recv: int) -> None:
        """End the session with the connection: every book becomes stale, and the venue is reported as down."""
        self.ts_recv = ts_recv
        self._mark_stale(reason)
        self._is_reported_up = False
        self._status.report(STREAM, is_up=False, reason=reason, ts_recv=ts_recv)

    def follow_new(self) -> None:
        """Ask for what is followed and not streamed yet."""
        self.books.retain(self._followed)
        asked = self.subscriptions.sync(self._followed, now_ns=self.now_ns)
        if asked:
            self.books.expect(asked, now_ns=self.now_ns)

    def is_in_order(self, sid: int, seq: int) -> bool:
        """Whether a frame is to be used that has the number `seq` of the subscription `sid`. A gap is dealt with here:
        all books of the subscription are lost, or all instruments read again; the frame after it is used."""
        channel = self.subscriptions.channels.get(sid)
        if not channel:
            self.counts.strays += 1
            return False
        step = self._sequence.observe(sid, seq)
        if step is Step.NEXT:
            return True
        if step is Step.REPEATED:
            self.counts.repeated += 1
            return False
        self.counts.gaps += 1
        if channel == self.subscriptions.book_channel:
            self.lose(self._followed, "a gap in the sequence of book changes")
        elif self._plan.roles.get(channel) is FrameRole.INSTRUMENTS:
            self._refresh()
        return True

    def forget_count(self, sid: int) -> None:
        """A subscription has ended, and its numbers with it."""
        self._sequence.forget(sid)

    def on_acknowledged(self, channel: str) -> None:
        """A channel runs now. What changed of instruments before that was not announced to us, so they are read."""
        if self._plan.roles.get(channel) is FrameRole.INSTRUMENTS:
            self._refresh()
        self.follow_new()
        self.report("subscribed")

    def is_of_books(self, sid: int) -> bool:
        """Whether a subscription is the one by which books come."""
        return self.subscriptions.channels.get(sid) == self.subscriptions.book_channel

    def beat(self, ts_venue_ms: int) -> None:
        """Report that all books are proved, after a frame for which `liveness.on_frame` asks for it."""
        self.publish(Heartbeat(self._venue, ts_venue_ms * NS_PER_MS, self.ts_recv))

    def beat_of(self, symbol: str, ts_venue_ms: int) -> None:
        """A frame said that this book is still as it was: report that, once a second."""
        if self.quiet.on_frame(symbol, self.now_ns) and symbol in self.books.proved:
            instrument = self._followed[symbol]
            self.publish(Heartbeat(self._venue, ts_venue_ms * NS_PER_MS, self.ts_recv, instrument))

    def lose(self, symbols: Collection[str], reason: str) -> None:
        """Make these books stale, and ask for each at its own pace."""
        for symbol in symbols:
            if self.books.is_in_use(symbol):
                self.publish(BookStale(self._followed[symbol], self.ts_recv, reason))
        self.subscriptions.get_snapshot(self.books.lose(symbols, self.now_ns))

    def unreadable(self, kind: str, symbol: str, reason: str) -> None:
        """Have an unreadable frame make no more unusable than what it was about, which its role says. The log has the
        first, the second, the fourth, … of each kind."""
        count = self.counts.count(self.counts.unreadable_kinds, kind)
        if count & (count - 1) == 0:
            _log.warning(
                "a frame can't be read", venue=self._venue, kind=kind, market=symbol, reason=reason, count=count
            )
        role = self._plan.roles.get(kind)
        if role is FrameRole.ACCOUNT:
            self.compare_account(reason)
        elif role is FrameRole.INSTRUMENTS:
            self._refresh()
        elif role is not None and symbol in self._followed:
            self.lose((symbol,), reason)
        elif role is FrameRole.BOOK_CHANGE and not symbol:
            self.lose(self._followed, reason)

    def compare_account(self, reason: str) -> None:
        """Own fills or orders may have been missed: have the account compared, which asks the venue for all of them."""
        self._account_reason = reason
        self._account_turns.want(self._venue, self.now_ns, was_well=True)
        self._request_comparison()

    def refuse(self, channel: str, error: str) -> None:
        """The venue refused a channel. Raises `StreamBroken` unless the stream is of use without it."""
        if not self.subscriptions.is_optional(channel):
            raise StreamBroken(f"the venue refused the {channel} channel: {error}")
        self.subscriptions.stop_asking(channel)
        self.counts.count(self.counts.unknown_values, f"error.{channel}={error}")
        self.report("subscribed")

    def end(self, channel: str, reason: str, *, is_dropped: bool = False) -> None:
        """Note the end of a subscription; it is asked for again after a second at the earliest."""
        sid = self.subscriptions.drop(channel) if is_dropped else self.subscriptions.ended(channel)
        if sid is not None:
            self._sequence.forget(sid)
        if channel == self.subscriptions.book_channel:
            self._mark_stale(reason)
            self.books.expect(self._followed, now_ns=self.now_ns)
        self.report(reason)
        self.follow_new()

    def report(self, reason: str) -> None:
        """Report up once every command has its response, and down while own fills or orders are not streamed."""
        is_live = self.subscriptions.is_account_live
        is_up = is_live and (self._is_reported_up or self.subscriptions.oldest_pending_ns() is None)
        if is_up != self._is_reported_up:
            self._is_reported_up = is_up
            self._status.report(STREAM, is_up=is_up, reason=reason, ts_recv=self.ts_recv)

    def _probe(self) -> None:
        """Ask for quiet books, and now and then for a sign of life: that response must come, or `tick` ends the
        connection."""
        asked = self._quiet_books()
        self.subscriptions.get_snapshot(asked)
        is_due = bool(asked) or self.now_ns - self._probed_ns >= self._plan.probe_ns
        if is_due and self.subscriptions.oldest_pending_ns() is None:
            self._probed_ns = self.now_ns
            self.subscriptions.probe(now_ns=self.now_ns)

    def _quiet_books(self) -> tuple[str, ...]:
        """Of books that share a count one, whose snapshot proves all of them; else each that is quiet."""
        if self._plan.has_shared_count and not self.liveness.is_quiet(self.now_ns):
            return ()
        proved = [symbol for symbol in self._followed if symbol in self.books.proved]
        if self._plan.has_shared_count:
            return (self.liveness.choose(proved, self.now_ns),) if proved else ()
        asked, silent = self.quiet.take(proved, self.now_ns) if self._plan.quiet_ns else ((), ())
        if silent:
            self.lose(silent, "it was asked for, and nothing came")
        return asked

    def _request_comparison(self) -> None:
        """Report again that the stream is up with the reason why the account is to be compared."""
        if self._account_turns and self._is_reported_up and self._account_turns.take(self.now_ns):
            self._status.report(STREAM, is_up=True, reason=self._account_reason, ts_recv=self.ts_recv)

    def _press_for_books(self) -> None:
        """Act on late snapshots. Where others come, these symbols are at fault and stay stale without taking the others
        down: the venue may have no book for a closed one. Else subscribe again once, then give the connection up."""
        if self.books.is_delivering:
            self.subscriptions.get_snapshot(self.books.lose(self.books.missing, self.now_ns))
        elif self.books.attempts == 1:
            self.end(self.subscriptions.book_channel, "no snapshot came in time", is_dropped=True)
        else:
            raise StreamBroken(f"no book came for {', '.join(self.books.missing[:3])}")

    def _mark_stale(self, reason: str) -> None:
        for instrument in self._followed.values():
            self.publish(BookStale(instrument, self.ts_recv, reason))
