"""A front before a venue: it passes every request on, keeps what it saw, and lets a script spoil one of them.

The stream goes through it too, so that the whole venue can be made deaf, mute or dead. Times are monotonic
nanoseconds.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from typing import NamedTuple

from framework.testing.conformance.front import HEAD_END, head_of, length_of, pass_bytes

_SETTLING_S = 0.03
_LINGER_NONE = struct.pack("ii", 1, 0)


class Answer(NamedTuple):
    """An HTTP answer as it goes over the wire."""

    status: int
    head: bytes
    body: bytes

    @classmethod
    def of(cls, status: int, body: bytes, content_type: str = "application/json") -> Answer:
        """An answer that the venue did not give."""
        head = f"HTTP/1.1 {status} Said\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}"
        return cls(status, head.encode(), body)

    @property
    def raw(self) -> bytes:
        """All its bytes."""
        return self.head + HEAD_END + self.body

    def with_body(self, body: bytes) -> Answer:
        """The same answer with another body, and a length that fits it."""
        lines = [line for line in self.head.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
        return Answer(self.status, b"\r\n".join([*lines, b"Content-Length: %d" % len(body)]), body)


class Call:
    """One request. `forward` has the venue act, `tell` answers the client, `cut` ends the connection instead."""

    def __init__(self, head: bytes, body: bytes, *, venue_port: int, client: asyncio.StreamWriter) -> None:
        self.head = head
        self.body = body
        self.method, self.target = head.split(b" ", 2)[0].decode(), head.split(b" ", 2)[1].decode()
        self.seen_ns = time.monotonic_ns()
        self.forwarded_ns = 0
        self.answer: Answer | None = None
        self.told: list[tuple[int, int]] = []
        """(status, time) of every whole answer that was written to the client."""
        self.is_spoilt = False
        self.released = asyncio.Event()
        self._venue_port = venue_port
        self._client = client

    def __repr__(self) -> str:
        forwarded = "forwarded" if self.forwarded_ns else "held back"
        return f"<{self.method} {self.target.partition('?')[0]} {forwarded} told={[status for status, _ in self.told]}>"

    async def forward(self) -> Answer:
        """Let the venue have it; the venue's answer, which the client has not got yet."""
        self.forwarded_ns = self.forwarded_ns or time.monotonic_ns()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._venue_port)
        try:
            writer.write(self.head + HEAD_END + self.body)
            head = await _head(reader)
            length = length_of(head)
            body = await reader.readexactly(length)
        finally:
            writer.close()
        self.answer = Answer(int(head.split(b" ", 2)[1]), head, body)
        return self.answer

    def tell(self, answer: Answer) -> None:
        """Give the client a whole answer, if it still waits for one."""
        if not self._client.is_closing():
            self.told.append((answer.status, time.monotonic_ns()))
            self._client.write(answer.raw)

    def was_told(self, low: int, high: int, *, by_ns: int) -> bool:
        """Whether the client had got a status from `low` to `high` by then."""
        return any(low <= status <= high and at_ns <= by_ns for status, at_ns in self.told)

    async def tell_part(self, data: bytes) -> None:
        """Give the client some bytes that are no whole answer."""
        self._client.write(data)
        await asyncio.sleep(0.02)

    def cut(self, *, is_reset: bool = False) -> None:
        """End the client's connection, politely or with a reset."""
        if is_reset and (sock := self._client.get_extra_info("socket")) is not None and sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
            self._client.transport.abort()
        else:
            self._client.close()


class Front:
    """Listens on a port of its own, which stays the same while it is down. Call order: `start`, …, `close`."""

    def __init__(self, venue_port: int) -> None:
        self.calls: list[Call] = []
        self._venue_port = venue_port
        # Bound and never listening: keeps the port ours while nobody listens on it.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", 0))
        self.port: int = self._place.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._streams: set[asyncio.Task[None] | None] = set()
        self._trap: tuple[Callable[[Call], bool], asyncio.Future[Call]] | None = None
        self._is_heard = asyncio.Event()
        self._is_heard.set()

    async def start(self) -> None:
        """Begin to listen; also after `down`."""
        if self._server is None:
            self._server = await asyncio.start_server(self._enter, "127.0.0.1", self.port, reuse_address=True)

    async def down(self, *, spares_stream: bool = False) -> None:
        """Die: refuse connections and cut those that are open. What the venue was given stays with it."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task, writer in self._clients.items():
            if not (spares_stream and task in self._streams):
                writer.transport.abort()
        await asyncio.sleep(_SETTLING_S)

    def mute(self) -> None:
        """Hold back what the stream says."""
        self._is_heard.clear()

    def unmute(self) -> None:
        """Let the stream be heard again, with everything that was held back."""
        self._is_heard.set()

    def trap(self, matches: Callable[[Call], bool]) -> asyncio.Future[Call]:
        """Hold the next request that matches, before the venue has it. Its `released` must be set in the end."""
        caught: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
        self._trap = (matches, caught)
        return caught

    async def close(self) -> None:
        """End every connection."""
        await self.down()
        tasks = list(self._clients)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._place.close()

    def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._clients[task] = writer
        task.add_done_callback(lambda done: self._clients.pop(done, None))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                head = await _head(reader)
                if b"upgrade: websocket" in head.lower():
                    self._streams.add(asyncio.current_task())
                    await self._stream(head, reader, writer)
                    return
                body = await reader.readexactly(length_of(head))
                await self._handle(Call(head, body, venue_port=self._venue_port, client=writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            self._streams.discard(asyncio.current_task())
            writer.close()

    async def _handle(self, call: Call) -> None:
        self.calls.append(call)
        if self._trap is not None and self._trap[0](call):
            caught, self._trap = self._trap[1], None
            call.is_spoilt = True
            if not caught.done():
                caught.set_result(call)
                await call.released.wait()
                return
        call.tell(await call.forward())

    async def _stream(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        venue_reader, venue_writer = await asyncio.open_connection("127.0.0.1", self._venue_port)
        venue_writer.write(head + HEAD_END)
        pumps: list[asyncio.Task[None]] = []
        try:
            writer.write(await _head(venue_reader) + HEAD_END)
            pumps.append(asyncio.create_task(pass_bytes(reader, venue_writer, None)))
            pumps.append(asyncio.create_task(pass_bytes(venue_reader, writer, self._is_heard)))
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            venue_writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    return (await head_of(reader)).removesuffix(HEAD_END)
