"""Rate limits over HTTP: the buckets of a tier, exact to the token, on a clock that the test turns."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.kalshi.sandbox.buckets import AUTO_ROUTED, TIERS, Buckets
from tests.connectors.kalshi.sandbox.signed_client import Client, StartClient, TurnedClock

NS = 1_000_000_000


async def test_writes_when_basic_budget_is_spent_then_plain_429_and_exact_refill(start: StartClient) -> None:
    clock = TurnedClock()
    client = await start(tier="basic", now_ns=clock)
    statuses = [(await client.place()).status for _ in range(11)]
    assert statuses == [201] * 10 + [429]
    refused = await client.place()
    assert (refused.status, refused.body) == (429, {"error": "too many requests"})
    assert not {"retry-after", "x-ratelimit-remaining"} & {name.lower() for name in refused.headers}
    clock.ns += NS // 10 - 1
    assert (await client.place()).status == 429
    clock.ns += 1
    assert (await client.place()).status == 201
    report = await client.audit_report()
    assert (report["rate_limited"], len(report["orders"])) == (3, 11)


async def test_cancels_when_budget_is_low_then_they_cost_two(start: StartClient) -> None:
    clock = TurnedClock()
    client = await start(tier="basic", now_ns=clock)
    placed = [(await client.place()).body["order_id"] for _ in range(9)]
    statuses = [(await client.call("DELETE", f"/portfolio/events/orders/{one}")).status for one in placed]
    assert statuses == [200] * 5 + [429] * 4


async def test_batch_when_it_does_not_fit_then_all_of_it_is_refused(start: StartClient) -> None:
    clock = TurnedClock()
    client = await start(tier="basic", now_ns=clock)
    body = {"orders": [client.order() for _ in range(11)]}
    assert (await client.call("POST", "/portfolio/events/orders/batched", body)).status == 429
    assert (await client.audit_report())["orders"] == []
    body = {"orders": body["orders"][:10]}
    assert (await client.call("POST", "/portfolio/events/orders/batched", body)).status == 201


async def test_balance_when_read_twice_in_a_second_then_429_on_its_own_bucket(start: StartClient) -> None:
    clock = TurnedClock()
    client = await start(tier="basic", now_ns=clock)
    assert (await client.call("GET", "/portfolio/balance")).status == 200
    assert (await client.call("GET", "/portfolio/balance")).status == 429
    assert (await client.call("GET", "/portfolio/orders")).status == 200
    clock.ns += NS
    assert (await client.call("GET", "/portfolio/balance")).status == 200


async def test_reads_when_three_seconds_of_budget_are_spent_then_429(start: StartClient) -> None:
    clock = TurnedClock()
    client = await start(tier="basic", now_ns=clock)
    statuses = [(await client.call("GET", "/portfolio/fills")).status for _ in range(61)]
    assert statuses == [200] * 60 + [429]
    assert (await client.call("GET", "/markets", headers={})).status == 200


@pytest.mark.parametrize("name", list(TIERS))
def test_tier_when_asked_for_then_its_write_capacity_is_exact(name: str) -> None:
    tier = TIERS[name]
    buckets = Buckets(tier, 0)
    taken = 0
    while buckets.take_write(10, 0):
        taken += 10
    assert taken == tier.write_capacity


def test_shards_when_a_write_is_pinned_then_only_its_bucket_pays() -> None:
    buckets = Buckets(TIERS["basic"], 0)
    assert all(buckets.take_write(10, 0, shard=2) for _ in range(10))
    assert not buckets.take_write(10, 0, shard=2)
    assert buckets.take_write(10, 0)


def test_shards_when_a_write_is_routed_by_the_venue_then_all_pay_or_none() -> None:
    buckets = Buckets(TIERS["basic"], 0)
    assert buckets.take_write(10, 0, shard=AUTO_ROUTED)
    assert all(buckets.take_write(10, 0, shard=3) for _ in range(9))
    assert not buckets.take_write(10, 0, shard=AUTO_ROUTED)
    assert all(buckets.take_write(10, 0) for _ in range(9))


async def test_signature_when_refused_then_no_budget_is_spent(start: StartClient) -> None:
    clock = TurnedClock()
    client: Client = await start(tier="basic", now_ns=clock)
    order: dict[str, Any] = client.order()
    for _ in range(12):
        answer = await client.call("POST", "/portfolio/events/orders", order, skew_ms=-60_000)
        assert answer.status == 401
    assert (await client.place()).status == 201
