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

_PARTS = 20
"""What an earlier run may have used of a window is forgotten in so many steps."""

_SLOTS = 2_000
"""A window's bookings are kept in so many slots: memory stays bounded, and what comes back does so a two-thousandth of
the period late."""


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

    def empty(self, monotonic_ns: int, until_ns: int = 0) -> None:
        """Assume that nothing is left, and that nothing comes before `until_ns`: the venue has just answered 429."""
        self._level = 0
        self._at_ns = max(monotonic_ns, until_ns, self._at_ns)

    def raise_to(self, units: int, monotonic_ns: int) -> None:
        """Know that so many units are there at a time."""
        self._level = min(max(self.level_at(monotonic_ns), units), self.capacity)
        self._at_ns = max(monotonic_ns, self._at_ns)

    def flow(self, rate: int, monotonic_ns: int) -> None:
        """Refill by `rate` from now on."""
        self._level, self._at_ns = self.level_at(monotonic_ns), max(monotonic_ns, self._at_ns)
        self.rate = rate

    def wait_ns(self, shortage: int, monotonic_ns: int) -> int:
        """Nanoseconds in which `shortage` units flow in: 0 when nothing is short, `NEVER_NS` when nothing flows."""
        if shortage <= 0:
            return 0
        closed_ns = max(self._at_ns - monotonic_ns, 0)
        return closed_ns - (-shortage // self.rate) if self.rate else NEVER_NS


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


class _Start:
    """Where windows may have begun: immediately before a booking. `ahead` is how far bookings were ahead of the flow
    then, `forgotten_ns` when no window that began there can still be counted."""

    __slots__ = ("ahead", "forgotten_ns")

    def __init__(self, ahead: int, forgotten_ns: int) -> None:
        self.ahead, self.forgotten_ns = ahead, forgotten_ns


class _Slot:
    """Units that were used in a moment, and when the venue has surely forgotten them; `strange` of them may have been
    used by others."""

    __slots__ = ("forgotten_ns", "strange", "units")

    def __init__(self, units: int, forgotten_ns: int, strange: int = 0) -> None:
        self.units, self.forgotten_ns, self.strange = units, forgotten_ns, strange


class RequestWindow:
    """A window of `period_ns` in which the venue takes at most `limit` units, whatever kind of window it is.

    `capacity` of them may be used at once, and the rest of the limit flows: at `rate` units a nanosecond, like into a
    bucket. What was used beyond the flow is missing until the flow has made it good, but for a period at most: no
    window of that length, sliding or fixed with any phase, then holds more than the flow of a period and one capacity.
    So a run that begins, and does not know what an earlier one has used, has the flow at once. With a `capacity` of the
    whole limit nothing flows, and everything comes back a period after it was used.

    What must not wait for the flow may use all that the limit leaves (`urgent_at`), and is made good by it afterwards.

    An answer of the venue may show less (`see`): what is left of its own window until that ends.
    """

    __slots__ = (
        "_ahead",
        "_at_ns",
        "_left",
        "_left_until_ns",
        "_slot_ns",
        "_slots",
        "_starts",
        "_strange",
        "_strange_until_ns",
        "_used",
        "capacity",
        "limit",
        "period_ns",
        "rate",
    )

    def __init__(self, *, limit: int, capacity: int, period_ns: int, at_ns: int) -> None:
        """Only what flows in from now on is free: an earlier run may have used the rest just now."""
        self.resize(limit, capacity, period_ns)
        self._at_ns = at_ns
        self._left, self._left_until_ns = 0, at_ns
        self._ahead = self._used = 0
        self._starts: deque[_Start] = deque()
        self._slots: deque[_Slot] = deque()
        self._book_strange(capacity, capacity)
        # It has used the flow of a period before that, which is forgotten as it flowed.
        flowed = (limit - capacity) // _PARTS
        for part in range(_PARTS, 0, -1):
            self._slots.appendleft(_Slot(flowed, at_ns + period_ns * part // _PARTS, flowed))
            self._used += flowed

    def resize(self, limit: int, capacity: int, period_ns: int) -> None:
        """Take over another size and its flow; what was booked keeps its time. Call `flow` before that."""
        self.limit, self.capacity, self.period_ns = limit, capacity, period_ns
        self.rate = (limit - capacity) // period_ns
        self._slot_ns = period_ns // _SLOTS + 1

    def flow(self, rate: int, monotonic_ns: int) -> None:
        """Let `rate` units flow in a nanosecond from now on: no more than after the last `resize`."""
        self._ahead, self._at_ns = self._ahead_at(monotonic_ns), max(monotonic_ns, self._at_ns)
        self.rate = rate

    def level_at(self, monotonic_ns: int) -> int:
        """Units that are surely free at a time; before the newest booking it is the level at that booking. Below 0
        after more than the capacity was booked."""
        level = self.capacity
        for start in self._starts:
            if start.forgotten_ns > monotonic_ns:
                # The others began with more, so fewer have been booked since.
                level -= max(self._ahead_at(monotonic_ns) - start.ahead, 0)
                break
        return min(level, self._left) if monotonic_ns < self._left_until_ns else level

    def urgent_at(self, monotonic_ns: int) -> int:
        """Units of the limit that are surely free at a time; never less than `level_at`."""
        used = self._used
        for slot in self._slots:
            if slot.forgotten_ns > monotonic_ns:
                break
            used -= slot.units
        left = self.limit - used
        if monotonic_ns < self._left_until_ns:
            left = min(left, self._left)
        return max(left, self.level_at(monotonic_ns))

    def book(self, units: int, monotonic_ns: int) -> None:
        """Take off `units` that the venue has charged by now."""
        self.flow(self.rate, monotonic_ns)
        self._left -= units
        self._add(units, units)

    def empty(self, monotonic_ns: int, until_ns: int = 0) -> None:
        """Assume that nothing is left, and that nothing comes before `until_ns`: the venue has just answered 429."""
        self.flow(self.rate, monotonic_ns)
        self._book_strange(max(self.level_at(self._at_ns), 0), max(self.urgent_at(self._at_ns), 0))
        if until_ns > monotonic_ns:
            self._left, self._left_until_ns = 0, until_ns

    def see(self, left: int, started: int, until_ns: int) -> None:
        """Take over what an answer showed: the units `left`, and the latest time at which the window ends (0: not
        said). `started` units are under way: they may be off what is left already.

        What is not from this run and still counts is no more than what was used when the venue answered. And until the
        window ends no more is there than was left, whoever has used the rest.
        """
        used = max(self.limit - left, 0)
        surplus = sum(slot.strange for slot in self._slots if slot.forgotten_ns > self._at_ns) - used
        for slot in self._slots:
            taken = min(max(surplus, 0), slot.strange)
            slot.units, slot.strange = slot.units - taken, slot.strange - taken
            self._used -= taken
            surplus -= taken
        if self._strange > used:
            self._take_off(self._strange - used)
        self._left, self._left_until_ns = left + started, until_ns

    def wait_ns(self, shortage: int, monotonic_ns: int) -> int:
        """Nanoseconds until `shortage` units more are free: 0 when nothing is short; a period when what is short is
        under way and not booked yet, or more than there is."""
        if shortage <= 0:
            return 0
        wanted = self.level_at(monotonic_ns) + shortage
        if wanted > self.capacity:
            return self.period_ns
        at_ns = monotonic_ns
        if monotonic_ns < self._left_until_ns and self._left < wanted:
            at_ns = self._left_until_ns
        for start in self._starts:
            if start.forgotten_ns > at_ns:
                surplus = self._ahead_at(at_ns) - start.ahead - (self.capacity - wanted)
                flows_ns = -(-max(surplus, 0) // self.rate) if self.rate else NEVER_NS * (surplus > 0)
                if at_ns + flows_ns <= start.forgotten_ns:
                    return at_ns + flows_ns - monotonic_ns
                at_ns = start.forgotten_ns
        return at_ns - monotonic_ns

    def urgent_wait_ns(self, shortage: int, monotonic_ns: int) -> int:
        """Nanoseconds until more may be free by `urgent_at`, 0 when nothing is short. Ask again then."""
        if shortage <= 0:
            return 0
        ends = [self._left_until_ns, *(slot.forgotten_ns for slot in self._slots)]
        return min((end - monotonic_ns for end in ends if end > monotonic_ns), default=self._slot_ns)

    def _ahead_at(self, monotonic_ns: int) -> int:
        return self._ahead - max(monotonic_ns - self._at_ns, 0) * self.rate

    def _add(self, ahead: int, units: int) -> None:
        """Book at `_at_ns`; all that is booked in a slot counts as booked at its end."""
        while self._starts and self._starts[0].forgotten_ns <= self._at_ns:
            self._starts.popleft()
        while self._slots and self._slots[0].forgotten_ns <= self._at_ns:
            self._used -= self._slots.popleft().units
        forgotten_ns = (self._at_ns // self._slot_ns + 1) * self._slot_ns + self.period_ns
        while self._starts and self._starts[-1].ahead >= self._ahead:
            self._starts.pop()
        if not self._starts or self._starts[-1].forgotten_ns < forgotten_ns:
            self._starts.append(_Start(self._ahead, forgotten_ns))
        if not self._slots or self._slots[-1].forgotten_ns < forgotten_ns:
            self._slots.append(_Slot(0, forgotten_ns))
        self._ahead += ahead
        self._slots[-1].units += units
        self._used += units

    def _book_strange(self, ahead: int, units: int) -> None:
        """Book what others may have used: `units`, of which `ahead` beyond what flows."""
        self._add(ahead, units)
        self._slots[-1].strange += units
        self._strange, self._strange_until_ns = ahead, self._slots[-1].forgotten_ns

    def _take_off(self, surplus: int) -> None:
        """Undo so much of what was assumed of others: what was booked since was less far ahead."""
        self._strange -= surplus
        self._ahead -= surplus
        kept, self._starts = self._starts, deque()
        for start in kept:
            start.ahead -= surplus if start.forgotten_ns > self._strange_until_ns else 0
            while self._starts and self._starts[-1].ahead >= start.ahead:
                self._starts.pop()
            self._starts.append(start)
