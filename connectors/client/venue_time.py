"""The venue's clock as measured: the time that signatures carry."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from connectors.client.wire.decimals import NS_PER_MS, NS_PER_S
from connectors.transport.clock_offset import ClockOffset
from framework.domain.market_events import VenueClock
from framework.domain.ports import Clock

# Smaller changes of the estimate matter neither to a check nor to a signature.
_CHANGE_NS = 2 * NS_PER_MS


class VenueTime:
    """Measures the venue's clock against our monotonic one, so that steps of our wall clock do no harm.

    Stamps in milliseconds (of a stream's acknowledgements, of an endpoint for the time) are the best source. The `Date`
    header is coarse (one second), so it counts only while nothing better is known, or after the venue has refused a
    timestamp.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = ClockOffset()
        self._wants_date = True
        self._sampled_ns: int | None = None
        self._reported: tuple[int, int] | None = None

    def __repr__(self) -> str:
        return f"<VenueTime {self._offset!r}>"

    def now_ms(self) -> int:
        """The venue's time now, in Unix milliseconds; our wall time while nothing has been measured."""
        return self.now_ns() // NS_PER_MS

    def now_ns(self) -> int:
        """The venue's time now, in Unix nanoseconds."""
        if not self._offset.is_known:
            return self._clock.now_ns()
        return self._clock.monotonic_ns() + self._offset.offset_ns

    def earliest_ns(self) -> int:
        """The venue's time now, in Unix nanoseconds, at the early end of what has been measured: it is not earlier
        there, so a stamp of this time is not in the future. Our wall time while nothing has been measured."""
        return self.now_ns() - (self._offset.uncertainty_ns if self._offset.is_known else 0)

    def is_older_than(self, age_ns: int) -> bool:
        """Whether nothing has been measured for so long: two clocks part by some seconds a day."""
        return self._sampled_ns is None or self._clock.monotonic_ns() - self._sampled_ns >= age_ns

    def sample_ms(self, venue_ms: int | None, *, sent_ns: int, received_ns: int) -> None:
        """Take a stamp (Unix milliseconds) that the venue made between two of our monotonic times, in nanoseconds.

        None and 0, for a frame without a stamp, do nothing.
        """
        if venue_ms:
            self._sample(venue_ms * NS_PER_MS, NS_PER_MS, sent_ns=sent_ns, received_ns=received_ns)
            self._wants_date = False

    def sample_date(self, header: str | None, *, sent_ns: int, received_ns: int) -> None:
        """Take the `Date` header of a response, if nothing better is known and it can be read."""
        if header is None or not self._wants_date:
            return
        try:
            venue_s = int(parsedate_to_datetime(header).timestamp())
        except (ValueError, OverflowError):
            return
        self._sample(venue_s * NS_PER_S, NS_PER_S, sent_ns=sent_ns, received_ns=received_ns)

    def discard(self) -> None:
        """Drop the estimate, because the venue refused a timestamp; the next response's `Date` counts again."""
        self._offset = ClockOffset()
        self._wants_date = True

    def take_change(self, venue: str) -> VenueClock | None:
        """The measured clock as an event when it differs from the last one returned, else None.

        The event's offset is against our wall clock, in nanoseconds.
        """
        if not self._offset.is_known:
            return None
        now_ns = self._clock.now_ns()
        offset_ns = self._clock.monotonic_ns() + self._offset.offset_ns - now_ns
        uncertainty_ns = self._offset.uncertainty_ns
        if self._reported is not None:
            reported_offset_ns, reported_uncertainty_ns = self._reported
            is_same = abs(offset_ns - reported_offset_ns) < _CHANGE_NS and uncertainty_ns * 2 > reported_uncertainty_ns
            if is_same and uncertainty_ns < reported_uncertainty_ns * 2 + _CHANGE_NS:
                return None
        self._reported = (offset_ns, uncertainty_ns)
        return VenueClock(venue, offset_ns, uncertainty_ns, now_ns)

    def _sample(self, venue_ns: int, resolution_ns: int, *, sent_ns: int, received_ns: int) -> None:
        self._offset.sample(sent_ns=sent_ns, received_ns=received_ns, venue_ns=venue_ns, resolution_ns=resolution_ns)
        self._sampled_ns = received_ns
