"""What the stream's messages mean. Channel and symbol are read first: v2 sends four channels of every market to
everybody (vendor docs), and what is not followed is never read further."""

from __future__ import annotations

import msgspec

from connectors.client.instruments import InstrumentRegistry
from connectors.client.session import FrameRole, StreamSession
from connectors.client.usual.whole_books import SeenTrades, WholeBooks
from connectors.client.venue_time import VenueTime
from connectors.client.wire.coins import price_of, size_of
from connectors.client.wire.decimals import NS_PER_MS, cut_to
from connectors.client.wire.json_text import Millis, decode_json
from connectors.zdex.wire.encode import BOOKS, MARKS, TRADES
from framework.domain.instruments import Instrument
from framework.domain.market_events import MarkPrice, TradePrint
from framework.domain.numbers import Price
from framework.domain.orders import Side

ROLES = {BOOKS: FrameRole.BOOK}


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
        self._books = WholeBooks(session)
        self._takes = {BOOKS: self._book, TRADES: self._trades, MARKS: self._mark}

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
        if (one := self._registry.find_symbol(head.symbol)) is None:
            return
        try:
            take(head, one)
        except (ValueError, RecursionError) as e:
            session.unreadable(head.channel, head.symbol, str(e))

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

    def _book(self, head: Head, one: Instrument) -> None:
        book = _BOOK.decode(head.data)
        self._books.take(one, book.last_update_id, book.bids, book.asks, head.ts)

    def _trades(self, head: Head, one: Instrument) -> None:
        session = self._session
        for row in _TRADES.decode(head.data):
            taker = Side.SELL if row.is_buyer_maker else Side.BUY
            price, size, at_ns = price_of(row.price, one), size_of(row.qty, one, "qty"), row.time * NS_PER_MS
            self._seen.publish(session, TradePrint(one.id, at_ns, session.ts_recv, str(row.id), price, size, taker))

    def _mark(self, head: Head, one: Instrument) -> None:
        row = _MARK.decode(head.data)
        mark, index = cut_to(row.mark_price, one.price_decimals), cut_to(row.index_price, one.price_decimals)
        if mark is None:
            raise ValueError(f"markPrice: {row.mark_price[:40]!r} is no price")
        event = MarkPrice(
            one.id, head.ts * NS_PER_MS, self._session.ts_recv, Price(mark), Price(index or 0), row.funding_rate or "",
            row.next_funding_time * NS_PER_MS,
        )  # fmt: skip
        self._session.publish(event)
