"""How often the venue is asked again for what did not come right: at once, then at doubling intervals. Pure.

Times are monotonic nanoseconds.
"""

from __future__ import annotations

import msgspec

FIRST_NS = 1_000_000_000
"""Nothing is asked for twice within this."""

LONGEST_NS = 30_000_000_000
"""The longest wait between two times while it keeps going wrong."""


class _Turn(msgspec.Struct):
    """When something was last asked for, and how long it then waits."""

    asked_ns: int
    wait_ns: int


class Turns:
    """When each of several things, known by name, is asked for again.

    The waits are `FIRST_NS`, twice that and so on up to `LONGEST_NS`. They start anew for what has been well for as
    long as its wait. Call `want` when something is to be asked for, and `take` now and then for those whose time came.
    """

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}
        self._wanted: set[str] = set()

    def __repr__(self) -> str:
        return f"<Turns wanted={len(self._wanted)}>"

    def __bool__(self) -> bool:
        """Whether anything is wanted and has not been taken."""
        return bool(self._wanted)

    @property
    def names(self) -> set[str]:
        """Everything that is wanted or was taken before."""
        return self._wanted | self._turns.keys()

    def is_free(self, name: str, now_ns: int) -> bool:
        """Whether it could be taken now."""
        turn = self._turns.get(name)
        return turn is None or now_ns - turn.asked_ns >= turn.wait_ns

    def want(self, name: str, now_ns: int, *, was_well: bool) -> None:
        """Have it taken as soon as its wait is over. `was_well`: until now nothing was wrong with it."""
        self._wanted.add(name)
        turn = self._turns.get(name)
        if turn is not None and was_well and now_ns - turn.asked_ns >= 2 * turn.wait_ns:
            del self._turns[name]

    def take(self, now_ns: int) -> tuple[str, ...]:
        """The wanted names whose wait is over, sorted. They count as asked for now."""
        taken = tuple(sorted(name for name in self._wanted if self.is_free(name, now_ns)))
        for name in taken:
            turn = self._turns.get(name)
            wait_ns = FIRST_NS if turn is None else min(2 * turn.wait_ns, LONGEST_NS)
            self._turns[name] = _Turn(now_ns, wait_ns)
        self._wanted.difference_update(taken)
        return taken

    def ease(self, name: str) -> None:
        """It has come right: after the next time it waits no longer than `FIRST_NS`."""
        if name in self._turns:
            self._turns[name].wait_ns = FIRST_NS

    def cease(self, name: str) -> None:
        """It is not wanted any more; its wait is kept, in case that it goes wrong again."""
        self._wanted.discard(name)

    def forget(self, name: str) -> None:
        """Drop all that is kept of it."""
        self._wanted.discard(name)
        self._turns.pop(name, None)
