"""The venue's clock as its clients see it: the machine's, plus a skew that a fault may set."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate

from connectors.sandbox.engine.model import NS_PER_MS, NS_PER_S

NS_PER_US = 1_000


class VenueClock:
    """The engine runs on unskewed time; everything shown to clients, and the check of a signature's age, is skewed.

    `now_ns` reads wall time in nanoseconds since the Unix epoch; `skew_ns` may be negative.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self.skew_ns = 0

    def engine_ns(self) -> int:
        """Unskewed time in nanoseconds: what the engine and the audit report record."""
        return self._now_ns()

    def shown_ns(self) -> int:
        """The venue's time as clients see it now, in nanoseconds."""
        return self._now_ns() + self.skew_ns

    def to_engine_ns(self, shown_ns: int) -> int:
        """A time that a client named, as engine time; both in nanoseconds."""
        return shown_ns - self.skew_ns

    def rfc3339(self, engine_ns: int) -> str:
        """Engine time as RFC3339 with up to 6 fractional digits, trailing zeros trimmed."""
        return rfc3339(engine_ns + self.skew_ns)

    def rfc3339_ms(self, engine_ns: int) -> str:
        """Engine time as RFC3339, truncated to milliseconds, trailing zeros trimmed."""
        shown_ns = engine_ns + self.skew_ns
        return rfc3339(shown_ns - shown_ns % NS_PER_MS)

    def seconds(self, engine_ns: int) -> int:
        """Engine time (nanoseconds) as whole Unix seconds on the venue's clock."""
        return (engine_ns + self.skew_ns) // NS_PER_S

    def ms(self, engine_ns: int) -> int:
        """Engine time (nanoseconds) as whole Unix milliseconds on the venue's clock."""
        return (engine_ns + self.skew_ns) // NS_PER_MS

    def us(self, engine_ns: int) -> int:
        """Engine time (nanoseconds) as whole Unix microseconds on the venue's clock."""
        return (engine_ns + self.skew_ns) // NS_PER_US

    def http_date(self) -> str:
        """The venue's time now as the `Date` header writes it."""
        return formatdate(self.shown_ns() // NS_PER_S, usegmt=True)


def rfc3339(ns: int) -> str:
    """Nanoseconds since the epoch as RFC3339 in UTC; microseconds with trailing zeros trimmed."""
    whole, rest = divmod(ns, NS_PER_S)
    text = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{rest // NS_PER_US:06d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"
