"""HMAC-SHA256 signatures, and the texts that venues have signed. Pure.

What is signed is sent: a text is made once, and the same bytes leave. A body in another order, a number in another
form or a letter in another encoding is another signature.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping

import msgspec

_JSON = msgspec.json.Encoder(order="sorted")
_PLAIN = re.compile(r"[A-Za-z0-9._-]*").fullmatch


class HmacKey:
    """One secret, with the key schedule done once: each signature copies it. Its repr never shows the secret."""

    __slots__ = ("_keyed",)

    def __init__(self, secret: bytes) -> None:
        """`secret` as the venue keys its HMAC with: of most, the UTF-8 bytes of the text that they gave. Raises
        `ValueError` for an empty one."""
        if not secret:
            raise ValueError("secret: is empty")
        self._keyed = hmac.new(secret, digestmod=hashlib.sha256)

    def __repr__(self) -> str:
        return "<HmacKey>"

    def __reduce__(self) -> str:
        raise TypeError("an HmacKey holds a secret and can't be pickled; load the secret where it is needed")

    def digest(self, text: bytes) -> bytes:
        """The 32 bytes of the signature of `text`."""
        keyed = self._keyed.copy()
        keyed.update(text)
        return keyed.digest()

    def hex(self, text: bytes) -> str:
        """The signature of `text` as 64 small hexadecimal digits."""
        return self.digest(text).hex()

    def base64(self, text: bytes) -> str:
        """The signature of `text` in Base64."""
        return base64.b64encode(self.digest(text)).decode("ascii")


def canonical_json(fields: Mapping[str, str | int]) -> bytes:
    """JSON with sorted names and without spaces, like JavaScript's `JSON.stringify(o, Object.keys(o).sort())`.

    That drops the names of nested objects which the outer one lacks, so nested ones are not signed at all. Raises
    `ValueError` for a value that is neither text nor an integer.
    """
    for name, value in fields.items():
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise ValueError(f"{name}: {value!r} can't be signed; only text and integers have one form")
    return _JSON.encode(fields)


def plain_query(params: Iterable[tuple[str, str | int]]) -> str:
    """A query of values that every encoder leaves as they are, in the given order: "a=1&b=2".

    Encoders differ in `~`, `*`, spaces and others, and a signature covers the encoded text. Raises `ValueError` for a
    name or value with anything but ASCII letters, digits, dot, hyphen and underscore.
    """
    pairs = [(name, str(value)) for name, value in params]
    for name, value in pairs:
        if not _PLAIN(name) or not _PLAIN(value):
            raise ValueError(f"{name}={value!r}: only letters, digits and . _ - are written alike by all")
    return "&".join(f"{name}={value}" for name, value in pairs)


def signed_query(key: HmacKey, query: str, stamp_ms: int) -> str:
    """The query, sorted by name, with the time and the hex signature of both: for venues that have exactly that signed.
    Raises `ValueError` for a name or value that not every encoder writes alike."""
    pairs = [one.partition("=")[::2] for one in query.split("&")] if query else []
    text = plain_query(sorted([*pairs, ("timestamp", str(stamp_ms))]))
    return f"{text}&signature={key.hex(text.encode())}"
