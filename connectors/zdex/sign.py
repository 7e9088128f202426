"""Signatures: hex HMAC-SHA256 with the secret's text over the sorted query, which is sent as it was signed.

The time is part of the query and the body is not signed (vendor docs), so two orders of one millisecond would have one
signature: each request has a millisecond of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from connectors.client.request_clock import RequestClock, StaleRequests
from connectors.client.rest import Sign, request_of
from connectors.client.venue_time import VenueTime
from connectors.client.wire.answers import ErrorShape
from connectors.client.wire.calls import Call
from connectors.client.wire.hmac_sign import HmacKey, plain_query
from connectors.transport.ports import HttpRequest
from connectors.zdex.dialect import STALE

ERRORS = ErrorShape(message="error", text="error", details="errorId")
"""`{"ok":false,"error":…,"errorId":…,"code":…}`, the last two in v2 only."""


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


def refusals_of(drift_ms: int) -> StaleRequests:
    """Reads answers other than success; a request may be `drift_ms` off the venue's clock."""
    return StaleRequests(r"[?&]timestamp=(\d+)", drift_ms, ERRORS.read, code=STALE)
