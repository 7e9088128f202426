"""Rows and frames as events: exact numbers, second names, and what can't be read."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from connectors.bitexasia.wire.messages import (
    Balances,
    MarketRow,
    OrderRow,
    balances_of,
    book_of,
    decode_frame,
    decode_order,
    instrument_of,
    levels_of,
    order_of,
    trade_of,
)
from connectors.client.wire.answers import UnusableInstrument
from framework.domain.instruments import FeeSchedule, Instrument, InstrumentStatus
from framework.domain.numbers import Price
from framework.domain.orders import Side

FEES = FeeSchedule(taker_rate="0.002", maker_rate="0.001")
ORDER = {
    "id": "o-1", "client_order_id": "tg-1", "pair": "BTC-USD", "side": "buy", "type": "limit", "price": "63000.00",
    "size": "0.05", "filled_size": "0.03", "remaining_size": "0.02", "avg_fill_price": "60000.66666667",
    "state": "partially_filled", "created_at": 1714521600000, "time_in_force": "gtc",
}  # fmt: skip
SNAPSHOT = (
    b'{"type":"snapshot","channel":"orderbook","pair":"BTC-USD","seq":1001,"ts":1714521600000,'
    b'"bids":[["62999.50","0.75"]],"asks":[["63000.00","1.20"]]}'
)
UPDATE = (
    b'{"type":"update","channel":"orderbook","pair":"BTC-USD","seq":1002,"prev_seq":1001,"ts":1714521600100,'
    b'"changes":[["buy","63000.50","0.4"],["sell","63000.00","0"]]}'
)
TRADE = (
    b'{"type":"trade","channel":"trades","pair":"BTC-USD","trade_id":"t1","price":"63000.00","size":"0.01",'
    b'"taker_side":"buy","ts":1714521600120}'
)


def btc() -> Instrument:
    return instrument_of(MarketRow("BTC-USD", "online", "0.01", "0.01"), "bx", FEES)


def row(**changes: Any) -> OrderRow:
    """The order with these fields changed; None leaves one out."""
    fields = {name: value for name, value in (ORDER | changes).items() if value is not None}
    return decode_order(msgspec.json.encode(fields))


def test_market_when_read_then_tick_and_step_are_its_grid() -> None:
    one = btc()
    assert (one.id, one.price_decimals, one.size_decimals, one.size_min, one.lot) == ("bx:BTC-USD", 2, 2, 1, 1)
    assert (one.base_currency, one.quote_currency, one.status) == ("BTC", "USD", InstrumentStatus.ACTIVE)
    coarse = instrument_of(MarketRow("ETH-USD", "paused", "0.5", "0.025"), "bx", FEES)
    assert (coarse.price_decimals, coarse.tick_bands[0].step, coarse.size_min, coarse.lot) == (1, 5, 25, 1)
    assert coarse.status is InstrumentStatus.PAUSED
    whole = instrument_of(MarketRow("DOGE-USD", "halted", "0.00001", "5"), "bx", FEES)
    assert (whole.size_decimals, whole.size_min, whole.status) == (0, 5, InstrumentStatus.CLOSED)


@pytest.mark.parametrize(
    ("change", "field"),
    [({"pair": "BTCUSD"}, "BTCUSD"), ({"tick_size": "0"}, "tick"), ({"min_order_size": "x"}, "min_order_size")],
)
def test_market_when_it_can_t_be_traded_then_pair_and_field_are_named(change: dict[str, str], field: str) -> None:
    fields = {"pair": "BTC-USD", "status": "online", "tick_size": "0.01", "min_order_size": "0.01"} | change
    with pytest.raises(UnusableInstrument, match=field):
        instrument_of(MarketRow(**fields), "bx", FEES)


def test_order_when_read_then_cost_is_average_times_filled_to_the_nearest_unit() -> None:
    found = order_of(row(), btc(), 7)
    assert (found.venue_order_id, found.client_order_id, found.side) == ("o-1", "tg-1", Side.BUY)
    assert (found.price, found.size, found.filled, found.is_open) == (6_300_000, 5, 3, True)
    assert found.cost == 18_000_200, "1,800.02 at four decimals, though the average has eight digits"
    assert (found.ts_recv, found.created_ns) == (7, 1_714_521_600_000_000_000)


@pytest.mark.parametrize(
    "change",
    [
        {"id": None, "order_id": "o-1"},
        {"state": None, "status": "partially_filled"},
        {"avg_fill_price": None, "average_price": "60000.66666667"},
        {"filled_size": None},
        {"remaining_size": None},
        {"created_at": "2024-05-01T00:00:00Z"},
        {"price": "63000"},
    ],
)
def test_order_when_a_field_has_its_other_form_then_it_is_read_alike(change: dict[str, Any]) -> None:
    assert order_of(row(**change), btc(), 7) == order_of(row(), btc(), 7)


@pytest.mark.parametrize(
    ("state", "is_open"),
    [
        ("new", True),
        ("open", True),
        ("triggered", True),
        ("cancelled", False),
        ("canceled", False),
        ("expired", False),
        ("rejected", False),
        ("filled", False),
        ("on_hold", True),
    ],
)
def test_state_when_read_then_one_that_nobody_knows_keeps_the_order_open(state: str, is_open: bool) -> None:
    assert order_of(row(state=state), btc(), 7).is_open is is_open


def test_market_order_when_it_states_no_price_then_ours_stands_in() -> None:
    market = row(price=None, type="market")
    assert order_of(market, btc(), 7, price=Price(6_400_000)).price == 6_400_000
    with pytest.raises(ValueError, match="price: None is none"):
        order_of(market, btc(), 7)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": None}, "id"),
        ({"state": None}, "state"),
        ({"side": "hold"}, "side"),
        ({"price": "-63000.00"}, "price"),
        ({"price": "0"}, "price"),
        ({"avg_fill_price": "9" * 16, "size": "9" * 12, "filled_size": "9" * 12}, "avg_fill_price"),
        ({"size": "0.001"}, "size"),
        ({"filled_size": "0.06"}, "filled_size"),
        ({"filled_size": "-0.01"}, "filled_size"),
        ({"filled_size": None, "remaining_size": None}, "remaining_size"),
        ({"avg_fill_price": "1e5"}, "avg_fill_price"),
        ({"avg_fill_price": "nan"}, "avg_fill_price"),
        ({"created_at": "yesterday"}, "time"),
    ],
)
def test_order_when_a_field_can_t_be_read_then_it_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        order_of(row(**change), btc(), 7)


def test_order_when_a_number_is_no_text_then_it_is_not_taken() -> None:
    with pytest.raises(msgspec.ValidationError):
        row(size=0.05)


def test_balances_when_read_then_margin_and_earn_have_names_of_their_own() -> None:
    raw: dict[str, dict[str, dict[str, str]]] = {
        "spot": {"USD": {"total": "10.5", "available": "4.25"}},
        "margin": {"USD": {"total": "7", "available": "7"}},
        "earn": {"BTC": {"total": "1", "available": "0"}},
    }
    found = {one.currency: one for one in balances_of(msgspec.convert(raw, Balances), "bx", 5)}
    assert set(found) == {"USD", "margin:USD", "earn:BTC"}
    spot = found["USD"]
    assert (spot.amount, spot.available, spot.locked, spot.decimals) == (1_050_000_000, 425_000_000, 625_000_000, 8)


def test_book_when_read_then_it_has_every_level() -> None:
    book = book_of(decode_frame(SNAPSHOT), btc(), 9)
    assert (book.bids, book.asks) == (((6_299_950, 75),), ((6_300_000, 120),))
    assert (book.ts_venue, book.ts_recv) == (1_714_521_600_000_000_000, 9)


def test_changes_when_read_then_those_that_remove_come_first_so_that_no_book_is_crossed_in_between() -> None:
    levels = levels_of(decode_frame(UPDATE), btc(), 9)
    assert [(one.side, one.price, one.size) for one in levels] == [
        (Side.SELL, 6_300_000, 0),
        (Side.BUY, 6_300_050, 40),
    ]


def test_trade_when_read_then_it_has_the_taker_s_side() -> None:
    trade = trade_of(decode_frame(TRADE), btc(), 9)
    assert (trade.trade_id, trade.price, trade.size, trade.aggressor) == ("t1", 6_300_000, 1, Side.BUY)


@pytest.mark.parametrize(
    ("raw", "old", "new"),
    [
        (SNAPSHOT, b"62999.50", b"0"),
        (SNAPSHOT, b"62999.50", b"62999.505"),
        (SNAPSHOT, b'"0.75"', b'"0"'),
        (SNAPSHOT, b'"0.75"', b'"-1"'),
        (UPDATE, b'"0.4"', b'"-0.4"'),
        (UPDATE, b'"buy"', b'"bid"'),
        (TRADE, b'"63000.00"', b'"0"'),
        (TRADE, b'"taker_side":"buy"', b'"taker_side":""'),
        (TRADE, b'"size":"0.01"', b'"size":"x"'),
    ],
)
def test_frame_when_a_value_is_impossible_then_it_is_refused(raw: bytes, old: bytes, new: bytes) -> None:
    assert old in raw
    frame = decode_frame(raw.replace(old, new))
    read = {"snapshot": book_of, "update": levels_of, "trade": trade_of}[frame.type]
    with pytest.raises(ValueError, match=r"[a-z]"):
        read(frame, btc(), 9)
