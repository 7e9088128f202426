from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from tests.connectors.transport.loopback import Handler, Loopback, ManualClock, Serve


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Sockets behave differently on the two loops that users run; every test here runs on both."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    servers: list[Loopback] = []

    async def start(handler: Handler, tls: ssl.SSLContext | None = None) -> Loopback:
        server = Loopback(handler)
        await server.start(tls=tls)
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()
        assert not server.failures
