"""Where a transport connects to, and opening the TCP connection so that a failure proves that nothing was sent."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from urllib.parse import urlsplit

import msgspec

from connectors.transport.errors import NotSent

_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_SECURE = frozenset({"https", "wss"})


class Endpoint(msgspec.Struct, frozen=True):
    """One host. `authority` is the value of the Host header; `tls` is None for the unencrypted schemes."""

    scheme: str
    host: str
    port: int
    authority: str
    tls: ssl.SSLContext | None

    @property
    def url(self) -> str:
        """Scheme and authority without a path, as error texts show it: "https://host" or "https://host:8443"."""
        return f"{self.scheme}://{self.authority}"


def parse_endpoint(base_url: str, *, schemes: tuple[str, ...], tls: ssl.SSLContext | None) -> Endpoint:
    """Read `base_url` ("https://host[:port]") and choose its TLS context: `tls`, or a default one that verifies.

    Raises ValueError for another scheme, for user info, a path, query or fragment (targets carry the whole path,
    because signatures cover it), and for a `tls` context that does not verify the peer.
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
    return Endpoint(scheme=parts.scheme, host=host, port=port, authority=authority, tls=context)


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
    """Return a connected, non-blocking socket; addresses are tried one by one in the resolver's order.

    Raises NotSent when the name has no address, when no address accepts, and at `deadline` (loop time).
    """
    try:
        async with asyncio.timeout_at(deadline):
            return await _connect_first_reachable(endpoint)
    except TimeoutError as e:
        raise NotSent(f"not connected to {endpoint.url} within the time-out; nothing was sent") from e
    except OSError as e:
        raise NotSent(f"cannot connect to {endpoint.url}: {e}; nothing was sent") from e


def cut(sock: socket.socket) -> None:
    """End a connection whichever object owns it: its transport sees the end of the stream and closes."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


async def _connect_first_reachable(endpoint: Endpoint) -> socket.socket:
    loop = asyncio.get_running_loop()
    failure = OSError("the name has no address")
    addresses = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, address in addresses:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, address)
        except OSError as e:
            failure = e
            sock.close()
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure
