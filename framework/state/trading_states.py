"""Trading states: which requests may be sent, per scope (C14). The strictest scope that applies wins; a quarantined
strategy is halted. States outlive a restart, because they are folded from the journal.
"""

from __future__ import annotations

import msgspec

from framework.domain.account_events import (
    Scope,
    ShutdownRequested,
    StrategyQuarantined,
    TradingState,
    TradingStateChanged,
)
from framework.domain.instruments import InstrumentId


class ScopedState(msgspec.Struct, frozen=True, array_like=True):
    """One state that is set: for which scope and which target in it ('' for the global one), why, since when (wall
    nanoseconds, 0 = not known), by whom ('' = not known) and until when (0 = until somebody changes it)."""

    scope: Scope
    target: str
    state: TradingState
    reason: str
    since_ns: int = 0
    by: str = ""
    until_ns: int = 0


class TradingStatesSnapshot(msgspec.Struct, array_like=True):
    """All trading states as they are written, in canonical order. `shutdown_reason` is None while no shutdown runs."""

    states: list[ScopedState]
    quarantined: list[tuple[str, str]]
    shutdown_reason: str | None
    quarantined_ns: list[tuple[str, int]] = []

    def canonical(self) -> tuple[object, ...]:
        """What decides, for the digest: without since when, by whom and until when, which records of before do
        not say."""
        states = [(row.scope, row.target, row.state, row.reason) for row in self.states]
        return (states, self.quarantined, self.shutdown_reason)


class TradingStates:
    """All trading states: a fold of `TradingStateChanged`, `StrategyQuarantined` and `ShutdownRequested`."""

    def __init__(self) -> None:
        self._states: dict[tuple[Scope, str], ScopedState] = {}
        self._quarantined: dict[str, str] = {}
        self._quarantined_ns: dict[str, int] = {}
        self._shutdown_reason: str | None = None

    def apply(self, event: TradingStateChanged | StrategyQuarantined | ShutdownRequested) -> None:
        """Apply one event. Setting a strategy ACTIVE also ends its quarantine."""
        if isinstance(event, StrategyQuarantined):
            self._quarantined[event.strategy] = event.reason
            self._quarantined_ns[event.strategy] = event.ts_recv
        elif isinstance(event, ShutdownRequested):
            self._shutdown_reason = event.reason
        else:
            self._set(event)

    def begin_epoch(self) -> None:
        """End the last run's shutdown, as a new run begins. Everything else stays as it was set."""
        self._shutdown_reason = None

    def state(self, *, strategy: str, instrument: InstrumentId, venue: str) -> TradingState:
        """The strictest state of all scopes that apply to this strategy, instrument and venue.

        A quarantined strategy that is set REDUCING itself is reducing: an operator gets it out of its position then,
        while the kernel refuses what it asks for.
        """
        is_halted = strategy in self._quarantined and not self.is_set(Scope.STRATEGY, strategy, TradingState.REDUCING)
        if self._shutdown_reason is not None or is_halted:
            return TradingState.HALTED
        if not self._states:
            return TradingState.ACTIVE
        scopes = ((Scope.GLOBAL, ""), (Scope.VENUE, venue), (Scope.INSTRUMENT, instrument), (Scope.STRATEGY, strategy))
        found = [self._states[scope].state for scope in scopes if scope in self._states]
        return max(found, key=lambda state: state.strictness, default=TradingState.ACTIVE)

    def is_set(self, scope: Scope, target: str, state: TradingState) -> bool:
        """Whether this very state is set for this very scope and target; other scopes are not looked at."""
        row = self._states.get((scope, target))
        return row is not None and row.state is state

    def is_limited(self, instrument: InstrumentId) -> bool:
        """Whether a state other than ACTIVE is set for this very instrument."""
        row = self._states.get((Scope.INSTRUMENT, instrument))
        return row is not None and row.state is not TradingState.ACTIVE

    def forget(self, instrument: InstrumentId) -> None:
        """Drop what is set for this very instrument: it has left."""
        self._states.pop((Scope.INSTRUMENT, instrument), None)

    def is_quarantined(self, strategy: str) -> bool:
        """Whether the strategy was quarantined and not set ACTIVE since. A quarantined strategy is halted."""
        return strategy in self._quarantined

    @property
    def is_shutting_down(self) -> bool:
        """Whether this run was asked to stop; everything is halted from then on until the next run."""
        return self._shutdown_reason is not None

    def rows(self) -> tuple[ScopedState, ...]:
        """Every state that is set and not ACTIVE, in canonical order: states, then quarantines, then the shutdown."""
        rows = [row for _, row in self._sorted_states() if row.state is not TradingState.ACTIVE]
        rows += [
            ScopedState(
                Scope.STRATEGY,
                strategy,
                TradingState.HALTED,
                f"quarantined: {reason}",
                self._quarantined_ns.get(strategy, 0),
                "kernel",
            )
            for strategy, reason in sorted(self._quarantined.items())
        ]
        if self._shutdown_reason is not None:
            rows.append(ScopedState(Scope.GLOBAL, "", TradingState.HALTED, f"shutdown: {self._shutdown_reason}"))
        return tuple(rows)

    def over(self, now_ns: int) -> tuple[TradingStateChanged, ...]:
        """What ends the states whose time is over at this wall time."""
        return tuple(
            TradingStateChanged(
                scope=row.scope,
                target=row.target,
                state=TradingState.ACTIVE,
                reason=f"its time is over: {row.reason}",
                ts_recv=now_ns,
                by="kernel",
            )
            for _, row in self._sorted_states()
            if 0 < row.until_ns <= now_ns
        )

    def snapshot(self) -> TradingStatesSnapshot:
        """All of it in canonical order, for digest and snapshot."""
        states = [row for _, row in self._sorted_states()]
        since = sorted(self._quarantined_ns.items())
        return TradingStatesSnapshot(states, sorted(self._quarantined.items()), self._shutdown_reason, since)

    @classmethod
    def from_snapshot(cls, snapshot: TradingStatesSnapshot) -> TradingStates:
        """Trading states that are the same as those that `snapshot` was taken of."""
        states = cls()
        states._states = {(row.scope, row.target): row for row in snapshot.states}
        states._quarantined = dict(snapshot.quarantined)
        states._quarantined_ns = dict(snapshot.quarantined_ns)
        states._shutdown_reason = snapshot.shutdown_reason
        return states

    def _set(self, event: TradingStateChanged) -> None:
        # A global state has no target: whatever is given there must not split it in two.
        target = "" if event.scope is Scope.GLOBAL else event.target
        self._states[event.scope, target] = ScopedState(
            event.scope, target, event.state, event.reason, event.ts_recv, event.by, event.until_ns
        )
        if event.scope is Scope.STRATEGY and event.state is TradingState.ACTIVE:
            self._quarantined.pop(event.target, None)
            self._quarantined_ns.pop(event.target, None)

    def _sorted_states(self) -> list[tuple[tuple[Scope, str], ScopedState]]:
        return sorted(self._states.items(), key=lambda item: (item[0][0].value, item[0][1]))
