"""Signatures: hex HMAC-SHA256 with the secret's text over the sorted query, which is sent as it was signed.

The time is part of the query and the body is not signed (vendor docs), so two orders of one millisecond would have one
signature: each request has a millisecond of its own.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from connectors.client.request_clock import RequestClock, StaleRequests
from connectors.client.rest import Sign, request_of
from connectors.client.venue_time import VenueTime
from connectors.client.wire.answers import ErrorResponse, code_of_text, detail_text
from connectors.client.wire.calls import Call
from connectors.client.wire.hmac_sign import HmacKey, plain_query
from connectors.transport.ports import HttpRequest
from connectors.zdex.dialect import STALE


def signed_query(key: HmacKey, query: str, stamp_ms: int) -> str:
    """The query, sorted by name, with the time and the signature of both. Raises `ValueError` for a name or value that
    not every encoder writes alike."""
    pairs = [one.partition("=")[::2] for one in query.split("&")] if query else []
    text = plain_query(sorted([*pairs, ("timestamp", str(stamp_ms))]))
    return f"{text}&signature={key.hex(text.encode())}"


def signing(key_id: str, key: HmacKey) -> Callable[[VenueTime], Sign]:
    """Makes what signs requests by a measured clock: for `open_rest`."""

    def by_clock(time: VenueTime) -> Sign:
        stamps = RequestClock(time)

        def sign(call: Call) -> HttpRequest:
            path, _, query = call.target.partition("?")
            target = f"{path}?{signed_query(key, query, stamps.next_ms())}"
            return request_of(Call(call.method, target, call.body, call.is_urgent), (("X-API-KEY", key_id),))

        return sign

    return by_clock


class _Body(msgspec.Struct, rename="camel"):
    error: str
    error_id: object = None
    code: str | None = None


class Refusals:
    """Reads answers other than success: `{"ok":false,"error":…,"errorId":…,"code":…}`, the last two in v2 only. Use
    `see` as `RestRules.on_answer` and `read` as `parse_error`."""

    def __init__(self, drift_ms: int) -> None:
        """`drift_ms`: how far off the venue's clock a request may be."""
        self._requests = StaleRequests(r"[?&]timestamp=(\d+)", drift_ms)
        self.see = self._requests.see

    def read(self, status: int, body: bytes, after_ms: int) -> ErrorResponse:
        """The answer in one shape; without a code when the body is not the venue's."""
        try:
            said = msgspec.json.decode(body, type=_Body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return ErrorResponse(status, "", after_ms=after_ms)
        code = STALE if status == 401 and self._requests.is_stale else said.code or code_of_text(said.error)
        return ErrorResponse(status, code, said.error, detail_text(said.error_id), after_ms)
