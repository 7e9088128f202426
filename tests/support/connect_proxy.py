"""An HTTP proxy on loopback that opens tunnels by CONNECT, as the proxies of offices do.

    async with ConnectProxy(credentials="me:s3cret") as proxy:
        ...  # connect through http://me:s3cret@127.0.0.1:{proxy.port}

`asked` are the targets of the tunnels it was asked for, `connections` how many peers came.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from types import TracebackType
from typing import Self


class ConnectProxy:
    """Answers CONNECT with a tunnel, or with `refusal` where one is given, and everything else with 405."""

    def __init__(self, *, credentials: str = "", refusal: bytes = b"") -> None:
        self.asked: list[str] = []
        self.connections = 0
        self.port = 0
        self._expected = base64.b64encode(credentials.encode()).decode() if credentials else ""
        self._refusal = refusal
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, OSError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, target, _version = head.split("\r\n")[0].split(" ")
            if (answer := self._verdict(method, target, head)) is not None:
                writer.write(answer)
                await writer.drain()
                return
            host, _, port = target.rpartition(":")
            upstream = await asyncio.open_connection(host.strip("[]"), int(port))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with contextlib.closing(upstream[1]):
                await asyncio.gather(_pump(reader, upstream[1]), _pump(upstream[0], writer))

    def _verdict(self, method: str, target: str, head: str) -> bytes | None:
        """The refusal; None where a tunnel is to be opened."""
        if method != "CONNECT":
            return b"HTTP/1.1 405 Method Not Allowed\r\n\r\n"
        self.asked.append(target)
        if self._expected and f"Proxy-Authorization: Basic {self._expected}\r\n" not in head:
            return b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"
        return self._refusal or None


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
