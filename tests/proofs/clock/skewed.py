"""Clocks that are wrong in known ways, all of one truth."""

from __future__ import annotations

import random

from framework.runtime.clock import SystemClock

BASE_NS = 1_781_159_360_000_000_000
MS, S = 1_000_000, 1_000_000_000
HOUR = 3_600 * S
PPM = 1_000_000


class Truth:
    """True time: runs with the machine's monotonic clock and can be made to jump ahead, so that hours cost nothing."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._start_ns = self._clock.monotonic_ns()
        self._jumped_ns = 0

    def elapsed_ns(self) -> int:
        """Since the truth began."""
        return self._clock.monotonic_ns() - self._start_ns + self._jumped_ns

    def wall_ns(self) -> int:
        """What a clock that is right shows."""
        return BASE_NS + self.elapsed_ns()

    def jump(self, duration_ns: int) -> None:
        """Let time pass at once."""
        self._jumped_ns += duration_ns


class SkewedClock:
    """A machine's clocks. Wall time is off by `skew_ns`, both run fast by `drift_ppm`, and the monotonic one begins
    anywhere, as it does after a boot. Implements `framework.domain.ports.Clock`."""

    def __init__(self, truth: Truth, rng: random.Random, *, skew_ns: int, drift_ppm: int = 0) -> None:
        self._truth = truth
        self._drift_ppm = drift_ppm
        self._begun_ns = truth.elapsed_ns()
        self._wall_begun_ns = truth.wall_ns() + skew_ns
        self._monotonic_begun_ns = rng.randrange(HOUR)

    def now_ns(self) -> int:
        """Wall time as this machine shows it."""
        return self._wall_begun_ns + self._passed_ns()

    def monotonic_ns(self) -> int:
        """Monotonic time as this machine counts it."""
        return self._monotonic_begun_ns + self._passed_ns()

    def step(self, by_ns: int) -> None:
        """Somebody sets the wall clock. Monotonic time is not touched."""
        self._wall_begun_ns += by_ns

    def _passed_ns(self) -> int:
        passed_ns = self._truth.elapsed_ns() - self._begun_ns
        return passed_ns + passed_ns * self._drift_ppm // PPM
