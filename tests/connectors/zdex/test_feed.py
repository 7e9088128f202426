"""Messages of the stream: whole books, trades once, marks, and a fire hose of which little is read."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from connectors.client.counts import DecodeCounts
from connectors.client.session import SessionPlan, SessionPorts, StreamSession
from connectors.client.status import VenueStatus
from connectors.client.subscriptions import Subscriptions
from connectors.client.usual.whole_books import SeenTrades
from connectors.client.venue_time import VenueTime
from connectors.zdex.feed import ROLES, ZdexFeed
from connectors.zdex.wire.encode import CHANNELS, command_frames
from framework.domain.events import Event
from framework.domain.market_events import BookSnapshot, BookStale, ConnectorStatus, Heartbeat, MarkPrice, TradePrint
from framework.domain.orders import Side
from framework.runtime.clock import ManualClock
from tests.connectors.zdex.support import BTC, registry_of

S = 1_000_000_000
BOOK = {"lastUpdateId": 10, "bids": [["71034.5", "1.234"]], "asks": [["71035.0", "2.345"]]}


class Rig:
    """A session of one connection, whose peer is the test."""

    def __init__(self, *, trades: SeenTrades | None = None) -> None:
        self.events: list[Event] = []
        self.sent: list[dict[str, str]] = []
        self.counts = DecodeCounts()
        self.clock = ManualClock(wall_ns=1_711_756_800 * S, monotonic_ns=5 * S)
        registry, self.time = registry_of("BTCUSDT"), VenueTime(self.clock)

        def publish(event: Event, _now_ns: int = 0, _monotonic_ns: int = 0, /) -> None:
            self.events.append(event)

        self.session = StreamSession(
            "zdex",
            registry.followed,
            Subscriptions(CHANNELS, lambda data: self.sent.append(msgspec.json.decode(data)), command_frames),
            lambda session: ZdexFeed(session, registry, self.time, trades or SeenTrades()).receive,
            ports=SessionPorts(publish, VenueStatus("zdex", publish), lambda: None),
            plan=SessionPlan(10 * S, 10 * S, ROLES, has_shared_count=False, quiet_ns=5 * S),
            counts=self.counts,
        )
        self.session.open(ts_recv=1, now_ns=self.clock.monotonic_ns())

    def receive(self, message: Any) -> None:
        data = message if isinstance(message, bytes) else msgspec.json.encode(message)
        self.session.receive(data, self.clock.now_ns(), self.clock.monotonic_ns())

    def data(self, channel: str, data: Any, symbol: str = "BTCUSDT") -> None:
        self.receive({"channel": channel, "symbol": symbol, "data": data, "ts": 1_711_756_800_000})

    def seen(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.mark.parametrize("is_listed", [False, True])
def test_stream_when_every_subscription_is_acknowledged_then_it_is_up(is_listed: bool) -> None:
    rig = Rig()
    assert [one["channel"] for one in rig.sent] == ["orderbook", "trades", "markprice"]
    for command in rig.sent:
        channel, symbol = command["channel"], command["symbol"]
        named = {"channels": [channel], "symbols": [symbol]} if is_listed else {"channel": channel, "symbol": symbol}
        assert not rig.seen(ConnectorStatus)
        rig.receive({"event": "subscribed"} | named)
    assert [one.is_up for one in rig.seen(ConnectorStatus)] == [True]


def test_book_when_a_message_comes_then_it_replaces_what_was_known() -> None:
    rig = Rig()
    rig.data("orderbook", BOOK)
    rig.data("orderbook", {"lastUpdateId": 11, "bids": [], "asks": [["71036.0", "1"]]})
    first, second = rig.seen(BookSnapshot)
    assert (first.bids, first.asks, first.ts_venue) == (((710_345, 1_234),), ((710_350, 2_345),), 1_711_756_800 * S)
    assert (second.bids, second.asks) == ((), ((710_360, 1_000),))


def test_book_when_its_number_does_not_grow_then_nothing_changes() -> None:
    rig = Rig()
    rig.data("orderbook", BOOK)
    rig.clock.advance(2 * S)
    for number in (9, 10):
        rig.data("orderbook", BOOK | {"lastUpdateId": number, "bids": []})
    assert len(rig.seen(BookSnapshot)) == 1
    assert [one.instrument for one in rig.seen(Heartbeat)] == [BTC.id]


def test_book_when_it_was_lost_then_the_same_book_proves_it_again() -> None:
    rig = Rig()
    rig.data("orderbook", BOOK)
    rig.data("orderbook", {"lastUpdateId": "x"})
    assert len(rig.seen(BookStale)) == 1
    rig.data("orderbook", BOOK)
    assert len(rig.seen(BookSnapshot)) == 2


def test_book_when_it_has_been_quiet_then_it_is_asked_for() -> None:
    rig = Rig()
    for command in list(rig.sent):
        rig.receive({"event": "subscribed", "channel": command["channel"], "symbol": command["symbol"]})
    rig.data("orderbook", BOOK)
    rig.sent.clear()
    for _ in range(2):
        rig.clock.advance(6 * S)
        rig.session.tick(ts_recv=rig.clock.now_ns(), now_ns=rig.clock.monotonic_ns())
    assert {"action": "subscribe", "channel": "orderbook", "symbol": "BTCUSDT"} in rig.sent


def test_message_when_nobody_follows_its_market_or_channel_then_its_data_is_not_read() -> None:
    rig = Rig()
    rig.data("orderbook", {"no": "book"}, symbol="ETHUSDT")
    rig.data("kline", [["anything"]])
    rig.data("ticker", 5)
    assert (rig.counts.strays, rig.counts.unreadable_kinds) == (3, {})


def test_trades_when_messages_repeat_them_then_each_is_published_once_over_all_connections() -> None:
    seen = SeenTrades()
    row = {"id": 1, "price": "71034.5", "qty": "0.123", "time": 1_711_756_800_000, "isBuyerMaker": False}
    first, second = Rig(trades=seen), Rig(trades=seen)
    first.data("trades", [row])
    second.data("trades", [row, row | {"id": 2, "isBuyerMaker": True}])
    (one,) = first.seen(TradePrint)
    assert (one.trade_id, one.price, one.size, one.aggressor) == ("1", 710_345, 123, Side.BUY)
    assert [(one.trade_id, one.aggressor) for one in second.seen(TradePrint)] == [("2", Side.SELL)]


def test_mark_when_it_has_more_digits_than_the_grid_then_they_are_cut() -> None:
    rig = Rig()
    mark = {"symbol": "BTCUSDT", "markPrice": "71045.29", "indexPrice": "71042.80", "fundingRate": "0.00010"}
    rig.data("markprice", mark | {"nextFundingTime": 1_711_760_400_000})
    (one,) = rig.seen(MarkPrice)
    assert (one.mark, one.index, one.funding_rate) == (710_452, 710_428, "0.00010")
    assert one.next_funding_ns == 1_711_760_400 * S


def test_pong_when_it_comes_then_the_venues_clock_is_measured() -> None:
    rig = Rig()
    rig.session.subscriptions.probe(now_ns=rig.clock.monotonic_ns())
    rig.receive({"event": "pong", "ts": 1_711_756_801_000})
    assert abs(rig.time.now_ms() - 1_711_756_801_000) <= 1


@pytest.mark.parametrize("message", [b"", b"[]", b"\xff", b"{", b"[" * 9_000, b'{"channel":5}', b'{"event":{}}'])
def test_message_when_it_is_none_then_it_costs_nothing_else(message: bytes) -> None:
    rig = Rig()
    rig.data("orderbook", BOOK)
    rig.receive(message)
    assert rig.counts.unreadable_kinds == {"message": 1}
    assert not rig.seen(BookStale)
