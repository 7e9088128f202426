"""One keep-alive HTTP/1.1 connection: one request at a time, one write per request."""

from __future__ import annotations

import asyncio
import select
import socket
from typing import cast

from connectors.transport.errors import OutcomeUnknown
from connectors.transport.http_codec import AnswerReader, GarbledAnswer
from connectors.transport.ports import HttpResponse
from connectors.transport.reconnect import Attempt


class Http1Connection(asyncio.Protocol):
    """Made by `loop.create_connection`. Call order: `is_idle()`, then `exchange()` with no suspension between."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, body_bytes_max: int) -> None:
        """Bound the body of each answer by `body_bytes_max`."""
        self.idle_since_ns = 0
        self.attempt: Attempt | None = None
        """The attempt that made it, if a breaker counts them."""
        self.is_proved = False
        """Whether it has carried a whole answer."""
        self.closed: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._reader = AnswerReader(body_bytes_max=body_bytes_max)
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self._pending: asyncio.Future[HttpResponse] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def exchange(self, payload: bytes, *, deadline: float) -> asyncio.Future[HttpResponse]:
        """Write `payload` and return the future of its answer; it fails with OutcomeUnknown at `deadline`.

        `deadline` is in loop time. Raises RuntimeError, with nothing written, on a connection that is not idle.
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
        """Open, no answer outstanding, and the last exchange left the connection fit for another."""
        transport = self._transport
        return (
            transport is not None and self._pending is None and self._reader.is_reusable and not transport.is_closing()
        )

    def is_drained(self) -> bool:
        """Everything written has left: false when an answer overtook its own request.

        Meaningless on a TLS connection that was just opened, where some loops count the rest of the handshake.
        """
        return self._transport is not None and self._transport.get_write_buffer_size() == 0

    def is_quiet(self) -> bool:
        """Nothing waits in the socket. On an idle connection anything readable is an end of file or a surprise."""
        return not self._poll.poll(0)

    def abort(self) -> None:
        """Cut at once. A pending exchange fails with OutcomeUnknown."""
        self._fail("the connection was closed on our side")
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop: the connection is open (TLS established)."""
        self._transport = cast(asyncio.Transport, transport)
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._poll.register(sock.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Called by the loop: bytes arrived."""
        pending = self._pending
        if pending is None or pending.done():
            self.abort()
            return
        try:
            answer = self._reader.feed(data)
        except GarbledAnswer as e:
            self._fail(f"garbled answer: {e}")
            self.abort()
            return
        if answer is not None:
            self._settle()
            pending.set_result(answer)

    def eof_received(self) -> bool:
        """Called by the loop: the peer closed its side; so do we."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop: the connection is gone."""
        how = f"lost ({exc})" if exc else "closed by the peer"
        self._fail(f"connection {how} after {self._reader.bytes_received} bytes of an incomplete answer")
        self._reader.is_reusable = False
        self._reader.release()
        if not self.closed.done():
            self.closed.set_result(None)

    def _timed_out(self) -> None:
        self._fail(f"time-out after {self._reader.bytes_received} bytes of the answer")
        self.abort()

    def _fail(self, why: str) -> None:
        pending = self._pending
        if pending is None:
            return
        self._settle()
        self._reader.is_reusable = False
        if not pending.done():
            pending.set_exception(OutcomeUnknown(f"{why}; ask the venue what became of the request"))

    def _settle(self) -> None:
        self._pending = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
