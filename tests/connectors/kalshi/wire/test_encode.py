"""Write requests, byte for byte."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest

from connectors.kalshi.wire import encode
from connectors.kalshi.wire.encode import AccountScope
from framework.domain.intents import AmendOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side, TimeInForce
from tests.connectors.kalshi.support import TICKER, instrument, new_order, order

SCOPE = AccountScope()
ORDER_ID = "97ec18b7-10d3-4557-9de0-8598aad625f0"


def body(call: encode.Call) -> Any:
    return msgspec.json.decode(call.body)


def test_create_when_a_limit_order_then_prices_and_counts_are_text_and_the_shard_is_named() -> None:
    call = encode.new_order("tg-1", new_order(post_only=True), instrument(shard=2), SCOPE)
    assert (call.method, call.target) == ("POST", "/portfolio/events/orders")
    assert body(call) == {
        "exchange_index": 2,
        "ticker": TICKER,
        "client_order_id": "tg-1",
        "side": "bid",
        "count": "10.00",
        "price": "0.5600",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
        "post_only": True,
        "reduce_only": False,
    }


def test_create_when_selling_then_the_price_stays_the_yes_price() -> None:
    fields = body(encode.new_order("tg-1", new_order(side=Side.SELL), instrument(), SCOPE))
    assert (fields["side"], fields["price"]) == ("ask", "0.5600")


@pytest.mark.parametrize(
    ("time_in_force", "text"),
    [
        (TimeInForce.GOOD_TILL_CANCELLED, "good_till_canceled"),
        (TimeInForce.IMMEDIATE_OR_CANCEL, "immediate_or_cancel"),
        (TimeInForce.FILL_OR_KILL, "fill_or_kill"),
    ],
)
def test_create_when_it_expires_then_only_a_resting_order_says_so(time_in_force: TimeInForce, text: str) -> None:
    intent = new_order(time_in_force=time_in_force, expires_ns=1_767_225_600_999_999_999)
    fields = body(encode.new_order("tg-1", intent, instrument(), SCOPE))
    assert fields["time_in_force"] == text
    expected = 1_767_225_600 if time_in_force is TimeInForce.GOOD_TILL_CANCELLED else None
    assert fields.get("expiration_time") == expected


def test_amend_when_partly_filled_then_count_is_the_total() -> None:
    intent = AmendOrder(strategy="mm", client_order_id="tg-1", price=Price(5500), size=Size(1500))
    call = encode.amend_order(intent, order(filled=Size(400)), instrument(), SCOPE)
    assert call.target == f"/portfolio/events/orders/{ORDER_ID}/amend"
    assert body(call) == {
        "exchange_index": 0,
        "ticker": TICKER,
        "side": "bid",
        "price": "0.5500",
        "count": "15.00",
        "client_order_id": "tg-1",
    }


def test_amend_when_a_subaccount_is_set_then_the_query_names_it_and_the_body_does_not() -> None:
    intent = AmendOrder(strategy="mm", client_order_id="tg-1", price=Price(5500), size=Size(1500))
    call = encode.amend_order(intent, order(), instrument(), AccountScope(subaccount=5))
    assert call.target == f"/portfolio/events/orders/{ORDER_ID}/amend?subaccount=5"
    assert "subaccount" not in body(call)


def test_cancel_when_encoded_then_it_names_market_and_shard_in_the_query() -> None:
    call = encode.cancel_order(order(), instrument(shard=3), AccountScope(subaccount=5))
    path, _, query = call.target.partition("?")
    assert (call.method, path, call.body) == ("DELETE", f"/portfolio/events/orders/{ORDER_ID}", b"")
    assert parse_qs(query) == {"market_ticker": [TICKER], "exchange_index": ["3"], "subaccount": ["5"]}


def test_cancel_all_when_a_subaccount_is_set_then_only_its_orders_end() -> None:
    assert encode.cancel_all_orders(SCOPE).target == "/portfolio/events/orders"
    assert encode.cancel_all_orders(AccountScope(subaccount=7)).target == "/portfolio/events/orders?subaccount=7"


def test_cancel_when_the_venue_id_is_not_known_then_nothing_is_built() -> None:
    with pytest.raises(ValueError, match="look the order up first"):
        encode.cancel_order(order(venue_order_id=""), instrument(), SCOPE)


def test_scope_when_shards_are_not_used_then_none_is_named() -> None:
    assert AccountScope(use_shards=False).fields(instrument(shard=2)) == {}
