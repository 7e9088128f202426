"""What a daemon shows, compared with what really happened at the venue, for as long as the promise gives it."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from framework.domain.terms import FillListing
from tests.proofs.sigkill.truth import Shown, Truth, added
from tests.proofs.sigkill.watch import JournalWatch

WAKE_S = 0.05
"""The last look is due so long before the limit: none begins later, and who sleeps wakes up a little late."""
PAUSES_S = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Pauses between looks. The venue's whole truth is much to ask for: asked too often, it has no time to trade."""
DOUBTFUL = frozenset({"recorded", "sent", "unknown"})
FINAL = frozenset({"filled", "cancelled", "expired", "rejected"})


class Comparison:
    """What must agree within `agree_s_max` seconds of the moment at which the daemon is ready: when it was asked the
    question, `GET /readyz`, that it answered with 200. `wait` looks until everything is settled; what the last look
    in time did not settle is wrong, also if it would have been right a moment later.

    A look counts at the moment at which it begins, and none begins later than the limit. Then the ledger is read, and
    then the venue asked, whose answer is younger by as long as it takes it; how long looks take is a figure beside
    (`look_ms`). An order that the venue changed after the look had begun may be shown as before or after the change.

    An order counts as soon as both sides were once seen to agree on it, and positions are exact when on both sides they
    are the sum of the same fills: the daemon trades on while it is watched.
    """

    def __init__(
        self,
        ask: Callable[[], Truth],
        state: Path,
        *,
        agree_s_max: float,
        listing: FillListing = FillListing.LISTED,
        behind_s: float = 0.0,
    ) -> None:
        self._ask = ask
        self._state = state
        self._agree_s_max = agree_s_max
        self._listing = listing
        self._behind_ns = round(behind_s * 1e9)
        self.look_ms: list[float] = []
        self._looked_s = self._look()
        self._orders = self.truth.open | {name for name, status in self.shown.status.items() if status not in FINAL}
        self._fills = set(self.truth.fills) | set(self.shown.fills)
        self._sums_off: set[str] = set()
        self._settle()

    @property
    def is_settled(self) -> bool:
        """Whether everything agreed."""
        return not self._orders and not self._fills

    @property
    def is_exact(self) -> bool:
        """Whether both have the same positions now: to be asked when nothing trades any more."""
        return self.truth.positions == self.shown.positions

    def wait(self, ready_s: float, is_alive: Callable[[], bool], watch: JournalWatch) -> float | None:
        """Look until it is settled, or until the last look in time was taken, counted from `ready_s`, the monotonic
        time from which the start counts. The seconds from there to the look that settled it; None when none did in
        time."""
        pauses = iter(PAUSES_S)
        last_s = ready_s + self._agree_s_max - WAKE_S
        while not self.is_settled and self._looked_s < last_s and is_alive():
            watch.read()
            due_s = time.monotonic() + next(pauses, PAUSES_S[-1])
            # A look that might still go on when the last one is due would take its place.
            is_last = due_s + 2 * self.look_ms[-1] / 1000 > last_s
            time.sleep(max((last_s if is_last else due_s) - time.monotonic(), 0.0))
            if time.monotonic() > ready_s + self._agree_s_max:
                break
            self._looked_s = self._look()
            self._settle()
        elapsed_s = self._looked_s - ready_s
        return elapsed_s if self.is_settled and elapsed_s <= self._agree_s_max else None

    def wrong(self) -> dict[str, list[str]]:
        """What does not agree, by kind."""
        truth, shown = self.truth, self.shown
        return {
            "zombies": sorted(f"{name} {shown.status.get(name)}" for name in self._orders & truth.open),
            "ghosts": sorted(f"{name} {shown.status.get(name)}" for name in self._orders - truth.open),
            "fills_lost": sorted(set(truth.fills) & self._fills - set(shown.fills)),
            "fills_invented": sorted(set(shown.fills) & self._fills - set(truth.fills)),
            "fills_altered": sorted(
                f"{fill}: {shown.fills[fill]}, not {truth.fills[fill]}"
                for fill in self._may_differ & set(shown.fills) & set(truth.fills)
                if shown.fills[fill] != truth.fills[fill]
            ),
            "fills_unclaimed": sorted(
                shown.unattributed if self._listing is FillListing.TAKER_ONLY else self._fills & shown.unattributed
            ),
            "positions_off": sorted(self._sums_off),
            "ledger_gaps": shown.gaps,
        }

    def _agrees(self, fill: str) -> bool:
        """Whether both sides have it alike. A position that alone shows what rests and trades may be one of lately."""
        shown, truth = self.shown.fills.get(fill), self.truth.fills.get(fill)
        if shown == truth or self._listing is not FillListing.TAKER_ONLY:
            return shown == truth
        size = Decimal(0) if shown is None else shown.size
        return size in self.truth.nets_since(fill, self._began_ns - self._behind_ns)

    @property
    def _may_differ(self) -> set[str]:
        """The fills that can't differ in any look: all that are listed; of an order only what has not agreed yet."""
        return self._fills if self._listing is not FillListing.LISTED else set(self.truth.fills)

    def _look(self) -> float:
        """Look at both; the monotonic time at which that began."""
        began_s, self._began_ns = time.monotonic(), time.time_ns()
        self.shown = Shown(self._state, self._listing)
        self.truth = self._ask()
        self.look_ms.append((time.monotonic() - began_s) * 1000)
        return began_s

    def _settle(self) -> None:
        truth, shown = self.truth, self.shown
        for name in list(self._orders):
            status = shown.status.get(name, "rejected")
            may_be_open = name in truth.open or truth.updated.get(name, 0) >= self._began_ns
            agrees = status not in DOUBTFUL and may_be_open if status not in FINAL else name not in truth.open
            if agrees:
                self._orders.discard(name)
        self._fills = {fill for fill in self._fills if not self._agrees(fill) or fill in shown.unattributed}
        self._sums_off |= {
            f"{side}: {look.positions} is not the sum {added(look.fills)}"
            for side, look in (("venue", truth), ("ledger", shown))
            if look.positions != added(look.fills)
        }
