"""A rate budget without a kernel: for what asks a venue beside the daemon, or without one."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from framework.domain.events import Event
from framework.domain.market_events import LimitsDeclared
from framework.domain.ports import Clock
from framework.domain.rate_limits import RateLimits
from framework.engine.venue_budgets import Budget, VenueBudgets
from framework.execution.request_turns import RequestTurns, TurnBudget
from risk.budget.venue_budget import VenueBudget


class OwnBudget:
    """A rate budget for a connector that runs without a kernel: `turn` is what its factory takes, and `publish` what
    its `start` takes; from what comes there, the budget keeps what is its own, and `follow` gets all of it."""

    def __init__(self, venue: str, *, clock: Clock, follow: Callable[[Event], object] = lambda _event: None) -> None:
        self._clock = clock
        self._follow = follow
        self._budgets = dict[str, Budget]()
        self._kept = VenueBudgets(self._budgets, _own_budget)
        self.turn = RequestTurns(venue, budget=lambda: self._find(venue), publish=self._take, clock=clock)

    def publish(self, event: Event, _now_ns: int = 0, _monotonic_ns: int = 0, /) -> None:
        """Take an event of the connector; a `framework.domain.venue.Publish`."""
        self._take(event)
        self._follow(event)

    def _take(self, event: Event) -> None:
        now_ns = self._clock.monotonic_ns()
        for budget in self._budgets.values():
            budget.advance(now_ns)
        if isinstance(event, LimitsDeclared):
            self._kept.declare(event, now_ns)
        elif (handler := self._kept.handlers.get(type(event))) is not None:
            handler(event)

    def _find(self, venue: str) -> TurnBudget | None:
        return cast("TurnBudget | None", self._budgets.get(venue))


def _own_budget(_venue: str, limits: RateLimits, monotonic_ns: int) -> Budget:
    return VenueBudget(limits, monotonic_ns=monotonic_ns)
