"""How often a transport connects: paced by its breaker, whatever the host does."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from connectors.transport.errors import NotSent, OutcomeUnknown, TransportError
from connectors.transport.http_pool import Http1Transport
from connectors.transport.ports import HttpRequest
from connectors.transport.reconnect import Backoff, ConnectBreaker
from tests.connectors.transport.loopback import GET, OK, POST, ManualClock, Serve, Wire, always_ok, answering, client


def breaker(*, cap: int = 10) -> ConnectBreaker:
    return ConnectBreaker(Backoff(random.Random(1), initial_ms=100, connects_per_minute_max=cap))


async def test_send_when_the_host_takes_no_connections_then_it_is_tried_no_faster_than_the_breaker_says(
    clock: ManualClock,
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        transport = Http1Transport(f"http://127.0.0.1:{unused.getsockname()[1]}", clock=clock)
        transport.breaker = breaker()
        with pytest.raises(NotSent, match="cannot connect"):
            await transport.send(GET, timeout_ms=1000)
        for _ in range(20):
            with pytest.raises(NotSent, match="next try in"):
                await transport.send(GET, timeout_ms=1000)
        clock.advance_ms(100)
        with pytest.raises(NotSent, match="cannot connect"):
            await transport.send(GET, timeout_ms=1000)
        await transport.close()


async def test_send_when_a_host_takes_connections_again_then_it_is_used_as_ever(clock: ManualClock) -> None:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    transport = Http1Transport(f"http://127.0.0.1:{listening.getsockname()[1]}", clock=clock)
    transport.breaker = breaker(cap=4)
    with pytest.raises(NotSent, match="cannot connect"):
        await transport.send(GET, timeout_ms=1000)
    clock.advance_ms(100)
    listening.listen()

    async def one_each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        writer.close()

    async with await asyncio.start_server(one_each, sock=listening):
        for _ in range(2):
            assert (await transport.send(GET, timeout_ms=30_000)).status == 200
            await asyncio.sleep(0.005)
        await transport.close()


@contextmanager
def a_host_that_closes_at_once() -> Iterator[int]:
    """It runs on a thread of its own, so that a connection is over before a slow loop has looked at it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def close_all() -> None:
            while True:
                accepted, _ = listening.accept()
                accepted.close()
                if is_over.is_set():
                    return

        is_over = threading.Event()
        closing = threading.Thread(target=close_all)
        closing.start()
        try:
            yield listening.getsockname()[1]
        finally:
            is_over.set()
            socket.create_connection(listening.getsockname()).close()
            closing.join()


async def test_send_when_a_new_connection_is_over_before_the_write_then_not_sent_and_the_next_try_is_made(
    clock: ManualClock,
) -> None:
    async def dawdle() -> None:
        while True:
            time.sleep(0.005)  # noqa: ASYNC251 - the loop is to be slower than the host
            await asyncio.sleep(0)

    with a_host_that_closes_at_once() as port:
        transport = Http1Transport(f"http://127.0.0.1:{port}", clock=clock)
        transport.breaker = breaker()
        failed = transport.breaker.begin(clock.monotonic_ns())
        transport.breaker.end(failed, clock.monotonic_ns(), is_answered=False)
        clock.advance_ms(1_000)
        slow = asyncio.get_running_loop().create_task(dawdle())
        for _ in range(3):
            with pytest.raises(NotSent, match="closed before the request was written"):
                await transport.send(POST, timeout_ms=5_000)
            clock.advance_ms(1_000)
        slow.cancel()
        await transport.close()


@pytest.mark.parametrize("reads_first", [False, True])
async def test_send_when_the_host_accepts_and_cuts_then_no_minute_has_more_connects_than_the_cap(
    serve: Serve, clock: ManualClock, reads_first: bool
) -> None:
    async def cutting(wire: Wire) -> None:
        if reads_first:
            await wire.request()

    server = await serve(cutting)
    async with client(server, clock) as transport:
        transport.breaker = breaker()
        for _ in range(500):
            with pytest.raises(TransportError):
                await transport.send(GET, timeout_ms=1000)
            clock.advance_ms(119)
    assert 5 <= server.connections <= 10


async def test_send_when_a_connection_breaks_after_many_answers_then_the_next_connect_is_delayed(
    serve: Serve, clock: ManualClock
) -> None:
    async def three_each(wire: Wire) -> None:
        for _ in range(3):
            await wire.request()
            await wire.write(OK)
        await wire.request()

    server = await serve(three_each)
    async with client(server, clock) as transport:
        transport.breaker = breaker()
        for _ in range(3):
            assert (await transport.send(GET, timeout_ms=30_000)).status == 200
        with pytest.raises(OutcomeUnknown):
            await transport.send(GET, timeout_ms=1000)
        with pytest.raises(NotSent, match="next try in"):
            await transport.send(GET, timeout_ms=1000)
        clock.advance_ms(100)
        assert (await transport.send(GET, timeout_ms=30_000)).status == 200
    assert server.connections == 2


async def test_send_when_every_connection_is_cut_after_one_answer_then_no_minute_has_more_connects_than_the_cap(
    serve: Serve, clock: ManualClock
) -> None:
    server = await serve(answering(OK))
    outcomes: list[str] = []
    async with client(server, clock) as transport:
        transport.breaker = breaker()
        for _ in range(30):
            try:
                await transport.send(GET, timeout_ms=1000)
                outcomes.append("answered")
            except NotSent:
                outcomes.append("not sent")
            await asyncio.sleep(0.002)
    assert outcomes == ["answered"] * 10 + ["not sent"] * 20
    assert server.connections == 10


async def test_send_when_the_host_announces_the_end_of_each_connection_then_the_cap_does_not_hinder(
    serve: Serve, clock: ManualClock
) -> None:
    server = await serve(answering(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"))
    async with client(server, clock) as transport:
        transport.breaker = breaker(cap=2)
        for _ in range(20):
            assert (await transport.send(GET, timeout_ms=30_000)).status == 200
    assert server.connections == 20


async def test_send_when_half_of_the_connects_is_used_then_requests_share_the_connections(
    serve: Serve, clock: ManualClock
) -> None:
    server = await serve(always_ok)
    async with client(server, clock) as transport:
        transport.breaker = breaker(cap=4)
        answers = await asyncio.gather(*(transport.send(POST, timeout_ms=1000) for _ in range(30)))
    assert [answer.status for answer in answers] == [200] * 30
    assert server.connections == 2


async def test_send_when_somebody_is_against_it_at_last_then_not_sent_and_the_connection_is_kept_or_tried_anew(
    serve: Serve, clock: ManualClock
) -> None:
    server = await serve(always_ok)
    async with client(server, clock) as transport:
        transport.breaker = breaker()
        transport.breaker.end(transport.breaker.begin(clock.monotonic_ns()), clock.monotonic_ns(), is_answered=False)
        clock.advance_ms(1_000)
        with pytest.raises(NotSent, match="halted; nothing was sent"):
            await transport.send(POST, timeout_ms=1000, last_word=lambda: "halted")
        clock.advance_ms(1_000)
        assert (await transport.send(POST, timeout_ms=30_000)).status == 200
        with pytest.raises(NotSent, match="halted"):
            await transport.send(POST, timeout_ms=1000, last_word=lambda: "halted")
        assert (await transport.send(POST, timeout_ms=30_000)).status == 200
    assert server.connections == 2


async def test_send_when_urgent_then_it_does_not_wait_for_connections_in_use(serve: Serve, clock: ManualClock) -> None:
    is_in_use = asyncio.Event()

    async def slow_but_for_deletes(wire: Wire) -> None:
        head, _ = await wire.request()
        if head.startswith("DELETE"):
            await wire.write(OK)
        is_in_use.set()
        await wire.reader.read()

    server = await serve(slow_but_for_deletes)
    async with client(server, clock) as transport:
        transport.breaker = breaker(cap=2)
        stuck = asyncio.get_running_loop().create_task(transport.send(POST, timeout_ms=60_000))
        await is_in_use.wait()
        cancel = HttpRequest(method="DELETE", target="/orders/1", is_urgent=True)
        assert (await transport.send(cancel, timeout_ms=30_000)).status == 200
        stuck.cancel()
    assert server.connections == 2


async def test_send_when_the_shared_connection_never_comes_back_then_not_sent(serve: Serve, clock: ManualClock) -> None:
    server = await serve(answering(stays=True))
    async with client(server, clock) as transport:
        transport.breaker = breaker(cap=2)
        first = asyncio.get_running_loop().create_task(transport.send(POST, timeout_ms=100))
        await asyncio.sleep(0)
        with pytest.raises(NotSent, match="no free connection within"):
            await transport.send(POST, timeout_ms=20)
        second = asyncio.get_running_loop().create_task(transport.send(POST, timeout_ms=10_000))
        with pytest.raises(OutcomeUnknown):
            await first
        with pytest.raises(NotSent, match="next try in"):
            await second
    assert server.connections == 1
