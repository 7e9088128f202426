"""Stream frames as events. Frames with the LEP ticker are recorded."""

from __future__ import annotations

import msgspec
import pytest

from connectors.client.counts import DecodeCounts
from connectors.kalshi.wire import decode_stream as decode_ws
from connectors.kalshi.wire import stream_messages
from connectors.kalshi.wire.decode_stream import FrameDecoder, NotAFrame
from framework.domain.instruments import InstrumentId
from framework.domain.market_events import BookDelta
from framework.domain.orders import Side

ID = InstrumentId("kalshi:LEP")
SNAPSHOT = (
    b'{"type":"orderbook_snapshot","sid":1,"seq":1,"msg":{"market_ticker":"LEP","market_id":"f5ed38e2",'
    b'"yes_dollars_fp":[["0.4700","3.00"]],"no_dollars_fp":[["%s","2.00"]]}}'
)
DELTA = (
    b'{"type":"orderbook_delta","sid":1,"seq":3,"msg":{"market_ticker":"LEP","market_id":"f5ed38e2",'
    b'"price_dollars":"%s","delta_fp":"-2.00","side":"no","ts":"2026-06-11T06:31:29.957466Z","ts_ms":1781159489957}}'
)
FILL = (
    b'{"type":"fill","sid":13,"sending_ts_ms":1,"msg":{"trade_id":"t","order_id":"o","client_order_id":"c",'
    b'"market_ticker":"LEP","exchange_index":2,"is_taker":false,"side":"yes","yes_price_dollars":"0.7500",'
    b'"count_fp":"278.00","fee_cost":"0.010000","action":"sell","ts":1,"ts_ms":1000,"post_position_fp":"500.00",'
    b'"purchased_side":"no","outcome_side":"no","book_side":"ask","subaccount":3}}'
)
USER_ORDER = (
    b'{"type":"user_order","sid":22,"msg":{"order_id":"o","user_id":"u","ticker":"LEP","exchange_index":0,'
    b'"status":"canceled","side":"yes","is_yes":true,"outcome_side":"yes","book_side":"bid",'
    b'"yes_price_dollars":"0.3500","fill_count_fp":"2.00","remaining_count_fp":"0.00","initial_count_fp":"10.00",'
    b'"client_order_id":"c","created_ts_ms":1,"expiration_ts_ms":2,"last_updated_ts_ms":3,'
    b'"last_update_reason":"CloseCancel","subaccount_number":0}}'
)
TRADE = (
    b'{"type":"trade","sid":2,"seq":2,"msg":{"trade_id":"u","market_ticker":"LEP","yes_price_dollars":"0.3600",'
    b'"no_price_dollars":"0.6400","count_fp":"136.00","taker_side":"no","taker_outcome_side":"no",'
    b'"taker_book_side":"ask","is_block_trade":false,"ts":1669149841,"ts_ms":1669149841000}}'
)


def decoder() -> tuple[FrameDecoder, DecodeCounts]:
    counts = DecodeCounts()
    return FrameDecoder(counts), counts


def message(data: bytes) -> object:
    frame = decoder()[0].decode(data)
    assert not isinstance(frame, (stream_messages.OtherFrame, stream_messages.UnsubscribedFrame))
    assert not isinstance(frame, stream_messages.OkFrame)
    return frame.msg


def delta(price: bytes, *, yes_prices: bool) -> BookDelta:
    msg = message(DELTA % price)
    assert isinstance(msg, stream_messages.BookDeltaMsg)
    return decode_ws.book_delta(msg, ID, 7, yes_prices=yes_prices)


def test_delta_when_prices_are_yes_or_no_prices_then_the_book_is_the_same() -> None:
    assert delta(b"0.5200", yes_prices=True) == delta(b"0.4800", yes_prices=False)
    assert delta(b"0.5200", yes_prices=True) == BookDelta(ID, 1_781_159_489_957_000_000, 7, Side.SELL, 5200, -200)  # type: ignore[arg-type]


def test_snapshot_when_prices_are_yes_or_no_prices_then_the_book_is_the_same() -> None:
    for price, yes_prices in ((b"0.5200", True), (b"0.4800", False)):
        msg = message(SNAPSHOT % price)
        assert isinstance(msg, stream_messages.BookSnapshotMsg)
        book = decode_ws.book_snapshot(msg, ID, 7, yes_prices=yes_prices)
        assert (book.bids, book.asks) == (((4700, 300),), ((5200, 200),))


def test_snapshot_when_the_book_is_empty_then_both_keys_are_missing() -> None:
    msg = message(b'{"type":"orderbook_snapshot","sid":1,"seq":1,"msg":{"market_ticker":"LEP","clock":4}}')
    assert isinstance(msg, stream_messages.BookSnapshotMsg)
    book = decode_ws.book_snapshot(msg, ID, 7)
    assert (book.bids, book.asks) == ((), ())


def test_delta_when_the_side_is_neither_yes_nor_no_then_it_is_refused() -> None:
    with pytest.raises(ValueError, match="side"):
        decode_ws.book_delta(stream_messages.BookDeltaMsg("LEP", "0.52", "1.00", "both"), ID, 7)


def test_fill_when_we_sold_yes_then_side_fee_and_role_are_ours() -> None:
    msg = message(FILL)
    assert isinstance(msg, stream_messages.FillMsg)
    fill = decode_ws.fill_of(msg, venue="kalshi", ts_recv=7)
    assert (fill.side, fill.price, fill.size, fill.fee, fill.is_maker) == (Side.SELL, 7500, 27_800, 10_000, True)
    assert (fill.fill_id, fill.client_order_id, fill.ts_venue) == ("t", "c", 1_000_000_000)


def test_order_when_closed_by_the_venue_then_it_ends_with_its_reason() -> None:
    msg = message(USER_ORDER)
    assert isinstance(msg, stream_messages.UserOrderMsg)
    snapshot = decode_ws.order_snapshot(msg, venue="kalshi", ts_recv=7)
    assert (snapshot.size, snapshot.filled, snapshot.is_open, snapshot.reason) == (
        1000,
        200,
        False,
        "cancelled: the market closed",
    )


def test_trade_when_the_taker_sold_then_the_aggressor_sells() -> None:
    msg = message(TRADE)
    assert isinstance(msg, stream_messages.TradeMsg)
    printed = decode_ws.trade_print(msg, ID, 7)
    assert (printed.price, printed.size, printed.aggressor) == (3600, 13_600, Side.SELL)


def test_frame_when_its_type_is_new_then_it_is_counted_and_keeps_its_number() -> None:
    frames, counts = decoder()
    frame = frames.decode(b'{"type":"event_lifecycle","sid":4,"seq":9,"msg":{"x":1}}')
    assert isinstance(frame, stream_messages.OtherFrame)
    assert (frame.type, frame.sid, frame.seq) == ("event_lifecycle", 4, 9)
    assert (counts.unknown_types, counts.unreadable) == ({"event_lifecycle": 1}, 0)


def test_frame_when_a_known_type_has_a_new_shape_then_it_is_unreadable_and_keeps_its_number() -> None:
    frames, counts = decoder()
    frame = frames.decode(b'{"type":"orderbook_delta","sid":4,"seq":9,"msg":{"market_ticker":"LEP","price":47}}')
    assert isinstance(frame, stream_messages.OtherFrame)
    assert (frame.type, frame.seq, counts.unreadable) == ("orderbook_delta", 9, 1)


def test_frame_when_it_has_new_fields_then_they_are_named_once_and_the_rest_is_read() -> None:
    frames, counts = decoder()
    newer = msgspec.json.decode(TRADE)
    newer["msg"]["venue_mood"] = "fine"
    newer["extra"] = 1
    for _ in range(3):
        assert isinstance(frames.decode(msgspec.json.encode(newer)), stream_messages.TradeFrame)
    assert counts.unknown_fields == {"trade.extra": 1, "trade.msg.venue_mood": 1}


@pytest.mark.parametrize("frame", [SNAPSHOT % b"0.48", DELTA % b"0.48", FILL, USER_ORDER, TRADE])
def test_frame_when_it_is_as_documented_then_no_field_is_unknown(frame: bytes) -> None:
    frames, counts = decoder()
    frames.decode(frame)
    assert counts == DecodeCounts()


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"heartbeat", b'"x"', b"\xff"])
def test_message_when_it_is_no_frame_then_the_stream_is_broken(data: bytes) -> None:
    with pytest.raises(NotAFrame):
        decoder()[0].decode(data)


def test_counts_when_names_never_end_then_the_table_does() -> None:
    counts = DecodeCounts()
    for number in range(1000):
        counts.count(counts.unknown_types, f"t{number}")
    assert len(counts.unknown_types) == 65
    assert sum(counts.unknown_types.values()) == 1000
