"""What a response other than success means. Pure: status and body in, a decision out.

Four body shapes exist (recorded answers): nested under `error`, flat, bare `msg`, and `{"error": "too many
requests"}`. Codes may carry an id after a colon (`user_not_found: <uuid>`), so they are compared by prefix.
"""

from __future__ import annotations

import msgspec

from framework.domain.errors import Fatal, OutcomeUnknown, RefusedByVenue, Retryable, TidegateError

# Codes of the venue (recorded answers) that decide what happens next.
NOT_FOUND = "not_found"
ORDER_ALREADY_EXISTS = "order_already_exists"
TIMESTAMP_EXPIRED = "header_timestamp_expired"
TOO_MANY_REQUESTS = "too_many_requests"

# Pauses end by themselves; nothing of a refused write is kept meanwhile (*assumption*). A cancel is worth repeating; an
# order or an amend is not: its price is of before the pause, and each try costs tokens.
_PAUSED = frozenset({"trading_is_paused", "exchange_is_paused"})
# Refusals that say that the market is not as it is known here: its price grid, its status, its shard (recorded answers
# and the vendor's changelog).
_ABOUT_THE_MARKET = ("invalid_price", "invalid_order_size", "market_closed", "market_inactive", "market_not_found")
# A proxy on the way stopped waiting: the venue behind it may have done what was asked.
_REQUEST_TIMEOUT = 408
_DETAIL_CHARS_MAX = 300


class ErrorResponse(msgspec.Struct, frozen=True):
    """A refusal in one shape. `code` is empty when the body has none of the known shapes."""

    status: int
    code: str
    message: str = ""
    details: str = ""

    @property
    def text(self) -> str:
        """Status, code, message and details as one text for messages and reports, at most 300 characters."""
        said = [part for part in (self.message, self.details) if part and part != self.code]
        return " ".join([f"HTTP {self.status}", self.code or "(no code)", *said])[:_DETAIL_CHARS_MAX]

    def is_code(self, code: str) -> bool:
        """Whether the code is `code`, alone or followed by a colon and an id."""
        return self.code == code or self.code.startswith((f"{code}:", f"{code}_:"))


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


def parse_error(status: int, body: bytes) -> ErrorResponse:
    """Read a refusal. Never raises: a body in no known shape gets an empty code, or that of its status 429."""
    try:
        parsed = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = body[:_DETAIL_CHARS_MAX].decode("utf-8", "replace")
        return ErrorResponse(status, TOO_MANY_REQUESTS if status == 429 else "", text)
    if isinstance(parsed.error, str):
        return ErrorResponse(status, parsed.error.replace(" ", "_"), parsed.error)
    if isinstance(parsed.error, _Inner):
        inner = parsed.error
        return ErrorResponse(status, str(inner.code), inner.message, detail_text(inner.details))
    if parsed.code:
        return ErrorResponse(status, str(parsed.code), parsed.message, detail_text(parsed.details))
    if parsed.msg:
        return ErrorResponse(status, "invalid_parameters", parsed.msg)
    return ErrorResponse(status, TOO_MANY_REQUESTS if status == 429 else "")


def failure_of_write(error: ErrorResponse, *, is_cancel: bool = False) -> TidegateError:
    """What a refused write means, as an error to raise.

    `RefusedByVenue`: certainly not done. `Retryable`: certainly not done, and may be tried again (429, an expired
    timestamp, a cancel in a pause); whether these cost tokens is not documented, so all are `was_answered` and count.
    `Fatal`: the key is refused. `OutcomeUnknown`: anything that proves nothing, which is every 5xx, every
    redirect, a time-out (408) and every body that is not the venue's own.
    """
    common = _common(error)
    if common is not None:
        return common
    if is_cancel and any(error.is_code(code) for code in _PAUSED):
        return Retryable(error.text, was_answered=True, code=error.code)
    if 400 <= error.status < 500 and error.status != _REQUEST_TIMEOUT and error.code:
        return RefusedByVenue(error.code, error.text, status=error.status)
    return OutcomeUnknown(f"{error.text}: this proves nothing; look the order up")


def is_about_the_market(code: str) -> bool:
    """Whether a refusal of this code shows that what is known of the market may be old: it is to be read again."""
    return code.lower().startswith((*_ABOUT_THE_MARKET, *_PAUSED))


def failure_of_read(error: ErrorResponse) -> TidegateError:
    """What a refused read means, as an error to raise: `Fatal`, `RefusedByVenue` for a 4xx, else `Retryable`.

    A read changes nothing, so whatever may pass by itself may be tried again.
    """
    common = _common(error)
    if common is not None:
        return common
    if 400 <= error.status < 500 and error.status != _REQUEST_TIMEOUT:
        return RefusedByVenue(error.code or "unreadable", error.text, status=error.status)
    return Retryable(error.text)


def _common(error: ErrorResponse) -> TidegateError | None:
    if error.status == 429:
        return Retryable(error.text, is_rate_limit=True, was_answered=True, code=TOO_MANY_REQUESTS)
    if error.is_code(TIMESTAMP_EXPIRED):
        text = f"{error.text}: the clock is measured anew before the next try"
        return Retryable(text, was_answered=True, code=TIMESTAMP_EXPIRED)
    if error.status == 401:
        return Fatal(f"{error.text}: the key is refused; check key_id, private_key_path and that both fit rest_url")
    return None


def detail_text(details: object) -> str:
    """The venue's details as text: empty for none, a text as it is, any other shape as JSON."""
    if details is None:
        return ""
    return details if isinstance(details, str) else msgspec.json.encode(details).decode()
