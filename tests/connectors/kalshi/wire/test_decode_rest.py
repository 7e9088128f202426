"""REST objects as events. Bodies are recorded answers, shortened."""

from __future__ import annotations

import msgspec
import pytest

from connectors.kalshi.wire import account_messages as a
from connectors.kalshi.wire.decode_rest import (
    rest_balance,
    rest_fill,
    rest_order_snapshot,
    rest_position,
    side_of,
)
from framework.domain.instruments import InstrumentId
from framework.domain.orders import Side

ID = InstrumentId("kalshi:KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP")
ORDER = b"""{"order":{"action":"buy","book_side":"bid","client_order_id":"4a75a66e-ca85-4187-93cd-aac5e01ad982",
"created_time":"2026-06-11T06:29:20.866753Z","fill_count_fp":"0.00","initial_count_fp":"1.00",
"last_update_time":"2026-06-11T06:29:20.866753Z","maker_fees_dollars":"0.000000","maker_fill_cost_dollars":"0.000000",
"no_price_dollars":"0.9900","order_id":"2597b999-f887-4195-8bac-c3f97a1f2021","outcome_side":"yes",
"remaining_count_fp":"1.00","self_trade_prevention_type":"taker_at_cross","side":"yes","status":"resting",
"subaccount_number":0,"taker_fees_dollars":"0.000000","taker_fill_cost_dollars":"0.000000",
"ticker":"KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP","type":"limit","user_id":"f50604b8-d25a-4b0c-b3c9-ce5b48ffcad0",
"yes_price_dollars":"0.0100"}}"""
FILLS = b"""{"cursor":"","fills":[{"action":"buy","book_side":"bid","count_fp":"1.00",
"created_time":"2026-06-11T06:29:30.164956Z","fee_cost":"0.017500","fill_id":"f4a42159-b500-57c6-efa2-c31d94d916c1",
"is_taker":true,"market_ticker":"KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP","no_price_dollars":"0.4800",
"order_id":"97ec18b7-10d3-4557-9de0-8598aad625f0","outcome_side":"yes","side":"yes","subaccount_number":0,
"ticker":"KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP","trade_id":"f4a42159-b500-57c6-efa2-c31d94d916c1","ts":1781159370,
"yes_price_dollars":"0.5200"}]}"""
POSITIONS = b"""{"cursor":"","event_positions":[],"market_positions":[{"fees_paid_dollars":"0.018900",
"last_updated_ts":"2026-06-11T06:29:30.165032Z","market_exposure_dollars":"2.500000","position_fp":"-3.00",
"realized_pnl_dollars":"0.000000","resting_orders_count":0,"ticker":"KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP",
"total_traded_dollars":"2.500000"}]}"""
BALANCE = b"""{"balance":9801,"balance_breakdown":[{"balance":"98.0186","exchange_index":0}],
"balance_dollars":"98.0186","portfolio_value":198,"updated_ts":1781159348}"""


def an_order(**changes: str) -> a.RestOrder:
    return msgspec.structs.replace(msgspec.json.decode(ORDER, type=a.OrderResponse).order, **changes)


def test_order_when_resting_then_it_is_open_with_what_is_left() -> None:
    snapshot = rest_order_snapshot(an_order(), venue="kalshi", ts_recv=5)
    assert (snapshot.side, snapshot.price, snapshot.size, snapshot.filled) == (Side.BUY, 100, 100, 0)
    assert snapshot.is_open
    assert snapshot.instrument == ID
    assert snapshot.client_order_id == "4a75a66e-ca85-4187-93cd-aac5e01ad982"
    assert snapshot.created_ns == 1_781_159_360_866_753_000


def test_times_when_read_then_they_are_cut_to_milliseconds_as_in_the_response_to_the_same_order() -> None:
    # Recorded answer: this order's acknowledgement said ts_ms 1781159360866.
    assert rest_order_snapshot(an_order(), venue="kalshi", ts_recv=5).ts_venue == 1_781_159_360_866_000_000


@pytest.mark.parametrize(
    ("status", "initial", "filled", "remaining", "size", "is_open"),
    [
        ("resting", "10.00", "4.00", "6.00", 1000, True),
        ("resting", "10.00", "4.00", "11.00", 1500, True),
        ("canceled", "10.00", "4.00", "0.00", 1000, False),
        ("canceled", "10.00", "0.00", "0.00", 1000, False),
        ("executed", "10.00", "10.00", "0.00", 1000, False),
        ("executed", "10.00", "5.00", "0.00", 500, False),
        ("a_new_word", "10.00", "4.00", "6.00", 1000, True),
        ("a_new_word", "10.00", "4.00", "0.00", 1000, False),
    ],
)
def test_order_when_amended_or_ended_then_its_total_is_what_could_trade(
    status: str, initial: str, filled: str, remaining: str, size: int, is_open: bool
) -> None:
    listed = an_order(status=status, initial_count_fp=initial, fill_count_fp=filled, remaining_count_fp=remaining)
    snapshot = rest_order_snapshot(listed, venue="kalshi", ts_recv=5)
    assert (snapshot.size, snapshot.is_open) == (size, is_open)


def test_fill_when_read_then_price_and_fee_are_of_this_trade() -> None:
    fill = rest_fill(msgspec.json.decode(FILLS, type=a.FillsPage).fills[0], venue="kalshi", ts_recv=5)
    assert (fill.side, fill.price, fill.size, fill.fee) == (Side.BUY, 5200, 100, 17_500)
    assert fill.fill_id == "f4a42159-b500-57c6-efa2-c31d94d916c1"
    assert fill.client_order_id == ""
    assert not fill.is_maker
    assert fill.ts_venue == 1_781_159_370_164_000_000


def test_position_when_short_then_it_is_negative() -> None:
    report = rest_position(
        msgspec.json.decode(POSITIONS, type=a.PositionsPage).market_positions[0], venue="kalshi", ts_recv=5
    )
    assert (report.instrument, report.size) == (ID, -300)


def test_balance_when_exact_dollars_are_given_then_truncated_cents_are_not_used() -> None:
    assert (
        rest_balance(msgspec.json.decode(BALANCE, type=a.RestBalance), venue="kalshi", ts_recv=5).amount == 98_018_600
    )
    assert rest_balance(a.RestBalance(balance=9801), venue="kalshi", ts_recv=5).amount == 98_010_000


def test_side_when_no_word_or_an_unknown_one_is_given_then_it_is_refused() -> None:
    assert side_of("", "no") is Side.SELL
    for words in ((), ("", ""), ("both",)):
        with pytest.raises(ValueError, match="side"):
            side_of(*words)
