"""Rate limits of a venue that counts requests in windows of time, and the headers that tell of them."""

from __future__ import annotations

from connectors.sandbox.engine.model import NS_PER_S


class RequestWindow:
    """`limit` of weight in each window of `period_ns`; windows follow one another on the venue's clock, from 0.

    `accepted` and `refused` count the draws. Times are nanoseconds of any one clock.
    """

    def __init__(self, limit: int, period_ns: int) -> None:
        self.limit = limit
        self.accepted = 0
        self.refused = 0
        self._period_ns = period_ns
        self._window = -1
        self._used = 0

    def take(self, weight: int, now_ns: int) -> bool:
        """Draw `weight`. False, and nothing is drawn, when the window has less left."""
        if weight > self.remaining(now_ns):
            self.refused += 1
            return False
        self._used += weight
        self.accepted += 1
        return True

    def remaining(self, now_ns: int) -> int:
        """What is left in the window of `now_ns`."""
        window = now_ns // self._period_ns
        if window > self._window:
            self._window, self._used = window, 0
        return self.limit - self._used

    def resets_s(self, now_ns: int) -> int:
        """Whole seconds until the next window, at least 1."""
        return max(1, -(-(self._period_ns - now_ns % self._period_ns) // NS_PER_S))

    def headers(self, now_ns: int, prefix: str = "X-RateLimit") -> dict[str, str]:
        """`-Limit`, `-Remaining` and `-Reset` (seconds) under a prefix, as most venues write them."""
        return {
            f"{prefix}-Limit": str(self.limit),
            f"{prefix}-Remaining": str(self.remaining(now_ns)),
            f"{prefix}-Reset": str(self.resets_s(now_ns)),
        }
