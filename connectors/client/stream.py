"""Keeps one WebSocket connection to a venue alive: connect, feed the session, notice silence, connect again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from connectors.client.session import StreamBroken, StreamSession
from connectors.client.wire.decimals import NS_PER_MS
from connectors.transport.errors import HandshakeRefused, NotSent, TransportError
from connectors.transport.ports import CloseCause, CloseReason, OnMessage, WebSocketConnection, WebSocketTransport
from connectors.transport.reconnect import HEALTHY_NS, Backoff, SilenceWatch
from connectors.transport.websocket import PicowsTransport
from framework.domain.loading import load_late
from framework.domain.ports import Clock

Dial = Callable[[OnMessage], Awaitable[WebSocketConnection]]
"""Opens a connection that passes each message to the function given, freshly signed where the venue wants that."""

MakeSession = Callable[[Callable[[bytes], None]], StreamSession]
"""Makes the session of one connection; it sends its commands through the function given."""


def _websockets(origin: str, **options: Any) -> WebSocketTransport:
    # Loaded when a venue names it: the library costs memory and time at every start.
    transport: WebSocketTransport = load_late("connectors.transport.reference_websocket:ReferenceTransport")(
        origin, **options
    )
    return transport


LIBRARIES: Mapping[str, Callable[..., WebSocketTransport]] = {"picows": PicowsTransport, "websockets": _websockets}
"""What the setting `stream_library` of a venue may be. Both keep the same contract, limits and errors."""

Headers = tuple[tuple[str, str], ...]
"""Names and values that an upgrade carries beside those of the protocol."""

_TICK_MS = 250


def open_stream_transport(library: str, origin: str, *, clock: Clock, proxy: str = "") -> WebSocketTransport:
    """The WebSocket client for an address ("wss://host"), through `proxy` where one is given; no connection is opened
    yet. Raises `KeyError` for another library and ValueError for an address that is none."""
    return LIBRARIES[library](origin, clock=clock, proxy=proxy)


def _no_headers() -> Headers:
    return ()


async def _nothing_final(_refusal: HandshakeRefused) -> None:
    """Whatever it was refused for, it is tried again."""


class StreamDial:
    """Opens the connections of one venue's stream, each with headers of its own."""

    def __init__(
        self,
        transport: WebSocketTransport,
        target: str,
        *,
        timeout_ms: int,
        headers: Callable[[], Headers] = _no_headers,
        judge: Callable[[HandshakeRefused], Awaitable[None]] = _nothing_final,
        on_open: Callable[[], None] = lambda: None,
    ) -> None:
        """`headers` signs an attempt, `judge` raises for a refusal that another attempt would not cure, and `on_open`
        is called when the venue has taken one: its host can be reached."""
        self._transport = transport
        self._target = target
        self._timeout_ms = timeout_ms
        self._headers = headers
        self._judge = judge
        self._on_open = on_open

    async def open(self, on_message: OnMessage) -> WebSocketConnection:
        """A `Dial`. Raises like `WebSocketTransport.connect`, and what `judge` raises."""
        try:
            connection = await self._transport.connect(
                self._target, self._headers(), on_message=on_message, timeout_ms=self._timeout_ms
            )
        except HandshakeRefused as e:
            await self._judge(e)
            raise
        self._on_open()
        return connection


class VenueStream:
    """Runs sessions, one after the other, until cancelled. One connection at a time."""

    def __init__(
        self, dial: Dial, make_session: MakeSession, *, clock: Clock, backoff: Backoff, silence_ms_max: int
    ) -> None:
        """`silence_ms_max`: without a frame or ping for this long, a connection counts as dead."""
        self._dial = dial
        self._make_session = make_session
        self._clock = clock
        self._backoff = backoff
        self._silence_ns_max = silence_ms_max * NS_PER_MS
        self._session: StreamSession | None = None
        self.connects = 0
        """Connection attempts since start."""

    def __repr__(self) -> str:
        return f"<VenueStream connects={self.connects} {self._session!r}>"

    async def run(self) -> None:
        """Stay connected until cancelled. Raises what a new connection would not cure, such as a refused key."""
        while True:
            if self.connects:
                await asyncio.sleep(self._backoff.next_delay_ms(self._clock.monotonic_ns()) / 1000)
            self._backoff.record_connect(self._clock.monotonic_ns())
            self.connects += 1
            await self._one_connection()

    def follow_new(self) -> None:
        """Stream the markets that are followed since the last call. Without a connection the next one asks for them."""
        if self._session is not None:
            # A connection that takes nothing any more is noticed by `_watch`; the caller could do nothing about it.
            with contextlib.suppress(NotSent):
                self._session.follow_new()

    def resync(self, symbol: str) -> None:
        """Ask for a market's whole book again. Without a connection the next one brings it anyway."""
        if self._session is not None:
            with contextlib.suppress(NotSent):
                self._session.resync(symbol, ts_recv=self._clock.now_ns(), now_ns=self._clock.monotonic_ns())

    async def _one_connection(self) -> None:
        link = _Link()
        session = self._make_session(link.send)
        reason = "stopped"
        try:
            link.connection = await self._dial(session.receive)
            self._session = session
            session.open(ts_recv=self._clock.now_ns(), now_ns=self._clock.monotonic_ns())
            reason = await self._watch(session, link.connection)
        except (StreamBroken, TransportError) as e:
            reason = str(e)
        finally:
            self._session = None
            session.close(reason, ts_recv=self._clock.now_ns())
            if link.connection is not None:
                await link.connection.close()
                await link.connection.wait_closed()

    async def _watch(self, session: StreamSession, connection: WebSocketConnection) -> str:
        """Tick until the connection ends, and say why it did. Raises what `on_message` raised."""
        started_ns = self._clock.monotonic_ns()
        silence = SilenceWatch(self._silence_ns_max, started_ns=started_ns)
        closed = asyncio.ensure_future(connection.wait_closed())
        is_proven = False
        try:
            while not closed.done():
                await asyncio.wait({closed}, timeout=_TICK_MS / 1000)
                now_ns = self._clock.monotonic_ns()
                silence.on_receive(connection.last_received_ns)
                if silence.is_silent(now_ns):
                    raise StreamBroken(f"nothing was heard for {self._silence_ns_max // NS_PER_MS} ms")
                if not closed.done():
                    session.tick(ts_recv=self._clock.now_ns(), now_ns=now_ns)
                if not is_proven and session.is_up and now_ns - started_ns >= HEALTHY_NS:
                    is_proven = True
                    self._backoff.reset()
        finally:
            if not closed.done():
                closed.cancel()
                await asyncio.wait({closed})
        return _reason_of(closed.result())


class _Link:
    """A session's way to its connection, which does not exist yet when the session is made."""

    def __init__(self) -> None:
        self.connection: WebSocketConnection | None = None

    def send(self, data: bytes) -> None:
        if self.connection is not None:
            self.connection.send(data)


def _reason_of(end: CloseReason) -> str:
    """Why the connection ended. What our own side raised is raised again."""
    if end.error is not None:
        raise end.error
    if end.cause is CloseCause.LOST:
        return "the connection was lost"
    return f"the connection ended: {end.cause.value} {end.code} {end.text}".rstrip()
