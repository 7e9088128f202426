"""Requests on a warm connection over loopback: our client beside aiohttp's, against one canned server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import aiohttp
import uvloop

from connectors.transport.http_pool import Http1Transport
from connectors.transport.ports import HttpRequest
from framework.runtime.clock import SystemClock
from tests.bench.figures import row

REQUESTS = 2_000
BODY = b'{"ticker":"T","client_order_id":"tg7f3a91-12-45","side":"bid","count":"10.00","price":"0.5600"}'
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request with the same bytes."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            await reader.readexactly(length)
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def timed(send: Callable[[], Awaitable[object]]) -> float:
    """Microseconds of one request."""
    started = time.perf_counter_ns()
    await send()
    return (time.perf_counter_ns() - started) / 1e3


async def measure() -> None:
    """Interleave both clients."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    transport = Http1Transport(url, clock=SystemClock())
    request = HttpRequest("POST", "/orders", (("Content-Type", "application/json"),), BODY)
    own, other = [], []
    async with aiohttp.ClientSession() as session:

        async def post() -> None:
            async with session.post(f"{url}/orders", data=BODY, headers={"Content-Type": "application/json"}) as answer:
                await answer.read()

        for _ in range(REQUESTS):
            own.append(await timed(lambda: transport.send(request, timeout_ms=5_000)))
            other.append(await timed(post))
    await transport.close()
    server.close()
    await server.wait_closed()
    row("POST on a warm connection, server in the same process", own, other, unit="us", against="aiohttp", n=REQUESTS)


def run() -> None:
    """Print the figure."""
    uvloop.run(measure())
