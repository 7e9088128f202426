"""What headers show of a window: said once for each window, when nothing is left, and after a 429."""

from __future__ import annotations

import pytest

from connectors.client.window_headers import WindowHeaders, WindowSight
from connectors.transport.ports import HttpRequest, HttpResponse
from framework.domain.market_events import WindowSeen
from framework.runtime.clock import ManualClock

ASKED = HttpRequest("GET", "/time", (), b"")
MS = 1_000_000


class Seen:
    """A sight on a clock, and what it published."""

    def __init__(self) -> None:
        self.events: list[WindowSeen] = []
        self.sight = WindowSight("tide", WindowHeaders(pool="requests"), ManualClock(), self.events.append)

    def answer(self, left: str, reset: str, status: int = 200) -> list[tuple[int, int, int]]:
        headers = {"x-ratelimit-remaining": left, "x-ratelimit-reset": reset}
        self.events.clear()
        self.sight.see(ASKED, HttpResponse(status, headers, b""), 200 * MS)
        return [(one.left, one.ends_ns_min // MS, one.ends_ns_max // MS) for one in self.events]


def test_window_when_it_is_seen_first_then_its_end_covers_the_rounding_and_the_way() -> None:
    assert Seen().answer("190", "8") == [(190, 6_800, 8_000)]
    assert Seen().answer("190", "1") == [(190, 0, 1_000)]


def test_window_when_it_is_seen_again_then_it_is_said_only_that_nothing_is_left() -> None:
    seen = Seen()
    assert seen.answer("190", "8")
    assert seen.answer("189", "8") == []
    assert seen.answer("0", "7") == [(0, 5_800, 7_000)]


def test_window_when_a_limit_refused_then_the_next_answer_is_news() -> None:
    seen = Seen()
    assert seen.answer("190", "8")
    assert seen.answer("0", "8", status=429) == []
    assert seen.answer("150", "7") == [(150, 5_800, 7_000)]


@pytest.mark.parametrize(("left", "reset"), [("", ""), ("5", ""), ("-1", "5"), ("5", "0"), ("x", "5"), ("5", "9" * 12)])
def test_window_when_its_headers_are_no_numbers_then_nothing_is_said(left: str, reset: str) -> None:
    assert Seen().answer(left, reset) == []
