"""The same cases on the fast path and on the reference client."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
from collections.abc import Callable
from contextlib import suppress

import pytest
from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as serve_websocket
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from connectors.client.stream import LIBRARIES
from connectors.transport.errors import HandshakeRefused, NotSent, OutcomeUnknown
from connectors.transport.ports import CloseCause, CloseReason, OnMessage, WebSocketConnection, WebSocketTransport
from tests.connectors.transport.loopback import Handler, ManualClock, Serve, Wire

Connect = Callable[[int], WebSocketTransport]

LIMIT = 100_000


@pytest.fixture(params=LIBRARIES)
def transport_to(request: pytest.FixtureRequest, clock: ManualClock) -> Connect:
    kind = LIBRARIES[request.param]
    return lambda port: kind(f"ws://127.0.0.1:{port}", clock=clock, message_bytes_max=LIMIT)


def port_of(server: Server) -> int:
    port: int = next(iter(server.sockets)).getsockname()[1]
    return port


def ignore(message: bytes, ts_recv: int, now_ns: int) -> None:
    """A handler that needs nothing."""


def into(take: Callable[[bytes], object]) -> OnMessage:
    """A handler that needs the message only."""
    return lambda message, _ts_recv, _now_ns: take(message) and None


async def echo(connection: ServerConnection) -> None:
    with suppress(ConnectionClosed):
        async for message in connection:
            await connection.send(message)


def upgraded(frames: Handler, extra: bytes = b"") -> Handler:
    """Speak the server's handshake byte by byte, then pass the raw connection on."""

    async def handle(wire: Wire) -> None:
        head, _ = await wire.request()
        key = next(line.split(": ")[1] for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key"))
        digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()  # noqa: S324
        await wire.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n" + extra + b"\r\n"
        )
        await frames(wire)

    return handle


async def test_messages_when_echoed_then_they_come_back_as_bytes_in_order(transport_to: Connect) -> None:
    got: asyncio.Queue[bytes] = asyncio.Queue()
    async with serve_websocket(echo, "127.0.0.1", 0) as server:
        connection = await transport_to(port_of(server)).connect(
            "/ws", (), on_message=into(got.put_nowait), timeout_ms=1000
        )
        sent = [b'{"id":%d}' % i for i in range(100)] + ["é".encode(), b"", b"x" * LIMIT]
        for message in sent:
            connection.send(message)
        assert [await asyncio.wait_for(got.get(), 30) for _ in sent] == sent
        await connection.close()
        assert await connection.wait_closed() == CloseReason(cause=CloseCause.LOCAL, code=1000)


async def test_connect_when_headers_are_given_then_the_upgrade_carries_them(transport_to: Connect) -> None:
    seen: list[tuple[str, str | None, str | None]] = []

    async def note(connection: ServerConnection) -> None:
        assert connection.request is not None
        headers = connection.request.headers
        seen.append((connection.request.path, headers.get("X-Key"), headers.get("Sec-WebSocket-Extensions")))

    async with serve_websocket(note, "127.0.0.1", 0) as server:
        transport = transport_to(port_of(server))
        connection = await transport.connect("/ws/v2?a=b", (("X-Key", "k"),), on_message=ignore, timeout_ms=1000)
        await connection.wait_closed()
    assert seen == [("/ws/v2?a=b", "k", None)]


async def test_binary_and_fragments_when_received_then_each_message_is_whole(transport_to: Connect) -> None:
    got: list[bytes] = []

    async def pieces(connection: ServerConnection) -> None:
        await connection.send(b"\x00\xff")
        await connection.send(["ab", "", "cd"])
        await connection.send("after")

    async with serve_websocket(pieces, "127.0.0.1", 0) as server:
        connection = await transport_to(port_of(server)).connect("/", (), on_message=into(got.append), timeout_ms=1000)
        reason = await connection.wait_closed()
    assert got == [b"\x00\xff", b"abcd", b"after"]
    assert reason == CloseReason(cause=CloseCause.PEER, code=1000)


async def test_ping_when_received_then_answered_and_counted_as_a_sign_of_life(
    transport_to: Connect, clock: ManualClock
) -> None:
    async def ping(connection: ServerConnection) -> None:
        await connection.recv()
        await (await connection.ping("heartbeat"))
        await connection.send("ponged")
        await connection.wait_closed()

    got: asyncio.Queue[bytes] = asyncio.Queue()
    async with serve_websocket(ping, "127.0.0.1", 0) as server:
        connection = await transport_to(port_of(server)).connect(
            "/", (), on_message=into(got.put_nowait), timeout_ms=1000
        )
        assert connection.last_received_ns == clock.monotonic_ns()
        clock.advance_ms(500)
        connection.send(b"go")
        assert await asyncio.wait_for(got.get(), 30) == b"ponged"
        await connection.close()


@pytest.mark.parametrize("frame", [b"\x89\x02hi", b"\x8a\x02hi", b"\x81\x02hi", b"\x01\x02hi"])
async def test_any_frame_when_received_then_last_received_moves(
    frame: bytes, transport_to: Connect, clock: ManualClock, serve: Serve
) -> None:
    answered, seen = asyncio.Event(), asyncio.Event()

    async def one(wire: Wire) -> None:
        await wire.reader.readexactly(8)
        await wire.write(frame)
        answered.set()
        await seen.wait()

    server = await serve(upgraded(one))
    connection = await transport_to(server.port).connect("/", (), on_message=ignore, timeout_ms=1000)
    before = connection.last_received_ns
    clock.advance_ms(500)
    connection.send(b"go")
    await asyncio.wait_for(answered.wait(), 30)
    await asyncio.sleep(0.02)
    assert connection.last_received_ns == clock.monotonic_ns() > before
    seen.set()
    await connection.wait_closed()


@pytest.mark.parametrize(("code", "text"), [(1000, "bye"), (1001, ""), (1008, "policy"), (4001, "venue's own")])
async def test_close_when_the_peer_closes_then_code_and_text_are_reported(
    code: int, text: str, transport_to: Connect
) -> None:
    async def leave(connection: ServerConnection) -> None:
        await connection.close(code, text)

    async with serve_websocket(leave, "127.0.0.1", 0) as server:
        connection = await transport_to(port_of(server)).connect("/", (), on_message=ignore, timeout_ms=1000)
        reason = await connection.wait_closed()
        assert reason == CloseReason(cause=CloseCause.PEER, code=code, text=text)
        assert await connection.wait_closed() == reason
        with pytest.raises(NotSent):
            connection.send(b"late")
        await connection.close()


RAW = {
    "no code": (b"\x88\x00", CloseCause.PEER, 1005),
    "cut in mid-frame": (b"\x81\x7ehal", CloseCause.LOST, 1006),
    "cut without a word": (b"", CloseCause.LOST, 1006),
    "masked by the server": (b"\x81\x82\x00\x00\x00\x00hi", CloseCause.PROTOCOL, 1002),
    "reserved bit": (b"\xc1\x02hi", CloseCause.PROTOCOL, 1002),
    "unknown opcode": (b"\x83\x00", CloseCause.PROTOCOL, 1002),
    "continuation of nothing": (b"\x80\x02hi", CloseCause.PROTOCOL, 1002),
    "message inside a message": (b"\x01\x02hi\x81\x02ho", CloseCause.PROTOCOL, 1002),
    "frame over the limit": (b"\x82\x7f" + (LIMIT + 1).to_bytes(8, "big"), CloseCause.PROTOCOL, 1009),
    "fragments over the limit": (
        b"\x02\x7e\xff\xff" + bytes(65535) + b"\x80\x7e\xff\xff" + bytes(65535),
        CloseCause.PROTOCOL,
        1009,
    ),
}


@pytest.mark.parametrize("case", RAW)
async def test_close_when_the_wire_misbehaves_then_the_cause_is_reported_and_nothing_delivered(
    case: str, transport_to: Connect, serve: Serve
) -> None:
    frames, cause, code = RAW[case]
    got: list[bytes] = []

    async def handle(wire: Wire) -> None:
        await wire.write(frames)
        if cause is not CloseCause.LOST:
            await wire.reader.read(1)

    server = await serve(upgraded(handle))
    connection = await transport_to(server.port).connect("/", (), on_message=into(got.append), timeout_ms=1000)
    reason = await asyncio.wait_for(connection.wait_closed(), 30)
    assert (reason.cause, reason.code) == (cause, code)
    assert got == []


async def test_handler_when_it_raises_then_connection_closes_and_the_error_is_reported(transport_to: Connect) -> None:
    got: list[bytes] = []
    failure = LookupError("unknown instrument")
    closed_with: list[int | None] = []

    def fail_on_second(message: bytes, ts_recv: int, now_ns: int) -> None:
        got.append(message)
        if len(got) == 2:
            raise failure

    async def flood(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            for i in range(1000):
                await connection.send(str(i))
        await connection.wait_closed()
        closed_with.append(connection.close_code)

    async with serve_websocket(flood, "127.0.0.1", 0) as server:
        connection = await transport_to(port_of(server)).connect("/", (), on_message=fail_on_second, timeout_ms=1000)
        reason = await asyncio.wait_for(connection.wait_closed(), 30)
    assert (reason.cause, reason.code, reason.error) == (CloseCause.HANDLER, 1011, failure)
    assert got == [b"0", b"1"]
    assert closed_with == [1011]


async def test_close_when_the_peer_never_answers_then_it_is_cut_soon(transport_to: Connect, serve: Serve) -> None:
    async def deaf(wire: Wire) -> None:
        await asyncio.sleep(30)

    server = await serve(upgraded(deaf))
    connection = await transport_to(server.port).connect("/", (), on_message=ignore, timeout_ms=1000)
    await asyncio.wait_for(connection.close(), 30)
    assert (await connection.wait_closed()).cause is CloseCause.LOCAL
    with pytest.raises(NotSent):
        connection.send(b"late")


async def test_wait_closed_when_the_peer_sends_a_close_frame_but_never_hangs_up_then_it_ends_soon(
    transport_to: Connect, serve: Serve
) -> None:
    async def clingy(wire: Wire) -> None:
        await wire.write(b"\x88\x02\x03\xe9")
        await asyncio.sleep(30)

    server = await serve(upgraded(clingy))
    connection = await transport_to(server.port).connect("/", (), on_message=ignore, timeout_ms=1000)
    reason = await asyncio.wait_for(connection.wait_closed(), 30)
    assert (reason.cause, reason.code) == (CloseCause.PEER, 1001)


async def test_messages_when_they_arrive_after_close_then_not_delivered(transport_to: Connect, serve: Serve) -> None:
    got: list[bytes] = []

    async def late(wire: Wire) -> None:
        await wire.reader.readexactly(8)
        await wire.write(b"\x81\x04late", b"\x88\x02\x03\xe8")

    server = await serve(upgraded(late))
    connection = await transport_to(server.port).connect("/", (), on_message=into(got.append), timeout_ms=1000)
    await connection.close()
    assert got == []


async def test_send_when_the_peer_does_not_read_then_refused_before_memory_fills(
    transport_to: Connect, serve: Serve
) -> None:
    async def deaf(wire: Wire) -> None:
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(30)

    server = await serve(upgraded(deaf))
    connection = await transport_to(server.port).connect("/", (), on_message=ignore, timeout_ms=1000)
    with pytest.raises(NotSent, match="does not read"):
        _flood(connection)
    await connection.close()


def _flood(connection: WebSocketConnection) -> None:
    for _ in range(100):
        connection.send(b"x" * 1_000_000)


async def test_connect_when_refused_by_the_venue_then_status_and_body_are_reported(transport_to: Connect) -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(401, '{"error":{"code":"authentication_error"}}')

    async with serve_websocket(echo, "127.0.0.1", 0, process_request=refuse) as server:
        with pytest.raises(HandshakeRefused) as caught:
            await transport_to(port_of(server)).connect("/", (), on_message=ignore, timeout_ms=1000)
    assert caught.value.status == 401
    assert caught.value.body == b'{"error":{"code":"authentication_error"}}'


async def test_connect_when_redirected_then_refused_because_credentials_stay_here(
    transport_to: Connect, serve: Serve
) -> None:
    async def elsewhere(wire: Wire) -> None:
        await wire.request()
        await wire.write(b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")

    server = await serve(elsewhere)
    with pytest.raises(HandshakeRefused) as caught:
        await transport_to(server.port).connect("/", (), on_message=ignore, timeout_ms=1000)
    assert caught.value.status == 302


BAD_HANDSHAKES = {
    "closed": (b"", OutcomeUnknown),
    "cut in the head": (b"HTTP/1.1 101 Switch", OutcomeUnknown),
    "garbage": (b"\x00\x01\x02\r\n\r\n", OutcomeUnknown),
    "wrong accept key": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: AAAA\r\n\r\n",
        HandshakeRefused,
    ),
}


@pytest.mark.parametrize("case", BAD_HANDSHAKES)
async def test_connect_when_the_handshake_is_bad_then_mapped(case: str, transport_to: Connect, serve: Serve) -> None:
    answer, error = BAD_HANDSHAKES[case]

    async def handle(wire: Wire) -> None:
        await wire.request()
        await wire.write(answer)

    server = await serve(handle)
    with pytest.raises(error):
        await transport_to(server.port).connect("/", (), on_message=ignore, timeout_ms=1000)


@pytest.mark.parametrize("ending", ["time-out", "cancelled"])
async def test_connect_when_it_ends_before_the_answer_then_the_socket_is_cut(
    ending: str, transport_to: Connect, serve: Serve
) -> None:
    asked, cut = asyncio.Event(), asyncio.Event()

    async def silent(wire: Wire) -> None:
        await wire.request()
        asked.set()
        await wire.reader.read()
        cut.set()

    server = await serve(silent)
    connecting = asyncio.get_running_loop().create_task(
        _connect(transport_to(server.port), timeout_ms=50 if ending == "time-out" else 5000)
    )
    await asked.wait()
    if ending == "cancelled":
        connecting.cancel()
    with pytest.raises(OutcomeUnknown if ending == "time-out" else asyncio.CancelledError):
        await connecting
    await asyncio.wait_for(cut.wait(), 30)


async def _connect(transport: WebSocketTransport, *, timeout_ms: int) -> None:
    await transport.connect("/", (), on_message=ignore, timeout_ms=timeout_ms)


async def test_connect_when_nobody_listens_then_not_sent(transport_to: Connect) -> None:
    with socket.socket() as unlistened:
        unlistened.bind(("127.0.0.1", 0))
        with pytest.raises(NotSent):
            await _connect(transport_to(unlistened.getsockname()[1]), timeout_ms=1000)


@pytest.mark.parametrize(
    ("target", "headers"), [("/a b", ()), ("/\r\nX: y", ()), ("/", (("X", "a\r\nY: b"),)), ("/", (("Host", "x"),))]
)
async def test_connect_when_target_or_header_is_unfit_then_refused(
    target: str, headers: tuple[tuple[str, str], ...], transport_to: Connect
) -> None:
    with pytest.raises(ValueError, match=r"target|header"):
        await transport_to(1).connect(target, headers, on_message=ignore, timeout_ms=1000)


@pytest.mark.parametrize("library", LIBRARIES)
async def test_frame_when_it_is_of_64_mib_then_its_announcement_ends_the_connection_at_the_usual_limit(
    library: str, clock: ManualClock, serve: Serve
) -> None:
    async def huge(wire: Wire) -> None:
        await wire.write(b"\x82\x7f" + (64 * 1024 * 1024).to_bytes(8, "big"))
        await wire.reader.read(1)

    server = await serve(upgraded(huge))
    transport = LIBRARIES[library](f"ws://127.0.0.1:{server.port}", clock=clock)
    connection = await transport.connect("/", (), on_message=ignore, timeout_ms=1000)
    reason = await asyncio.wait_for(connection.wait_closed(), 30)
    assert (reason.cause, reason.code) == (CloseCause.PROTOCOL, 1009)


@pytest.mark.parametrize(
    "extra", [b"Sec-WebSocket-Extensions: permessage-deflate\r\n", b"Sec-WebSocket-Protocol: x\r\n"]
)
async def test_connect_when_the_venue_takes_up_what_was_not_offered_then_it_is_refused(
    extra: bytes, transport_to: Connect, serve: Serve
) -> None:
    async def never(_wire: Wire) -> None:
        """The client has gone."""

    server = await serve(upgraded(never, extra))
    with pytest.raises(HandshakeRefused) as caught:
        await transport_to(server.port).connect("/", (), on_message=ignore, timeout_ms=1000)
    assert caught.value.status == 101


async def test_sent_frames_when_they_arrive_then_each_is_masked_text_with_a_mask_of_its_own(
    transport_to: Connect, serve: Serve
) -> None:
    got: list[bytes] = []

    async def read(wire: Wire) -> None:
        got.extend([await wire.reader.readexactly(8) for _ in range(2)])

    server = await serve(upgraded(read))
    connection = await transport_to(server.port).connect("/", (), on_message=ignore, timeout_ms=1000)
    connection.send(b"go")
    connection.send(b"go")
    await connection.wait_closed()
    assert [frame[:2] for frame in got] == [b"\x81\x82"] * 2
    assert got[0][2:6] != got[1][2:6]
    assert [bytes(a ^ b for a, b in zip(frame[6:], frame[2:], strict=False)) for frame in got] == [b"go"] * 2
