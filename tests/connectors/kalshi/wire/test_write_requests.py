"""Requests of the account's own client, byte by byte. Shapes follow the vendor docs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from connectors.kalshi.wire import write_requests
from connectors.kalshi.wire.encode import Call
from connectors.kalshi.wire.write_requests import OrderRef, OrderTerms
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side, TimeInForce
from tests.connectors.kalshi.support import TICKER

REF = OrderRef("97ec18b7", TICKER, 0)


def body(call: Call) -> Any:
    return msgspec.json.decode(call.body)


def terms(**changes: Any) -> OrderTerms:
    values: dict[str, Any] = {
        "ticker": TICKER,
        "client_order_id": "manual-1",
        "side": Side.BUY,
        "price": Price(5600),
        "size": Size(1000),
    }
    return OrderTerms(**(values | changes))


def test_batch_create_when_encoded_then_each_order_says_what_a_single_one_says() -> None:
    sale = terms(client_order_id="manual-2", side=Side.SELL, time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL)
    call = write_requests.batch_create([terms(), sale], subaccount=None)
    assert (call.method, call.target) == ("POST", "/portfolio/events/orders/batched")
    plain = {
        "ticker": TICKER,
        "client_order_id": "manual-1",
        "side": "bid",
        "count": "10.00",
        "price": "0.5600",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
        "post_only": False,
        "reduce_only": False,
        "cancel_order_on_pause": False,
    }
    other = {"client_order_id": "manual-2", "side": "ask", "time_in_force": "immediate_or_cancel"}
    assert body(call) == {"orders": [plain, plain | other]}


def test_batch_create_when_everything_is_given_then_everything_is_said() -> None:
    full = terms(order_group_id="g", expires_s=1_767_225_600, shard=2, cancel_on_pause=True, post_only=True)
    (order,) = body(write_requests.batch_create([full], subaccount=5))["orders"]
    said = {
        "order_group_id": "g",
        "expiration_time": 1_767_225_600,
        "exchange_index": 2,
        "subaccount": 5,
        "cancel_order_on_pause": True,
        "post_only": True,
    }
    assert {name: order[name] for name in said} == said


def test_batch_cancel_when_encoded_then_each_order_names_its_market_and_shard_if_known() -> None:
    call = write_requests.batch_cancel([REF, OrderRef("x", TICKER)], subaccount=5)
    assert (call.method, call.target) == ("DELETE", "/portfolio/events/orders/batched")
    assert body(call) == {
        "orders": [
            {"order_id": "97ec18b7", "market_ticker": TICKER, "exchange_index": 0, "subaccount": 5},
            {"order_id": "x", "market_ticker": TICKER, "subaccount": 5},
        ]
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [({"by": Size(50), "to": None}, {"reduce_by": "0.50"}), ({"by": None, "to": Size(0)}, {"reduce_to": "0.00"})],
)
def test_decrease_when_encoded_then_it_says_one_of_the_two_and_the_query_names_the_subaccount(
    given: dict[str, Any], said: dict[str, str]
) -> None:
    call = write_requests.decrease(REF, subaccount=5, **given)
    assert (call.method, call.target) == ("POST", "/portfolio/events/orders/97ec18b7/decrease?subaccount=5")
    assert body(call) == {"exchange_index": 0, "market_ticker": TICKER} | said


@pytest.mark.parametrize(
    ("call", "method", "target", "data"),
    [
        (
            write_requests.create_group(Size(1050), shard=1, subaccount=5),
            "POST",
            "/portfolio/order_groups/create",
            {"contracts_limit_fp": "10.50", "exchange_index": 1, "subaccount": 5},
        ),
        (
            write_requests.limit_group("g", Size(100), shard=1, subaccount=5),
            "PUT",
            "/portfolio/order_groups/g/limit?subaccount=5&exchange_index=1",
            {"contracts_limit_fp": "1.00"},
        ),
        (
            write_requests.act_on_group("g", "reset", shard=None, subaccount=None),
            "PUT",
            "/portfolio/order_groups/g/reset",
            {},
        ),
        (
            write_requests.act_on_group("g", "trigger", shard=1, subaccount=None),
            "PUT",
            "/portfolio/order_groups/g/trigger?exchange_index=1",
            {},
        ),
    ],
)
def test_group_when_encoded_then_method_path_and_body_are_the_venues(
    call: Call, method: str, target: str, data: dict[str, Any]
) -> None:
    assert (call.method, call.target, body(call)) == (method, target, data)


def test_group_when_deleted_then_there_is_no_body_and_its_id_can_not_name_another_path() -> None:
    call = write_requests.delete_group("g/../create", shard=None, subaccount=None)
    assert call == Call("DELETE", "/portfolio/order_groups/g%2F..%2Fcreate")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: write_requests.batch_create([], subaccount=None), "orders: is empty"),
        (lambda: write_requests.batch_cancel([], subaccount=None), "orders: is empty"),
        (lambda: write_requests.batch_cancel([OrderRef("", TICKER)], subaccount=None), "order_id: is empty"),
        (lambda: write_requests.delete_group("", shard=None, subaccount=None), "group_id: is empty"),
        (lambda: write_requests.create_group(Size(99), shard=None, subaccount=None), "limit=99"),
        (lambda: write_requests.create_group(Size(100_000_001), shard=None, subaccount=None), "limit=100000001"),
        (lambda: write_requests.decrease(REF, by=None, to=None, subaccount=None), "exactly one"),
        (lambda: write_requests.decrease(REF, by=Size(1), to=Size(1), subaccount=None), "exactly one"),
        (lambda: write_requests.decrease(REF, by=Size(0), to=None, subaccount=None), "by=0"),
        (lambda: write_requests.decrease(REF, by=None, to=Size(-1), subaccount=None), "to=-1"),
    ],
)
def test_request_when_it_can_not_be_meant_then_nothing_is_built(build: Callable[[], Call], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"client_order_id": ""}, "client_order_id=''"),
        ({"client_order_id": "x" * 65}, "1 to 64"),
        ({"client_order_id": "tg7f3a91-12-45"}, "looks like a daemon's own"),
        ({"size": Size(0)}, "size=0"),
        ({"price": Price(0)}, "price=0"),
        ({"price": Price(10_000)}, "price=10000"),
    ],
)
def test_order_when_a_term_can_not_be_meant_then_the_whole_batch_is_not_built(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write_requests.batch_create([terms(), terms(**changes)], subaccount=None)
