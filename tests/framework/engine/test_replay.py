from __future__ import annotations

from pathlib import Path

from framework.domain.account_events import Scope, StrategyQuarantined, TradingState, TradingStateChanged
from framework.domain.intents import CancelOrder
from framework.domain.market_events import TimerFired
from framework.domain.verdicts import Approved
from framework.engine.replay import DecisionRecorder, SteppedClock, replay
from framework.persistence.journal.scan import read_entries
from framework.persistence.tape import KernelInput
from framework.runtime.files import RealFiles
from tests.support.toy_session import record, replayed
from tests.support.world import Scribe, World


def test_clock_when_set_then_it_stands_still_until_set_again() -> None:
    clock = SteppedClock()
    clock.set(7, 3)

    assert (clock.now_ns(), clock.monotonic_ns()) == (7, 3)
    assert (clock.now_ns(), clock.monotonic_ns()) == (7, 3)


def test_recorder_when_told_of_inputs_then_it_keeps_verdicts_only(world: World, scribe: Scribe) -> None:
    world.buy(scribe)
    kept = DecisionRecorder()
    for entry in world.entries():
        kept.journal(1, 2, 3, entry.record.body)  # type: ignore[arg-type]

    assert len(kept.decisions) == sum(isinstance(entry.record.body, Approved) for entry in world.entries()) == 1
    assert len(kept.digest()) == 64


def test_replay_when_fed_then_each_step_has_its_recorded_number(world: World, scribe: Scribe) -> None:
    inputs = [KernelInput(50, 1, 1, TimerFired("scribe", "a", 1)), KernelInput(70, 2, 2, TimerFired("scribe", "b", 2))]

    assert replay(inputs, world.kernel, SteppedClock()) == 2

    assert world.kernel.step_number == 70
    assert scribe.of("timer") == ["a", "b"]


def test_quarantine_when_replayed_then_it_comes_from_the_record_and_not_from_the_clock(tmp_path: Path) -> None:
    record(tmp_path, rounds=600)

    result = replayed(tmp_path)

    assert any(b"blocked the daemon" in line for line in _journal_bytes(tmp_path))
    assert result.is_same


def test_refusals_when_too_many_to_be_recorded_one_by_one_then_a_replay_counts_the_same(tmp_path: Path) -> None:
    record(tmp_path, rounds=600)

    result = replayed(tmp_path)

    counted = [line for line in result.recorded if b"RefusalsCounted" in line]
    assert counted
    assert [line for line in result.decided if b"RefusalsCounted" in line] == counted
    assert result.is_same


def test_halt_that_cancels_when_replayed_then_the_cancels_come_out_the_same(tmp_path: Path) -> None:
    halt = TradingStateChanged(
        scope=Scope.GLOBAL, target="", state=TradingState.HALTED, reason="drill", ts_recv=1, is_cancelling=True
    )
    record(tmp_path, rounds=200, last=halt)

    bodies = [entry.record.body for entry in read_entries(RealFiles(), tmp_path / "journal", first=1)]
    after = bodies[bodies.index(halt) + 1 :]
    assert [one for one in after if isinstance(one, Approved) and isinstance(one.intent, CancelOrder)]
    assert replayed(tmp_path).is_same


def _journal_bytes(directory: Path) -> list[bytes]:
    assert StrategyQuarantined.__struct_config__.array_like
    return [path.read_bytes() for path in sorted((directory / "journal").iterdir())]
