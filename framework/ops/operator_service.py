"""What an operator sees and asks of a running daemon: the socket, what reconciliation finds, and the metrics of
both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from pathlib import Path

import structlog

from framework.engine.kernel import Kernel
from framework.ops.alerts.alerts import Alerts
from framework.ops.fund_moves import FundMoves
from framework.ops.kill_watch import KillWatch
from framework.ops.operator_commands import Operator, OperatorDependencies
from framework.ops.operator_socket import OperatorSocket
from framework.ops.readiness import NotReady, NotReadyKind
from framework.ops.state_gauges import shown_instruments
from framework.ops.status import Status
from framework.reconciliation.differences import Difference, DifferenceKind
from framework.reconciliation.external_orders import placed_elsewhere
from framework.reconciliation.history import ReconcileHistory
from framework.reconciliation.reconciler import Reconciler
from framework.runtime.files import FileSystem
from framework.runtime.metrics import Metrics, Sample

HISTORY_NAME = "reconcile.jsonl"
UNANSWERED_NS = 10_000_000_000
"""Requests of a comparison that fail for so long, without one pass that succeeds, make the daemon not ready."""

_log = structlog.get_logger("operator")


class OperatorService:
    """One per daemon. Call order: `watch` for each venue, `start`, `close`."""

    def __init__(
        self,
        kernel: Kernel,
        metrics: Metrics,
        *,
        files: FileSystem,
        directory: Path,
        strategies: Collection[str],
        wait_durable: Callable[[], Awaitable[None]],
        ledger_trouble: Callable[[], str],
        tape_trouble: Callable[[], str] = str,
        read_status: Callable[[], Status] = Status,
        fund_moves: FundMoves | None = None,
        alerts: Alerts | None = None,
    ) -> None:
        clock = kernel.dependencies.clock
        self._kernel = kernel
        self._metrics = metrics
        self._reconcilers: dict[str, Reconciler] = {}
        self.history = ReconcileHistory(files, directory / HISTORY_NAME, clock)
        self.kill_watch = KillWatch(directory, kernel, wait_durable=wait_durable)
        operator = Operator(
            OperatorDependencies(
                kernel=kernel,
                clock=clock,
                reconcilers=lambda: self._reconcilers,
                strategies=strategies,
                wait_durable=wait_durable,
                read_status=read_status,
                fund_moves=fund_moves,
                alerts=alerts,
                kill_watch=self.kill_watch,
            )
        )
        self._socket = OperatorSocket(directory, operator.answer)
        self._record_troubles = {"ledger": ledger_trouble, "tape": tape_trouble}
        self._reported: dict[str, str] = {}
        self._troubles: dict[str, tuple[int, int, str]] = {}  # since the last pass: first and last time, last reason
        self._reconciled_ns = dict.fromkeys(kernel.dependencies.queues, 0)
        self._show_metrics(metrics)

    def _show_metrics(self, metrics: Metrics) -> None:
        metrics.drift.pull(self._drift_samples)
        metrics.differences.pull(self._difference_samples)
        metrics.external_orders.pull(self._external_order_samples)
        metrics.reconciled_at.pull(lambda: [((one,), at_ns / 1e9) for one, at_ns in self._reconciled_ns.items()])
        metrics.ledger_up.pull(lambda: [((), int(not self._record_troubles["ledger"]()))])

    @property
    def reconcilers(self) -> Mapping[str, Reconciler]:
        """The reconcilers that are watched, by venue."""
        return self._reconcilers

    def watch(self, venue: str, reconciler: Reconciler) -> None:
        """Let the operator reconcile this venue, and show its drift."""
        self._reconcilers[venue] = reconciler

    async def start(self) -> None:
        """Listen at the socket; hold the state directory's lock. Raises `Fatal` when the socket can't be made."""
        await self._socket.start()

    async def close(self) -> None:
        """Stop listening at the socket and end its open connections. Does nothing when not started."""
        await self._socket.close()

    def not_ready(self) -> list[NotReady]:
        """One reason why the daemon is not ready for each position on which a venue and we differ, and for each venue
        that answers no requests or has open orders of another state directory of ours; empty when there are none."""
        return [*self._unanswered(), *self._foreign_orders(), *self._positions_apart()]

    def _unanswered(self) -> list[NotReady]:
        """Streams can be up while no request gets through: then nothing can be sent or compared."""
        is_connected = self._kernel.dependencies.books.is_connected
        return [
            NotReady(NotReadyKind.VENUE_DOWN, f"venue {venue} answers no requests: {reason}", venue)
            for venue, (first_ns, last_ns, reason) in self._troubles.items()
            if last_ns - first_ns >= UNANSWERED_NS and is_connected(venue)
        ]

    def _foreign_orders(self) -> list[NotReady]:
        accounts = self._kernel.dependencies.accounts
        found = [(venue, len(placed_elsewhere(accounts, venue))) for venue in self._reconcilers]
        return [
            NotReady(
                NotReadyKind.FOREIGN_ORDERS,
                f"open orders at {venue} that a Tidegate daemon placed and this journal does not know: {count}; "
                f"`tidegate external-orders` lists them: adopt, cancel or ignore each, or set venues.{venue}.adopt_own",
                venue,
            )
            for venue, count in found
            if count
        ]

    def _positions_apart(self) -> list[NotReady]:
        return [
            NotReady(
                NotReadyKind.POSITION_DIFFERS,
                f"position of {one.instrument} differs: venue {one.venue_size}, own {one.own_size}",
                one.instrument,
            )
            for reconciler in self._reconcilers.values()
            for one in reconciler.differences
            if one.kind is DifferenceKind.POSITION
        ]

    def on_pass(self, venue: str, differences: tuple[Difference, ...]) -> None:
        """Count a pass; what it found newly goes to the log and to the history."""
        self._metrics.reconciliations.inc((venue, "differs" if differences else "agreed"))
        self._troubles.pop(venue, None)
        self._reconciled_ns[venue] = self._kernel.dependencies.clock.now_ns()
        new, trouble = self.history.add(venue, differences)
        elsewhere = {one.venue_order_id for one in placed_elsewhere(self._kernel.dependencies.accounts, venue)}
        for difference in new:
            if difference.subject in elsewhere:
                _log.error("alarm", what=difference.text)
            else:
                _log.warning("the venue and we differ", kind=difference.kind.value, what=difference.text)
        if trouble:
            _log.warning("history of reconciliation", reason=trouble)

    def on_trouble(self, venue: str, reason: str) -> None:
        """Count and log a pass that could not be made."""
        self._metrics.reconciliations.inc((venue, "failed"))
        now_ns = self._kernel.dependencies.clock.monotonic_ns()
        self._troubles[venue] = (self._troubles.get(venue, (now_ns,))[0], now_ns, reason)
        _log.warning("reconcile", venue=venue, reason=reason)

    def look_at_records(self) -> None:
        """Log when the ledger or the tape is not written any more, when the reason changes, and when it is again."""
        for part, trouble_of in self._record_troubles.items():
            trouble = trouble_of()
            if trouble == self._reported.get(part, ""):
                continue
            self._reported[part] = trouble
            if trouble:
                _log.warning(f"the {part} does not show what happens; trading goes on", reason=trouble)
            else:
                _log.info(f"the {part} is written again")

    def _drift_samples(self) -> Iterable[Sample]:
        drifts = {venue: reconciler.drift for venue, reconciler in self._reconcilers.items()}
        return [
            ((one.venue, one.id), float(drifts[one.venue].get(one.id, 0)))
            for one in shown_instruments(self._kernel)
            if one.venue in drifts
        ]

    def _difference_samples(self) -> Iterable[Sample]:
        counts = dict.fromkeys(DifferenceKind, 0)
        for reconciler in self._reconcilers.values():
            for one in reconciler.differences:
                counts[one.kind] += 1
        return [((kind.value,), count) for kind, count in counts.items()]

    def _external_order_samples(self) -> Iterable[Sample]:
        accounts = self._kernel.dependencies.accounts
        return [((one,), len(accounts.external_orders(one))) for one in self._kernel.dependencies.queues]
