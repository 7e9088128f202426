"""Runs without a daemon: the records of one after another in the same directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from framework.persistence.journal.records import Body
from framework.persistence.recovery import Records, RecordSettings, open_records
from framework.persistence.tape import TapeSettings
from framework.runtime.clock import ManualClock
from framework.runtime.disk_writer import Durability
from framework.runtime.files import RealFiles

Begin = Callable[[Path], Records]
Run = Callable[[], Records]


def beginner(tape: TapeSettings | None = None) -> Begin:
    """What opens the records of one more run in a directory; no two runs draw the same numbers."""
    rng = Random(1)

    def begin(directory: Path) -> Records:
        settings = RecordSettings(
            directory=directory, durability=Durability.POWER_LOSS, tape=tape, version="1", config_hash="x"
        )
        directory.mkdir(exist_ok=True)
        clock = ManualClock(wall_ns=10**18)
        return open_records(RealFiles(), settings, clock=clock, rng=rng, observe_sync_ns=lambda _: None)

    return begin


def write(records: Records, *bodies: Body) -> None:
    """Record and fold, as the kernel does."""
    for body in bodies:
        records.last_step += 1
        records.recorder.journal(records.last_step, 5, 5, body)
        records.recorder.orders(records.accounts.apply(body, 5).orders)  # type: ignore[arg-type]
