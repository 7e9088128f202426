"""A running sandbox on loopback."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connectors.zdex.sandbox.server import ZdexSandbox
from tests.connectors.zdex.support import Client, Start, options_of


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start sandboxes without order flow; options as keywords, `now_ns` replaces the clock."""
    sandboxes: list[ZdexSandbox] = []
    async with aiohttp.ClientSession() as http:

        async def begin(*, now_ns: Callable[[], int] = time.time_ns, **options: Any) -> Client:
            sandbox = ZdexSandbox(options_of(tmp_path, **options), now_ns=now_ns)
            sandboxes.append(sandbox)
            return Client(http, sandbox, await sandbox.start())

        yield begin
        for sandbox in sandboxes:
            await sandbox.stop()


@pytest.fixture(params=["v1", "v2"])
async def client(request: pytest.FixtureRequest, start: Start) -> Client:
    """A client of a sandbox of each dialect."""
    started: Client = await start(dialect=request.param)
    return started
