"""What one lane of the network proof is to do."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.support.toxics import CUTTING


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What a lane does. `trials` are (toxic, leg) with the legs "rest", "stream" and "both"; `cases` come after them:
    "frozen", "muted", "fills_muted", "refused", "dead". `is_paced`: a leg is cut again only once the cap on its
    connects has room, and a stream only once its reconnect delays have started anew. `settings` are laid over the
    venue's, a row of `tests.proofs.sigkill.venues`. Where that has no stream, the only leg is "rest"."""

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
    venue: str = "kalshi"


def legs_cut(trial: tuple[str, str]) -> tuple[str, ...]:
    """The legs whose connections a trial ends."""
    toxic, leg = trial
    if toxic not in CUTTING:
        return ()
    return ("rest", "stream") if leg == "both" else (leg,)
