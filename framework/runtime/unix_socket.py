"""Unix-domain sockets between a daemon and commands on its machine: one line asks, one line answers.

The socket is made for its owner alone, and the operating system says which user is at the other end: a peer of another
user gets a refusal and nothing else.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from framework.domain.errors import Fatal, TidegateError

LINE_BYTES_MAX = 65_536
"""Longest request, its line end included."""

ANSWER_BYTES_MAX = 16 * 1024 * 1024
CONNECTIONS_MAX = 16
"""One more displaces the one that has been idle for longest, or, if none is idle, the oldest: the newest gets in."""

IDLE_S_MAX = 10.0
"""A connection that asks nothing for so long is closed."""

_PATH_BYTES_MAX = 100
"""A socket's path has room for 104 to 108 bytes, depending on the system."""

_ENDED = "the connection made room for a newer one, or the daemon stops; it may still take effect, so look first"
_PEER_UIDS_SHOWN = "this daemon's user and root"


class NoServer(TidegateError):
    """No server answers at the socket; the message names it."""


class UnixServer:
    """A socket that answers lines. Call order: `start`, `close`.

    `answer` gets a line without its end and returns one; it must not raise. `refuse` makes the line that says why
    nothing was done. `uids` are the users that may ask.
    """

    def __init__(
        self,
        path: Path,
        answer: Callable[[bytes], Awaitable[bytes]],
        *,
        refuse: Callable[[str], bytes],
        uids: frozenset[int],
        idle_s_max: float = IDLE_S_MAX,
    ) -> None:
        self._path = path
        self._answer = answer
        self._refuse = refuse
        self._uids = uids
        self._idle_s_max = idle_s_max
        self._server: asyncio.Server | None = None
        # In the order of their age, and of how long they have been idle.
        self._conversations: dict[asyncio.Task[None], None] = {}
        self._idle: dict[asyncio.Task[None], None] = {}

    async def start(self) -> None:
        """Listen, in the place of a socket that an ended daemon left: hold the directory's lock, or it may be a live
        one's.

        Raises `Fatal` when the socket can't be made.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._path.unlink(missing_ok=True)
            with _address(self._path) as address:
                _bind_for_owner(listener, address)
            self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=LINE_BYTES_MAX)
        except OSError as e:
            listener.close()
            raise Fatal(f"operator socket: {self._path} can't be made ({e.strerror or e}); see to its directory") from e

    async def close(self) -> None:
        """Stop listening, end every conversation, take the socket away. Harmless when not started."""
        if self._server is None:
            return
        self._server.close()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)
        self._path.unlink(missing_ok=True)
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = asyncio.current_task()
        assert conversation is not None  # noqa: S101 - the server runs this as a task
        try:
            uid = _peer_uid(writer)
            if uid in self._uids:
                self._make_room()
                self._conversations[conversation] = None
                await self._converse(reader, writer, conversation)
            else:
                reason = f"user {uid} may not give orders here; only {_PEER_UIDS_SHOWN} may"
                await self._say(writer, self._refuse(reason))
        except asyncio.CancelledError:
            writer.write(self._refuse(_ENDED) + b"\n")  # displaced, or the daemon stops
        except (ConnectionError, TimeoutError):
            pass  # the peer closed, or asked or read nothing for too long: there is no one to answer
        finally:
            self._conversations.pop(conversation, None)
            if writer.transport.get_write_buffer_size():
                writer.transport.abort()  # to close would wait until the peer reads, which may be never
            writer.close()

    def _make_room(self) -> None:
        """End one conversation when there are as many as may be: peers that hang must not keep a halt out."""
        if len(self._conversations) >= CONNECTIONS_MAX:
            displaced = next(iter(self._idle or self._conversations))
            self._idle.pop(displaced, None)
            self._conversations.pop(displaced)
            displaced.cancel()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, conversation: asyncio.Task[None]
    ) -> None:
        while True:
            self._idle[conversation] = None
            try:
                async with asyncio.timeout(self._idle_s_max):
                    line = await reader.readuntil(b"\n")
            except asyncio.LimitOverrunError:
                reason = f"the request is longer than {LINE_BYTES_MAX} bytes; ask for less"
                await self._say(writer, self._refuse(reason))
                return
            except asyncio.IncompleteReadError as e:
                if e.partial:
                    await self._say(writer, self._refuse("the request has no line end; end it with a newline"))
                return
            finally:
                self._idle.pop(conversation, None)
            await self._say(writer, await self._answer(line[:-1]))

    async def _say(self, writer: asyncio.StreamWriter, line: bytes) -> None:
        """Write a line. Raises `TimeoutError` when the peer does not read it."""
        writer.write(line + b"\n")
        async with asyncio.timeout(self._idle_s_max):
            await writer.drain()


def ask(path: Path, line: bytes, *, timeout_s: float) -> bytes:
    """Send one line to a server and return its answer, waiting for it. For programs without an event loop.

    Raises `NoServer` when no server listens there, or answers within `timeout_s` seconds.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(timeout_s)
        try:
            with _address(path) as address:
                peer.connect(address)
            # A server that refuses a peer closes at once, which breaks the write; its answer can be read all the same.
            with suppress(BrokenPipeError):
                peer.sendall(line + b"\n")
            with peer.makefile("rb") as answers:
                answer = answers.readline(ANSWER_BYTES_MAX)
        except TimeoutError:
            raise NoServer(f"{path}: no answer within {timeout_s:g} s; the daemon may be busy or stuck") from None
        except OSError as e:
            raise NoServer(f"{path}: {e.strerror or e}") from e
    if not answer.endswith(b"\n"):
        raise NoServer(f"{path}: the connection ended before the answer did; the daemon may have stopped")
    return answer[:-1]


def _bind_for_owner(listener: socket.socket, address: str) -> None:
    """The mask makes the socket private from its first moment: a mode set afterwards would leave a gap."""
    mask = os.umask(0o177)
    try:
        listener.bind(address)
    finally:
        os.umask(mask)


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """A name for the socket that fits: where the path is too long, one through its directory's descriptor."""
    if len(os.fsencode(path)) <= _PATH_BYTES_MAX:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    """The user at the other end, as the kernel saw it connect; -1 where it does not say."""
    transport_socket = writer.get_extra_info("socket")
    # The event loop's own stand-in for a socket can't be asked: a second descriptor of the same socket can.
    with socket.socket(fileno=os.dup(transport_socket.fileno())) as peer:
        if sys.platform == "darwin":
            # LOCAL_PEERCRED of SOL_LOCAL: struct xucred begins with its version and the user.
            return int(struct.unpack_from("=Ii", peer.getsockopt(0, 1, 76))[1])
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])
