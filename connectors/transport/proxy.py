"""The way through an HTTP proxy: a tunnel by CONNECT, on which TLS and requests are the same as without one."""

from __future__ import annotations

import asyncio
import base64
import re
import socket
from urllib.parse import unquote, urlsplit

from connectors.transport.errors import NotSent

_HEAD_BYTES_MAX = 16 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})([^\r\n]*)\r?\n").match


class Proxy:
    """An HTTP proxy. Its credentials are in no text that it gives."""

    __slots__ = ("_credentials", "host", "port")

    def __init__(self, host: str, port: int, credentials: str = "") -> None:
        """`credentials` is "user:password", empty for a proxy that asks for none."""
        self.host = host
        self.port = port
        self._credentials = credentials

    def __repr__(self) -> str:
        return f"<Proxy {self.host}:{self.port}>"

    async def open_tunnel(self, sock: socket.socket, host: str, port: int) -> None:
        """Ask the proxy, to which `sock` is connected, for a tunnel to `host`.

        Raises NotSent when it refuses, and OSError when the connection breaks. The caller limits the time.
        """
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, self._request(host, port))
        head = b""
        while b"\r\n\r\n" not in head:
            piece = await loop.sock_recv(sock, _HEAD_BYTES_MAX)
            head += piece
            if not piece or len(head) > _HEAD_BYTES_MAX:
                raise NotSent(f"the proxy {self.host}:{self.port} gave no answer to CONNECT; nothing was sent")
        status = _STATUS(head)
        if status is None or not status[1].startswith(b"2"):
            said = (b"".join(status.groups()) if status else head[:80]).decode("latin-1")
            raise NotSent(f"the proxy {self.host}:{self.port} opens no tunnel to {host}: {said}; nothing was sent")
        if not head.endswith(b"\r\n\r\n"):
            raise NotSent(f"the proxy {self.host}:{self.port} sent more than its answer; nothing was sent")

    def _request(self, host: str, port: int) -> bytes:
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if self._credentials:
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(self._credentials.encode()).decode()}")
        return "\r\n".join([*lines, "", ""]).encode("ascii")


def parse_proxy(url: str) -> Proxy:
    """Read "http://[user:password@]host:port"; user and password are percent-encoded.

    Raises ValueError for anything else. The error does not repeat the address: a password may be in it.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.scheme != "http":
        raise ValueError("proxy: must be http://[user:password@]host:port")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("proxy: only scheme, user, password, host and port belong in it")
    credentials = "" if parts.username is None else f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Proxy(host.encode("idna").decode("ascii"), port, credentials)
