"""What a response other than success means at Kalshi. Pure: status and body in, a decision out.

Four body shapes exist (recorded answers): nested under `error`, flat, bare `msg`, and `{"error": "too many
requests"}`. Codes may carry an id after a colon (`user_not_found: <uuid>`), so they are compared by prefix.
"""

from __future__ import annotations

import msgspec

from connectors.client.wire.answers import (
    TOO_MANY_REQUESTS,
    ErrorResponse,
    Meaning,
    Rule,
    Verdicts,
    code_of_text,
    detail_text,
)
from framework.domain.plausibility import UNREADABLE

# Codes of the venue (recorded answers) that decide what happens next.
NOT_FOUND = "not_found"
ORDER_ALREADY_EXISTS = "order_already_exists"
TIMESTAMP_EXPIRED = "header_timestamp_expired"

# Orders of the older generation, where the venue has closed it (third-party observations).
_CLOSED = "deprecated_v1_order_endpoint"
_REMEDY = 'this host takes no orders of dialect "v1" any more; set dialect = "current" in the settings of the venue'

# Pauses end by themselves; nothing of a refused write is kept meanwhile (*assumption*). A cancel is worth repeating; an
# order or an amend is not: its price is of before the pause, and each try costs tokens.
_PAUSED = ("trading_is_paused", "exchange_is_paused")
# Refusals that say that the market is not as it is known here: its price grid, its status, its shard (recorded answers
# and the vendor's changelog).
_ABOUT_THE_MARKET = ("invalid_price", "invalid_order_size", "market_closed", "market_inactive", "market_not_found")
_TEXT_CHARS_MAX = 300

VERDICTS = Verdicts(
    "check key_id, private_key_path and that both fit rest_url",
    (
        Rule(meaning=Meaning.CLOCK, codes=(TIMESTAMP_EXPIRED,), code=TIMESTAMP_EXPIRED),
        Rule(meaning=Meaning.RETRYABLE, codes=_PAUSED, is_of_cancels=True),
    ),
)
"""The venue's answers (recorded, and vendor docs); what no rule names is as at every venue."""


class _Inner(msgspec.Struct):
    code: str | int = ""
    message: str = ""
    details: object = None


class _Body(msgspec.Struct):
    error: _Inner | str | None = None
    code: str | int = ""
    message: str = ""
    details: object = None
    msg: str = ""


_DECODER = msgspec.json.Decoder(_Body)


def parse_error(status: int, body: bytes, after_ms: int = 0) -> ErrorResponse:
    """Read a refusal. Never raises: a body in no known shape gets an empty code, or that of its status 429."""
    none = TOO_MANY_REQUESTS if status == 429 else ""
    try:
        parsed = _DECODER.decode(body)
    except UNREADABLE:
        return ErrorResponse(status, none, body[:_TEXT_CHARS_MAX].decode("utf-8", "replace"), "", after_ms)
    if isinstance(parsed.error, str):
        return ErrorResponse(status, code_of_text(parsed.error), parsed.error, "", after_ms)
    said = parsed.error or parsed
    code = str(said.code or ("invalid_parameters" if parsed.msg else none))
    message = _REMEDY if code == _CLOSED else said.message or parsed.msg
    return ErrorResponse(status, code, message, detail_text(said.details), after_ms)


def is_about_the_market(code: str) -> bool:
    """Whether a refusal of this code shows that what is known of the market may be old: it is to be read again."""
    return code.lower().startswith((*_ABOUT_THE_MARKET, *_PAUSED))
