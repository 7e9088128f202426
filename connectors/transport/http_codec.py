"""HTTP/1.1 as bytes: a request becomes one write, received bytes become at most one response within limits. Pure."""

from __future__ import annotations

import re

import httptools

from connectors.transport.ports import HttpRequest, HttpResponse

HEAD_BYTES_MAX = 64 * 1024
"""Bytes that the head of a response may have, those of interim responses (1xx) included."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_TARGET = re.compile(r"/[!\"$-~]*").fullmatch
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch
_OWNED = frozenset({"host", "content-length", "connection", "transfer-encoding"})
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BODILESS = frozenset({204, 304})


def encode_request(request: HttpRequest, *, authority: str) -> bytes:
    """Return head and body as one piece, with Host and Content-Length, for one write.

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
    """Refuse a head that could contain a second request: raises ValueError naming the field.

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


class MalformedResponse(Exception):
    """What arrived is not one complete HTTP/1.1 response within the limits."""


class ResponseReader:
    """Reads the responses of one connection, one after the other.

    Call order: `begin`, then `feed` until it returns a response or raises MalformedResponse; `is_reusable` says
    whether `begin` may be called again; `release` when the connection is gone. Interim responses (1xx) are skipped. A
    response that ends only with the connection is malformed, because nothing proves that it is complete.
    """

    def __init__(self, *, body_bytes_max: int) -> None:
        """Refuse bodies over `body_bytes_max` bytes, and heads over `HEAD_BYTES_MAX`."""
        self._body_bytes_max = body_bytes_max
        # A chunked body of single bytes takes six on the wire for each.
        self._wire_bytes_max = HEAD_BYTES_MAX + 8 * body_bytes_max
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self.is_reusable = True
        self.begin()

    def begin(self) -> None:
        """Drop the previous response; the next bytes belong to a new one."""
        self.bytes_received = 0
        self._response: HttpResponse | None = None
        self._fault = ""
        self._reset_message()

    def release(self) -> None:
        """Drop the parser, which otherwise keeps this object alive in a reference cycle."""
        self._parser = None

    def feed(self, data: bytes) -> HttpResponse | None:
        """Take received bytes; return the response once it is complete, else None.

        Raises MalformedResponse for what is not HTTP/1.1, breaks a limit, or comes after `release`.
        """
        if self._parser is None:
            raise MalformedResponse("bytes after the end of the connection")
        self.bytes_received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fault = "status 101 without an upgrade being asked for"
        except httptools.HttpParserError as e:
            # Bytes after a complete response make the connection unusable, but not the response.
            if self._response is None:
                raise MalformedResponse(f"not HTTP/1.1: {e}") from e
            self.is_reusable = False
        if self._fault:
            raise MalformedResponse(self._fault)
        if self._response is None:
            self._check_limits()
        return self._response

    def _check_limits(self) -> None:
        if not self._head_complete and self.bytes_received > HEAD_BYTES_MAX:
            raise MalformedResponse(f"head over {HEAD_BYTES_MAX} bytes")
        if self.bytes_received > self._wire_bytes_max:
            raise MalformedResponse(f"response over {self._wire_bytes_max} bytes on the wire")

    def _reset_message(self) -> None:
        self._headers: dict[str, str] = {}
        self._chunks: list[bytes] = []
        self._body_bytes = 0
        self._head_complete = False

    def on_message_begin(self) -> None:
        """A parser callback: a status line starts."""
        if self._response is not None:
            self.is_reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A parser callback: one header, or a trailer after the body, which is ignored."""
        if self._head_complete:
            return
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1").strip()
        known = self._headers.get(key)
        self._headers[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        """A parser callback: the head is complete; check that the body has an end and fits."""
        self._head_complete = True
        if self._parser is None or self._response is not None:
            return
        status = self._parser.get_status_code()
        if status < 200 or status in _BODILESS:
            return
        length = self._headers.get("content-length")
        if length is None:
            if not self._headers.get("transfer-encoding", "").lower().endswith("chunked"):
                self._fault = f"status {status} with neither Content-Length nor chunked body"
        elif not length.isdecimal() or int(length) > self._body_bytes_max:
            self._fault = f"Content-Length {length[:40]} over {self._body_bytes_max}"

    def on_body(self, data: bytes) -> None:
        """A parser callback: a piece of the body, kept while the body is within its limit."""
        self._body_bytes += len(data)
        if self._body_bytes > self._body_bytes_max:
            self._fault = self._fault or f"body over {self._body_bytes_max} bytes"
            return
        self._chunks.append(data)

    def on_message_complete(self) -> None:
        """A parser callback: the message is complete. An interim one (1xx) is dropped, the real one follows."""
        if self._parser is None or self._response is not None or self._fault:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._reset_message()
            return
        if not self._parser.should_keep_alive():
            self.is_reusable = False
        self._response = HttpResponse(status=status, headers=self._headers, body=b"".join(self._chunks))
