"""The alerts of one daemon: looked for twice a second, sent to every output, kept in a file, and acknowledged (C22)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any

import structlog

from framework.config.model import Configuration
from framework.domain.account_events import Scope
from framework.domain.errors import describe_error, hint
from framework.domain.operator_requests import NAME_ONE_ALERT, AcknowledgeAlerts, Answer, SendTestAlert, ShowAlerts
from framework.domain.ports import Clock
from framework.ops.alerts.alert import (
    Alert,
    AlertKind,
    AlertLevel,
    AlertsShown,
    Condition,
    Notice,
    NoticeStatus,
    OutputStatus,
    alert_text,
)
from framework.ops.alerts.alert_file import AlertFile
from framework.ops.alerts.board import AlertBoard
from framework.ops.alerts.conditions import Conditions
from framework.ops.alerts.delivery import AlertDelivery
from framework.ops.alerts.outputs import AlertNotTaken, AlertOutput
from framework.ops.alerts.sources import AlertSources
from framework.runtime.background import run_detached
from framework.runtime.files import FileSystem
from framework.runtime.metrics import Sample
from framework.runtime.supervisor import Supervisor

ALERT_LOOK_S = 0.5
"""How often it is looked for alerts, in seconds."""

FINISH_MS_MIN = 300
"""The last messages of a run have at least so long, in milliseconds, however long the orders have taken to end."""

_log = structlog.get_logger("alerts")


class Alerts:
    """Call order: `send_to` for the outputs, `start`, and `close` at the end. The requests of operators may come at any
    time between."""

    def __init__(self, sources: AlertSources, config: Configuration, *, files: FileSystem) -> None:
        """Of the configuration it reads `alerts`, where the state directory is, and how long a stop may take."""
        self._clock: Clock = sources.kernel.dependencies.clock
        self._conditions = Conditions(sources)
        self._file = AlertFile(files, config.state_dir)
        kept, trouble = self._file.read()
        if trouble:
            _log.warning("alerts begin anew", reason=trouble)
        self._board = AlertBoard(self._clock, repeat_s=config.alerts.repeat_s, restored=kept)
        self._name = config.alerts.name
        self._deliveries = dict[str, AlertDelivery]()
        self._stop_ms_max = config.kernel.shutdown_ms_max
        self._stop_began_ns = 0
        self._kept_version = self._board.version
        self._keeping = asyncio.Lock()
        self._file_trouble = ""
        self._defect = ""
        self._dropped = 0
        self._metrics = sources.metrics
        self._metrics.alerts_active.pull(self._active_samples)
        self._metrics.alerts_unacknowledged.pull(self._unacknowledged_samples)

    def send_to(self, outputs: Iterable[AlertOutput]) -> None:
        """Have alerts sent there, too. Before `start`."""
        for output in outputs:
            delivery = AlertDelivery(output, self._metrics, daemon=self._name, on_sent=self._board.count_sent)
            self._deliveries[output.name] = delivery

    def start(self, supervisor: Supervisor) -> None:
        """Begin to look and to send; when the daemon stops, send what is left. Needs a running loop."""
        supervisor.spawn("alerts", self._run(supervisor), is_critical=False)
        for name, delivery in self._deliveries.items():
            supervisor.spawn(f"alerts to {name}", delivery.run(), is_critical=False)
        supervisor.on_stop("last alerts", self._finish, timeout_ms=self._stop_ms_max + 1_000)

    async def close(self) -> None:
        """Close the outputs. Does nothing when not started."""
        for delivery in self._deliveries.values():
            await delivery.output.close()

    def look(self) -> None:
        """Look once, and give every output what it has to send."""
        try:
            conditions = self._conditions.now()
            self._defect = ""
        except Exception as e:  # noqa: BLE001 - a defect in one source must not end the watch of all others
            conditions = [self._defective(e)]
        notices, dropped = self._board.look(conditions), self._board.dropped
        if dropped > self._dropped:
            self._dropped = dropped
            _log.error("alerts find no room: too many hold", dropped=dropped)
        for notice in notices:
            self._say(notice)
            for delivery in self._deliveries.values():
                delivery.offer(notice)

    def shown(self) -> AlertsShown:
        """All alerts that hold, and the outputs."""
        outputs = (OutputStatus(name, one.output.level.value, one.trouble) for name, one in self._deliveries.items())
        return AlertsShown(self._board.alerts, tuple(outputs))

    def notes(self) -> Iterator[str]:
        """A line for the status if there is an alert, and one for each output that takes nothing."""
        alerts = self._board.alerts
        if alerts:
            rest = sum(not one.is_acknowledged for one in alerts)
            dropped = f", {self._dropped} found no room" if self._dropped else ""
            yield f"alerts: {len(alerts)}, not acknowledged {rest}{dropped}; `tidegate alerts` lists them"
        for name, one in self._deliveries.items():
            if one.trouble:
                yield f"alerts do not get out to {name}: {one.trouble}"

    async def show(self, _: ShowAlerts) -> Answer:
        """List the alerts that hold, and the outputs."""
        found = self.shown()
        return Answer(is_ok=True, lines=tuple(one.name for one in found.alerts) or ("no alert",), data=found)

    async def acknowledge(self, request: AcknowledgeAlerts) -> Answer:
        """Acknowledge alerts, durably; not done when there is none of that name."""
        if bool(request.name) == request.is_all:
            return _refused(NAME_ONE_ALERT)
        changed = self._board.acknowledge(request.name, by=request.by, reason=request.reason)
        if not changed and request.name:
            names = [alert.name for alert in self._board.alerts]
            return _refused(
                f'there is no alert "{request.name}"{hint(request.name, names)}; `tidegate alerts` lists them'
            )
        await self._keep()
        lines = [f"{one.name} is acknowledged{', and over' if one.kind.is_event else ''}" for one in changed]
        if self._file_trouble:
            lines.append(f"it holds now but not after a restart: {self._file_trouble}")
        data = [one.name for one in changed]
        return Answer(is_ok=not self._file_trouble, lines=tuple(lines or ["every alert is acknowledged"]), data=data)

    async def send_test(self, request: SendTestAlert) -> Answer:
        """Send a message to one output now, and say how it was taken; not done when it was not, and for an output that
        is not there."""
        delivery = self._deliveries.get(request.output)
        if delivery is None:
            names = ", ".join(self._deliveries) or "none"
            return _refused(
                f'there is no output "{request.output}"{hint(request.output, self._deliveries)}; there are: {names}'
            )
        alert = Alert(
            kind=AlertKind.ALARM,
            scope=Scope.GLOBAL,
            target="test",
            text=f"this is a test of the output {request.output}; nothing has happened",
            since_ns=self._clock.now_ns(),
        )
        try:
            took = await delivery.send_once(Notice(NoticeStatus.TEST, alert))
        except AlertNotTaken as e:
            return _refused(f"{request.output} did not take the message: {e}")
        return Answer(is_ok=True, lines=(f"{request.output} took the message: {took}",))

    async def _run(self, supervisor: Supervisor) -> None:
        while True:
            if supervisor.is_stopping and not self._stop_began_ns:
                self._stop_began_ns = self._clock.monotonic_ns()
            self.look()
            if self._board.version != self._kept_version and not self._keeping.locked():
                supervisor.spawn("alerts file", self._keep(), is_critical=False)
            await asyncio.sleep(ALERT_LOOK_S)

    async def _finish(self) -> None:
        """Look once more and send what waits, within what is left of the time for a stop. A dead output is not waited
        for."""
        self.look()
        now_ns = self._clock.monotonic_ns()
        taken_ms = (now_ns - (self._stop_began_ns or now_ns)) // 1_000_000
        left_ms = max(FINISH_MS_MIN, self._stop_ms_max - taken_ms)
        await _at_most(left_ms, *(one.until_idle() for one in self._deliveries.values()))
        await _at_most(FINISH_MS_MIN, self._keep())

    async def _keep(self) -> None:
        """Write the file, in a thread: a disk that stalls must hold nothing up. What can't be written is said once."""
        async with self._keeping:
            version, alerts = self._board.version, self._board.alerts
            if version == self._kept_version and not self._file_trouble:
                return
            self._kept_version = version
            try:
                await run_detached(lambda: self._file.write(alerts), name="alerts file")
            except OSError as e:
                if not self._file_trouble:
                    _log.warning("alerts are not kept over a restart", reason=str(e))
                self._file_trouble = str(e)
            else:
                self._file_trouble = ""

    def _say(self, notice: Notice) -> None:
        """Write an alert to the log when it begins and when it is over, not when it is repeated."""
        alert = notice.alert
        fields = {"alert": alert.name, "urgency": alert.kind.level.value, "what": alert.text}
        if notice.status is NoticeStatus.RESOLVED:
            _log.info("alert is over", **fields)
        elif notice.number == 1 and not alert.sent:
            _log.warning("alert", **fields)

    def _defective(self, error: Exception) -> Condition:
        what = alert_text(f"alerts can't be looked for, a defect: {describe_error(error)}")
        if what != self._defect:
            _log.error("alerts can't be looked for", error=describe_error(error), exc_info=error)
        self._defect = what
        return Condition(AlertKind.ALARM, Scope.GLOBAL, "defect", what)

    def _active_samples(self) -> list[Sample]:
        counts = dict.fromkeys(AlertKind, 0)
        for alert in self._board.alerts:
            counts[alert.kind] += 1
        return [((kind.value,), count) for kind, count in counts.items()]

    def _unacknowledged_samples(self) -> list[Sample]:
        counts = dict.fromkeys(AlertLevel, 0)
        for alert in self._board.alerts:
            counts[alert.kind.level] += not alert.is_acknowledged
        return [((level.value,), count) for level, count in counts.items()]


async def _at_most(duration_ms: int, *work: Coroutine[Any, Any, None]) -> None:
    """Do all of it side by side, as far as it comes in the time."""
    tasks = [asyncio.create_task(one) for one in work]
    if tasks:
        await asyncio.wait(tasks, timeout=duration_ms / 1000)
    for task in tasks:
        task.cancel()


def _refused(line: str) -> Answer:
    return Answer(is_ok=False, lines=(line,))
