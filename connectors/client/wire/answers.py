"""What an answer other than success means: a venue's table of verdicts, and the errors to raise. Pure.

Orders depend on it. A refusal proves that nothing was done; whatever proves nothing leaves an order unknown, with its
exposure reserved, until the venue shows what became of it. So an unknown form of an answer is never a refusal.
"""

from __future__ import annotations

import re
from enum import Enum

import msgspec

from connectors.client.wire.json_text import decode_json
from framework.domain.errors import AccountRefused, OutcomeUnknown, RefusedByVenue, Retryable, TidegateError

TOO_MANY_REQUESTS = "too_many_requests"
"""The code of a rate limit for which the venue gives none."""

# A proxy on the way stopped waiting: the venue behind it may have done what was asked.
_REQUEST_TIMEOUT = 408
_AFTER_MS_MAX = 60_000
_TEXT_CHARS_MAX = 300
_CODE_CHARS_MAX = 60
_NO_CODE_CHARS = re.compile(r"[^a-z0-9]+")


class ErrorResponse(msgspec.Struct, frozen=True):
    """An answer other than success in one shape. `code` is empty when the body has none of the venue's shapes: then
    the answer may be a proxy's. `after_ms` is how long the venue asks to wait; 0 when it does not say."""

    status: int
    code: str
    message: str = ""
    details: str = ""
    after_ms: int = 0

    @property
    def text(self) -> str:
        """Status, code, message and details as one text for messages and reports, at most 300 characters."""
        said = [part for part in (self.message, self.details) if part and part != self.code]
        return " ".join([f"HTTP {self.status}", self.code or "(no code)", *said])[:_TEXT_CHARS_MAX]

    def is_code(self, code: str) -> bool:
        """Whether the code is `code`, alone or followed by a colon and an id."""
        return self.code == code or self.code.startswith((f"{code}:", f"{code}_:"))


class ErrorShape(msgspec.Struct, frozen=True, kw_only=True):
    """Where a venue's JSON errors have their code and message: `ErrorShape(path=("error",), code="code")` reads
    `{"error": {"code": "…", "message": "…"}}`. Its `read` is a `RestRules.parse_error`.

    `details` is the member of what more is said, as an id to quote; empty for none. `text` is where a refusal without a
    message has its text; with it, a text without a code makes the code (`code_of_text`).
    """

    path: tuple[str, ...] = ()
    code: str = "code"
    message: str = "message"
    details: str = ""
    text: str = ""

    def read(self, status: int, body: bytes, after_ms: int) -> ErrorResponse:
        """An answer other than success. Without a code of the venue's, as text or number, its own is empty."""
        try:
            found = decode_json(body, msgspec.json.decode)
        except msgspec.DecodeError:
            found = None
        for name in self.path:
            found = found.get(name) if isinstance(found, dict) else None
        said = found if isinstance(found, dict) else {}
        code, message, details = (said.get(name) if name else None for name in (self.code, self.message, self.details))
        message = said.get(self.text) if message is None and self.text else message
        is_code = isinstance(code, (str, int)) and not isinstance(code, bool)
        named = code_of_text(message) if self.text and isinstance(message, str) else ""
        return ErrorResponse(
            status, str(code) if is_code else named, detail_text(message), detail_text(details), after_ms
        )


def code_of_text(text: str) -> str:
    """A code for a venue that gives only a text: "Order not found." is `order_not_found`. At most 60 characters."""
    return _NO_CODE_CHARS.sub("_", text.lower()).strip("_")[:_CODE_CHARS_MAX]


def after_ms_of(headers: dict[str, str]) -> int:
    """Milliseconds that the header `retry-after` asks to wait, a minute at most: a cancel waits as long, and whoever
    stands between could ask for days. 0 where it is missing or no number of seconds."""
    text = headers.get("retry-after", "")
    is_number = text.isascii() and text.isdigit() and len(text) < 20
    return min(int(text) * 1000, _AFTER_MS_MAX) if is_number else 0


class UnreadableAnswer(Retryable):
    """A whole answer that is well-formed and not of the expected form: the same request brings the same again."""


class UnusableInstrument(ValueError):
    """An instrument that can't be traded safely as it is listed. The message names it and the field."""


HTTP_FORBIDDEN = 403
NO_ACCESS = (
    "access is refused; check whether the venue takes requests from the addresses of this machine (its network, its "
    "country, a proxy on the way), and what the key may do"
)
"""The remedy where the venue, or what stands before it, answers that it is forbidden to ask at all."""

HTTP_NOT_FOUND = 404
NO_PATH = (
    "the server has no such market or no such path; check the symbol, rest_url and, where the venue has one, dialect"
)
"""The remedy where the venue answers that there is nothing: it may be the API of another generation."""

NO_TRADING = "the key may not trade: make one that may, or use it for data only"
"""The remedy of a rule for a key whose scopes leave out orders."""


class Meaning(Enum):
    """What an answer proves, and what follows."""

    REFUSED = "refused"
    """Certainly not done, and not tried again."""
    RETRYABLE = "retryable"
    """Certainly not done, and may be tried again: it passes by itself."""
    RATE_LIMITED = "rate_limited"
    """Certainly not done: too many requests."""
    CLOCK = "clock"
    """Certainly not done: the venue refused the timestamp. The clock is measured anew before the next try."""
    ACCOUNT = "account"
    """The key is refused: this account can't be used."""
    UNKNOWN = "unknown"
    """Proves nothing."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a venue's table: which answers, and what they mean.

    An answer fits when it has one of `statuses`, one of `codes` and one of `texts` (in its message or details, in
    any case), as far as each is given. `is_of_cancels`: only answers to cancels fit. `code` is reported in place of the
    venue's own, so that one thing has one code; empty keeps the venue's. `remedy` is said behind the venue's words.
    """

    meaning: Meaning
    statuses: tuple[int, ...] = ()
    codes: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    is_of_cancels: bool = False
    code: str = ""
    remedy: str = ""

    def fits(self, error: ErrorResponse, *, is_cancel: bool) -> bool:
        """Whether the rule is for this answer."""
        said = f"{error.message} {error.details}".lower()
        return (
            (not self.statuses or error.status in self.statuses)
            and (not self.codes or any(map(error.is_code, self.codes)))
            and (not self.texts or any(text.lower() in said for text in self.texts))
            and (is_cancel or not self.is_of_cancels)
        )


class Verdicts(msgspec.Struct, frozen=True):
    """A venue's table. The first rule that fits decides; below them are those of every venue: 429 is a rate limit, 401
    a refused key, any other 4xx with the venue's own code a refusal, but for 408. Everything else proves nothing.

    `remedy` says what to check when the key is refused: "check key_id and private_key_path"; `credential` names what is
    refused then.
    """

    remedy: str
    rules: tuple[Rule, ...] = ()
    credential: str = "the key"

    def meaning(self, error: ErrorResponse, *, is_cancel: bool = False) -> tuple[Meaning, str]:
        """What the answer means, and the code to report."""
        for rule in self.rules:
            if rule.fits(error, is_cancel=is_cancel):
                return rule.meaning, rule.code or error.code
        if error.status == 429:
            return Meaning.RATE_LIMITED, TOO_MANY_REQUESTS
        if error.status == 401:
            return Meaning.ACCOUNT, error.code
        is_own = 400 <= error.status < 500 and error.status != _REQUEST_TIMEOUT and error.code
        return Meaning.REFUSED if is_own else Meaning.UNKNOWN, error.code

    def of_write(self, error: ErrorResponse, *, is_cancel: bool = False) -> TidegateError:
        """What a refused write means, as an error to raise.

        `RefusedByVenue`: certainly not done. `Retryable`: certainly not done, and may be tried again; whether such an
        answer costs tokens is seldom documented, so all are `was_answered` and count. `AccountRefused`: the key is
        refused.
        `OutcomeUnknown`: anything that proves nothing, which is every 5xx, every redirect, a time-out (408) and every
        body that is not the venue's own.
        """
        meaning, code = self.meaning(error, is_cancel=is_cancel)
        if meaning is Meaning.UNKNOWN:
            return OutcomeUnknown(f"{error.text}: this proves nothing; look the order up")
        return self._error(meaning, code, error)

    def of_read(self, error: ErrorResponse) -> TidegateError:
        """What a refused read means, as an error to raise: `AccountRefused`, also for a 403 that is not in the venue's
        own words (what stands before it lets nothing through), `RefusedByVenue` for another 4xx, else `Retryable`.

        A read changes nothing, so whatever may pass by itself may be tried again.
        """
        meaning, code = self.meaning(error)
        if meaning is Meaning.UNKNOWN:
            if error.status == HTTP_FORBIDDEN:
                return AccountRefused(f"{error.text}: {NO_ACCESS}")
            if not 400 <= error.status < 500 or error.status == _REQUEST_TIMEOUT:
                return Retryable(error.text, after_ms=error.after_ms)
            return RefusedByVenue("unreadable", error.text, status=error.status)
        return self._error(meaning, code, error)

    def _error(self, meaning: Meaning, code: str, error: ErrorResponse) -> TidegateError:
        if meaning is Meaning.ACCOUNT:
            return AccountRefused(f"{error.text}: {self.credential} is refused; {self.remedy}")
        if meaning is Meaning.REFUSED:
            remedy = next((rule.remedy for rule in self.rules if rule.remedy and rule.fits(error, is_cancel=False)), "")
            return RefusedByVenue(code, "; ".join(filter(None, (error.text, remedy))), status=error.status)
        is_limit, is_clock = meaning is Meaning.RATE_LIMITED, meaning is Meaning.CLOCK
        text = f"{error.text}: the clock is measured anew before the next try" if is_clock else error.text
        return Retryable(text, after_ms=error.after_ms, is_rate_limit=is_limit, was_answered=True, code=code)


def detail_text(details: object) -> str:
    """A venue's details as text: empty for none, a text as it is, any other shape as JSON."""
    if details is None:
        return ""
    return details if isinstance(details, str) else msgspec.json.encode(details).decode()
