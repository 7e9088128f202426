"""An order's way out at any venue: signed, sent once, and reported as far as the answer proves it."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from connectors.client.gateway import OrderCodec, OrderGateway
from connectors.client.wire.calls import Call
from connectors.client.wire.reports import Ack, accepted, decoded_ack
from connectors.transport.errors import NotSent
from connectors.transport.errors import OutcomeUnknown as CutOff
from connectors.transport.ports import HttpRequest
from framework.domain.account_events import OrderReport, ReportKind
from framework.domain.errors import AccountRefused, OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.events import Event
from framework.domain.intents import NewOrder
from framework.domain.orders import Order
from framework.domain.verdicts import Approved, Signed
from tests.connectors.client.toy_rest import Turns, rest_of
from tests.connectors.support import LoopClock, ScriptedHttp, answering, approved, new_order, run_jumping

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
