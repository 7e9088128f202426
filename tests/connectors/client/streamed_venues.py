"""Two streams that number their books in other ways than Kalshi, and a rig that plays their venue.

`ReplacingFeed`: every message is a whole book with an id that grows, and the venue sends all symbols, asked for or not.
`ChainedFeed`: a snapshot, then changes of which each names the one before it; nothing is acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from connectors.client.book_sync import PreviousTracker, Step, UpdateTracker
from connectors.client.counts import DecodeCounts
from connectors.client.session import FrameRole, SessionPlan, SessionPorts, StreamSession
from connectors.client.status import VenueStatus
from connectors.client.stream import VenueStream
from connectors.client.subscriptions import Action, Channel, Command, Subscriptions
from connectors.transport.ports import OnMessage, WebSocketConnection
from connectors.transport.reconnect import Backoff
from framework.domain.events import Event
from framework.domain.instruments import InstrumentId, instrument_id
from framework.domain.market_events import BookLevel, BookSnapshot, ConnectorStatus, Level
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side
from framework.runtime.clock import seeded_rng
from tests.connectors.support import LoopClock, ScriptedConnection

SECOND_NS = 1_000_000_000
BOOK = Channel("orderbook", is_by_symbol=True, is_one_by_one=True, has_books=True)


class ReplacedBook(msgspec.Struct, rename="camel"):
    last_update_id: int
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]


class ReplacingHead(msgspec.Struct):
    """What is read of every message: the data of symbols that nobody follows is not."""

    channel: str = ""
    symbol: str = ""
    event: str = ""
    ts: int = 0
    data: msgspec.Raw = msgspec.Raw()


def levels(rows: list[tuple[int, int]]) -> tuple[Level, ...]:
    return tuple((Price(price), Size(size)) for price, size in rows)


class ReplacingFeed:
    def __init__(self, session: StreamSession, followed: dict[str, InstrumentId]) -> None:
        self._session = session
        self._followed = followed
        self._updates = UpdateTracker()

    def receive(self, data: bytes, ts_recv: int, now_ns: int) -> None:
        session = self._session
        session.ts_recv, session.now_ns = ts_recv, now_ns
        head = msgspec.json.decode(data, type=ReplacingHead)
        if head.event == "subscribed":
            session.subscriptions.acknowledge_named(head.channel, head.symbol)
            session.on_acknowledged(head.channel)
        elif head.event == "pong":
            session.subscriptions.complete_unnamed()
        elif head.symbol not in self._followed:
            session.counts.strays += 1
        elif head.channel == BOOK.name:
            self._take(head)

    def _take(self, head: ReplacingHead) -> None:
        session = self._session
        try:
            book = msgspec.json.decode(head.data, type=ReplacedBook)
        except msgspec.ValidationError as e:
            session.unreadable(BOOK.name, head.symbol, str(e))
            return
        if self._updates.observe(head.symbol, book.last_update_id) is Step.REPEATED:
            session.beat_of(head.symbol, head.ts)
            return
        session.quiet.on_frame(head.symbol, session.now_ns)
        session.books.prove(head.symbol)
        instrument = self._followed[head.symbol]
        event = BookSnapshot(instrument, 0, session.ts_recv, levels(book.bids), levels(book.asks))
        session.publish(event, session.ts_recv, session.now_ns)


def replacing_command(one: Command) -> tuple[bytes, ...]:
    if one.action is Action.PROBE:
        return (b'{"action":"ping"}',)
    if one.action is not Action.SUBSCRIBE:
        # The next message is a whole book anyway.
        return ()
    (symbol,) = one.symbols
    return (msgspec.json.encode({"action": "subscribe", "channel": one.channel, "symbol": symbol}),)


class ChainedFrame(msgspec.Struct):
    type: str
    pair: str = ""
    seq: int = 0
    prev_seq: int = 0
    bids: list[tuple[int, int]] = []
    asks: list[tuple[int, int]] = []
    changes: list[tuple[str, int, int]] = []


class ChainedFeed:
    def __init__(self, session: StreamSession, followed: dict[str, InstrumentId]) -> None:
        self._session = session
        self._followed = followed
        self._chain = PreviousTracker()

    def receive(self, data: bytes, ts_recv: int, now_ns: int) -> None:
        session = self._session
        session.ts_recv, session.now_ns = ts_recv, now_ns
        frame = msgspec.json.decode(data, type=ChainedFrame)
        instrument = self._followed.get(frame.pair)
        if instrument is None:
            session.counts.strays += 1
            return
        session.quiet.on_frame(frame.pair, now_ns)
        if frame.type == "snapshot":
            self._chain.begin(frame.pair, frame.seq)
            session.books.prove(frame.pair)
            session.publish(BookSnapshot(instrument, 0, ts_recv, levels(frame.bids), levels(frame.asks)))
        elif self._is_next(frame):
            for side, price, size in frame.changes:
                taker = Side.BUY if side == "buy" else Side.SELL
                session.publish(BookLevel(instrument, 0, ts_recv, taker, Price(price), Size(size)), ts_recv, now_ns)

    def _is_next(self, frame: ChainedFrame) -> bool:
        session = self._session
        if frame.pair not in session.books.proved:
            session.counts.strays += 1
            return False
        step = self._chain.observe(frame.pair, frame.seq, frame.prev_seq)
        if step is Step.GAP:
            session.counts.gaps += 1
            session.lose((frame.pair,), "a gap in the changes of this book")
        return step is Step.NEXT


def chained_command(one: Command) -> tuple[bytes, ...]:
    channels = [{"name": one.channel, "pair": pair} for pair in one.symbols]
    again = msgspec.json.encode({"op": "subscribe", "channels": channels})
    if one.action is Action.SNAPSHOT:
        # The only way to a whole book.
        return (msgspec.json.encode({"op": "unsubscribe", "channels": channels}), again)
    return () if one.action is Action.PROBE else (again,)


class StreamRig:
    """A stream of one of the two, played by the test: what it sent, and what was published."""

    def __init__(self, clock: LoopClock, *symbols: str, is_chained: bool = False) -> None:
        self.clock = clock
        self.followed = {symbol: instrument_id("tide", symbol) for symbol in symbols}
        self.events: list[Event] = []
        self.counts = DecodeCounts()
        self.connections: list[ScriptedConnection] = []
        self.is_answering = True
        self._is_chained = is_chained
        self._status = VenueStatus("tide", self.publish)
        backoff = Backoff(seeded_rng(1), connects_per_minute_max=10)
        self.stream = VenueStream(self._dial, self._session, clock=clock, backoff=backoff, silence_ms_max=25_000)

    def publish(self, event: Event, _now_ns: int = 0, _monotonic_ns: int = 0, /) -> None:
        self.events.append(event)

    @property
    def statuses(self) -> list[tuple[bool, str]]:
        return [(one.is_up, one.reason) for one in self.events if isinstance(one, ConnectorStatus)]

    @property
    def commands(self) -> list[dict[str, Any]]:
        return self.connections[-1].commands

    def deliver(self, **frame: Any) -> None:
        self.connections[-1].deliver(frame)

    def book(self, symbol: str, update_id: int, bid: int = 100) -> None:
        data = {"lastUpdateId": update_id, "bids": [[bid, 1]], "asks": [[bid + 2, 1]]}
        self.deliver(channel=BOOK.name, symbol=symbol, data=data, ts=1)

    def snapshot(self, pair: str, seq: int) -> None:
        self.deliver(type="snapshot", pair=pair, seq=seq, bids=[[100, 1]], asks=[[102, 1]])

    def change(self, pair: str, seq: int, previous: int | None = None) -> None:
        before = seq - 1 if previous is None else previous
        self.deliver(type="update", pair=pair, seq=seq, prev_seq=before, changes=[["buy", 99, seq]])

    def take(self, *kinds: type) -> list[Event]:
        taken = [event for event in self.events if isinstance(event, kinds)]
        self.events.clear()
        return taken

    async def _dial(self, on_message: OnMessage) -> WebSocketConnection:
        connection = ScriptedConnection(self.clock, on_message)
        connection.reply = self._reply
        self.connections.append(connection)
        return connection

    def _reply(self, connection: ScriptedConnection, command: dict[str, Any]) -> None:
        if command.get("action") == "subscribe" and self.is_answering:
            connection.deliver({"event": "subscribed", "channel": command["channel"], "symbol": command["symbol"]})
        elif command.get("action") == "ping" and self.is_answering:
            connection.deliver({"event": "pong"})

    def _session(self, send: Callable[[bytes], None]) -> StreamSession:
        kind: type[ChainedFeed | ReplacingFeed] = ChainedFeed if self._is_chained else ReplacingFeed
        named = {"encode": chained_command, "awaited": ()} if self._is_chained else {"encode": replacing_command}
        return StreamSession(
            "tide",
            self.followed,
            Subscriptions([BOOK], send, **named),  # type: ignore[arg-type]
            lambda session: kind(session, self.followed).receive,
            ports=SessionPorts(self.publish, self._status, lambda: None),
            plan=SessionPlan(
                ack_ns_max=10 * SECOND_NS,
                snapshot_ns_max=5 * SECOND_NS,
                roles={BOOK.name: FrameRole.BOOK},
                has_shared_count=False,
                quiet_ns=15 * SECOND_NS if self._is_chained else 0,
            ),
            counts=self.counts,
        )

    async def play(self, act: Callable[[StreamRig], Any]) -> StreamRig:
        """Stream while the test acts."""
        task = asyncio.create_task(self.stream.run())
        await asyncio.sleep(0.1)
        await act(self)
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is not None:
            raise task.exception() or AssertionError
        return self


def rig(clock: LoopClock, act: Callable[[StreamRig], Any], *symbols: str, is_chained: bool = False) -> Any:
    """Play an act with a fresh rig."""
    return StreamRig(clock, *(symbols or ("A", "B")), is_chained=is_chained).play(act)


replacing = partial(rig)
chained = partial(rig, is_chained=True)
