"""Refusals in every shape. Bodies are recorded answers unless said otherwise."""

from __future__ import annotations

import pytest

from connectors.client.wire.answers import ErrorResponse
from connectors.kalshi.wire.errors import VERDICTS, parse_error
from framework.domain.errors import AccountRefused, OutcomeUnknown, RefusedByVenue, Retryable, TidegateError

failure_of_read, failure_of_write = VERDICTS.of_read, VERDICTS.of_write

NESTED = b'{"error":{"code":"invalid_order","message":"invalid order","details":"post only cross"}}'
WITH_SERVICE = b'{"error":{"code":"not_found","message":"not found","service":"exchange"}}'
FLAT = (
    b'{"code":"bad_request","message":"bad request","details":"json: cannot unmarshal number into Go struct field'
    b' CreateOrderV2Request.count of type string"}'
)
BARE = b'{"msg":"Parameter validation failed for GetMarkets"}'
LIMITED = b'{"error":"too many requests"}'
EXPIRED = b'{"error":{"code":"header_timestamp_expired","message":"header timestamp expired"}}'
BAD_KEY = (
    b'{"error":{"code":"authentication_error","message":"authentication_error",'
    b'"details":"INCORRECT_API_KEY_SIGNATURE"}}'
)
PAUSED = b'{"error":{"code":"trading_is_paused","message":"trading is paused"}}'


def test_answer_when_in_any_known_shape_then_code_and_details_are_read() -> None:
    assert parse_error(400, NESTED) == ErrorResponse(400, "invalid_order", "invalid order", "post only cross")
    assert parse_error(404, WITH_SERVICE) == ErrorResponse(404, "not_found", "not found")
    assert parse_error(400, FLAT).code == "bad_request"
    assert "Go struct field" in parse_error(400, FLAT).details
    assert parse_error(400, BARE).code == "invalid_parameters"
    assert parse_error(429, LIMITED).code == "too_many_requests"


@pytest.mark.parametrize("body", [b"", b"<html>502</html>", b"[]", b'"x"', b"\xff\xfe", b"{}", b'{"error":7}'])
def test_answer_when_in_no_known_shape_then_it_has_no_code_and_does_not_raise(body: bytes) -> None:
    assert parse_error(502, body).code == ""


def test_code_when_it_carries_an_id_then_it_is_compared_by_its_beginning() -> None:
    for code in ("user_not_found: 5f0", "user_not_found:_5f0", "user_not_found"):
        assert ErrorResponse(400, code).is_code("user_not_found")
    assert not ErrorResponse(400, "user_not_found_at_all").is_code("user_not_found")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, NESTED, RefusedByVenue),
        (404, WITH_SERVICE, RefusedByVenue),
        (400, FLAT, RefusedByVenue),
        (400, BARE, RefusedByVenue),
        (429, LIMITED, Retryable),
        (429, b"", Retryable),
        (401, EXPIRED, Retryable),
        (401, BAD_KEY, AccountRefused),
        (409, PAUSED, RefusedByVenue),
        (500, b"", OutcomeUnknown),
        (503, NESTED, OutcomeUnknown),
        (504, b"<html>", OutcomeUnknown),
        (302, b"", OutcomeUnknown),
        (400, b"<html>a proxy's own</html>", OutcomeUnknown),
        (408, b"", OutcomeUnknown),
        (408, NESTED, OutcomeUnknown),
    ],
)
def test_write_when_refused_then_only_the_venues_own_word_proves_that_nothing_happened(
    status: int, body: bytes, kind: type[TidegateError]
) -> None:
    assert type(failure_of_write(parse_error(status, body))) is kind


def test_cancel_when_the_venue_pauses_then_it_is_tried_again_later() -> None:
    failure = failure_of_write(parse_error(409, PAUSED), is_cancel=True)
    assert isinstance(failure, Retryable)
    assert (failure.was_answered, failure.code) == (True, "trading_is_paused")


def test_write_when_limited_then_it_says_so() -> None:
    failure = failure_of_write(parse_error(429, LIMITED))
    assert isinstance(failure, Retryable)
    assert (failure.is_rate_limit, failure.was_answered) == (True, True)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, WITH_SERVICE, RefusedByVenue),
        (400, b"<html>", RefusedByVenue),
        (429, LIMITED, Retryable),
        (401, EXPIRED, Retryable),
        (401, BAD_KEY, AccountRefused),
        (500, b"", Retryable),
        (302, b"", Retryable),
        (408, b"", Retryable),
    ],
)
def test_read_when_refused_then_what_may_pass_is_tried_again(
    status: int, body: bytes, kind: type[TidegateError]
) -> None:
    assert type(failure_of_read(parse_error(status, body))) is kind
