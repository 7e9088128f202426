"""What each message of Kalshi's stream means: events for the kernel, and news of subscriptions and books. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgspec

from connectors.client.counts import DecodeCounts
from connectors.client.instruments import InstrumentRegistry
from connectors.client.session import FrameRole, SessionPlan, SessionPorts, StreamBroken, StreamSession
from connectors.client.subscriptions import Subscriptions
from connectors.client.venue_time import VenueTime
from connectors.client.wire.decimals import NS_PER_MS
from connectors.kalshi.markets.lifecycle import apply_lifecycle
from connectors.kalshi.stream.commands import (
    CHANNELS,
    DEFAULT_CHANNELS,
    LIFECYCLE,
    MULTIVARIATE_LIFECYCLE,
    encode_command,
)
from connectors.kalshi.v1.older import current_frame
from connectors.kalshi.wire import decode_stream as decode
from connectors.kalshi.wire import stream_messages as s
from framework.domain.account_events import Fill, OrderSnapshot, PositionReport
from framework.domain.events import Event
from framework.domain.market_events import BookDelta, BookSnapshot, TradePrint

ROLES = {
    "fill": FrameRole.ACCOUNT,
    "user_order": FrameRole.ACCOUNT,
    "market_position": FrameRole.ACCOUNT,
    LIFECYCLE: FrameRole.INSTRUMENTS,
    MULTIVARIATE_LIFECYCLE: FrameRole.INSTRUMENTS,
    "orderbook_snapshot": FrameRole.BOOK,
    "orderbook_delta": FrameRole.BOOK_CHANGE,
}
"""What each kind of frame is about; public trades and tickers may be missed."""

# Vendor docs: these end the subscription and leave the socket open.
_TERMINAL_CODES = frozenset({10, 25})
_BOOK_FRAME_TYPES = frozenset({s.SnapshotFrame, s.DeltaFrame})
_ORDER_STATUSES = frozenset({"resting", "canceled", "executed"})


class FeedPorts(msgspec.Struct, frozen=True):
    """What a feed needs. `fetch` asks for a market to be read again. `subaccount`: only its fills, orders and positions
    are ours; None takes all of the account's. `is_current`: the generation that takes `use_yes_price`."""

    venue: str
    registry: InstrumentRegistry
    fetch: Callable[[str], None]
    time: VenueTime
    subaccount: int | None = None
    is_current: bool = True


class KalshiFeed:
    """Reads the messages of one connection. Changes of a book that is not proved are dropped and counted."""

    def __init__(self, session: StreamSession, ports: FeedPorts) -> None:
        self._session = session
        self._ports = ports
        self._counts = session.counts
        self._books = session.books
        self._followed = ports.registry.followed
        self._decoder = decode.FrameDecoder(session.counts, current_frame)
        self._event_of: dict[type, Callable[[Any, int], Event | None]] = {
            s.DeltaFrame: self._delta,
            s.SnapshotFrame: self._snapshot,
            s.TradeFrame: self._trade,
            s.FillFrame: self._fill,
            s.UserOrderFrame: self._user_order,
            s.PositionFrame: self._position,
            s.TickerFrame: self._nothing,
            s.OrderGroupFrame: self._nothing,
        }
        self._control: dict[type, Callable[[Any], None]] = {
            s.LifecycleFrame: self._on_lifecycle,
            s.SubscribedFrame: self._on_subscribed,
            s.UnsubscribedFrame: lambda frame: session.forget_count(frame.sid),
            s.OkFrame: self._on_ok,
            s.ErrorFrame: self._on_error,
            s.OtherFrame: self._on_other,
        }

    def receive(self, data: bytes, ts_recv: int, now_ns: int) -> None:
        """Take one message. One that can't be read makes no more unusable than what it was about. Raises `StreamBroken`
        for a refused channel and for the end of one that is not named."""
        session = self._session
        session.ts_recv, session.now_ns = ts_recv, now_ns
        try:
            frame = self._decoder.decode(data)
        except decode.NotAFrame as e:
            # What it was is not known. A missing number shows as a gap; own fills and orders have none.
            session.compare_account(f"the venue sent what is no frame: {e}")
            return
        if (event_of := self._event_of.get(type(frame))) is None:
            self._control[type(frame)](frame)
        elif not frame.seq or session.is_in_order(frame.sid, frame.seq):  # type: ignore[union-attr]  # all data frames have
            self._take(frame, event_of)
            if type(frame) in _BOOK_FRAME_TYPES and session.liveness.on_frame(now_ns):
                session.beat(frame.sending_ts_ms)

    def _take(self, frame: s.Frame, event_of: Callable[[Any, int], Event | None]) -> None:
        session = self._session
        try:
            event = event_of(frame, session.ts_recv)
        except ValueError as e:
            self._on_unreadable_values(frame, e)
            return
        if event is not None:
            # The kernel's step begins with the receipt: nothing but decoding lies between.
            session.publish(event, session.ts_recv, session.now_ns)
        if isinstance(event, (Fill, OrderSnapshot, PositionReport)):
            if self._ports.registry.find(event.instrument) is None:
                # Something of ours happened in a market that is not known: have it read.
                self._ports.fetch(event.instrument.partition(":")[2])

    def _on_unreadable_values(self, frame: s.Frame, error: ValueError) -> None:
        self._counts.unreadable += 1
        kind = str(frame.__struct_config__.tag)
        market = getattr(getattr(frame, "msg", None), "market_ticker", "")
        self._session.unreadable(kind, market, f"{kind} can't be read: {error}")

    def _delta(self, frame: s.DeltaFrame, ts_recv: int) -> BookDelta | None:
        ticker = frame.msg.market_ticker
        instrument = self._followed.get(ticker)
        if instrument is None or ticker not in self._books.proved:
            self._counts.strays += 1
            return None
        return decode.book_delta(frame.msg, instrument, ts_recv)

    def _snapshot(self, frame: s.SnapshotFrame, ts_recv: int) -> BookSnapshot | None:
        ticker = frame.msg.market_ticker
        instrument = self._followed.get(ticker)
        if instrument is None:
            self._counts.strays += 1
            return None
        ts_venue = frame.sending_ts_ms * NS_PER_MS
        snapshot = decode.book_snapshot(frame.msg, instrument, ts_recv, ts_venue=ts_venue)
        self._books.prove(ticker)
        return snapshot

    def _trade(self, frame: s.TradeFrame, ts_recv: int) -> TradePrint | None:
        instrument = self._followed.get(frame.msg.market_ticker)
        if instrument is None:
            self._counts.strays += 1
            return None
        return decode.trade_print(frame.msg, instrument, ts_recv)

    def _fill(self, frame: s.FillFrame, ts_recv: int) -> Fill | None:
        if not self._is_ours(frame.msg.subaccount):
            return None
        return decode.fill_of(frame.msg, venue=self._ports.venue, ts_recv=ts_recv)

    def _user_order(self, frame: s.UserOrderFrame, ts_recv: int) -> OrderSnapshot | None:
        if not self._is_ours(frame.msg.subaccount_number):
            return None
        if frame.msg.status not in _ORDER_STATUSES:
            self._counts.count(self._counts.unknown_values, f"user_order.status={frame.msg.status}")
        return decode.order_snapshot(frame.msg, venue=self._ports.venue, ts_recv=ts_recv)

    def _position(self, frame: s.PositionFrame, ts_recv: int) -> PositionReport | None:
        if not self._is_ours(frame.msg.subaccount):
            return None
        return decode.position_of(frame.msg, venue=self._ports.venue, ts_recv=ts_recv)

    def _nothing(self, _frame: s.TickerFrame | s.OrderGroupFrame, _ts_recv: int) -> None:
        return None

    def _is_ours(self, subaccount: int) -> bool:
        return self._ports.subaccount is None or subaccount == self._ports.subaccount

    def _on_lifecycle(self, frame: s.LifecycleFrame) -> None:
        session, registry = self._session, self._ports.registry
        if not session.is_in_order(frame.sid, frame.seq):
            return
        times = {"ts_venue": frame.sending_ts_ms * NS_PER_MS, "ts_recv": session.ts_recv, "now_ns": session.now_ns}
        outcome = apply_lifecycle(registry, frame.msg, **times)
        if outcome is None:
            self._counts.count(self._counts.unknown_values, f"market_lifecycle_v2.event_type={frame.msg.event_type}")
            return
        for event in outcome.events:
            session.publish(event)
        if outcome.is_fetch_needed:
            self._ports.fetch(frame.msg.market_ticker)
        if frame.msg.market_ticker not in self._followed:
            self._books.forget(frame.msg.market_ticker)

    def _on_other(self, frame: s.OtherFrame) -> None:
        session = self._session
        if frame.seq and not session.is_in_order(frame.sid, frame.seq):
            return
        if frame.type in s.FRAME_TYPES:
            session.unreadable(frame.type, frame.market, f"{frame.type} can't be read: {frame.flaw}")
        elif frame.market in self._followed and session.is_of_books(frame.sid):
            # It has a number among the changes of books: nothing proves that it is none.
            session.lose((frame.market,), f"a frame of the unknown type {frame.type!r} is about this book")

    def _on_subscribed(self, frame: s.SubscribedFrame) -> None:
        session = self._session
        pending = session.subscriptions.acknowledge(frame.id, frame.msg.channel, frame.msg.sid)
        if pending is None:
            self._counts.strays += 1
            return
        self._ports.time.sample_ms(frame.sending_ts_ms, sent_ns=pending.sent_ns, received_ns=session.now_ns)
        session.on_acknowledged(frame.msg.channel)

    def _on_ok(self, frame: s.OkFrame) -> None:
        session = self._session
        if frame.seq:
            session.is_in_order(frame.sid, frame.seq)
        pending = session.subscriptions.complete(frame.id)
        if pending is not None:
            self._ports.time.sample_ms(frame.sending_ts_ms, sent_ns=pending.sent_ns, received_ns=session.now_ns)
        session.report("subscribed")

    def _on_error(self, frame: s.ErrorFrame) -> None:
        session, code = self._session, frame.msg.code
        error = f"code {code} {frame.msg.msg}".strip()
        pending = session.subscriptions.complete(frame.id)
        channel = session.subscriptions.channels.get(frame.sid)
        if channel and frame.seq:
            session.is_in_order(frame.sid, frame.seq)
        if code in _TERMINAL_CODES and channel:
            session.end(channel, f"the {channel} channel ended: {error}")
        elif pending is not None and pending.channel:
            session.refuse(pending.channel, error)
        elif code in _TERMINAL_CODES and not frame.sid:
            raise StreamBroken(f"a channel ended, and the venue does not say which: {error}")
        else:
            self._counts.count(self._counts.unknown_values, f"error.code={code}")


def make_session(
    send: Callable[[bytes], None],
    feed: FeedPorts,
    ports: SessionPorts,
    *,
    plan: SessionPlan,
    counts: DecodeCounts,
    channels: Iterable[str] = DEFAULT_CHANNELS,
) -> StreamSession:
    """The session of one connection, which sends its commands through `send`."""
    subscriptions = Subscriptions(
        [CHANNELS[name] for name in channels], send, partial(encode_command, yes_prices=feed.is_current)
    )
    return StreamSession(
        feed.venue,
        feed.registry.followed,
        subscriptions,
        lambda session: KalshiFeed(session, feed).receive,
        ports=ports,
        plan=plan,
        counts=counts,
    )
