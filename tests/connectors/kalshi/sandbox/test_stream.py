"""The stream: commands, numbering, filters, errors, heartbeat, overflow."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from connectors.kalshi.sandbox.stream.commands import ERROR_TEXTS
from tests.connectors.kalshi.sandbox.signed_client import Client, StartClient, Stream


async def subscribed(client: Client, *channels: str, **params: Any) -> Stream:
    """A stream with one subscription per channel, acknowledgements read."""
    stream = await client.stream()
    await stream.send({"id": 1, "cmd": "subscribe", "params": {"channels": list(channels)} | params})
    for _ in channels:
        await stream.until("subscribed")
    return stream


def bare(frame: dict[str, Any]) -> dict[str, Any]:
    """A frame without its sending time."""
    return {name: value for name, value in frame.items() if name != "sending_ts_ms"}


async def test_upgrade_when_unsigned_then_401_and_no_stream(client: Client) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.session.ws_connect(client.info.ws_url)
    assert refused.value.status == 401


async def test_subscribe_when_book_is_empty_then_snapshot_names_neither_side(client: Client) -> None:
    stream = await subscribed(client, "orderbook_delta", market_tickers=[client.ticker])
    snapshot = await stream.next()
    assert set(snapshot["msg"]) == {"market_ticker", "market_id", "clock"}


async def test_subscribe_when_book_has_one_side_then_the_other_is_absent(client: Client) -> None:
    client.rival("bid", 4700, 100)
    client.rival("bid", 4600, 250)
    stream = await subscribed(client, "orderbook_delta", market_tickers=[client.ticker])
    snapshot = await stream.next()
    assert snapshot["msg"]["yes_dollars_fp"] == [["0.4600", "2.50"], ["0.4700", "1.00"]]
    assert "no_dollars_fp" not in snapshot["msg"]


async def test_deltas_when_applied_to_the_snapshot_then_equal_to_the_book(start: StartClient) -> None:
    client = await start(tier="prestige", speed=40.0, seed=7)
    stream = await subscribed(client, "orderbook_delta", market_tickers=[client.ticker])
    levels: dict[tuple[str, str], int] = {}
    last_seq = last_clock = 0
    for _ in range(400):
        frame = await stream.next()
        message = frame["msg"]
        assert frame["seq"] == last_seq + 1
        last_seq = frame["seq"]
        assert message["clock"] >= last_clock
        last_clock = message["clock"]
        if frame["type"] == "orderbook_snapshot":
            levels = {
                (side, price): int(count.replace(".", ""))
                for side in ("yes", "no")
                for price, count in message.get(f"{side}_dollars_fp", [])
            }
            continue
        key = (message["side"], message["price_dollars"])
        levels[key] = levels.get(key, 0) + int(message["delta_fp"].replace(".", ""))
        assert levels[key] >= 0
    # Every change of the book so far is in frames queued before the reply to get_snapshot.
    command = {"sid": 1, "action": "get_snapshot", "market_tickers": [client.ticker]}
    await stream.send({"id": 9, "cmd": "update_subscription", "params": command})
    while (frame := await stream.next())["type"] != "orderbook_snapshot":
        message = frame["msg"]
        key = (message["side"], message["price_dollars"])
        levels[key] = levels.get(key, 0) + int(message["delta_fp"].replace(".", ""))
    assert frame["id"] == 9
    shown = {
        (side, price): int(count.replace(".", ""))
        for side in ("yes", "no")
        for price, count in frame["msg"].get(f"{side}_dollars_fp", [])
    }
    assert {key: total for key, total in levels.items() if total} == shown


async def test_sequence_when_two_markets_share_a_subscription_then_one_count(client: Client) -> None:
    tickers = list(client.sandbox.venue.catalog.markets)[:2]
    stream = await subscribed(client, "orderbook_delta", market_tickers=tickers)
    frames = [await stream.next(), await stream.next()]
    await client.place(ticker=tickers[0])
    await client.place(ticker=tickers[1])
    frames += [await stream.next(), await stream.next()]
    assert [frame["seq"] for frame in frames] == [1, 2, 3, 4]
    assert [frame["msg"]["market_ticker"] for frame in frames] == [*tickers, *tickers]


async def test_update_when_markets_are_added_and_removed_then_ok_takes_a_number(client: Client) -> None:
    first, second = list(client.sandbox.venue.catalog.markets)[:2]
    stream = await subscribed(client, "orderbook_delta", market_tickers=[first])
    assert (await stream.next())["seq"] == 1
    add = {"sids": [1], "action": "add_markets", "market_tickers": [second]}
    await stream.send({"id": 4, "cmd": "update_subscription", "params": add})
    assert bare(await stream.next()) == {
        "type": "ok",
        "id": 4,
        "sid": 1,
        "seq": 2,
        "msg": {"market_tickers": [first, second]},
    }
    snapshot = await stream.next()
    assert (snapshot["type"], snapshot["seq"], snapshot["msg"]["market_ticker"]) == ("orderbook_snapshot", 3, second)
    delete = {"sid": 1, "action": "delete_markets", "market_ticker": first}
    await stream.send({"id": 5, "cmd": "update_subscription", "params": delete})
    assert (await stream.next())["msg"] == {"market_tickers": [second]}
    await client.place(ticker=first)
    await client.place(ticker=second)
    assert (await stream.next())["msg"]["market_ticker"] == second


async def test_unsubscribe_when_it_is_known_then_numbered_reply_and_silence(client: Client) -> None:
    stream = await subscribed(client, "orderbook_delta", "trade", market_tickers=[client.ticker])
    await stream.next()
    await stream.send({"id": 2, "cmd": "unsubscribe", "params": {"sids": [1, 7]}})
    assert bare(await stream.next()) == {"type": "unsubscribed", "id": 2, "sid": 1, "seq": 2}
    assert bare(await stream.next()) == {"type": "error", "id": 2, "msg": {"code": 7, "msg": ERROR_TEXTS[7]}}
    await client.place()
    await stream.send({"id": 3, "cmd": "list_subscriptions"})
    assert bare(await stream.next()) == {"type": "ok", "id": 3, "msg": [{"channel": "trade", "sid": 2}]}


UPDATE = {"id": 6, "cmd": "update_subscription"}


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("not json", 1),
        ('["no object"]', 1),
        ({"id": 6, "cmd": "subscribe"}, 2),
        ({"id": 6, "cmd": "subscribe", "params": {}}, 3),
        ({"id": 6, "cmd": "unsubscribe", "params": {}}, 4),
        ({"id": 6, "cmd": "shout", "params": {}}, 5),
        ({"id": 6, "cmd": "subscribe", "params": {"channels": ["tickertape"]}}, 8),
        ({"id": 6, "cmd": "subscribe", "params": {"channels": ["trade"], "market_tickers": ["NO-SUCH"]}}, 11),
        ({"id": 6, "cmd": "subscribe", "params": {"channels": ["trade"], "market_id": "x"}}, 11),
        ({"id": 6, "cmd": "subscribe", "params": {"channels": ["orderbook_delta"]}}, 14),
        (UPDATE | {"params": {"action": "add_markets"}}, 12),
        (UPDATE | {"params": {"sids": [1, 2], "action": "add_markets"}}, 12),
        (UPDATE | {"params": {"sid": 99, "action": "add_markets"}}, 7),
        (UPDATE | {"params": {"sid": 1}}, 15),
        (UPDATE | {"params": {"sid": 1, "action": "paint"}}, 13),
        (UPDATE | {"params": {"sid": 1, "action": ["add_markets"]}}, 11),
        (UPDATE | {"params": {"sid": [1], "action": "add_markets"}}, 7),
        (UPDATE | {"params": {"sid": 1, "action": "get_snapshot", "market_tickers": ["any"]}}, 13),
        (UPDATE | {"params": {"sid": 1, "action": "add_markets"}}, 14),
    ],
)
async def test_command_when_wrong_then_error_with_its_code(client: Client, command: Any, code: int) -> None:
    stream = await subscribed(client, "ticker", market_tickers=[client.ticker])
    await stream.socket.send_str(command if isinstance(command, str) else json.dumps(command))
    frame = await stream.until("error")
    assert frame["msg"]["code"] == code
    assert frame["msg"]["msg"] == ERROR_TEXTS[code]
    assert frame.get("id") == (None if isinstance(command, str) else 6)


async def test_private_channels_when_an_order_fills_then_each_tells_its_part(client: Client) -> None:
    client.rival("ask", 5200, 300)
    channels = ("fill", "user_orders", "market_positions", "trade", "ticker")
    stream = await subscribed(client, *channels)
    await client.place(price="0.9900", count="2.00", time_in_force="immediate_or_cancel", client_order_id="mine")
    frames: dict[str, Any] = {}
    while len(frames) < len(channels):
        frame = await stream.next()
        frames[frame["type"]] = frame["msg"]
    assert frames["fill"]["client_order_id"] == "mine"
    assert frames["fill"]["trade_id"] == frames["trade"]["trade_id"]
    assert (frames["fill"]["fee_cost"], frames["fill"]["post_position_fp"]) == ("0.035000", "2.00")
    assert (frames["user_order"]["status"], frames["user_order"]["last_update_reason"]) == ("executed", "Trade")
    assert frames["market_position"]["position_cost_dollars"] == "1.040000"
    assert (frames["ticker"]["volume_fp"], frames["ticker"]["last_trade_size_fp"]) == ("2.00", "2.00")
    assert (frames["ticker"]["yes_ask_dollars"], frames["ticker"]["dollar_volume"]) == ("0.5200", 1)


async def test_delta_when_it_is_ones_own_then_client_id_is_there_and_not_on_others(client: Client) -> None:
    stream = await subscribed(client, "orderbook_delta", market_tickers=[client.ticker])
    await stream.next()
    await client.place(client_order_id="mine")
    assert (await stream.next())["msg"]["client_order_id"] == "mine"
    client.rival("bid", 200, 100)
    assert "client_order_id" not in (await stream.next())["msg"]


async def test_filters_when_another_market_moves_then_nothing_comes(client: Client) -> None:
    first, second = list(client.sandbox.venue.catalog.markets)[:2]
    stream = await subscribed(client, "user_orders", market_tickers=[second])
    await client.place(ticker=first)
    await client.place(ticker=second)
    assert (await stream.next())["msg"]["ticker"] == second


async def test_ticker_when_snapshot_is_asked_by_uuid_then_it_comes_at_once(client: Client) -> None:
    uuid = client.sandbox.venue.markets.uuid(client.ticker)
    stream = await subscribed(client, "ticker", market_ids=[uuid], send_initial_snapshot=True)
    frame = await stream.next()
    assert (frame["type"], frame["msg"]["market_id"], "seq" in frame) == ("ticker", uuid, False)


async def test_lifecycle_when_market_is_settled_then_determined_and_settled_are_told(client: Client) -> None:
    stream = await subscribed(client, "market_lifecycle_v2")
    fault = {"kind": "settle", "match": {"market": client.ticker}, "value": "yes"}
    assert (await client.admin("POST", "/faults", fault)).status == 201
    seen = {}
    while "settled" not in seen:
        frame = await stream.next()
        seen[frame["msg"]["event_type"]] = frame["msg"]
    assert (seen["determined"]["result"], seen["determined"]["settlement_value"]) == ("yes", "1.0000")
    assert isinstance(seen["settled"]["settled_ts"], int)
    assert "closed" not in seen


async def test_group_channel_when_group_lives_then_each_event_is_told(client: Client) -> None:
    stream = await subscribed(client, "order_group_updates")
    group = (await client.call("POST", "/portfolio/order_groups/create", {"contracts_limit": 5})).body
    path = f"/portfolio/order_groups/{group['order_group_id']}"
    await client.call("PUT", path + "/limit", {"contracts_limit_fp": "7.50"})
    for act in ("trigger", "reset"):
        await client.call("PUT", f"{path}/{act}")
    await client.call("DELETE", path)
    frames = [await stream.next() for _ in range(5)]
    assert [frame["seq"] for frame in frames] == [1, 2, 3, 4, 5]
    kinds = [frame["msg"]["event_type"] for frame in frames]
    assert kinds == ["created", "limit_updated", "triggered", "reset", "deleted"]
    assert frames[1]["msg"]["contracts_limit_fp"] == "7.50"


async def test_heartbeat_when_idle_then_ping_with_its_payload(start: StartClient) -> None:
    client = await start(heartbeat_s=0.05)
    stream = await client.stream()
    await stream.socket.close()
    headers_stream = await client.stream(autoping=False)
    message = await headers_stream.socket.receive(timeout=5)
    assert (message.type, message.data) == (aiohttp.WSMsgType.PING, b"heartbeat")


async def test_queue_when_full_then_subscription_ends_with_25_and_socket_stays(start: StartClient) -> None:
    client = await start(tier="prestige", queue_frames_max=3)
    stream = await subscribed(client, "orderbook_delta", market_tickers=[client.ticker])
    # The engine acts without a pause for the writer, so the queue fills.
    for price in range(100, 1100, 100):
        client.rival("bid", price, 100)
    error = await stream.until("error")
    assert (error["sid"], error["msg"]["code"]) == (1, 25)
    assert len([frame for frame in stream.frames if frame["type"] == "orderbook_delta"]) <= 3
    await stream.send({"id": 8, "cmd": "list_subscriptions"})
    assert (await stream.next())["msg"] == []


async def test_locked_key_when_streaming_then_other_accounts_are_not_told(client: Client) -> None:
    await client.call("POST", "/portfolio/subaccounts")
    made = (await client.call("POST", "/api_keys/generate", {"name": "locked", "subaccount": 1})).body
    locked = client.with_key(made["api_key_id"], made["private_key"])
    stream = await subscribed(locked, "user_orders", "orderbook_delta", market_tickers=[client.ticker])
    await stream.until("orderbook_snapshot")
    await client.place(client_order_id="of the primary")
    frame = await stream.next()
    assert frame["type"] == "orderbook_delta"
    assert "client_order_id" not in frame["msg"]
    with pytest.raises(asyncio.TimeoutError):
        await stream.next(0.1)
