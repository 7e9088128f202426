"""What happens to one state directory through several runs, and what was promised meanwhile.

Each run does what a daemon does: recover, take the epoch, record orders and their answers in groups, keep snapshots,
close or lose its power. `Promises` is written down before and after each step, so that at any operation of the disk it
says what a restart must find.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from framework.domain.errors import JournalError
from framework.domain.events import AccountEvent, ReportKind, Scope, TradingState, TradingStateChanged
from framework.domain.orders import Side
from framework.domain.refusals import RefusalCode
from framework.domain.tickets import Approved, Refused
from framework.runtime.background import InlineWorker, Job, Worker
from framework.runtime.disk_writer import Sink, Writer, failed
from framework.runtime.inline_writer import InlineWriter
from framework.runtime.single_writer import take_epoch
from framework.state.accounts import Accounts
from framework.state.journal import Journal, JournalSettings
from framework.state.records import Checkpoint, EpochTaken, Record, SnapshotTaken, StrategySaved, encode_record
from tests.proofs.power_loss_recovery import Found, fold_record, highest_epoch, read_back
from tests.support import state_records as facts
from tests.support.crash_files import CrashFiles, Fate

STATE = Path("/state")
JOURNAL = STATE / "journal"
T = TypeVar("T")


class BrokenPromise(Exception):
    """A restart did not find what was promised; `kind` is lost, wrong or refused."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(f"{kind}: {what}")
        self.kind = kind
