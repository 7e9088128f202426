"""API keys, their scopes, and the check of a request's signature.

The signed text is timestamp (ms), method and path without query; the algorithm follows from the registered public key,
and RSA keys sign with PSS (vendor docs).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from connectors.kalshi.sandbox import errors
from connectors.sandbox.serving.public_keys import PublicKey, signature_is_valid
from connectors.sandbox.serving.rest import Refusal

KEY_HEADER = "KALSHI-ACCESS-KEY"
TIMESTAMP_HEADER = "KALSHI-ACCESS-TIMESTAMP"
SIGNATURE_HEADER = "KALSHI-ACCESS-SIGNATURE"

# Recorded answers: 5 s either way is accepted, 30 s is not. The edge between them is an assumption.
WINDOW_MS = 10_000
# Vendor docs: the parent `write` covers each `write::…`, and `read` likewise.
SCOPES = frozenset(
    {"read", "read::portfolio_balance", "read::block_trade_accept", "write", "write::trade", "write::transfer"}
    | {"write::fcm_risk", "write::block_trade_accept"}
)
FULL_SCOPES = ("read", "write")
_TIMESTAMP = re.compile(r"[0-9]{1,16}")


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


class KeyRing:
    """The registered keys by id, in order. `refused_signatures` counts the requests that `authenticate` refused."""

    def __init__(self) -> None:
        self.registered: dict[str, ApiKey] = {}
        self.refused_signatures = 0

    def add(self, *keys: ApiKey) -> None:
        """Register keys; one with the same id is replaced."""
        self.registered |= {key.key_id: key for key in keys}

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
        named = (KEY_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER)
        key_id, stamp, signature = (_required(headers, name) for name in named)
        if not _TIMESTAMP.fullmatch(stamp) or abs(int(stamp) - now_ms) > WINDOW_MS:
            raise errors.unauthorized("header_timestamp_expired")
        key = self.registered.get(key_id)
        if key is None:
            raise errors.unauthorized(errors.AUTHENTICATION_ERROR, "NOT_FOUND")
        if not signature_is_valid(key.public_key, signature, text=stamp + signed):
            raise errors.unauthorized(errors.AUTHENTICATION_ERROR, "INCORRECT_API_KEY_SIGNATURE")
        return key


def _required(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    if not value:
        part = name.rpartition("-")[2].lower()
        raise errors.unauthorized(f"{part}_is_missing_from_headers")
    return value
