"""Orders, trades and positions in the words of both dialects."""

from __future__ import annotations

from typing import Any

import pytest

from tests.connectors.zdex.support import Client, Start

V1_ORDER = {"id", "symbol", "side", "type", "quantity", "price", "status", "clientOrderId"}
V2_ORDER = V1_ORDER | {"accountId", "venue", "venueOrderId", "source", "createdAt", "updatedAt"}
POSITION = {
    "id", "venuePositionId", "symbol", "quantity", "avgEntryPrice", "markPrice", "liquidationPrice", "unrealizedPnl",
    "realizedPnl", "fundingFee", "initialMargin", "maintenanceMargin", "leverage", "marginMode", "status",
    "closeReason", "closedAt", "updatedAt",
}  # fmt: skip


async def test_order_when_it_is_placed_then_the_answer_has_the_fields_of_the_page(client: Client) -> None:
    body = (await client.buy("60000", positionSide="LONG")).body
    is_v2 = client.ready["dialect"] == "v2"
    assert set(body) == {"ok", "order", "venue"}
    assert set(body["order"]) == (V2_ORDER if is_v2 else V1_ORDER)
    assert (body["order"]["quantity"], body["order"]["price"], body["order"]["status"]) == ("0.01", "60000", "NEW")
    assert body["order"]["clientOrderId"].startswith("usr_")
    assert isinstance(body["venue"]["orderId"], int)
    one = (await client.ask("GET", f"/orders/{body['order']['id']}")).body["order"]
    assert one["venueOrderId"] == str(body["venue"]["orderId"])


async def test_id_when_it_is_used_again_then_v2_shows_the_same_order(start: Start) -> None:
    client = await start(dialect="v2")
    first, again = [(await client.buy("60000", clientOrderId="tg-1")).body for _ in range(2)]
    assert (again["order"]["id"], again["idempotent"]) == (first["order"]["id"], True)
    assert "idempotent" not in first
    assert len((await client.truth())["orders"]) == 1
    wrong = await client.buy("60000", clientOrderId="no spaces")
    assert wrong.status == 400


async def test_id_when_v1_is_given_one_then_it_is_not_the_orders(start: Start) -> None:
    client = await start(dialect="v1")
    for _ in range(2):
        assert (await client.buy("60000", clientOrderId="tg-1")).body["order"]["clientOrderId"] != "tg-1"
    assert len((await client.truth())["orders"]) == 2


async def test_lists_when_orders_change_then_each_is_in_that_of_its_status_newest_first(client: Client) -> None:
    names = [(await client.buy(price)).body["order"]["id"] for price in ("60000", "60001", "60002")]
    await client.act("trade", instrument="BTCUSDT", side="sell", price="60002", size="0.004")
    await client.ask("DELETE", f"/orders/{names[0]}")

    async def listed(**params: str | int) -> list[str]:
        return [row["id"] for row in (await client.ask("GET", "/orders", **params)).body["orders"]]

    assert await listed() == names[::-1]
    assert await listed(status="NEW") == [names[1]]
    assert await listed(status="PARTIALLY_FILLED") == [names[2]]
    assert await listed(status="CANCELED", symbol="BTCUSDT") == [names[0]]
    assert await listed(limit=1, offset=1) == [names[1]]
    assert (await client.ask("GET", "/orders", status="OPEN")).status == 400


async def test_trades_when_an_order_rested_then_its_fill_is_in_no_list(client: Client) -> None:
    await client.quote("62999", "63001")
    taker = (await client.buy("63001", "0.01")).body
    await client.buy("62999.5", "0.02")
    await client.act("trade", instrument="BTCUSDT", side="sell", price="62999.5", size="0.02")
    rows = (await client.ask("GET", "/futures/myTrades", symbol="BTCUSDT")).body["data"]
    assert [(row["orderId"], row["price"], row["qty"], row["side"]) for row in rows] == [
        (taker["venue"]["orderId"], "63001", "0.01", "BUY")
    ]
    assert set(rows[0]) == {"symbol", "id", "orderId", "price", "qty", "realizedPnl", "side", "time"}
    (position,) = (await client.ask("GET", "/positions")).body["positions"]
    assert position["quantity"] == "0.03"
    assert (await client.ask("GET", "/futures/myTrades", symbol="BTCUSDT", fromId=rows[0]["id"] + 1)).body["data"] == []
    assert (await client.ask("GET", "/futures/myTrades")).status == 400


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"quantity": "0.0001"}, "quantity"),
        ({"price": "60000.05"}, "price"),
        ({"price": None}, "price"),
        ({"symbol": "XUSDT"}, "Invalid symbol"),
        ({"side": "buy"}, "side"),
        ({"type": "ICEBERG"}, "type"),
        ({"type": "STOP"}, "stopPrice"),
        ({"quantity": "0.00008"}, "quantity"),
        ({"price": "1", "quantity": "0.001"}, "notional"),
        ({"quantity": "100"}, "Insufficient balance"),
        ({"quantity": "900"}, "max_order_notional_exceeded"),
        ({"positionSide": "UP"}, "positionSide"),
    ],
)
async def test_order_when_it_can_not_be_taken_then_it_is_refused(
    client: Client, fields: dict[str, Any], text: str
) -> None:
    body = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.01", "price": "60000"} | fields
    answer = await client.ask("POST", "/orders", body)
    assert (answer.status, answer.body["ok"]) == (400, False)
    assert text in answer.body["error"]
    assert (await client.truth())["orders"] == []


async def test_market_order_when_the_book_is_empty_then_it_ends_as_canceled(client: Client) -> None:
    body = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    assert (await client.ask("POST", "/orders", body)).body["order"]["status"] == "CANCELED"


async def test_stop_when_its_price_is_traded_then_it_goes_to_the_book(client: Client) -> None:
    await client.quote("62990", "63010")
    body = {"symbol": "BTCUSDT", "side": "BUY", "type": "STOP_MARKET", "quantity": "0.01", "stopPrice": "63010"}
    made = (await client.ask("POST", "/orders", body)).body["order"]
    assert made["status"] == "NEW"
    await client.act("trade", instrument="BTCUSDT", side="buy", price="63010", size="0.01")
    assert (await client.ask("GET", f"/orders/{made['id']}")).body["order"]["status"] == "FILLED"


async def test_cancel_when_an_order_has_ended_or_is_nobodys_then_it_is_refused(client: Client) -> None:
    name = (await client.buy("60000")).body["order"]["id"]
    assert (await client.ask("DELETE", f"/orders/{name}")).body["order"]["status"] == "CANCELED"
    again, unknown = await client.ask("DELETE", f"/orders/{name}"), await client.ask("DELETE", "/orders/x")
    assert (again.status, again.body["error"]) == (400, "Order is already CANCELED")
    assert (unknown.status, unknown.body["error"]) == (404, "Order not found")


async def test_position_when_it_is_shown_then_it_has_the_fields_of_the_page(client: Client) -> None:
    await client.quote("62999", "63001")
    await client.buy("63001", "0.01")
    (row,) = (await client.ask("GET", "/positions")).body["positions"]
    is_v2 = client.ready["dialect"] == "v2"
    assert set(row) == (POSITION | {"accountId", "positionSide"} if is_v2 else POSITION)
    assert (row["quantity"], row["leverage"], row["status"], row["closeReason"]) == ("0.01", 10, "OPEN", None)
    assert row["marginMode"] == ("CROSSED" if is_v2 else "Cross")
    assert row["initialMargin"] == "63.0010"
    closed = (await client.ask("POST", "/positions/close", {"positionId": row["id"]})).body["order"]
    assert closed["status"] == "FILLED"
    assert (await client.ask("GET", "/positions")).body["positions"] == []
    (row,) = (await client.ask("GET", "/positions", status="CLOSED")).body["positions"]
    assert (row["status"], row["closeReason"]) == ("CLOSED", "MANUAL")


async def test_trade_when_it_closes_then_it_says_what_was_realized_also_of_what_was_bought_unseen(
    client: Client,
) -> None:
    await client.quote("62999", "63001")
    await client.buy("62999.5", "0.02")
    await client.act("trade", instrument="BTCUSDT", side="sell", price="62999.5", size="0.02")
    await client.buy("63001", "0.02")
    sell = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.01"}
    await client.ask("POST", "/orders", sell)
    trades = (await client.ask("GET", "/futures/myTrades", symbol="BTCUSDT")).body["data"]
    assert [row["realizedPnl"] for row in trades] == ["0", "-0.0125"], "(62999 - 63000.25) x 0.01"


async def test_position_when_another_was_closed_before_it_then_each_has_its_own_id_profit_and_end(
    client: Client,
) -> None:
    await client.quote("62999", "63001")

    async def positions(status: str) -> list[dict[str, Any]]:
        return list((await client.ask("GET", "/positions", status=status)).body["positions"])

    await client.buy("63001", "0.01")
    await client.fault("funding_now", rate_ppm=1_000)
    (first,) = await positions("OPEN")
    await client.ask("POST", "/positions/close", {"positionId": first["id"]})
    await client.buy("63001", "0.02")
    (second,) = await positions("OPEN")
    assert second["id"] != first["id"]
    assert (second["realizedPnl"], second["fundingFee"]) == ("0.0000", "0.0000")
    await client.act("mark", instrument="BTCUSDT", price="50000")
    newest, oldest = await positions("CLOSED")
    assert (oldest["id"], oldest["closeReason"]) == (first["id"], "MANUAL")
    assert (oldest["realizedPnl"], oldest["fundingFee"]) == ("-0.0200", "-0.6300")
    assert (newest["id"], newest["closeReason"], newest["fundingFee"]) == (second["id"], "LIQUIDATED", "0.0000")
    assert (newest["realizedPnl"], newest["quantity"]) == ("-260.0200", "0")


async def test_position_when_a_read_lags_then_it_is_open_under_its_id_until_the_read_has_its_end(
    client: Client,
) -> None:
    await client.quote("62999", "63001")
    await client.buy("63001", "0.01")
    (before,) = (await client.ask("GET", "/positions")).body["positions"]
    await client.fault("read_lag", lag_ms=60_000, count=-1)
    await client.ask("POST", "/positions/close", {"positionId": before["id"]})
    await client.buy("63001", "0.02")
    (row,) = (await client.ask("GET", "/positions")).body["positions"]
    assert (row["id"], row["quantity"]) == (before["id"], "0.01")
    assert (await client.ask("GET", "/positions", status="CLOSED")).body["positions"] == []


async def test_position_when_the_mark_falls_then_it_is_liquidated(client: Client) -> None:
    await client.quote("62999", "63001")
    await client.buy("63001", "0.01")
    await client.act("mark", instrument="BTCUSDT", price="50000")
    assert (await client.ask("GET", "/positions")).body["positions"] == []
    (row,) = (await client.ask("GET", "/positions", status="CLOSED")).body["positions"]
    assert row["closeReason"] == "LIQUIDATED"
    assert (await client.truth())["problems"] == []


async def test_funding_when_it_is_paid_then_position_balance_and_history_agree(client: Client) -> None:
    await client.quote("62999", "63001")
    await client.buy("63001", "0.01")
    before = (await client.truth())["balances"][0]["total"]
    await client.fault("funding_now", rate_ppm=1_000)
    (row,) = (await client.ask("GET", "/me/funding-history")).body["data"]
    (position,) = (await client.ask("GET", "/positions")).body["positions"]
    assert (row["amount"], position["fundingFee"], row["symbol"]) == ("-0.6300", "-0.6300", "BTCUSDT")
    assert float((await client.truth())["balances"][0]["total"]) == pytest.approx(float(before) - 0.63)


async def test_balance_when_it_is_read_then_it_has_the_form_of_the_dialect(client: Client) -> None:
    found = (await client.ask("GET", "/futures/balance")).body["balances"]
    names = {"asset", "walletBalance", "unrealizedProfit", "marginBalance", "availableBalance"}
    if client.ready["dialect"] == "v1":
        assert [set(row) for row in found] == [names]
    else:
        assert [set(row) for row in found["assets"]] == [names | {"crossWalletBalance"}]


async def test_leverage_when_a_position_is_open_then_v2_guards_it(client: Client) -> None:
    await client.quote("62999", "63001")
    set_to = {"symbol": "BTCUSDT", "leverage": 20}
    assert (await client.ask("POST", "/futures/leverage", set_to)).body["data"] == {"leverage": 20, "symbol": "BTCUSDT"}
    await client.buy("63001", "0.01")
    answer = await client.ask("POST", "/futures/leverage", {"symbol": "BTCUSDT", "leverage": 5})
    if client.ready["dialect"] == "v1":
        assert answer.status == 200
        return
    assert (answer.status, answer.body["code"]) == (409, "OPEN_POSITION_LEVERAGE_GUARD")
    forced = {"symbol": "BTCUSDT", "leverage": 5, "forceWithOpenPosition": True}
    assert (await client.ask("POST", "/futures/leverage", forced)).status == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/futures/leverage", {"symbol": "BTCUSDT", "leverage": 126}),
        ("/futures/leverage", {"symbol": "BTCUSDT", "leverage": "5"}),
        ("/futures/leverage", {"symbol": "XUSDT", "leverage": 5}),
        ("/futures/margin-type", {"symbol": "BTCUSDT", "marginType": "CROSS"}),
        ("/futures/position-mode", {"positionMode": "HEDGE"}),
    ],
)
async def test_setting_when_it_is_wrong_then_it_is_refused(client: Client, path: str, body: dict[str, Any]) -> None:
    assert (await client.ask("POST", path, body)).status == 400


async def test_batch_when_one_order_is_wrong_then_the_others_are_placed(start: Start) -> None:
    client = await start(dialect="v2")
    good = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.01", "price": "60000"}
    answer = await client.ask("POST", "/orders/batch", {"orders": [good, good | {"side": "x"}, good]})
    assert [row["ok"] for row in answer.body["results"]] == [True, False, True]
    assert len((await client.truth())["orders"]) == 2


async def test_health_when_it_is_asked_for_then_v2_answers_beside_its_prefix(start: Start) -> None:
    client = await start(dialect="v2")
    root = client.ready["rest_url"].removesuffix("/v2")
    async with client.http.get(f"{root}/health") as answer:
        assert (answer.status, (await answer.json())["ok"]) == (200, True)


@pytest.mark.parametrize("path", ["symbols", "ticker", "depth", "trades", "klines"])
async def test_market_data_when_nobody_signs_then_it_is_read(client: Client, path: str) -> None:
    await client.quote("62999", "63001")
    await client.act("trade", instrument="BTCUSDT", side="buy", price="63001", size="0.5")
    answer = await client.send("GET", f"/market/{path}?symbol=BTCUSDT")
    assert (answer.status, answer.body["ok"]) == (200, True)
    data = answer.body["data"]
    shown = {
        "symbols": lambda: data[0]["filters"][0]["tickSize"] == "0.1",
        "ticker": lambda: data["lastPrice"] == "63001",
        "depth": lambda: data["bids"] == [["62999", "1"]] and data["asks"] == [["63001", "0.5"]],
        "trades": lambda: (
            [(row["price"], row["qty"], row["isBuyerMaker"]) for row in data] == [("63001", "0.5", False)]
        ),
        "klines": lambda: len(data) == 1 and len(data[0]) == 12 and data[0][4] == "63001",
    }
    assert shown[path](), data
