"""How far a venue's clock is from ours, bounded by the times in its responses. Pure."""

from __future__ import annotations

_PPM = 1_000_000


class ClockOffset:
    """Venue time minus local time, as an interval that every exchange narrows.

    The venue read its clock between our send and our receive. So each exchange gives a lower and an upper bound, and
    the real offset lies in the intersection of all of them. Old bounds widen with age, because clocks drift. Bounds
    that contradict each other mean that a clock was stepped: the newest exchange then counts alone.

    Local times may be wall or monotonic nanoseconds, but always the same kind; with monotonic ones a step of the
    local wall clock does no harm. Venue times are Unix nanoseconds.
    """

    def __init__(self, *, drift_ppm_max: int = 100) -> None:
        """Allow both clocks together to drift by `drift_ppm_max` parts per million.

        Raises ValueError when that is negative.
        """
        if drift_ppm_max < 0:
            raise ValueError(f"drift_ppm_max={drift_ppm_max}: must not be negative")
        self._drift_ppm_max = drift_ppm_max
        self._low_ns = 0
        self._high_ns = 0
        self._as_of_ns: int | None = None
        self.steps_seen = 0
        """How often the bounds contradicted each other, or an exchange ended before it began."""

    def __repr__(self) -> str:
        if not self.is_known:
            return "<ClockOffset unknown>"
        return f"<ClockOffset offset_ns={self.offset_ns} uncertainty_ns={self.uncertainty_ns}>"

    @property
    def is_known(self) -> bool:
        """Whether a usable exchange was seen since the last one in which the local clock went backwards."""
        return self._as_of_ns is not None

    @property
    def offset_ns(self) -> int:
        """Nanoseconds to add to a local time to estimate the venue's: the interval's middle; 0 while unknown."""
        return (self._low_ns + self._high_ns) // 2

    @property
    def uncertainty_ns(self) -> int:
        """Half the interval, rounded up: the real offset was this near to `offset_ns` at the last sample.

        Meaningless while unknown.
        """
        return -(-(self._high_ns - self._low_ns) // 2)

    def sample(self, *, sent_ns: int, received_ns: int, venue_ns: int, resolution_ns: int = 1) -> None:
        """Take one exchange: our send and receive times, and the time stamp of the response.

        `resolution_ns` (>= 1) is how coarse the stamp is: 1e9 for a Date header, 1e6 for milliseconds; the venue
        cuts its time down to it. An exchange received before it was sent spans a step of the local clock: it is
        not used, and what was known before is dropped. Raises ValueError for a resolution below 1.
        """
        if resolution_ns < 1:
            raise ValueError(f"resolution_ns={resolution_ns}: must be at least 1")
        if received_ns < sent_ns:
            self._forget()
            return
        low_ns = venue_ns - received_ns
        high_ns = venue_ns + resolution_ns - 1 - sent_ns
        if self._as_of_ns is not None:
            low_ns, high_ns = self._narrowed(low_ns, high_ns, age_ns=received_ns - self._as_of_ns)
        self._low_ns, self._high_ns, self._as_of_ns = low_ns, high_ns, received_ns

    def _narrowed(self, low_ns: int, high_ns: int, *, age_ns: int) -> tuple[int, int]:
        # Exchanges may overlap and end out of order: a negative age widens nothing.
        drift_ns = -(-max(0, age_ns) * self._drift_ppm_max // _PPM)
        both_low_ns = max(low_ns, self._low_ns - drift_ns)
        both_high_ns = min(high_ns, self._high_ns + drift_ns)
        if both_low_ns > both_high_ns:
            self.steps_seen += 1
            return low_ns, high_ns
        return both_low_ns, both_high_ns

    def _forget(self) -> None:
        self._low_ns = self._high_ns = 0
        self._as_of_ns = None
        self.steps_seen += 1
