"""A venue as others are: the signature is in the query, errors are a text without a code, one timestamp a request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from connectors.client.request_clock import RequestClock
from connectors.client.rest import RestRules, Sign, SignedRest, request_of
from connectors.client.venue_time import VenueTime
from connectors.client.wire.answers import ErrorResponse, Meaning, Rule, Verdicts, code_of_text
from connectors.client.wire.calls import Call
from connectors.client.wire.hmac_sign import HmacKey, plain_query
from connectors.transport.ports import HttpRequest
from framework.domain.rate_limits import RequestKind
from framework.domain.turns import Turn
from tests.connectors.support import LoopClock, ScriptedHttp

KEY = HmacKey(b"secret")
VERDICTS = Verdicts("check the key", (Rule(meaning=Meaning.CLOCK, statuses=(401,), texts=("timestamp",)),))


def parse_error(status: int, body: bytes, after_ms: int) -> ErrorResponse:
    try:
        text = str(msgspec.json.decode(body)["error"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return ErrorResponse(status, "", "", "", after_ms)
    return ErrorResponse(status, code_of_text(text), text, "", after_ms)


def rules(**changes: Any) -> RestRules:
    given: dict[str, Any] = {
        "name": "toy",
        "url": "https://toy/v1",
        "prefix": "/v1",
        "timeout_ms": 1_000,
        "pages_max": 9,
        "verdicts": VERDICTS,
        "parse_error": parse_error,
    }
    return RestRules(**(given | changes))


def signing(time: VenueTime) -> Sign:
    stamps = RequestClock(time)

    def sign(call: Call) -> HttpRequest:
        path, _, query = call.target.partition("?")
        stamp = plain_query([("timestamp", stamps.next_ms())])
        signed = f"{query}&{stamp}" if query else stamp
        target = f"{path}?{signed}&signature={KEY.hex(signed.encode())}"
        return request_of(Call(call.method, target, call.body, call.is_urgent), (("X-API-KEY", "k"),))

    return sign


class Turns:
    """Keeps who asked for a turn, and what became of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[RequestKind, str, int]] = []
        self.ends: list[str] = []

    @asynccontextmanager
    async def __call__(self, kind: RequestKind, endpoint: str = "", weight: int = 1) -> AsyncIterator[Turn]:
        self.asked.append((kind, endpoint, weight))
        end = _End()
        try:
            yield end
        finally:
            self.ends.append(end.name)


class _End:
    name = "spent"

    def was_limited(self) -> None:
        self.name = "limited"

    def not_sent(self) -> None:
        self.name = "not sent"


def rest_of(http: ScriptedHttp, clock: LoopClock, turns: Turns, **changes: Any) -> SignedRest:
    time = VenueTime(clock)
    return SignedRest(http, signing(time), rules(**changes), clock=clock, time=time, turn=turns)
