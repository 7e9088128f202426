"""Real TLS on loopback, with a certificate authority made for the occasion."""

from __future__ import annotations

import ssl

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket

from connectors.client.stream import LIBRARIES
from connectors.transport.errors import NotSent
from connectors.transport.http_pool import Http1Transport
from connectors.transport.ports import HttpRequest
from tests.connectors.transport.loopback import ManualClock, Serve, Wire, always_ok

GET = HttpRequest(method="GET", target="/")


async def test_http_when_certificate_is_trusted_then_requests_share_a_connection(
    server_tls: ssl.SSLContext, trusting: ssl.SSLContext, clock: ManualClock, serve: Serve
) -> None:
    server = await serve(always_ok, server_tls)
    transport = Http1Transport(f"https://127.0.0.1:{server.port}", clock=clock, tls=trusting)
    for _ in range(3):
        assert (await transport.send(GET, timeout_ms=2000)).body == b"ok"
    assert server.connections == 1
    await transport.close()


async def test_http_when_certificate_is_not_trusted_then_not_sent(
    server_tls: ssl.SSLContext, clock: ManualClock, serve: Serve
) -> None:
    requests = 0

    async def count(wire: Wire) -> None:
        nonlocal requests
        await wire.request()
        requests += 1

    server = await serve(count, server_tls)
    transport = Http1Transport(f"https://127.0.0.1:{server.port}", clock=clock)
    with pytest.raises(NotSent, match="certificate"):
        await transport.send(GET, timeout_ms=2000)
    await transport.close()
    assert requests == 0


async def greet(connection: ServerConnection) -> None:
    await connection.send("hello")
    await connection.wait_closed()


@pytest.mark.parametrize("library", LIBRARIES)
async def test_websocket_when_certificate_is_trusted_then_messages_flow_else_not_sent(
    library: str,
    server_tls: ssl.SSLContext,
    trusting: ssl.SSLContext,
    clock: ManualClock,
) -> None:
    got: list[bytes] = []
    kind = LIBRARIES[library]
    async with serve_websocket(greet, "127.0.0.1", 0, ssl=server_tls) as server:
        url = f"wss://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        with pytest.raises(NotSent, match="certificate"):
            await kind(url, clock=clock).connect("/", (), on_message=lambda data, *_: got.append(data), timeout_ms=2000)
        connection = await kind(url, clock=clock, tls=trusting).connect(
            "/", (), on_message=lambda data, *_: got.append(data), timeout_ms=2000
        )
        server.close()
        await connection.wait_closed()
    assert got == [b"hello"]
