"""A rate budget without a kernel: for what asks a venue beside the daemon, or without one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from framework.domain.events import Event
from framework.domain.market_events import LimitsDeclared
from framework.domain.ports import Clock
from framework.domain.rate_limits import PoolShape, RateLimits
from framework.engine.venue_budgets import Budget, VenueBudgets
from framework.execution.request_turns import RequestTurns, TurnBudget
from framework.runtime.venue_lease import BudgetLeft, BudgetNote
from risk.budget.token_pool import Pools
from risk.budget.venue_budget import BudgetSettings, VenueBudget

NO_RESERVE = BudgetSettings(cancel_reserve_percent=0)
_RESERVE_PERCENT = BudgetSettings.model_fields["cancel_reserve_percent"].default


def _reserved(limits: RateLimits) -> Mapping[str, int]:
    """What every run leaves of a window: the lower half of the cancels' reserve."""
    windows = [pool for pool in limits.pools if pool.shape is PoolShape.WINDOW]
    return {pool.name: pool.capacity * _RESERVE_PERCENT // 200 for pool in windows}


class OwnBudget:
    """A rate budget for a connector that runs without a kernel: `turn` is what its factory takes, and `publish` what
    its `start` takes; from what comes there, the budget keeps what is its own, and `follow` gets all of it.

    `pools` are those of all venues that ask side by side. With a `note` it is for a process that ends orders in the
    daemon's place: it goes on from what the last sender has left, writes down what it leaves, and keeps no reserve,
    since all of it is for cancels and for the reads that they need.
    """

    def __init__(
        self,
        venue: str,
        *,
        clock: Clock,
        follow: Callable[[Event], object] = lambda _event: None,
        pools: Pools | None = None,
        note: BudgetNote | None = None,
    ) -> None:
        self._clock = clock
        self._follow = follow
        self._budgets = dict[str, Budget]()
        self._venue = venue
        self._pools = pools
        self._note = note
        self._kept = VenueBudgets(self._budgets, self._make)
        self.turn = RequestTurns(venue, budget=lambda: self._find(venue), publish=self._take, clock=clock, share=self)

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

    def is_leased(self) -> bool:
        """Never: who has no kernel asks by itself, or has the lease. For `VenueShare`."""
        return False

    def note_start(self) -> None:
        """Write down what is left, before a request leaves. For `VenueShare`."""
        budget, monotonic_ns = self._budgets.get(self._venue), self._clock.monotonic_ns()
        if self._note is not None and isinstance(budget, VenueBudget):
            self._note.write(BudgetLeft(monotonic_ns, budget.left(monotonic_ns)))

    def _make(self, venue: str, limits: RateLimits, monotonic_ns: int) -> Budget:
        if self._note is None:
            return VenueBudget(limits, monotonic_ns=monotonic_ns, venue=venue, pools=self._pools)
        known = self._note.read()
        if known is None or known.monotonic_ns > monotonic_ns:
            known = BudgetLeft(monotonic_ns, _reserved(limits))
        return VenueBudget(
            limits,
            monotonic_ns=known.monotonic_ns,
            settings=NO_RESERVE,
            venue=venue,
            pools=self._pools,
            left=known.tokens,
        )

    def _find(self, venue: str) -> TurnBudget | None:
        return cast("TurnBudget | None", self._budgets.get(venue))


class OwnBudgets:
    """Budgets of several venues that are asked side by side: pools of one owner are one. `exits` as in
    `risk.budget.token_pool.Pools`."""

    def __init__(self, exits: Mapping[str, str], clock: Clock) -> None:
        self._pools = Pools(exits)
        self._clock = clock

    def of(self, venue: str, note: BudgetNote) -> OwnBudget:
        """The budget of a venue, which goes on from what the last sender has left there."""
        return OwnBudget(venue, clock=self._clock, pools=self._pools, note=note)
