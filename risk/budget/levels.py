"""What a venue's pool surely holds, known from outside: an exact lower bound, for a bucket and for a window.

Amounts are *units*: one token is `TOKEN` of them, so that a nanosecond refills a whole number for every limit that is
stated per second, minute or hour; what is stated otherwise refills a little slower. Nothing else is ever rounded, so a
level does not depend on how often it is read. Times are monotonic nanoseconds. Reading changes nothing: the kernel and
the dispatcher read the same level at different times.
"""

from __future__ import annotations

from collections import deque

NS_PER_S = 1_000_000_000
PPM = 1_000_000
TOKEN = 3_600 * NS_PER_S * PPM
"""Units of one token."""

NEVER_NS = 2**63 - 1
"""A wait that no passing of time ends."""

_SLOTS = 2_000
"""A window's bookings are kept in so many slots, each at its end: memory stays bounded, and what comes back does so a
two-thousandth of the period late."""


class TokenBucket:
    """A bucket that refills by `rate` units a nanosecond, up to its capacity."""

    __slots__ = ("_at_ns", "_level", "capacity", "rate")

    def __init__(self, *, capacity: int, rate: int, level: int, at_ns: int) -> None:
        self.capacity = capacity
        self.rate = rate
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

    def raise_to(self, units: int, monotonic_ns: int) -> None:
        """Know that so many units are there at a time."""
        self._level = min(max(self.level_at(monotonic_ns), units), self.capacity)
        self._at_ns = max(monotonic_ns, self._at_ns)

    def wait_ns(self, shortage: int, _monotonic_ns: int) -> int:
        """Nanoseconds in which `shortage` units flow in: 0 when nothing is short, `NEVER_NS` when nothing flows."""
        if shortage <= 0:
            return 0
        return -(-shortage // self.rate) if self.rate else NEVER_NS


class QuerySavings:
    """What the connector's queries may take of a pool that is for orders, too, at any time: at most `capacity` units,
    full at the start. Each order adds to it `percent` of what it and this addition come to, as far as there is room.
    `order` is what the dearest order takes, at most."""

    __slots__ = ("_percent", "capacity", "level", "order")

    def __init__(self, capacity: int, percent: int, order: int) -> None:
        self.capacity = self.level = capacity
        self._percent = percent
        self.order = order * 100 // (100 - percent)

    def part_of(self, units: int) -> int:
        """What an order of `units` has to add."""
        missing = self.capacity - self.level
        return min(units * self._percent // (100 - self._percent), missing) if missing else 0

    def use(self, units: int) -> None:
        """Take off what a query uses, as far as it is there: the rest is nobody's. Below 0 gives units back."""
        self.level = min(max(self.level - units, 0), self.capacity)


class _Slot:
    """Units that were booked until `at_ns`, and when the venue has surely forgotten them."""

    __slots__ = ("at_ns", "forgotten_ns", "units")

    def __init__(self, at_ns: int, forgotten_ns: int, units: int) -> None:
        self.at_ns, self.forgotten_ns, self.units = at_ns, forgotten_ns, units


class RequestWindow:
    """A window of `period_ns` in which the venue takes at most `capacity`, whatever kind of window it is.

    What is booked comes back a period later: no window of that length, sliding or fixed with any phase, then holds more
    than the capacity. Once an answer has shown when a fixed window ends (`see`), what was booked before that comes
    back at its end.
    """

    __slots__ = ("_at_ns", "_ends", "_is_untouched", "_slots", "_strange", "_used", "capacity", "period_ns")

    def __init__(self, *, capacity: int, period_ns: int, level: int, at_ns: int) -> None:
        """Nothing but `level` is free: the rest was used by an earlier run, perhaps just now."""
        self.capacity = capacity
        self.period_ns = period_ns
        self._slots: deque[_Slot] = deque()
        self._used = 0
        self._at_ns = at_ns
        self._ends = (at_ns, at_ns)
        self._strange = self._add(max(capacity - level, 0), at_ns)
        self._is_untouched = True

    @property
    def is_untouched(self) -> bool:
        """Whether nothing of this run was booked, and no answer has shown anything yet."""
        return self._is_untouched

    def resize(self, capacity: int, period_ns: int) -> None:
        """Take over another capacity and period; what was booked keeps its time."""
        self.capacity, self.period_ns = capacity, period_ns

    def level_at(self, monotonic_ns: int) -> int:
        """Units that are surely free at a time; before the newest booking it is the level at that booking. Below 0
        after more than the capacity was booked."""
        used = self._used
        for slot in self._slots:
            if slot.forgotten_ns > monotonic_ns:
                break
            used -= slot.units
        return self.capacity - used

    def book(self, units: int, monotonic_ns: int) -> None:
        """Take off `units` that the venue has charged by now."""
        self._is_untouched = False
        at_ns = self._at_ns = max(monotonic_ns, self._at_ns)
        while self._slots and self._slots[0].forgotten_ns <= at_ns:
            self._used -= self._slots.popleft().units
        newest = self._slots[-1] if self._slots else None
        if newest is None or newest is self._strange or newest.at_ns < at_ns:
            self._add(units, at_ns)
        else:
            newest.units += units
            self._used += units

    def empty(self, monotonic_ns: int) -> None:
        """Assume that nothing is left: the venue has just answered 429."""
        at_ns = self._at_ns = max(monotonic_ns, self._at_ns)
        # What was assumed before stays what an answer can take back.
        if (free := self.level_at(at_ns)) > 0:
            self._strange = self._add(free, at_ns)

    def see(self, left: int, ends_min_ns: int, ends_max_ns: int) -> None:
        """Take over what an answer showed: the units `left` (-1: not said), and the earliest and latest time at which
        the window ends (both 0: not said).

        What is not from this run and still counts is no more than what was used when the venue answered.
        """
        self._is_untouched = False
        if left >= 0:
            surplus = self._strange.units - max(self.capacity - left, 0)
            if surplus > 0:
                self._strange.units -= surplus
                self._used -= surplus if self._strange in self._slots else 0
        if ends_max_ns:
            self._ends = (ends_min_ns, ends_max_ns)
            for slot in self._slots:
                if slot.at_ns > ends_min_ns:
                    break
                slot.forgotten_ns = min(slot.forgotten_ns, ends_max_ns)

    def wait_ns(self, shortage: int, monotonic_ns: int) -> int:
        """Nanoseconds until `shortage` units more are free: 0 when nothing is short; a period when what is short is
        under way and not booked yet, or more than there is."""
        if shortage <= 0:
            return 0
        for slot in self._slots:
            if slot.forgotten_ns > monotonic_ns:
                shortage -= slot.units
                if shortage <= 0:
                    return slot.forgotten_ns - monotonic_ns
        return self.period_ns

    def _add(self, units: int, booked_ns: int) -> _Slot:
        length_ns = self.period_ns // _SLOTS + 1
        at_ns = (booked_ns // length_ns + 1) * length_ns
        ends_min_ns, ends_max_ns = self._ends
        forgotten_ns = at_ns + self.period_ns
        slot = _Slot(at_ns, min(forgotten_ns, ends_max_ns) if at_ns <= ends_min_ns else forgotten_ns, units)
        self._slots.append(slot)
        self._used += units
        return slot
