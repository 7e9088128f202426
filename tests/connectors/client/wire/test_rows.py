"""Rows of orders, fills, trades, balances and markets by a table of the venue's names: exact, or refused by field."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.client.wire.answers import ErrorShape, UnusableInstrument
from connectors.client.wire.coins import CoinMarket, coin_instrument
from connectors.client.wire.dialect import OrderStates
from connectors.client.wire.rows import RowWords
from framework.domain.instruments import FeeSchedule, InstrumentStatus
from framework.domain.orders import Side

WORDS = RowWords(
    states=OrderStates(frozenset({"NEW"}), frozenset({"DONE"}), frozenset({"CANCELLING"})),
    statuses={"on": InstrumentStatus.ACTIVE},
    market={"symbol": "pair"},
    order={"id": "orderId"},
    sides={"B": Side.BUY, "S": Side.SELL},
)
MARKET = CoinMarket(symbol="BTC-USD", base="BTC", quote="USD", tick="0.05", step="0.0005")
BTC = coin_instrument("tide", MARKET, fees=FeeSchedule(), status=InstrumentStatus.ACTIVE)
ORDER = {
    "orderId": "7",
    "client_id": "tg-1",
    "side": "B",
    "price": "100.05",
    "size": "1",
    "filled": "0.25",
    "state": "NEW",
}
FILL = {"id": 9, "order_id": "7", "side": "S", "price": "100", "size": "1", "fee": "0.1", "role": "MAKER", "time": 5}


def test_order_when_its_row_is_read_then_numbers_are_exact_and_names_are_the_venues() -> None:
    one = WORDS.order_of(ORDER, BTC, 3)
    assert (one.venue_order_id, one.client_order_id, one.side) == ("7", "tg-1", Side.BUY)
    assert (one.price, one.size, one.filled, one.is_open, one.ts_recv) == (10005, 10_000, 2_500, True, 3)


@pytest.mark.parametrize(
    ("state", "is_open", "is_cancelling"), [("DONE", False, False), ("CANCELLING", True, True), ("?", True, False)]
)
def test_order_when_its_state_is_a_word_then_an_unknown_one_keeps_it_open(
    state: str, is_open: bool, is_cancelling: bool
) -> None:
    one = WORDS.order_of(ORDER | {"state": state}, BTC, 3)
    assert (one.is_open, one.is_cancelling) == (is_open, is_cancelling)


@pytest.mark.parametrize(
    "wrong",
    [{"price": "100.005"}, {"price": 100.05}, {"side": "X"}, {"orderId": None}, {"size": []}, {"filled": "NaN"}],
)
def test_order_when_a_field_is_wrong_then_it_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).replace("orderId", "orderId: is missing")):
        WORDS.order_of(ORDER | wrong, BTC, 3)


@pytest.mark.parametrize(("role", "is_maker"), [("MAKER", True), ("taker", False), (True, True), (False, False)])
def test_fill_when_its_role_is_a_text_or_a_flag_then_it_is_read(role: object, is_maker: bool) -> None:
    one = WORDS.fill_of(FILL | {"role": role}, BTC, 3)
    assert (one.fill_id, one.side, one.is_maker) == ("9", Side.SELL, is_maker)
    assert (one.fee, one.ts_venue) == (100_000, 5_000_000)


def test_fill_when_its_role_or_fee_is_none_then_it_is_refused() -> None:
    for wrong in ({"role": "both"}, {"role": None}, {"fee": "0.1234567"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            WORDS.fill_of(FILL | wrong, BTC, 3)


def test_fill_when_the_fee_is_in_another_currency_then_that_is_said() -> None:
    assert WORDS.fill_of(FILL | {"fee_currency": "USD"}, BTC, 3).fee_currency == ""
    assert WORDS.fill_of(FILL | {"fee_currency": "BTC"}, BTC, 3).fee_currency == "BTC"


def test_balance_when_it_is_read_then_what_is_locked_is_the_rest() -> None:
    one = WORDS.balance_of({"currency": "USD", "total": "10", "available": "7.5"}, "tide", 3)
    assert (one.amount, one.available, one.locked) == (10 * 10**8, 75 * 10**7, 25 * 10**7)


def test_book_when_a_side_is_missing_or_no_pair_then_it_is_refused() -> None:
    assert WORDS.book_of({"bids": [["100", "1"]], "asks": []}, BTC).bids == ((10_000, 10_000),)
    for wrong in ({"bids": []}, {"bids": [], "asks": ["1"]}, {"bids": [], "asks": [["1", "2", "3"]]}):
        with pytest.raises(ValueError, match=r"book|unpack"):
            WORDS.book_of(wrong, BTC)


def test_market_when_it_is_read_then_scales_are_those_of_tick_and_step_and_limits_move_to_fewer_orders() -> None:
    row = {"pair": "A-B", "base": "A", "quote": "B", "tick": "0.05", "step": "0.01", "state": "on"}
    one = WORDS.instrument_of(
        row | {"price_max": "9.99", "size_min": "0.021", "size_max": "5.019", "notional_min": "1.00001"}, "tide"
    )
    assert (one.price_decimals, one.size_decimals, one.price_max, one.lot) == (2, 2, 995, 1)
    assert (one.size_min, one.size_max, one.notional_min, one.status) == (3, 501, 10_001, InstrumentStatus.ACTIVE)
    assert WORDS.instrument_of(row | {"state": "odd"}, "tide").status is InstrumentStatus.CLOSED


@pytest.mark.parametrize("wrong", [{"tick": "0"}, {"tick": ""}, {"step": "x"}, {"size_max": "1e99"}])
def test_market_when_its_scales_can_not_be_used_then_it_is_named(wrong: dict[str, str]) -> None:
    with pytest.raises(UnusableInstrument, match="A-B"):
        WORDS.instrument_of(
            {"pair": "A-B", "base": "A", "quote": "B", "tick": "1", "step": "1", "state": "on"} | wrong, "tide"
        )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"failure":{"reason":"late","text":"x"}}', "late"),
        (b'{"failure":{"reason":7}}', "7"),
        (b"<html>", ""),
        (b"[]", ""),
        (b'{"failure":null}', ""),
        (b'{"failure":{"reason":true}}', ""),
    ],
)
def test_error_when_its_body_is_not_of_the_shape_then_it_has_no_code(body: bytes, code: str) -> None:
    shape = ErrorShape(path=("failure",), code="reason", message="text")
    assert shape.read(400, body, 5).code == code
    assert shape.read(400, body, 5).after_ms == 5


def test_number_when_it_is_below_0_then_no_price_size_or_limit_is_made_of_it() -> None:
    for name in ("price", "size", "filled"):
        with pytest.raises(ValueError, match=f"{name}: '-1' is below 0"):
            WORDS.order_of(ORDER | {name: "-1"}, BTC, 3)
    with pytest.raises(ValueError, match="size: '-1' is below 0"):
        WORDS.book_of({"bids": [["100", "-1"]], "asks": []}, BTC)
    with pytest.raises(UnusableInstrument, match="notional_min: '-1' is below 0"):
        WORDS.instrument_of(
            {"pair": "X", "base": "B", "quote": "Q", "tick": "1", "step": "1", "notional_min": "-1"}, "t"
        )
    # A fee may be: a rebate.
    assert WORDS.fill_of(FILL | {"fee": "-0.1"}, BTC, 3).fee == -100_000
