"""Whether a request is signed as KalqiX wants it: the HMAC of a key, and the signature of an action.

Written apart from the client's signing and on other libraries: addresses are recovered by eth-account, agents' keys
checked by coincurve's own class.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from coincurve import PublicKeyXOnly
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_keys.backends import get_backend
from eth_keys.backends.coincurve import CoinCurveECCBackend
from eth_keys.exceptions import BadSignature

from connectors.sandbox.serving.rest import Arrival

HEX_DIGITS = frozenset("0123456789abcdef")


def require_curve_library() -> None:
    """Raises `ValueError` when addresses would be recovered in pure Python, so slowly that all requests wait."""
    if not isinstance(get_backend(), CoinCurveECCBackend):
        raise ValueError("eth-account does not use coincurve; install coincurve>=21")


def canonical(fields: Mapping[str, Any]) -> str:
    """An object as JavaScript's `JSON.stringify(o, Object.keys(o).sort())` writes a flat one."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def hmac_texts(arrival: Arrival, body: Mapping[str, Any], stamp: str, *, is_apart: bool) -> list[bytes]:
    """The texts of which `x-api-signature` may be the HMAC: with the path and query as they came, or (`is_apart`,
    dialect B) with the path, and the query decoded and sorted by name. An empty object that is sent is signed as it is
    or as no body: the vendor's guides have both."""
    place = arrival.path_and_query
    if is_apart:
        pairs = sorted(arrival.query.items())
        place = f"{arrival.path}|{'&'.join(f'{name}={value}' for name, value in pairs)}"
    texts = [canonical(body)] if body else ["", "{}"] if arrival.raw else [""]
    return [f"{arrival.method}|{place}|{text}|{stamp}".encode(errors="replace") for text in texts]


def new_wallet_key() -> str:
    """A fresh private key, 64 hexadecimal digits."""
    return secrets.token_hex(32)


def address_of(private_key: str) -> str:
    """The address of a wallet, with the capitals of its checksum."""
    return str(Account.from_key(private_key).address)


def agent_of(private_key: str) -> str:
    """The x-only public key of an agent, 64 hexadecimal digits."""
    return PublicKeyXOnly.from_secret(bytes.fromhex(private_key)).format().hex()


def is_by_wallet(fields: Mapping[str, Any], signature: str, address: str) -> bool:
    """Whether the wallet signed the action (EIP-191 over its canonical JSON): 65 bytes, r, s and v of 27 or 28."""
    digits = signature.removeprefix("0x").lower()
    if len(digits) != 130 or not HEX_DIGITS.issuperset(digits):
        return False
    try:
        found = Account.recover_message(encode_defunct(text=canonical(fields)), signature=bytes.fromhex(digits))
    except (BadSignature, ValueError):  # numbers that are no signature
        return False
    return str(found).lower() == address.lower()


def is_by_agent(fields: Mapping[str, Any], signature: str, public_key: str) -> bool:
    """Whether the agent signed the action (BIP-340 over its canonical JSON, of any length): 128 digits without "0x"."""
    if len(signature) != 128 or not HEX_DIGITS.issuperset(signature.lower()):
        return False
    text = canonical(fields).encode(errors="replace")
    return PublicKeyXOnly(bytes.fromhex(public_key)).verify(bytes.fromhex(signature), text)
