"""Where a transport connects to: scheme, host and port of a base URL, and verified TLS."""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit

import msgspec

_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_SECURE = frozenset({"https", "wss"})


class Endpoint(msgspec.Struct, frozen=True):
    """One host. `authority` is what the Host header says; `tls` is None for the unencrypted schemes."""

    scheme: str
    host: str
    port: int
    authority: str
    tls: ssl.SSLContext | None

    @property
    def url(self) -> str:
        """The base URL without a path."""
        return f"{self.scheme}://{self.authority}"


def parse_endpoint(base_url: str, *, schemes: tuple[str, ...], tls: ssl.SSLContext | None) -> Endpoint:
    """Read `base_url` ("https://host[:port]") and settle its TLS context.

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
