"""Toxics: the ways in which a proxy spoils the connections that it carries, with strengths drawn from a seed."""

from __future__ import annotations

import random
from typing import Literal, NamedTuple

Direction = Literal["up", "down"]
"""Towards the venue, or from it."""

TOXICS = ("delay", "jitter", "cut", "half_open", "slow", "reset", "slice", "limit")
"""What `draw` knows. Besides: `refuse`, `dead`, `freeze` and `mute` of the proxy itself."""

CUTTING = frozenset({"cut", "reset", "limit"})
"""Toxics that end connections; the others only hold bytes up."""

_SLOW_STEP_S = 0.05


class Toxic(NamedTuple):
    """One way to spoil a connection. What is 0 or empty does not apply."""

    kind: str
    delay_s: float = 0.0
    jitter_s: float = 0.0
    blocked: tuple[Direction, ...] = ()
    piece_bytes: int = 0
    pause_s: float = 0.0
    bytes_max: int = 0

    @property
    def refuses(self) -> bool:
        """Whether a connection ends as soon as it begins."""
        return self.kind in {"cut", "reset"}


def draw(kind: str, rng: random.Random) -> Toxic:
    """A toxic of this kind with drawn strength. `ValueError` for a kind that is not in `TOXICS`."""
    if kind == "delay":
        return Toxic(kind, delay_s=rng.uniform(0.1, 1.5))
    if kind == "jitter":
        return Toxic(kind, jitter_s=rng.uniform(0.05, 0.8))
    if kind in {"cut", "reset"}:
        return Toxic(kind)
    if kind == "half_open":
        directions: tuple[Direction, ...] = ("up", "down")
        return Toxic(kind, blocked=(rng.choice(directions),))
    if kind == "slow":
        return Toxic(kind, piece_bytes=rng.randint(10, 200), pause_s=_SLOW_STEP_S)
    if kind == "slice":
        return Toxic(kind, piece_bytes=rng.randint(1, 24), pause_s=rng.uniform(0.001, 0.004))
    if kind == "limit":
        return Toxic(kind, bytes_max=rng.randint(1, 6_000))
    raise ValueError(f"kind={kind!r}: use one of {', '.join(TOXICS)}")
