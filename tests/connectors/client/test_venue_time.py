"""The venue's clock."""

from __future__ import annotations

from connectors.client.venue_time import VenueTime
from framework.runtime.clock import ManualClock

WALL_NS = 1_781_159_360_500_000_000
MS = 1_000_000
DATE = "Thu, 11 Jun 2026 06:29:50 GMT"


def clocks() -> tuple[ManualClock, VenueTime]:
    clock = ManualClock(wall_ns=WALL_NS, monotonic_ns=7_000 * MS)
    return clock, VenueTime(clock)


def test_time_when_nothing_was_measured_then_it_is_our_own() -> None:
    _, time = clocks()
    assert time.now_ms() == WALL_NS // MS
    assert time.take_change("kalshi") is None


def test_time_when_an_answer_was_stamped_then_the_offset_is_applied() -> None:
    clock, time = clocks()
    time.sample_ms(WALL_NS // MS + 30_000, sent_ns=6_990 * MS, received_ns=7_000 * MS)
    assert abs(time.now_ms() - (WALL_NS // MS + 30_005)) <= 6
    clock.advance(1_000 * MS)
    assert abs(time.now_ms() - (WALL_NS // MS + 31_005)) <= 6


def test_time_when_our_wall_clock_steps_then_the_venues_does_not() -> None:
    clock, time = clocks()
    time.sample_ms(WALL_NS // MS, sent_ns=6_990 * MS, received_ns=7_000 * MS)
    before_ms = time.now_ms()
    clock.set_wall(WALL_NS - 3_600_000 * MS)
    assert time.now_ms() == before_ms


def test_date_when_milliseconds_are_known_then_it_is_not_used_until_it_is_discarded() -> None:
    _, time = clocks()
    time.sample_ms(WALL_NS // MS, sent_ns=6_990 * MS, received_ns=7_000 * MS)
    time.sample_date(DATE, sent_ns=6_990 * MS, received_ns=7_000 * MS)
    assert abs(time.now_ms() - WALL_NS // MS) <= 10
    time.discard()
    time.sample_date(DATE, sent_ns=6_990 * MS, received_ns=7_000 * MS)
    assert abs(time.now_ms() - 1_781_159_390_500) <= 520


def test_date_when_missing_or_garbled_then_nothing_is_learned() -> None:
    _, time = clocks()
    for header in (None, "", "yesterday", "Thu, 99 Jun 2026 06:29:50 GMT"):
        time.sample_date(header, sent_ns=0, received_ns=1)
    time.sample_ms(None, sent_ns=0, received_ns=1)
    assert time.now_ms() == WALL_NS // MS


def test_change_when_the_clock_did_not_move_then_it_is_reported_once() -> None:
    clock, time = clocks()
    time.sample_ms(WALL_NS // MS + 500, sent_ns=6_999 * MS, received_ns=7_000 * MS)
    change = time.take_change("kalshi")
    assert change is not None
    assert abs(change.offset_ns - 500 * MS) < 3 * MS
    assert time.take_change("kalshi") is None
    clock.set_wall(WALL_NS + 50 * MS)
    stepped = time.take_change("kalshi")
    assert stepped is not None
    assert abs(stepped.offset_ns - 450 * MS) < 3 * MS


def test_time_when_nothing_was_measured_for_long_then_that_can_be_asked() -> None:
    clock, time = clocks()
    assert time.is_older_than(60_000 * MS)
    time.sample_ms(WALL_NS // MS, sent_ns=6_990 * MS, received_ns=7_000 * MS)
    clock.advance(59_999 * MS)
    assert not time.is_older_than(60_000 * MS)
    clock.advance(MS)
    assert time.is_older_than(60_000 * MS)
