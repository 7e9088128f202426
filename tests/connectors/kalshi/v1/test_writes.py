"""Requests of the older generation, and what its answers say."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from connectors.kalshi.v1.writes import older_ack, older_amend, older_cancel, older_limits, older_order
from connectors.kalshi.wire.encode import AccountScope
from framework.domain.errors import OutcomeUnknown, RefusedByVenue
from framework.domain.intents import AmendOrder, NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, Side, TimeInForce
from framework.domain.rate_limits import RequestKind
from tests.connectors.kalshi.support import TICKER, instrument

HERE = instrument()
ORDER = Order(
    client_order_id="tg-1",
    venue="kalshi",
    strategy="mm",
    instrument=HERE.id,
    side=Side.SELL,
    price=Price(6_000),
    size=Size(300),
    venue_order_id="o/1",
)


def intent(**changes: Any) -> NewOrder:
    values = {"strategy": "mm", "instrument": HERE.id, "side": Side.BUY, "price": Price(5_600), "size": Size(1_000)}
    return NewOrder(**(values | changes))


def test_new_order_when_written_then_it_is_action_side_cents_and_a_number_and_names_no_shard() -> None:
    call = older_order("tg-1", intent(post_only=True), HERE, AccountScope())
    assert (call.method, call.target) == ("POST", "/portfolio/orders")
    assert msgspec.json.decode(call.body) == {
        "ticker": TICKER,
        "client_order_id": "tg-1",
        "action": "buy",
        "side": "yes",
        "type": "limit",
        "count": 10,
        "yes_price": 56,
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
        "post_only": True,
        "reduce_only": False,
    }


def test_new_order_when_it_expires_and_is_of_a_subaccount_then_both_have_their_names() -> None:
    made = intent(side=Side.SELL, expires_ns=1_800_000_000_900_000_000, time_in_force=TimeInForce.GOOD_TILL_CANCELLED)
    body = msgspec.json.decode(older_order("tg-1", made, HERE, AccountScope(subaccount=3)).body)
    assert (body["action"], body["expiration_ts"], body["subaccount"]) == ("sell", 1_800_000_000, 3)
    assert {"expiration_time", "price", "exchange_index"}.isdisjoint(body)


@pytest.mark.parametrize("changes", [{"price": Price(5_650)}, {"size": Size(150)}])
def test_order_when_it_is_not_of_whole_cents_and_contracts_then_it_is_refused_here(changes: dict[str, Any]) -> None:
    with pytest.raises(RefusedByVenue, match="whole cents and whole contracts"):
        older_order("tg-1", intent(**changes), HERE, AccountScope())


def test_amend_and_cancel_when_written_then_they_name_the_venue_s_order() -> None:
    amend = AmendOrder(strategy="mm", client_order_id="tg-1", price=Price(7_000), size=Size(200))
    call = older_amend(amend, ORDER, HERE, AccountScope(subaccount=3))
    assert (call.method, call.target) == ("POST", "/portfolio/orders/o%2F1/amend?subaccount=3")
    terms = {"ticker": TICKER, "client_order_id": "tg-1", "action": "sell", "side": "yes", "count": 2, "yes_price": 70}
    assert msgspec.json.decode(call.body) == terms
    cancel = older_cancel(ORDER, HERE, AccountScope())
    assert (cancel.method, cancel.target, cancel.is_urgent) == ("DELETE", "/portfolio/orders/o%2F1", True)


def test_answer_when_it_has_the_order_then_counts_and_time_are_those_of_it() -> None:
    order = {"order_id": "o", "client_order_id": "c", "fill_count": 2, "remaining_count": 3}
    order |= {"last_update_time": "2026-01-01T00:00:00.25Z"}
    ack = older_ack(msgspec.json.encode({"order": order, "reduced_by": 3}))
    assert (ack.order_id, ack.client_order_id, ack.fill_count, ack.remaining_count) == ("o", "c", "2", "3")
    assert (ack.reduced_by, ack.ts_ms) == ("3", 1_767_225_600_250)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"order":{}}',
        b'{"order":{"order_id":"o","fill_count":"2","remaining_count":0}}',
        b'{"order":{"order_id":"o","fill_count":2,"remaining_count":0,"last_update_time":"soon"}}',
        b"<html>",
    ],
)
def test_answer_when_it_can_not_be_read_then_it_proves_nothing(body: bytes) -> None:
    with pytest.raises(OutcomeUnknown):
        older_ack(body)


@pytest.mark.parametrize(
    ("tier", "read", "write"), [("basic", 20, 10), ("advanced", 30, 30), ("premier", 100, 100), ("prime", 400, 400)]
)
def test_limits_when_a_tier_is_declared_then_they_are_its_requests_a_second(tier: str, read: int, write: int) -> None:
    limits = older_limits(tier)
    assert {pool.name: (pool.capacity, pool.refill_per_s) for pool in limits.pools} == {
        "read": (read * 10, read * 10),
        "write": (write * 10, write * 10),
    }
    assert {cost.kind: cost.tokens for cost in limits.costs} == dict.fromkeys(RequestKind, 10)
