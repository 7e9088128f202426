"""Orders in the older generation: action and side, cents, whole orders as answers, batches, limits by requests."""

from __future__ import annotations

from typing import Any

import pytest

from tests.connectors.kalshi.sandbox.signed_client import Answer, Client, StartClient, TurnedClock

ORDERS = "/portfolio/orders"


@pytest.fixture
async def older(start: StartClient) -> Client:
    """A client of the older generation, on its highest tier."""
    started: Client = await start(dialect="v1", tier="prime")
    return started


async def place(client: Client, **changes: Any) -> Answer:
    order = {"ticker": client.ticker, "action": "buy", "side": "yes", "count": 1, "type": "limit", "yes_price": 1}
    body = {name: value for name, value in (order | changes).items() if value is not None}
    return await client.call("POST", ORDERS, body)


async def test_order_when_it_buys_yes_at_a_cent_then_the_whole_order_is_the_answer(older: Client) -> None:
    answer = await place(older, client_order_id="mine-1")
    order = answer.body["order"]
    assert answer.status == 201
    assert (order["status"], order["client_order_id"], order["type"]) == ("resting", "mine-1", "limit")
    assert (order["action"], order["side"], order["yes_price"], order["no_price"]) == ("buy", "yes", 1, 99)
    assert (order["initial_count"], order["remaining_count"], order["fill_count"]) == (1, 1, 0)
    assert order["yes_price_dollars"] == "0.0100"
    assert {"book_side", "exchange_index", "fill_count_fp"}.isdisjoint(order)


async def test_order_when_its_client_id_is_known_then_409(older: Client) -> None:
    await place(older, client_order_id="mine-1")
    answer = await place(older, client_order_id="mine-1")
    assert (answer.status, answer.body["error"]["code"]) == (409, "order_already_exists")


@pytest.mark.parametrize(
    ("words", "side", "price"),
    [
        ({"action": "buy", "side": "yes", "yes_price": 30}, "bid", 3_000),
        ({"action": "sell", "side": "yes", "yes_price": 30}, "ask", 3_000),
        ({"action": "buy", "side": "no", "no_price": 30, "yes_price": None}, "ask", 7_000),
        ({"action": "sell", "side": "no", "no_price": 30, "yes_price": None}, "bid", 7_000),
        ({"action": "sell", "side": "no", "yes_price": 30}, "bid", 3_000),
        ({"action": "buy", "side": "yes", "yes_price": None, "yes_price_dollars": "0.3000"}, "bid", 3_000),
    ],
)
async def test_order_when_it_is_of_no_then_it_is_the_other_side_of_yes_and_reads_as_it_was_given(
    older: Client, words: dict[str, Any], side: str, price: int
) -> None:
    made = (await place(older, **words)).body["order"]
    order = older.sandbox.venue.exchange.ledger.orders[made["order_id"]]
    assert (order.side, order.price) == (side, price)
    listed = (await older.call("GET", ORDERS)).body["orders"][0]
    assert [(one["action"], one["side"]) for one in (made, listed)] == [(words["action"], words["side"])] * 2
    assert (listed["yes_price"], listed["no_price"]) == (price // 100, 100 - price // 100)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"yes_price": 0}, "invalid_price"),
        ({"yes_price": 100}, "invalid_price"),
        ({"no_price": 99}, "invalid_parameters"),
        ({"yes_price": None}, "invalid_parameters"),
        ({"action": "hold"}, "invalid_parameters"),
        ({"side": "maybe"}, "invalid_parameters"),
        ({"type": "stop"}, "invalid_parameters"),
        ({"buy_max_cost": 500}, "invalid_parameters"),
        ({"count": 0}, "invalid_order_size"),
        ({"count": None, "count_fp": "0.50"}, "invalid_order_size"),
        ({"yes_price": None, "yes_price_dollars": "0.0150"}, "invalid_price"),
    ],
)
async def test_order_when_a_value_is_none_of_its_own_then_400_and_no_order(
    older: Client, changes: dict[str, Any], code: str
) -> None:
    answer = await place(older, **changes)
    assert (answer.status, answer.body["error"]["code"]) == (400, code)
    assert (await older.audit_report())["orders"] == []


async def test_market_order_when_sent_then_it_takes_and_nothing_rests(older: Client) -> None:
    older.rival("ask", 5_200, 200)
    order = (await place(older, type="market", yes_price=None, count=3)).body["order"]
    assert (order["status"], order["fill_count"], order["remaining_count"]) == ("canceled", 2, 0)


async def test_fill_when_it_is_listed_then_price_and_count_are_numbers_and_the_fee_a_whole_cent(older: Client) -> None:
    older.rival("ask", 5_200, 100)
    order = (await place(older, yes_price=52)).body["order"]
    fill = (await older.call("GET", "/portfolio/fills")).body["fills"][0]
    assert (fill["order_id"], fill["yes_price"], fill["no_price"], fill["count"]) == (order["order_id"], 52, 48, 1)
    assert (fill["fee_cost"], order["taker_fees"], order["taker_fill_cost"]) == ("0.020000", 2, 52)
    position = (await older.call("GET", "/portfolio/positions")).body["market_positions"][0]
    assert (position["position"], position["market_exposure"], position["fees_paid"]) == (1, 52, 2)
    assert (await older.call("GET", "/portfolio/balance")).body["balance"] == 1_000_000 - 54


@pytest.mark.parametrize(("method", "suffix"), [("PUT", ""), ("POST", "/amend")])
async def test_order_when_amended_then_both_orders_are_shown_and_what_is_left_out_stays(
    older: Client, method: str, suffix: str
) -> None:
    made = (await place(older, action="buy", side="no", yes_price=90, count=4)).body["order"]
    answer = await older.call(method, f"{ORDERS}/{made['order_id']}{suffix}", {"count": 2})
    old, new = answer.body["old_order"], answer.body["order"]
    assert answer.status == 200
    assert (old["remaining_count"], new["remaining_count"]) == (4, 2)
    assert (new["yes_price"], new["action"], new["side"]) == (90, "buy", "no")
    again = await older.call(method, f"{ORDERS}/{made['order_id']}{suffix}", {"no_price": 5})
    assert (again.body["order"]["yes_price"], again.body["order"]["remaining_count"]) == (95, 2)


async def test_order_when_decreased_and_cancelled_then_what_was_taken_off_is_stated(older: Client) -> None:
    made = (await place(older, count=5)).body["order"]
    path = f"{ORDERS}/{made['order_id']}"
    assert (await older.call("POST", f"{path}/decrease", {"reduce_by": 2})).body["order"]["remaining_count"] == 3
    cancelled = (await older.call("DELETE", path)).body
    assert (cancelled["reduced_by"], cancelled["order"]["status"], cancelled["order"]["remaining_count"]) == (
        3,
        "canceled",
        0,
    )
    assert (await older.call("DELETE", path)).status == 404


@pytest.mark.parametrize("form", ["ids", "orders"])
async def test_batches_when_one_item_is_wrong_then_the_others_are_done(older: Client, form: str) -> None:
    good = {"ticker": older.ticker, "action": "buy", "side": "yes", "count": 1, "yes_price": 1, "client_order_id": "a"}
    made = await older.call("POST", f"{ORDERS}/batched", {"orders": [good, good | {"yes_price": 0}]})
    first, second = made.body["orders"]
    assert made.status == 201
    assert (first["client_order_id"], first["order"]["yes_price"], first["error"]) == ("a", 1, None)
    assert (second["order"], second["error"]["code"]) == (None, "invalid_price")
    ids = [first["order"]["order_id"], "unknown"]
    body = {"ids": ids} if form == "ids" else {"orders": [{"order_id": one} for one in ids]}
    ended = (await older.call("DELETE", f"{ORDERS}/batched", body)).body["orders"]
    assert [(one["order_id"], one["reduced_by"]) for one in ended] == [(ids[0], 1), (ids[1], 0)]
    assert (ended[0]["order"]["status"], ended[1]["error"]["code"]) == ("canceled", "not_found")


@pytest.mark.parametrize(("tier", "writes"), [("basic", 10), ("advanced", 30), ("premier", 100)])
async def test_limit_when_a_tier_is_used_up_then_429_a_cancel_counts_one_and_one_of_a_batch_a_fifth(
    start: StartClient, tier: str, writes: int
) -> None:
    clock = TurnedClock()
    client: Client = await start(dialect="v1", tier=tier, now_ns=clock)
    made = [(await place(client)).body["order"]["order_id"] for _ in range(writes)]
    assert (await place(client)).status == 429
    assert (await client.call("DELETE", f"{ORDERS}/{made[0]}")).status == 429
    clock.ns += -(-1_000_000_000 // writes)
    assert (await client.call("DELETE", f"{ORDERS}/batched", {"ids": made[1:7]})).status == 429
    assert (await client.call("DELETE", f"{ORDERS}/batched", {"ids": made[1:6]})).status == 200
    assert (await client.call("DELETE", f"{ORDERS}/batched", {"ids": made[:1]})).status == 429
    clock.ns += 1_000_000_000
    reads = {"basic": 20, "advanced": 30, "premier": 100}[tier]
    statuses = [(await client.call("GET", "/portfolio/balance")).status for _ in range(reads + 1)]
    assert statuses == [200] * reads + [429]


async def test_tier_when_the_older_generation_has_none_of_it_then_the_sandbox_does_not_start(
    start: StartClient,
) -> None:
    with pytest.raises(ValueError, match="use one of basic, advanced, premier, prime"):
        await start(dialect="v1", tier="prestige")
    with pytest.raises(ValueError, match="use one of current, v1"):
        await start(dialect="v0")
