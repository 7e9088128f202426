"""Time and randomness: the machine's own when live, a clock that is set and a seeded sequence where a run must repeat.

The only file that reads the machine's clocks and its source of randomness; a test walks the rest for others.
"""

from __future__ import annotations

import random
import time

from framework.domain.ports import Rng


class SystemClock:
    """The machine's clocks. Implements `framework.domain.ports.Clock`."""

    __slots__ = ()

    def now_ns(self) -> int:
        """Wall time: nanoseconds since the Unix epoch. May step backwards."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary start; never runs backwards."""
        return time.monotonic_ns()


class ManualClock:
    """A clock that moves only by `advance` and `set_wall`: for tests, replay and simulation."""

    __slots__ = ("_monotonic_ns", "_wall_ns")

    def __init__(self, *, wall_ns: int = 0, monotonic_ns: int = 0) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns

    def now_ns(self) -> int:
        """Wall time in nanoseconds: as set, plus every `advance` since."""
        return self._wall_ns

    def monotonic_ns(self) -> int:
        """Monotonic time in nanoseconds: the start given, plus every `advance`; `set_wall` leaves it alone."""
        return self._monotonic_ns

    def advance(self, duration_ns: int) -> None:
        """Let `duration_ns` nanoseconds pass on both clocks. Raises `ValueError` when it is negative."""
        if duration_ns < 0:
            raise ValueError(f"duration_ns: {duration_ns} is negative; use set_wall to step the wall clock backwards")
        self._wall_ns += duration_ns
        self._monotonic_ns += duration_ns

    def set_wall(self, wall_ns: int) -> None:
        """Step the wall clock, also backwards, as an operator or NTP would. Monotonic time is not touched."""
        self._wall_ns = wall_ns

    def __repr__(self) -> str:
        return f"ManualClock(wall_ns={self._wall_ns}, monotonic_ns={self._monotonic_ns})"


def system_rng() -> Rng:
    """Randomness of the operating system: can't be predicted, can't be repeated."""
    return random.SystemRandom()


def seeded_rng(seed: int) -> Rng:
    """The same sequence for the same seed, on every machine. Never for keys or nonces that must be secret."""
    return random.Random(seed)  # noqa: S311  (repeatable on purpose)
