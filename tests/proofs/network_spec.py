"""What one lane of the network proof is to do."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.support.toxics import CUTTING


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What a lane does. `trials` are (toxic, leg) with the legs "rest", "stream" and "both"; `cases` come after them:
    "frozen", "muted", "fills_muted", "refused", "dead". `is_paced`: a stream is cut again only once its reconnect
    delays have started anew and the cap on connects has room. `settings` are laid over the venue's."""

    directory: str
    seed: int
    trials: tuple[tuple[str, str], ...]
    cases: tuple[str, ...] = ()
    outage_s: float = 60.0
    toxic_s: tuple[float, float] = (1.0, 4.0)
    is_paced: bool = True
    speed: float = 5.0
    mutant: str = ""
    settings: dict[str, Any] = {}


def is_cut(trial: tuple[str, str]) -> bool:
    """Whether a trial ends the stream's connection."""
    toxic, leg = trial
    return toxic in CUTTING and leg != "rest"
