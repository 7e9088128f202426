"""How far a venue's clock is from ours, bounded by what its answers prove. Pure."""

from __future__ import annotations

_PPM = 1_000_000


class ClockOffset:
    """Venue time minus local time, as an interval that every exchange narrows.

    The venue read its clock between our send and our receive; so each exchange proves a lower and an upper bound,
    and the truth lies in their intersection. Old bounds widen with age, because clocks drift. Bounds that
    contradict each other mean that a clock was stepped: the newest exchange then counts alone.

    Local times may be wall or monotonic nanoseconds, but always the same kind; with monotonic ones a step of the
    local wall clock does no harm.
    """

    def __init__(self, *, drift_ppm_max: int = 100) -> None:
        """Allow both clocks together to drift by `drift_ppm_max` parts per million (>= 0)."""
        if drift_ppm_max < 0:
            raise ValueError(f"drift_ppm_max={drift_ppm_max}: must not be negative")
        self._drift_ppm_max = drift_ppm_max
        self._low_ns = 0
        self._high_ns = 0
        self._as_of_ns: int | None = None
        self.steps_seen = 0

    def __repr__(self) -> str:
        if not self.is_known:
            return "<ClockOffset unknown>"
        return f"<ClockOffset offset_ns={self.offset_ns} uncertainty_ns={self.uncertainty_ns}>"

    @property
    def is_known(self) -> bool:
        """At least one usable exchange has been seen since the last step inside an exchange."""
        return self._as_of_ns is not None

    @property
    def offset_ns(self) -> int:
        """Add this to a local time to estimate the venue's: the middle of the interval; 0 while unknown."""
        return (self._low_ns + self._high_ns) // 2

    @property
    def uncertainty_ns(self) -> int:
        """The truth is within this of `offset_ns`, as of the last sample; meaningless while unknown."""
        return -(-(self._high_ns - self._low_ns) // 2)

    def sample(self, *, sent_ns: int, received_ns: int, venue_ns: int, resolution_ns: int = 1) -> None:
        """Take one exchange: our send and receive times, and the time stamp of the answer.

        `resolution_ns` (>= 1) is how coarse the stamp is: 1e9 for a Date header, 1e6 for milliseconds; the venue
        cuts its time down to it. An exchange received before it was sent spans a step of the local clock: it is
        not used, and what was known before is forgotten. Raises ValueError for a resolution below 1.
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
