"""A real HTTP server on loopback that takes alerts, as Slack and the others do, and answers as the test says."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from framework.config.model import AlertOutputRow
from framework.domain.account_events import Scope
from framework.ops.alerts.alert import Alert, AlertKind, Notice, NoticeStatus
from framework.ops.alerts.messages import AlertMessage, alert_message

SINCE_NS = 1_796_000_000_000_000_000
ALERT = Alert(
    kind=AlertKind.VENUE_DOWN,
    scope=Scope.VENUE,
    target="tide",
    text="venue tide is down: <reset> & gone, @everyone",
    since_ns=SINCE_NS,
)


def message(status: NoticeStatus = NoticeStatus.FIRING, **changes: Any) -> AlertMessage:
    """The message about an alert."""
    alert = msgspec.structs.replace(ALERT, **changes)
    until_ns = SINCE_NS + 90_000_000_000 if status is NoticeStatus.RESOLVED else 0
    return alert_message(Notice(status, alert, until_ns), daemon="desk")


class Posted(NamedTuple):
    """One request."""

    path: str
    headers: dict[str, str]
    body: Any


class Receiver:
    """What was posted, and what is answered: the answers in their order, then 200. `delay_s` comes before each; after
    `answers_max` there is none any more."""

    def __init__(self) -> None:
        self.posted: list[Posted] = []
        self.answers: deque[web.Response] = deque()
        self.delay_s = 0.0
        self.answers_max = 1_000
        self.url = ""

    @property
    def bodies(self) -> list[Any]:
        return [one.body for one in self.posted]

    async def take(self, request: web.Request) -> web.Response:
        """Answer one request."""
        self.posted.append(Posted(request.path_qs, dict(request.headers), json.loads(await request.read())))
        await asyncio.sleep(self.delay_s if len(self.posted) <= self.answers_max else 60)
        return self.answers.popleft() if self.answers else web.Response(text="ok")

    def file(self, directory: Path, path: str = "/services/T0/B0/XXXXXXXXXXXXXXXXXXXXXXXX") -> Path:
        """A secret file with an address here."""
        return secret_file(directory / "address", self.url + path)


def secret_file(path: Path, content: str) -> Path:
    """A file that its owner alone can read."""
    path.write_text(f"{content}\n")
    path.chmod(0o600)
    return path


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A server for the length of a `with`."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{rest:.*}", receiver.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


def webhook_row(**settings: object) -> AlertOutputRow:
    """The settings of a webhook."""
    return AlertOutputRow.model_validate({"use": "webhook", **settings})


def command_row(*argv: str, **settings: object) -> AlertOutputRow:
    """The settings of a program."""
    return AlertOutputRow.model_validate({"use": "command", "argv": argv, **settings})
