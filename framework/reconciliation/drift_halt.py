"""Halting an instrument whose position has differed from the venue's for too long (C21).

A difference for a short time is normal: a fill may be booked here before the venue's reads show it, or the other way
round. One that lasts says that a position limit is checked against a wrong number, so the instrument must not trade
until an operator has looked at it. The halt is a `TradingStateChanged` like any other: durable, and ended by
`tidegate resume --instrument`. The strictest state wins, so the halt adds to what an operator or a check has set
before, and does not replace it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from framework.domain.account_events import Scope, TradingState, TradingStateChanged
from framework.domain.events import Event
from framework.domain.ports import Clock
from framework.reconciliation.differences import Difference, DifferenceKind
from framework.state.trading_states import TradingStates


class PositionDriftHalt:
    """Publishes a halt for each position that has been apart for `drift_ms_max` milliseconds or longer.

    It halts once per difference: an operator who knows better can resume, and the instrument trades until the size of
    the difference changes or it comes back after it was gone.
    """

    def __init__(
        self, trading: TradingStates, publish: Callable[[Event], None], clock: Clock, *, drift_ms_max: int
    ) -> None:
        """Read `trading`, so that an instrument that is halted already is not halted again; `publish` is the kernel's.

        Below `drift_ms_max` nothing happens: it must be longer than the venue's reads lag behind its writes.
        """
        self._trading = trading
        self._publish = publish
        self._clock = clock
        self._drift_ns_max = drift_ms_max * 1_000_000
        self._halted_for: set[tuple[str, ...]] = set()

    def judge(self, differences: Iterable[Difference]) -> None:
        """Publish a halt for each position that has been apart for too long.

        Call it after each pass with all differences of the pass; their `since_ns` is that of the first pass that found
        them, on the monotonic clock.
        """
        positions = {one.key: one for one in differences if one.kind is DifferenceKind.POSITION}
        self._halted_for &= positions.keys()
        for key, one in positions.items():
            # Monotonic: a wall clock that is set must neither halt an instrument nor keep one from being halted.
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
                        by="reconciliation",
                    )
                )
