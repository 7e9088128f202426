from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from connectors.transport import dial
from connectors.transport.dial import deadline_after, parse_endpoint
from connectors.transport.errors import NotSent
from connectors.transport.http_pool import Http1Transport
from connectors.transport.reconnect import Backoff, ConnectBreaker
from framework.runtime.clock import SystemClock, seeded_rng
from tests.connectors.transport.loopback import GET, Serve, always_ok

SCHEMES = ("http", "https", "ws", "wss")


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("http://a.example", "a.example", 80, "a.example"),
        ("ws://A.example:80/", "a.example", 80, "a.example"),
        ("http://a.example:443", "a.example", 443, "a.example:443"),
        ("https://a.example", "a.example", 443, "a.example"),
        ("wss://a.example:8443", "a.example", 8443, "a.example:8443"),
        ("http://[::1]:8080", "::1", 8080, "[::1]:8080"),
        ("http://bücher.example", "xn--bcher-kva.example", 80, "xn--bcher-kva.example"),
    ],
)
def test_endpoint_when_url_is_good_then_split(url: str, host: str, port: int, authority: str) -> None:
    endpoint = parse_endpoint(url, schemes=SCHEMES, tls=None)
    assert (endpoint.host, endpoint.port, endpoint.authority) == (host, port, authority)
    assert (endpoint.tls is not None) is (endpoint.scheme in ("https", "wss"))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host",
        "http://",
        "host:80",
        "http://host/path",
        "http://u:p@host",
        "http://host?x=1",
        "http://host#f",
        "http://host:99999",
        "http://" + "a" * 70,
    ],
)
def test_endpoint_when_url_is_bad_then_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"base_url|[Pp]ort|label"):
        parse_endpoint(url, schemes=SCHEMES, tls=None)


def test_endpoint_when_scheme_is_of_another_protocol_then_refused() -> None:
    with pytest.raises(ValueError, match="scheme must be one of http, https"):
        parse_endpoint("ws://host", schemes=("http", "https"), tls=None)


def test_endpoint_when_tls_does_not_verify_then_refused() -> None:
    lax = ssl.create_default_context()
    lax.check_hostname = False
    with pytest.raises(ValueError, match="does not verify"):
        parse_endpoint("https://host", schemes=SCHEMES, tls=lax)
    lax.verify_mode = ssl.CERT_NONE
    with pytest.raises(ValueError, match="does not verify"):
        parse_endpoint("https://host", schemes=SCHEMES, tls=lax)


@contextmanager
def black_hole() -> Iterator[tuple[str, int]]:
    """An address that answers no attempt to connect: its queue is full and nobody accepts."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.2", 0))
        listening.listen(0)
        for _ in range(3):
            stuffing = stack.enter_context(socket.socket())
            stuffing.setblocking(False)
            stuffing.connect_ex(listening.getsockname())
        yield listening.getsockname()


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    """Every name has these addresses, in this order."""

    async def resolve(_host: str, _port: int) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in addresses]

    monkeypatch.setattr(dial, "_resolve", resolve)


async def test_name_when_its_first_address_does_not_answer_then_the_next_one_is_connected_long_before_the_time_out(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, clock = await serve(always_ok), SystemClock()
    with black_hole() as dead:
        resolving(monkeypatch, dead, ("127.0.0.1", server.port))
        breaker = ConnectBreaker(Backoff(seeded_rng(1), connects_per_minute_max=1))
        transport = Http1Transport("http://venue.example", clock=clock)
        transport.breaker = breaker
        assert (await transport.send(GET, timeout_ms=30_000)).status == 200
        # Two addresses were tried, in one attempt of the only one that a minute allows.
        assert breaker.wait_ns(clock.monotonic_ns()) > 50_000_000_000
        await transport.close()


async def test_name_when_its_first_address_refuses_then_the_next_one_is_connected_at_once(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await serve(always_ok)
    resolving(monkeypatch, ("127.0.0.1", 1), ("127.0.0.1", server.port))
    monkeypatch.setattr(dial, "NEXT_ADDRESS_S", 1_000)
    endpoint = parse_endpoint("http://venue.example", schemes=("http",), tls=None)
    (await dial.dial(endpoint, deadline=deadline_after(5_000))).close()


async def test_name_when_no_address_answers_then_nothing_was_sent_and_no_socket_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endpoint = parse_endpoint("http://venue.example", schemes=("http",), tls=None)
    with black_hole() as dead:
        resolving(monkeypatch, dead, dead)
        with pytest.raises(NotSent, match="within the time-out"):
            await dial.dial(endpoint, deadline=deadline_after(400))
        resolving(monkeypatch, ("127.0.0.1", 1), ("127.0.0.1", 1))
        with pytest.raises(NotSent, match=r"cannot connect to http://venue\.example"):
            await dial.dial(endpoint, deadline=deadline_after(400))
        resolving(monkeypatch)
        with pytest.raises(NotSent, match="no address"):
            await dial.dial(endpoint, deadline=deadline_after(400))
    assert len(asyncio.all_tasks()) == 1
