"""Clocks: the only place that reads the machine's time, and one that is set by hand.

Randomness: from the operating system when live, from a seed when a run must be repeatable.
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
    """A clock that moves only when told to: for tests, replay and simulation."""

    __slots__ = ("_monotonic_ns", "_wall_ns")

    def __init__(self, *, wall_ns: int = 0, monotonic_ns: int = 0) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns

    def now_ns(self) -> int:
        """Wall time as set."""
        return self._wall_ns

    def monotonic_ns(self) -> int:
        """Monotonic time as advanced."""
        return self._monotonic_ns

    def advance(self, duration_ns: int) -> None:
        """Let time pass on both clocks. Raises `ValueError` on a negative duration."""
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
