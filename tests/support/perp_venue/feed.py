"""What the stream's messages mean: whole books with an id that grows, of all symbols whether asked for or not."""

from __future__ import annotations

import msgspec

from connectors.client.book_sync import Step, UpdateTracker
from connectors.client.instruments import InstrumentRegistry
from connectors.client.session import StreamSession
from connectors.client.subscriptions import Action, Channel, Command
from connectors.client.venue_time import VenueTime
from connectors.client.wire.decimals import NS_PER_MS
from framework.domain.instruments import Instrument
from framework.domain.market_events import BookSnapshot, Level, MarkPrice, TradePrint
from framework.domain.orders import Side

BOOK = "orderbook"
CHANNELS = (
    Channel(BOOK, is_by_symbol=True, is_one_by_one=True, has_books=True),
    Channel("markprice", is_by_symbol=True, is_one_by_one=True),
)


class Head(msgspec.Struct):
    """What is read of every message."""

    channel: str = ""
    symbol: str = ""
    event: str = ""
    ts: int = 0
    data: msgspec.Raw = msgspec.Raw()


class Book(msgspec.Struct, rename="camel"):
    last_update_id: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class Trade(msgspec.Struct, rename="camel"):
    id: str
    price: str
    qty: str
    time: int
    is_buyer_maker: bool


class Mark(msgspec.Struct, rename="camel"):
    mark_price: str
    index_price: str
    funding_rate: str
    next_funding_time: int


class PerpFeed:
    """Reads the messages of one connection; those of symbols that nobody follows are counted."""

    def __init__(self, session: StreamSession, registry: InstrumentRegistry, time: VenueTime) -> None:
        self._session = session
        self._registry = registry
        self._time = time
        self._updates = UpdateTracker()
        self._takes = {BOOK: self._book, "trades": self._trades, "markprice": self._mark}

    def receive(self, data: bytes, ts_recv: int, now_ns: int) -> None:
        session = self._session
        session.ts_recv, session.now_ns = ts_recv, now_ns
        head = msgspec.json.decode(data, type=Head)
        if head.event == "subscribed":
            session.subscriptions.acknowledge_named(head.channel, head.symbol)
            session.on_acknowledged(head.channel)
        elif head.event == "pong":
            asked = session.subscriptions.complete_unnamed()
            if asked is not None:
                self._time.sample_ms(head.ts, sent_ns=asked.sent_ns, received_ns=now_ns)
        elif head.symbol not in self._registry.followed:
            session.counts.strays += 1
        elif (take := self._takes.get(head.channel)) is not None:
            instrument = self._registry.find_symbol(head.symbol)
            if instrument is not None:
                self._try(take, head, instrument)

    def _try(self, take, head: Head, instrument: Instrument) -> None:  # type: ignore[no-untyped-def]
        try:
            take(head, instrument)
        except (ValueError, msgspec.ValidationError) as e:
            self._session.unreadable(head.channel, head.symbol, str(e))

    def _book(self, head: Head, one: Instrument) -> None:
        session, book = self._session, msgspec.json.decode(head.data, type=Book)
        if self._updates.observe(head.symbol, book.last_update_id) is Step.REPEATED:
            session.beat_of(head.symbol, head.ts)
            return
        session.quiet.on_frame(head.symbol, session.now_ns)
        session.books.prove(head.symbol)
        bids, asks = levels(one, book.bids), levels(one, book.asks)
        event = BookSnapshot(one.id, head.ts * NS_PER_MS, session.ts_recv, bids, asks)
        session.publish(event, session.ts_recv, session.now_ns)

    def _trades(self, head: Head, one: Instrument) -> None:
        for row in msgspec.json.decode(head.data, type=list[Trade]):
            taker = Side.SELL if row.is_buyer_maker else Side.BUY
            at_ns, price, size = row.time * NS_PER_MS, one.price(row.price), one.size(row.qty)
            self._session.publish(TradePrint(one.id, at_ns, self._session.ts_recv, row.id, price, size, taker))

    def _mark(self, head: Head, one: Instrument) -> None:
        row = msgspec.json.decode(head.data, type=Mark)
        mark, index, due_ns = one.price(row.mark_price), one.price(row.index_price), row.next_funding_time * NS_PER_MS
        at_ns, recv_ns = head.ts * NS_PER_MS, self._session.ts_recv
        self._session.publish(MarkPrice(one.id, at_ns, recv_ns, mark, index, row.funding_rate, due_ns))


def levels(one: Instrument, rows: list[tuple[str, str]]) -> tuple[Level, ...]:
    return tuple((one.price(price), one.size(size)) for price, size in rows)


def command_of(one: Command) -> tuple[bytes, ...]:
    """A command as the venue writes it; whole books come by themselves."""
    if one.action is Action.PROBE:
        return (b'{"action":"ping"}',)
    if one.action is not Action.SUBSCRIBE:
        return ()
    (symbol,) = one.symbols
    return (msgspec.json.encode({"action": "subscribe", "channel": one.channel, "symbol": symbol}),)
