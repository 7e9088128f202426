"""Requests before they are signed. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, urlencode

import msgspec

Params = Iterable[tuple[str, str | int | None]]
"""Parameters of a query in their order; those of None are left out."""


class Call(msgspec.Struct, frozen=True, gc=False):
    """A request without its signature. `target` is path and query below the REST prefix.

    `is_urgent`: it takes orders out of the market, so it must not wait behind other requests for a connection.
    """

    method: str
    target: str
    body: bytes = b""
    is_urgent: bool = False


def with_query(path: str, params: Params) -> str:
    """The path with its query, percent-encoded; the path alone where nothing is given."""
    query = urlencode([(name, value) for name, value in params if value is not None])
    return f"{path}?{query}" if query else path


def path_part(name: str) -> str:
    """A name or an id as one part of a path: a slash or question mark in it must not change the request."""
    return quote(name, safe="")
