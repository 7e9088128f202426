"""The rate budgets of all venues, kept by the events about them: limits declared, turns taken, requests completed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from framework.domain.market_events import LimitsDeclared, RequestCompleted, RequestOutcome, TurnTaken, WindowSeen
from framework.domain.rate_limits import RateLimits, RequestKind
from framework.domain.views import BudgetView


class Budget(BudgetView, Protocol):
    """What the kernel does with a venue's budget; `risk.budget.venue_budget.VenueBudget` says what each call means."""

    def advance(self, monotonic_ns: int, /) -> None:
        """Refill up to this monotonic time, in nanoseconds; called at the start of each step."""
        ...

    def hold(self, kind: RequestKind, strategy: str, endpoint: str = "", weight: int = 1, /) -> None:
        """Reserve the tokens of one approved request, or of one that has its turn."""
        ...

    def complete(
        self, kind: RequestKind, strategy: str, outcome: RequestOutcome, endpoint: str = "", weight: int = 1, /
    ) -> None:
        """Book or give back the tokens of one held request, exactly once per `hold`."""
        ...

    def declare(self, limits: RateLimits, /) -> None:
        """Keep to these limits of the venue from now on; what is held stays held."""
        ...

    def see(self, seen: WindowSeen, /) -> None:
        """Take over what an answer of the venue showed of a window."""
        ...

    def tokens(self) -> Mapping[str, int]:
        """Whole tokens left per pool; below 0 while cancels are in debt."""
        ...


class VenueBudgets:
    """Keeps `budgets` (by venue) up to its events. `make_budget` makes the one of a venue that declares its limits for
    the first time, from these and the monotonic time in nanoseconds."""

    def __init__(self, budgets: dict[str, Budget], make_budget: Callable[[str, RateLimits, int], Budget]) -> None:
        self._budgets = budgets
        self._make_budget = make_budget
        self.handlers: Mapping[type, Callable[[Any], None]] = {
            RequestCompleted: self._complete,
            TurnTaken: self._take_turn,
            WindowSeen: self._see,
        }
        """What follows from each event, by its type; of a venue that has declared no limits nothing."""

    def declare(self, event: LimitsDeclared, monotonic_ns: int) -> None:
        """Keep to these limits from now on. Raises `ValueError` for limits that make no sense: those of before stay."""
        if budget := self._budgets.get(event.venue):
            budget.declare(event.limits)
        else:
            self._budgets[event.venue] = self._make_budget(event.venue, event.limits, monotonic_ns)

    def _complete(self, event: RequestCompleted) -> None:
        if budget := self._budgets.get(event.venue):
            budget.complete(event.kind, event.strategy, event.outcome, event.endpoint, event.weight)

    def _take_turn(self, event: TurnTaken) -> None:
        if budget := self._budgets.get(event.venue):
            budget.hold(event.kind, "", event.endpoint, event.weight)

    def _see(self, event: WindowSeen) -> None:
        if budget := self._budgets.get(event.venue):
            budget.see(event)
