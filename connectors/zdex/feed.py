"""What the stream's messages mean. Channel and symbol are read first: v2 sends four channels of every market to
everybody (vendor docs), and what is not followed is never read further.

`{"channel":"orderbook","symbol":"BTCUSDT","data":{"lastUpdateId":…,"bids":[["71034.5","1.2"]],"asks":[…]},"ts":…}`
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from connectors.client.book_sync import Step, UpdateTracker
from connectors.client.instruments import InstrumentRegistry
from connectors.client.session import FrameRole, StreamSession
from connectors.client.venue_time import VenueTime
from connectors.client.wire.coins import book_levels, price_of, size_of
from connectors.client.wire.decimals import NS_PER_MS
from connectors.client.wire.json_text import Millis, decode_json
from connectors.zdex.wire.decode import shown
from connectors.zdex.wire.encode import BOOKS, MARKS, TRADES
from framework.domain.instruments import Instrument
from framework.domain.market_events import BookSnapshot, MarkPrice, TradePrint
from framework.domain.numbers import Price
from framework.domain.orders import Side

ROLES = {BOOKS: FrameRole.BOOK}
_TRADES_KEPT = 1_000


class Head(msgspec.Struct):
    """What is read of every message; `data` stays as it is."""

    event: str = ""
    channel: str = ""
    symbol: str = ""
    channels: list[str] = []
    symbols: list[str] = []
    ts: Millis = 0
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Book(msgspec.Struct, rename="camel"):
    last_update_id: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class _Trade(msgspec.Struct, rename="camel"):
    id: int | str
    price: str
    qty: str
    time: Millis
    is_buyer_maker: bool


class _Mark(msgspec.Struct, rename="camel"):
    mark_price: str
    index_price: str | None = None
    funding_rate: str | None = None
    next_funding_time: Millis = 0


_HEAD = msgspec.json.Decoder(Head)
_BOOK = msgspec.json.Decoder(_Book)
_TRADES = msgspec.json.Decoder(list[_Trade])
_MARK = msgspec.json.Decoder(_Mark)


class SeenTrades:
    """The public trades that have been handed on, by market, the newest `_TRADES_KEPT`: messages repeat recent ones,
    and a new connection begins with them."""

    def __init__(self) -> None:
        self._ids: dict[str, dict[str, None]] = {}

    def take(self, symbol: str, trade_id: str) -> bool:
        """Whether the trade is new."""
        ids = self._ids.setdefault(symbol, {})
        if trade_id in ids:
            return False
        ids[trade_id] = None
        if len(ids) > _TRADES_KEPT:
            del ids[next(iter(ids))]
        return True


class ZdexFeed:
    """Reads the messages of one connection. `receive` is an `OnMessage`; a message that can't be read costs no more
    than what it was about."""

    def __init__(
        self, session: StreamSession, registry: InstrumentRegistry, time: VenueTime, trades: SeenTrades
    ) -> None:
        self._session = session
        self._registry = registry
        self._time = time
        self._seen = trades
        self._updates = UpdateTracker()
        self._takes: dict[str, Callable[[Head, Instrument], None]] = {
            BOOKS: self._book,
            TRADES: self._trades,
            MARKS: self._mark,
        }

    def receive(self, data: bytes, ts_recv: int, now_ns: int) -> None:
        """Take one message, with the wall and the monotonic time of its arrival."""
        session = self._session
        session.ts_recv, session.now_ns = ts_recv, now_ns
        try:
            head = decode_json(data, _HEAD.decode)
        except msgspec.DecodeError as e:
            session.unreadable("message", "", str(e))
            return
        if head.event:
            self._event(head)
            return
        take = self._takes.get(head.channel)
        if take is None or head.symbol not in self._registry.followed:
            session.counts.strays += 1
            return
        one = self._registry.find_symbol(head.symbol)
        if one is not None:
            self._try(partial(take, head, one), head)

    def _event(self, head: Head) -> None:
        session = self._session
        if head.event == "pong":
            asked = session.subscriptions.complete_unnamed()
            if asked is not None:
                self._time.sample_ms(head.ts, sent_ns=asked.sent_ns, received_ns=session.now_ns)
        elif head.event == "subscribed":
            for channel in head.channels or [head.channel]:
                for symbol in head.symbols or [head.symbol]:
                    session.subscriptions.acknowledge_named(channel, symbol)
                session.on_acknowledged(channel)
        elif head.event != "connected":
            session.counts.count(session.counts.unknown_types, head.event[:40])

    def _try(self, take: Callable[[], None], head: Head) -> None:
        try:
            take()
        except (ValueError, RecursionError) as e:
            self._session.unreadable(head.channel, head.symbol, str(e))

    def _book(self, head: Head, one: Instrument) -> None:
        session, book = self._session, _BOOK.decode(head.data)
        bids, asks = book_levels(book.bids, one), book_levels(book.asks, one)
        is_known = self._updates.observe(head.symbol, book.last_update_id) is Step.REPEATED
        if is_known and head.symbol in session.books.proved:
            session.beat_of(head.symbol, head.ts)
            return
        session.quiet.on_frame(head.symbol, session.now_ns)
        session.books.prove(head.symbol)
        event = BookSnapshot(one.id, head.ts * NS_PER_MS, session.ts_recv, bids, asks)
        session.publish(event, session.ts_recv, session.now_ns)

    def _trades(self, head: Head, one: Instrument) -> None:
        session = self._session
        for row in _TRADES.decode(head.data):
            taker = Side.SELL if row.is_buyer_maker else Side.BUY
            price, size, at_ns = price_of(row.price, one), size_of(row.qty, one, "qty"), row.time * NS_PER_MS
            if self._seen.take(head.symbol, str(row.id)):
                session.publish(TradePrint(one.id, at_ns, session.ts_recv, str(row.id), price, size, taker))

    def _mark(self, head: Head, one: Instrument) -> None:
        row = _MARK.decode(head.data)
        mark, index = shown(row.mark_price, one.price_decimals), shown(row.index_price, one.price_decimals)
        if mark is None:
            raise ValueError(f"markPrice: {row.mark_price[:40]!r} is no price")
        event = MarkPrice(
            one.id,
            head.ts * NS_PER_MS,
            self._session.ts_recv,
            Price(mark),
            Price(index or 0),
            row.funding_rate or "",
            row.next_funding_time * NS_PER_MS,
        )
        self._session.publish(event)
