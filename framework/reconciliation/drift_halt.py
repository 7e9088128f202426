"""Grace: a position that differs from the venue's for too long halts its instrument (C21)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from framework.domain.account_events import Scope, TradingState, TradingStateChanged
from framework.domain.events import Event
from framework.domain.ports import Clock
from framework.reconciliation.differences import Difference, DifferenceKind
from framework.state.trading_states import TradingStates


class PositionDriftHalt:
    """Halts once per difference: an operator who knows better can resume, until the difference itself changes."""

    def __init__(
        self, trading: TradingStates, publish: Callable[[Event], None], clock: Clock, *, drift_ms_max: int
    ) -> None:
        self._trading = trading
        self._publish = publish
        self._clock = clock
        self._drift_ns_max = drift_ms_max * 1_000_000
        self._halted_for: set[tuple[str, ...]] = set()

    def judge(self, differences: Iterable[Difference]) -> None:
        """Take in what the newest pass found; publish a halt for each position that has been off for too long."""
        positions = {one.key: one for one in differences if one.kind is DifferenceKind.POSITION}
        self._halted_for &= positions.keys()
        for key, one in positions.items():
            if key in self._halted_for or self._clock.monotonic_ns() - one.since_ns < self._drift_ns_max:
                continue
            self._halted_for.add(key)
            if not self._trading.is_set(Scope.INSTRUMENT, one.instrument, TradingState.HALTED):
                self._publish(
                    TradingStateChanged(
                        scope=Scope.INSTRUMENT,
                        target=one.instrument,
                        state=TradingState.HALTED,
                        reason=f"reconcile: venue {one.venue_word}, here {one.own_word}; {one.why}",
                        ts_recv=self._clock.now_ns(),
                    )
                )
