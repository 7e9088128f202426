"""Trading states: what may leave, per scope. The strictest scope wins; a quarantined strategy is halted."""

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
    """One state that is set, and why."""

    scope: Scope
    target: str
    state: TradingState
    reason: str


class TradingStatesSnapshot(msgspec.Struct, array_like=True):
    """Trading states as they are written down, in canonical order."""

    states: list[ScopedState]
    quarantined: list[tuple[str, str]]
    shutdown_reason: str | None


class TradingStates:
    """The fold of `TradingStateChanged`, `StrategyQuarantined` and `ShutdownRequested`."""

    def __init__(self) -> None:
        self._states: dict[tuple[Scope, str], ScopedState] = {}
        self._quarantined: dict[str, str] = {}
        self._shutdown_reason: str | None = None

    def apply(self, event: TradingStateChanged | StrategyQuarantined | ShutdownRequested) -> None:
        """Take in one event. Setting a strategy ACTIVE is also what ends its quarantine."""
        if isinstance(event, StrategyQuarantined):
            self._quarantined[event.strategy] = event.reason
        elif isinstance(event, ShutdownRequested):
            self._shutdown_reason = event.reason
        else:
            self._set(event)

    def begin_epoch(self) -> None:
        """A new run begins: the last run's shutdown is over. Everything else stays as it was set."""
        self._shutdown_reason = None

    def state(self, *, strategy: str, instrument: InstrumentId, venue: str) -> TradingState:
        """The strictest state of all scopes that apply."""
        if self._shutdown_reason is not None or strategy in self._quarantined:
            return TradingState.HALTED
        if not self._states:
            return TradingState.ACTIVE
        scopes = (
            (Scope.GLOBAL, ""),
            (Scope.VENUE, venue),
            (Scope.INSTRUMENT, instrument),
            (Scope.STRATEGY, strategy),
        )
        found = [self._states[scope].state for scope in scopes if scope in self._states]
        return max(found, key=lambda state: state.strictness, default=TradingState.ACTIVE)

    def is_set(self, scope: Scope, target: str, state: TradingState) -> bool:
        """Whether exactly this state is set for exactly this scope."""
        row = self._states.get((scope, target))
        return row is not None and row.state is state

    def is_quarantined(self, strategy: str) -> bool:
        """Whether the strategy failed too often and was not set ACTIVE since."""
        return strategy in self._quarantined

    @property
    def is_shutting_down(self) -> bool:
        """Whether this run was asked to stop."""
        return self._shutdown_reason is not None

    def rows(self) -> tuple[ScopedState, ...]:
        """Every state that is set and not ACTIVE, quarantines and the shutdown included, in canonical order."""
        rows = [row for _, row in self._sorted_states() if row.state is not TradingState.ACTIVE]
        rows += [
            ScopedState(Scope.STRATEGY, strategy, TradingState.HALTED, f"quarantined: {reason}")
            for strategy, reason in sorted(self._quarantined.items())
        ]
        if self._shutdown_reason is not None:
            rows.append(ScopedState(Scope.GLOBAL, "", TradingState.HALTED, f"shutdown: {self._shutdown_reason}"))
        return tuple(rows)

    def snapshot(self) -> TradingStatesSnapshot:
        """All of it in canonical order, to be written down."""
        states = [row for _, row in self._sorted_states()]
        return TradingStatesSnapshot(states, sorted(self._quarantined.items()), self._shutdown_reason)

    @classmethod
    def from_snapshot(cls, snapshot: TradingStatesSnapshot) -> TradingStates:
        """The trading states that `snapshot` was taken of."""
        states = cls()
        states._states = {(row.scope, row.target): row for row in snapshot.states}
        states._quarantined = dict(snapshot.quarantined)
        states._shutdown_reason = snapshot.shutdown_reason
        return states

    def _set(self, event: TradingStateChanged) -> None:
        # A global state has no target: whatever is given there must not split it in two.
        target = "" if event.scope is Scope.GLOBAL else event.target
        self._states[event.scope, target] = ScopedState(event.scope, target, event.state, event.reason)
        if event.scope is Scope.STRATEGY and event.state is TradingState.ACTIVE:
            self._quarantined.pop(event.target, None)

    def _sorted_states(self) -> list[tuple[tuple[Scope, str], ScopedState]]:
        return sorted(self._states.items(), key=lambda item: (item[0][0].value, item[0][1]))
