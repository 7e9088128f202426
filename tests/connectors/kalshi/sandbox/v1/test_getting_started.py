"""What the vendor's older getting-started pages do, call by call: public data, the first order, the stream."""

from __future__ import annotations

import pytest

from tests.connectors.kalshi.sandbox.signed_client import PREFIX, Client, StartClient, signed_headers

EXAMPLE_SERIES = "KXHIGHNY"


@pytest.fixture
async def older(start: StartClient) -> Client:
    """A client of the older generation, at a market whose book has both sides; it signs with the RSA key."""
    client: Client = await start(dialect="v1", markets=4, speed=0.0)
    client.key_id, client.key_path = client.info.key_id, client.info.private_key_path
    for side, price in (("bid", 4_200), ("bid", 4_100), ("ask", 4_400), ("ask", 4_600)):
        client.rival(side, price, 1_300)  # type: ignore[arg-type]  # the words of the pairs above
    return client


async def test_market_data_when_read_without_a_signature_then_series_markets_event_and_book_are_there(
    older: Client,
) -> None:
    series = (await older.call("GET", f"/series/{EXAMPLE_SERIES}", headers={})).body["series"]
    assert all(isinstance(series[name], str) and series[name] for name in ("title", "frequency", "category"))
    listed = await older.call("GET", f"/markets?series_ticker={EXAMPLE_SERIES}&status=open", headers={})
    market = next(one for one in listed.body["markets"] if one["ticker"] == older.ticker)
    assert (market["yes_bid"], market["yes_ask"], market["no_bid"], market["no_ask"]) == (42, 44, 56, 58)
    assert (market["yes_bid_dollars"], market["tick_size"], market["volume"]) == ("0.4200", 1, 0)
    assert isinstance(market["yes_price"], int)
    event = (await older.call("GET", f"/events/{market['event_ticker']}", headers={})).body["event"]
    assert event["title"]
    assert event["category"]
    book = (await older.call("GET", f"/markets/{older.ticker}/orderbook", headers={})).body["orderbook"]
    assert (book["yes"], book["no"]) == ([[41, 13], [42, 13]], [[54, 13], [56, 13]])
    assert book["yes_dollars"] == [["0.4100", 13], ["0.4200", 13]]


async def test_book_when_it_is_empty_then_both_sides_are_lists_that_can_be_cut(older: Client) -> None:
    other = [*older.sandbox.venue.catalog.markets][1]
    book = (await older.call("GET", f"/markets/{other}/orderbook", headers={})).body["orderbook"]
    assert (book["yes"], book["no"]) == ([], [])


async def test_pages_when_followed_by_their_cursor_then_every_market_of_the_series_comes_once(older: Client) -> None:
    found: list[str] = []
    path = f"/markets?series_ticker={EXAMPLE_SERIES}&limit=2"
    cursor = ""
    while True:
        page = (await older.call("GET", f"{path}&cursor={cursor}" if cursor else path, headers={})).body
        found += [one["ticker"] for one in page["markets"]]
        cursor = page.get("cursor")
        if not cursor:
            break
    assert sorted(found) == sorted(set(found)) == sorted(older.sandbox.venue.catalog.tickers_of(EXAMPLE_SERIES))


async def test_balance_when_asked_for_with_a_signed_path_then_it_is_cents(older: Client) -> None:
    headers = signed_headers(older.key_path, older.key_id, "GET", f"{PREFIX}/portfolio/balance")
    answer = await older.call("GET", "/portfolio/balance?ignored=1", headers=headers)
    assert (answer.status, answer.body["balance"]) == (200, 1_000_000)


async def test_first_order_when_placed_on_the_first_open_market_then_201_and_it_rests(older: Client) -> None:
    market = (await older.call("GET", "/markets?limit=1&status=open", headers={})).body["markets"][0]
    assert market["title"]
    order = {"ticker": market["ticker"], "action": "buy", "side": "yes", "count": 1, "type": "limit", "yes_price": 1}
    answer = await older.call("POST", "/portfolio/orders", order | {"client_order_id": "first"})
    assert (answer.status, answer.body["order"]["status"]) == (201, "resting")
    assert (await older.call("GET", f"/portfolio/orders/{answer.body['order']['order_id']}")).status == 200


async def test_stream_when_one_market_is_subscribed_then_its_book_is_cents_and_own_changes_are_marked(
    older: Client,
) -> None:
    stream = await older.stream()
    params = {"channels": ["orderbook_delta"], "market_ticker": older.ticker}
    await stream.send({"id": 1, "cmd": "subscribe", "params": params})
    assert (await stream.until("subscribed"))["msg"] == {"channel": "orderbook_delta", "sid": 1}
    snapshot = await stream.until("orderbook_snapshot")
    assert (snapshot["msg"]["yes"], snapshot["msg"]["no"]) == ([[41, 13], [42, 13]], [[54, 13], [56, 13]])
    order = {
        "ticker": older.ticker,
        "action": "buy",
        "side": "no",
        "count": 2,
        "no_price": 10,
        "client_order_id": "mine",
    }
    await older.call("POST", "/portfolio/orders", order)
    change = await stream.until("orderbook_delta")
    assert change["data"] == change["msg"]
    named = {name: change["data"][name] for name in ("market_ticker", "price", "delta", "side", "client_order_id")}
    assert named == {"market_ticker": older.ticker, "price": 10, "delta": 2, "side": "no", "client_order_id": "mine"}
    assert "sending_ts_ms" not in change


async def test_stream_when_things_trade_then_ticker_trade_and_fill_have_cents_and_counts(older: Client) -> None:
    stream = await older.stream()
    await stream.send({"id": 1, "cmd": "subscribe", "params": {"channels": ["ticker", "trade", "fill"]}})
    for _ in range(3):
        await stream.until("subscribed")
    order = {"ticker": older.ticker, "action": "buy", "side": "yes", "count": 3, "yes_price": 44}
    await older.call("POST", "/portfolio/orders", order)
    frames = {}
    while len(frames) < 3:
        frame = await stream.next()
        frames[frame["type"]] = frame["data"]
    assert (frames["trade"]["yes_price"], frames["trade"]["no_price"], frames["trade"]["count"]) == (44, 56, 3)
    fill = frames["fill"]
    assert (fill["action"], fill["side"], fill["yes_price"], fill["count"], fill["post_position"]) == (
        "buy",
        "yes",
        44,
        3,
        3,
    )
    ticker = frames["ticker"]
    assert (ticker["price"], ticker["yes_bid"], ticker["yes_ask"], ticker["volume"]) == (44, 42, 44, 3)
    assert (ticker["bid"], ticker["ask"], ticker["market_ticker"]) == ("0.4200", "0.4400", older.ticker)


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        ({"cmd": "subscribe"}, 2, "Params required"),
        ({"cmd": "subscribe", "params": {}}, 3, "Channels required"),
        ({"cmd": "unsubscribe", "params": {}}, 4, "Subscription IDs required"),
        ({"cmd": "dance", "params": {}}, 5, "Unknown command"),
        ({"cmd": "unsubscribe", "params": {"sids": [7]}}, 7, "Unknown subscription ID"),
        ({"cmd": "subscribe", "params": {"channels": ["weather"]}}, 8, "Unknown channel name"),
        ({"cmd": "subscribe", "params": {"channels": ["orderbook_delta"]}}, 14, "Market Ticker required"),
        (
            {"cmd": "subscribe", "params": {"channels": ["orderbook_delta"], "market_ticker": "KXNOWHERE"}},
            16,
            "Market not found",
        ),
    ],
)
async def test_command_when_it_is_wrong_then_the_page_s_code_comes_with_its_id(
    older: Client, command: dict[str, object], code: int, text: str
) -> None:
    stream = await older.stream()
    await stream.send({"id": 123} | command)
    frame = await stream.until("error")
    assert (frame["id"], frame["msg"]["code"], frame["msg"]["msg"]) == (123, code, text)


async def test_later_paths_when_asked_for_then_404(older: Client) -> None:
    for method, path in (
        ("GET", "/account/limits"),
        ("POST", "/portfolio/events/orders"),
        ("GET", "/historical/cutoff"),
    ):
        assert (await older.call(method, path)).status == 404
