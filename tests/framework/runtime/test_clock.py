"""Clocks and randomness."""

from __future__ import annotations

import pytest

from framework.runtime.clock import ManualClock, SystemClock, seeded_rng, system_rng


def test_system_clock_when_read_twice_then_monotonic_time_does_not_run_backwards() -> None:
    clock = SystemClock()
    first = clock.monotonic_ns()
    assert clock.monotonic_ns() >= first
    assert clock.now_ns() > 1_600_000_000_000_000_000


def test_manual_clock_when_advanced_then_both_clocks_move_by_the_same() -> None:
    clock = ManualClock(wall_ns=100, monotonic_ns=5)
    clock.advance(7)
    assert (clock.now_ns(), clock.monotonic_ns()) == (107, 12)


def test_manual_clock_when_wall_steps_backwards_then_monotonic_time_stays() -> None:
    clock = ManualClock(wall_ns=100, monotonic_ns=5)
    clock.set_wall(40)
    assert (clock.now_ns(), clock.monotonic_ns()) == (40, 5)


def test_manual_clock_when_advanced_by_a_negative_duration_then_refuses() -> None:
    with pytest.raises(ValueError, match=r"duration_ns: -1 .* set_wall"):
        ManualClock().advance(-1)


def test_seeded_rng_when_seeds_are_equal_then_sequences_are() -> None:
    one, two, other = seeded_rng(7), seeded_rng(7), seeded_rng(8)
    first = [one.random(), one.randbytes(8)]
    assert first == [two.random(), two.randbytes(8)]
    assert first != [other.random(), other.randbytes(8)]


def test_system_rng_when_asked_twice_then_differs() -> None:
    assert system_rng().randbytes(16) != system_rng().randbytes(16)
