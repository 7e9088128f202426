"""Recorded answers of the venue against the sandbox's: same status, same members, same digits.

The bodies are transcribed from recorded answers of June 2026. What the venue documented as changed since then stands in
one place, `ADDED` and `REMOVED`.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.connectors.kalshi.sandbox.signed_client import Client, StartClient, signed_headers

# Members that the venue has added since the recordings, and those it has dropped.
ADDED = {
    "order": {"cancel_order_on_pause", "exchange_index", "expiration_time"},
    "fill": {"exchange_index"},
    "market_position": {"exchange_index"},
    "market": {"exchange_index", "settlement_bounds_type", "floor_strike", "subtitle"},
    "status": {"exchange_estimated_resume_time", "exchange_index_statuses", "intra_exchange_transfers_active"},
    "delta": {"clock"},
    "snapshot": {"clock"},
}
REMOVED = {
    "market": {"fractional_trading_enabled", "liquidity_dollars", "response_price_units"},
    "market_position": {"resting_orders_count"},
}
# Market members that only some recorded markets have.
OPTIONAL_MARKET = frozenset(
    {"custom_strike", "cap_strike", "floor_strike", "primary_participant_key", "occurrence_datetime"}
)

PRICE = re.compile(r"^-?\d+\.\d{4}$")
MONEY = re.compile(r"^-?\d+\.\d{6}$")
COUNT = re.compile(r"^-?\d+\.\d{2}$")
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,5}[1-9])?Z$")
UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
CURSOR = re.compile(r"^[A-Za-z0-9_-]*$")

ORDER = {
    "action": "buy",
    "book_side": "bid",
    "client_order_id": "4a75a66e-ca85-4187-93cd-aac5e01ad982",
    "created_time": "2026-06-11T06:29:20.866753Z",
    "fill_count_fp": "0.00",
    "initial_count_fp": "1.00",
    "last_update_time": "2026-06-11T06:29:20.866753Z",
    "maker_fees_dollars": "0.000000",
    "maker_fill_cost_dollars": "0.000000",
    "no_price_dollars": "0.9900",
    "order_id": "2597b999-f887-4195-8bac-c3f97a1f2021",
    "outcome_side": "yes",
    "remaining_count_fp": "1.00",
    "self_trade_prevention_type": "taker_at_cross",
    "side": "yes",
    "status": "resting",
    "subaccount_number": 0,
    "taker_fees_dollars": "0.000000",
    "taker_fill_cost_dollars": "0.000000",
    "ticker": "KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP",
    "type": "limit",
    "user_id": "f50604b8-d25a-4b0c-b3c9-ce5b48ffcad0",
    "yes_price_dollars": "0.0100",
}
FILL = {
    "action": "buy",
    "book_side": "bid",
    "count_fp": "1.00",
    "created_time": "2026-06-11T06:29:30.164956Z",
    "fee_cost": "0.017500",
    "fill_id": "f4a42159-b500-57c6-efa2-c31d94d916c1",
    "is_taker": True,
    "market_ticker": "KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP",
    "no_price_dollars": "0.4800",
    "order_id": "97ec18b7-10d3-4557-9de0-8598aad625f0",
    "outcome_side": "yes",
    "side": "yes",
    "subaccount_number": 0,
    "ticker": "KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP",
    "trade_id": "f4a42159-b500-57c6-efa2-c31d94d916c1",
    "ts": 1781159370,
    "yes_price_dollars": "0.5200",
}
MARKET_POSITION = {
    "fees_paid_dollars": "0.018900",
    "last_updated_ts": "2026-06-11T06:29:30.165032Z",
    "market_exposure_dollars": "2.500000",
    "position_fp": "3.00",
    "realized_pnl_dollars": "0.000000",
    "resting_orders_count": 0,
    "ticker": "KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP",
    "total_traded_dollars": "2.500000",
}
EVENT_POSITION = {
    "event_exposure_dollars": "2.500000",
    "event_ticker": "KXWTACHALLENGERMATCH-26JUN11JIMLEP",
    "fees_paid_dollars": "0.018900",
    "realized_pnl_dollars": "0.000000",
    "total_cost_dollars": "2.500000",
    "total_cost_shares_fp": "3.00",
}
BALANCE = {
    "balance": 9801,
    "balance_breakdown": [{"balance": "98.0186", "exchange_index": 0}],
    "balance_dollars": "98.0186",
    "portfolio_value": 198,
    "updated_ts": 1781159348,
}
TRADE = {
    "count_fp": "7.77",
    "created_time": "2026-06-15T15:48:42.609997Z",
    "is_block_trade": False,
    "no_price_dollars": "0.9700",
    "taker_book_side": "bid",
    "taker_outcome_side": "yes",
    "taker_side": "yes",
    "ticker": "KXPGATOUR-USO26-JDAY",
    "trade_id": "56932642-f55c-41a6-1cad-35b95c27373b",
    "yes_price_dollars": "0.0300",
}
MARKET = {
    "can_close_early": True,
    "close_time": "2026-06-25T16:00:00Z",
    "created_time": "2026-06-11T05:12:22.338653Z",
    "custom_strike": {"tennis_competitor": "367dcce8-d796-4ed5-80ff-ddec69845a41"},
    "early_close_condition": "This market will close and expire after a winner is declared.",
    "event_ticker": "KXWTACHALLENGERMATCH-26JUN11JIMLEP",
    "expected_expiration_time": "2026-06-11T19:00:00Z",
    "expiration_time": "2026-06-25T16:00:00Z",
    "expiration_value": "",
    "fractional_trading_enabled": True,
    "last_price_dollars": "0.9900",
    "latest_expiration_time": "2026-06-25T16:00:00Z",
    "liquidity_dollars": "0.0000",
    "market_type": "binary",
    "no_ask_dollars": "0.5300",
    "no_bid_dollars": "0.4800",
    "no_sub_title": "Varvara Lepchenko",
    "notional_value_dollars": "1.0000",
    "occurrence_datetime": "2026-06-11T19:00:00Z",
    "open_interest_fp": "2.00",
    "open_time": "2026-06-11T05:39:29Z",
    "previous_price_dollars": "0.0000",
    "previous_yes_ask_dollars": "0.0000",
    "previous_yes_bid_dollars": "0.0000",
    "price_level_structure": "linear_cent",
    "price_ranges": [{"end": "1.0000", "start": "0.0000", "step": "0.0100"}],
    "response_price_units": "usd_cent",
    "result": "",
    "rules_primary": "If Varvara Lepchenko wins, then the market resolves to Yes.",
    "rules_secondary": "If the match is postponed, the market will remain open.",
    "settlement_timer_seconds": 60,
    "status": "active",
    "strike_type": "structured",
    "ticker": "KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP",
    "title": "Will Varvara Lepchenko win?",
    "updated_time": "2026-06-11T05:39:31.28563Z",
    "volume_24h_fp": "1.00",
    "volume_fp": "2.00",
    "yes_ask_dollars": "0.5200",
    "yes_ask_size_fp": "3.00",
    "yes_bid_dollars": "0.4700",
    "yes_bid_size_fp": "3.00",
    "yes_sub_title": "Varvara Lepchenko",
}
SNAPSHOT = {
    "market_ticker": "KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP",
    "market_id": "f5ed38e2-0991-4c8f-817e-08c4fd9cbfdb",
    "yes_dollars_fp": [["0.4700", "3.00"]],
    "no_dollars_fp": [["0.4800", "2.00"]],
}
DELTA = {
    "market_ticker": "KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP",
    "market_id": "f5ed38e2-0991-4c8f-817e-08c4fd9cbfdb",
    "price_dollars": "0.4800",
    "delta_fp": "-2.00",
    "side": "no",
    "ts": "2026-06-11T06:31:29.957466Z",
    "ts_ms": 1781159489957,
}


def shape(value: Any) -> str:
    """The kind of a value: for strings the digits that it is written with."""
    if not isinstance(value, str):
        return type(value).__name__
    forms = (("price", PRICE), ("money", MONEY), ("count", COUNT), ("time", TIME), ("uuid", UUID))
    return next((name for name, form in forms if form.match(value)), "text")


def assert_same_shape(
    kind: str, recorded: dict[str, Any], answered: dict[str, Any], optional: frozenset[str] = frozenset()
) -> None:
    """Members and digits agree, but for what the venue has changed since."""
    expected = set(recorded) - REMOVED.get(kind, set()) - optional
    assert expected <= set(answered), f"missing {expected - set(answered)}"
    assert set(answered) - expected - optional <= ADDED.get(kind, set())
    for name in expected:
        if name != "client_order_id":
            assert shape(answered[name]) == shape(recorded[name]), name


@pytest.fixture
async def quoted(client: Client) -> Client:
    """The recorded book: 3 bid at 0.47, 3 offered at 0.52 (NO bid 0.48)."""
    client.rival("bid", 4700, 300)
    client.rival("ask", 5200, 300)
    return client


@pytest.mark.parametrize(
    ("change", "body"),
    [
        (
            {"KALSHI-ACCESS-KEY": "00000000-0000-0000-0000-000000000000"},
            {
                "error": {
                    "code": "authentication_error",
                    "message": "authentication_error",
                    "details": "NOT_FOUND",
                }
            },
        ),
        (
            {"KALSHI-ACCESS-SIGNATURE": "bm90IGEgc2lnbmF0dXJl"},
            {
                "error": {
                    "code": "authentication_error",
                    "message": "authentication_error",
                    "details": "INCORRECT_API_KEY_SIGNATURE",
                }
            },
        ),
        (
            {"KALSHI-ACCESS-SIGNATURE": ""},
            {
                "error": {
                    "code": "signature_is_missing_from_headers",
                    "message": "signature is missing from headers",
                }
            },
        ),
    ],
)
async def test_signature_when_it_is_wrong_then_recorded_401(
    client: Client, change: dict[str, str], body: dict[str, Any]
) -> None:
    path = "/trade-api/v2/portfolio/balance"
    headers = signed_headers(client.key_path, client.key_id, "GET", path) | change
    answer = await client.call("GET", "/portfolio/balance", headers=headers)
    assert (answer.status, answer.body) == (401, body)
    assert (await client.audit_report())["refused_signatures"] == 1


@pytest.mark.parametrize("skew_ms", [-30_000, -300_000, 300_000])
async def test_timestamp_when_far_off_then_recorded_401(client: Client, skew_ms: int) -> None:
    answer = await client.call("GET", "/portfolio/balance", skew_ms=skew_ms)
    body = {"error": {"code": "header_timestamp_expired", "message": "header timestamp expired"}}
    assert (answer.status, answer.body) == (401, body)


@pytest.mark.parametrize("skew_ms", [-5_000, 0, 5_000])
async def test_timestamp_when_within_five_seconds_then_accepted(client: Client, skew_ms: int) -> None:
    answer = await client.call("GET", "/portfolio/balance", skew_ms=skew_ms)
    assert answer.status == 200
    assert_same_shape("balance", BALANCE, answer.body)
    assert_same_shape("balance of a shard", BALANCE["balance_breakdown"][0], answer.body["balance_breakdown"][0])  # type: ignore[index]


async def test_create_when_it_rests_then_recorded_201(quoted: Client) -> None:
    answer = await quoted.place(client_order_id="maker-1")
    assert answer.status == 201
    assert set(answer.body) == {"client_order_id", "fill_count", "order_id", "remaining_count", "ts_ms"}
    assert (answer.body["fill_count"], answer.body["remaining_count"]) == ("0.00", "1.00")
    assert UUID.match(answer.body["order_id"])


async def test_create_when_ioc_crosses_then_filled_at_the_makers_price_with_recorded_fee(quoted: Client) -> None:
    answer = await quoted.place(price="0.9900", time_in_force="immediate_or_cancel")
    assert answer.status == 201
    del answer.body["order_id"], answer.body["client_order_id"], answer.body["ts_ms"]
    assert answer.body == {
        "average_fee_paid": "0.0175",
        "average_fill_price": "0.5200",
        "fill_count": "1.00",
        "remaining_count": "0.00",
    }


async def test_create_when_it_would_hit_own_order_then_nothing_fills_and_own_order_stays(client: Client) -> None:
    resting = await client.place(side="bid", price="0.4800")
    answer = await client.place(side="ask", price="0.4800")
    assert (answer.status, answer.body["fill_count"], answer.body["remaining_count"]) == (201, "0.00", "0.00")
    order = (await client.call("GET", f"/portfolio/orders/{resting.body['order_id']}")).body["order"]
    assert (order["status"], order["remaining_count_fp"]) == ("resting", "1.00")


REFUSED = {
    "duplicate": (409, {"error": {"code": "order_already_exists", "message": "order already exists"}}),
    "post only": (
        400,
        {"error": {"code": "invalid_order", "message": "invalid order", "details": "post only cross"}},
    ),
    "balance": (400, {"error": {"code": "insufficient_balance", "message": "insufficient balance"}}),
    "price": (400, {"error": {"code": "invalid_price", "message": "invalid price"}}),
    "numbers": (
        400,
        {
            "code": "bad_request",
            "message": "bad request",
            "details": "json: cannot unmarshal number into Go struct field CreateOrderV2Request.count of type string",
        },
    ),
}


@pytest.mark.parametrize(
    ("case", "changes"),
    [
        ("post only", {"post_only": True, "price": "0.9900"}),
        ("balance", {"count": "100990.00", "price": "0.9900"}),
        ("price", {"price": "0.5150", "post_only": True}),
        ("numbers", {"count": 1, "price": 0.01}),
    ],
)
async def test_create_when_refused_then_recorded_body(quoted: Client, case: str, changes: dict[str, Any]) -> None:
    answer = await quoted.place(**changes)
    assert (answer.status, answer.body) == REFUSED[case]


async def test_create_when_client_id_was_used_then_recorded_409_even_after_the_cancel(client: Client) -> None:
    first = await client.place(client_order_id="once")
    again = await client.place(client_order_id="once")
    assert (again.status, again.body) == REFUSED["duplicate"]
    await client.call("DELETE", f"/portfolio/events/orders/{first.body['order_id']}")
    later = await client.place(client_order_id="once")
    assert (later.status, later.body) == REFUSED["duplicate"]


async def test_cancel_when_resting_then_recorded_200_and_recorded_404_the_second_time(client: Client) -> None:
    placed = await client.place()
    path = f"/portfolio/events/orders/{placed.body['order_id']}"
    answer = await client.call("DELETE", path)
    assert answer.status == 200
    assert set(answer.body) == {"order_id", "reduced_by", "ts_ms"}
    assert answer.body["reduced_by"] == "1.00"
    for gone in (path, "/portfolio/events/orders/00000000-0000-0000-0000-000000000000"):
        answer = await client.call("DELETE", gone)
        assert (answer.status, answer.body) == (404, {"error": {"code": "not_found", "message": "not found"}})


async def test_objects_when_listed_then_recorded_members_and_digits(quoted: Client) -> None:
    resting = await quoted.place()
    await quoted.place(price="0.9900", time_in_force="immediate_or_cancel")
    order = (await quoted.call("GET", f"/portfolio/orders/{resting.body['order_id']}")).body["order"]
    assert_same_shape("order", ORDER, order)
    fills = (await quoted.call("GET", "/portfolio/fills?limit=10")).body
    assert fills["cursor"] == ""
    assert_same_shape("fill", FILL, fills["fills"][0])
    positions = (await quoted.call("GET", "/portfolio/positions")).body
    assert_same_shape("market_position", MARKET_POSITION, positions["market_positions"][0])
    assert_same_shape("event_position", EVENT_POSITION, positions["event_positions"][0])
    trades = (await quoted.call("GET", f"/markets/trades?ticker={quoted.ticker}&limit=12")).body
    assert_same_shape("trade", TRADE, trades["trades"][0])
    assert (await quoted.call("GET", "/portfolio/settlements?limit=10")).body == {"cursor": "", "settlements": []}
    assert (await quoted.call("GET", "/series/fee_changes")).body == {"series_fee_change_arr": []}


async def test_market_when_read_then_recorded_members_and_digits_and_quotes(quoted: Client) -> None:
    market = (await quoted.call("GET", f"/markets/{quoted.ticker}", headers={})).body["market"]
    assert_same_shape("market", MARKET, market, OPTIONAL_MARKET)
    for name in ("no_ask_dollars", "no_bid_dollars", "yes_ask_dollars", "yes_ask_size_fp", "yes_bid_dollars"):
        assert market[name] == MARKET[name]


async def test_markets_when_status_filter_then_only_those_and_market_without_asks_reads_zero(client: Client) -> None:
    markets = (await client.call("GET", "/markets?status=open")).body["markets"]
    assert len(markets) == 4
    assert {(one["yes_ask_dollars"], one["no_bid_dollars"]) for one in markets} == {("0.0000", "1.0000")}
    assert (await client.call("GET", "/markets?status=settled")).body == {"cursor": "", "markets": []}


async def test_market_when_its_asks_are_gone_then_ask_reads_one(client: Client) -> None:
    order = await client.place(side="ask", price="0.9000")
    await client.call("DELETE", f"/portfolio/events/orders/{order.body['order_id']}")
    market = (await client.call("GET", f"/markets/{client.ticker}")).body["market"]
    assert (market["yes_ask_dollars"], market["no_bid_dollars"], market["yes_ask_size_fp"]) == (
        "1.0000",
        "0.0000",
        "0.00",
    )


async def test_orderbook_when_read_then_recorded_body(quoted: Client) -> None:
    answer = await quoted.call("GET", f"/markets/{quoted.ticker}/orderbook")
    assert answer.body == {"orderbook_fp": {"no_dollars": [["0.4800", "3.00"]], "yes_dollars": [["0.4700", "3.00"]]}}


async def test_listing_when_limit_is_above_the_most_then_recorded_400(client: Client) -> None:
    answer = await client.call("GET", "/markets?limit=1001")
    text = (
        "Parameter validation failed for GetMarkets: Key: 'GetMarketsParams.Limit' "
        "Error:Field validation for 'Limit' failed on the 'lte' tag"
    )
    assert (answer.status, answer.body) == (400, {"msg": text})


async def test_listing_when_cursor_is_garbage_then_first_page(client: Client) -> None:
    first = await client.call("GET", "/markets?limit=2")
    answer = await client.call("GET", "/markets?limit=2&cursor=garbage-cursor-fixture")
    assert (answer.status, answer.body) == (200, first.body)
    assert CURSOR.match(answer.body["cursor"])


async def test_account_when_basic_then_recorded_rates_and_costs(start: StartClient) -> None:
    client = await start(tier="basic")
    limits = (await client.call("GET", "/account/limits")).body
    # Today's read bucket holds three seconds; the recording predates that.
    assert limits == {
        "grants": [],
        "read": {"bucket_capacity": 600, "refill_rate": 200},
        "usage_tier": "basic",
        "write": {"bucket_capacity": 100, "refill_rate": 100},
    }
    costs = (await client.call("GET", "/account/endpoint_costs")).body
    assert costs["default_cost"] == 10
    recorded = {"cost": 2, "method": "DELETE", "path": "/trade-api/v2/portfolio/events/orders/:order_id"}
    assert recorded in costs["endpoint_costs"]


async def test_status_when_open_then_recorded_members(client: Client) -> None:
    status = (await client.call("GET", "/exchange/status", headers={})).body
    assert_same_shape("status", {"exchange_active": True, "trading_active": True}, status)
    assert status["exchange_active"] is True


@pytest.mark.parametrize(("use_yes_price", "no_price"), [(False, "0.4800"), (True, "0.5200")])
async def test_stream_when_subscribed_then_recorded_frames(quoted: Client, use_yes_price: bool, no_price: str) -> None:
    stream = await quoted.stream()
    params = {
        "channels": ["orderbook_delta", "trade"],
        "market_tickers": [quoted.ticker],
        "use_yes_price": use_yes_price,
    }
    await stream.send({"id": 1, "cmd": "subscribe", "params": params})
    frames = [await stream.next() for _ in range(3)]
    for frame in frames:
        assert isinstance(frame.pop("sending_ts_ms"), int)
    assert frames[0] == {"type": "subscribed", "id": 1, "msg": {"channel": "orderbook_delta", "sid": 1}}
    assert frames[1] == {"type": "subscribed", "id": 1, "msg": {"channel": "trade", "sid": 2}}
    assert (frames[2]["type"], frames[2]["sid"], frames[2]["seq"]) == ("orderbook_snapshot", 1, 1)
    assert_same_shape("snapshot", SNAPSHOT, frames[2]["msg"])
    assert frames[2]["msg"]["no_dollars_fp"] == [[no_price, "3.00"]]
    quoted.rival("ask", 5200, 200)
    delta = await stream.next()
    assert (delta["type"], delta["sid"], delta["seq"]) == ("orderbook_delta", 1, 2)
    assert_same_shape("delta", DELTA, delta["msg"])
    assert (delta["msg"]["price_dollars"], delta["msg"]["delta_fp"], delta["msg"]["side"]) == (no_price, "2.00", "no")
    await stream.socket.close()
