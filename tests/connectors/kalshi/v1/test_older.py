"""The older generation's shapes, put into those of the current one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from connectors.client.counts import DecodeCounts
from connectors.kalshi.v1.older import current_body, current_frame
from connectors.kalshi.wire.account_messages import FillsPage, OrdersPage, PositionsPage
from connectors.kalshi.wire.decode_rest import rest_fill, rest_order_snapshot, rest_position
from connectors.kalshi.wire.decode_stream import FrameDecoder, book_delta, book_snapshot, fill_of, trade_print
from connectors.kalshi.wire.stream_messages import DeltaFrame, FillFrame, OtherFrame, SnapshotFrame, TradeFrame
from framework.domain.instruments import InstrumentId
from framework.domain.orders import Side

HERE = InstrumentId("kalshi:T")
ORDER = {"order_id": "o", "ticker": "T", "status": "resting", "client_order_id": "c", "action": "buy", "side": "no"}
ORDER |= {"yes_price": 70, "no_price": 30, "fill_count": 1, "remaining_count": 4, "initial_count": 5}  # type: ignore[dict-item]
FILL = {"trade_id": "t", "order_id": "o", "ticker": "T", "action": "sell", "side": "yes", "count": 2, "yes_price": 9}
FILL |= {"no_price": 91, "is_taker": True, "fee_cost": "0.020000", "ts": 5}


def decoded(kind: str, msg: dict[str, Any]) -> Any:
    frame = {"type": kind, "sid": 1, "seq": 2, "msg": {"market_ticker": "T"} | msg}
    return FrameDecoder(DecodeCounts(), current_frame).decode(msgspec.json.encode(frame))


def test_order_when_it_is_in_cents_then_it_reads_as_an_order_in_yes_terms() -> None:
    page = msgspec.json.decode(current_body(msgspec.json.encode({"orders": [ORDER], "cursor": ""})), type=OrdersPage)
    order = rest_order_snapshot(page.orders[0], venue="kalshi", ts_recv=1)
    assert (order.side, order.price, order.size, order.filled) == (Side.SELL, 7_000, 500, 100)


@pytest.mark.parametrize(
    ("action", "side", "is_bid"),
    [("buy", "yes", True), ("sell", "no", True), ("buy", "no", False), ("sell", "yes", False)],
)
def test_direction_when_action_and_side_say_it_then_selling_no_buys_yes(action: str, side: str, is_bid: bool) -> None:
    rows = {"orders": [ORDER | {"action": action, "side": side}]}
    page = msgspec.json.decode(current_body(msgspec.json.encode(rows)), type=OrdersPage)
    assert page.orders[0].book_side == ("bid" if is_bid else "ask")


def test_fill_and_position_when_they_are_numbers_then_they_read_like_today_s() -> None:
    fills = msgspec.json.decode(current_body(msgspec.json.encode({"fills": [FILL]})), type=FillsPage)
    fill = rest_fill(fills.fills[0], venue="kalshi", ts_recv=1)
    assert (fill.side, fill.price, fill.size, fill.fee) == (Side.SELL, 900, 200, 20_000)
    row = {"market_positions": [{"ticker": "T", "position": -3}]}
    page = msgspec.json.decode(current_body(msgspec.json.encode(row)), type=PositionsPage)
    assert rest_position(page.market_positions[0], venue="kalshi", ts_recv=1).size == -300


@pytest.mark.parametrize(
    "body",
    [
        b'{"orders":[{"yes_price_dollars":"0.5600","fill_count_fp":"1.00"}],"cursor":""}',
        b'{"balance":9801,"balance_dollars":"98.0186"}',
        b'{"count": 3',
        b"",
        b'{"note":"yes_price: 3"}',
    ],
)
def test_body_when_nothing_in_it_is_older_or_it_is_no_json_then_it_stays_byte_for_byte(body: bytes) -> None:
    assert current_body(body) == body


def test_row_when_it_has_both_shapes_then_the_texts_count() -> None:
    both = ORDER | {"yes_price_dollars": "0.7050", "fill_count_fp": "1.50", "book_side": "bid"}
    row = msgspec.json.decode(current_body(msgspec.json.encode({"orders": [both]})))["orders"][0]
    assert (row["yes_price_dollars"], row["fill_count_fp"], row["book_side"]) == ("0.7050", "1.50", "bid")


def test_book_when_it_is_in_cents_then_no_levels_are_asks_at_yes_prices() -> None:
    frame = decoded("orderbook_snapshot", {"yes": [[41, 3], [42, 5]], "no": [[54, 7], [56, 1]]})
    assert isinstance(frame, SnapshotFrame)
    book = book_snapshot(frame.msg, HERE, 1)
    assert (book.bids, book.asks) == (((4_100, 300), (4_200, 500)), ((4_600, 700), (4_400, 100)))


def test_book_when_one_side_of_it_is_empty_then_the_other_is_read() -> None:
    frame = decoded("orderbook_snapshot", {"no": [[54, 7]], "yes": None})
    assert (frame.msg.yes_dollars_fp, frame.msg.no_dollars_fp) == ((), (("0.46", "7"),))


@pytest.mark.parametrize(("side", "expected"), [("yes", (Side.BUY, 3_000)), ("no", (Side.SELL, 7_000))])
def test_change_when_it_is_in_cents_then_a_no_price_is_complemented(side: str, expected: tuple[Side, int]) -> None:
    msg = {"price": 30, "price_dollars": "0.3000", "delta": -4, "side": side, "ts": "2026-01-01T00:00:00Z"}
    frame = decoded("orderbook_delta", msg)
    assert isinstance(frame, DeltaFrame)
    change = book_delta(frame.msg, HERE, 1)
    assert ((change.side, change.price), change.change) == (expected, -400)


def test_trade_and_fill_when_they_are_in_cents_then_they_read_like_today_s() -> None:
    trade = decoded("trade", {"trade_id": "t", "yes_price": 36, "no_price": 64, "count": 136, "taker_side": "no"})
    assert isinstance(trade, TradeFrame)
    shown = trade_print(trade.msg, HERE, 1)
    assert (shown.price, shown.size, shown.aggressor) == (3_600, 13_600, Side.SELL)
    fill = decoded("fill", FILL | {"market_ticker": "T"})
    assert isinstance(fill, FillFrame)
    assert (fill_of(fill.msg, venue="kalshi", ts_recv=1).side, fill.msg.count_fp) == (Side.SELL, "2")


@pytest.mark.parametrize(
    ("kind", "msg"),
    [
        ("orderbook_snapshot", {"yes": [["41", 3]]}),
        ("orderbook_snapshot", {"yes": [[41, 3, 9]]}),
        ("orderbook_snapshot", {"yes": 3}),
        ("orderbook_delta", {"price": True, "delta": 3, "side": "yes"}),
        ("orderbook_delta", {"price": 30, "delta": "3", "side": "yes"}),
        ("trade", {"trade_id": "t", "yes_price": "36", "count": 1}),
    ],
)
def test_frame_when_it_is_of_neither_generation_then_it_is_unreadable_and_keeps_its_number(
    kind: str, msg: dict[str, Any]
) -> None:
    frame = decoded(kind, msg)
    assert isinstance(frame, OtherFrame)
    assert (frame.type, frame.seq, frame.market) == (kind, 2, "T")
