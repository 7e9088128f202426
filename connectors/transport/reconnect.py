"""When to connect, and when a connection counts as dead. Pure.

`Backoff` draws jittered exponential delays under a hard cap on connects per minute, `ConnectBreaker` applies it to a
pool of connections, and `SilenceWatch` notices a stream on which nothing comes any more.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from framework.domain.ports import Rng

_MINUTE_NS = 60_000_000_000
# Event loops may wake a millisecond or two early; the plan keeps clear of the edge so that the cap holds anyway.
_MARGIN_NS = 10_000_000
HEALTHY_NS = 30_000_000_000
"""After so many nanoseconds without a failure, delays start small again."""
_MS = 1_000_000


class Backoff:
    """One reconnect policy for one connection. All times are monotonic nanoseconds.

    Call order: `next_delay_ms`, wait that long, `record_connect`, connect; `reset` once the connection has proved
    healthy for a while. The very first connect needs no delay, but is recorded like every other.
    """

    def __init__(
        self, rng: Rng, *, initial_ms: int = 500, max_ms: int = 12_000, connects_per_minute_max: int = 10
    ) -> None:
        """The n-th delay is drawn evenly from the upper half of min(`max_ms`, `initial_ms` · 1.7ⁿ).

        Once less than a quarter of the cap is left, it is spread evenly over what is left of the minute. So, with the
        defaults, an outage of up to 5 s is followed by an attempt within 4.2 s, and any other within 15 s. Raises
        ValueError unless 1 <= `initial_ms` <= `max_ms` and `connects_per_minute_max` >= 1.
        """
        if not 1 <= initial_ms <= max_ms:
            raise ValueError(f"initial_ms={initial_ms} max_ms={max_ms}: need 1 <= initial_ms <= max_ms")
        if connects_per_minute_max < 1:
            raise ValueError(f"connects_per_minute_max={connects_per_minute_max}: must be at least 1")
        self._rng = rng
        self._initial_ms = initial_ms
        self._max_ms = max_ms
        self._ceiling_ms = initial_ms
        self._connects_ns: deque[int] = deque(maxlen=connects_per_minute_max)

    def __repr__(self) -> str:
        return f"<Backoff ceiling_ms={self._ceiling_ms} recent_connects={len(self._connects_ns)}>"

    def next_delay_ms(self, now_ns: int) -> int:
        """Draw the delay in milliseconds before the next connect, long enough for the cap.

        Each call raises the ceiling of the next delay, so call it once per attempt.
        """
        delay_ms = int((1 + self._rng.random()) / 2 * self._ceiling_ms)
        self._ceiling_ms = min(self._max_ms, self._ceiling_ms * 17 // 10 + 1)
        return max(delay_ms, -(-self._even_ns(now_ns) // _MS))

    def wait_ns(self, now_ns: int) -> int:
        """Nanoseconds for which the cap alone forbids the next connect; 0 or less when it may start now."""
        return self._earliest_ns(_MINUTE_NS + _MARGIN_NS) - now_ns

    def has_half_left(self, now_ns: int) -> bool:
        """Whether fewer than half of the connects that the cap allows were made in the last minute."""
        return 2 * len(self._recent_ns(now_ns)) < (self._connects_ns.maxlen or 0)

    def record_connect(self, now_ns: int) -> None:
        """Count a connect attempt that starts now. Raises ValueError when it would break the cap."""
        earliest_ns = self._earliest_ns(_MINUTE_NS)
        if now_ns < earliest_ns:
            raise ValueError(
                f"now_ns={now_ns}: connect {len(self._connects_ns) + 1} within a minute, {earliest_ns - now_ns} ns too"
                " early; wait for next_delay_ms first"
            )
        self._connects_ns.append(now_ns)

    def forget_connect(self, at_ns: int) -> None:
        """Take the connect that was recorded at this time out of the count; an unknown time changes nothing."""
        if at_ns in self._connects_ns:
            self._connects_ns.remove(at_ns)

    def reset(self) -> None:
        """Start again from `initial_ms`. The count for the cap on connects per minute stays."""
        self._ceiling_ms = self._initial_ms

    def _even_ns(self, now_ns: int) -> int:
        """The wait that spreads the connects left in this minute, when they are few; with none left, its whole rest."""
        recent = self._recent_ns(now_ns)
        left = (self._connects_ns.maxlen or 0) - len(recent)
        if not recent or 4 * left >= len(recent) + left:
            return 0
        return (recent[0] + _MINUTE_NS + _MARGIN_NS + 1 - now_ns) // (left + 1)

    def _recent_ns(self, now_ns: int) -> list[int]:
        return [at_ns for at_ns in self._connects_ns if now_ns - at_ns <= _MINUTE_NS + _MARGIN_NS]

    def _earliest_ns(self, window_ns: int) -> int:
        """When the next connect may start so that no closed window of `window_ns` holds too many."""
        times = self._connects_ns
        if len(times) < (times.maxlen or 0):
            return -(2**63)
        return times[0] + window_ns + 1


class Attempt(NamedTuple):
    """One attempt to connect. `is_probe`: it followed a failed one, and all others wait for its result."""

    begun_ns: int
    is_probe: bool


class ConnectBreaker:
    """Limits how often a pool of connections tries to reach a host. All times are monotonic nanoseconds.

    Every attempt counts against the cap of the backoff. An attempt has succeeded once its connection has carried a
    whole response: a middlebox that accepts and then cuts is as good as no host. A failed attempt, or a connection
    that breaks in an exchange, opens the breaker: then one attempt at a time may start, each after a delay of the
    backoff, until one succeeds. The delays start small again after `HEALTHY_NS` without such a failure.

    Call order: `wait_ns` until it is 0, `begin`, connect, the first exchange, `end`.
    """

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._is_open = False
        self._is_probing = False
        self._not_before_ns = 0
        self._failed_ns = -HEALTHY_NS

    def __repr__(self) -> str:
        return f"<ConnectBreaker is_open={self._is_open} {self._backoff!r}>"

    def wait_ns(self, now_ns: int) -> int:
        """Nanoseconds for which no attempt may start; at least 1 while a probe is under way; 0 when one may."""
        wait_ns = max(self._backoff.wait_ns(now_ns), 0)
        if self._is_open:
            wait_ns = max(wait_ns, self._not_before_ns - now_ns, int(self._is_probing))
        return wait_ns

    def may_grow(self, now_ns: int) -> bool:
        """Whether one more connection may be tried beside others that are in use.

        Half of the cap is kept for the case that none is left. While connects fail it is true, so that a request
        without a connection fails at once in `wait_ns` instead of waiting for one in use.
        """
        return self._is_open or self._backoff.has_half_left(now_ns)

    def begin(self, now_ns: int) -> Attempt:
        """Count an attempt that starts now; give it to `end` once its outcome is known.

        Raises ValueError when `wait_ns` is not 0 because of the cap.
        """
        self._backoff.record_connect(now_ns)
        self._is_probing = self._is_open
        return Attempt(now_ns, self._is_open)

    def end(self, attempt: Attempt, now_ns: int, *, is_answered: bool) -> None:
        """Take the outcome of an attempt. The failure of one that started before the breaker opened changes nothing."""
        if is_answered:
            self._is_open = self._is_probing = False
        elif attempt.is_probe or not self._is_open:
            self._is_probing = False
            self._open(now_ns)

    def broke(self, now_ns: int) -> None:
        """A connection that had carried responses broke in an exchange: open the breaker."""
        if not self._is_open:
            self._open(now_ns)

    def give_back(self, attempt: Attempt) -> None:
        """The host ended this connection in good order, as it had announced: it does not count against the cap."""
        self._backoff.forget_connect(attempt.begun_ns)

    def skip_delay(self) -> None:
        """The host was reached in another way: the next attempt needs no delay. The cap still holds."""
        self._not_before_ns = 0

    def _open(self, now_ns: int) -> None:
        if now_ns - self._failed_ns >= HEALTHY_NS:
            self._backoff.reset()
        self._is_open, self._failed_ns = True, now_ns
        self._not_before_ns = now_ns + self._backoff.next_delay_ms(now_ns) * _MS


class SilenceWatch:
    """Compares the last sign of life with a limit. All times are monotonic nanoseconds."""

    def __init__(self, limit_ns: int, *, started_ns: int) -> None:
        """Allow `limit_ns` of silence, counted from `started_ns` until something comes.

        Raises ValueError when the limit is not positive.
        """
        if limit_ns <= 0:
            raise ValueError(f"limit_ns={limit_ns}: must be positive")
        self._limit_ns = limit_ns
        self._last_received_ns = started_ns

    def __repr__(self) -> str:
        return f"<SilenceWatch limit_ns={self._limit_ns} last_received_ns={self._last_received_ns}>"

    def on_receive(self, at_ns: int) -> None:
        """Note that something came at this time; one before the last known changes nothing."""
        self._last_received_ns = max(self._last_received_ns, at_ns)

    def remaining_ns(self, now_ns: int) -> int:
        """Nanoseconds until the silence is too long; 0 when it is."""
        return max(0, self._last_received_ns + self._limit_ns - now_ns)

    def is_silent(self, now_ns: int) -> bool:
        """Whether nothing came for `limit_ns` or longer."""
        return self.remaining_ns(now_ns) == 0
