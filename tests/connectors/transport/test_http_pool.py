from __future__ import annotations

import asyncio
import socket

import pytest

from connectors.transport.errors import NotSent, OutcomeUnknown, TransportError
from connectors.transport.http_pool import Http1Transport
from connectors.transport.ports import HttpRequest
from tests.connectors.transport.loopback import (
    GET,
    OK,
    POST,
    ManualClock,
    Serve,
    Wire,
    always_ok,
    answering,
    client,
)


async def test_send_when_get_then_head_carries_host_and_own_headers(serve: Serve, clock: ManualClock) -> None:
    seen: list[tuple[str, bytes]] = []

    async def handle(wire: Wire) -> None:
        seen.append(await wire.request())
        await wire.write(b"HTTP/1.1 404 Not Found\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 3\r\n\r\nno!")

    server = await serve(handle)
    async with client(server, clock) as transport:
        answer = await transport.send(GET, timeout_ms=1000)
    assert seen == [(f"GET /a?b=1 HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nX-Key: k\r\n\r\n", b"")]
    assert (answer.status, answer.headers["x-a"], answer.body) == (404, "1, 2", b"no!")


async def test_send_when_post_then_body_and_length_arrive(serve: Serve, clock: ManualClock) -> None:
    seen: list[tuple[str, bytes]] = []

    async def handle(wire: Wire) -> None:
        seen.append(await wire.request())
        await wire.write(OK)

    server = await serve(handle)
    async with client(server, clock) as transport:
        await transport.send(POST, timeout_ms=1000)
        [(head, body)] = seen
    assert "\r\nContent-Length: 7\r\n" in head
    assert body == b'{"n":1}'


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"64\r\n" + b"x" * 100 + b"\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
GOOD = {
    "whole": ((OK,), 200, b"ok"),
    "byte by byte": (tuple(OK[i : i + 1] for i in range(len(OK))), 200, b"ok"),
    "chunk trickle": ((CHUNKED, b"2\r\n", b"ab", b"\r\n1\r\nc\r\n", b"0\r\n\r\n"), 200, b"abc"),
    "chunks with a trailer": ((CHUNKED + b"1\r\nx\r\n0\r\nX-Sum: 9\r\n\r\n",), 200, b"x"),
    "interim responses first": ((b"HTTP/1.1 100 Continue\r\n\r\n", HINTS, OK), 200, b"ok"),
    "no content": ((b"HTTP/1.1 204 No Content\r\n\r\n",), 204, b""),
    "not modified": ((b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",), 304, b""),
    "empty body": ((b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",), 200, b""),
    "body of exactly the limit": ((CHUNKED, *(CHUNK,) * 10, b"0\r\n\r\n"), 200, b"x" * 1000),
}


@pytest.mark.parametrize("case", GOOD)
async def test_send_when_answer_is_complete_then_it_is_read_and_connection_reused(
    case: str, serve: Serve, clock: ManualClock
) -> None:
    pieces, status, body = GOOD[case]

    async def handle(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.write(*pieces)

    server = await serve(handle)
    async with client(server, clock, body_bytes_max=1000) as transport:
        for _ in range(2):
            answer = await transport.send(POST, timeout_ms=2000)
            assert (answer.status, answer.body) == (status, body)
    assert server.connections == 1


CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
BAD = {
    "closed before the answer": (),
    "cut inside the head": (b"HTTP/1.1 200 OK\r\nConte",),
    "cut in mid-body": (CUT,),
    "cut between chunks": (CHUNKED + CHUNK,),
    "garbage": (b"\x00\x01\x02 what is this\r\n\r\n",),
    "another protocol": (b"SSH-2.0-OpenSSH_9.6\r\n",),
    "interim answer and then nothing": (b"HTTP/1.1 100 Continue\r\n\r\n",),
    "upgrade nobody asked for": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",),
    "body that ends with the connection": (b"HTTP/1.1 200 OK\r\n\r\n{}",),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",),
    "length and chunks": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",),
    "negative length": (b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n",),
    "bad chunk size": (CHUNKED + b"zz\r\n",),
    "huge header": (b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200_000,),
    "endless header lines": (b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 30_000,),
    "endless interim responses": (HINTS * 20_000,),
    "announced length over the limit": (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",),
    "chunks over the limit": (CHUNKED, *(CHUNK,) * 11),
    "endless chunk extension over the limit": (CHUNKED + b"1;x=" + b"y" * 200_000,),
}
HEADS = {"huge header", "endless header lines", "endless interim responses"}
STAYING = HEADS | {
    "garbage",
    "another protocol",
    "upgrade nobody asked for",
    "body that ends with the connection",
    "two lengths",
    "length and chunks",
    "negative length",
    "bad chunk size",
    "announced length over the limit",
    "chunks over the limit",
    "endless chunk extension over the limit",
}


@pytest.mark.parametrize("case", BAD)
async def test_send_when_answer_is_incomplete_then_outcome_is_unknown_at_once(
    case: str, serve: Serve, clock: ManualClock
) -> None:
    server = await serve(answering(*BAD[case], stays=case in STAYING))
    async with client(server, clock, body_bytes_max=1_000_000 if case in HEADS else 1000) as transport:
        with pytest.raises(OutcomeUnknown) as caught:
            await transport.send(POST, timeout_ms=5000)
    assert "time-out" not in str(caught.value)
    assert server.connections == 1, "nothing may be sent twice"


async def test_send_when_reset_in_mid_body_then_outcome_is_unknown(serve: Serve, clock: ManualClock) -> None:
    async def handle(wire: Wire) -> None:
        await wire.request()
        await wire.write(CUT)
        wire.reset()

    server = await serve(handle)
    async with client(server, clock) as transport:
        with pytest.raises(OutcomeUnknown):
            await transport.send(POST, timeout_ms=1000)


async def test_send_when_server_is_slow_then_outcome_is_unknown_and_connection_is_cut(
    serve: Serve, clock: ManualClock
) -> None:
    cut = asyncio.Event()

    async def handle(wire: Wire) -> None:
        await wire.request()
        await wire.write(b"HTTP/1.1 200 OK\r\n")
        await wire.reader.read()
        cut.set()

    server = await serve(handle)
    async with client(server, clock) as transport:
        with pytest.raises(OutcomeUnknown, match="time-out"):
            await transport.send(POST, timeout_ms=30)
        await asyncio.wait_for(cut.wait(), 30)
    assert server.connections == 1


async def test_send_when_refused_then_not_sent(clock: ManualClock) -> None:
    with socket.socket() as unlistened:
        unlistened.bind(("127.0.0.1", 0))
        transport = Http1Transport(f"http://127.0.0.1:{unlistened.getsockname()[1]}", clock=clock)
        with pytest.raises(NotSent):
            await transport.send(POST, timeout_ms=1000)
    await transport.close()


async def test_send_when_host_does_not_exist_then_not_sent(clock: ManualClock) -> None:
    transport = Http1Transport("http://no-such-host.invalid", clock=clock)
    with pytest.raises(NotSent):
        await transport.send(POST, timeout_ms=10_000)
    await transport.close()


def fill_backlog(listening: socket.socket, *clients: socket.socket) -> int:
    """Let nobody else connect: return the port of a listener whose queue is full."""
    listening.bind(("127.0.0.1", 0))
    listening.listen(0)
    for queued in clients:
        queued.setblocking(False)
        queued.connect_ex(listening.getsockname())
    port: int = listening.getsockname()[1]
    return port


async def test_send_when_connecting_takes_too_long_then_not_sent(clock: ManualClock) -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        port = fill_backlog(full, first, second)
        transport = Http1Transport(f"http://127.0.0.1:{port}", clock=clock)
        with pytest.raises(NotSent):
            await transport.send(POST, timeout_ms=50)
        await transport.close()


async def test_send_when_kept_alive_connection_died_then_a_new_one_is_used(serve: Serve, clock: ManualClock) -> None:
    async def one_each(wire: Wire) -> None:
        await wire.request()
        await wire.write(OK)

    server = await serve(one_each)
    async with client(server, clock) as transport:
        for _ in range(5):
            assert (await transport.send(POST, timeout_ms=30_000)).status == 200
            await asyncio.sleep(0.005)
    assert server.connections == 5


async def test_send_when_death_is_in_the_socket_but_not_yet_noticed_then_a_new_one_is_used(
    clock: ManualClock,
) -> None:
    """The loop never runs between the peer's close and the next send."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        transport = Http1Transport(f"http://127.0.0.1:{listening.getsockname()[1]}", clock=clock)
        first = loop.create_task(transport.send(POST, timeout_ms=1000))
        accepted, _ = await loop.sock_accept(listening)
        await loop.sock_recv(accepted, 4096)
        await loop.sock_sendall(accepted, OK)
        await first
        accepted.close()
        second = loop.create_task(transport.send(POST, timeout_ms=1000))
        accepted, _ = await asyncio.wait_for(loop.sock_accept(listening), 30)
        await loop.sock_recv(accepted, 4096)
        await loop.sock_sendall(accepted, OK)
        assert (await second).status == 200
        await transport.close()
        accepted.close()


async def test_send_when_idle_too_long_then_connection_is_dropped_unused(serve: Serve, clock: ManualClock) -> None:
    server = await serve(always_ok)
    async with client(server, clock, idle_ms_max=1000) as transport:
        await transport.send(GET, timeout_ms=1000)
        clock.advance_ms(1000)
        await transport.send(GET, timeout_ms=1000)
        assert server.connections == 1
        clock.advance_ms(1001)
        await transport.send(GET, timeout_ms=1000)
        assert server.connections == 2


UNFIT = {
    "connection close": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "http/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "a second answer behind it": OK + OK,
    "rubbish behind it": OK + b"rubbish",
    "a zero byte behind it": OK + b"\x00",
    "rubbish behind a closing answer": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nokrubbish",
}


@pytest.mark.parametrize("case", UNFIT)
async def test_send_when_answer_spoils_connection_then_answer_counts_and_connection_does_not(
    case: str, serve: Serve, clock: ManualClock
) -> None:
    server = await serve(answering(UNFIT[case], stays=True))
    async with client(server, clock) as transport:
        for _ in range(2):
            answer = await transport.send(POST, timeout_ms=1000)
            assert (answer.status, answer.body) == (200, b"ok")
    assert server.connections == 2


async def test_send_when_unasked_bytes_arrive_while_idle_then_connection_is_dropped(
    serve: Serve, clock: ManualClock
) -> None:
    server = await serve(answering(OK, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", stays=True))
    async with client(server, clock) as transport:
        assert (await transport.send(POST, timeout_ms=30_000)).status == 200
        await asyncio.sleep(0.02)
        assert (await transport.send(POST, timeout_ms=30_000)).status == 200
    assert server.connections == 2


async def test_send_when_answer_comes_before_large_body_is_written_then_connection_is_not_reused(
    serve: Serve, clock: ManualClock
) -> None:
    async def impatient(wire: Wire) -> None:
        await wire.reader.readuntil(b"\r\n\r\n")
        await wire.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await asyncio.sleep(0.05)

    server = await serve(impatient)
    async with client(server, clock) as transport:
        large = HttpRequest(method="POST", target="/", body=b"x" * 32_000_000)
        assert (await transport.send(large, timeout_ms=5000)).status == 413
        assert "idle=0" in repr(transport)


async def test_send_when_cancelled_after_write_then_connection_is_not_reused(serve: Serve, clock: ManualClock) -> None:
    arrived = asyncio.Event()

    async def slow_once(wire: Wire) -> None:
        await wire.request()
        arrived.set()
        await asyncio.sleep(0.02)
        await wire.write(OK)
        await wire.reader.read()

    server = await serve(slow_once)
    async with client(server, clock, connections_max=1) as transport:
        task = asyncio.get_running_loop().create_task(transport.send(POST, timeout_ms=1000))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await transport.send(POST, timeout_ms=30_000)).status == 200
    assert server.connections == 2


async def test_send_when_all_connections_are_busy_then_requests_go_in_order(serve: Serve, clock: ManualClock) -> None:
    arrived: asyncio.Queue[int] = asyncio.Queue()
    answers = asyncio.Semaphore(0)

    async def handle(wire: Wire) -> None:
        while True:
            head, _ = await wire.request()
            arrived.put_nowait(int(head.split(" ")[1].removeprefix("/")))
            await answers.acquire()
            await wire.write(OK)

    server = await serve(handle)
    async with client(server, clock, connections_max=2) as transport:
        requests = [HttpRequest(method="GET", target=f"/{i}") for i in range(20)]
        sending = asyncio.gather(*(transport.send(request, timeout_ms=60_000) for request in requests))
        order = sorted([await arrived.get(), await arrived.get()])
        while len(order) < len(requests):
            # One answer frees one connection, for the next request.
            answers.release()
            order.append(await arrived.get())
        answers.release()
        answers.release()
        await sending
    assert order == list(range(20))
    assert server.connections == 2


async def test_send_when_no_connection_comes_free_then_not_sent(serve: Serve, clock: ManualClock) -> None:
    server = await serve(answering(stays=True))
    async with client(server, clock, connections_max=1) as transport:
        first = asyncio.get_running_loop().create_task(transport.send(POST, timeout_ms=200))
        await asyncio.sleep(0)
        with pytest.raises(NotSent):
            await transport.send(POST, timeout_ms=20)
        with pytest.raises(OutcomeUnknown):
            await first
    assert server.connections == 1


async def test_close_when_requests_wait_and_fly_then_each_learns_its_fate(serve: Serve, clock: ManualClock) -> None:
    arrived = asyncio.Event()

    async def silent(wire: Wire) -> None:
        await wire.request()
        arrived.set()
        await wire.reader.read()

    server = await serve(silent)
    transport = Http1Transport(f"http://127.0.0.1:{server.port}", clock=clock, connections_max=1)
    sends = [asyncio.get_running_loop().create_task(transport.send(POST, timeout_ms=5000)) for _ in range(3)]
    await arrived.wait()
    await transport.close()
    fates = await asyncio.gather(*sends, return_exceptions=True)
    assert [type(fate) for fate in fates] == [OutcomeUnknown, NotSent, NotSent]
    assert "closed on our side" in str(fates[0])
    with pytest.raises(NotSent):
        await transport.send(POST, timeout_ms=1000)
    assert "closed connections=0 idle=0" in repr(transport)


async def test_close_when_a_connection_is_being_opened_then_not_sent_at_once(clock: ManualClock) -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        port = fill_backlog(full, first, second)
        transport = Http1Transport(f"http://127.0.0.1:{port}", clock=clock)
        sending = asyncio.get_running_loop().create_task(transport.send(POST, timeout_ms=30_000))
        await asyncio.sleep(0.01)
        await transport.close()
        with pytest.raises(NotSent, match="transport was closed"):
            await asyncio.wait_for(sending, 30)


async def test_send_when_early_close_repeats_then_never_more_than_one_request_per_send(
    serve: Serve, clock: ManualClock
) -> None:
    received = 0

    async def flaky(wire: Wire) -> None:
        nonlocal received
        while True:
            await wire.request()
            received += 1
            if received % 3 == 0:
                return
            await wire.write(OK)

    server = await serve(flaky)
    outcomes: list[type[TransportError] | int] = []
    async with client(server, clock) as transport:
        for _ in range(30):
            try:
                outcomes.append((await transport.send(POST, timeout_ms=1000)).status)
            except TransportError as e:
                outcomes.append(type(e))
    assert received == 30
    assert outcomes == [200, 200, OutcomeUnknown] * 10


def test_transport_when_a_limit_is_below_one_then_refused(clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="connections_max=0"):
        Http1Transport("http://host", clock=clock, connections_max=0)
    with pytest.raises(ValueError, match="idle_ms_max=0"):
        Http1Transport("http://host", clock=clock, idle_ms_max=0)


async def test_send_when_timeout_is_not_positive_then_refused(clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="timeout_ms=0"):
        await Http1Transport("http://host", clock=clock).send(GET, timeout_ms=0)
