"""The two Protocols through which connectors reach a network, the messages that pass through them, and their limits.

Connectors name these and nothing else of a network, so that a test or a replay can put in-memory twins in their place.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

import msgspec

from framework.domain.venue import LastWord, nothing_against

SEND_BUFFER_BYTES_MAX = 4 * 1024 * 1024
"""Bytes that a WebSocket connection lets wait for a peer that does not read; above it `send` raises `NotSent`."""

CLOSE_WAIT_MS = 500
"""Milliseconds that `WebSocketConnection.close` waits for the peer's close frame before it cuts the connection."""


class HttpRequest(msgspec.Struct, frozen=True, gc=False):
    """One request, ready to be written.

    `target` is path and query ("/trade-api/v2/markets?limit=5"). Host, Content-Length, Connection and
    Transfer-Encoding belong to the transport and are refused among `headers`. `is_urgent`: it need not wait for a
    connection in use while one more may be opened; for cancels, which slow responses to others must not hold up.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    is_urgent: bool = False

    def __repr__(self) -> str:
        # Without query, headers and body: a signature that has not been used is worth an order.
        return f"<HttpRequest {self.method} {self.target.partition('?')[0]}>"


class HttpResponse(msgspec.Struct, frozen=True, gc=False):
    """One complete response. Header names are lower-case; repeated headers are joined with ", "."""

    status: int
    headers: dict[str, str]
    body: bytes


class HttpTransport(Protocol):
    """Sends requests to one venue host: each once, without redirects and without retries."""

    async def send(
        self, request: HttpRequest, *, timeout_ms: int, last_word: LastWord = nothing_against
    ) -> HttpResponse:
        """Send once and read the whole response, whatever its status.

        `timeout_ms` (> 0) covers everything: waiting for a connection, opening it, writing and reading. `last_word`
        is called when there is a connection, immediately before the write: a reason that it returns raises NotSent.

        Raises NotSent or OutcomeUnknown; ValueError for a request that must not be written. Cancelling the caller
        after the write leaves the outcome as unknown as a time-out does.
        """
        ...

    async def close(self) -> None:
        """Close every connection. Requests in flight end with OutcomeUnknown, waiting and later ones with NotSent."""
        ...


class CloseCause(StrEnum):
    """Who ended a WebSocket connection, and why."""

    PEER = "peer"
    """The venue sent a close frame."""
    LOCAL = "local"
    """`close()` was called."""
    LOST = "lost"
    """The connection ended without a close frame."""
    PROTOCOL = "protocol"
    """The venue broke the WebSocket protocol or the size limit."""
    HANDLER = "handler"
    """`on_message` raised; see `CloseReason.error`."""


class CloseReason(msgspec.Struct, frozen=True):
    """How a WebSocket connection ended.

    `code` is the WebSocket close code: 1005 when the peer gave none, 1006 when no close frame was exchanged.
    `error` is what `on_message` raised, only with `CloseCause.HANDLER`.
    """

    cause: CloseCause
    code: int
    text: str = ""
    error: Exception | None = None


OnMessage = Callable[[bytes, int, int], None]
"""Takes one whole message and when it was received: wall nanoseconds, monotonic nanoseconds."""


class WebSocketConnection(Protocol):
    """One open WebSocket connection. Call order: send any number of times, then close; wait_closed at any time."""

    @property
    def last_received_ns(self) -> int:
        """Monotonic nanoseconds of the last frame of any kind, pings included; of the handshake before that."""
        ...

    def send(self, data: bytes) -> None:
        """Queue one text frame; `data` is UTF-8.

        Raises NotSent when the connection is closed or over `SEND_BUFFER_BYTES_MAX` wait to be written.
        """
        ...

    async def wait_closed(self) -> CloseReason:
        """Wait for the end, whatever its cause. Every caller gets the same reason; the owner must wait once."""
        ...

    async def close(self) -> None:
        """Send a close frame (1000), wait up to `CLOSE_WAIT_MS` for the peer's, then cut the connection.

        No message is delivered after this call.
        """
        ...


class WebSocketTransport(Protocol):
    """Opens WebSocket connections to one venue host."""

    async def connect(
        self,
        target: str,
        headers: tuple[tuple[str, str], ...],
        *,
        on_message: OnMessage,
        timeout_ms: int,
    ) -> WebSocketConnection:
        """Connect and upgrade within `timeout_ms` (> 0).

        `on_message` gets every text and binary message whole, as bytes, in order, called from the event loop just after
        the clocks were read, possibly before this call returns; text is not checked for UTF-8 (decoders do that). If it
        raises, the connection closes with `CloseCause.HANDLER`. Raises NotSent; OutcomeUnknown for a time-out and a cut
        or malformed handshake; HandshakeRefused; ValueError for a target or header that must not be written.
        """
        ...
