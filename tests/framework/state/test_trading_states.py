"""Trading states: the strictest scope wins, and all of them last."""

from __future__ import annotations

import pytest

from framework.domain.account_events import (
    Scope,
    ShutdownRequested,
    StrategyQuarantined,
    TradingState,
    TradingStateChanged,
)
from framework.domain.instruments import InstrumentId
from framework.state.trading_states import TradingStates

A = InstrumentId("tide:A")


@pytest.fixture
def states() -> TradingStates:
    return TradingStates()


def put(states: TradingStates, scope: Scope, target: str, state: TradingState) -> None:
    states.apply(TradingStateChanged(scope=scope, target=target, state=state, reason="test", ts_recv=1))


def state_of(states: TradingStates, strategy: str = "maker") -> TradingState:
    return states.state(strategy=strategy, instrument=A, venue="tide")


def test_state_when_nothing_is_set_then_is_active(states: TradingStates) -> None:
    assert state_of(states) is TradingState.ACTIVE
    assert states.rows() == ()


@pytest.mark.parametrize(
    ("scope", "target", "other"),
    [
        (Scope.VENUE, "tide", "ebb"),
        (Scope.INSTRUMENT, "tide:A", "tide:B"),
        (Scope.STRATEGY, "maker", "taker"),
    ],
    ids=["venue", "instrument", "strategy"],
)
def test_state_when_a_scope_is_set_then_only_its_target_is_held(
    states: TradingStates, scope: Scope, target: str, other: str
) -> None:
    put(states, scope, other, TradingState.HALTED)
    assert state_of(states) is TradingState.ACTIVE
    put(states, scope, target, TradingState.REDUCING)
    assert state_of(states) is TradingState.REDUCING


def test_state_when_scopes_differ_then_the_strictest_wins(states: TradingStates) -> None:
    put(states, Scope.STRATEGY, "maker", TradingState.ACTIVE)
    put(states, Scope.VENUE, "tide", TradingState.HALTED)
    put(states, Scope.GLOBAL, "ignored", TradingState.REDUCING)
    assert state_of(states) is TradingState.HALTED
    put(states, Scope.VENUE, "tide", TradingState.ACTIVE)
    assert state_of(states) is TradingState.REDUCING
    put(states, Scope.GLOBAL, "", TradingState.ACTIVE)
    assert state_of(states) is TradingState.ACTIVE


def test_quarantine_when_set_then_halts_the_strategy_until_it_is_set_active(states: TradingStates) -> None:
    states.apply(StrategyQuarantined("maker", "raised", 1))
    assert states.is_quarantined("maker")
    assert state_of(states) is TradingState.HALTED
    assert state_of(states, "taker") is TradingState.ACTIVE
    put(states, Scope.GLOBAL, "", TradingState.REDUCING)
    assert state_of(states) is TradingState.HALTED
    # An operator gets it out of its position; what the strategy asks for itself, the kernel refuses.
    put(states, Scope.STRATEGY, "maker", TradingState.REDUCING)
    assert state_of(states) is TradingState.REDUCING
    put(states, Scope.GLOBAL, "", TradingState.ACTIVE)
    put(states, Scope.STRATEGY, "maker", TradingState.ACTIVE)
    assert state_of(states) is TradingState.ACTIVE


def test_shutdown_when_requested_then_halts_all_until_the_next_run(states: TradingStates) -> None:
    states.apply(ShutdownRequested("signal", 1))
    assert states.is_shutting_down
    assert state_of(states) is TradingState.HALTED
    states.begin_epoch()
    assert state_of(states) is TradingState.ACTIVE


def test_rows_when_listed_then_show_what_holds_and_why(states: TradingStates) -> None:
    put(states, Scope.VENUE, "tide", TradingState.HALTED)
    put(states, Scope.VENUE, "ebb", TradingState.ACTIVE)
    states.apply(StrategyQuarantined("maker", "raised", 1))
    states.apply(ShutdownRequested("signal", 1))
    rows = [(row.scope, row.target, row.state.value, row.reason) for row in states.rows()]
    assert rows == [
        (Scope.VENUE, "tide", "halted", "test"),
        (Scope.STRATEGY, "maker", "halted", "quarantined: raised"),
        (Scope.GLOBAL, "", "halted", "shutdown: signal"),
    ]


def test_snapshot_when_restored_then_states_are_equal(states: TradingStates) -> None:
    put(states, Scope.VENUE, "tide", TradingState.HALTED)
    states.apply(StrategyQuarantined("maker", "raised", 1))
    assert TradingStates.from_snapshot(states.snapshot()).rows() == states.rows()


def test_digest_when_who_and_since_when_differ_then_is_the_same(states: TradingStates) -> None:
    put(states, Scope.VENUE, "tide", TradingState.HALTED)
    (row,) = states.rows()
    assert (row.since_ns, row.by) == (1, "")
    before = states.snapshot().canonical()
    states.apply(
        TradingStateChanged(
            scope=Scope.VENUE, target="tide", state=TradingState.HALTED, reason="test", ts_recv=2, by="kernel"
        )
    )
    (row,) = states.rows()
    assert (row.since_ns, row.by) == (2, "kernel")
    assert states.snapshot().canonical() == before
