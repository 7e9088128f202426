"""One token bucket of a venue, known from outside: an exact lower bound of what the venue holds."""

from __future__ import annotations

NS_PER_S = 1_000_000_000
PPM = 1_000_000
NEVER_NS = 2**63 - 1
"""A wait that no passing of time ends."""


class TokenPool:
    """A bucket in exact integers. Amounts are *units*: one token is `token` units, chosen so that a nanosecond
    refills a whole number of them; nothing is ever rounded, so the level does not depend on how often it is read.

    `level_at` never exceeds what the venue's own bucket holds plus what the venue has charged and we have not
    yet booked; see `risk.budget.venue_budget` for the argument. `held` is reserved by approved requests that are not
    completed, `started` the part of it whose bytes may be on the way. Times are monotonic nanoseconds.
    """

    __slots__ = ("_at_ns", "_level", "capacity", "held", "name", "rate", "started")

    def __init__(self, name: str, *, capacity: int, rate: int, level: int, at_ns: int) -> None:
        self.name = name
        self.capacity = capacity
        self.rate = rate
        self.held = 0
        self.started = 0
        self._level = min(level, capacity)
        self._at_ns = at_ns

    def level_at(self, monotonic_ns: int) -> int:
        """Units that are surely there at a time; before the newest booking it is the level at that booking."""
        elapsed_ns = monotonic_ns - self._at_ns
        if elapsed_ns <= 0:
            return self._level
        level = self._level + elapsed_ns * self.rate
        return level if level < self.capacity else self.capacity

    def book(self, units: int, monotonic_ns: int) -> None:
        """Take off `units` that the venue charged. A venue's bucket never holds less than nothing, so neither does
        this."""
        self._level = max(self.level_at(monotonic_ns) - units, 0)
        self._at_ns = max(monotonic_ns, self._at_ns)

    def empty(self, monotonic_ns: int) -> None:
        """Assume that nothing is left: the venue has just answered 429."""
        self._level = 0
        self._at_ns = max(monotonic_ns, self._at_ns)

    def wait_ns(self, shortage: int) -> int:
        """Nanoseconds in which `shortage` units flow in: 0 when nothing is short, `NEVER_NS` when nothing flows."""
        if shortage <= 0:
            return 0
        if self.rate == 0:
            return NEVER_NS
        return -(-shortage // self.rate)
