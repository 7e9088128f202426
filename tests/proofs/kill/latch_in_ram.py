"""The program with a kill latch that is in memory only: it is forgotten with its process."""

from __future__ import annotations

import sys

from framework.__main__ import main
from framework.runtime.kill_latch import KillLatch, Latch

_LATCHES: dict[str, Latch] = {}


def _set(_self: KillLatch, venue: str, *, by: str, reason: str, now_ns: int) -> bool:
    is_new = venue not in _LATCHES
    _LATCHES.setdefault(venue, Latch(venue, by, reason, now_ns))
    return is_new


if __name__ == "__main__":
    KillLatch.set = _set  # type: ignore[method-assign]
    KillLatch.is_set = lambda _self, venue: "" in _LATCHES or venue in _LATCHES  # type: ignore[method-assign]
    KillLatch.latches = lambda _self: tuple(_LATCHES.values())  # type: ignore[method-assign]
    KillLatch.clear = lambda _self, venue: _LATCHES.pop(venue, None)  # type: ignore[method-assign, assignment, return-value]
    sys.exit(main())
