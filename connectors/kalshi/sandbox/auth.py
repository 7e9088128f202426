"""API keys, their scopes, and the check of a request's signature.

Written apart from any signer, from the vendor's description: a mistake shared with a client would pass on both sides.
The signed text is timestamp (ms), method and path without query; RSA keys sign with PSS over SHA-256 (MGF1 SHA-256,
salt as long as the digest), Ed25519 keys sign the text itself. The algorithm follows from the registered public key.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from connectors.kalshi.sandbox import errors
from connectors.kalshi.sandbox.wire import stable_uuid
from connectors.sandbox.serving.keys import kept_secret
from connectors.sandbox.serving.rest import Refusal

KEY_HEADER = "KALSHI-ACCESS-KEY"
TIMESTAMP_HEADER = "KALSHI-ACCESS-TIMESTAMP"
SIGNATURE_HEADER = "KALSHI-ACCESS-SIGNATURE"

# Recorded answers: 5 s either way is accepted, 30 s is not. The edge between them is an assumption.
WINDOW_MS = 10_000
# Vendor docs: the parent `write` covers each `write::…`, and `read` likewise.
SCOPES = frozenset(
    {
        "read",
        "write",
        "read::portfolio_balance",
        "read::block_trade_accept",
        "write::trade",
        "write::transfer",
        "write::fcm_risk",
        "write::block_trade_accept",
    }
)
FULL_SCOPES = ("read", "write")
RSA_BITS = 2048
_TIMESTAMP = re.compile(r"[0-9]{1,16}")

PublicKey = rsa.RSAPublicKey | ed25519.Ed25519PublicKey
PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class ApiKey:
    """One registered key. `scopes` are of SCOPES; `subaccount` is None when the key may act for all of them."""

    key_id: str
    name: str
    public_key: PublicKey
    scopes: tuple[str, ...] = FULL_SCOPES
    subaccount: int | None = None

    def allows(self, scope: str) -> bool:
        """True when the key has `scope` or its parent (`write` covers `write::trade`)."""
        return scope in self.scopes or scope.split("::", 1)[0] in self.scopes


def generate_private_key(key_type: str) -> PrivateKey:
    """A fresh private key: Ed25519 for `ed25519`, else RSA of RSA_BITS."""
    if key_type == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)


def private_pem(key: PrivateKey) -> str:
    """PEM text as the venue returns it: PKCS#1 for RSA, PKCS#8 for Ed25519 (vendor docs)."""
    form = (
        serialization.PrivateFormat.TraditionalOpenSSL
        if isinstance(key, rsa.RSAPrivateKey)
        else serialization.PrivateFormat.PKCS8
    )
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def load_public_key(pem: str) -> PublicKey | None:
    """The public key of `pem`, or None when it is not a usable RSA or Ed25519 key."""
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except ValueError:
        return None
    return key if isinstance(key, rsa.RSAPublicKey | ed25519.Ed25519PublicKey) else None


def kept_key(path: Path, key_type: str) -> tuple[ApiKey, Path]:
    """The key of an earlier run in the same file, else a fresh one; its id follows from the public key.

    Raises `ValueError` when the file holds no usable key, `OSError` when it cannot be read or written.
    """
    pem = kept_secret(path, lambda: private_pem(generate_private_key(key_type)))
    # The long check of an RSA key is left out: it takes long, and the file is the sandbox's own.
    private = serialization.load_pem_private_key(pem.encode(), password=None, unsafe_skip_rsa_key_validation=True)
    public = public_pem(private.public_key())
    loaded = load_public_key(public)
    if loaded is None:
        raise ValueError(f"{path} holds neither an RSA nor an Ed25519 key; remove it to have a fresh one made")
    return ApiKey(stable_uuid("key", public), f"sandbox {key_type}", loaded), path


def public_pem(key: PublicKeyTypes) -> str:
    """PEM text of a public key."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


class KeyRing:
    """The registered keys. `refused_signatures` counts the requests that `authenticate` refused."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}
        self.refused_signatures = 0

    def add(self, key: ApiKey) -> None:
        """Register `key`; a key with the same id is replaced."""
        self._keys[key.key_id] = key

    def remove(self, key_id: str) -> bool:
        """Unregister a key; False when it was not registered."""
        return self._keys.pop(key_id, None) is not None

    def keys(self) -> list[ApiKey]:
        """All registered keys, in the order in which they were registered."""
        return list(self._keys.values())

    def authenticate(self, headers: Mapping[str, str], *, method: str, path: str, now_ms: int) -> ApiKey:
        """The key that signed this request.

        `path` is the path from the root without query, `now_ms` the venue's clock in Unix milliseconds. Raises
        `Refusal` with the recorded 401 body otherwise, and counts it.
        """
        try:
            return self._authenticate(headers, f"{method.upper()}{path}", now_ms=now_ms)
        except Refusal:
            self.refused_signatures += 1
            raise

    def _authenticate(self, headers: Mapping[str, str], signed: str, *, now_ms: int) -> ApiKey:
        key_id, stamp, signature = (
            _required(headers, KEY_HEADER),
            _required(headers, TIMESTAMP_HEADER),
            _required(headers, SIGNATURE_HEADER),
        )
        if not _TIMESTAMP.fullmatch(stamp) or abs(int(stamp) - now_ms) > WINDOW_MS:
            raise errors.unauthorized("header_timestamp_expired")
        key = self._keys.get(key_id)
        if key is None:
            raise errors.unauthorized(errors.AUTHENTICATION_ERROR, "NOT_FOUND")
        if not signature_is_valid(key.public_key, signature, text=stamp + signed):
            raise errors.unauthorized(errors.AUTHENTICATION_ERROR, "INCORRECT_API_KEY_SIGNATURE")
        return key


def signature_is_valid(key: PublicKey, signature: str, *, text: str) -> bool:
    """True when `signature` (base64) is this key's signature of `text`."""
    try:
        raw = base64.b64decode(signature, validate=True)
        if isinstance(key, rsa.RSAPublicKey):
            scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=hashes.SHA256.digest_size)
            key.verify(raw, text.encode(), scheme, hashes.SHA256())
        else:
            key.verify(raw, text.encode())
    except (ValueError, InvalidSignature):
        return False
    return True


def _required(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    if not value:
        part = name.rpartition("-")[2].lower()
        raise errors.unauthorized(f"{part}_is_missing_from_headers")
    return value
