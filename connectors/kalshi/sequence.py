"""Sequence numbers of a stream: one count per subscription id, starting at 1, shared by all its markets.

Vendor docs: every frame of a sequenced subscription has the next number, `ok` and `unsubscribed` included; ids and
numbers start anew on each connection.
"""

from __future__ import annotations

from enum import Enum


class Step(Enum):
    """What a frame's number says."""

    NEXT = "next"
    REPEATED = "repeated"
    """The same number as the frame before: a copy, to be dropped."""
    GAP = "gap"
    """Frames are missing, or the count went back: nothing of this subscription is proved any more."""


class SequenceTracker:
    """Last number seen per subscription of one connection."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<SequenceTracker last={self._last}>"

    def observe(self, sid: int, seq: int) -> Step:
        """Judge the number of one frame and remember it. After a gap the count goes on from the frame seen."""
        last = self._last.get(sid, 0)
        if seq == last + 1:
            self._last[sid] = seq
            return Step.NEXT
        if seq == last:
            return Step.REPEATED
        self._last[sid] = seq
        return Step.GAP

    def forget(self, sid: int) -> None:
        """The subscription has ended."""
        self._last.pop(sid, None)
