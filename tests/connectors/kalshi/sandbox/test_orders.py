"""Writing orders over HTTP: what each kind of order does, and how each refusal is worded."""

from __future__ import annotations

import time
from typing import Any

import pytest

from connectors.sandbox.engine.model import PriceBand
from tests.connectors.kalshi.sandbox.signed_client import Answer, Client

ORDERS = "/portfolio/events/orders"


def refused(code: str, details: str | None = None) -> dict[str, Any]:
    """The nested body of a refusal whose message is its code with spaces."""
    inner = {"code": code, "message": code.replace("_", " ")}
    return {"error": inner if details is None else inner | {"details": details}}


async def order_of(client: Client, placed: Answer) -> dict[str, Any]:
    """The order as it reads now."""
    answer = await client.call("GET", f"/portfolio/orders/{placed.body['order_id']}")
    order: dict[str, Any] = answer.body["order"]
    return order


async def test_ioc_when_partly_filled_then_the_rest_is_canceled(client: Client) -> None:
    client.rival("ask", 5200, 150)
    answer = await client.place(count="4.00", price="0.6000", time_in_force="immediate_or_cancel")
    assert (answer.body["fill_count"], answer.body["remaining_count"]) == ("1.50", "0.00")
    order = await order_of(client, answer)
    assert (order["status"], order["fill_count_fp"], order["initial_count_fp"]) == ("canceled", "1.50", "4.00")


async def test_fok_when_volume_is_short_then_409_and_no_order(client: Client) -> None:
    client.rival("ask", 5200, 150)
    answer = await client.place(count="4.00", price="0.6000", time_in_force="fill_or_kill")
    assert (answer.status, answer.body) == (409, refused("fill_or_kill_insufficient_resting_volume"))
    assert (await client.audit_report())["orders"] == []


async def test_ask_when_it_fills_then_position_is_short_yes_at_collateral_of_no(client: Client) -> None:
    client.rival("bid", 3000, 500)
    await client.place(side="ask", price="0.3000", count="2.00", time_in_force="immediate_or_cancel")
    position = (await client.call("GET", "/portfolio/positions")).body["market_positions"][0]
    assert (position["position_fp"], position["market_exposure_dollars"]) == ("-2.00", "1.400000")


async def test_reduce_only_when_nothing_to_reduce_then_canceled_with_its_reason(client: Client) -> None:
    stream = await client.stream()
    await stream.send({"id": 1, "cmd": "subscribe", "params": {"channels": ["user_orders"]}})
    await stream.until("subscribed")
    client.rival("bid", 3000, 500)
    answer = await client.place(side="ask", price="0.3000", reduce_only=True, time_in_force="immediate_or_cancel")
    assert (answer.status, answer.body["fill_count"]) == (201, "0.00")
    update = (await stream.until("user_order"))["msg"]
    assert (update["status"], update["last_update_reason"]) == ("canceled", "ReduceOnlyCancel")


async def test_self_trade_when_maker_mode_then_own_resting_order_goes_and_the_taker_goes_on(client: Client) -> None:
    own = await client.place(side="bid", price="0.4800")
    client.rival("bid", 4700, 100)
    answer = await client.place(
        side="ask", price="0.4700", time_in_force="immediate_or_cancel", self_trade_prevention_type="maker"
    )
    assert (answer.body["fill_count"], answer.body["average_fill_price"]) == ("1.00", "0.4700")
    assert (await order_of(client, own))["status"] == "canceled"


@pytest.mark.parametrize(
    ("changes", "status", "body"),
    [
        ({"reduce_only": True}, 400, refused("invalid_order", "reduce only orders must be immediate or cancel")),
        ({"expiration_time": 1_000}, 400, refused("invalid_parameters", "Expiration timestamp must be in the future")),
        ({"expiration_time": 10**30}, 400, refused("invalid_parameters")),
        ({"ticker": "NO-SUCH"}, 404, refused("market_not_found")),
        ({"exchange_index": 2}, 404, refused("market_not_found")),
        ({"price": "1.0000"}, 400, refused("invalid_price")),
        ({"price": "0.0000"}, 400, refused("invalid_price")),
        ({"price": "0.51234"}, 400, refused("invalid_parameters")),
        ({"count": "0.00"}, 400, refused("invalid_order_size")),
        ({"count": "1.001"}, 400, refused("invalid_parameters")),
        ({"count": "-1.00"}, 400, refused("invalid_parameters")),
        ({"side": "yes"}, 400, refused("invalid_parameters")),
        ({"time_in_force": "day"}, 400, refused("invalid_parameters")),
        ({"time_in_force": None}, 400, refused("invalid_parameters")),
        ({"ticker": None}, 400, refused("invalid_parameters")),
        ({"self_trade_prevention_type": None}, 400, refused("invalid_parameters")),
        ({"client_order_id": "x" * 65}, 400, refused("invalid_parameters")),
        ({"order_group_id": "no-such-group"}, 404, refused("not_found")),
    ],
)
async def test_create_when_refused_then_status_and_body(
    client: Client, changes: dict[str, Any], status: int, body: dict[str, Any]
) -> None:
    answer = await client.place(**changes)
    assert (answer.status, answer.body) == (status, body)


@pytest.mark.parametrize(
    ("member", "value", "kind", "wanted"),
    [
        ("price", 0.5, "number", "string"),
        ("post_only", "yes", "string", "bool"),
        ("expiration_time", "soon", "string", "int64"),
        ("ticker", True, "bool", "string"),
        ("client_order_id", {}, "object", "string"),
    ],
)
async def test_create_when_a_member_has_a_wrong_type_then_flat_400(
    client: Client, member: str, value: Any, kind: str, wanted: str
) -> None:
    answer = await client.place(**{member: value})
    details = f"json: cannot unmarshal {kind} into Go struct field CreateOrderV2Request.{member} of type {wanted}"
    assert (answer.status, answer.body) == (400, {"code": "bad_request", "message": "bad request", "details": details})


async def test_tick_when_grid_is_tapered_then_bands_decide(client: Client) -> None:
    catalog = client.sandbox.venue.catalog
    ticker = next(one for one, listing in catalog.markets.items() if listing.structure == "tapered_deci_cent")
    bands = catalog.markets[ticker].spec.bands
    assert PriceBand(0, 1000, 10) in bands
    assert (await client.place(ticker=ticker, price="0.0510")).status == 201
    assert (await client.place(ticker=ticker, price="0.5010")).body == refused("invalid_price")


async def test_order_when_it_expires_then_canceled(client: Client) -> None:
    answer = await client.place(expiration_time=int(time.time()) + 1)
    assert answer.status == 201
    stream = await client.stream()
    await stream.send({"id": 1, "cmd": "subscribe", "params": {"channels": ["user_orders"]}})
    update = (await stream.until("user_order"))["msg"]
    assert (update["status"], update["last_update_reason"]) == ("canceled", "ExpiryCancel")
    assert (await order_of(client, answer))["remaining_count_fp"] == "0.00"


async def test_amend_when_price_crosses_then_it_fills_at_once_under_the_same_id(client: Client) -> None:
    placed = await client.place(count="2.00")
    client.rival("ask", 5200, 100)
    body = {"ticker": client.ticker, "side": "bid", "price": "0.5500", "count": "3.00"}
    answer = await client.call("POST", f"{ORDERS}/{placed.body['order_id']}/amend", body)
    assert answer.status == 200
    assert set(answer.body) == {
        "average_fee_paid",
        "average_fill_price",
        "client_order_id",
        "fill_count",
        "order_id",
        "remaining_count",
        "ts_ms",
    }
    assert (answer.body["fill_count"], answer.body["remaining_count"]) == ("1.00", "2.00")
    assert answer.body["average_fill_price"] == "0.5200"


async def test_amend_when_price_moves_then_queue_place_is_lost_and_kept_when_it_shrinks(client: Client) -> None:
    placed = await client.place(count="3.00", price="0.3000")
    client.rival("bid", 3000, 500)
    path = f"/portfolio/orders/{placed.body['order_id']}/queue_position"
    amend = f"{ORDERS}/{placed.body['order_id']}/amend"
    body = {"ticker": client.ticker, "side": "bid", "price": "0.3000", "count": "2.00"}
    assert (await client.call("POST", amend, body)).body["remaining_count"] == "2.00"
    unchanged = (await client.call("POST", amend, body | {"expiration_time": int(time.time()) + 100})).body
    assert (unchanged["remaining_count"], unchanged["fill_count"]) == (None, None)
    assert (await client.call("GET", path)).body == {"queue_position_fp": "0.00"}
    await client.call("POST", amend, body | {"count": "4.00"})
    assert (await client.call("GET", path)).body == {"queue_position_fp": "5.00"}
    positions = (await client.call("GET", f"/portfolio/orders/queue_positions?market_tickers={client.ticker}")).body
    assert positions["queue_positions"][0]["queue_position_fp"] == "5.00"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"side": "ask"}, "order_side_mismatch"),
        ({"client_order_id": "another"}, "order_id_and_client_order_id_mismatch"),
    ],
)
async def test_amend_when_it_names_another_order_then_400(client: Client, changes: dict[str, str], code: str) -> None:
    placed = await client.place()
    body = {"ticker": client.ticker, "side": "bid", "price": "0.0200", "count": "1.00"} | changes
    answer = await client.call("POST", f"{ORDERS}/{placed.body['order_id']}/amend", body)
    assert (answer.status, answer.body) == (400, refused(code))


async def test_decrease_when_by_or_to_then_remaining_and_only_one_of_them(client: Client) -> None:
    placed = await client.place(count="5.00")
    path = f"{ORDERS}/{placed.body['order_id']}/decrease"
    assert (await client.call("POST", path, {"reduce_by": "1.50"})).body["remaining_count"] == "3.50"
    assert (await client.call("POST", path, {"reduce_to": "2.00"})).body["remaining_count"] == "2.00"
    for body in ({}, {"reduce_by": "1.00", "reduce_to": "1.00"}):
        assert (await client.call("POST", path, body)).body == refused("invalid_parameters")


async def test_batch_when_one_item_fails_then_the_others_stand_in_order(client: Client) -> None:
    items = [client.order(), client.order(price="0.5150"), client.order(price="0.0200")]
    answer = await client.call("POST", f"{ORDERS}/batched", {"orders": items})
    assert answer.status == 201
    first, second, third = answer.body["orders"]
    assert "error" not in first
    assert second["error"] == {"code": "invalid_price", "message": "invalid price"}
    assert third["average_fill_price"] is None
    body = {"orders": [{"order_id": first["order_id"]}, {"order_id": "gone"}]}
    answer = await client.call("DELETE", f"{ORDERS}/batched", body)
    assert answer.status == 200
    assert answer.body["orders"][0]["reduced_by"] == "1.00"
    assert answer.body["orders"][1]["error"] == {"code": "not_found", "message": "not found"}


async def test_cancel_all_when_orders_rest_then_204_without_body_and_none_rests(client: Client) -> None:
    for _ in range(3):
        await client.place()
    answer = await client.call("DELETE", ORDERS)
    assert (answer.status, answer.body) == (204, None)
    assert (await client.call("GET", "/portfolio/orders?status=resting")).body["orders"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/portfolio/orders"),
        ("POST", "/portfolio/orders/batched"),
        ("DELETE", "/portfolio/orders/batched"),
        ("DELETE", "/portfolio/orders/x"),
        ("PUT", "/portfolio/orders/x"),
        ("POST", "/portfolio/orders/x/decrease"),
        ("POST", "/portfolio/orders/x/amend"),
    ],
)
async def test_former_interface_when_written_to_then_410(client: Client, method: str, path: str) -> None:
    answer = await client.call(method, path, {})
    assert (answer.status, answer.body["error"]["code"]) == (410, "deprecated_v1_order_endpoint")


async def test_group_when_limit_is_matched_then_its_orders_go_and_new_ones_are_refused(client: Client) -> None:
    group = (await client.call("POST", "/portfolio/order_groups/create", {"contracts_limit": 2})).body
    name = group["order_group_id"]
    resting = await client.place(order_group_id=name)
    client.rival("ask", 5200, 500)
    await client.place(order_group_id=name, price="0.5200", count="3.00", time_in_force="immediate_or_cancel")
    assert (await order_of(client, resting))["status"] == "canceled"
    assert (await client.place(order_group_id=name)).status == 400
    path = f"/portfolio/order_groups/{name}"
    assert (await client.call("PUT", path + "/reset")).body == {}
    again = await client.place(order_group_id=name)
    shown = (await client.call("GET", path)).body
    assert shown == {
        "contracts_limit_fp": "2.00",
        "exchange_index": 0,
        "is_auto_cancel_enabled": True,
        "orders": [again.body["order_id"]],
    }


@pytest.mark.parametrize(
    ("scope", "code", "cancel_status"),
    [
        ("trading", "trading_is_paused", 200),
        ("exchange", "exchange_is_paused", 409),
        ("market", "trading_is_paused", 200),
    ],
)
async def test_pause_when_it_lasts_then_writes_are_refused_by_scope(
    client: Client, scope: str, code: str, cancel_status: int
) -> None:
    placed = await client.place()
    fault = (await client.admin("POST", "/faults", {"kind": "pause", "scope": scope})).body["fault_ids"][0]
    answer = await client.place()
    assert (answer.status, answer.body) == (409, refused(code))
    cancel = await client.call("DELETE", f"{ORDERS}/{placed.body['order_id']}")
    assert cancel.status == cancel_status
    status = (await client.call("GET", "/exchange/status")).body
    assert (status["exchange_active"], status["trading_active"]) == (scope != "exchange", scope == "market")
    await client.admin("DELETE", f"/faults/{fault}")
    assert (await client.place()).status == 201


async def test_market_when_settled_then_paid_and_closed_to_every_write(client: Client) -> None:
    client.rival("ask", 4000, 500)
    placed = await client.place()
    await client.place(price="0.4000", count="5.00", time_in_force="immediate_or_cancel")
    fault = {"kind": "settle", "match": {"market": client.ticker}, "value": "yes"}
    await client.admin("POST", "/faults", fault)
    settlement = (await client.call("GET", "/portfolio/settlements")).body["settlements"][0]
    assert (settlement["market_result"], settlement["revenue"], settlement["value"]) == ("yes", 500, 100)
    assert (settlement["yes_count_fp"], settlement["yes_total_cost_dollars"]) == ("5.00", "2.000000")
    assert (await client.place()).body == refused("market_closed")
    assert (await client.call("DELETE", f"{ORDERS}/{placed.body['order_id']}")).status == 404
    market = (await client.call("GET", f"/markets/{client.ticker}")).body["market"]
    assert (market["status"], market["result"], market["settlement_value_dollars"]) == ("finalized", "yes", "1.0000")
    assert "settlement_ts" in market
