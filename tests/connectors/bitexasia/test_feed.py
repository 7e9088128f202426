"""The stream's frames through a session: what proves a book, what loses it, and what may be missed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from connectors.bitexasia.feed import CHANNELS, ROLES, BitExAsiaFeed, encode_command
from connectors.bitexasia.wire.messages import MarketRow, instrument_of
from connectors.client.counts import DecodeCounts
from connectors.client.instruments import InstrumentRegistry, ListedInstrument, ReadBegan, Selection
from connectors.client.session import SessionPlan, SessionPorts, StreamBroken, StreamSession
from connectors.client.status import VenueStatus
from connectors.client.subscriptions import Action, Command, Subscriptions
from framework.domain.events import Event
from framework.domain.instruments import FeeSchedule
from framework.domain.market_events import BookLevel, BookSnapshot, BookStale, ConnectorStatus, TradePrint
from framework.domain.orders import Side

S = 1_000_000_000
PAIRS = ("BTC-USD", "ETH-USD")
SNAPSHOT = {
    "type": "snapshot", "channel": "orderbook", "pair": "BTC-USD", "seq": 1000, "ts": 1714521600000,
    "bids": [["62999.50", "0.75"]], "asks": [["63000.00", "1.20"]],
}  # fmt: skip
UPDATE = {
    "type": "update", "channel": "orderbook", "pair": "BTC-USD", "seq": 1001, "prev_seq": 1000, "ts": 1714521600100,
    "changes": [["buy", "62999.50", "0.50"]],
}  # fmt: skip
TRADE = {
    "type": "trade", "channel": "trades", "pair": "BTC-USD", "trade_id": "t1", "price": "63000.00", "size": "0.01",
    "taker_side": "buy", "ts": 1714521600120,
}  # fmt: skip


class Rig:
    """One session on a connection that keeps what is sent."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.sent: list[dict[str, Any]] = []
        self.counts = DecodeCounts()
        self.now_ns = S
        registry = InstrumentRegistry("bx", Selection(("*",)), followed_max=5)
        for pair in PAIRS:
            one = instrument_of(MarketRow(pair, "online", "0.01", "0.01"), "bx", FeeSchedule())
            list(registry.define(ListedInstrument(one), ts_recv=0, began=ReadBegan(0, 0)))
        registry.follow(PAIRS)
        ports = SessionPorts(self.publish, VenueStatus("bx", self.publish), lambda: None)
        plan = SessionPlan(5 * S, 5 * S, ROLES, has_shared_count=False, quiet_ns=4 * S)
        self.session = StreamSession(
            "bx",
            registry.followed,
            Subscriptions(CHANNELS, self.keep, lambda one: encode_command(one, depth=50), awaited=()),
            lambda session: BitExAsiaFeed(session, registry).receive,
            ports=ports,
            plan=plan,
            counts=self.counts,
        )
        self.session.open(ts_recv=0, now_ns=self.now_ns)

    def keep(self, data: bytes) -> None:
        self.sent.append(json.loads(data))

    def publish(self, event: Event, _now_ns: int = 0, _monotonic_ns: int = 0, /) -> None:
        self.events.append(event)

    def take(self, frame: dict[str, Any] | bytes, **changes: Any) -> list[Event]:
        """Receive a frame; the events that come of it."""
        seen = len(self.events)
        data = frame if isinstance(frame, bytes) else json.dumps(frame | changes).encode()
        self.session.receive(data, 7, self.now_ns)
        return self.events[seen:]

    def pass_time(self, ns: int) -> list[Event]:
        """Let time pass and the session do what is due."""
        seen, self.now_ns = len(self.events), self.now_ns + ns
        self.session.tick(ts_recv=7, now_ns=self.now_ns)
        return self.events[seen:]


def test_session_when_opened_then_books_and_trades_of_each_pair_are_asked_for_without_a_signature() -> None:
    books, trades = Rig().sent
    assert books == {
        "op": "subscribe",
        "channels": [{"name": "orderbook", "pair": pair, "depth": 50} for pair in PAIRS],
    }
    assert trades == {"op": "subscribe", "channels": [{"name": "trades", "pair": pair} for pair in PAIRS]}


def test_venue_when_the_first_tick_has_come_then_it_is_up() -> None:
    (status,) = [one for one in Rig().pass_time(S) if isinstance(one, ConnectorStatus)]
    assert status.is_up


def test_book_when_snapshot_and_changes_come_in_order_then_each_is_published() -> None:
    rig = Rig()
    (book,) = rig.take(SNAPSHOT)
    assert isinstance(book, BookSnapshot)
    first, second = rig.take(UPDATE, changes=[["sell", "63001.00", "2"], ["sell", "63000.00", "0"]])
    assert isinstance(first, BookLevel)
    assert isinstance(second, BookLevel)
    assert (first.side, first.price, first.size, second.size) == (Side.SELL, 6_300_000, 0, 200)
    assert len(rig.take(UPDATE, seq=1002, prev_seq=1001)) == 1


def test_change_when_it_comes_twice_then_it_is_taken_once() -> None:
    rig = Rig()
    rig.take(SNAPSHOT)
    assert len(rig.take(UPDATE)) == 1
    assert rig.take(UPDATE) == []
    assert rig.counts.repeated == 1


def test_change_when_one_before_it_is_missing_then_that_book_is_lost_and_subscribed_anew() -> None:
    rig = Rig()
    rig.take(SNAPSHOT)
    rig.take(SNAPSHOT, pair="ETH-USD")
    rig.sent.clear()
    (stale,) = rig.take(UPDATE, seq=1003, prev_seq=1002)
    assert isinstance(stale, BookStale)
    assert stale.instrument == "bx:BTC-USD"
    wanted = [{"name": "orderbook", "pair": "BTC-USD", "depth": 50}]
    assert rig.sent == [{"op": "unsubscribe", "channels": wanted}, {"op": "subscribe", "channels": wanted}]
    assert rig.take(UPDATE, seq=1004, prev_seq=1003) == [], "not before the next snapshot"
    assert len(rig.take(UPDATE, pair="ETH-USD")) == 1, "the other book stands"
    assert len(rig.take(SNAPSHOT, seq=2000)) == 1
    assert len(rig.take(UPDATE, seq=2001, prev_seq=2000)) == 1


def test_change_when_no_snapshot_has_come_then_it_is_dropped() -> None:
    rig = Rig()
    assert rig.take(UPDATE) == []
    assert rig.counts.strays == 1


def test_book_when_it_is_quiet_then_it_is_subscribed_anew_before_it_counts_as_old() -> None:
    rig = Rig()
    for pair in PAIRS:
        rig.take(SNAPSHOT, pair=pair)
    rig.sent.clear()
    rig.pass_time(3 * S)
    rig.take(UPDATE)
    rig.pass_time(3 * S // 2)
    asked = [one["channels"][0]["pair"] for one in rig.sent if one["op"] == "subscribe"]
    assert asked == ["ETH-USD"]


def test_stream_when_quiet_books_are_asked_for_and_nothing_comes_then_they_are_lost_and_the_connection_ends() -> None:
    rig = Rig()
    for pair in PAIRS:
        rig.take(SNAPSHOT, pair=pair)
    assert not [one for one in rig.pass_time(4 * S) if isinstance(one, BookStale)]
    lost = [one for one in rig.pass_time(4 * S) if isinstance(one, BookStale)]
    assert len(lost) == len(PAIRS)
    rig.pass_time(6 * S)
    with pytest.raises(StreamBroken, match="no book came"):
        rig.pass_time(6 * S)


@pytest.mark.parametrize(
    ("frame", "stale"),
    [
        ({**UPDATE, "changes": [["buy", "x", "1"]]}, 1),
        ({**UPDATE, "changes": [["buy", 1, "1"]]}, 1),
        ({**UPDATE, "seq": "1001"}, 1),
        ({**SNAPSHOT, "bids": [["0", "1"]]}, 1),
        ({"type": "update"}, 0),
        (b"{", 2),
        (b"\xff", 2),
        (b"[" * 100_000, 2),
        (b'{"type":7}', 2),
        ({**TRADE, "size": "x"}, 0),
        ({**TRADE, "pair": "XYZ-USD"}, 0),
        ({"type": "error", "code": "depth", "message": "no"}, 0),
        ({"type": "announcement", "pair": "BTC-USD"}, 0),
    ],
)
def test_frame_when_it_can_t_be_read_then_no_more_is_lost_than_what_it_was_about(frame: Any, stale: int) -> None:
    rig = Rig()
    for pair in PAIRS:
        rig.take(SNAPSHOT, pair=pair)
    found = rig.take(frame)
    assert [type(one) for one in found] == [BookStale] * stale


def test_error_when_the_stream_refuses_a_command_then_it_is_said_once() -> None:
    rig = Rig()
    with capture_logs() as lines:
        for _ in range(3):
            rig.take({"type": "error", "code": "depth", "message": "this account has 100"})
    assert [(one["event"], one["code"], one["message"]) for one in lines] == [
        ("the stream refuses a command", "depth", "this account has 100")
    ]


def test_trade_when_it_comes_then_it_is_published() -> None:
    (trade,) = Rig().take(TRADE)
    assert isinstance(trade, TradePrint)
    assert (trade.price, trade.size, trade.aggressor) == (6_300_000, 1, Side.BUY)


def test_books_when_none_ever_comes_then_the_connection_is_given_up() -> None:
    rig = Rig()
    rig.pass_time(S)
    rig.pass_time(6 * S)
    with pytest.raises(StreamBroken, match="no book came"):
        rig.pass_time(6 * S)


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (Action.SUBSCRIBE, ["subscribe"]),
        (Action.ADD, ["subscribe"]),
        (Action.REMOVE, ["unsubscribe"]),
        (Action.UNSUBSCRIBE, ["unsubscribe"]),
        (Action.SNAPSHOT, ["unsubscribe", "subscribe"]),
        (Action.PROBE, []),
    ],
)
def test_command_when_written_then_it_has_the_venue_s_words(action: Action, words: list[str]) -> None:
    frames = encode_command(Command(1, action, "orderbook", symbols=("BTC-USD",)), depth=100)
    assert [json.loads(one)["op"] for one in frames] == words
