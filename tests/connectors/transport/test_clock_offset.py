from __future__ import annotations

import random

import pytest

from connectors.transport.clock_offset import ClockOffset

MS = 1_000_000
SECOND = 1_000_000_000


def test_offset_when_nothing_was_sampled_then_unknown() -> None:
    clock = ClockOffset()
    assert (clock.is_known, clock.offset_ns) == (False, 0)


def test_offset_when_one_exchange_then_bounded_by_its_round_trip() -> None:
    clock = ClockOffset()
    clock.sample(sent_ns=1000, received_ns=1100, venue_ns=5050)
    assert (clock.offset_ns, clock.uncertainty_ns, clock.is_known) == (4000, 50, True)


def test_offset_when_stamps_are_coarse_then_many_exchanges_narrow_it() -> None:
    clock = ClockOffset(drift_ppm_max=0)
    true_offset = 123 * MS
    for i in range(200):
        sent = i * 137 * MS
        stamp = (sent + 5 * MS + true_offset) // SECOND * SECOND
        clock.sample(sent_ns=sent, received_ns=sent + 10 * MS, venue_ns=stamp, resolution_ns=SECOND)
    assert abs(clock.offset_ns - true_offset) <= clock.uncertainty_ns <= 15 * MS


@pytest.mark.parametrize("seed", range(30))
def test_offset_when_delays_are_uneven_and_clocks_drift_then_the_real_offset_stays_within_the_bounds(seed: int) -> None:
    rng = random.Random(seed)
    drift_ppm = rng.randrange(-100, 101)
    clock = ClockOffset(drift_ppm_max=100)
    start = rng.randrange(-3600 * SECOND, 3600 * SECOND)
    now = 0
    for _ in range(200):
        now += rng.randrange(30 * SECOND)
        there, back = rng.randrange(1, 80 * MS), rng.randrange(1, 80 * MS)
        read_at = now + there
        offset_then = start + read_at * drift_ppm // 1_000_000
        stamp = (read_at + offset_then) // MS * MS
        received = read_at + back
        clock.sample(sent_ns=now, received_ns=received, venue_ns=stamp, resolution_ns=MS)
        real_ns = start + received * drift_ppm // 1_000_000
        assert abs(clock.offset_ns - real_ns) <= clock.uncertainty_ns + 100 * 160 * MS // 1_000_000 + 2
        now = received
    assert clock.steps_seen == 0
    assert clock.uncertainty_ns < 60 * MS


def test_offset_when_bounds_contradict_then_the_newest_exchange_counts_alone() -> None:
    clock = ClockOffset()
    for i in range(10):
        clock.sample(sent_ns=i * SECOND, received_ns=i * SECOND + 2 * MS, venue_ns=i * SECOND + MS)
    clock.sample(sent_ns=20 * SECOND, received_ns=20 * SECOND + 40 * MS, venue_ns=15 * SECOND)
    assert clock.steps_seen == 1
    assert (clock.offset_ns, clock.uncertainty_ns) == (-5 * SECOND - 20 * MS, 20 * MS)


def test_offset_when_wall_clock_steps_back_between_exchanges_then_it_is_found_again() -> None:
    clock = ClockOffset()
    clock.sample(sent_ns=100 * SECOND, received_ns=100 * SECOND + 2 * MS, venue_ns=100 * SECOND + MS)
    clock.sample(sent_ns=40 * SECOND, received_ns=40 * SECOND + 2 * MS, venue_ns=101 * SECOND + MS)
    assert (clock.offset_ns, clock.uncertainty_ns, clock.steps_seen) == (61 * SECOND, MS, 1)


def test_offset_when_wall_clock_steps_back_inside_an_exchange_then_nothing_is_known() -> None:
    clock = ClockOffset()
    clock.sample(sent_ns=100, received_ns=110, venue_ns=105)
    clock.sample(sent_ns=200, received_ns=150, venue_ns=205)
    assert (clock.is_known, clock.offset_ns, clock.steps_seen) == (False, 0, 1)


def test_offset_when_exchanges_end_out_of_order_then_bounds_still_intersect() -> None:
    clock = ClockOffset()
    clock.sample(sent_ns=1000, received_ns=1400, venue_ns=1200)
    clock.sample(sent_ns=900, received_ns=1300, venue_ns=1200)
    assert (clock.offset_ns, clock.uncertainty_ns, clock.steps_seen) == (50, 150, 0)


def test_offset_when_drift_is_negative_then_refused() -> None:
    with pytest.raises(ValueError, match="drift_ppm_max=-1"):
        ClockOffset(drift_ppm_max=-1)


def test_sample_when_resolution_is_not_positive_then_refused() -> None:
    with pytest.raises(ValueError, match="resolution_ns=0"):
        ClockOffset().sample(sent_ns=0, received_ns=1, venue_ns=0, resolution_ns=0)
