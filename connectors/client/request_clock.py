"""The times and numbers that make each signed request a new one: never in the venue's future, never used twice."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path

import msgspec

from connectors.client.rest import Sign, request_of
from connectors.client.venue_time import VenueTime
from connectors.client.wire.answers import ErrorResponse
from connectors.client.wire.calls import Call
from connectors.client.wire.decimals import NS_PER_MS
from connectors.client.wire.hmac_sign import HmacKey, signed_query
from connectors.transport.ports import HttpRequest, HttpResponse
from framework.domain.errors import ConfigurationError
from framework.domain.mass_cancel import Stamps

_STAMPS_KEPT = 10_000
"""So many stamps are remembered: those of the minutes within which venues notice a replay."""

_UNAUTHORIZED = 401
_DATE_MS = 1_500
"""A `Date` has whole seconds, and the answer took its time."""

_NONCES_AHEAD = 60_000_000
"""So many nonces are kept for this run with one write to disk: a minute of microseconds."""


class RequestClock:
    """Milliseconds for one key's signatures, none of them twice.

    Two requests of one millisecond would have one signature, and venues refuse the second as a replay. Some refuse what
    lies in their future by a millisecond, so the time is the earliest that it can be there, less a margin. Where a
    stamp may be as far ahead as behind, it is the middle of what has been measured: the least that it can be off. It
    follows the venue's clock back, too: stamps that only grew would be in the future until the clock has caught up.

    All of them are even: the odd ones are left to a process beside the daemon (`Stamps`), whose stamps then never equal
    one of the daemon's, however far apart the two take the venue's clock to be.
    """

    def __init__(
        self, time: VenueTime, *, margin_ms: int = 0, is_early: bool = True, stamps: Stamps | None = None
    ) -> None:
        """`margin_ms` (at least 0) is how far behind the venue's time the stamps are to be; `is_early` is False at a
        venue that takes stamps of its future. With `stamps` they are those of a process beside the daemon."""
        self._time = time
        self._margin_ns = margin_ms * NS_PER_MS
        self._is_early = is_early
        self._stamps = stamps
        self._used: dict[int, None] = {}

    def __repr__(self) -> str:
        return f"<RequestClock last_ms={next(reversed(self._used), 0)}>"

    def next_ms(self) -> int:
        """The timestamp of the next request, Unix milliseconds of the venue's clock.

        In a burst of more than one request in two milliseconds it runs ahead, by two milliseconds a request. It is
        later than the one before as long as that lets it stay out of the venue's future, so always within a margin.
        """
        latest_ns = self._time.earliest_ns() if self._is_early else self._time.now_ns()
        stamp_ms = (latest_ns - self._margin_ns) // NS_PER_MS
        if self._stamps is not None:
            return self._stamps.first_from(stamp_ms)
        stamp_ms -= stamp_ms % 2
        last_ms = next(reversed(self._used), 0)
        if stamp_ms <= last_ms < latest_ns // NS_PER_MS - 1:
            stamp_ms = last_ms + 2
        while stamp_ms in self._used:
            stamp_ms += 2
        self._used[stamp_ms] = None
        if len(self._used) > _STAMPS_KEPT:
            del self._used[next(iter(self._used))]
        return stamp_ms


def query_signing(
    key_id: str, key: HmacKey, *, header: str = "X-API-KEY", stamps: Stamps | None = None
) -> Callable[[VenueTime], Sign]:
    """Makes what signs requests by a measured clock, for `open_rest`: at venues where the query has the time and the
    signature (`signed_query`), the body is not signed, and a header names the key. `stamps` as in `RequestClock`."""

    def by_clock(time: VenueTime) -> Sign:
        request_clock = RequestClock(time, stamps=stamps)

        def sign(call: Call) -> HttpRequest:
            path, _, query = call.target.partition("?")
            target = f"{path}?{signed_query(key, query, request_clock.next_ms())}"
            return request_of(Call(call.method, target, call.body, call.is_urgent), ((header, key_id),))

        return sign

    return by_clock


class Nonces:
    """Numbers that only grow: within a run, across restarts, and when the wall clock is set back.

    The file holds a number that no run has passed. It is moved ahead before the first number beyond it is given, so
    that a crash loses numbers and never repeats one. A process that finds it moved by another one goes on above it.
    """

    def __init__(self, path: Path, now_ns: Callable[[], int]) -> None:
        """`path` is a file of this key alone, made when it is missing. `now_ns` is the wall clock.

        Raises `ConfigurationError` when the file can't be read or written, or holds anything but such a number: with
        a nonce used before, every request would be refused.
        """
        self._path = path
        self._now_ns = now_ns
        self._last = self._kept = self._read()

    def __repr__(self) -> str:
        return f"<Nonces last={self._last}>"

    def take(self) -> int:
        """The next nonce: microseconds of the wall clock, or one more than the last. Raises `ConfigurationError` when
        the file can't be read, or, about once a minute, written."""
        if (kept := self._read()) > self._kept:
            self._last = self._kept = kept
        nonce = max(self._last + 1, self._now_ns() // 1_000)
        if nonce > self._kept:
            self._keep(nonce + _NONCES_AHEAD)
        self._last = nonce
        return nonce

    def _read(self) -> int:
        try:
            return int(self._path.read_text("ascii")) if self._path.exists() else 0
        except (OSError, ValueError) as e:
            raise ConfigurationError(
                f"{self._path}: holds no nonce ({e}); restore it, or write a number above every one that was used"
            ) from e

    def _keep(self, number: int) -> None:
        draft = self._path.with_name(f"{self._path.name}.new")
        try:
            with draft.open("w", encoding="ascii") as file:
                file.write(str(number))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as e:
            raise ConfigurationError(f"{self._path}: can't be written: {e.strerror}; nonces are kept there") from e
        self._kept = number


class StaleRequests:
    """Tells whether a refused request was off the venue's clock, for venues that refuse a key and a time with one
    status and the same words.

    Use `see` as `RestRules.on_answer` and `read` as `parse_error`: what was noted is of the answer that is read next,
    because nothing else runs between the two.
    """

    def __init__(
        self, pattern: str, drift_ms: int, parse_error: Callable[[int, bytes, int], ErrorResponse], *, code: str
    ) -> None:
        """`pattern` finds the milliseconds of a request's time in its target, as its first group; `drift_ms` is how far
        they may be off the venue's clock. `parse_error` reads the venue's errors, and `code` is that of a 401 whose
        request was further off."""
        self._stamp = re.compile(pattern)
        self._drift_ms = drift_ms - _DATE_MS
        self._parse_error = parse_error
        self._code = code
        self._is_stale = False

    def see(self, request: HttpRequest, answer: HttpResponse, _took_ns: int, /) -> None:
        """Note whether the answer's `Date` is far from the time that the request has."""
        stamp = self._stamp.search(request.target)
        try:
            venue_ms = parsedate_to_datetime(answer.headers.get("date", "")).timestamp() * 1_000
        except (ValueError, OverflowError):
            venue_ms = None
        is_known = stamp is not None and venue_ms is not None
        self._is_stale = is_known and abs(int(stamp[1]) - venue_ms) > self._drift_ms  # type: ignore[index,operator]

    def read(self, status: int, body: bytes, after_ms: int, /) -> ErrorResponse:
        """The answer that was seen last, as `parse_error` reads it, but for the code of one that came too late or too
        early."""
        error = self._parse_error(status, body, after_ms)
        is_of_clock = status == _UNAUTHORIZED and self._is_stale and error.code
        return msgspec.structs.replace(error, code=self._code) if is_of_clock else error
