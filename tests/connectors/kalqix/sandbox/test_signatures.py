"""A client that signs wrongly is refused: each rule of both dialects, with the venue's own words."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.kalqix.sandbox.client import Client, by_agent, by_wallet, serving

BAD_KEY = (401, {"error": "Invalid API key or signature."})
BAD_ACTION = (403, {"error": "Invalid message signature."})
MISSING = (400, {"error": "Missing required fields."})
BAD_TIME = (400, {"error": "Invalid timestamp."})
MINUTES_5_MS = 300_000
OTHER_WALLET = "0x" + "22" * 32


def now_ms() -> int:
    return int(time.time() * 1000)


async def test_read_when_key_secret_or_path_are_others_then_it_is_401(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        assert (await client.ask("GET", "/users/me"))[0] == 200
        assert await client.ask("GET", "/users/me", key="nobody") == BAD_KEY
        assert await client.ask("GET", "/users/me", secret="x" * 64) == BAD_KEY
        assert await client.ask("GET", "/orders?open=true", path="/orders") == BAD_KEY
        assert await client.send("GET", "/v1/orders") == BAD_KEY


async def test_read_when_its_query_is_not_the_signed_one_then_it_is_401(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        assert await client.ask("GET", "/orders?page=0", path="/v1/orders?open=true") == BAD_KEY


@pytest.mark.parametrize("off_ms", [2_000, -MINUTES_5_MS - 2_000])
async def test_request_when_its_time_is_ahead_or_five_minutes_old_then_it_is_refused(
    tmp_path: Path, off_ms: int
) -> None:
    async with serving(tmp_path) as client:
        assert await client.ask("GET", "/users/me", stamp_ms=now_ms() + off_ms) == BAD_TIME
        assert await client.ask("POST", "/orders", client.order_body(timestamp=now_ms() + off_ms)) == BAD_TIME


async def test_read_when_it_comes_twice_then_it_is_answered_twice(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        stamp = client.stamp_ms()
        assert [(await client.ask("GET", "/users/me", stamp_ms=stamp))[0] for _ in range(2)] == [200, 200]


async def test_order_when_its_signed_message_comes_again_then_it_is_one_order(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        body = client.order_body()
        assert (await client.ask("POST", "/orders", body))[0] == 201
        assert await client.ask("POST", "/orders", body) == (403, {"error": "Duplicate request."})
        _, listed = await client.ask("GET", "/orders")
    assert listed["total"] == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda client, body: body | {"price": "60001"},
        lambda client, body: body | {"signature": body["signature"][:-1] + "d"},
        lambda client, body: body | {"signature": "0x" + "00" * 65},
        lambda client, body: body | {"signature": by_wallet(OTHER_WALLET, unsigned(body))},
        lambda client, body: body | {"signature": by_wallet(client.wallet_key, unsigned(body, "action"))},
        lambda client, body: body | {"signature": by_wallet(client.wallet_key, unsigned(body, "quote_quantity"))},
        lambda client, body: body | {"signature": by_wallet(client.wallet_key, unsigned(body, "expires_at"))},
    ],
    ids=["changed", "digit", "zeros", "other wallet", "no action", "no quote_quantity", "no expires_at"],
)
async def test_order_when_the_wallet_did_not_sign_it_whole_then_it_is_403(
    tmp_path: Path, spoil: Callable[[Client, dict[str, Any]], dict[str, Any]]
) -> None:
    async with serving(tmp_path) as client:
        assert await client.ask("POST", "/orders", spoil(client, client.order_body())) == BAD_ACTION
        assert (await client.ask("GET", "/orders"))[1]["total"] == 0


async def test_order_when_empty_fields_are_not_sent_then_they_are_signed_all_the_same(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        body = client.order_body()
        sent = {name: value for name, value in body.items() if name not in ("quote_quantity", "expires_at")}
        assert (await client.ask("POST", "/orders", sent))[0] == 201


@pytest.mark.parametrize("name", ["timestamp", "signature"])
async def test_action_when_its_time_or_signature_is_not_there_then_a_field_is_missing(
    tmp_path: Path, name: str
) -> None:
    async with serving(tmp_path) as client:
        body = client.order_body()
        del body[name]
        assert await client.ask("POST", "/orders", body) == MISSING
        target = client.cancel_target(await client.place())
        without = "&".join(pair for pair in target.split("&") if not pair.startswith(f"{name}="))
        assert await client.ask("DELETE", without) == MISSING


async def test_empty_object_when_it_is_signed_as_it_is_or_as_no_body_then_it_is_taken_and_nothing_else_is(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as client:
        for text, status in (("", 201), ("{}", 201), ("[]", 401)):
            stamp = str(client.stamp_ms())
            signed = hmac.new(client.secret.encode(), f"PUT|/v1/api-keys|{text}|{stamp}".encode(), hashlib.sha256)
            headers = {"x-api-key": client.ready["api_key"], "x-api-signature": signed.hexdigest()}
            answer = await client.send("PUT", "/v1/api-keys", "{}", headers | {"x-api-timestamp": stamp})
            assert answer[0] == status


async def test_cancel_when_its_order_is_another_than_the_signed_one_then_it_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        first, second = await client.place(), await client.place()
        target = client.cancel_target(first).replace(f"/orders/{first}?", f"/orders/{second}?")
        assert await client.ask("DELETE", target) == (400, {"error": "Invalid order ID."})


async def test_cancel_when_its_query_leaves_the_order_to_the_path_then_it_is_taken(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        order_id = await client.place()
        target = client.cancel_target(order_id).replace(f"order_id={order_id}&", "")
        assert (await client.ask("DELETE", target))[0] == 200


async def test_withdrawal_when_an_order_was_signed_then_it_is_403(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        body = {"asset": "USDC", "amount": "1", "chain_id": 1, "timestamp": client.stamp_ms()}
        signature = by_wallet(client.wallet_key, body | {"action": "TRANSFER"})
        assert await client.ask("POST", "/withdrawals", body | {"signature": signature}) == BAD_ACTION


async def test_agent_when_it_signs_orders_of_b_then_codes_say_what_is_wrong(tmp_path: Path) -> None:
    async with serving(tmp_path, dialect="b") as client:
        key = Path(client.ready["agent_key_path"]).read_text()

        def order(**fields: Any) -> dict[str, Any]:
            given = {
                "action": "PLACE_ORDER", "agent_index": 6, "expires_at": 0, "order_type": "LIMIT",
                "price": "60000000000", "quantity": "1000000", "side": "BUY", "ticker": "BTC/USDC",
                "time_in_force": 0, "timestamp": client.stamp_ms(),
            } | fields  # fmt: skip
            return given | {"signature": by_agent(key, given), "client_order_id": "mine-1"}

        first = order()
        status, placed = await client.ask("POST", "/orders", first)
        assert (status, placed["client_order_id"]) == (201, "mine-1")
        refused = [
            await client.ask("POST", "/orders", body)
            for body in (
                first,
                order(),
                order(agent_index=7),
                order() | {"signature": "00" * 64},
                order() | {"signature": by_wallet(client.wallet_key, order())},
                order(ticker="BTC_USDC"),
                order(quantity="1"),
                order(timestamp=now_ms() - MINUTES_5_MS - 2_000),
            )
        ]
        _, found = await client.ask("GET", "/orders?client_order_id=mine-1")
        _, none = await client.ask("GET", "/orders?client_order_id=other")
    assert [(status, answer["code"]) for status, answer in refused] == [
        (403, "DUPLICATE_REQUEST"), (409, "DUPLICATE_CLIENT_ORDER_ID"), (403, "INVALID_SIGNATURE"),
        (403, "INVALID_SIGNATURE"), (403, "INVALID_SIGNATURE"), (404, "NOT_FOUND"), (400, "INVALID_QUANTITY"),
        (400, "INVALID_TIMESTAMP"),
    ]  # fmt: skip
    assert (found["data"][0]["price"], found["data"][0]["price_formatted"]) == ("60000000000", "60000")
    assert none["data"] == []


def unsigned(body: dict[str, Any], *without: str) -> dict[str, Any]:
    """What the wallet signs of an order, without some of it."""
    whole = {name: value for name, value in body.items() if name != "signature"} | {"action": "PLACE_ORDER"}
    return {name: value for name, value in whole.items() if name not in without}
