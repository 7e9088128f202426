"""What KalqiX's refusals prove, and limits that are never passed."""

from __future__ import annotations

import msgspec
import pytest

from connectors.kalqix.dialect import VERDICTS, A, B, limits_of, parse_error
from connectors.kalqix.sandbox.words import REFUSALS, body_of
from framework.domain.errors import AccountRefused, OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.rate_limits import PoolShape

NEW, CANCEL = False, True


@pytest.mark.parametrize("has_codes", [False, True])
@pytest.mark.parametrize(
    ("what", "is_cancel", "kind", "code"),
    [
        ("bad_key", NEW, AccountRefused, ""),
        ("bad_action", NEW, AccountRefused, ""),
        ("ip_refused", NEW, AccountRefused, ""),
        ("stale_time", NEW, Retryable, ""),
        ("too_fast", NEW, Retryable, ""),
        ("replayed", NEW, OutcomeUnknown, ""),
        ("replayed", CANCEL, OutcomeUnknown, ""),
        ("exchange_paused", NEW, OutcomeUnknown, ""),
        ("insufficient_balance", NEW, RefusedByVenue, ""),
        ("market_not_found", NEW, RefusedByVenue, ""),
        ("not_found", CANCEL, RefusedByVenue, "not_found"),
        ("filled", CANCEL, RefusedByVenue, "not_found"),
        ("processed", CANCEL, RefusedByVenue, "not_found"),
        ("cancel_pending", CANCEL, RefusedByVenue, "cancel_pending"),
    ],
)
def test_refusal_when_the_venue_gives_it_then_it_proves_no_more_than_it_says(
    what: str, is_cancel: bool, kind: type[Exception], code: str, has_codes: bool
) -> None:
    said = REFUSALS[what]
    error = parse_error(said.status, msgspec.json.encode(body_of(said, has_codes=has_codes)), 0)
    found = VERDICTS.of_write(error, is_cancel=is_cancel)
    assert type(found) is kind
    if code and isinstance(found, RefusedByVenue):
        assert found.code == code


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b"<html>bad</html>"),
        (502, b'{"error":"Order not found."}'),
        (408, b'{"error":"late"}'),
        (302, b""),
        (400, b"[]"),
    ],
)
def test_answer_when_it_may_be_a_proxys_then_an_order_stays_in_question(status: int, body: bytes) -> None:
    assert isinstance(VERDICTS.of_write(parse_error(status, body, 0)), OutcomeUnknown)


@pytest.mark.parametrize(("per_second", "per_minute"), [(1_000, 18_000), (30, 1_800), (1_000, 1_000), (4, 120)])
def test_limits_when_a_bucket_is_spent_as_fast_as_it_fills_then_no_window_is_passed(
    per_second: int, per_minute: int
) -> None:
    (pool,) = limits_of(per_second, per_minute, "0x1").pools
    assert pool.shape is PoolShape.BUCKET
    assert pool.capacity + pool.refill <= per_second
    assert pool.capacity + 60 * pool.refill <= per_minute


def test_terms_when_a_dialect_has_client_ids_then_it_says_so() -> None:
    assert (A.terms.client_ids, B.terms.client_ids) == (False, True)
    assert (A.terms.quote_amounts, B.terms.quote_amounts) == (True, False)
    assert all(sentence.endswith(".") for one in (A, B) for sentence in one.assumptions)
