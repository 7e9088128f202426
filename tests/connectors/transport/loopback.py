"""A raw TCP server on loopback whose handlers misbehave on purpose, and a clock that moves only when it is set."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from connectors.transport.http_pool import Http1Transport
from connectors.transport.ports import HttpRequest

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class ManualClock:
    """Stands still until `advance_ms`."""

    def __init__(self) -> None:
        self.at_ns = 1_000_000_000

    def now_ns(self) -> int:
        return self.at_ns

    def monotonic_ns(self) -> int:
        return self.at_ns

    def advance_ms(self, ms: int) -> None:
        self.at_ns += ms * 1_000_000


class Wire:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self) -> tuple[str, bytes]:
        """Read one request; return its head and body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = 0
        for line in head.split("\r\n"):
            if line.lower().startswith("content-length:"):
                length = int(line.split(":")[1])
        return head, await self.reader.readexactly(length)

    async def write(self, *pieces: bytes) -> None:
        """Write the pieces one by one, letting each of them arrive alone."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.002 if len(pieces) > 1 else 0)

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Handler = Callable[[Wire], Awaitable[None]]


class Loopback:
    """Serves each connection with `handler` until it returns, then closes the connection."""

    def __init__(self, handler: Handler) -> None:
        self.connections = 0
        self.port = 0
        self.failures: list[BaseException] = []
        self._handler = handler
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=2**22, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(Wire(reader, writer)))
        self._tasks.add(task)

    async def _serve(self, wire: Wire) -> None:
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await self._handler(wire)
        except AssertionError as e:
            self.failures.append(e)
        finally:
            wire.writer.close()
            with contextlib.suppress(ConnectionError):
                await wire.writer.wait_closed()


class Serve(Protocol):
    """Start a server that the fixture stops."""

    async def __call__(self, handler: Handler, tls: ssl.SSLContext | None = None) -> Loopback: ...


GET = HttpRequest(method="GET", target="/a?b=1", headers=(("X-Key", "k"),))
POST = HttpRequest(method="POST", target="/orders", body=b'{"n":1}')


@asynccontextmanager
async def client(
    server: Loopback,
    clock: ManualClock,
    *,
    connections_max: int = 8,
    body_bytes_max: int = 1_000_000,
    idle_ms_max: int = 15_000,
) -> AsyncIterator[Http1Transport]:
    transport = Http1Transport(
        f"http://127.0.0.1:{server.port}",
        clock=clock,
        connections_max=connections_max,
        body_bytes_max=body_bytes_max,
        idle_ms_max=idle_ms_max,
    )
    try:
        yield transport
    finally:
        await transport.close()


async def always_ok(wire: Wire) -> None:
    while True:
        await wire.request()
        await wire.write(OK)


def answering(*pieces: bytes, stays: bool = False) -> Handler:
    async def handle(wire: Wire) -> None:
        await wire.request()
        await wire.write(*pieces)
        if stays:
            await wire.reader.read()

    return handle
