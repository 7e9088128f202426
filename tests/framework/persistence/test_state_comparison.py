"""While it runs, the daemon proves that its state is what its journal says."""

from __future__ import annotations

from pathlib import Path

import pytest

from framework.domain.account_events import StrategySaved
from framework.domain.errors import JournalError
from framework.persistence.recovery import COMPARE_INTERVAL_NS, Records, RecordSettings, open_records
from framework.runtime.clock import ManualClock, seeded_rng
from framework.runtime.disk_writer import Durability
from framework.runtime.files import RealFiles


def records_in(directory: Path) -> Records:
    settings = RecordSettings(
        directory=directory, durability=Durability.PROCESS_CRASH, tape=None, version="0", config_hash="0"
    )
    return open_records(RealFiles(), settings, clock=ManualClock(), rng=seeded_rng(1), observe_sync_ns=lambda _: None)


def remember(records: Records, state: bytes) -> None:
    """A journaled and folded fact."""
    event = StrategySaved("mm", state, 1)
    records.recorder.journal(1, 1, 1, event)
    records.accounts.apply(event, 1)


async def test_comparison_when_journal_and_state_agree_then_it_passes_also_behind_a_snapshot(tmp_path: Path) -> None:
    records = records_in(tmp_path)
    remember(records, b"one")
    await records.compare_with_disk()
    await records.keep_snapshot(2, 2)
    remember(records, b"two")
    await records.compare_with_disk()
    records.close()


async def test_comparison_when_the_state_was_changed_past_the_journal_then_it_fails(tmp_path: Path) -> None:
    records = records_in(tmp_path)
    records.accounts.apply(StrategySaved("mm", b"forged", 1), 1)
    with pytest.raises(JournalError, match="it is not the state in memory"):
        await records.compare_with_disk()
    records.close()


async def test_maintenance_when_the_time_has_come_then_it_compares(tmp_path: Path) -> None:
    records = records_in(tmp_path)
    clock = ManualClock(wall_ns=1)
    await records.run_maintenance(1, clock)
    records.accounts.apply(StrategySaved("mm", b"forged", 1), 1)
    clock.advance(COMPARE_INTERVAL_NS - 1)
    await records.run_maintenance(1, clock)
    clock.advance(1)
    with pytest.raises(JournalError, match="it is not the state in memory"):
        await records.run_maintenance(1, clock)
    records.close()
