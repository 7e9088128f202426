"""What a venue's answers show of a limit that is a window of requests: without it a run begins a whole period late."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from connectors.client.wire.decimals import NS_PER_S
from connectors.transport.ports import HttpRequest, HttpResponse
from framework.domain.market_events import WindowSeen
from framework.domain.ports import Clock

TOO_MANY = 429
"""The status of an answer that a limit refused: what it shows is of before."""

_SECONDS_MAX = 10_000_000


class WindowHeaders(msgspec.Struct, frozen=True, kw_only=True):
    """The headers in which a venue shows the window of the pool `pool`, in small letters: the tokens that are left, and
    in how many seconds, rounded up, it begins anew. Only for a window that forgets everything at once."""

    pool: str
    remaining: str = "x-ratelimit-remaining"
    reset: str = "x-ratelimit-reset"


class WindowSight:
    """Publishes what is new: the first answer of each window that is seen, one that says that nothing is left, and the
    first one after a 429, since until then nothing counts as left.

    Use `see` as `RestRules.on_answer`, and declare the pool before the first request.
    """

    def __init__(self, venue: str, headers: WindowHeaders, clock: Clock, publish: Callable[[WindowSeen], None]) -> None:
        self._venue = venue
        self._headers = headers
        self._clock = clock
        self._publish = publish
        self._ends_ns = 0

    def __repr__(self) -> str:
        return f"<WindowSight {self._venue} {self._headers.pool}>"

    def see(self, _request: HttpRequest, answer: HttpResponse, took_ns: int) -> None:
        """Take an answer's headers: a `RestRules.on_answer`. Those that are missing or no numbers say nothing."""
        headers = answer.headers
        if answer.status == TOO_MANY:
            self._ends_ns = 0
            return
        left = _number(headers.get(self._headers.remaining, ""))
        reset_s = _number(headers.get(self._headers.reset, ""))
        now_ns = self._clock.monotonic_ns()
        if left < 0 or reset_s <= 0 or (left > 0 and now_ns < self._ends_ns):
            return
        ends_ns_min, ends_ns_max = max((reset_s - 1) * NS_PER_S - took_ns, 0), reset_s * NS_PER_S
        self._ends_ns = now_ns + ends_ns_max
        self._publish(WindowSeen(self._venue, self._headers.pool, self._clock.now_ns(), left, ends_ns_min, ends_ns_max))


def _number(text: str) -> int:
    """A whole number of a header, -1 where it is none that can be true."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 and int(text) < _SECONDS_MAX else -1
