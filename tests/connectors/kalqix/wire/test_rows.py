"""Rows of both dialects as the toolkit reads them: numbers exact or refused by name, times in whatever unit."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.client.wire.decimals import NS_PER_S
from connectors.kalqix.dialect import WORDS
from connectors.kalqix.wire.rows import Market, RowReader, grouping_of, market_of, symbol_of
from framework.domain.instruments import Instrument, InstrumentStatus
from framework.domain.orders import Side

MARKET_ROW: dict[str, Any] = {
    "ticker": "BTC_USDC", "market_id": 1, "name": "Bitcoin", "base_asset": "BTC", "quote_asset": "USDC",
    "base_asset_id": 2, "quote_asset_id": 1, "base_asset_decimals": "8", "quote_asset_decimals": "6",
    "tick_size": "0.01", "step_size": "0.0001", "min_price": "0.01", "min_quantity": "0.0005",
    "min_trade_size": "5", "market_order_margin_percent": 5, "max_price_deviation_percent": 20, "maker_fee": "0.01",
    "taker_fee": "0.025", "status": "ACTIVE",
}  # fmt: skip
ORDER_ROW: dict[str, Any] = {
    "market": 1, "ticker": "BTC/USDC", "order_id": "o-1", "price": "63000.5", "quantity": "0.1",
    "remaining_quantity": "0.04", "side": "BUY", "order_type": "LIMIT", "timestamp": "2026-01-15T10:30:00Z",
    "status": "PARTIALLY_FILLED", "signature": "0x1",
}  # fmt: skip
TRADE_ROW: dict[str, Any] = {
    "trade_id": "t-1", "maker_order_id": "o-1", "taker_order_id": "o-2", "price": "63000", "quantity": "0.1",
    "timestamp": 1_767_225_600_000_001, "ticker": "BTC/USDC", "maker_side": "BUY", "maker_fee": "0.63",
    "taker_fee": "1.575",
}  # fmt: skip
KNOWN = {"BTC_USDC": Market(1, 8, 6, 6)}
SINCE_S = 1_767_225_600


def reader(*, is_b: bool = False) -> RowReader:
    return RowReader(has_base_units=is_b, markets=KNOWN)


def instrument(**changes: Any) -> Instrument:
    return WORDS.instrument_of(reader().market(MARKET_ROW | changes), "kalqix")


def test_market_when_it_is_listed_then_grid_limits_and_fees_are_its_own() -> None:
    one = instrument()
    assert (one.id, one.price_decimals, one.size_decimals, one.lot) == ("kalqix:BTC_USDC", 2, 4, 1)
    assert (one.size_min, one.notional_min, one.base_currency, one.quote_currency) == (5, 5 * 10**6, "BTC", "USDC")
    assert (one.fees.taker_rate, one.fees.maker_rate) == ("0.00025", "0.0001")
    assert market_of(MARKET_ROW) == KNOWN["BTC_USDC"]


def test_market_of_b_when_minimums_are_base_units_then_the_decimals_beside_them_count() -> None:
    row = MARKET_ROW | {
        "ticker": "BTC/USDC", "min_quantity": "50000", "min_quantity_formatted": "0.0005",
        "min_trade_size": "5000000", "min_trade_size_formatted": "5",
    }  # fmt: skip
    assert WORDS.instrument_of(reader(is_b=True).market(row), "kalqix") == instrument()
    bare = {name: value for name, value in row.items() if not name.endswith("_formatted")}
    assert WORDS.instrument_of(reader(is_b=True).market(bare), "kalqix") == instrument()


@pytest.mark.parametrize(
    ("status", "meant"),
    [
        ("ACTIVE", InstrumentStatus.ACTIVE),
        ("CLOSED", InstrumentStatus.CLOSED),
        ("PAUSED", InstrumentStatus.PAUSED),
        ("SOMETHING_NEW", InstrumentStatus.PAUSED),
        (None, InstrumentStatus.PAUSED),
    ],
)
def test_market_when_its_status_is_not_known_then_it_takes_no_orders(status: object, meant: InstrumentStatus) -> None:
    assert instrument(status=status).status is meant


@pytest.mark.parametrize("field", ["tick_size", "step_size", "base_asset"])
def test_market_when_a_field_can_not_be_read_then_it_is_named(field: str) -> None:
    with pytest.raises(ValueError, match={"tick_size": "tick", "step_size": "step", "base_asset": "base"}[field]):
        instrument(**{field: {"no": "text"}})


@pytest.mark.parametrize(
    ("row", "is_b"),
    [
        (ORDER_ROW, False),
        (ORDER_ROW | {"price": "63000500000", "quantity": "10000000", "remaining_quantity": "4000000"}, True),
        (
            ORDER_ROW | {"price": "1", "price_formatted": "63000.5", "quantity": "1", "quantity_formatted": "0.1"}
            | {"remaining_quantity": "1", "remaining_quantity_formatted": "0.04"},
            True,
        ),
    ],
)  # fmt: skip
def test_order_when_it_has_traded_in_part_then_filled_is_what_does_not_remain(row: dict[str, Any], is_b: bool) -> None:
    one = WORDS.order_of(reader(is_b=is_b).order(row), instrument(), 5)
    assert (one.venue_order_id, one.side, one.price, one.size, one.filled) == ("o-1", Side.BUY, 6_300_050, 1_000, 600)
    assert (one.is_open, one.is_cancelling, one.reason) == (True, False, "")
    assert one.created_ns == 1_768_473_000 * NS_PER_S


@pytest.mark.parametrize(
    ("status", "is_open", "is_cancelling"),
    [
        ("PENDING", True, False),
        ("CANCELLATION_REQUESTED", True, True),
        ("CANCELLED", False, False),
        ("EXPIRED", False, False),
        ("EXPIRED_IN_MATCH", False, False),
        ("FAILED", False, False),
        ("A_NEW_WORD", True, False),
    ],
)
def test_order_when_it_has_a_status_then_it_is_open_unless_that_says_otherwise(
    status: str, is_open: bool, is_cancelling: bool
) -> None:
    one = WORDS.order_of(reader().order(ORDER_ROW | {"status": status}), instrument(), 5)
    assert (one.is_open, one.is_cancelling) == (is_open, is_cancelling)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"quantity": "0.00001"}, "size"),
        ({"price": "63000.001"}, "price"),
        ({"remaining_quantity": None}, "filled: is missing"),
        ({"remaining_quantity": "x"}, "filled: is missing"),
        ({"order_id": None}, "id: is missing"),
        ({"side": "buy"}, "side: is missing"),
        ({"quantity": "1e999999"}, "size: '1e999999' is too large"),
        ({"timestamp": "yesterday"}, "time"),
    ],
)
def test_order_when_a_field_can_not_be_read_then_it_is_named(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        WORDS.order_of(reader().order(ORDER_ROW | changes), instrument(), 5)


def test_order_of_b_when_base_units_are_finer_than_the_grid_then_it_is_refused() -> None:
    row = ORDER_ROW | {"price": "63000500001", "quantity": "10000000", "remaining_quantity": "0"}
    with pytest.raises(ValueError, match="price"):
        WORDS.order_of(reader(is_b=True).order(row), instrument(), 5)


def test_amount_with_18_decimals_when_ten_coins_are_ordered_then_it_is_exact() -> None:
    markets = {"ETH_USDC": Market(2, 18, 6, 6)}
    row = ORDER_ROW | {"ticker": "ETH/USDC", "price": "2500000000", "quantity": str(10**19), "remaining_quantity": "1"}
    neutral = RowReader(has_base_units=True, markets=markets).order(row)
    assert (neutral["size"], neutral["filled"]) == ("10.000000000000000000", "9.999999999999999999")


def test_public_trade_when_it_is_read_then_its_side_is_the_takers() -> None:
    one = WORDS.trade_of(reader().trade(TRADE_ROW), instrument(), 5)
    assert (one.trade_id, one.price, one.size, one.aggressor) == ("t-1", 6_300_000, 1_000, Side.SELL)
    assert one.ts_venue == SINCE_S * NS_PER_S + 1_000


@pytest.mark.parametrize(
    ("own", "parts"),
    [
        ({"o-1": True}, [("t-1", "o-1", "buy", "maker", "0.630000")]),
        ({"o-2": True, "o-1": False}, [("t-1", "o-2", "sell", "taker", "1.575000")]),
        (
            {"o-1": True, "o-2": True},
            [("t-1:maker", "o-1", "buy", "maker", "0.630000"), ("t-1", "o-2", "sell", "taker", "1.575000")],
        ),
        ({}, []),
    ],
)
def test_own_trade_of_a_when_orders_are_ours_then_their_parts_are_fills(
    own: dict[str, bool], parts: list[tuple[str, ...]]
) -> None:
    found = reader().fills([TRADE_ROW], own)
    assert [tuple(row[name] for name in ("id", "order_id", "side", "role", "fee")) for row in found] == parts


@pytest.mark.parametrize("own", [{"o-1": True}, {"o-2": True}, {"o-1": True, "o-2": True}])
def test_own_trade_when_its_row_comes_twice_as_a_list_grows_then_it_is_what_it_was(own: dict[str, bool]) -> None:
    assert reader().fills([TRADE_ROW, TRADE_ROW], own) == reader().fills([TRADE_ROW], own)


def test_own_trade_of_b_when_it_states_role_and_fee_then_those_count() -> None:
    row = TRADE_ROW | {
        "price": "63000000000", "quantity": "10000000", "role": "TAKER", "fee": "1575000", "fee_formatted": "1.575",
    }  # fmt: skip
    (part,) = reader(is_b=True).fills([row], {})
    fill = WORDS.fill_of(part, instrument(), 5)
    assert (fill.venue_order_id, fill.side, fill.is_maker, fill.fee) == ("o-2", Side.SELL, False, 1_575_000)


def test_fee_when_it_has_more_digits_than_our_money_then_it_is_rounded_against_us() -> None:
    (part,) = reader().fills([TRADE_ROW | {"maker_fee": "0.63000000001"}], {"o-1": True})
    assert part["fee"] == "0.630001"


def test_balance_when_it_is_finer_than_is_kept_then_the_dust_is_left_out() -> None:
    row = {"asset": "ETH", "available_formatted": "1.123456789012345678", "locked_formatted": "2", "available": "9"}
    one = WORDS.balance_of(reader().balance(row), "kalqix", 5)
    assert (one.currency, one.amount, one.available, one.locked) == ("ETH", 312_345_678, 112_345_678, 200_000_000)
    with pytest.raises(ValueError, match="total: is missing"):
        WORDS.balance_of(reader().balance({"asset": "ETH", "available_formatted": "1"}), "kalqix", 5)


@pytest.mark.parametrize("nested", [False, True])
def test_book_when_its_sides_are_flat_or_nested_then_it_is_the_same(nested: bool) -> None:
    bids = [{"price": "63000", "quantity": "0.006"}, {"price": "62987.4", "quantity": "1"}]
    sides: dict[str, Any] = {"BUY": [bids] if nested else bids, "SELL": []}
    book = reader().book(sides, instrument())
    assert book.bids == ((6_300_000, 60), (6_298_740, 10_000))
    assert book.asks == ()


@pytest.mark.parametrize("side", [None, "x", [1], [{"price": "1"}], [{"price": "x", "quantity": "1"}]])
def test_book_when_a_side_can_not_be_read_then_it_is_refused(side: object) -> None:
    with pytest.raises(ValueError, match=r"book|price|size"):
        reader().book({"BUY": side, "SELL": []}, instrument())


@pytest.mark.parametrize(("tick", "grouping"), [("0.01", "0.01"), ("0.05", "0.01"), ("1", "1"), ("0.001", None)])
def test_grouping_when_it_is_chosen_then_no_price_is_moved_by_it(tick: str, grouping: str | None) -> None:
    assert grouping_of(instrument(tick_size=tick)) == grouping


def test_symbol_when_a_row_has_a_slash_then_it_is_that_of_paths() -> None:
    assert symbol_of({"ticker": "BTC/USDC"}) == symbol_of({"ticker": "BTC_USDC"}) == "BTC_USDC"
