"""The hidden value of a market that its order flow trades around: a bounded random walk with rare jumps."""

import random

from connectors.sandbox.grid import above, at_or_below
from connectors.sandbox.model import MarketSpec


class FairValue:
    """`price` in the market's units, not bound to the grid. Binary markets stay between 12 % and 88 %."""

    def __init__(self, rng: random.Random, spec: MarketSpec, *, start: int) -> None:
        self.price = start
        self._rng = rng
        self._spec = spec
        self._start = start
        binary = spec.kind == "binary"
        self._low = spec.one * 12 // 100 if binary else max(1, start // 4)
        self._high = spec.one * 88 // 100 if binary else start * 4

    def move(self) -> None:
        """Take one step: up to half a tick mostly, one in thirty a jump of two to four ticks, pulled to the start."""
        rng = self._rng
        tick = self._tick()
        if rng.randrange(30) == 0:
            change = rng.choice((-1, 1)) * rng.randint(2, 4) * tick
        else:
            change = rng.randint(-tick // 2, tick // 2)
        pull = (self._start - self.price) // 200
        self.price = min(self._high, max(self._low, self.price + change + pull))

    def _tick(self) -> int:
        below = at_or_below(self._spec, self.price) or 0
        return (above(self._spec, below) or below + 1) - below
