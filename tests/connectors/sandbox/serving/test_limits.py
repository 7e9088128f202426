"""Token buckets: exact refill, capacity, counts."""

import pytest

from connectors.sandbox.serving.limits import RateLimits, TokenBucket

SECOND_NS = 1_000_000_000


def test_bucket_when_full_then_its_capacity_can_be_spent_and_no_more() -> None:
    bucket = TokenBucket(100, 100, now_ns=0)
    assert [bucket.take(10, 0) for _ in range(11)] == [True] * 10 + [False]
    assert (bucket.accepted, bucket.refused) == (10, 1)


def test_bucket_when_refused_then_nothing_is_paid() -> None:
    bucket = TokenBucket(100, 100, now_ns=0)
    assert not bucket.take(101, 0)
    assert bucket.tokens(0) == 100


def test_bucket_when_time_passes_then_the_refill_is_exact_to_the_nanosecond() -> None:
    bucket = TokenBucket(100, 100, now_ns=0)
    bucket.take(100, 0)
    assert not bucket.take(10, SECOND_NS // 10 - 1)
    assert bucket.take(10, SECOND_NS // 10)


def test_bucket_when_asked_in_many_small_steps_then_no_fraction_is_lost() -> None:
    bucket = TokenBucket(3, 3, now_ns=0)
    bucket.take(3, 0)
    for step in range(1, 1_000):
        bucket.tokens(step * 1_000_000)
    assert bucket.tokens(SECOND_NS) == 3


def test_bucket_when_idle_then_it_holds_no_more_than_its_capacity() -> None:
    bucket = TokenBucket(100, 300, now_ns=0)
    assert bucket.tokens(3_600 * SECOND_NS) == 300


def test_bucket_when_the_clock_goes_back_then_nothing_is_refilled_twice() -> None:
    bucket = TokenBucket(100, 100, now_ns=SECOND_NS)
    bucket.take(100, SECOND_NS)
    assert bucket.tokens(0) == 0
    assert bucket.tokens(SECOND_NS + SECOND_NS // 2) == 50


def test_limits_when_two_accounts_spend_then_each_has_its_own_buckets() -> None:
    limits = RateLimits({"write": (100, 10)})
    assert limits.take("A", "write", cost=10, now_ns=0)
    assert not limits.take("A", "write", cost=10, now_ns=0)
    assert limits.take("B", "write", cost=10, now_ns=0)
    assert limits.counts() == {"A/write": {"accepted": 1, "refused": 1}, "B/write": {"accepted": 1, "refused": 0}}


def test_limits_when_the_pool_is_unknown_then_it_is_an_error() -> None:
    with pytest.raises(KeyError):
        RateLimits({}).take("A", "write", cost=1, now_ns=0)
