"""An order's way out at any venue: signed, sent once, and reported as far as the answer proves it."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from connectors.client.gateway import OrderCodec, OrderGateway, one_alike
from connectors.client.wire.calls import Call
from connectors.client.wire.reports import Ack, accepted, decoded_ack
from connectors.transport.errors import NotSent
from connectors.transport.errors import OutcomeUnknown as CutOff
from connectors.transport.ports import HttpRequest
from framework.domain.account_events import OrderReport, OrderSnapshot, ReportKind
from framework.domain.errors import AccountRefused, OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.events import Event
from framework.domain.intents import NewOrder
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Order, OrderKind, Side
from framework.domain.verdicts import Approved, Signed
from tests.connectors.client.toy_rest import Turns, rest_of
from tests.connectors.support import (
    START_NS,
    LoopClock,
    ScriptedHttp,
    answering,
    approved,
    new_order,
    order,
    run_jumping,
)

DONE = (201, b'"v-1"')
REFUSED = (400, b'{"error":"Duplicate order"}')


def encode(request: Approved, _order: Order | None) -> Call:
    return Call("POST", "/orders", request.client_order_id.encode())


def decode(request: Approved, body: bytes) -> tuple[Event, ...]:
    assert isinstance(request.intent, NewOrder)
    name = decoded_ack(body, lambda data: data.decode().strip('"') if data.startswith(b'"') else int(data))
    return accepted(request, request.intent, Ack(str(name), 9))


def place(http: ScriptedHttp, turns: Turns | None = None, **changes: Any) -> tuple[tuple[Event, ...], Signed]:
    async def main(clock: LoopClock) -> tuple[tuple[Event, ...], Signed]:
        codec = OrderCodec(**({"encode": encode, "decode": decode} | changes))
        gateway = OrderGateway(rest_of(http, clock, turns or Turns()), codec, clock=clock)
        signed = gateway.sign(approved(new_order()), None)
        return await gateway.send(signed), signed

    return run_jumping(main)


def kinds(events: tuple[Event, ...]) -> list[tuple[ReportKind, str]]:
    return [(event.kind, event.code) for event in events if isinstance(event, OrderReport)]


def test_order_when_done_then_it_is_sent_once_and_what_the_answer_says_is_reported() -> None:
    http, turns = answering("POST", "/v1/orders", DONE), Turns()
    events, signed = place(http, turns)
    assert kinds(events) == [(ReportKind.ACCEPTED, "")]
    assert len(http.requests) == 1
    assert isinstance(signed.wire, HttpRequest)
    assert dict(signed.wire.headers)["Content-Type"] == "application/json"
    # It came with its tokens.
    assert turns.asked == []


def test_order_when_refused_then_that_is_reported_unless_the_venue_finds_more_in_it() -> None:
    assert kinds(place(answering("POST", "/v1/orders", REFUSED))[0]) == [(ReportKind.REJECTED, "duplicate_order")]

    async def found(request: Approved, refusal: RefusedByVenue, _request: HttpRequest) -> tuple[Event, ...] | None:
        assert refusal.code == "duplicate_order"
        assert isinstance(request.intent, NewOrder)
        return accepted(request, request.intent, Ack("v-0", 9))

    events, _ = place(answering("POST", "/v1/orders", REFUSED), on_refusal=found)
    assert kinds(events) == [(ReportKind.ACCEPTED, "")]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (NotSent("refused"), Retryable),
        ((429, b""), Retryable),
        ((401, b'{"error":"Invalid timestamp"}'), Retryable),
        ((401, b'{"error":"Invalid key"}'), AccountRefused),
        (CutOff("reset"), OutcomeUnknown),
        ((500, b'{"error":"Duplicate order"}'), OutcomeUnknown),
        ((400, b"<html>"), OutcomeUnknown),
        ((201, b"{"), OutcomeUnknown),
    ],
)
def test_order_when_answered_in_any_other_way_then_nothing_unproved_is_claimed(
    answer: tuple[int, bytes] | Exception, kind: type[Exception]
) -> None:
    http = answering("POST", "/v1/orders", answer)
    with pytest.raises(kind):
        place(http)
    assert len(http.requests) == 1


def test_digest_when_the_venues_orders_state_something_of_the_request_then_that_is_hashed() -> None:
    _, signed = place(answering("POST", "/v1/orders", DONE))
    assert isinstance(signed.wire, HttpRequest)
    assert signed.digest == hashlib.sha256(signed.wire.target.encode() + b"\n" + signed.wire.body).hexdigest()
    _, other = place(answering("POST", "/v1/orders", DONE), digest=lambda request: request.body.decode())
    assert other.digest == "tg-1"


@pytest.mark.parametrize("failure", [Retryable("lost"), RefusedByVenue("no"), AccountRefused("the key is refused")])
def test_order_when_more_is_to_find_in_its_refusal_and_that_fails_then_its_outcome_is_unknown(
    failure: Exception,
) -> None:
    async def fail(_approved: Approved, _refusal: RefusedByVenue, _request: HttpRequest) -> None:
        raise failure

    with pytest.raises(OutcomeUnknown, match="duplicate_order"):
        place(answering("POST", "/v1/orders", REFUSED), on_refusal=fail)


def snapshot(**changes: Any) -> OrderSnapshot:
    """An order at the venue with the terms of `order()`."""
    given = {"venue_order_id": "v1", "price": Price(5600), "size": Size(1000), "side": Side.BUY, "created_ns": START_NS}
    rest = {"instrument": order().instrument, "client_order_id": "", "filled": Size(0), "is_open": True, "ts_recv": 1}
    return OrderSnapshot(venue="tide", **(given | rest | changes))


def unclaimed(_venue_order_id: str) -> bool:
    return False


def test_order_when_one_alone_is_like_it_then_it_is_that_one_under_our_id() -> None:
    others = [snapshot(venue_order_id="v2", size=Size(1)), snapshot(venue_order_id="v3", side=Side.SELL)]
    old = snapshot(venue_order_id="v4", created_ns=START_NS - 1)
    found = one_alike([*others, old, snapshot()], order(), since_ns=START_NS, is_claimed=unclaimed)
    assert found is not None
    assert (found.venue_order_id, found.client_order_id) == ("v1", "tg-1")
    assert one_alike(others, order(), since_ns=START_NS, is_claimed=unclaimed) is None
    assert one_alike([snapshot()], order(), since_ns=START_NS, is_claimed=lambda name: name == "v1") is None


def test_order_when_several_are_like_it_then_none_is_guessed() -> None:
    two = [snapshot(), snapshot(venue_order_id="v2")]
    with pytest.raises(Retryable, match="nothing tells them apart"):
        one_alike(two, order(), since_ns=START_NS, is_claimed=unclaimed)
    found = one_alike(two, order(), since_ns=START_NS, is_claimed=lambda name: name == "v1")
    assert found is not None
    assert found.venue_order_id == "v2"


def test_order_when_it_is_at_the_market_or_by_amount_then_price_or_size_are_not_compared() -> None:
    at_market = order(kind=OrderKind.MARKET, quote_amount=Money(5))
    found = one_alike([snapshot(price=Price(0), size=Size(7))], at_market, since_ns=START_NS, is_claimed=unclaimed)
    assert found is not None
