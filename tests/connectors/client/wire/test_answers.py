"""Verdicts on answers: by code, by status and by text. A venue without codes is judged as strictly as one with them."""

from __future__ import annotations

import pytest

from connectors.client.wire.answers import (
    ErrorResponse,
    Meaning,
    Rule,
    Verdicts,
    after_ms_of,
    code_of_text,
    detail_text,
)
from framework.domain.errors import AccountRefused, OutcomeUnknown, RefusedByVenue, Retryable, TidegateError

# A venue that gives a status and a text, no codes.
TEXTS = Verdicts(
    "check the key and its wallet",
    (
        Rule(meaning=Meaning.CLOCK, statuses=(400, 401), texts=("timestamp",)),
        Rule(meaning=Meaning.REFUSED, statuses=(404,), texts=("order not found",), code="not_found"),
        Rule(meaning=Meaning.ACCOUNT, statuses=(403,), texts=("invalid message signature",)),
        Rule(meaning=Meaning.RETRYABLE, codes=("paused",), is_of_cancels=True),
    ),
)


def said(status: int, text: str, *, after_ms: int = 0) -> ErrorResponse:
    return ErrorResponse(status, code_of_text(text), text, "", after_ms)


@pytest.mark.parametrize(
    ("error", "write", "read"),
    [
        (said(404, "Order not found."), RefusedByVenue, RefusedByVenue),
        (said(400, "Missing required fields."), RefusedByVenue, RefusedByVenue),
        (said(403, "Permission Denied. Order is already filled."), RefusedByVenue, RefusedByVenue),
        (said(403, "Invalid message signature."), AccountRefused, AccountRefused),
        (said(401, "Invalid API key or signature."), AccountRefused, AccountRefused),
        (said(401, "Invalid Timestamp."), Retryable, Retryable),
        (said(429, ""), Retryable, Retryable),
        (said(500, "Internal error"), OutcomeUnknown, Retryable),
        (said(503, "Timestamp service is down"), OutcomeUnknown, Retryable),
        (said(302, ""), OutcomeUnknown, Retryable),
        (said(408, "Order not found."), OutcomeUnknown, Retryable),
        (ErrorResponse(404, "", "<html>a proxy's own</html>"), OutcomeUnknown, RefusedByVenue),
        (ErrorResponse(403, "", "<html>not from your country</html>"), OutcomeUnknown, AccountRefused),
        (ErrorResponse(200, "", "cut short"), OutcomeUnknown, Retryable),
    ],
)
def test_answer_when_judged_by_status_and_text_then_only_the_venues_own_word_is_a_proof(
    error: ErrorResponse, write: type[TidegateError], read: type[TidegateError]
) -> None:
    assert type(TEXTS.of_write(error)) is write
    assert type(TEXTS.of_read(error)) is read


def test_refusal_when_a_rule_gives_a_code_then_that_one_is_reported_else_the_venues() -> None:
    for text, code in (("Order not found.", "not_found"), ("Invalid market.", "invalid_market")):
        failure = TEXTS.of_write(said(404, text))
        assert isinstance(failure, RefusedByVenue)
        assert (failure.code, failure.status) == (code, 404)


def test_rule_when_it_is_of_cancels_then_other_requests_are_refused() -> None:
    paused = ErrorResponse(409, "paused: 7", "trading is paused")
    assert type(TEXTS.of_write(paused)) is RefusedByVenue
    failure = TEXTS.of_write(paused, is_cancel=True)
    assert isinstance(failure, Retryable)
    assert failure.was_answered


def test_limit_when_the_venue_says_how_long_then_that_is_waited() -> None:
    failure = TEXTS.of_write(said(429, "slow down", after_ms=after_ms_of({"retry-after": "7"})))
    assert isinstance(failure, Retryable)
    assert (failure.after_ms, failure.is_rate_limit, failure.code) == (7_000, True, "too_many_requests")


@pytest.mark.parametrize("value", ["", "-1", "soon", "1.5", "٣", "9" * 20, "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_wait_when_it_is_no_number_of_seconds_then_none_is_known(value: str) -> None:
    assert after_ms_of({"retry-after": value}) == after_ms_of({}) == 0


def test_wait_when_it_is_longer_than_a_minute_then_a_minute_is_waited() -> None:
    assert [after_ms_of({"retry-after": text}) for text in ("59", "61", "86400")] == [59_000, 60_000, 60_000]


def test_key_when_refused_then_the_message_says_what_to_check() -> None:
    assert "check the key and its wallet" in str(TEXTS.of_read(said(401, "Invalid API key or signature.")))


def test_access_when_something_before_the_venue_refuses_it_then_the_message_names_the_addresses() -> None:
    assert "the addresses of this machine" in str(TEXTS.of_read(ErrorResponse(403, "", "<html>")))


def test_texts_when_shown_then_they_are_short_and_nothing_is_repeated() -> None:
    assert ErrorResponse(400, "bad", "bad", "price").text == "HTTP 400 bad price"
    assert ErrorResponse(502, "", "<html>").text == "HTTP 502 (no code) <html>"
    assert len(said(400, "x" * 1_000).text) == 300
    assert [detail_text(one) for one in (None, "a", {"b": 1})] == ["", "a", '{"b":1}']
