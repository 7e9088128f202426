"""Where a transport connects to, and opening the TCP connection so that a failure proves that nothing was sent."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

import aiohappyeyeballs
import msgspec
from aiohappyeyeballs import AddrInfoType

from connectors.transport.errors import NotSent
from connectors.transport.proxy import Proxy, parse_proxy

_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_SECURE = frozenset({"https", "wss"})

NEXT_ADDRESS_S = 0.25
"""An address of a name that has not answered for so long gets company by the next one (RFC 8305)."""


class Endpoint(msgspec.Struct, frozen=True):
    """One host. `authority` is the value of the Host header; `tls` is None for the unencrypted schemes, `proxy` where
    the host is reached directly."""

    scheme: str
    host: str
    port: int
    authority: str
    tls: ssl.SSLContext | None
    proxy: Proxy | None = None

    @property
    def url(self) -> str:
        """Scheme and authority without a path, as error texts show it: "https://host" or "https://host:8443"."""
        return f"{self.scheme}://{self.authority}"


def parse_endpoint(base_url: str, *, schemes: tuple[str, ...], tls: ssl.SSLContext | None, proxy: str = "") -> Endpoint:
    """Read `base_url` ("https://host[:port]") and choose its TLS context: `tls`, or a default one that verifies.

    `proxy` is the address of an HTTP proxy, empty for none. Raises ValueError for another scheme, for user info, a
    path, query or fragment (targets carry the whole path, because signatures cover it), for a `tls` context that does
    not verify the peer, and for a `proxy` that is no address of one.
    """
    parts = urlsplit(base_url)
    if parts.scheme not in schemes:
        raise ValueError(f"base_url={base_url!r}: scheme must be one of {', '.join(schemes)}")
    if not parts.hostname:
        raise ValueError(f"base_url={base_url!r}: no host; write {parts.scheme}://host[:port]")
    if parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"base_url={base_url!r}: only scheme, host and port; put the path into each target")
    port = parts.port or _PORTS[parts.scheme]
    host = parts.hostname.encode("idna").decode("ascii")
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port == _PORTS[parts.scheme] else f"{shown}:{port}"
    context = _verified(tls) if parts.scheme in _SECURE else None
    via = parse_proxy(proxy) if proxy else None
    return Endpoint(scheme=parts.scheme, host=host, port=port, authority=authority, tls=context, proxy=via)


def _verified(tls: ssl.SSLContext | None) -> ssl.SSLContext:
    if tls is None:
        tls = ssl.create_default_context()
        tls.set_alpn_protocols(["http/1.1"])
        return tls
    if tls.verify_mode is not ssl.CERT_REQUIRED or not tls.check_hostname:
        raise ValueError("tls: the context does not verify the peer; set CERT_REQUIRED and check_hostname")
    return tls


def deadline_after(timeout_ms: int) -> float:
    """The loop time, in seconds, at which `timeout_ms` from now ends. Raises ValueError for a time-out below 1."""
    if timeout_ms < 1:
        raise ValueError(f"timeout_ms={timeout_ms}: must be at least 1")
    return asyncio.get_running_loop().time() + timeout_ms / 1000


async def dial(endpoint: Endpoint, *, deadline: float) -> socket.socket:
    """Return a socket that is connected to the host, through its proxy where it has one; non-blocking.

    Addresses of a name are tried in the resolver's order, families in turn, the next one when the last has failed or
    has not answered for `NEXT_ADDRESS_S`. However many they are, they are one attempt to connect.

    Raises NotSent when the name has no address, when no address accepts, and at `deadline` (loop time).
    """
    through = f" through the proxy {endpoint.proxy.host}:{endpoint.proxy.port}" if endpoint.proxy else ""
    try:
        async with asyncio.timeout_at(deadline):
            return await _connect(endpoint)
    except TimeoutError as e:
        raise NotSent(f"not connected to {endpoint.url}{through} within the time-out; nothing was sent") from e
    except (OSError, RuntimeError) as e:
        raise NotSent(f"cannot connect to {endpoint.url}{through}: {e}; nothing was sent") from e


def cut(sock: socket.socket) -> None:
    """End a connection whichever object owns it: its transport sees the end of the stream and closes."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


async def _connect(endpoint: Endpoint) -> socket.socket:
    if endpoint.proxy is None:
        return await _connect_first_answering(endpoint.host, endpoint.port)
    sock = await _connect_first_answering(endpoint.proxy.host, endpoint.proxy.port)
    try:
        await endpoint.proxy.open_tunnel(sock, endpoint.host, endpoint.port)
    except BaseException:
        sock.close()
        raise
    return sock


async def _resolve(host: str, port: int) -> Sequence[AddrInfoType]:
    return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)


async def _connect_first_answering(host: str, port: int) -> socket.socket:
    addresses = await _resolve(host, port)
    if not addresses:
        raise OSError("the name has no address")
    sock = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=NEXT_ADDRESS_S, interleave=1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
