"""Everything that the vendor's page shows or promises of its REST, called as the page calls it."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

from connectors.sandbox.engine.audit_report import problems
from tests.connectors.bitexasia.signed_client import SEED_BODY, Client, StartClient

MARKET_FIELDS = {"pair", "status", "tick_size", "min_order_size"}


async def test_seed_order_when_it_is_sent_with_curl_then_it_is_taken(client: Client) -> None:
    await client.quote([], [["63100.00", "1.00"]])
    headers = client.signed("POST", "/v1/orders", SEED_BODY, nonce="7f3a1b8e")
    words = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    url = f"{client.ready['rest_url']}/orders"
    command = ["curl", "-s", "-X", "POST", url, *words, "-H", "Content-Type: application/json", "-d", SEED_BODY]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()

    order = json.loads(printed)
    assert (order["state"], order["price"], order["size"]) == ("open", "63000.00", "0.01")
    assert order["id"] in client.venue.served.exchange.ledger.orders


async def test_seed_order_when_the_market_is_there_then_it_fills_at_once(client: Client) -> None:
    await client.quote([], [["62990.00", "1.00"]])
    answer = await client.call("POST", "/orders", SEED_BODY)
    assert (answer.status, answer.body["state"], answer.body["remaining_size"]) == (201, "filled", "0.00")
    assert Decimal(answer.body["avg_fill_price"]) == 62_990


async def test_flow_when_it_runs_then_prices_lie_near_the_seed_order_in_lots_of_a_hundredth(start: StartClient) -> None:
    now = 1_800_000_000_000_000_000
    client = await start(speed=1.0, now_ns=lambda: now)
    for _ in range(1_200):
        now += 50_000_000
        client.venue.served.step(now)
    assert (await client.call("GET", "/ticker/BTC-USD", headers={})).body["volume_24h"] > "0.10"
    assert problems(client.venue.served.exchange) == []
    book = (await client.call("GET", "/orderbook/BTC-USD", headers={})).body
    prices = [Decimal(price) for side in ("bids", "asks") for price, _ in book[side]]
    sizes = [Decimal(size) for side in ("bids", "asks") for _, size in book[side]]
    assert len(prices) > 5
    assert all(abs(price - 63_000) < 2_000 for price in prices)
    assert all(size % Decimal("0.01") == 0 for size in sizes)
    assert max(sizes) < 10


async def test_markets_when_listed_then_each_has_status_tick_and_smallest_order(client: Client) -> None:
    answer = await client.call("GET", "/markets", headers={})
    assert answer.status == 200
    assert {one["pair"] for one in answer.body} == {"BTC-USD", "ETH-USD"}
    assert all(set(one) == MARKET_FIELDS for one in answer.body)
    assert answer.body[0] == {"pair": "BTC-USD", "status": "online", "tick_size": "0.01", "min_order_size": "0.01"}


async def test_ticker_when_there_was_a_trade_then_it_shows_it_with_best_prices_change_volume_and_cap(
    client: Client,
) -> None:
    await client.quote([["62000.00", "1.00"]], [["63000.00", "1.00"], ["63100.00", "1.00"]])
    act = {"act": "trade", "instrument": "BTC-USD", "side": "buy", "size": "0.40"}
    await client.admin("act", act | {"price": "63000.00"})
    await client.admin("act", act | {"price": "63100.00", "size": "0.70"})
    ticker = (await client.call("GET", "/ticker/BTC-USD")).body
    assert (ticker["last_price"], ticker["last_size"]) == ("63100.00", "0.10")
    assert (ticker["best_bid"], ticker["best_ask"]) == ("62000.00", "63100.00")
    assert (ticker["change_24h"], ticker["volume_24h"]) == ("100.00", "1.10")
    assert Decimal(ticker["market_cap"]) == Decimal("63100.00") * 19_950_000


async def test_book_when_it_is_deep_then_a_hundred_levels_come_and_a_thousand_for_a_verified_account(
    start: StartClient,
) -> None:
    bids = [[f"{62_000 - step}.00", "0.10"] for step in range(1_200)]
    plain = await start()
    await plain.quote(bids, [])
    assert len((await plain.call("GET", "/orderbook/BTC-USD")).body["bids"]) == 100
    assert len((await plain.call("GET", "/orderbook/BTC-USD?depth=7")).body["bids"]) == 7
    refused = await plain.call("GET", "/orderbook/BTC-USD?depth=1000")
    assert (refused.status, refused.code) == (403, "depth")
    verified = await start(depth=1_000)
    await verified.quote(bids, [])
    book = (await verified.call("GET", "/orderbook/BTC-USD?depth=1000")).body
    assert [price for price, _ in book["bids"][:2]] == ["62000.00", "61999.00"]
    assert len(book["bids"]) == 1_000


async def test_order_when_it_is_read_then_status_average_price_and_remaining_size_are_stated(client: Client) -> None:
    await client.quote([], [["60000.00", "0.01"], ["60001.00", "0.02"]])
    placed = (await client.order(price="60001", size="0.05")).body
    order = (await client.call("GET", f"/orders/{placed['id']}")).body
    assert (order["state"], order["filled_size"], order["remaining_size"]) == ("partially_filled", "0.03", "0.02")
    assert order["avg_fill_price"] == "60000.66666667"
    unknown = await client.call("GET", "/orders/none")
    assert (unknown.status, unknown.code) == (404, "order_not_found")


async def test_cancel_when_it_is_repeated_then_it_is_done_once_and_answered_alike(client: Client) -> None:
    placed = (await client.order()).body
    answers = [await client.call("POST", f"/orders/{placed['id']}/cancel") for _ in range(3)]
    assert [(one.status, one.body["state"]) for one in answers] == [(200, "cancelled")] * 3
    filled = await client.order(price="63000", side="sell")
    await client.admin(
        "act", {"act": "trade", "instrument": "BTC-USD", "side": "buy", "price": "63000", "size": "0.01"}
    )
    again = await client.call("POST", f"/orders/{filled.body['id']}/cancel")
    assert (again.status, again.body["state"]) == (200, "filled")
    assert (await client.call("POST", "/orders/none/cancel")).code == "order_not_found"


async def test_balances_when_an_order_rests_then_only_spot_holds_it_back(client: Client) -> None:
    before = (await client.call("GET", "/account/balances")).body
    assert set(before) == {"spot", "margin", "earn"}
    await client.order(price="60000", size="1.00")
    after = (await client.call("GET", "/account/balances")).body
    held = {
        product: {
            asset: Decimal(row["available"]) - Decimal(after[product][asset]["available"])
            for asset, row in assets.items()
            if row != after[product][asset]
        }
        for product, assets in before.items()
    }
    assert (held["margin"], held["earn"]) == ({}, {})
    assert set(held["spot"]) == {"USD"}
    assert held["spot"]["USD"] >= 60_000
    assert after["spot"]["USD"]["total"] == before["spot"]["USD"]["total"]
    more = await client.order(price="60000", size="33.00")
    assert (more.status, more.code) == (422, "insufficient_funds"), "margin and earn would cover it"
