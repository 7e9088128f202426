"""Limit, market and stop orders, ids that make a retry safe, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.connectors.bitexasia.signed_client import Client


async def test_id_when_the_same_body_comes_again_then_the_first_order_is_the_answer(client: Client) -> None:
    first = await client.order(client_order_id="a-1")
    again = await client.order(client_order_id="a-1")
    other_form = await client.order(client_order_id="a-1", price="60000.00", size="0.010")
    assert [one.status for one in (first, again, other_form)] == [201, 200, 200]
    assert first.body["id"] == again.body["id"] == other_form.body["id"]
    assert len(client.venue.served.exchange.ledger.orders) == 1


async def test_id_when_the_order_has_ended_then_the_same_body_is_answered_with_its_end(client: Client) -> None:
    first = await client.order(client_order_id="a-1")
    await client.call("POST", f"/orders/{first.body['id']}/cancel")
    again = await client.order(client_order_id="a-1")
    assert (again.status, again.body["id"], again.body["state"]) == (200, first.body["id"], "cancelled")


@pytest.mark.parametrize("change", [{"price": "60001"}, {"size": "0.02"}, {"side": "sell"}, {"post_only": True}])
async def test_id_when_another_body_comes_under_it_then_it_is_refused(client: Client, change: dict[str, Any]) -> None:
    await client.order(client_order_id="a-1")
    answer = await client.order(client_order_id="a-1", **change)
    assert (answer.status, answer.code) == (409, "client_order_id_conflict")
    broken = await client.order(client_order_id="a-1", size="0")
    assert broken.code == "client_order_id_conflict", "the id is looked at before anything else of the order"


async def test_id_when_the_order_was_refused_then_it_is_free(client: Client) -> None:
    assert (await client.order(client_order_id="a-1", size="90.00")).code == "insufficient_funds"
    assert (await client.order(client_order_id="a-1")).status == 201


async def test_id_when_there_is_none_then_each_order_is_a_new_one(client: Client) -> None:
    first, second = await client.order(), await client.order()
    assert first.body["id"] != second.body["id"]


async def test_market_order_when_it_is_sent_then_it_trades_and_never_rests(client: Client) -> None:
    await client.quote([], [["63000.00", "0.02"], ["63010.00", "0.02"]])
    full = await client.order(type="market", price=None, size="0.03")
    assert (full.body["state"], full.body["filled_size"]) == ("filled", "0.03")
    assert "price" not in full.body
    part = await client.order(type="market", price=None, size="0.03")
    assert (part.body["state"], part.body["filled_size"], part.body["remaining_size"]) == ("cancelled", "0.01", "0.02")


async def test_stop_order_when_its_price_is_traded_then_it_goes_to_the_book(client: Client) -> None:
    await client.quote([["62000.00", "1.00"]], [["63000.00", "0.05"]])
    act = {"act": "trade", "instrument": "BTC-USD", "side": "buy", "price": "63000.00"}
    await client.admin("act", act | {"size": "0.01"})
    stop = await client.order(type="stop", price="63500", stop_price="63200", size="0.02")
    assert (stop.status, stop.body["state"], stop.body["stop_price"]) == (201, "new", "63200.00")
    await client.quote([["62000.00", "1.00"]], [["63200.00", "0.05"], ["63400.00", "0.05"]])
    await client.admin("act", act | {"price": "63200.00", "size": "0.05"})
    order = (await client.call("GET", f"/orders/{stop.body['id']}")).body
    assert (order["state"], order["avg_fill_price"]) == ("filled", "63400")


async def test_stop_order_when_it_waits_then_it_can_be_cancelled(client: Client) -> None:
    await client.quote([["62000.00", "1.00"]], [["63000.00", "0.05"]])
    trade = {"act": "trade", "instrument": "BTC-USD", "side": "buy", "price": "63000.00", "size": "0.01"}
    await client.admin("act", trade)
    stop = (await client.order(type="stop", price="63500", stop_price="63200")).body
    ended = await client.call("POST", f"/orders/{stop['id']}/cancel")
    assert ended.body["state"] == "cancelled"


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"size": "0"}, 400, "invalid_request"),
        ({"size": "0.001"}, 400, "below_min_size"),
        ({"size": "0.015"}, 400, "invalid_request"),
        ({"size": "-1"}, 400, "invalid_request"),
        ({"size": 0.01}, 400, "invalid_request"),
        ({"price": "60000.001"}, 400, "bad_tick"),
        ({"price": "0"}, 400, "bad_tick"),
        ({"price": None}, 400, "invalid_request"),
        ({"pair": "XYZ-USD"}, 404, "pair_not_found"),
        ({"side": "hold"}, 400, "invalid_request"),
        ({"type": "iceberg"}, 400, "invalid_request"),
        ({"type": "market"}, 400, "invalid_request"),
        ({"type": "stop"}, 400, "invalid_request"),
        ({"type": "stop", "stop_price": "61000.001"}, 400, "bad_tick"),
        ({"stop_price": "61000"}, 400, "invalid_request"),
        ({"time_in_force": "day"}, 400, "invalid_request"),
        ({"client_order_id": "x" * 65}, 400, "invalid_request"),
        ({"size": "90.00"}, 422, "insufficient_funds"),
    ],
)
async def test_order_when_a_field_is_wrong_then_it_is_refused_and_nothing_is_done(
    client: Client, fields: dict[str, Any], status: int, code: str
) -> None:
    answer = await client.order(**fields)
    assert (answer.status, answer.code) == (status, code)
    assert not client.venue.served.exchange.ledger.orders


@pytest.mark.parametrize("raw", ["{", "[]", "\udcff".encode("utf-8", "surrogatepass").decode("latin-1"), "null"])
async def test_order_when_the_body_is_no_object_then_it_is_refused(client: Client, raw: str) -> None:
    answer = await client.call("POST", "/orders", raw)
    assert (answer.status, answer.code) == (400, "invalid_request")


async def test_post_only_order_when_it_would_take_then_it_is_refused(client: Client) -> None:
    await client.quote([], [["59000.00", "1.00"]])
    answer = await client.order(post_only=True)
    assert (answer.status, answer.code) == (422, "would_take")


async def test_path_when_it_is_not_there_then_the_refusal_has_the_venue_s_shape(client: Client) -> None:
    answer = await client.call("GET", "/orders")
    assert (answer.status, answer.code) == (404, "path_not_found")
