from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from framework.domain.account_events import Fill, TradingStateChanged
from framework.domain.errors import JournalError
from framework.domain.market_events import BookSnapshot, TradePrint
from framework.domain.verdicts import RefusalCode, Refused
from framework.engine.replay import DecisionRecorder, Replayed, Session, SteppedClock, read_session, replay_session
from framework.persistence.journal.scan import read_entries
from framework.persistence.tape import KernelInput
from framework.runtime.files import RealFiles
from tests.support.toy_session import make_core, record, replayed

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A session on disk, and the digest of the state that it ended in."""
    directory = tmp_path_factory.mktemp("session")
    return directory, record(directory)


def test_replay_when_fed_from_the_files_then_every_verdict_and_the_state_come_out_again(
    recorded: tuple[Path, str],
) -> None:
    directory, accounts_digest = recorded

    result = replayed(directory)

    assert result.is_same
    assert result.first_difference() is None
    assert result.accounts_digest == accounts_digest
    assert result.missing == 0
    assert len(result.decided) > 100
    assert result.fed > 1_000


def test_session_when_recorded_then_checks_that_remember_have_refused_and_halted_in_it(
    recorded: tuple[Path, str],
) -> None:
    directory, _ = recorded
    bodies = [entry.record.body for entry in read_entries(RealFiles(), directory / "journal", first=1)]
    codes = {body.code for body in bodies if isinstance(body, Refused)}
    assert {RefusalCode.DUPLICATE_ORDER, RefusalCode.SELF_TRADE} <= codes
    halts = [body for body in bodies if isinstance(body, TradingStateChanged) and body.by == "RepeatedExecution"]
    assert len(halts) > 1


def test_replay_when_in_processes_with_other_hash_seeds_then_the_digests_are_the_same(
    recorded: tuple[Path, str],
) -> None:
    directory, _ = recorded
    lines = set()
    for seed in ("0", "4242"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.toy_session", str(directory)],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        lines.add(done.stdout)

    assert len(lines) == 1
    assert " True " in lines.pop()


@pytest.mark.parametrize("changed", [BookSnapshot, Fill])
def test_replay_when_one_input_was_another_one_then_the_digest_differs(
    recorded: tuple[Path, str], changed: type
) -> None:
    directory, accounts_digest = recorded
    honest = replayed(directory)

    forged = _replayed_with_one_forged(directory, changed)

    assert not forged.is_same
    assert forged.digest != honest.digest
    if changed is Fill:
        assert forged.accounts_digest != accounts_digest


def test_replay_when_a_record_is_missing_then_it_is_counted(recorded: tuple[Path, str]) -> None:
    directory, _ = recorded
    session = read_session(RealFiles(), directory)
    everything = _inputs(session)
    inputs = [one for one in everything if not isinstance(one.event, TradePrint)]

    assert _feed(session, inputs).missing == len(everything) - len(inputs)


def test_replay_when_the_state_saw_several_runs_then_each_comes_out_again(tmp_path: Path) -> None:
    record(tmp_path, seed=1, rounds=120)
    second = record(tmp_path, seed=2, rounds=120)

    first, last = replayed(tmp_path, epoch=1), replayed(tmp_path)

    assert first.is_same
    assert last.is_same
    assert last.accounts_digest == second
    assert set(first.decided).isdisjoint(last.decided)


def test_replay_when_a_snapshot_was_taken_during_the_run_then_all_of_the_run_comes_out_again(tmp_path: Path) -> None:
    record(tmp_path, seed=1, rounds=120, repeats_epoch=True)
    record(tmp_path, seed=2, rounds=120, repeats_epoch=True)

    first, last = replayed(tmp_path, epoch=1), replayed(tmp_path)

    assert first.is_same
    assert last.is_same
    assert min(len(first.decided), len(last.decided)) > 20


def test_sessions_when_recorded_twice_from_the_same_seed_then_they_are_the_same(tmp_path: Path) -> None:
    assert record(tmp_path / "a", rounds=100) == record(tmp_path / "b", rounds=100)
    assert replayed(tmp_path / "a").digest == replayed(tmp_path / "b").digest


def test_session_when_there_is_no_such_run_then_reading_says_which_there_are(tmp_path: Path) -> None:
    record(tmp_path, rounds=5)

    with pytest.raises(JournalError, match=r"holds no run 9; it holds \[1\]"):
        read_session(RealFiles(), tmp_path, epoch=9)


def _replayed_with_one_forged(directory: Path, kind: type) -> Replayed:
    session = read_session(RealFiles(), directory)
    inputs = _inputs(session)
    candidates = [n for n, one in enumerate(inputs) if type(one.event) is kind]
    victim = candidates[len(candidates) // 2]
    event = inputs[victim].event
    if isinstance(event, BookSnapshot):
        event = msgspec.structs.replace(event, bids=tuple((price - 5, size) for price, size in event.bids))
    elif isinstance(event, Fill):
        event = msgspec.structs.replace(event, size=event.size + 1)
    inputs[victim] = inputs[victim]._replace(event=event)
    return _feed(session, inputs)


def _inputs(session: Session) -> list[KernelInput]:
    return [KernelInput(one.step, one.now_ns, one.monotonic_ns, one.event) for one in session.inputs()]


def _feed(session: Session, inputs: list[KernelInput]) -> Replayed:
    class Forged(Session):
        __slots__ = ()

        def inputs(self) -> list[KernelInput]:  # type: ignore[override]
            return inputs

    forged = Forged(*session)
    clock, recorder = SteppedClock(), DecisionRecorder()
    core = make_core(clock, forged.accounts, recorder, forged.client_order_ids().next, decides=False)
    return replay_session(forged, core.kernel, clock, recorder, start=core.start)
