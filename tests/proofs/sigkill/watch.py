"""What the journal of a daemon that is killed again and again has gained, read while it is written."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from framework.domain.account_events import OrderReport, ReportKind, TradingStateChanged
from framework.domain.intents import NewOrder
from framework.domain.verdicts import Approved
from framework.persistence.journal.records import Checkpoint, EpochTaken, SnapshotTaken
from framework.persistence.journal.scan import read_entries
from framework.runtime.files import RealFiles
from tests.proofs.sigkill.truth import Truth


class JournalWatch:
    """Reads what the journal has gained, as often as it is asked to, and keeps what the promises are about."""

    def __init__(self, state: Path) -> None:
        self._directory = state / "journal"
        self._number = 0
        self.sent_ns: dict[str, int] = {}
        self.approved_ns: dict[str, int] = {}
        self.sent: dict[str, str] = {}
        """Our id by what a request of an order is known by."""
        self.epochs: list[tuple[int, int]] = []
        self.halts: list[str] = []
        self.checkpoints = self.snapshots = self.missed = 0
        self.checkpoints_to_fold = 0

    @property
    def number(self) -> int:
        """The last record that was read."""
        return self._number

    def read(self) -> None:
        """Take in the records since the last call."""
        if not self._directory.exists():
            return
        for entry in read_entries(RealFiles(), self._directory, first=self._number + 1):
            self.missed += entry.number - self._number - 1
            self._number = entry.number
            body = entry.record.body
            if isinstance(body, OrderReport) and body.kind is ReportKind.SENT:
                self.sent_ns.setdefault(body.client_order_id, entry.record.now_ns)
                self.sent[body.detail] = body.client_order_id
            elif isinstance(body, Approved) and isinstance(body.intent, NewOrder):
                self.approved_ns.setdefault(body.client_order_id, entry.record.now_ns)
            elif isinstance(body, EpochTaken):
                self._hear(body)
            elif isinstance(body, TradingStateChanged):
                self.halts.append(f"{body.scope.value} {body.target} {body.state.value}: {body.reason}")
            elif isinstance(body, SnapshotTaken):
                self.snapshots += 1
                self.checkpoints_to_fold = 0
            elif isinstance(body, Checkpoint):
                self.checkpoints += 1
                self.checkpoints_to_fold += 1

    def unrecorded(self, truth: Truth) -> set[str]:
        """Orders that reached the venue without an older record of being sent; those that only took an id, without an
        older approval of that id."""
        pairs = ((truth.arrivals, self.sent_ns), (truth.stand_ins, self.approved_ns))
        return {name for at, known in pairs for name, at_ns in at.items() if known.get(name, 1 << 63) >= at_ns}

    @property
    def epochs_repeated(self) -> int:
        """How often a run's epoch was not higher than the one of the run before."""
        return sum(later <= earlier for (earlier, _), (later, _) in pairwise(self.epochs))

    def _hear(self, taken: EpochTaken) -> None:
        run = (taken.epoch, taken.ts_ns)
        if run not in self.epochs[-1:]:  # a snapshot is followed by the epoch of its own run, said again
            self.epochs.append(run)
