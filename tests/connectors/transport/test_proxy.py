"""Through an HTTP proxy: requests, streams and TLS as without one, and nothing sent when it refuses."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from websockets.asyncio.server import serve as serve_websocket

from connectors.client.stream import LIBRARIES
from connectors.transport.errors import NotSent
from connectors.transport.http_pool import Http1Transport
from connectors.transport.proxy import parse_proxy
from tests.connectors.transport.loopback import GET, ManualClock, Serve, always_ok
from tests.connectors.transport.test_tls import greet
from tests.support.connect_proxy import ConnectProxy

WEBSOCKETS = pytest.mark.parametrize("library", LIBRARIES)


async def test_request_when_a_proxy_is_named_then_it_goes_through_a_tunnel_with_its_credentials(
    clock: ManualClock, serve: Serve
) -> None:
    server = await serve(always_ok)
    async with ConnectProxy(credentials="me:pa:ss/w@rd") as proxy:
        url = f"http://127.0.0.1:{server.port}"
        transport = Http1Transport(url, clock=clock, proxy=f"http://me:pa%3Ass%2Fw%40rd@127.0.0.1:{proxy.port}")
        for _ in range(3):
            assert (await transport.send(GET, timeout_ms=2_000)).body == b"ok"
        assert (proxy.asked, proxy.connections) == ([f"127.0.0.1:{server.port}"], 1)
        await transport.close()


async def test_request_when_the_proxy_tunnels_tls_then_the_venue_s_own_certificate_is_checked(
    clock: ManualClock, serve: Serve, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    server = await serve(always_ok, server_tls)
    async with ConnectProxy() as proxy:
        named: dict[str, Any] = {"clock": clock, "proxy": f"http://127.0.0.1:{proxy.port}"}
        trusted = Http1Transport(f"https://127.0.0.1:{server.port}", tls=trusting, **named)
        assert (await trusted.send(GET, timeout_ms=30_000)).status == 200
        wrong_name = Http1Transport(f"https://localhost:{server.port}", tls=trusting, **named)
        with pytest.raises(NotSent, match="certificate"):
            await wrong_name.send(GET, timeout_ms=2_000)
        unknown = Http1Transport(f"https://127.0.0.1:{server.port}", **named)
        with pytest.raises(NotSent, match="certificate"):
            await unknown.send(GET, timeout_ms=2_000)
        for transport in (trusted, wrong_name, unknown):
            await transport.close()


@WEBSOCKETS
async def test_stream_when_a_proxy_is_named_then_it_goes_through_a_tunnel_also_with_tls(
    library: str,
    clock: ManualClock,
    server_tls: ssl.SSLContext,
    trusting: ssl.SSLContext,
) -> None:
    for tls, scheme in ((None, "ws"), (server_tls, "wss")):
        got: list[bytes] = []
        async with serve_websocket(greet, "127.0.0.1", 0, ssl=tls) as server, ConnectProxy(credentials="a:b") as proxy:
            host = f"127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            transport = LIBRARIES[library](
                f"{scheme}://{host}",
                clock=clock,
                tls=trusting if tls else None,
                proxy=f"http://a:b@127.0.0.1:{proxy.port}",
            )
            connection = await transport.connect(
                "/", (), on_message=lambda data, *_, got=got: got.append(data), timeout_ms=2_000
            )
            server.close()
            await connection.wait_closed()
            assert (got, proxy.asked) == ([b"hello"], [host])


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407 Proxy Authentication Required"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno", "502 Bad Gateway"),
        (b"SSH-2.0-x\r\n\r\n", "SSH-2.0-x"),
        (b"HTTP/1.1 200 OK\r\n", "gave no answer"),
        (b"x" * 20_000, "gave no answer"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n!", "sent more than its answer"),
    ],
)
async def test_proxy_when_it_opens_no_tunnel_then_nothing_was_sent_and_no_password_is_said(
    clock: ManualClock, serve: Serve, refusal: bytes, said: str
) -> None:
    server = await serve(always_ok)
    async with ConnectProxy(refusal=refusal) as proxy:
        transport = Http1Transport(
            f"http://127.0.0.1:{server.port}", clock=clock, proxy=f"http://me:s3cret@127.0.0.1:{proxy.port}"
        )
        with pytest.raises(NotSent, match=said) as caught:
            await transport.send(GET, timeout_ms=2_000)
        assert "s3cret" not in str(caught.value)
        assert server.connections == 0
        await transport.close()


async def test_proxy_when_nobody_listens_there_then_nothing_was_sent_and_the_venue_is_not_tried_without_it(
    clock: ManualClock, serve: Serve
) -> None:
    server = await serve(always_ok)
    transport = Http1Transport(f"http://127.0.0.1:{server.port}", clock=clock, proxy="http://me:s3cret@127.0.0.1:1")
    with pytest.raises(NotSent, match=r"through the proxy 127\.0\.0\.1:1: "):
        await transport.send(GET, timeout_ms=2_000)
    assert server.connections == 0
    await transport.close()


@pytest.mark.parametrize(
    "url", ["", "proxy:1", "https://proxy:1", "socks5://proxy:1", "http://proxy", "http://me:s3cret@proxy:1/path?x"]
)
def test_proxy_when_its_address_is_none_then_it_is_refused_without_the_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"^proxy: ") as caught:
        parse_proxy(url)
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(parse_proxy("http://me:s3cret@proxy:1"))
