"""Randomness: from the operating system when live, from a seed when a run must be repeatable."""

from __future__ import annotations

import random

from framework.domain.ports import Rng


def system_rng() -> Rng:
    """Randomness of the operating system: can't be predicted, can't be repeated."""
    return random.SystemRandom()


def seeded_rng(seed: int) -> Rng:
    """The same sequence for the same seed, on every machine. Never for keys or nonces that must be secret."""
    return random.Random(seed)  # noqa: S311  (repeatable on purpose)
