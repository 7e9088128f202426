"""A TCP proxy on loopback that spoils what passes through it, on command, while connections live.

    proxy = FaultProxy("127.0.0.1", upstream_port, rng=random.Random(7))
    await proxy.start()              # listens on proxy.port
    proxy.poison(draw("slow", rng))  # from now on, for connections old and new
    proxy.heal()                     # what was held back flows on; what was cut stays cut
    await proxy.close()

One proxy is one leg. `up` is towards the venue, `down` comes from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import time
from collections.abc import Callable

from tests.support.frame_filter import FrameFilter, Rewrite
from tests.support.toxics import Direction, Toxic

_RESET = struct.pack("ii", 1, 0)
_CHUNK_BYTES = 64 * 1024
_CHUNKS_HELD_MAX = 256
_STUFFING = 3


class FaultProxy:
    """One leg. Call order: `start`, then any of the faults and `heal`, then `close`; all on one event loop."""

    def __init__(self, host: str, port: int, *, rng: random.Random) -> None:
        self.toxic: Toxic | None = None
        self.muted: Callable[[bytes], bool] | None = None
        """Which WebSocket messages of the venue are swallowed; pings and pongs pass."""
        self.rewrite: Rewrite | None = None
        """What becomes of each WebSocket message of the venue."""
        self.accepted_ns: list[int] = []
        """Monotonic time of each connection that was accepted."""
        self.rng = rng
        self._upstream = (host, port)
        self._listener = _bound(0)
        self.port: int = self._listener.getsockname()[1]
        self._accepting: asyncio.Task[None] | None = None
        self._links: set[_Link] = set()
        self._stuffing: list[socket.socket] = []
        self._change = asyncio.Event()

    async def start(self) -> None:
        """Listen."""
        self.heal()

    async def close(self) -> None:
        """End everything."""
        await self._stop_accepting()
        self._unstuff()
        self._listener.close()
        await asyncio.gather(*(link.end() for link in list(self._links)))

    def poison(self, toxic: Toxic) -> None:
        """Put a toxic in force."""
        self.toxic = toxic
        for link in list(self._links):
            link.begin(toxic)
        self._changed()

    def mute(self, is_muted: Callable[[bytes], bool]) -> None:
        """Swallow the venue's WebSocket messages for which this is true."""
        self.muted = is_muted

    def freeze(self) -> None:
        """The connections of now stay open and silent for ever, both ways; later ones are sound."""
        for link in self._links:
            link.is_frozen = True
        self._changed()

    async def refuse(self) -> None:
        """Cut everything, and refuse every new connection."""
        await self._stop_accepting()
        port = self.port
        self._listener.close()
        self._listener = _bound(port)  # bound but not listening: the port stays ours
        await asyncio.gather(*(link.end() for link in list(self._links)))

    async def die(self) -> None:
        """A host that is gone: connections stand still for ever, and new ones hang while they are made."""
        await self._stop_accepting()
        self.freeze()
        self._listener.listen(0)
        for _ in range(_STUFFING):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._stuffing.append(filler)
        await asyncio.sleep(0.01)

    def heal(self) -> None:
        """End every fault. Frozen connections stay frozen, as they do when a middlebox has forgotten them."""
        self.toxic, self.muted, self.rewrite = None, None, None
        self._unstuff()
        if self._accepting is None:
            self._listener.listen(128)
            self._accepting = asyncio.get_running_loop().create_task(self._accept())
        self._changed()

    async def changed(self, timeout_s: float | None = None) -> bool:
        """Wait for the next change of faults, or for the time; whether it was a change."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._change.wait()
        except TimeoutError:
            return False
        return True

    def forget(self, link: _Link) -> None:
        """A connection is over."""
        self._links.discard(link)

    def _unstuff(self) -> None:
        for filler in self._stuffing:
            filler.close()
        self._stuffing.clear()

    def _changed(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    async def _stop_accepting(self) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
            self._accepting = None

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(self._listener)
            self.accepted_ns.append(time.monotonic_ns())
            client.setblocking(False)
            if self.toxic is not None and self.toxic.refuses:
                _shut(client, is_reset=self.toxic.kind == "reset")
                continue
            link = _Link(self, client, self._upstream)
            self._links.add(link)
            link.start(self.toxic)


class _Link:
    """One connection: two pipes, and how it ends."""

    def __init__(self, proxy: FaultProxy, client: socket.socket, upstream: tuple[str, int]) -> None:
        self.is_frozen = False
        self.bytes_left = -1
        self._proxy = proxy
        self._client = client
        self._upstream = upstream
        self._is_reset = False
        self._task: asyncio.Task[None] | None = None

    def start(self, toxic: Toxic | None) -> None:
        """Begin to carry."""
        if toxic is not None:
            self.begin(toxic)
        self._task = asyncio.get_running_loop().create_task(self._run())

    def begin(self, toxic: Toxic) -> None:
        """A toxic comes into force."""
        self.bytes_left = toxic.bytes_max or -1
        if toxic.refuses:
            self.cut(is_reset=toxic.kind == "reset")

    def cut(self, *, is_reset: bool = False) -> None:
        """End it, with or without a reset."""
        self._is_reset = is_reset
        if self._task is not None:
            self._task.cancel()

    async def end(self) -> None:
        """End it, and wait until it is over."""
        self.cut()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        venue = socket.socket()
        venue.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(venue, self._upstream)
            for sock in (self._client, venue):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.TaskGroup() as pipes:
                pipes.create_task(_Pipe(self._proxy, self, "up").run(self._client, venue))
                pipes.create_task(_Pipe(self._proxy, self, "down").run(venue, self._client))
        except* OSError:
            pass  # one side is gone, and so is the connection
        finally:
            self._proxy.forget(self)
            for sock in (self._client, venue):
                _shut(sock, is_reset=self._is_reset)


class _Pipe:
    """One direction of one connection: a reader that never stops, and a writer that does what the toxic says."""

    def __init__(self, proxy: FaultProxy, link: _Link, direction: Direction) -> None:
        self._proxy = proxy
        self._link = link
        self._direction: Direction = direction
        self._filter = FrameFilter() if direction == "down" else None
        self._held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_HELD_MAX)

    async def run(self, source: socket.socket, sink: socket.socket) -> None:
        """Carry until the source ends; then end the sink's reading side."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(source))
            tasks.create_task(self._write(sink))

    async def _read(self, source: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            data = await loop.sock_recv(source, _CHUNK_BYTES)
            await self._held.put((loop.time(), data))
            if not data:
                return

    async def _write(self, sink: socket.socket) -> None:
        while True:
            came, data = await self._held.get()
            await self._hold(came)
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            await self._emit(sink, self._passed(data))

    def _passed(self, data: bytes) -> bytes:
        if self._filter is None:
            return data
        return self._filter.pass_on(data, self._proxy.muted, self._proxy.rewrite)

    async def _hold(self, came: float) -> None:
        """Wait for as long as the toxic of the moment holds this chunk back."""
        share, loop = self._proxy.rng.random(), asyncio.get_running_loop()
        while True:
            toxic = self._proxy.toxic
            if self._is_blocked(toxic):
                await self._proxy.changed()
                continue
            late_s = 0.0 if toxic is None else toxic.delay_s + toxic.jitter_s * share
            wait_s = came + late_s - loop.time()
            if wait_s <= 0 or not await self._proxy.changed(wait_s):
                return

    async def _emit(self, sink: socket.socket, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        while data:
            toxic = self._proxy.toxic
            if self._is_blocked(toxic):
                await self._proxy.changed()
                continue
            count = toxic.piece_bytes if toxic is not None and toxic.piece_bytes else len(data)
            if toxic is not None and toxic.bytes_max:
                count = min(count, self._link.bytes_left)
                self._link.bytes_left -= min(count, len(data))
            await loop.sock_sendall(sink, data[:count])
            data = data[count:]
            if toxic is not None and toxic.bytes_max and self._link.bytes_left <= 0:
                raise ConnectionAbortedError("the bytes that the toxic allows are through")
            if toxic is not None and toxic.pause_s and data:
                await self._proxy.changed(toxic.pause_s)

    def _is_blocked(self, toxic: Toxic | None) -> bool:
        return self._link.is_frozen or (toxic is not None and self._direction in toxic.blocked)


def _bound(port: int) -> socket.socket:
    """A socket that holds a port of loopback (0: any free one) without listening on it."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.setblocking(False)
    return listener


def _shut(sock: socket.socket, *, is_reset: bool) -> None:
    with contextlib.suppress(OSError):
        if is_reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    sock.close()
