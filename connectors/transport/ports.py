"""The two Protocols that venue connectors speak to, and the messages that pass through them.

Connectors name these and nothing else of a network, so that a simulation can put in-memory twins in their place.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

import msgspec

from framework.domain.venue import LastWord, nothing_against


class HttpRequest(msgspec.Struct, frozen=True, gc=False):
    """One request, ready to be written.

    `target` is path and query ("/trade-api/v2/markets?limit=5"). Host, Content-Length, Connection and
    Transfer-Encoding belong to the transport and are refused among `headers`. `is_urgent`: it need not wait for a
    connection in use while one more may be opened; for what must not be held up by slow answers to others.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    is_urgent: bool = False


class HttpResponse(msgspec.Struct, frozen=True, gc=False):
    """One complete answer. Header names are lower-case; repeated headers are joined with ", "."""

    status: int
    headers: dict[str, str]
    body: bytes


class HttpTransport(Protocol):
    """Sends requests to one venue host."""

    async def send(
        self, request: HttpRequest, *, timeout_ms: int, last_word: LastWord = nothing_against
    ) -> HttpResponse:
        """Send once and read the whole answer, whatever its status.

        `last_word` is asked when there is a connection, immediately before the write: a reason raises NotSent.

        `timeout_ms` (> 0) covers everything: waiting for a connection, opening it, writing and reading. Raises
        NotSent or OutcomeUnknown; ValueError for a request that must not be written. Cancelling the caller
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


class WebSocketConnection(Protocol):
    """One open WebSocket connection. Call order: send any number of times, then close; wait_closed at any time."""

    @property
    def last_received_ns(self) -> int:
        """Monotonic nanoseconds of the last frame of any kind, pings included; of the handshake before that."""
        ...

    def send(self, data: bytes) -> None:
        """Queue one text frame; `data` is UTF-8. Raises NotSent when closed or when too much is queued already."""
        ...

    async def wait_closed(self) -> CloseReason:
        """Wait for the end, however it comes. Everyone who waits gets the same answer; the owner must wait once."""
        ...

    async def close(self) -> None:
        """Say goodbye (1000), wait briefly for the answer, then cut. No message is delivered after this call."""
        ...


class WebSocketTransport(Protocol):
    """Opens WebSocket connections to one venue host."""

    async def connect(
        self,
        target: str,
        headers: tuple[tuple[str, str], ...],
        *,
        on_message: Callable[[bytes], None],
        timeout_ms: int,
    ) -> WebSocketConnection:
        """Connect and upgrade within `timeout_ms` (> 0).

        `on_message` gets every text and binary message whole, as bytes, in order, called from the event loop,
        possibly before this call returns; text is not checked for UTF-8 (decoders do that). If it raises, the
        connection closes and `wait_closed` tells. Raises NotSent, OutcomeUnknown (time-out, cut or garbled
        handshake), HandshakeRefused; ValueError for a target or header that must not be written.
        """
        ...
