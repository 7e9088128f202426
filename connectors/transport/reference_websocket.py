"""WebSocket client on the `websockets` library: a venue's other choice (`stream_library`), and the reference by which
the one on picows is judged: every test of either runs on both."""

from __future__ import annotations

import asyncio
import socket
import ssl

from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus
from websockets.frames import Close, CloseCode
from websockets.protocol import Event, State
from websockets.uri import parse_uri

from connectors.transport.dial import cut, deadline_after, dial, parse_endpoint
from connectors.transport.errors import HandshakeRefused, NotSent, OutcomeUnknown
from connectors.transport.http_codec import check_head
from connectors.transport.ports import CLOSE_WAIT_MS, SEND_BUFFER_BYTES_MAX, CloseCause, CloseReason, OnMessage
from framework.domain.ports import Clock

_MIB = 1024 * 1024
_BROKEN = frozenset(
    {CloseCode.PROTOCOL_ERROR, CloseCode.UNSUPPORTED_DATA, CloseCode.INVALID_DATA, CloseCode.MESSAGE_TOO_BIG}
)


class _StampedConnection(ClientConnection):
    """The library's connection, noting when each frame came."""

    def __init__(self, protocol: ClientProtocol, *, clock: Clock) -> None:
        super().__init__(protocol, ping_interval=None, close_timeout=CLOSE_WAIT_MS / 1000)
        self.clock = clock
        self.last_received_ns = clock.monotonic_ns()
        self.is_ending = False

    def process_event(self, event: Event) -> None:
        self.last_received_ns = self.clock.monotonic_ns()
        super().process_event(event)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.protocol.close_expected() and not self.is_ending:
            # The library waits for the server to hang up; a server that does not must not hold us.
            self.is_ending = True
            self.loop.call_later(CLOSE_WAIT_MS / 1000, self.transport.abort)


class ReferenceConnection:
    """A `WebSocketConnection` that reads in a task of its own; `wait_closed` or `close` collects it."""

    def __init__(self, connection: _StampedConnection, on_message: OnMessage) -> None:
        """Start reading `connection`, whose handshake is complete."""
        self._connection = connection
        self._on_message = on_message
        self._is_leaving = False
        self._reader = asyncio.get_running_loop().create_task(self._read(), name="websocket-reader")

    @property
    def last_received_ns(self) -> int:
        """Monotonic nanoseconds of the last frame of any kind, pings included; of the handshake before that."""
        return self._connection.last_received_ns

    def send(self, data: bytes) -> None:
        """Queue one text frame of UTF-8.

        Raises NotSent when the connection is closed or over `SEND_BUFFER_BYTES_MAX` wait to be written.
        """
        connection = self._connection
        if self._is_leaving or connection.protocol.state is not State.OPEN:
            raise NotSent("the WebSocket connection is closed; nothing was sent")
        if connection.transport.get_write_buffer_size() > SEND_BUFFER_BYTES_MAX:
            raise NotSent(f"over {SEND_BUFFER_BYTES_MAX} bytes wait to be written: the peer does not read; reconnect")
        connection.protocol.send_text(data)
        connection.send_data()

    async def wait_closed(self) -> CloseReason:
        """Wait for the end, whatever its cause, and end the reading task. Every caller gets the same reason."""
        [outcome] = await asyncio.gather(asyncio.shield(self._reader), return_exceptions=True)
        await self._connection.wait_closed()
        if isinstance(outcome, ConnectionClosed):
            return self._reason(outcome.rcvd, outcome.sent, rcvd_then_sent=outcome.rcvd_then_sent)
        error = outcome if isinstance(outcome, Exception) else None
        return CloseReason(cause=CloseCause.HANDLER, code=CloseCode.INTERNAL_ERROR, text=repr(outcome), error=error)

    async def close(self) -> None:
        """Send a close frame, wait up to `CLOSE_WAIT_MS` for the peer's, then cut. No message is delivered after."""
        if self._connection.protocol.state is State.OPEN:
            self._is_leaving = True
        try:
            async with asyncio.timeout(CLOSE_WAIT_MS / 1000):
                await self._connection.close()
                await self.wait_closed()
        except BaseException as e:
            self._connection.transport.abort()
            if not isinstance(e, TimeoutError):
                raise
            await self.wait_closed()

    async def _read(self) -> None:
        while True:
            message = await self._connection.recv(decode=False)
            if self._is_leaving:
                continue
            try:
                clock = self._connection.clock
                self._on_message(message, clock.now_ns(), clock.monotonic_ns())
            except Exception:
                await self._connection.close(CloseCode.INTERNAL_ERROR)
                raise

    def _reason(self, rcvd: Close | None, sent: Close | None, *, rcvd_then_sent: bool | None) -> CloseReason:
        if self._is_leaving:
            return CloseReason(cause=CloseCause.LOCAL, code=CloseCode.NORMAL_CLOSURE)
        if sent is not None and not rcvd_then_sent and sent.code in _BROKEN:
            return CloseReason(cause=CloseCause.PROTOCOL, code=sent.code, text=sent.reason)
        if rcvd is None:
            return CloseReason(cause=CloseCause.LOST, code=CloseCode.ABNORMAL_CLOSURE)
        return CloseReason(cause=CloseCause.PEER, code=rcvd.code, text=rcvd.reason)


class ReferenceTransport:
    """A `WebSocketTransport`. No compression is offered, no redirect followed."""

    def __init__(
        self,
        base_url: str,
        *,
        clock: Clock,
        tls: ssl.SSLContext | None = None,
        message_bytes_max: int = 16 * _MIB,
        proxy: str = "",
    ) -> None:
        """Connect to `base_url` ("wss://host[:port]"), through `proxy` where one is given. Raises ValueError for a bad
        address and for an unverifying `tls`."""
        self._endpoint = parse_endpoint(base_url, schemes=("ws", "wss"), tls=tls, proxy=proxy)
        self._clock = clock
        self._message_bytes_max = message_bytes_max

    async def connect(
        self,
        target: str,
        headers: tuple[tuple[str, str], ...],
        *,
        on_message: OnMessage,
        timeout_ms: int,
    ) -> ReferenceConnection:
        """Connect and upgrade within `timeout_ms`, as `WebSocketTransport.connect` describes.

        Raises NotSent, OutcomeUnknown, HandshakeRefused and ValueError under the conditions given there.
        """
        check_head(target, headers)
        deadline = deadline_after(timeout_ms)
        url = self._endpoint.url + target
        sock = await dial(self._endpoint, deadline=deadline)
        protocol = ClientProtocol(parse_uri(url), max_size=self._message_bytes_max)
        connection: _StampedConnection | None = None
        try:
            async with asyncio.timeout_at(deadline):
                connection = await self._upgrade(sock, protocol, headers)
        except TimeoutError as e:
            raise OutcomeUnknown(f"time-out while upgrading {url}") from e
        except OSError as e:
            raise NotSent(f"TLS failed for {url}: {e}; nothing was sent") from e
        except InvalidMessage as e:
            raise OutcomeUnknown(f"connection lost or response malformed while upgrading {url}") from e
        except InvalidStatus as e:
            raise HandshakeRefused(e.response.status_code, bytes(e.response.body or b"")) from e
        except InvalidHandshake as e:
            raise HandshakeRefused(101, b"") from e
        else:
            return ReferenceConnection(connection, on_message)
        finally:
            if connection is None:
                cut(sock)

    async def _upgrade(
        self, sock: socket.socket, protocol: ClientProtocol, headers: tuple[tuple[str, str], ...]
    ) -> _StampedConnection:
        end = self._endpoint
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: _StampedConnection(protocol, clock=self._clock),
            sock=sock,
            ssl=end.tls,
            server_hostname=end.host if end.tls is not None else None,
        )
        await connection.handshake(headers, user_agent_header=None)
        return connection
