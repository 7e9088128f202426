"""Notice a stream that has gone quiet. Pure."""

from __future__ import annotations


class SilenceWatch:
    """Compares the last sign of life with a limit. All times are monotonic nanoseconds."""

    def __init__(self, limit_ns: int, *, started_ns: int) -> None:
        """Allow `limit_ns` (> 0) of silence, counted from `started_ns` until something is heard."""
        if limit_ns <= 0:
            raise ValueError(f"limit_ns={limit_ns}: must be positive")
        self._limit_ns = limit_ns
        self._last_heard_ns = started_ns

    def __repr__(self) -> str:
        return f"<SilenceWatch limit_ns={self._limit_ns} last_heard_ns={self._last_heard_ns}>"

    def hear(self, at_ns: int) -> None:
        """Note a sign of life; an older one than already known changes nothing."""
        self._last_heard_ns = max(self._last_heard_ns, at_ns)

    def remaining_ns(self, now_ns: int) -> int:
        """How long until the silence is too long; 0 when it is."""
        return max(0, self._last_heard_ns + self._limit_ns - now_ns)

    def is_silent(self, now_ns: int) -> bool:
        """Nothing was heard for `limit_ns` or longer."""
        return self.remaining_ns(now_ns) == 0
