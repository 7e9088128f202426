"""A front before the sandbox: it passes everything on, with or without TLS, and can spoil one request on its way.

A case aims at the next request that matches, with `spoil`. The stream goes through the front, too, so that a whole
venue can be out of reach: `down`, then `up`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from enum import Enum
from fnmatch import fnmatchcase

HEAD_END = b"\r\n\r\n"
"""The end of the head of an HTTP message."""
_CHUNK = 1 << 16
_BAD_GATEWAY = b"<html>Bad gateway</html>"
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)
HOST = "127.0.0.1"


class Spoil(Enum):
    """What becomes of one request."""

    LOST_ANSWER = "the venue has it, and its answer is lost"
    SERVER_ERROR = "the venue has it, and a gateway answers with an error"
    RESET_IN_BODY = "the venue has it, and the connection is reset in the middle of the answer"
    LATE_ANSWER = "the venue has it, and its answer comes after the time-out"
    LOST_REQUEST = "the venue never gets it"
    NO_ANSWER = "the venue has it, and nobody answers"
    NO_ANSWER_TO_NOTHING = "the venue never gets it, and nobody answers"

    @property
    def arrives(self) -> bool:
        """Whether the venue gets the request."""
        return self not in (Spoil.LOST_REQUEST, Spoil.NO_ANSWER_TO_NOTHING)


class Target:
    """A request that is to be spoilt: `struck` is set once it came and, where it is to arrive, the venue has acted."""

    def __init__(self, pattern: str, spoil: Spoil, late_s: float) -> None:
        self.method, _, self._path = pattern.partition(" ")
        self.spoil = spoil
        self.late_s = late_s
        self.struck = asyncio.Event()

    def matches(self, head: bytes) -> bool:
        """Whether the head of a request is the target's, by method and path."""
        method, target, _ = head.split(b" ", 2)
        path = target.decode("latin-1").partition("?")[0]
        return not self.struck.is_set() and method.decode("latin-1") == self.method and fnmatchcase(path, self._path)


class Front:
    """Listens on a port of its own, which stays the same while it is down. `up` first, `close` at the end."""

    def __init__(self, venue_port: int, tls: ssl.SSLContext | None = None) -> None:
        self._venue_port = venue_port
        self._tls = tls
        # Bound and never listening: keeps the port ours while nobody listens on it.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind((HOST, 0))
        self.port: int = self._place.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._targets: list[Target] = []
        self._is_open = asyncio.Event()
        self._is_open.set()

    @property
    def is_encrypted(self) -> bool:
        """Whether it speaks TLS to its clients."""
        return self._tls is not None

    async def up(self) -> None:
        """Listen; also after `down`."""
        if self._server is None:
            self._server = await asyncio.start_server(self._enter, HOST, self.port, reuse_address=True, ssl=self._tls)

    def down(self) -> None:
        """Refuse connections, and cut those that are open. What the venue was given stays with it."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._tasks.values():
            writer.transport.abort()

    def mute(self) -> None:
        """Hold back what the venue says on its stream. The connection stays, and requests pass."""
        self._is_open.clear()

    async def close(self) -> None:
        """End every connection and give the port back."""
        self.down()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._place.close()

    def spoil(self, pattern: str, spoil: Spoil, *, late_s: float = 0.0) -> Target:
        """Spoil the next request that matches "METHOD path-pattern"; `late_s` is how late a LATE_ANSWER comes."""
        target = Target(pattern, spoil, late_s)
        self._targets.append(target)
        return target

    def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks[task] = writer
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                head = await head_of(reader)
                if b"upgrade: websocket" in head.lower():
                    await self._pass_stream(head, reader, writer)
                    return
                await self._pass_request(head + await reader.readexactly(length_of(head)), writer)
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _pass_request(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        target = next((one for one in self._targets if one.matches(request)), None)
        if target is None:
            writer.write(await self._answer_of(request))
            return
        self._targets.remove(target)
        answer = await self._answer_of(request) if target.spoil.arrives else b""
        target.struck.set()
        await _SPOILT[target.spoil](answer, writer, target.late_s)

    async def _answer_of(self, request: bytes) -> bytes:
        """The venue's whole answer to a request."""
        reader, writer = await asyncio.open_connection(HOST, self._venue_port)
        try:
            writer.write(request)
            head = await head_of(reader)
            return head + await reader.readexactly(length_of(head))
        finally:
            writer.close()

    async def _pass_stream(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        venue_reader, venue_writer = await asyncio.open_connection(HOST, self._venue_port)
        venue_writer.write(head)
        pumps = [
            asyncio.create_task(pass_bytes(reader, venue_writer, None)),
            asyncio.create_task(pass_bytes(venue_reader, writer, self._is_open)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            venue_writer.close()


async def _cut(_answer: bytes, writer: asyncio.StreamWriter, _late_s: float) -> None:
    writer.transport.abort()


async def _server_error(_answer: bytes, writer: asyncio.StreamWriter, _late_s: float) -> None:
    head = f"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: {len(_BAD_GATEWAY)}"
    writer.write(head.encode() + HEAD_END + _BAD_GATEWAY)


async def _reset_in_body(answer: bytes, writer: asyncio.StreamWriter, _late_s: float) -> None:
    body_begins = answer.index(HEAD_END) + len(HEAD_END)
    writer.write(answer[: (body_begins + len(answer)) // 2])
    await asyncio.sleep(0.02)
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    writer.transport.abort()


async def _answer_late(answer: bytes, writer: asyncio.StreamWriter, late_s: float) -> None:
    await asyncio.sleep(late_s)
    writer.write(answer)


async def _never_answer(_answer: bytes, _writer: asyncio.StreamWriter, _late_s: float) -> None:
    await asyncio.Event().wait()


_SPOILT: dict[Spoil, Callable[[bytes, asyncio.StreamWriter, float], Awaitable[None]]] = {
    Spoil.LOST_ANSWER: _cut,
    Spoil.SERVER_ERROR: _server_error,
    Spoil.RESET_IN_BODY: _reset_in_body,
    Spoil.LATE_ANSWER: _answer_late,
    Spoil.LOST_REQUEST: _cut,
    Spoil.NO_ANSWER: _never_answer,
    Spoil.NO_ANSWER_TO_NOTHING: _never_answer,
}


async def pass_bytes(source: asyncio.StreamReader, target: asyncio.StreamWriter, gate: asyncio.Event | None) -> None:
    """Carry bytes until the source ends, where there is a gate only while it is open. Raises `OSError` of either
    side."""
    while data := await source.read(_CHUNK):
        if gate is not None:
            await gate.wait()
        target.write(data)
        await target.drain()


async def head_of(reader: asyncio.StreamReader) -> bytes:
    """The head of an HTTP message, with the empty line at its end. Raises `asyncio.IncompleteReadError` at the end of
    the connection."""
    return await reader.readuntil(HEAD_END)


def length_of(head: bytes) -> int:
    """How many bytes of body follow a head; 0 where it does not say."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0
