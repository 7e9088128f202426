"""Requests of both dialects: each number in its one form, and nothing that the venue would take for something else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from connectors.kalqix.dialect import A, B, Dialect
from connectors.kalqix.wire.requests import cancel_all_orders, cancel_order, order_fields, place_order
from connectors.kalqix.wire.rows import Market
from framework.domain.errors import RefusedByVenue
from framework.domain.instruments import InstrumentId
from framework.domain.intents import NewOrder
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import OrderKind, Side, TimeInForce
from tests.connectors.kalqix.wire.test_rows import instrument

MARKET = Market(1, 8, 6, 6)


def fields_of(dialect: Dialect, market: Market = MARKET, **changes: Any) -> dict[str, Any]:
    given = {"price": Price(3_000_000), "size": Size(1_000), "side": Side.BUY} | changes
    intent = NewOrder(strategy="mm", instrument=InstrumentId("kalqix:BTC_USDC"), **given)
    return dict(order_fields(dialect, "x-1", intent, instrument(), market))


def test_order_of_a_when_it_is_written_then_it_is_the_vectors() -> None:
    assert fields_of(A) == {
        "action": "PLACE_ORDER", "ticker": "BTC_USDC", "side": "BUY", "order_type": "LIMIT", "quantity": "0.1",
        "quote_quantity": "", "price": "30000", "time_in_force": 0, "expires_at": 0,
    }  # fmt: skip


def test_order_of_b_when_it_is_written_then_amounts_are_base_units_and_it_has_our_id() -> None:
    assert fields_of(B) == {
        "action": "PLACE_ORDER", "ticker": "BTC/USDC", "side": "BUY", "order_type": "LIMIT", "quantity": "10000000",
        "price": "30000000000", "time_in_force": 0, "expires_at": 0, "client_order_id": "x-1",
    }  # fmt: skip


def test_order_of_b_when_its_price_has_no_base_units_then_it_is_refused_and_not_rounded() -> None:
    with pytest.raises(RefusedByVenue, match="price: 30000"):
        fields_of(B, Market(1, 8, 1, 6), price=Price(3_000_001))


@pytest.mark.parametrize(
    ("terms", "number"),
    [
        ({"time_in_force": TimeInForce.GOOD_TILL_CANCELLED}, 0),
        ({"time_in_force": TimeInForce.IMMEDIATE_OR_CANCEL}, 1),
        ({"time_in_force": TimeInForce.FILL_OR_KILL}, 2),
        ({"time_in_force": TimeInForce.GOOD_TILL_CANCELLED, "kind": OrderKind.MARKET}, 1),
        ({"time_in_force": TimeInForce.FILL_OR_KILL, "kind": OrderKind.MARKET}, 2),
    ],
)
@pytest.mark.parametrize("dialect", [A, B])
def test_time_in_force_when_an_order_is_written_then_one_at_the_market_never_rests(
    dialect: Dialect, terms: dict[str, Any], number: int
) -> None:
    fields = fields_of(dialect, **terms)
    assert (fields["time_in_force"], fields["order_type"]) == (number, "LIMIT")


def test_end_date_when_it_is_written_then_it_is_milliseconds() -> None:
    assert fields_of(A, expires_ns=1_767_225_600_123_456_789)["expires_at"] == 1_767_225_600_123


def test_amount_when_a_buyer_gives_one_then_price_and_size_are_empty() -> None:
    fields = fields_of(A, kind=OrderKind.MARKET, quote_amount=Money(1_000_500_000))
    assert (fields["order_type"], fields["quote_quantity"], fields["price"], fields["quantity"]) == (
        "MARKET", "1000.5", "", "",
    )  # fmt: skip
    with pytest.raises(RefusedByVenue, match="only a buyer"):
        fields_of(A, kind=OrderKind.MARKET, quote_amount=Money(1), side=Side.SELL)


def test_requests_when_they_take_orders_out_then_they_are_urgent_and_others_are_not() -> None:
    calls = [cancel_order("o/1", {}), cancel_all_orders(7, {"agent_index": 6}), place_order({"action": "PLACE_ORDER"})]
    assert [call.is_urgent for call in calls] == [True, True, False]
    assert calls[0].target == "/orders/o%2F1"
    assert msgspec.json.decode(calls[1].body) == {"action": "CANCEL_ALL_ORDERS", "market": 7, "agent_index": 6}
