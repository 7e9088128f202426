"""The answers of dialect A have the fields of the vendor's API page, no more and no fewer, and of their types.

The shapes below are the page's own examples: a text stands for texts, 0 for numbers.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.kalqix.sandbox.client import Client, by_wallet, serving

MARKET = {
    "ticker": "string", "market_id": 0, "name": "string", "base_asset": "string", "quote_asset": "string",
    "base_asset_id": 0, "quote_asset_id": 0, "base_asset_decimals": "string", "quote_asset_decimals": "string",
    "tick_size": "string", "step_size": "string", "min_price": "string", "min_quantity": "string",
    "min_trade_size": "string", "market_order_margin_percent": 0, "max_price_deviation_percent": 0,
    "maker_fee": "string", "taker_fee": "string", "status": "string",
}  # fmt: skip
MARKET_DETAILS = MARKET | {
    "description": "string",
    "twenty_four_hour": {
        "open": 0, "high": 0, "low": 0, "close": 0, "volume": 0, "total_volume": 0, "trades": 0, "change": 0,
        "percent": 0,
    },
    "price_precision": 0, "quantity_precision": 0,
}  # fmt: skip
TRADE = {
    "trade_id": "string", "maker_order_id": "string", "taker_order_id": "string", "price": "string",
    "quantity": "string", "timestamp": 0, "ticker": "string", "maker_side": "string", "maker_fee": "string",
    "taker_fee": "string",
}  # fmt: skip
ORDER = {
    "market": 0, "ticker": "string", "order_id": "string", "asset_id": "string", "price": "string",
    "quantity": "string", "quote_quantity": "string", "remaining_quantity": "string", "side": "string",
    "order_type": "string", "timestamp": "string", "signature": "string", "wallet_address": "string",
    "status": "string", "base_asset": "string", "quote_asset": "string", "token": "string",
}  # fmt: skip
ORDER_DETAILS = {name: value for name, value in ORDER.items() if name != "quote_quantity"} | {
    "market": "string",
    "trades": [
        {
            "trade_id": "string", "price": "string", "quantity": "string", "amount": "string", "fee": "string",
            "total": "string", "role": "string", "timestamp": "string",
        }
    ],
}  # fmt: skip
POSITION = {
    "name": "string", "symbol": "string", "total": "string", "asset_id": 0, "asset": "string", "available": "string",
    "locked": "string", "decimals": 0, "display_decimals": 0, "available_formatted": "string",
    "locked_formatted": "string",
}  # fmt: skip
CLAIM = {
    "proof_ready": True, "amount": "string", "amount_formatted": "string", "local_exit_proof": "string",
    "global_exit_proof": "string", "global_claim_index": "string", "token_address": "string", "chain_id": 0,
    "network": "string", "destination_network_id": 0, "destination_address": "string",
    "bridge_contract_address": "string",
}  # fmt: skip
TRANSFER = {
    "transfer_id": "string", "from_wallet_address": "string", "to_wallet_address": "string", "amount": "string",
    "amount_formatted": "string", "timestamp": 1764547200, "asset_id": 0, "asset": "string", "status": "PENDING",
    "message": "string", "signature": "string",
}  # fmt: skip
USER = {"_id": "string", "created_at": "string", "wallet_address": "string", "pendingDeposits": 0, "active": True}
TRANSACTION = {
    "token": "string", "destination_address": "string", "amount": "string", "deposit_count": 0, "block_number": 0,
    "transaction_hash": "string", "chain_id": 0, "status": "string", "amount_formatted": "string", "asset": "string",
    "asset_id": 0, "chain_decimals": 0, "decimals": 0, "network": "string", "network_id": 0, "position": "string",
    "retries": 0, "scaling_factor": 0, "type": "string", "to": "string", "from": "string",
}  # fmt: skip
BOOK = {
    "BUY": [{"price": "string", "quantity": "string"}],
    "SELL": [{"price": "string", "quantity": "string"}],
}
CANCELLED = {"message": "Your cancellation request is received."}
ALL_CANCELLED = {
    "message": "Your request to cancel all open orders is received.",
    "request_id": "694248bb394d0876ba7eb4c0",
}


def paged(row: Any) -> Any:
    """A page of such rows."""
    return {"total": 0, "page": 0, "page_size": 0, "data": [row]}


def shape(value: Any) -> Any:
    """What a value looks like: names and types."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        assert value, "an empty list shows no shape"
        return [shape(value[0])]
    return "number" if type(value) in (int, float) else type(value).__name__


READS = [
    ("/markets?page=0&page_size=20", paged(MARKET)),
    ("/markets/BTC_USDC", MARKET_DETAILS),
    ("/markets/BTC_USDC/order-book?tickSize=0.01", BOOK),
    ("/markets/BTC_USDC/trades?page=0&page_size=20", paged(TRADE)),
    ("/orders?page=0&page_size=20&ticker=BTC_USDC", paged(ORDER)),
    ("/portfolios", {"assets_count": "string", "total_value_usd": "string", "updated_at": "string"}),
    ("/positions?page=0&page_size=20", paged(POSITION)),
    ("/positions/USDC", POSITION),
    ("/users/me", USER),
    ("/users/{wallet}/transaction-history?page=0", paged(TRANSACTION)),
    ("/users/{wallet}/trades?ticker=BTC_USDC&page=0&page_size=20", paged(TRADE)),
]


@pytest.mark.parametrize(("target", "example"), READS, ids=[target.partition("?")[0] for target, _ in READS])
async def test_read_when_it_is_answered_then_its_fields_are_the_pages(
    tmp_path: Path, target: str, example: Any
) -> None:
    async with serving(tmp_path) as client:
        await client.make_market()
        await client.place(price="63010")
        status, answer = await client.ask("GET", target.format(wallet=client.ready["wallet_address"]))
    assert status == 200, answer
    assert shape(answer) == shape(example)


async def test_order_when_it_is_placed_read_and_cancelled_then_all_fields_are_the_pages(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await client.make_market()
        status, placed = await client.ask("POST", "/orders", client.order_body(price="63010", quantity="1.5"))
        assert (status, shape(placed)) == (201, {"order_id": "str"})
        _, details = await client.ask("GET", f"/orders/{placed['order_id']}")
        assert shape(details) == shape(ORDER_DETAILS)
        assert details["wallet_address"] == client.ready["wallet_address"]
        assert await client.ask("DELETE", client.cancel_target(placed["order_id"])) == (200, CANCELLED)
        action = {"action": "CANCEL_ALL_ORDERS", "market": 1, "timestamp": client.stamp_ms()}
        query = f"market=1&timestamp={action['timestamp']}&signature={by_wallet(client.wallet_key, action)}"
        status, answer = await client.ask("DELETE", f"/users/me/cancel-all-orders?{query}")
    assert (status, shape(answer)) == (200, shape(ALL_CANCELLED))
    assert answer["message"] == ALL_CANCELLED["message"]


@pytest.mark.parametrize("user", ["me", "wallet_address", "_id"])
async def test_user_when_the_path_names_them_by_word_wallet_or_profile_then_their_trades_are_read(
    tmp_path: Path, user: str
) -> None:
    async with serving(tmp_path) as client:
        await client.make_market()
        await client.place(price="63010")
        _, profile = await client.ask("GET", "/users/me")
        status, trades = await client.ask("GET", f"/users/{profile.get(user, user)}/trades?ticker=BTC_USDC")
    assert (status, trades["total"]) == (200, 1)


async def test_guide_when_it_names_a_read_of_a_market_then_it_is_answered(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await client.make_market()
        await client.place(price="63010", quantity="0.5")

        async def read(what: str) -> Any:
            status, answer = await client.send("GET", f"/v1/markets/BTC_USDC/{what}")
            assert status == 200, answer
            return answer

        assert (await read("market-price?side=BUY"))["price"] == "63010"
        assert (await read("market-price?side=SELL"))["price"] == "62990"
        assert await read("volume") == {"volume": 0.5, "total_volume": 31_505.0}
        (candle,) = (await read("candles"))["data"]
        assert (candle["open"], candle["close"], candle["volume"]) == ("63010", "63010", "0.5")
        assert (await read("line-chart"))["data"] == [{"timestamp": candle["timestamp"], "price": "63010"}]
        resting = (await read("orders"))["data"]
    assert [(row["side"], row["price"], row["remaining_quantity"]) for row in resting] == [
        ("BUY", "62990", "1"),
        ("SELL", "63010", "0.5"),
    ]


async def test_transfer_when_it_is_made_listed_and_read_then_all_fields_are_the_pages(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        made = await money(client, "PUT", "/transfers", "TRANSFER", to_wallet_address="0x" + "ab" * 20)
        assert shape(made) == shape(TRANSFER)
        assert shape((await client.ask("GET", "/transfers?page=0"))[1]) == shape(paged(TRANSFER))
        assert shape((await client.ask("GET", f"/transfers/{made['transfer_id']}"))[1]) == shape(TRANSFER)


async def test_withdrawal_when_its_proof_is_awaited_then_it_becomes_ready_with_the_pages_fields(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        made = await money(client, "POST", "/withdrawals", "WITHDRAW", chain_id=1)
        assert shape(made) == {"withdrawal_id": "str"}
        target = f"/withdrawals/{made['withdrawal_id']}/claim"
        _, waiting = await client.ask("GET", target)
        assert (waiting["proof_ready"], waiting["local_exit_proof"]) == (False, "")
        for _ in range(100):
            _, found = await client.ask("GET", target)
            if found["proof_ready"]:
                break
            await asyncio.sleep(0.1)
    assert shape(found) == shape(CLAIM)
    assert found["destination_address"] == client.ready["wallet_address"]
    assert (found["amount"], found["amount_formatted"]) == ("100500000", "100.5")


async def test_api_key_when_it_is_made_then_it_signs_until_it_is_deleted(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        status, made = await client.ask("PUT", "/api-keys", {})
        assert status == 201
        assert shape(made) == dict.fromkeys(("api_key", "api_secret", "user", "status"), "str")
        other = {"key": made["api_key"], "secret": made["api_secret"]}
        assert (await client.ask("GET", "/users/me", **other))[0] == 200
        _, listed = await client.ask("GET", "/api-keys")
        assert made["api_key"] in {row["api_key"] for row in listed["data"]}
        assert "api_secret" not in str(listed)
        assert (await client.ask("DELETE", f"/api-keys/{made['api_key']}"))[0] == 200
        assert (await client.ask("GET", "/users/me", **other))[0] == 401


async def money(client: Client, method: str, path: str, action: str, **fields: Any) -> Any:
    """Send 100.5 USDC away."""
    body = {"asset": "USDC", "amount": "100.5", "timestamp": client.stamp_ms(), **fields}
    signature = by_wallet(client.wallet_key, body | {"action": action})
    status, answer = await client.ask(method, path, body | {"signature": signature})
    assert status == 201, answer
    return answer
