"""Open a TCP connection and say exactly whether it was opened."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from connectors.transport.endpoint import Endpoint
from connectors.transport.errors import NotSent


def deadline_after(timeout_ms: int) -> float:
    """When `timeout_ms` from now ends, in loop time. Raises ValueError for a time-out below 1."""
    if timeout_ms < 1:
        raise ValueError(f"timeout_ms={timeout_ms}: must be at least 1")
    return asyncio.get_running_loop().time() + timeout_ms / 1000


async def dial(endpoint: Endpoint, *, deadline: float) -> socket.socket:
    """Return a connected, non-blocking socket by `deadline` (loop time); addresses in the resolver's order.

    Raises NotSent.
    """
    try:
        async with asyncio.timeout_at(deadline):
            return await _first_that_answers(endpoint)
    except TimeoutError as e:
        raise NotSent(f"not connected to {endpoint.url} within the time-out; nothing was sent") from e
    except OSError as e:
        raise NotSent(f"cannot connect to {endpoint.url}: {e}; nothing was sent") from e


def cut(sock: socket.socket) -> None:
    """End a connection whatever holds it: its transport sees the end of the stream and closes."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


async def _first_that_answers(endpoint: Endpoint) -> socket.socket:
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
