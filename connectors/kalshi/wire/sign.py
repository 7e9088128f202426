"""Kalshi request signatures. Pure: text and key in, headers out.

Signed text (vendor docs, recorded answer): Unix milliseconds, method in capitals, and the path from the root
without its query. The body is not signed. RSA keys sign with PSS (SHA-256, MGF1 with SHA-256, salt of 32 bytes),
Ed25519 keys sign the text itself (vendor docs). The parsed key decides which, never the PEM header.
"""

from __future__ import annotations

import base64
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from connectors.client.secret_file import read_secret
from framework.domain.errors import ConfigurationError

PrivateKey = RSAPrivateKey | Ed25519PrivateKey

_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
_SHA256 = hashes.SHA256()
_RSA_BITS_MIN = 2048


class Signer:
    """Signs for one API key. Its repr shows the key's id and kind, never the key."""

    __slots__ = ("_key", "key_id")

    def __init__(self, key_id: str, key: PrivateKey) -> None:
        self.key_id = key_id
        self._key = key

    def __repr__(self) -> str:
        kind = "rsa" if isinstance(self._key, RSAPrivateKey) else "ed25519"
        return f"<Signer key_id={self.key_id} kind={kind}>"

    def __reduce__(self) -> str:
        raise TypeError("a Signer holds a private key and can't be pickled; load the key where it is needed")

    def signature(self, ts_ms: int, method: str, path: str) -> str:
        """Base64 signature of a request for `path` (a query after "?" is left out) at venue time `ts_ms`, Unix ms."""
        text = signed_text(ts_ms, method, path)
        if isinstance(self._key, RSAPrivateKey):
            raw = self._key.sign(text, _PSS, _SHA256)
        else:
            raw = self._key.sign(text)
        return base64.b64encode(raw).decode("ascii")

    def headers(self, ts_ms: int, method: str, path: str) -> tuple[tuple[str, str], ...]:
        """The three headers that authenticate one attempt. Sign again for the next one: the venue refuses old times."""
        return (
            ("KALSHI-ACCESS-KEY", self.key_id),
            ("KALSHI-ACCESS-TIMESTAMP", str(ts_ms)),
            ("KALSHI-ACCESS-SIGNATURE", self.signature(ts_ms, method, path)),
        )


def signed_text(ts_ms: int, method: str, path: str) -> bytes:
    """The bytes that are signed, for example `1767225600000GET/trade-api/v2/portfolio/balance`."""
    return f"{ts_ms}{method.upper()}{path.partition('?')[0]}".encode()


def load_private_key(path: Path) -> PrivateKey:
    """Read a PEM private key once. Raises `ConfigurationError` like `read_secret`, and for a key that is encrypted or
    neither RSA (2048 bits or more) nor Ed25519. The file's content never appears in a message."""
    pem = read_secret(path, "private_key_path")
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise ConfigurationError(f"private_key_path={path}: the key is encrypted; store it unencrypted") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigurationError(f"private_key_path={path}: not a PEM private key; download it again") from None
    if isinstance(key, Ed25519PrivateKey):
        return key
    if isinstance(key, RSAPrivateKey):
        if key.key_size < _RSA_BITS_MIN:
            raise ConfigurationError(f"private_key_path={path}: RSA key of {key.key_size} bits; use 2048 or more")
        return key
    raise ConfigurationError(f"private_key_path={path}: {type(key).__name__} is not supported; use RSA or Ed25519")
