"""The stream: what is sent to whom, in both dialects."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest

from tests.connectors.zdex.support import Client, Start, next_of


async def messages(socket: aiohttp.ClientWebSocketResponse, seconds: float) -> list[dict[str, Any]]:
    """Everything that comes for so long."""
    found: list[dict[str, Any]] = []
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        try:
            found.append(json.loads(await socket.receive_str(timeout=left)))
        except TimeoutError:
            break
    return found


async def test_connection_when_it_opens_then_it_is_welcomed_in_the_words_of_the_page(client: Client) -> None:
    socket = await client.stream()
    welcome = json.loads(await socket.receive_str(timeout=5))
    channels = ["orderbook", "trades", "ticker", "kline"]
    assert welcome == {
        "event": "connected",
        "channels": channels if client.ready["dialect"] == "v2" else [*channels, "markprice"],
        "symbols": ["BTCUSDT"],
        "pollIntervalMs": 2000,
    }
    await socket.close()


async def test_ping_when_it_comes_then_the_venues_time_is_answered(client: Client) -> None:
    await client.fault("clock_skew", skew_ms=3_600_000, count=-1)
    socket = await client.stream()
    await socket.send_json({"action": "ping"})
    pong = await next_of(socket, event="pong")
    assert abs(pong["ts"] - time.time() * 1000 - 3_600_000) < 2_000
    await socket.close()


async def test_v1_when_nothing_is_subscribed_then_nothing_comes(start: Start) -> None:
    client = await start(dialect="v1")
    socket = await client.stream()
    await client.quote("62999", "63001")
    assert [one.get("event") for one in await messages(socket, 0.6)] == ["connected"]
    await socket.send_json({"action": "subscribe", "channel": "orderbook", "symbol": "BTCUSDT"})
    assert await next_of(socket, event="subscribed") == {
        "event": "subscribed", "channel": "orderbook", "symbol": "BTCUSDT",
    }  # fmt: skip
    book = await next_of(socket, channel="orderbook")
    assert (book["data"]["bids"], book["data"]["asks"]) == ([["62999", "1"]], [["63001", "1"]])
    await socket.send_json({"action": "unsubscribe", "channel": "orderbook", "symbol": "BTCUSDT"})
    await next_of(socket, event="unsubscribed")
    await client.quote("62998", "63002")
    assert await messages(socket, 0.6) == []
    await socket.close()


async def test_v2_when_nothing_is_subscribed_then_four_channels_of_every_market_come(start: Start) -> None:
    client = await start(dialect="v2", markets=4)
    socket = await client.stream()
    await client.quote("62999", "63001")
    await client.act("trade", instrument="BTCUSDT", side="buy", price="63001", size="0.5")
    await client.act("mark", instrument="BTCUSDT", price="63002")
    found = await messages(socket, 2.5)
    assert {one["channel"] for one in found if "channel" in one} == {"orderbook", "trades", "ticker", "kline"}
    assert len({one["symbol"] for one in found if one.get("channel") == "orderbook"}) == 4
    await socket.send_json({"action": "subscribe", "channel": "markprice", "symbol": "BTCUSDT"})
    assert await next_of(socket, event="subscribed") == {
        "event": "subscribed", "channels": ["markprice"], "symbols": ["BTCUSDT"],
    }  # fmt: skip
    mark = await next_of(socket, channel="markprice")
    assert mark["data"]["markPrice"] == "63002.0"
    assert set(mark["data"]) == {"symbol", "markPrice", "indexPrice", "fundingRate", "nextFundingTime"}
    await socket.close()


async def test_books_when_they_change_then_each_message_is_the_whole_with_a_number_that_grows(start: Start) -> None:
    client = await start(dialect="v2")
    socket = await client.stream()
    numbers: list[int] = []
    for step in range(4):
        bids = [[f"{62_000 + level}", "1"] for level in range(60)]
        await client.act("quote", instrument="BTCUSDT", bids=bids, asks=[[f"{63_000 + step}", "1"]])
        while True:
            book = await next_of(socket, channel="orderbook")
            if book["data"]["asks"] == [[f"{63_000 + step}", "1"]]:
                break
        assert len(book["data"]["bids"]) == 50
        numbers.append(book["data"]["lastUpdateId"])
    assert numbers == sorted(set(numbers))
    await socket.close()


@pytest.mark.parametrize(
    "text", ["x", "[]", '{"action":"fly"}', '{"action":"subscribe","channel":"orderbook","symbol":"XUSDT"}', "\x00"]
)
async def test_command_when_it_is_wrong_then_it_is_answered_and_the_connection_stays(client: Client, text: str) -> None:
    socket = await client.stream()
    await socket.send_str(text)
    assert "error" in await next_of(socket, event="error")
    await socket.send_json({"action": "ping"})
    await next_of(socket, event="pong")
    await socket.close()


async def test_account_when_a_session_asks_then_it_is_pushed_and_an_api_key_gets_nothing(client: Client) -> None:
    socket, other = await client.stream(), await client.stream()
    await other.send_json({"action": "auth", "token": client.key})
    assert (await next_of(other, event="error"))["error"] == "Invalid or expired token"
    await socket.send_json({"action": "auth", "token": client.token})
    assert set(await next_of(socket, event="authenticated")) == {"event", "accountId", "subAccountId"}
    name = (await client.buy("60000")).body["order"]["id"]
    if client.ready["dialect"] == "v1":
        while not (state := await next_of(socket, channel="account"))["data"]["orders"]:
            pass
        assert set(state["data"]) == {"balances", "positions", "orders"}
        assert [row["id"] for row in state["data"]["orders"]] == [name]
    else:
        assert (await next_of(socket, event="order_new"))["data"]["id"] == name
    own = ("order_new", "order_update", "position_update")
    found = await messages(other, 0.3)
    assert not any(one.get("event") in own or one.get("channel") == "account" for one in found)
    await socket.close()
    await other.close()


async def test_account_when_an_order_rests_and_trades_then_v2_shows_the_position_only(start: Start) -> None:
    client = await start(dialect="v2")
    socket = await client.stream()
    await socket.send_json({"action": "auth", "token": client.token})
    await next_of(socket, event="authenticated")
    await client.buy("62999", "0.02")
    await next_of(socket, event="order_new")
    await client.act("trade", instrument="BTCUSDT", side="sell", price="62999", size="0.01")
    found = [one for one in await messages(socket, 0.5) if "event" in one]
    assert [one["event"] for one in found] == ["position_update"]
    assert found[0]["data"]["quantity"] == "0.01"
    await socket.close()


async def test_v2_when_a_client_says_nothing_for_half_a_minute_then_it_is_cut(start: Start) -> None:
    ahead_ns = 0

    def now_ns() -> int:
        return time.time_ns() + ahead_ns

    client = await start(dialect="v2", now_ns=now_ns)
    socket = await client.stream()
    await next_of(socket, event="connected")
    ahead_ns = 31_000_000_000
    async with asyncio.timeout(5):
        while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
    await socket.close()
