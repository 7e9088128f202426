"""One keep-alive HTTP/1.1 connection: one request at a time, one write per request."""

from __future__ import annotations

import asyncio
import select
import socket
from typing import cast

from connectors.transport.errors import OutcomeUnknown
from connectors.transport.http_codec import MalformedResponse, ResponseReader
from connectors.transport.ports import HttpResponse
from connectors.transport.reconnect import Attempt


class Http1Connection(asyncio.Protocol):
    """Made by `loop.create_connection`. Call order: `is_idle()`, then `exchange()` with no `await` between them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, body_bytes_max: int) -> None:
        """Limit the body of each response to `body_bytes_max` bytes; a longer one ends the connection."""
        self.idle_since_ns = 0
        """Monotonic nanoseconds since when it is idle; set by the pool."""
        self.attempt: Attempt | None = None
        """The attempt that opened it; None when no breaker counts attempts."""
        self.is_proved = False
        """Whether it has carried a whole response."""
        self.closed: asyncio.Future[None] = loop.create_future()
        """Done once the socket is gone."""
        self._loop = loop
        self._reader = ResponseReader(body_bytes_max=body_bytes_max)
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self._pending: asyncio.Future[HttpResponse] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def exchange(self, payload: bytes, *, deadline: float) -> asyncio.Future[HttpResponse]:
        """Write `payload` at once and return the future of its response.

        The future fails with OutcomeUnknown at `deadline` (loop time) and when the connection ends. Raises
        RuntimeError, with nothing written, on a connection that is not idle.
        """
        transport = self._transport
        if transport is None or not self.is_idle():
            raise RuntimeError("exchange on a connection that is not idle; check is_idle() first")
        self._reader.begin()
        pending: asyncio.Future[HttpResponse] = self._loop.create_future()
        self._pending = pending
        self._timer = self._loop.call_at(deadline, self._timed_out)
        transport.write(payload)
        return pending

    def is_idle(self) -> bool:
        """Whether it is open, no response is outstanding, and the last exchange left it fit for another."""
        transport = self._transport
        return (
            transport is not None and self._pending is None and self._reader.is_reusable and not transport.is_closing()
        )

    def is_drained(self) -> bool:
        """Whether everything written has left: false when a response came before its request was written whole.

        Meaningless on a TLS connection that was just opened, where some loops count the rest of the handshake.
        """
        return self._transport is not None and self._transport.get_write_buffer_size() == 0

    def is_quiet(self) -> bool:
        """Whether nothing waits in the socket. On an idle connection anything readable is an end of file or a fault."""
        return not self._poll.poll(0)

    def abort(self) -> None:
        """Cut the connection at once. A pending exchange fails with OutcomeUnknown."""
        self._fail("the connection was closed on our side")
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop: the connection is open (TLS established)."""
        self._transport = cast(asyncio.Transport, transport)
        sock: socket.socket = transport.get_extra_info("socket")
        # One request is one write, so holding it back to join it with a next one could only cost time.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._poll.register(sock.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Called by the loop with received bytes. Bytes that no request is waiting for end the connection."""
        pending = self._pending
        if pending is None or pending.done():
            self.abort()
            return
        try:
            response = self._reader.feed(data)
        except MalformedResponse as e:
            self._fail(f"malformed response: {e}")
            self.abort()
            return
        if response is not None:
            self._end_exchange()
            pending.set_result(response)

    def eof_received(self) -> bool:
        """Called by the loop: the peer closed its side; so do we."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop: the connection is gone. A pending exchange fails with OutcomeUnknown."""
        how = f"lost ({exc})" if exc else "closed by the peer"
        self._fail(f"connection {how} after {self._reader.bytes_received} bytes of an incomplete response")
        self._reader.is_reusable = False
        self._reader.release()
        if not self.closed.done():
            self.closed.set_result(None)

    def _timed_out(self) -> None:
        self._fail(f"time-out after {self._reader.bytes_received} bytes of the response")
        self.abort()

    def _fail(self, why: str) -> None:
        pending = self._pending
        if pending is None:
            return
        self._end_exchange()
        self._reader.is_reusable = False
        if not pending.done():
            pending.set_exception(OutcomeUnknown(f"{why}; ask the venue what became of the request"))

    def _end_exchange(self) -> None:
        self._pending = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
