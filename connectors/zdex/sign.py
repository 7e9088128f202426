"""The account's REST, and how errors of the venue read.

Requests are signed by `query_signing`: hex HMAC-SHA256 with the secret's text over the sorted query with the time in
it, which is sent as it was signed; the body is not signed (vendor docs).
"""

from __future__ import annotations

from connectors.client.request_clock import StaleRequests, query_signing
from connectors.client.rest import SignedRest, open_rest
from connectors.client.secret_file import read_secret_text
from connectors.client.wire.answers import ErrorShape
from connectors.client.wire.hmac_sign import HmacKey
from connectors.zdex.dialect import DIALECTS, STALE
from connectors.zdex.settings import ZdexSettings
from connectors.zdex.wire.decode import VERDICTS
from connectors.zdex.wire.encode import SYMBOLS
from framework.domain.mass_cancel import Stamps
from framework.domain.ports import Clock, Rng
from framework.domain.turns import TakeTurn, no_limits

ERRORS = ErrorShape(message="error", text="error", details="errorId")
"""`{"ok":false,"error":…,"errorId":…,"code":…}`, the last two in v2 only."""


def refusals_of(drift_ms: int) -> StaleRequests:
    """Reads answers other than success; a request may be `drift_ms` off the venue's clock."""
    return StaleRequests(r"[?&]timestamp=(\d+)", drift_ms, ERRORS.read, code=STALE)


def zdex_rest(
    settings: ZdexSettings, *, clock: Clock, rng: Rng, proxy: str = "", turn: TakeTurn = no_limits,
    stamps: Stamps | None = None,
) -> SignedRest:  # fmt: skip
    """The account's REST; no connection is opened yet. Raises `ConfigurationError` when the secret can't be used."""
    key = HmacKey(read_secret_text(settings.secret_path, "secret_path").encode())
    refusals = refusals_of(DIALECTS[settings.dialect].drift_ms)
    sign = query_signing(settings.key_id, key, stamps=stamps)
    return open_rest(
        "zdex", settings, sign, verdicts=VERDICTS, parse_error=refusals.read, unsigned=frozenset({SYMBOLS}),
        clock=clock, rng=rng, proxy=proxy, turn=turn, on_answer=refusals.see,
    )  # fmt: skip
