"""Addresses of venues in settings: checked once, and split into what a transport and a signature take."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

_PLAIN = {"https": "http", "wss": "ws"}


def _address(secure: str) -> Callable[[str], str]:
    """A check of one kind of address: `https` or `wss`, and its plain scheme on this machine only."""
    plain = _PLAIN[secure]

    def check(value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in (secure, plain) or not parts.hostname:
            raise ValueError(f"{value!r} is not an address; write {secure}://host[:port]/path")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError(f"{value!r}: no user info, query or fragment belongs in it")
        if parts.scheme == plain and not is_loopback(value):
            raise ValueError(f"{value!r}: only a loopback address may go without {secure}")
        return value.rstrip("/")

    return check


RestUrl = Annotated[str, AfterValidator(_address("https"))]
"""A setting: the base address of a venue's REST, https or, on this machine, http. A slash at its end is cut."""

StreamUrl = Annotated[str, AfterValidator(_address("wss"))]
"""A setting: the address of a venue's WebSocket, wss or, on this machine, ws. A slash at its end is cut."""


def is_loopback(url: str) -> bool:
    """Whether the address is on this machine: "localhost", or an address of the loopback network."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origin_of(url: str) -> str:
    """Scheme, host and port of an address, as a transport takes them: "https://host[:port]"."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def path_of(url: str) -> str:
    """The path of an address, empty where it has none: "/v1" of "https://host/v1"."""
    return urlsplit(url).path


def account_of(url: str, key_id: str) -> str:
    """Host and key, which together identify an account: two daemons must not share one. `key_id` is not secret."""
    return f"{urlsplit(url).netloc} {key_id}"
