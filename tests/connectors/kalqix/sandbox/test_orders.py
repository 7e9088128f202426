"""Orders at the local exchange: how they end, what is refused, how lists are filtered and cut."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from connectors.kalqix.sandbox.__main__ import main
from tests.connectors.kalqix.sandbox.client import Client, serving
from tests.support.command_line import Capsys


async def status_of(client: Client, order_id: str) -> str:
    _, order = await client.ask("GET", f"/orders/{order_id}")
    return str(order["status"])


async def until_status(client: Client, order_id: str, status: str) -> None:
    for _ in range(500):
        if await status_of(client, order_id) == status:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{order_id} is {await status_of(client, order_id)}, never {status}")


async def test_order_when_it_rests_trades_in_part_and_is_cancelled_then_each_status_shows(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await client.make_market()
        order_id = await client.place(price="63000", quantity="0.5")
        assert await status_of(client, order_id) == "PENDING"
        await client.act("trade", instrument="BTC_USDC", side="sell", price="63000", size="0.2")
        assert await status_of(client, order_id) == "PARTIALLY_FILLED"
        assert (await client.ask("DELETE", client.cancel_target(order_id)))[0] == 200
        assert await status_of(client, order_id) == "CANCELLATION_REQUESTED"
        again = await client.ask("DELETE", client.cancel_target(order_id))
        assert again == (400, {"error": "Your cancellation request is already received."})
        await until_status(client, order_id, "CANCELLED")
        over = await client.ask("DELETE", client.cancel_target(order_id))
        assert over == (400, {"error": "Order cannot be canceled or is already processed."})


async def test_order_when_its_cancel_is_under_way_then_it_can_still_fill(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await client.make_market()
        order_id = await client.place(price="63000", quantity="0.5")
        await client.fault("slow_cancel", delay_ms=2_000, count=-1)
        await client.ask("DELETE", client.cancel_target(order_id))
        await client.act("trade", instrument="BTC_USDC", side="sell", price="63000", size="0.5")
        assert await status_of(client, order_id) == "FILLED"
        assert await client.ask("DELETE", client.cancel_target(order_id)) == (
            403,
            {"error": "Permission Denied. Order is already filled."},
        )


async def test_market_order_when_an_amount_is_to_be_spent_then_it_buys_for_no_more(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await client.make_market()
        fields = {"order_type": "MARKET", "price": "", "quantity": "", "quote_quantity": "1000"}
        order_id = await client.place(**fields)
        _, order = await client.ask("GET", f"/orders/{order_id}")
    spent = sum(float(one["amount"]) for one in order["trades"])
    assert (order["status"], order["price"]) == ("FILLED", "")
    assert 990 < spent <= 1000


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"time_in_force": 1, "price": "63010", "quantity": "2"}, "EXPIRED_IN_MATCH"),
        ({"time_in_force": 2, "price": "63010", "quantity": "2"}, "EXPIRED_IN_MATCH"),
        ({"time_in_force": 2, "price": "63010", "quantity": "1"}, "FILLED"),
        ({"order_type": "MARKET", "price": "", "quantity": "0.5", "side": "SELL"}, "FILLED"),
    ],
)
async def test_order_when_it_is_immediate_then_it_ends_at_once(
    tmp_path: Path, fields: dict[str, Any], status: str
) -> None:
    async with serving(tmp_path) as client:
        await client.make_market()
        assert await status_of(client, await client.place(**fields)) == status


async def test_order_when_its_end_date_comes_then_it_has_expired(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        order_id = await client.place(expires_at=int(time.time() * 1000) + 700)
        assert await status_of(client, order_id) == "PENDING"
        await until_status(client, order_id, "EXPIRED")


@pytest.mark.parametrize(
    ("fields", "status", "text"),
    [
        ({"ticker": "BTC_EUR"}, 404, "Invalid market."),
        ({"ticker": "BTC/USDC"}, 404, "Invalid market."),
        ({"side": "buy"}, 400, "Missing required fields."),
        ({"price": ""}, 400, "Missing required fields."),
        ({"price": "60000.001"}, 400, "Invalid price."),
        ({"quantity": "0.00001"}, 400, "Invalid quantity."),
        ({"quantity": "-1"}, 400, "Invalid quantity."),
        ({"price": "1", "quantity": "0.1"}, 400, "Order is below the minimum trade size."),
        ({"quantity": "100000"}, 400, "Insufficient balance."),
        ({"expires_at": 1}, 400, "Invalid expires_at."),
        ({"time_in_force": 3}, 400, "Missing required fields."),
    ],
)
async def test_order_when_it_is_wrong_then_the_venue_says_what(
    tmp_path: Path, fields: dict[str, Any], status: int, text: str
) -> None:
    async with serving(tmp_path) as client:
        assert await client.ask("POST", "/orders", client.order_body(**fields)) == (status, {"error": text})


async def test_price_when_it_is_a_fifth_off_the_last_then_the_order_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await client.make_market()
        await client.place(price="63010")
        answer = await client.ask("POST", "/orders", client.order_body(price="50000"))
    assert answer == (400, {"error": "Price deviates too much from the last price."})


async def test_orders_when_they_are_listed_then_filters_hold_and_pages_are_cut(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await client.make_market()
        made = [await client.place(price=str(60_000 + number), quantity="0.001") for number in range(27)]
        sold = await client.place(side="SELL", price="64000")
        await client.place(price="63010")

        async def listed(query: str) -> Any:
            return (await client.ask("GET", f"/orders?{query}"))[1]

        page = await listed("open=true&page_size=100")
        assert (page["total"], page["page_size"], len(page["data"])) == (28, 25, 25)
        assert page["data"][0]["order_id"] == sold
        assert [one["order_id"] for one in (await listed("open=true&page=1&page_size=25"))["data"]] == made[2::-1]
        assert (await listed("side=SELL"))["total"] == 1
        assert (await listed("side=BUY,SELL&status=FILLED,CANCELLED"))["total"] == 1
        assert (await listed("ticker=ETH_USDC"))["total"] == 0
        assert (await listed("order_type=MARKET"))["total"] == 0


async def test_limits_when_they_are_passed_then_429_says_how_long_to_wait(tmp_path: Path) -> None:
    async with serving(tmp_path, limit=3) as client:
        answers = [await client.send("GET", "/v1/time") for _ in range(8)]
        assert (429, {"error": "Too many requests."}) in answers
        async with client.http.get(f"{client.root}/v1/time") as answer:
            assert answer.headers["X-RateLimit-Limit"] == "3"
            assert answer.headers.get("Retry-After", "1") == "1"


async def test_truth_when_money_and_orders_have_moved_then_all_adds_up(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await client.make_market()
        await client.place(price="63010", quantity="0.3")
        await client.place(price="62000", quantity="0.3")
        async with client.http.get(f"{client.ready['admin_url']}/truth") as answer:
            found = await answer.json()
    assert (found["problems"], found["refused_signatures"], found["rate_limited"]) == ([], 0, 0)
    assert {"orders", "fills", "positions", "balances", "cash_flows", "observed"} <= found.keys()


@pytest.mark.parametrize("option", ["--limit", "--wallet-limit"])
def test_option_when_nothing_may_be_sent_then_it_is_a_usage_error(option: str, capsys: Capsys) -> None:
    with pytest.raises(SystemExit):
        main([option, "0", "--port", "99999"])
    assert f"{option}: 0: give a whole number, 1 or more" in capsys.readouterr().err
