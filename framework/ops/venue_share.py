"""The daemon's side of a venue that it shares with a process which ends orders (`framework.runtime.venue_lease`).

While that has the lease, the daemon sends nothing. Afterwards it goes on from what the other one has noted: of a bucket
it takes it that nothing is left, which flows in again at once, and of a window what the note says, since nothing of it
comes back for a whole period.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from framework.domain.errors import Fatal
from framework.domain.events import Event
from framework.domain.market_events import RequestCompleted, RequestOutcome, WindowSeen
from framework.domain.ports import Clock
from framework.domain.rate_limits import RequestKind
from framework.runtime.venue_lease import BudgetLeft, BudgetNote, LeaseWatch


class SharedBudget(Protocol):
    """A budget's side; `risk.budget.venue_budget.VenueBudget` says what it means."""

    def left(self, monotonic_ns: int, /) -> Mapping[str, int]:
        """Whole tokens of each pool that are surely there."""
        ...


class SharedVenue:
    """One venue of the daemon. Implements `framework.execution.ports.VenueShare`."""

    def __init__(
        self,
        directory: Path,
        venue: str,
        *,
        budget: Callable[[], SharedBudget | None],
        publish: Callable[[Event], object],
        clock: Clock,
    ) -> None:
        """`directory` is the state directory. Raises `Fatal` when nothing can be kept there."""
        self._venue = venue
        self._budget = budget
        self._publish = publish
        self._clock = clock
        try:
            self._leases = LeaseWatch(directory, venue)
            self._note = BudgetNote(directory, venue)
        except OSError as e:
            raise Fatal(f"state_dir: {directory} can't be written ({e}); check the disk and rights") from e

    def __repr__(self) -> str:
        return f"<SharedVenue {self._venue}>"

    def is_leased(self) -> bool:
        """Whether another process sends now. When one has sent, the limits count as used up."""
        if self._leases.is_taken():
            return True
        if self._leases.was_taken():
            self._take_over()
        return False

    def _take_over(self) -> None:
        now_ns, left = self._clock.now_ns(), self._note.read()
        for kind in RequestKind:
            # Of no request, so with a weight of 0: it gives nothing back and books nothing.
            self._publish(RequestCompleted(self._venue, "", kind, RequestOutcome.LIMITED, now_ns, "", 0))
        for pool, tokens in left.tokens.items() if left else ():
            self._publish(WindowSeen(self._venue, pool, now_ns, left=tokens))

    def note_start(self) -> None:
        """Write down what is left, before a request leaves."""
        budget, monotonic_ns = self._budget(), self._clock.monotonic_ns()
        if budget is not None:
            self._note.write(BudgetLeft(monotonic_ns, budget.left(monotonic_ns)))

    def close(self) -> None:
        """Give the files back."""
        self._leases.close()
        self._note.close()


class SharedVenues:
    """Those of one daemon, each made when it is first asked for; `budgets` are by venue, as far as they are known."""

    def __init__(
        self,
        directory: Path,
        budgets: Mapping[str, Any],
        *,
        publish: Callable[[Event], object],
        clock: Clock,
    ) -> None:
        """`directory` is the state directory; each of the `budgets` is a `SharedBudget`."""
        self._directory = directory
        self._budgets = budgets
        self._publish = publish
        self._clock = clock
        self._made: dict[str, SharedVenue] = {}

    def of(self, venue: str) -> SharedVenue:
        """The daemon's side of a venue. Raises `Fatal` like its constructor."""
        if venue not in self._made:
            self._made[venue] = SharedVenue(
                self._directory,
                venue,
                budget=lambda: self._budgets.get(venue),
                publish=self._publish,
                clock=self._clock,
            )
        return self._made[venue]

    def close(self) -> None:
        """Give all files back."""
        for one in self._made.values():
            one.close()
