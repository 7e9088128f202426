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


def test_delay_when_attempts_fail_then_its_ceiling_grows_by_half_up_to_the_maximum() -> None:
    backoff = Backoff(Fixed(0.5), initial_ms=100, max_ms=400)
    assert [backoff.next_delay_ms(0) for _ in range(6)] == [50, 75, 113, 170, 200, 200]


def test_delay_when_jitter_draws_nothing_then_it_is_zero() -> None:
    backoff = Backoff(Fixed(0.0))
    assert [backoff.next_delay_ms(0) for _ in range(3)] == [0, 0, 0]


def test_delay_when_reset_after_health_then_it_starts_small_again() -> None:
    backoff = Backoff(Fixed(0.5), initial_ms=100)
    for _ in range(5):
        backoff.next_delay_ms(0)
    backoff.reset()
    assert backoff.next_delay_ms(0) == 50


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


def test_breaker_when_connects_succeed_then_it_lets_every_one_through() -> None:
    breaker = ConnectBreaker(Backoff(Fixed(0.5)))
    for now_ns in range(100):
        assert breaker.wait_ns(now_ns) == 0
        is_probe = breaker.begin(now_ns)
        breaker.end(now_ns, is_probe=is_probe, is_connected=True)


def test_breaker_when_a_connect_fails_then_one_at_a_time_is_tried_after_growing_delays() -> None:
    breaker = ConnectBreaker(Backoff(Fixed(0.5), initial_ms=100))
    breaker.end(0, is_probe=breaker.begin(0), is_connected=False)
    assert breaker.wait_ns(0) == 50 * MS
    is_probe = breaker.begin(50 * MS)
    assert breaker.wait_ns(50 * MS) > 0  # somebody is trying
    breaker.end(60 * MS, is_probe=is_probe, is_connected=False)
    assert breaker.wait_ns(60 * MS) == 75 * MS
    breaker.end(135 * MS, is_probe=breaker.begin(135 * MS), is_connected=True)
    assert breaker.wait_ns(135 * MS) == 0


def test_breaker_when_attempts_that_began_before_it_opened_fail_too_then_the_delay_stays() -> None:
    breaker = ConnectBreaker(Backoff(Fixed(0.5), initial_ms=100))
    attempts = [breaker.begin(0) for _ in range(8)]
    for is_probe in attempts:
        breaker.end(0, is_probe=is_probe, is_connected=False)
    assert breaker.wait_ns(0) == 50 * MS


def test_breaker_when_a_host_stays_away_then_no_minute_has_more_probes_than_the_cap() -> None:
    breaker = ConnectBreaker(Backoff(Fixed(0.1), connects_per_minute_max=10))
    breaker.end(0, is_probe=breaker.begin(0), is_connected=False)
    probes, now_ns = [], 0
    while now_ns < 5 * MINUTE_NS:
        now_ns += breaker.wait_ns(now_ns)
        probes.append(now_ns)
        breaker.end(now_ns, is_probe=breaker.begin(now_ns), is_connected=False)
    assert all(later - earlier > MINUTE_NS for earlier, later in zip(probes, probes[10:], strict=False))
