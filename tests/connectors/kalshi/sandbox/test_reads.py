"""Reading over HTTP: pages, filters, lag, keys and their scopes, public endpoints."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest

from tests.connectors.kalshi.sandbox.signed_client import Client, StartClient


async def pages(client: Client, path: str, name: str) -> list[Any]:
    """Everything that a paged listing has, following its cursors."""
    found: list[Any] = []
    cursor = ""
    while True:
        body = (await client.call("GET", f"{path}{'&' if '?' in path else '?'}cursor={cursor}")).body
        found += body[name]
        cursor = body["cursor"]
        if not cursor:
            return found


async def test_orders_when_paged_while_new_ones_arrive_then_each_once_and_newest_first(client: Client) -> None:
    placed = [(await client.place()).body["order_id"] for _ in range(5)]
    first = (await client.call("GET", "/portfolio/orders?limit=2")).body
    await client.place()
    second = (await client.call("GET", f"/portfolio/orders?limit=10&cursor={first['cursor']}")).body
    seen = [order["order_id"] for order in first["orders"] + second["orders"]]
    assert seen == placed[::-1]
    assert second["cursor"] == ""


@pytest.mark.parametrize("name", ["fills", "trades"])
async def test_listing_when_paged_by_one_then_the_same_as_in_one_page(client: Client, name: str) -> None:
    client.rival("ask", 5200, 1000)
    for _ in range(3):
        await client.place(price="0.5200", count="0.50", time_in_force="immediate_or_cancel")
    path = "/portfolio/fills" if name == "fills" else "/markets/trades"
    whole = (await client.call("GET", path)).body[name]
    assert len(whole) == 3
    assert await pages(client, f"{path}?limit=1", name) == whole


async def test_orders_when_filtered_then_only_those(client: Client) -> None:
    first, second = list(client.sandbox.venue.catalog.markets)[:2]
    kept = (await client.place(ticker=first)).body["order_id"]
    gone = (await client.place(ticker=second)).body["order_id"]
    await client.call("DELETE", f"/portfolio/events/orders/{gone}")
    now_s = int(time.time())
    for query, expected in (
        ("status=resting", [kept]),
        ("status=canceled", [gone]),
        (f"ticker={second}", [gone]),
        (f"ticker={first},{second}", [gone, kept]),
        (f"min_ts={now_s + 100}", []),
        (f"max_ts={now_s + 100}", [gone, kept]),
        ("exchange_index=3", []),
        ("subaccount=0", [gone, kept]),
    ):
        body = (await client.call("GET", f"/portfolio/orders?{query}")).body
        assert [order["order_id"] for order in body["orders"]] == expected, query


async def test_reads_when_they_lag_then_a_cancel_is_seen_late_and_writes_are_not_held_up(client: Client) -> None:
    placed = await client.place()
    await client.admin("POST", "/faults", {"kind": "read_lag", "lag_ms": 300})
    path = f"/portfolio/orders/{placed.body['order_id']}"
    assert (await client.call("DELETE", f"/portfolio/events/orders/{placed.body['order_id']}")).status == 200
    assert (await client.call("GET", path)).body["order"]["status"] == "resting"
    assert (await client.call("GET", "/portfolio/orders?status=canceled")).body["orders"] == []
    deadline = time.monotonic() + 5
    while (await client.call("GET", path)).body["order"]["status"] == "resting":
        assert time.monotonic() < deadline
    client.rival("ask", 5200, 500)
    before = (await client.call("GET", "/portfolio/balance")).body["balance_dollars"]
    await client.place(price="0.5200", time_in_force="immediate_or_cancel")
    assert (await client.call("GET", "/portfolio/fills")).body["fills"] == []
    assert (await client.call("GET", "/portfolio/positions")).body["market_positions"] == []
    await client.admin("DELETE", "/faults")
    assert len((await client.call("GET", "/portfolio/fills")).body["fills"]) == 1
    deadline = time.monotonic() + 5
    while (answer := await client.call("GET", "/portfolio/balance")).status == 429:
        assert time.monotonic() < deadline
    assert Decimal(answer.body["balance_dollars"]) < Decimal(before)


async def test_reads_when_lag_is_an_option_then_it_outlives_the_end_of_all_faults(start: StartClient) -> None:
    client = await start(tier="prestige", read_lag_ms=60_000)
    await client.admin("DELETE", "/faults")
    assert (await client.place()).status == 201
    assert (await client.call("GET", "/portfolio/orders")).body["orders"] == []
    assert len((await client.audit_report())["orders"]) == 1


async def test_balances_when_a_subaccount_is_newer_than_the_lag_then_it_shows_no_cash(start: StartClient) -> None:
    client = await start(tier="prestige", read_lag_ms=60_000)
    await client.admin("DELETE", "/faults")  # when this is answered, the lag is in force
    assert (await client.call("POST", "/portfolio/subaccounts")).body == {"subaccount_number": 1}
    answer = await client.call("GET", "/portfolio/subaccounts/balances")
    shown = [(one["subaccount_number"], one["balance"]) for one in answer.body["subaccount_balances"]]
    assert (answer.status, shown) == (200, [(0, "10000.0000"), (1, "0.0000")])


@pytest.mark.parametrize("key_type", ["rsa", "ed25519"])
async def test_generated_key_when_it_signs_then_accepted_until_deleted(client: Client, key_type: str) -> None:
    made = await client.call("POST", "/api_keys/generate", {"name": "mine", "key_type": key_type})
    assert (made.status, made.body["key_type"]) == (201, key_type)
    header = "-----BEGIN RSA PRIVATE KEY-----" if key_type == "rsa" else "-----BEGIN PRIVATE KEY-----"
    assert made.body["private_key"].startswith(header)
    other = client.with_key(made.body["api_key_id"], made.body["private_key"])
    assert (await other.call("GET", "/portfolio/orders")).status == 200
    assert (await client.call("DELETE", f"/api_keys/{other.key_id}")).status == 204
    assert (await other.call("GET", "/portfolio/orders")).body["error"]["details"] == "NOT_FOUND"
    assert (await client.call("DELETE", f"/api_keys/{other.key_id}")).status == 404


@pytest.mark.parametrize(
    ("scopes", "reads", "balance", "writes"),
    [
        (["read"], 200, 200, 403),
        (["read", "write"], 200, 200, 201),
        (["read", "write::trade"], 200, 200, 201),
        (["read::portfolio_balance"], 403, 200, 403),
        (["read", "write::transfer"], 200, 200, 403),
    ],
)
async def test_key_when_its_scopes_are_narrow_then_the_rest_is_403(
    client: Client, scopes: list[str], reads: int, balance: int, writes: int
) -> None:
    made = (await client.call("POST", "/api_keys/generate", {"name": "narrow", "scopes": scopes})).body
    other = client.with_key(made["api_key_id"], made["private_key"])
    assert (await other.call("GET", "/portfolio/orders")).status == reads
    assert (await other.call("GET", "/portfolio/balance")).status == balance
    assert (await other.place()).status == writes


async def test_key_when_locked_to_a_subaccount_then_others_are_403_and_unseen(client: Client) -> None:
    assert (await client.call("POST", "/portfolio/subaccounts")).body == {"subaccount_number": 1}
    mine = (await client.place()).body["order_id"]
    made = (await client.call("POST", "/api_keys/generate", {"name": "locked", "subaccount": 1})).body
    locked = client.with_key(made["api_key_id"], made["private_key"])
    assert (await locked.place(subaccount=0)).status == 403
    assert (await locked.call("GET", "/portfolio/orders")).body["orders"] == []
    assert (await locked.call("GET", f"/portfolio/orders/{mine}")).status == 404
    assert (await locked.place()).body["error"]["code"] == "insufficient_balance"


async def test_subaccount_when_it_was_never_opened_then_user_not_found(client: Client) -> None:
    answer = await client.place(subaccount=9)
    assert answer.status == 400
    assert answer.body["error"]["code"].startswith("user_not_found: ")


PUBLIC = (
    "/exchange/status",
    "/exchange/schedule",
    "/exchange/user_data_timestamp",
    "/markets",
    "/markets/trades",
    "/events?with_nested_markets=true",
    "/events/multivariate",
    "/events/fee_changes",
    "/series",
    "/series/fee_changes",
    "/historical/cutoff",
    "/historical/markets",
    "/account/endpoint_costs",
)


@pytest.mark.parametrize("path", PUBLIC)
async def test_public_endpoint_when_unsigned_then_200(client: Client, path: str) -> None:
    assert (await client.call("GET", path, headers={})).status == 200


async def test_events_and_series_when_read_then_they_fit_their_markets(client: Client) -> None:
    market = (await client.call("GET", f"/markets/{client.ticker}")).body["market"]
    event = (await client.call("GET", f"/events/{market['event_ticker']}?with_nested_markets=true")).body["event"]
    assert client.ticker in [one["ticker"] for one in event["markets"]]
    series = (await client.call("GET", f"/series/{event['series_ticker']}")).body["series"]
    assert (series["fee_type"], series["fee_multiplier"]) == ("quadratic", 1.0)
    listed = (await client.call("GET", f"/markets?event_ticker={event['event_ticker']}")).body["markets"]
    assert {one["ticker"] for one in listed} == {one["ticker"] for one in event["markets"]}


async def test_orderbooks_when_two_are_asked_then_both_and_depth_cuts(client: Client) -> None:
    first, second = list(client.sandbox.venue.catalog.markets)[:2]
    for price in (4500, 4600, 4700):
        client.rival("bid", price, 100)
    body = (await client.call("GET", f"/markets/orderbooks?tickers={first}&tickers={second}", headers={})).body
    assert [one["ticker"] for one in body["orderbooks"]] == [first, second]
    book = (await client.call("GET", f"/markets/{first}/orderbook?depth=1")).body["orderbook_fp"]
    assert book == {"no_dollars": [], "yes_dollars": [["0.4700", "1.00"]]}


async def test_candlesticks_when_trades_happened_then_open_high_low_close(client: Client) -> None:
    client.rival("ask", 5200, 100)
    client.rival("ask", 5400, 100)
    await client.place(price="0.5400", count="2.00", time_in_force="immediate_or_cancel")
    now_s = int(time.time())
    listing = client.sandbox.venue.catalog.markets[client.ticker]
    path = f"/series/{listing.series_ticker}/markets/{client.ticker}/candlesticks"
    body = (await client.call("GET", f"{path}?start_ts={now_s - 60}&end_ts={now_s + 60}&period_interval=1")).body
    candle = body["candlesticks"][-1]
    assert candle["price"]["open_dollars"] == "0.5200"
    assert candle["price"]["close_dollars"] == "0.5400"
    assert (candle["price"]["mean_dollars"], candle["volume_fp"]) == ("0.5300", "2.00")
    assert (await client.call("GET", f"{path}?start_ts=1&end_ts=2&period_interval=7")).status == 400


async def test_tier_when_below_premier_then_own_public_keys_are_403(start: StartClient) -> None:
    client = await start(tier="advanced")
    assert (await client.call("POST", "/api_keys", {"name": "x", "public_key": "y"})).status == 403


async def test_path_when_unknown_then_404(client: Client) -> None:
    answer = await client.call("GET", "/no/such/path")
    assert (answer.status, answer.body["error"]["code"]) == (404, "not_found")


async def test_multivariate_when_listed_then_it_is_apart_from_other_events_and_names_its_legs(
    start: StartClient,
) -> None:
    client: Client = await start(multivariate=2)
    tickers = [*client.sandbox.venue.catalog.markets]
    (event,) = (await client.call("GET", "/events/multivariate")).body["events"]
    others = (await client.call("GET", "/events")).body["events"]
    assert event["event_ticker"] not in {one["event_ticker"] for one in others}
    (market,) = (await client.call("GET", "/markets?mve_filter=only")).body["markets"]
    assert market["event_ticker"] == event["event_ticker"]
    assert [(leg["market_ticker"], leg["side"]) for leg in market["mve_selected_legs"]] == [
        (ticker, "yes") for ticker in tickers[:2]
    ]
    assert (market["strike_type"], "floor_strike" in market) == ("custom", False)
    alone = (await client.call("GET", "/markets?mve_filter=exclude")).body["markets"]
    assert sorted(one["ticker"] for one in alone) == sorted(set(tickers) - {market["ticker"]})
