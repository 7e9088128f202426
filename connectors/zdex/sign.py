"""How errors of the venue read. Requests are signed by `query_signing`: hex HMAC-SHA256 with the secret's text over the
sorted query with the time in it, which is sent as it was signed; the body is not signed (vendor docs)."""

from __future__ import annotations

from connectors.client.request_clock import StaleRequests
from connectors.client.wire.answers import ErrorShape
from connectors.zdex.dialect import STALE

ERRORS = ErrorShape(message="error", text="error", details="errorId")
"""`{"ok":false,"error":…,"errorId":…,"code":…}`, the last two in v2 only."""


def refusals_of(drift_ms: int) -> StaleRequests:
    """Reads answers other than success; a request may be `drift_ms` off the venue's clock."""
    return StaleRequests(r"[?&]timestamp=(\d+)", drift_ms, ERRORS.read, code=STALE)
