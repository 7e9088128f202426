from __future__ import annotations

import random

import pytest

from connectors.transport.reconnect import Backoff, ConnectBreaker

MINUTE_NS = 60_000_000_000
MS = 1_000_000


class Fixed:
    """Always draws the same number."""

    def __init__(self, drawn: float) -> None:
        self.drawn = drawn

    def random(self) -> float:
        return self.drawn

    def randbytes(self, n: int, /) -> bytes:
        return bytes(n)


def test_delay_when_attempts_fail_then_its_ceiling_grows_up_to_the_maximum() -> None:
    backoff = Backoff(Fixed(0.5), initial_ms=100, max_ms=400)
    assert [backoff.next_delay_ms(0) for _ in range(6)] == [75, 128, 218, 300, 300, 300]


def test_delay_when_jitter_draws_nothing_then_it_is_half_of_its_ceiling() -> None:
    backoff = Backoff(Fixed(0.0), initial_ms=100)
    assert [backoff.next_delay_ms(0) for _ in range(3)] == [50, 85, 145]


def test_delay_when_reset_after_health_then_it_starts_small_again() -> None:
    backoff = Backoff(Fixed(0.5), initial_ms=100)
    for _ in range(5):
        backoff.next_delay_ms(0)
    backoff.reset()
    assert backoff.next_delay_ms(0) == 75


def attempts_until(healed_ns: int, backoff: Backoff) -> int:
    """Fail until the outage is over; when the first attempt after it begins."""
    now_ns = 0
    backoff.record_connect(now_ns)
    while now_ns < healed_ns:
        now_ns += backoff.next_delay_ms(now_ns) * MS
        backoff.record_connect(now_ns)
    return now_ns


@pytest.mark.parametrize("seed", range(20))
def test_delay_when_an_outage_lasts_up_to_five_seconds_then_the_next_attempt_follows_within_another_five(
    seed: int,
) -> None:
    rng = random.Random(seed)
    for tenth in range(51):
        healed_ns = tenth * 100 * MS
        assert attempts_until(healed_ns, Backoff(rng)) - healed_ns <= 4_250 * MS


def test_delay_when_an_outage_is_long_then_the_cap_never_delays_the_next_attempt_much() -> None:
    rng = random.Random(1)
    for _ in range(2_000):
        healed_ns = rng.randrange(300_000) * MS
        assert attempts_until(healed_ns, Backoff(rng)) - healed_ns <= 15_000 * MS


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("wake_early_ns", [0, 2_000_000])
def test_connects_when_everything_fails_then_no_minute_holds_more_than_the_cap(seed: int, wake_early_ns: int) -> None:
    rng = random.Random(seed)
    cap = rng.randrange(1, 12)
    backoff = Backoff(
        rng, initial_ms=rng.choice([1, 50, 250]), max_ms=rng.choice([250, 30_000]), connects_per_minute_max=cap
    )
    now_ns = rng.randrange(10**12)
    connects: list[int] = []
    for _ in range(300):
        connects.append(now_ns)
        backoff.record_connect(now_ns)
        if rng.random() < 0.2:
            backoff.reset()
        now_ns += rng.randrange(50_000_000)
        now_ns += max(0, backoff.next_delay_ms(now_ns) * 1_000_000 - wake_early_ns)
    assert all(later - earlier > MINUTE_NS for earlier, later in zip(connects, connects[cap:], strict=False))


def test_delay_when_cap_is_reached_then_it_waits_no_longer_than_needed() -> None:
    backoff = Backoff(Fixed(0.0), connects_per_minute_max=2)
    backoff.record_connect(0)
    backoff.record_connect(1_000_000_000)
    assert 59_000 < backoff.next_delay_ms(1_000_000_000) <= 59_020


def test_connect_when_it_would_break_the_cap_then_refused_and_not_counted() -> None:
    backoff = Backoff(Fixed(0.0), connects_per_minute_max=1)
    backoff.record_connect(0)
    with pytest.raises(ValueError, match="too early"):
        backoff.record_connect(MINUTE_NS)
    backoff.record_connect(MINUTE_NS + 1)


@pytest.mark.parametrize(
    "settings", [{"initial_ms": 0}, {"initial_ms": 5, "max_ms": 4}, {"connects_per_minute_max": 0}]
)
def test_backoff_when_settings_are_wrong_then_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="="):
        Backoff(Fixed(0.0), **settings)


def fail(breaker: ConnectBreaker, now_ns: int) -> None:
    breaker.end(breaker.begin(now_ns), now_ns, is_answered=False)


def succeed(breaker: ConnectBreaker, now_ns: int) -> None:
    breaker.end(breaker.begin(now_ns), now_ns, is_answered=True)


def test_breaker_when_connects_succeed_then_it_lets_them_through_up_to_the_cap() -> None:
    breaker = ConnectBreaker(Backoff(Fixed(0.5), connects_per_minute_max=10))
    for now_ns in range(10):
        assert breaker.wait_ns(now_ns) == 0
        succeed(breaker, now_ns)
    assert MINUTE_NS < breaker.wait_ns(0) < MINUTE_NS + 20 * MS
    with pytest.raises(ValueError, match="too early"):
        breaker.begin(10)


def test_breaker_when_a_connect_fails_then_one_at_a_time_is_tried_after_growing_delays() -> None:
    breaker = ConnectBreaker(Backoff(Fixed(0.0), initial_ms=100))
    fail(breaker, 0)
    assert breaker.wait_ns(0) == 50 * MS
    probe = breaker.begin(50 * MS)
    assert breaker.wait_ns(50 * MS) > 0  # somebody is trying
    breaker.end(probe, 60 * MS, is_answered=False)
    assert breaker.wait_ns(60 * MS) == 85 * MS
    succeed(breaker, 145 * MS)
    assert breaker.wait_ns(145 * MS) == 0


def test_breaker_when_attempts_that_began_before_it_opened_fail_too_then_the_delay_stays() -> None:
    breaker = ConnectBreaker(Backoff(Fixed(0.0), initial_ms=100))
    attempts = [breaker.begin(0) for _ in range(5)]
    for attempt in attempts:
        breaker.end(attempt, 0, is_answered=False)
    assert breaker.wait_ns(0) == 50 * MS


def test_breaker_when_connections_answer_and_break_again_then_the_delays_grow_until_it_is_quiet_for_half_a_minute() -> (
    None
):
    breaker = ConnectBreaker(Backoff(Fixed(0.0), initial_ms=100))
    delays_ms, now_ns = [], 0
    for quiet_ms in (0, 1_000, 29_000, 31_000):
        now_ns += quiet_ms * MS
        succeed(breaker, now_ns)
        breaker.broke(now_ns)
        delays_ms.append(breaker.wait_ns(now_ns) // MS)
        breaker.broke(now_ns)  # the others break too
        now_ns += delays_ms[-1] * MS
    assert delays_ms == [50, 85, 145, 50]


def test_breaker_when_half_of_the_cap_is_used_then_the_pool_grows_no_more_until_it_is_free_again() -> None:
    breaker = ConnectBreaker(Backoff(Fixed(0.5), connects_per_minute_max=10))
    for now_ns in range(5):
        assert breaker.may_grow(now_ns)
        succeed(breaker, now_ns)
    assert not breaker.may_grow(5)
    assert breaker.wait_ns(5) == 0, "the other half is for when no connection is left"
    assert breaker.may_grow(MINUTE_NS + 50 * MS)


def test_breaker_when_connects_fail_then_growth_is_tried_so_that_it_is_refused_at_once() -> None:
    breaker = ConnectBreaker(Backoff(Fixed(0.5), connects_per_minute_max=1))
    fail(breaker, 0)
    assert breaker.may_grow(0)


def test_breaker_when_the_host_announced_the_end_then_the_connect_does_not_count() -> None:
    breaker = ConnectBreaker(Backoff(Fixed(0.5), connects_per_minute_max=2))
    for now_ns in range(50):
        attempt = breaker.begin(now_ns)
        breaker.end(attempt, now_ns, is_answered=True)
        breaker.give_back(attempt)


def test_breaker_when_there_is_news_of_the_host_then_the_delay_ends_and_the_cap_does_not() -> None:
    breaker = ConnectBreaker(Backoff(Fixed(0.5), connects_per_minute_max=2))
    fail(breaker, 0)
    breaker.skip_delay()
    assert breaker.wait_ns(0) == 0
    fail(breaker, 0)
    breaker.skip_delay()
    assert breaker.wait_ns(0) > MINUTE_NS


@pytest.mark.parametrize("seed", range(20))
def test_breaker_when_some_connects_fail_then_no_minute_has_more_than_the_cap(seed: int) -> None:
    rng = random.Random(seed)
    breaker = ConnectBreaker(Backoff(rng, connects_per_minute_max=10))
    connects, now_ns = [], 0
    while now_ns < 10 * MINUTE_NS:
        now_ns += max(breaker.wait_ns(now_ns), rng.randrange(20 * MS))
        connects.append(now_ns)
        attempt = breaker.begin(now_ns)
        breaker.end(attempt, now_ns + rng.randrange(5 * MS), is_answered=rng.random() < 0.5)
        if rng.random() < 0.1:
            breaker.skip_delay()
    assert all(later - earlier > MINUTE_NS for earlier, later in zip(connects, connects[10:], strict=False))
