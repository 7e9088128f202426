"""When to connect again: full-jitter exponential delays under a hard cap on connects per minute. Pure."""

from __future__ import annotations

from collections import deque

from framework.domain.ports import Rng

_MINUTE_NS = 60_000_000_000
# Event loops may wake a millisecond or two early; the plan keeps clear of the edge so that the cap holds anyway.
_MARGIN_NS = 10_000_000
_MS = 1_000_000


class Backoff:
    """One reconnect policy for one connection. All times are monotonic nanoseconds.

    Call order: `next_delay_ms`, wait that long, `record_connect`, connect; `reset` once the connection has proved
    healthy for a while. The very first connect needs no delay, but is recorded like every other.
    """

    def __init__(
        self, rng: Rng, *, initial_ms: int = 500, max_ms: int = 30_000, connects_per_minute_max: int = 10
    ) -> None:
        """The n-th delay is drawn evenly from 0 to min(`max_ms`, `initial_ms` · 1.5ⁿ). Raises ValueError.

        Doubling would make one in twelve recoveries from an outage of a few seconds later than 5 s; growing by half,
        fewer than one in a hundred.
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
        """Draw the delay before the next connect, long enough for the cap; each call raises the next ceiling."""
        delay_ms = int(self._rng.random() * self._ceiling_ms)
        self._ceiling_ms = min(self._max_ms, self._ceiling_ms * 3 // 2 + 1)
        wait_ns = self._earliest_ns(_MINUTE_NS + _MARGIN_NS) - now_ns
        return max(delay_ms, -(-wait_ns // _MS))

    def record_connect(self, now_ns: int) -> None:
        """Count a connect attempt that starts now. Raises ValueError when it would break the cap."""
        earliest_ns = self._earliest_ns(_MINUTE_NS)
        if now_ns < earliest_ns:
            raise ValueError(
                f"now_ns={now_ns}: connect {len(self._connects_ns) + 1} within a minute, {earliest_ns - now_ns} ns too"
                " early; wait for next_delay_ms first"
            )
        self._connects_ns.append(now_ns)

    def reset(self) -> None:
        """Start again from `initial_ms`. The cap on connects per minute remembers."""
        self._ceiling_ms = self._initial_ms

    def _earliest_ns(self, window_ns: int) -> int:
        """When the next connect may start so that no closed window of `window_ns` holds too many."""
        times = self._connects_ns
        if len(times) < (times.maxlen or 0):
            return -(2**63)
        return times[0] + window_ns + 1


class ConnectBreaker:
    """Keeps a client from storming a host that takes no connections. All times are monotonic nanoseconds.

    Closed, it lets every attempt through. A failed attempt opens it: then one attempt at a time may start, each after
    a delay of the backoff, until one succeeds. Call order: `wait_ns` until it is 0, `begin`, connect, `end`.
    """

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._is_open = False
        self._is_probing = False
        self._not_before_ns = 0

    def __repr__(self) -> str:
        return f"<ConnectBreaker is_open={self._is_open} {self._backoff!r}>"

    def wait_ns(self, now_ns: int) -> int:
        """How long no attempt may start; 1 at least while another one is under way that will tell."""
        if not self._is_open:
            return 0
        return max(self._not_before_ns - now_ns, int(self._is_probing))

    def begin(self, now_ns: int) -> bool:
        """An attempt starts; give the answer to `end`."""
        if self._is_open:
            self._is_probing = True
            self._backoff.record_connect(now_ns)
        return self._is_open

    def end(self, now_ns: int, *, is_probe: bool, is_connected: bool) -> None:
        """The attempt succeeded or failed. The failure of one that started before the breaker opened says no more."""
        if is_connected:
            self._is_open = self._is_probing = False
            self._backoff.reset()
        elif is_probe or not self._is_open:
            self._is_open, self._is_probing = True, False
            self._not_before_ns = now_ns + self._backoff.next_delay_ms(now_ns) * _MS
