from __future__ import annotations

import random

import pytest

from connectors.transport.reconnect import Backoff

MINUTE_NS = 60_000_000_000


class Fixed:
    """Always draws the same number."""

    def __init__(self, drawn: float) -> None:
        self.drawn = drawn

    def random(self) -> float:
        return self.drawn

    def randbytes(self, n: int, /) -> bytes:
        return bytes(n)


def test_delay_when_attempts_fail_then_its_ceiling_doubles_up_to_the_maximum() -> None:
    backoff = Backoff(Fixed(0.5), initial_ms=100, max_ms=1000)
    assert [backoff.next_delay_ms(0) for _ in range(6)] == [50, 100, 200, 400, 500, 500]


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
