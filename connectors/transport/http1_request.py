"""From HttpRequest to the bytes of one write. Pure."""

from __future__ import annotations

import re

from connectors.transport.ports import HttpRequest

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_TARGET = re.compile(r"/[!\"$-~]*").fullmatch
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch
_OWNED = frozenset({"host", "content-length", "connection", "transfer-encoding"})
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def encode_request(request: HttpRequest, *, authority: str) -> bytes:
    """Return head and body as one piece, with Host and Content-Length.

    Raises ValueError for a method other than GET, POST, PUT, PATCH, DELETE or OPTIONS, and as `check_head` does.
    """
    if request.method not in _METHODS:
        raise ValueError(f"method={request.method!r}: must be one of {', '.join(sorted(_METHODS))}")
    check_head(request.target, request.headers)
    lines = [f"{request.method} {request.target} HTTP/1.1\r\nHost: {authority}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    if request.body or request.method != "GET":
        lines.append(f"Content-Length: {len(request.body)}")
    lines.append("\r\n")
    return "\r\n".join(lines).encode("latin-1") + request.body


def check_head(target: str, headers: tuple[tuple[str, str], ...]) -> None:
    """Refuse what could smuggle another request: raises ValueError naming the field.

    `target` is visible ASCII from "/" on, without a fragment; header names are HTTP tokens other than those the
    transport owns; values hold no control character but tab. Values are not repeated in the error: they may be
    secret.
    """
    if not _TARGET(target):
        raise ValueError(f"target={target!r}: must start with '/' and hold visible ASCII without '#'; percent-encode")
    for name, value in headers:
        if not _TOKEN(name):
            raise ValueError(f"header name {name!r}: not an HTTP token")
        if name.lower() in _OWNED:
            raise ValueError(f"header {name!r}: set by the transport; leave it out")
        if not _VALUE(value):
            raise ValueError(f"header {name!r}: its value holds a line break, control or non-Latin-1 character")
