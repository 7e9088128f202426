"""Stream connections: each one's reader, its writer, its heartbeat, and the faults that strike on it.

Frames are queued by the venue's conversation and by publishers and written by one task, so a slow reader delays nobody.
The queue is bounded: a frame that finds it full is not queued, and `offer` says so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from aiohttp import WSMsgType, web

from connectors.sandbox.serving.clock import VenueClock
from connectors.sandbox.serving.rest import BODY_BYTES_MAX, Arrival, Refusal, Served, cut
from connectors.sandbox.serving.venue import ServedVenue

QUEUE_FRAMES_MAX = 20_000
CLOSE_S = 1.0
FOREVER_NS = 1 << 63

V = TypeVar("V", bound=Served)
C = TypeVar("C", bound="Conversation")


class Conversation(Protocol):
    """The venue's side of one connection: its commands and subscriptions."""

    def handle(self, text: str) -> None:
        """Answer one message of the client through `StreamSession.offer`. Never raises on what a client sends."""
        ...


@dataclass(frozen=True)
class StreamRules:
    """How a venue's stream behaves. `heartbeat` is the payload of a ping (bytes), a text frame, or None for none.

    `heartbeat_s` is the time between them, `queue_frames_max` how many frames a slow client may leave unread, `stamp`
    puts the time of sending into a frame.
    """

    path: str
    heartbeat: bytes | str | None = None
    heartbeat_s: float = 10.0
    queue_frames_max: int = QUEUE_FRAMES_MAX
    stamp: Callable[[dict[str, Any], VenueClock], None] | None = None
    gap_type: str = ""
    """The `type` of frames that a gap leaves out, unless the fault names another one."""


@dataclass(frozen=True)
class Frame:
    """One message to a client. `target` is what the patterns of faults may match: type, channel, market.

    Frames that are not `is_data` answer a command: no fault loses or doubles them. `is_numbered` ones can be left out
    as a gap. Frames of no `owner` are queued even when the queue is full.
    """

    message: dict[str, Any]
    target: Mapping[str, str] = field(default_factory=dict)
    owner: Any = None
    is_data: bool = False
    is_numbered: bool = False


class StreamSession:
    """A connected and authenticated client. Call `run` once; the other methods only while it runs."""

    def __init__(
        self, socket: web.WebSocketResponse, venue: ServedVenue, rules: StreamRules, *, abort: Callable[[], object]
    ) -> None:
        self._socket = socket
        self._venue = venue
        self._rules = rules
        self._abort = abort
        self._queue: deque[Frame] = deque()
        self._wake = asyncio.Event()
        self._silent_until_ns = 0

    async def run(self, conversation: Conversation) -> None:
        """Serve until the client leaves or the connection is cut; a task that fails cuts it. Raises its error."""
        tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._beat())]
        for task in tasks:
            task.add_done_callback(self._cut_when_failed)
        try:
            async for message in self._socket:
                if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                    conversation.handle(message.data)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            # A client that leaves while it is written to is normal; any other error is one of this program.
            if isinstance(end, Exception) and not isinstance(end, ConnectionError):
                raise end

    def offer(self, frame: Frame) -> bool:
        """Queue one frame; False when it has an owner and the queue is full."""
        if frame.owner is not None and len(self._queue) >= self._rules.queue_frames_max:
            return False
        self._queue.append(frame)
        self._wake.set()
        return True

    def is_muted(self, target: Mapping[str, str]) -> bool:
        """True when a fault leaves this message out, as if it had never been; a publisher asks before numbering it."""
        return self._venue.faults.take("mute", **target) is not None

    def check_faults(self) -> None:
        """Make the writer check the faults now, even when there is nothing to send."""
        self._wake.set()

    def end_silence(self) -> None:
        """End a silence that was to last until the connection ends."""
        self._silent_until_ns = 0

    def cut(self) -> None:
        """Cut the connection without a closing handshake."""
        self._abort()

    def _cut_when_failed(self, task: asyncio.Task[None]) -> None:
        # Heartbeats would go on without any message, and nobody would see the error.
        if not task.cancelled() and task.exception() is not None:
            self.cut()

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._drop_when_struck():
                return
            while self._queue:
                await self._write_frame(self._queue.popleft())

    async def _write_frame(self, frame: Frame) -> None:
        faults, target = self._venue.faults, frame.target
        if self._drop_when_struck() or self._is_silent() or self._is_gap(frame):
            return
        delay = faults.take("delay", path=self._rules.path, **target)
        if delay is not None:
            await asyncio.sleep(delay.params.get("delay_ms", 100) / 1000)
        if self._rules.stamp is not None:
            self._rules.stamp(frame.message, self._venue.clock)
        text = msgspec.json.encode(frame.message).decode()
        copies = 2 if frame.is_data and faults.take("duplicate_frame", **target) else 1
        for _ in range(copies):
            if not self._socket.closed:
                await self._socket.send_str(text)

    async def _beat(self) -> None:
        beat = self._rules.heartbeat
        while beat is not None:
            await asyncio.sleep(self._rules.heartbeat_s)
            if not self._is_silent() and not self._socket.closed:
                await (self._socket.ping(beat) if isinstance(beat, bytes) else self._socket.send_str(beat))

    def _is_gap(self, frame: Frame) -> bool:
        if not frame.is_data or not frame.is_numbered:
            return False
        fault = self._venue.faults.active("sequence_gap", **frame.target)
        if fault is None or (frame.target.get("type") != self._rules.gap_type and "type" not in fault.match):
            return False
        return self._venue.faults.take("sequence_gap", **frame.target) is not None

    def _drop_when_struck(self) -> bool:
        if self._venue.faults.take("drop_connection", path=self._rules.path) is None:
            return False
        self.cut()
        return True

    def _is_silent(self) -> bool:
        now_ns = self._venue.clock.engine_ns()
        if now_ns < self._silent_until_ns:
            return True
        fault = self._venue.faults.take("silent_stream", path=self._rules.path)
        if fault is None:
            return False
        self._silent_until_ns = fault.until_ns or FOREVER_NS
        return True


@dataclass(frozen=True)
class StreamFace(Generic[V, C]):
    """The stream side of a venue.

    `admit` checks a connection before it is upgraded and raises `Refusal`; what it returns makes the conversation.
    """

    rules: StreamRules
    admit: Callable[[V, Arrival], Callable[[StreamSession], C]]


class StreamServer(Generic[V, C]):
    """Upgrades connections and keeps their sessions. `venue` gives the current venue: a reset replaces it."""

    def __init__(self, venue: Callable[[], V], face: StreamFace[V, C]) -> None:
        self._venue = venue
        self._face = face
        self._open: dict[StreamSession, C] = {}

    def add_routes(self, app: web.Application) -> None:
        """Put the stream's path on the application."""
        app.router.add_get(self._face.rules.path, self._upgrade)

    @property
    def sessions(self) -> list[StreamSession]:
        """The sessions that are connected now."""
        return list(self._open)

    @property
    def conversations(self) -> list[C]:
        """Their conversations, to publish to."""
        return list(self._open.values())

    async def _upgrade(self, request: web.Request) -> web.StreamResponse:
        venue, rules = self._venue(), self._face.rules
        served = venue.served
        served.observed.requests[f"GET {rules.path}"] += 1
        try:
            converse = self._face.admit(venue, Arrival(request, b"", served.clock.engine_ns()))
        except Refusal as refusal:
            served.observed.refuse(refusal.status, refusal.body)
            return web.json_response(refusal.body, status=refusal.status, headers=refusal.headers)
        socket = web.WebSocketResponse(max_msg_size=BODY_BYTES_MAX, timeout=CLOSE_S)
        await socket.prepare(request)
        session = StreamSession(socket, served, rules, abort=lambda: cut(request))
        served.observed.connections += 1
        self._open[session] = converse(session)
        try:
            await session.run(self._open[session])
        finally:
            del self._open[session]
        return socket
