"""WebSocket client on picows: the fast path. Nearly every message is one frame; fragments are joined here, too."""

from __future__ import annotations

import asyncio
import socket
import ssl

import picows

from connectors.transport.dial import cut, deadline_after, dial, parse_endpoint
from connectors.transport.errors import HandshakeRefused, NotSent, OutcomeUnknown
from connectors.transport.http_codec import check_head
from connectors.transport.ports import CLOSE_WAIT_MS, SEND_BUFFER_BYTES_MAX, CloseCause, CloseReason, OnMessage
from framework.domain.ports import Clock

NORMAL, NO_CODE, NO_CLOSE_FRAME, HANDLER_FAILED = 1000, 1005, 1006, 1011
_MIB = 1024 * 1024
_KIND, _CODE = picows.WSMsgType, picows.WSCloseCode
_TEXT, _BINARY = _KIND.TEXT, _KIND.BINARY


class FragmentError(Exception):
    """The frames break the protocol (`is_too_big` False) or the size limit (`is_too_big` True)."""

    def __init__(self, text: str, *, is_too_big: bool = False) -> None:
        """`text` names the fault; it becomes the text of the close frame."""
        super().__init__(text)
        self.is_too_big = is_too_big


class MessageAssembler:
    """Joins the fragments of one message at a time, up to a size."""

    def __init__(self, *, message_bytes_max: int) -> None:
        """Refuse messages over `message_bytes_max` bytes, counted over all their fragments."""
        self._message_bytes_max = message_bytes_max
        self._pieces: list[bytes] = []
        self._size = 0
        self.is_midway = False
        """Whether a message has begun and not ended."""

    def take(self, payload: bytes, *, fin: bool, continues: bool) -> bytes | None:
        """Take one data frame; return the message that it completes, else None.

        `fin`: it is the last of its message. `continues`: it is a continuation frame. Raises FragmentError for an
        order of frames that the protocol forbids and for a message over the limit.
        """
        if continues != self.is_midway:
            raise FragmentError("a continuation without a start" if continues else "a new message inside another")
        self._size += len(payload)
        if self._size > self._message_bytes_max:
            raise FragmentError(f"message over {self._message_bytes_max} bytes", is_too_big=True)
        self._pieces.append(payload)
        self.is_midway = not fin
        if not fin:
            return None
        message = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        return message


class PicowsConnection(picows.WSListener):
    """A `WebSocketConnection`. Its `on_ws_*`, `pause_writing` and `resume_writing` are called by picows only."""

    def __init__(self, *, clock: Clock, on_message: OnMessage, message_bytes_max: int) -> None:
        """Deliver whole messages of up to `message_bytes_max` bytes to `on_message`."""
        self.last_received_ns = clock.monotonic_ns()
        self._now_ns, self._monotonic_ns = clock.now_ns, clock.monotonic_ns
        self._on_message = on_message
        self._assembler = MessageAssembler(message_bytes_max=message_bytes_max)
        self._transport: picows.WSTransport | None = None
        self._error: Exception | None = None
        self._is_leaving = False

    def send(self, data: bytes) -> None:
        """Queue one text frame of UTF-8.

        Raises NotSent when the connection is closed or over `SEND_BUFFER_BYTES_MAX` wait to be written.
        """
        transport = self._transport
        if transport is None or transport.is_close_frame_sent or transport.is_disconnected:
            raise NotSent("the WebSocket connection is closed; nothing was sent")
        if transport.underlying_transport.get_write_buffer_size() > SEND_BUFFER_BYTES_MAX:
            raise NotSent(f"over {SEND_BUFFER_BYTES_MAX} bytes wait to be written: the peer does not read; reconnect")
        transport.send(_TEXT, data)

    async def wait_closed(self) -> CloseReason:
        """Wait for the end, whatever its cause. Every caller gets the same reason."""
        transport = self._transport
        if transport is None:
            return CloseReason(cause=CloseCause.LOST, code=NO_CLOSE_FRAME)
        [outcome] = await asyncio.gather(transport.wait_disconnected(), return_exceptions=True)
        error = self._error
        if error is not None:
            return CloseReason(cause=CloseCause.HANDLER, code=HANDLER_FAILED, text=repr(error), error=error)
        if isinstance(outcome, picows.WSProtocolError):
            return CloseReason(cause=CloseCause.PROTOCOL, code=outcome.code.value, text=str(outcome))
        if self._is_leaving:
            return CloseReason(cause=CloseCause.LOCAL, code=NORMAL)
        handshake = transport.close_handshake
        if handshake is None or handshake.recv is None:
            return CloseReason(cause=CloseCause.LOST, code=NO_CLOSE_FRAME, text=str(outcome or ""))
        code = handshake.recv.code.value or NO_CODE
        return CloseReason(cause=CloseCause.PEER, code=code, text=handshake.recv.reason or "")

    async def close(self) -> None:
        """Send a close frame, wait briefly for the peer's, then cut. No message is delivered after this call."""
        transport = self._transport
        if transport is None or transport.is_disconnected:
            return
        if not transport.is_close_frame_sent:
            self._is_leaving = True
            transport.send_close(_CODE.OK)
        try:
            async with asyncio.timeout(CLOSE_WAIT_MS / 1000):
                await self.wait_closed()
        except BaseException as e:
            transport.disconnect(graceful=False)
            if not isinstance(e, TimeoutError):
                raise
            await self.wait_closed()

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """Called by picows when the upgrade is done, before the first frame."""
        self.last_received_ns = self._monotonic_ns()
        self._transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Called by picows with each frame. Raises what `on_message` raises, which closes the connection."""
        self.last_received_ns = self._monotonic_ns()
        kind = frame.msg_type
        if kind == _TEXT or kind == _BINARY or kind == _KIND.CONTINUATION:
            # After our close frame (`close`, failed handler, broken protocol) nothing more is delivered.
            if not transport.is_close_frame_sent:
                self._take(frame, continues=kind == _KIND.CONTINUATION)
        elif kind == _KIND.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind == _KIND.CLOSE:
            if not transport.is_close_frame_sent:
                code = frame.get_close_code()
                transport.send_close(_CODE.OK if code == _CODE.NO_INFO else code)
            transport.disconnect()

    def pause_writing(self) -> None:
        """Called by picows when the write buffer fills; nothing is done, because `send` keeps its own limit."""

    def resume_writing(self) -> None:
        """Called by picows when the write buffer has drained; nothing is done."""

    def _take(self, frame: picows.WSFrame, *, continues: bool) -> None:
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            raise picows.WSProtocolError(_CODE.PROTOCOL_ERROR, "reserved bit set without a negotiated extension")
        payload = frame.get_payload_as_bytes()
        if continues or not frame.fin or self._assembler.is_midway:
            message = self._assemble(payload, fin=frame.fin, continues=continues)
            if message is None:
                return
            payload = message
        try:
            # The last frame's time is this one's: what is received now is not dated twice.
            self._on_message(payload, self._now_ns(), self.last_received_ns)
        except Exception as e:
            self._error = e
            raise

    def _assemble(self, payload: bytes, *, fin: bool, continues: bool) -> bytes | None:
        try:
            return self._assembler.take(payload, fin=fin, continues=continues)
        except FragmentError as e:
            code = _CODE.MESSAGE_TOO_BIG if e.is_too_big else _CODE.PROTOCOL_ERROR
            raise picows.WSProtocolError(code, str(e)) from e


class PicowsTransport:
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
    ) -> PicowsConnection:
        """Connect and upgrade within `timeout_ms`, as `WebSocketTransport.connect` describes.

        Raises NotSent, OutcomeUnknown, HandshakeRefused and ValueError under the conditions given there. A refusal's
        body is what came together with its head.
        """
        check_head(target, headers)
        deadline = deadline_after(timeout_ms)
        url = self._endpoint.url + target
        sock = await dial(self._endpoint, deadline=deadline)
        connection = PicowsConnection(
            clock=self._clock, on_message=on_message, message_bytes_max=self._message_bytes_max
        )
        try:
            async with asyncio.timeout_at(deadline):
                await self._upgrade(sock, connection, url, headers)
        except TimeoutError as e:
            cut(sock)
            raise OutcomeUnknown(f"time-out while upgrading {url}") from e
        except OSError as e:
            cut(sock)
            raise NotSent(f"TLS failed for {url}: {e}; nothing was sent") from e
        except picows.WSHandshakeError as e:
            if e.response is None:
                raise OutcomeUnknown(f"garbled answer to the upgrade of {url}: {e}") from e
            raise HandshakeRefused(e.response.status, e.raw_body or b"") from e
        except BaseException:
            cut(sock)
            raise
        return connection

    async def _upgrade(
        self, sock: socket.socket, connection: PicowsConnection, url: str, headers: tuple[tuple[str, str], ...]
    ) -> None:
        _, listener = await picows.ws_connect(
            lambda request, response: _accept(connection, response),
            url,
            ssl_context=self._endpoint.tls,
            # The caller's time-out covers the handshake; cutting the socket ends what picows keeps after it.
            websocket_handshake_timeout=None,
            # Pongs are sent in on_ws_frame, because a ping counts as a sign of life and must be seen there.
            enable_auto_pong=False,
            max_frame_size=self._message_bytes_max,
            extra_headers=headers,
            max_redirects=0,
            socket_factory=lambda _: sock,
        )
        # picows reports a connection lost in mid-handshake by returning no listener.
        if listener is None:
            raise OutcomeUnknown(f"connection lost while upgrading {url}")


def _accept(connection: PicowsConnection, response: picows.WSUpgradeResponse) -> PicowsConnection:
    """The connection, unless the venue takes up an extension or a protocol that was not offered: its frames could not
    be read. Raises `HandshakeRefused`."""
    headers = response.headers
    if "Sec-WebSocket-Extensions" in headers or "Sec-WebSocket-Protocol" in headers:
        raise HandshakeRefused(101, b"it takes up what was not offered")
    return connection
