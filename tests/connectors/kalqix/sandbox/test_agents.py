"""What the vendor's own public connector reads of dialect B: each field, at the place where it takes it."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.connectors.kalqix.sandbox.client import Client, by_agent, serving


async def place(client: Client, **fields: Any) -> str:
    """An order as that connector sends it, signed by the agent."""
    given = {
        "action": "PLACE_ORDER", "agent_index": client.ready["agent_index"], "expires_at": 0, "order_type": "LIMIT",
        "price": "63010000000", "quantity": "30000000", "side": "BUY", "ticker": "BTC/USDC", "time_in_force": 0,
        "timestamp": client.stamp_ms(),
    } | fields  # fmt: skip
    signature = by_agent(Path(client.ready["agent_key_path"]).read_text(), given)
    body = given | {"signature": signature, "client_order_id": f"x-HBOT-{given['timestamp']}"}
    status, answer = await client.ask("POST", "/orders", body)
    assert status == 201, answer
    return str(answer["order_id"])


async def test_public_reads_when_they_are_answered_then_time_price_and_markets_are_as_the_connector_takes_them(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, dialect="b") as client:
        await client.make_market()
        await place(client)
        assert (await client.send("GET", "/v1/ping"))[0] == 200
        _, server = await client.send("GET", "/v1/time")
        assert abs(server["server_time"] - time.time() * 1000) < 5_000
        _, price = await client.send("GET", "/v1/markets/BTC_USDC/price")
        assert price == {"price": "63010000000", "price_formatted": "63010"}
        _, markets = await client.send("GET", "/v1/markets")
        _, book = await client.send("GET", "/v1/markets/BTC_USDC/order-book")
        _, trades = await client.send("GET", "/v1/markets/BTC_USDC/trades?page=0&page_size=24")
    market = markets["data"][0]
    assert (market["ticker"], market["status"], market["tick_size"]) == ("BTC/USDC", "ACTIVE", "0.01")
    assert (int(market["base_asset_decimals"]), int(market["quote_asset_decimals"])) == (8, 6)
    assert (market["min_quantity"], market["min_quantity_formatted"]) == ("10000", "0.0001")
    assert (market["min_trade_size"], market["min_trade_size_formatted"]) == ("1000000", "1")
    assert book["BUY"][0] == {
        "price": "62990000000", "price_formatted": "62990", "quantity": "100000000", "quantity_formatted": "1",
    }  # fmt: skip
    (trade,) = trades["data"]
    assert (trade["price_formatted"], trade["quantity_formatted"], trade["maker_side"]) == ("63010", "0.3", "SELL")
    assert abs(trade["timestamp"] / 1e6 - time.time()) < 5


async def test_private_reads_when_an_order_has_traded_then_fills_balances_and_its_end_are_there(tmp_path: Path) -> None:
    async with serving(tmp_path, dialect="b") as client:
        await client.make_market()
        order_id = await place(client)
        _, order = await client.ask("GET", f"/orders/{order_id}")
        _, of_order = await client.ask("GET", f"/orders/{order_id}/trades?page=0&page_size=24")
        _, own = await client.ask("GET", "/users/me/trades?ticker=BTC_USDC&page=0&page_size=24")
        _, positions = await client.ask("GET", "/positions")
    assert (order["status"], order["remaining_quantity_formatted"]) == ("FILLED", "0")
    assert (order["maker_fee_ppm"], order["taker_fee_ppm"]) == (100, 250)
    fee = Decimal("63010") * Decimal("0.3") * Decimal("0.00025")
    for trade in (of_order["data"][0], own["data"][0]):
        assert (Decimal(trade["fee_formatted"]), trade["role"]) == (fee, "TAKER")
        assert (trade["price_formatted"], trade["quantity_formatted"]) == ("63010", "0.3")
        assert isinstance(trade["timestamp"], int)
    assert own["data"][0]["taker_order_id"] == order_id
    bitcoin = next(row for row in positions["data"] if row["asset"] == "BTC")
    assert (bitcoin["available_formatted"], bitcoin["total_formatted"]) == ("10.3", "10.3")


async def test_trades_when_one_order_makes_many_then_no_two_share_a_microsecond(tmp_path: Path) -> None:
    async with serving(tmp_path, dialect="b") as client:
        await client.act("quiet")
        asks = [[str(63_010 + number), "0.1"] for number in range(5)]
        await client.act("quote", instrument="BTC_USDC", bids=[["62990", "1"]], asks=asks)
        order_id = await place(client, price="63100000000", quantity="50000000")
        targets = (f"/orders/{order_id}/trades", "/users/me/trades?ticker=BTC_USDC", "/markets/BTC_USDC/trades")
        lists = [(await client.ask("GET", target))[1]["data"] for target in targets]
    own, *others = [[(row["trade_id"], row["timestamp"]) for row in rows] for rows in lists]
    assert others == [own, own]
    times = [time_us for _, time_us in own]
    assert times == sorted(set(times), reverse=True)
    assert len(times) == 5


async def test_market_order_when_it_has_no_price_then_it_trades_at_once_and_cancels_are_signed_without_the_path(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, dialect="b") as client:
        await client.make_market()
        given = {
            "action": "PLACE_ORDER", "agent_index": 6, "expires_at": 0, "order_type": "MARKET", "quantity": "1000000",
            "side": "SELL", "ticker": "BTC/USDC", "time_in_force": 0, "timestamp": client.stamp_ms(),
        }  # fmt: skip
        key = Path(client.ready["agent_key_path"]).read_text()
        status, placed = await client.ask("POST", "/orders", given | {"signature": by_agent(key, given)})
        assert status == 201, placed
        assert (await client.ask("GET", f"/orders/{placed['order_id']}"))[1]["status"] == "FILLED"

        order_id = await place(client, price="60000000000")
        action = {"action": "CANCEL_ORDER", "agent_index": 6, "order_id": order_id, "timestamp": client.stamp_ms()}
        query = f"agent_index=6&signature={by_agent(key, action)}&timestamp={action['timestamp']}"
        assert (await client.ask("DELETE", f"/orders/{order_id}?{query}"))[0] == 200
        again = client.stamp_ms()
        second = {"action": "CANCEL_ORDER", "agent_index": 6, "order_id": order_id, "timestamp": again}
        query = f"agent_index=6&signature={by_agent(key, second)}&timestamp={again}"
        _, refused = await client.ask("DELETE", f"/orders/{order_id}?{query}")
    assert "already received" in refused["message"] or "already processed" in refused["message"]
