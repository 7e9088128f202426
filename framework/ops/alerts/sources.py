"""Where alerts are looked for, and where a daemon has that."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from framework.domain.errors import EXIT_ORDERS_LEFT
from framework.engine.kernel import Kernel
from framework.ops.orders_in_question import OrdersInQuestion
from framework.ops.readiness import NotReady
from framework.ops.telemetry import Telemetry
from framework.persistence.recovery import Records
from framework.runtime.kill_latch import Latch
from framework.runtime.metrics import Metrics
from framework.runtime.supervisor import Supervisor


class AlertSources(msgspec.Struct, frozen=True, kw_only=True):
    """All of it is quick to read, and reading changes nothing but `alarms`, which are taken out. `latches` are the kill
    latches that are set. `record_troubles` says of ledger and tape why they can't be written, by name;
    `journal_trouble` and `failing_stop` are empty while all is well. `epoch` counts the runs; `was_stopped` says how
    the one before ended, None when there was none."""

    kernel: Kernel
    metrics: Metrics
    in_question: OrdersInQuestion
    alarms: deque[str]
    not_ready: Callable[[], Sequence[NotReady]]
    latches: Callable[[], Collection[Latch]] = tuple
    record_troubles: Callable[[], Mapping[str, str]] = dict
    journal_trouble: Callable[[], str] = str
    failing_stop: Callable[[], str] = str
    epoch: int = 0
    was_stopped: bool | None = None


def sources_of(
    kernel: Kernel,
    metrics: Metrics,
    telemetry: Telemetry,
    *,
    records: Records,
    supervisor: Supervisor,
    not_ready: Callable[[], Sequence[NotReady]],
    latches: Callable[[], Collection[Latch]],
) -> AlertSources:
    """What a daemon is made of, as sources of its alerts."""
    return AlertSources(
        kernel=kernel,
        metrics=metrics,
        in_question=telemetry.in_question,
        alarms=telemetry.alarms,
        not_ready=not_ready,
        latches=latches,
        record_troubles=lambda: {"ledger": records.ledger.trouble, "tape": records.recorder.tape_trouble},
        journal_trouble=lambda: str(records.journal.failure or ""),
        failing_stop=lambda: _failing_stop(supervisor),
        epoch=records.epoch,
        was_stopped=records.was_stopped,
    )


def _failing_stop(supervisor: Supervisor) -> str:
    """Why the daemon stops, where somebody has to see to it; empty when not."""
    left = "; orders may be left at a venue: tidegate status" if supervisor.exit_code == EXIT_ORDERS_LEFT else ""
    return f"the daemon stops: {supervisor.stop_reason}{left}" if supervisor.exit_code else ""
