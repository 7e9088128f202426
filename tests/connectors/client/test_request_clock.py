"""Timestamps and nonces: none twice, none in the venue's future, whatever our clock does."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.client.request_clock import Nonces, RequestClock, StaleRequests
from connectors.client.venue_time import VenueTime
from connectors.client.wire.answers import ErrorShape
from connectors.transport.ports import HttpRequest, HttpResponse
from framework.domain.errors import ConfigurationError
from framework.runtime.clock import ManualClock
from framework.runtime.venue_lease import VenueLease

MS = 1_000_000
WALL_NS = 1_767_225_600_000 * MS


def clocks(margin_ms: int = 0) -> tuple[ManualClock, VenueTime, RequestClock]:
    clock = ManualClock(wall_ns=WALL_NS, monotonic_ns=7_000 * MS)
    time = VenueTime(clock)
    return clock, time, RequestClock(time, margin_ms=margin_ms)


def test_stamps_when_many_are_made_in_one_millisecond_then_each_is_later() -> None:
    clock, _, stamps = clocks()
    made = [stamps.next_ms() for _ in range(5)]
    assert made == [WALL_NS // MS + 2 * number for number in range(5)]
    clock.advance(100 * MS)
    assert stamps.next_ms() == WALL_NS // MS + 100


def test_stamps_when_the_clock_is_odd_then_they_are_even(tmp_path: Path) -> None:
    clock, time, stamps = clocks()
    lease = VenueLease(tmp_path, "v")
    others = RequestClock(time, stamps=lease)
    for _ in range(4):
        clock.advance(MS)
        assert stamps.next_ms() % 2 == 0
        assert others.next_ms() % 2 == 1
    lease.close()


def test_stamps_when_the_venues_clock_steps_back_then_they_follow_it_and_none_comes_twice() -> None:
    clock, _, stamps = clocks()
    made = []
    for step_ms in (0, 1, -3_600_000, 3_600_000, -2):
        clock.set_wall(clock.now_ns() + step_ms * MS)
        made += [stamps.next_ms() for _ in range(3)]
        assert 0 <= made[-1] - clock.now_ns() // MS < 30
    assert len(set(made)) == len(made)


def test_stamps_when_the_venues_clock_is_known_roughly_then_they_are_not_in_its_future() -> None:
    _, time, stamps = clocks(margin_ms=500)
    # The venue read its clock within these 80 ms, so it may be anywhere in them.
    time.sample_ms(WALL_NS // MS - 10_000, sent_ns=6_920 * MS, received_ns=7_000 * MS)
    stamp = stamps.next_ms()
    assert WALL_NS // MS - 10_000 - 500 - 2 <= stamp <= WALL_NS // MS - 10_000 - 500


def test_stamps_when_the_clock_is_measured_a_little_earlier_then_they_grow_on_within_the_margin() -> None:
    _, time, stamps = clocks(margin_ms=500)
    time.sample_ms(WALL_NS // MS, sent_ns=7_000 * MS, received_ns=7_000 * MS)
    first = stamps.next_ms()
    time.discard()
    time.sample_ms(WALL_NS // MS - 300, sent_ns=7_000 * MS, received_ns=7_000 * MS)
    assert stamps.next_ms() == first + 2
    time.discard()
    time.sample_ms(WALL_NS // MS - 3_600_000, sent_ns=7_000 * MS, received_ns=7_000 * MS)
    assert stamps.next_ms() <= WALL_NS // MS - 3_600_000 - 500


def test_stamps_when_a_process_beside_the_daemon_makes_some_then_none_is_equal_however_their_clocks_differ(
    tmp_path: Path,
) -> None:
    clock, time, daemon = clocks()
    _, other_time, _ = clocks()
    other_time.sample_ms(WALL_NS // MS + 7, sent_ns=7_000 * MS, received_ns=7_000 * MS)
    made = [daemon.next_ms() for _ in range(50)]
    for own_time in (time, other_time):
        lease = VenueLease(tmp_path, "v")
        assert lease.take()
        beside = RequestClock(own_time, stamps=lease)
        made += [beside.next_ms() for _ in range(50)]
        lease.close()
    made += [daemon.next_ms() for _ in range(50)]
    assert len(set(made)) == 200
    assert max(made) - WALL_NS // MS < 250
    assert clock.now_ns() == WALL_NS


def test_nonces_when_two_processes_take_them_in_turn_then_each_is_higher_than_all_before(tmp_path: Path) -> None:
    daemon, beside = (Nonces(tmp_path / "nonce", lambda: WALL_NS) for _ in range(2))
    taken = [one.take() for _ in range(3) for one in (daemon, daemon, beside)]
    assert taken == sorted(set(taken))


def test_nonces_when_taken_then_they_grow_within_a_run_and_over_restarts_and_steps_back(tmp_path: Path) -> None:
    clock = ManualClock(wall_ns=WALL_NS, monotonic_ns=0)
    taken: list[int] = []
    for step_ns in (0, 5 * MS, -3_600_000 * MS, -3_600_000 * MS, 7_200_000 * MS):
        clock.set_wall(clock.now_ns() + step_ns)
        nonces = Nonces(tmp_path / "nonce", clock.now_ns)
        taken += [nonces.take() for _ in range(3)]
    assert taken == sorted(set(taken))
    assert taken[0] == WALL_NS // 1_000


def test_nonces_when_one_is_given_then_no_later_run_can_give_it_even_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "nonce"
    nonces = Nonces(path, lambda: WALL_NS)
    for _ in range(10):
        assert nonces.take() <= int(path.read_text())


@pytest.mark.parametrize("content", ["", "soon", "1.5"])
def test_nonces_when_the_file_holds_none_then_the_start_fails_with_the_remedy(tmp_path: Path, content: str) -> None:
    (tmp_path / "nonce").write_text(content)
    with pytest.raises(ConfigurationError, match="write a number above every one"):
        Nonces(tmp_path / "nonce", lambda: WALL_NS)


def test_nonces_when_they_can_not_be_kept_then_none_is_given(tmp_path: Path) -> None:
    nonces = Nonces(tmp_path / "missing" / "nonce", lambda: WALL_NS)
    with pytest.raises(ConfigurationError, match="can't be written"):
        nonces.take()


@pytest.mark.parametrize(
    ("target", "date", "is_stale"),
    [
        ("/x?timestamp=1767225600000&signature=s", "Thu, 01 Jan 2026 00:00:00 GMT", False),
        ("/x?timestamp=1767225600000", "Thu, 01 Jan 2026 00:00:04 GMT", True),
        ("/x?timestamp=1767225600000", "Wed, 31 Dec 2025 23:00:00 GMT", True),
        ("/x?timestamp=1767225600000", "soon", False),
        ("/x", "Thu, 01 Jan 2026 00:00:00 GMT", False),
    ],
)
def test_request_when_its_time_is_far_from_the_answers_date_then_it_was_stale(
    target: str, date: str, is_stale: bool
) -> None:
    requests = StaleRequests(r"[?&]timestamp=(\d+)", 5_000, ErrorShape().read, code="stale")
    requests.see(HttpRequest("GET", target, (), b""), HttpResponse(401, {"date": date}, b""), 1)
    assert requests.read(401, b'{"code":"no"}', 0).code == ("stale" if is_stale else "no")
    assert [requests.read(403, b'{"code":"no"}', 0).code, requests.read(401, b"<html>", 0).code] == ["no", ""]
