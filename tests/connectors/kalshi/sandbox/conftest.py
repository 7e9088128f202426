"""A running sandbox on loopback."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connectors.kalshi.sandbox.server import KalshiSandbox, SandboxOptions
from tests.connectors.kalshi.sandbox.signed_client import Client, StartClient


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One directory for all sandboxes, so that an RSA key is made only once."""
    return tmp_path_factory.mktemp("sandbox")


@pytest.fixture
async def start(keys: Path) -> AsyncIterator[StartClient]:
    """Start sandboxes without order flow; options as keywords, `now_ns` replaces the clock."""
    sandboxes: list[KalshiSandbox] = []
    async with aiohttp.ClientSession() as session:

        async def begin(*, now_ns: Callable[[], int] = time.time_ns, **options: Any) -> Client:
            settings: dict[str, Any] = {"directory": keys, "speed": 0.0} | options
            sandbox = KalshiSandbox(SandboxOptions(**settings), now_ns=now_ns)
            sandboxes.append(sandbox)
            return Client(session, sandbox, await sandbox.start())

        yield begin
        for sandbox in sandboxes:
            await sandbox.stop()


@pytest.fixture
async def client(start: StartClient) -> Client:
    """A client of a sandbox without order flow, on a tier that a test does not exhaust."""
    started: Client = await start(tier="prestige")
    return started


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A loopback port on which something listens already."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number: int = listener.getsockname()[1]
        yield number
