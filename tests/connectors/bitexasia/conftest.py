"""A running sandbox of the venue on loopback, and a small client of it that signs by itself."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connectors.bitexasia.sandbox.server import bitexasia
from connectors.bitexasia.sandbox.venue import BitExAsiaOptions
from tests.connectors.bitexasia.signed_client import Client, StartClient


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[StartClient]:
    """Start sandboxes without order flow; options as keywords, `now_ns` replaces the clock."""
    clients: list[Client] = []
    async with aiohttp.ClientSession() as session:

        async def begin(*, now_ns: Callable[[], int] = time.time_ns, **options: Any) -> Client:
            values: dict[str, Any] = {"directory": tmp_path / "sandbox", "speed": 0.0} | options
            sandbox = bitexasia(BitExAsiaOptions(**values), now_ns=now_ns)
            clients.append(Client(session, sandbox, await sandbox.start()))
            return clients[-1]

        yield begin
        for client in clients:
            await client.sandbox.stop()


@pytest.fixture
async def client(start: StartClient) -> Client:
    """A client of a sandbox without order flow."""
    return await start()
