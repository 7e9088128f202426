"""The delivery to one output: a task of its own behind a bounded queue, so that nobody ever waits for an output.

Of an alert only the newest message waits: one that was not sent in time is of no use beside it. A message is tried a
few times with pauses between, and once while the output is down; then it is given up, and comes again with the alert.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from framework.ops.alerts.alert import AlertKey, AlertLevel, Notice, NoticeStatus
from framework.ops.alerts.messages import alert_message
from framework.ops.alerts.outputs import AlertNotTaken, AlertOutput
from framework.runtime.metrics import Metrics

QUEUE_MAX = 100
"""Messages that may wait for one output; one more is dropped and counted."""

PAUSES_S = (1.0, 2.0, 5.0)
"""Pauses between the tries of one message, in seconds."""

RETRY_PAUSE_S_MAX = 30.0
"""Longest pause that an output may ask for, in seconds."""

MESSAGE_OUTCOMES = ("sent", "failed", "dropped")
"""What may become of a message."""

_log = structlog.get_logger("alerts")


class AlertDelivery:
    """Delivers notices to one output. `offer` them, and `run` until cancelled.

    `daemon` is the name in the messages. `on_sent` hears of each message that was taken. `sleep` is for tests.
    """

    def __init__(
        self,
        output: AlertOutput,
        metrics: Metrics,
        *,
        daemon: str,
        on_sent: Callable[[Notice], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.output = output
        self.trouble = ""
        """Why the last message was not taken, empty when it was."""
        self._daemon = daemon
        self._on_sent = on_sent
        self._sleep = sleep
        self._waiting: dict[AlertKey, Notice] = {}
        self._has_waiting = asyncio.Event()
        self._has_none_or_is_down = asyncio.Event()
        self._has_none_or_is_down.set()
        self._is_full = False
        self._messages = metrics.alert_messages
        self._messages.declare((output.name, outcome) for outcome in MESSAGE_OUTCOMES)
        metrics.alert_output_up.pull(lambda: [((output.name,), int(not self.trouble))])

    def __repr__(self) -> str:
        return f"<AlertDelivery {self.output.name} waiting={len(self._waiting)} {self.trouble!r}>"

    def offer(self, notice: Notice) -> None:
        """Have a notice sent, if this output takes its level, in the place of what waits about the same alert. Returns
        at once; without room it is dropped and counted."""
        alert = notice.alert
        if self.output.level is AlertLevel.PAGE and alert.kind.level is AlertLevel.TICKET:
            return
        if self._waiting.pop(alert.key, None) is None and len(self._waiting) >= QUEUE_MAX:
            self._drop()
            return
        self._waiting[alert.key] = notice
        if not self.trouble:
            self._has_none_or_is_down.clear()
        self._has_waiting.set()

    async def run(self) -> None:
        """Send what waits, one after the other, until cancelled."""
        while True:
            await self._has_waiting.wait()
            while self._waiting:
                key = next(iter(self._waiting))
                await self._deliver(self._waiting.pop(key))
                self._is_full = False
            self._has_waiting.clear()
            self._has_none_or_is_down.set()

    async def until_idle(self) -> None:
        """Return once nothing waits any more, at once while the output is down: at a stop nobody waits for that."""
        await self._has_none_or_is_down.wait()

    async def send_once(self, notice: Notice) -> str:
        """Send a notice now, past the queue; say how it was taken. Raises `AlertNotTaken`."""
        return await self.output.send(alert_message(notice, daemon=self._daemon))

    async def _deliver(self, notice: Notice) -> None:
        key = notice.alert.key
        for pause_s in (*(() if self.trouble else PAUSES_S), None):
            try:
                await self.send_once(notice)
            except AlertNotTaken as e:
                failure = e
            else:
                self._note_sent(notice)
                return
            if pause_s is None or failure.is_final:
                break
            await self._sleep(min(max(pause_s, failure.after_s), RETRY_PAUSE_S_MAX))
            if key in self._waiting:
                return  # what is newer says more
        self._note_failed(str(failure))

    def _note_sent(self, notice: Notice) -> None:
        self._messages.inc((self.output.name, "sent"))
        if self.trouble:
            _log.info("alerts get out again", output=self.output.name)
        self.trouble = ""
        if notice.status is NoticeStatus.FIRING:
            self._on_sent(notice)

    def _note_failed(self, reason: str) -> None:
        """Count a message that was given up. Said once until one is taken again: a dead output would fill the log."""
        self._messages.inc((self.output.name, "failed"))
        if not self.trouble:
            _log.error("alerts do not get out", output=self.output.name, reason=reason)
        self.trouble = reason
        self._has_none_or_is_down.set()

    def _drop(self) -> None:
        self._messages.inc((self.output.name, "dropped"))
        if not self._is_full:
            _log.error("alerts are dropped: too many wait", output=self.output.name, waiting=len(self._waiting))
        self._is_full = True
