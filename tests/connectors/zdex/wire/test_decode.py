"""The venue's rows as events: the examples of the vendor's pages, and what can't be right."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from connectors.client.wire.answers import ErrorResponse, Meaning, UnusableInstrument
from connectors.client.wire.decimals import cut_to
from connectors.zdex.dialect import STALE
from connectors.zdex.wire import messages as m
from connectors.zdex.wire.decode import (
    VERDICTS,
    balance_of,
    fill_of,
    funding_of,
    instrument_of,
    order_of,
    position_of,
)
from framework.domain.instruments import InstrumentKind, InstrumentStatus
from framework.domain.orders import Side
from tests.connectors.zdex.support import BTC, FEES, SYMBOL

V1_ANSWER = (
    b'{"ok":true,"order":{"id":"clx1","symbol":"BTCUSDT","side":"BUY","type":"LIMIT","quantity":"0.01","price":"70000",'
    b'"status":"NEW","clientOrderId":"usr_abc123"},"venue":{"orderId":123456789}}'
)
V2_ANSWER = (
    b'{"ok":true,"order":{"id":"cmod1234","accountId":"cmnw","venue":"ZETARIUM","symbol":"BTCUSDT","side":"BUY",'
    b'"type":"LIMIT","quantity":"0.001","price":"30000","clientOrderId":"550e8400","venueOrderId":"12345678",'
    b'"status":"NEW","source":"API","createdAt":"2026-04-26T10:00:00.000Z","updatedAt":"2026-04-26T10:00:00.000Z"},'
    b'"venue":{"...":"venue raw response"}}'
)
POSITION: dict[str, Any] = {
    "id": "cmod",
    "venuePositionId": "x",
    "symbol": "BTCUSDT",
    "quantity": "-0.05",
    "avgEntryPrice": "70500.123456",
    "markPrice": "71045.29",
    "liquidationPrice": "77000",
    "unrealizedPnl": "50",
    "realizedPnl": "0",
    "fundingFee": "-0.05",
    "initialMargin": "176.25",
    "maintenanceMargin": "14.10",
    "leverage": 20,
    "marginMode": "Isolated",
    "status": "OPEN",
}
TRADE = {
    "symbol": "BTCUSDT",
    "id": 12345,
    "orderId": 67890,
    "price": "63000.1",
    "qty": "0.003",
    "side": "SELL",
    "time": 5,
}


def read(body: bytes) -> m.OrderAnswer:
    return msgspec.json.decode(body, type=m.OrderAnswer)


def test_instrument_when_it_is_listed_then_its_scales_are_those_of_tick_and_step() -> None:
    assert (BTC.price_decimals, BTC.size_decimals, BTC.kind) == (1, 3, InstrumentKind.PERPETUAL)
    assert (BTC.tick_bands[0].step, BTC.lot, BTC.size_max) == (1, 1, 1_000_000)
    assert BTC.money(BTC.notional_min) == 5
    assert (BTC.leverage_max, BTC.maintenance_margin, BTC.settle_currency) == (125, "0.004", "USDT")


@pytest.mark.parametrize(("word", "status"), [("HALT", InstrumentStatus.PAUSED), ("DELISTED", InstrumentStatus.CLOSED)])
def test_instrument_when_it_does_not_trade_then_its_status_says_so(word: str, status: InstrumentStatus) -> None:
    row = msgspec.convert(SYMBOL | {"status": word}, m.SymbolRow)
    assert instrument_of("zdex", row, FEES).status is status


def test_instrument_when_a_rule_is_missing_then_market_and_field_are_named() -> None:
    row = copy.deepcopy(SYMBOL)
    del row["filters"][0]
    with pytest.raises(UnusableInstrument, match="BTCUSDT: tick"):
        instrument_of("zdex", msgspec.convert(row, m.SymbolRow), FEES)


@pytest.mark.parametrize(
    ("body", "number", "name"), [(V1_ANSWER, "123456789", ""), (V2_ANSWER, "12345678", "550e8400")]
)
def test_answer_when_it_is_the_vendors_example_then_it_is_read(body: bytes, number: str, name: str) -> None:
    answer = read(body)
    one = order_of(answer.order, BTC, 9, has_client_ids=bool(name))
    assert answer.number == number
    assert (one.client_order_id, one.is_open, one.filled, one.ts_recv) == (name, True, 0, 9)
    assert (one.price, one.size) == (BTC.price(answer.order.price or ""), BTC.size(answer.order.quantity))


@pytest.mark.parametrize(
    ("status", "filled", "is_open"),
    [
        ("NEW", 0, True),
        ("PENDING_NEW", 0, True),
        ("PARTIALLY_FILLED", 1, True),
        ("FILLED", 10, False),
        ("CANCELED", 0, False),
        ("REJECTED", 0, False),
        ("SOMETHING", 0, True),
    ],
)
def test_order_when_it_has_a_status_then_the_least_that_it_states_is_filled(
    status: str, filled: int, is_open: bool
) -> None:
    row = msgspec.structs.replace(read(V1_ANSWER).order, status=status)
    one = order_of(row, BTC, 0, has_client_ids=False)
    assert (one.filled, one.is_open) == (filled, is_open)


def test_order_when_it_is_a_market_order_behind_a_trigger_then_that_is_its_price() -> None:
    row = msgspec.structs.replace(read(V1_ANSWER).order, type="STOP_MARKET", price=None, stop_price="64000")
    assert order_of(row, BTC, 0, has_client_ids=False).price == 640_000


@pytest.mark.parametrize(("name", "value"), [("quantity", "0.0001"), ("price", "1e5x"), ("quantity", "")])
def test_order_when_a_field_can_not_be_read_then_it_is_named(name: str, value: str) -> None:
    row = msgspec.structs.replace(read(V1_ANSWER).order, **{name: value})
    with pytest.raises(ValueError, match=name):
        order_of(row, BTC, 0, has_client_ids=False)


def test_trade_when_it_is_read_then_its_fee_is_that_of_the_settings_rounded_up() -> None:
    fill = fill_of(msgspec.convert(TRADE, m.TradeRow), BTC, "clx1", 7)
    assert (fill.fill_id, fill.venue_order_id, fill.side, fill.is_maker) == ("BTCUSDT-12345", "clx1", Side.SELL, False)
    assert (fill.price, fill.size, fill.ts_venue) == (630_001, 3, 5_000_000)
    # 63000.1 x 0.003 x 0.0005 is 0.09450015, in steps of 0.0001.
    assert fill.fee == 946


def test_position_when_it_is_read_then_its_size_is_exact_and_its_figures_are_cut() -> None:
    one = position_of(msgspec.convert(POSITION, m.PositionRow), BTC, 3)
    assert (one.size, one.entry, one.mark, one.liquidation) == (-50, 705_001, 710_452, 770_000)
    assert (one.margin, one.leverage) == (1_762_500, 20)


def test_position_when_its_quantity_has_too_many_digits_then_it_is_refused() -> None:
    with pytest.raises(ValueError, match="quantity"):
        position_of(msgspec.convert(POSITION | {"quantity": "0.0005"}, m.PositionRow), BTC, 3)


@pytest.mark.parametrize("text", [None, "", "0", "-1", "x", "1e400", "NaN", "Infinity"])
def test_figure_when_it_is_none_that_can_be_then_it_is_left_out(text: str | None) -> None:
    assert cut_to(text, 1) is None


ASSET = {"asset": "USDT", "walletBalance": "1234.56", "availableBalance": "1100.45"}


@pytest.mark.parametrize("balances", [[ASSET], {"assets": [ASSET | {"crossWalletBalance": "1"}]}])
def test_balance_when_it_is_listed_or_nested_then_it_is_the_wallets(balances: Any) -> None:
    (row,) = msgspec.convert({"balances": balances}, m.BalanceAnswer).rows
    one = balance_of(row, "zdex", 1)
    assert (one.amount, one.available, one.locked) == (123_456_000_000, 110_045_000_000, 13_411_000_000)


def test_funding_when_it_is_paid_then_the_amount_is_below_zero() -> None:
    row = m.FundingRow(id="f1", symbol="BTCUSDT", asset="USDT", amount="-0.3150", time=8)
    flow = funding_of(row, "zdex", 1)
    assert (flow.flow_id, flow.amount, flow.decimals, flow.instrument) == ("f1", -31_500_000, 8, BTC.id)


@pytest.mark.parametrize(
    ("error", "is_cancel", "meaning"),
    [
        (ErrorResponse(401, STALE, "Invalid or expired token"), False, Meaning.CLOCK),
        (ErrorResponse(401, "x", "Invalid or expired token"), False, Meaning.ACCOUNT),
        (ErrorResponse(401, "x", "Signature already used (replay)"), False, Meaning.RETRYABLE),
        (ErrorResponse(403, "x", "IP address is not in the key's whitelist"), False, Meaning.ACCOUNT),
        (ErrorResponse(403, "x", "Missing permission: TRADE"), False, Meaning.REFUSED),
        (ErrorResponse(400, "x", "Insufficient balance"), False, Meaning.REFUSED),
        (ErrorResponse(429, "x", "Rate limit exceeded, retry in 1 minute"), False, Meaning.RATE_LIMITED),
        (ErrorResponse(404, "", ""), False, Meaning.UNKNOWN),
        (ErrorResponse(503, "x", "Service unavailable"), False, Meaning.UNKNOWN),
        (ErrorResponse(500, "x", "oops"), True, Meaning.UNKNOWN),
    ],
)
def test_refusal_when_it_is_judged_then_only_what_is_proved_counts(
    error: ErrorResponse, is_cancel: bool, meaning: Meaning
) -> None:
    assert VERDICTS.meaning(error, is_cancel=is_cancel)[0] is meaning


@pytest.mark.parametrize("status", [400, 404, 409])
def test_cancel_when_it_is_refused_then_the_orders_end_is_not_known(status: int) -> None:
    error = ErrorResponse(status, "order_not_found", "Order not found")
    assert VERDICTS.meaning(error, is_cancel=True) == (Meaning.REFUSED, "not_found")
