"""What is under way between a daemon and a venue, and how a network treats it."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Collection
from enum import Enum

DROPPED, REPEATED, WINDOW = 0.10, 0.20, 20
"""How much of what a venue tells is lost, and told twice; and how many steps late it may be."""


class Leg(Enum):
    """Where something under way is, which decides whether it outlives a restart."""

    OWN = "still with us"
    REQUEST = "on its way to the venue"
    ANSWER = "an answer on its way back"
    STREAM = "on its way in the stream"


Due = tuple[int, int, Leg, Callable[[], None]]
"""Step, order of entry, where it is, and what happens then."""


class Network:
    """A queue of what happens later. `step` is the time."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._due: list[Due] = []
        self._entered = 0
        self.step = 0

    def later(self, steps: int, leg: Leg, act: Callable[[], None]) -> None:
        """Let something happen so many steps from now."""
        self._entered += 1
        heapq.heappush(self._due, (self.step + steps, self._entered, leg, act))

    def carry(self, leg: Leg, act: Callable[[], None]) -> None:
        """Bring a message: late, perhaps twice, perhaps never."""
        if self._rng.random() < DROPPED:
            return
        for _ in range(2 if self._rng.random() < REPEATED else 1):
            self.later(self._rng.randrange(WINDOW), leg, act)

    def advance(self) -> None:
        """A step of time passes; what is due happens."""
        self.step += 1
        self._run(self.step)

    def settle(self) -> None:
        """Let everything happen that is under way, and what comes of it."""
        while self._due:
            self.step = max(self.step, self._due[0][0])
            self._run(self.step)

    def cut(self, legs: Collection[Leg]) -> None:
        """Lose everything that is on these legs."""
        self._due = [due for due in self._due if due[2] not in legs]
        heapq.heapify(self._due)

    def _run(self, step: int) -> None:
        while self._due and self._due[0][0] <= step:
            heapq.heappop(self._due)[3]()
