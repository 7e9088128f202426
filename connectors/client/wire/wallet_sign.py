"""Signatures of a wallet's or an agent's secp256k1 key, made by libsecp256k1 (coincurve). Pure.

The key of a wallet can do more than trade: withdraw, transfer. So a key here signs the actions of its list and nothing
else. Both kinds of signature are deterministic: the same text twice is the same signature twice, which venues refuse as
a replay, so every text carries a timestamp of its own (`request_clock`).

The library is loaded when a key is made, because only venues with wallets need it. There is no other backend to fall
back to: in pure Python one signature takes 255 ms, and the daemon would stand still meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import msgspec

from connectors.client.wire.hmac_sign import canonical_json
from framework.domain.errors import ConfigurationError
from framework.domain.loading import load_late

_EIP191_PREFIX = b"\x19Ethereum Signed Message:\n"
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}").fullmatch
_LIBRARY = "connectors.client.wire.wallet_sign needs coincurve with libsecp256k1's schnorrsig; install coincurve>=21"


class _Curve(msgspec.Struct, frozen=True):
    """The parts of libsecp256k1 and of Keccak that are used."""

    private_key: Any
    context: Any
    ffi: Any
    lib: Any
    keccak: Any


class WalletKey:
    """One private key and the actions that it may sign. Its repr shows the address, never the key."""

    __slots__ = ("_actions", "_curve", "_key", "_keypair", "address")

    def __init__(self, secret: bytes, actions: Collection[str]) -> None:
        """`secret` is the private key, 32 bytes; `actions` are the values of `action` that may be signed.

        Raises `ConfigurationError` when coincurve or its Schnorr signatures are missing, and for a secret that is no
        key of the curve.
        """
        self._curve = _load_curve()
        self._actions = frozenset(actions)
        # The library would fill a shorter secret up.
        if len(secret) != 32 or not self._curve.lib.secp256k1_ec_seckey_verify(self._curve.context, secret):
            raise ConfigurationError("the private key is none of the curve secp256k1; check its file")
        self._key = self._curve.private_key(secret)
        self._keypair = self._curve.ffi.new("secp256k1_keypair *")
        self._curve.lib.secp256k1_keypair_create(self._curve.context, self._keypair, secret)
        self.address = self._address()
        """The Ethereum address of the key, with the capitals of its checksum (EIP-55)."""

    def __repr__(self) -> str:
        return f"<WalletKey {self.address}>"

    def __reduce__(self) -> str:
        raise TypeError("a WalletKey holds a private key and can't be pickled; load the key where it is needed")

    @property
    def public_key(self) -> str:
        """The x-only public key (BIP-340), 64 hexadecimal digits: what identifies an agent."""
        return bytes(self._key.public_key.format(compressed=True)[1:]).hex()

    def sign_eip191(self, fields: dict[str, str | int]) -> str:
        """The signature of an action's canonical JSON as `personal_sign` makes it: "0x" and 130 digits (r, s, v).

        Raises `ValueError` for an action that is not allowed and for fields that have no canonical form.
        """
        text = self._text(fields)
        digest = self._hash(_EIP191_PREFIX + str(len(text)).encode() + text)
        raw = bytes(self._key.sign_recoverable(digest, hasher=None))
        return f"0x{raw[:64].hex()}{raw[64] + 27:02x}"

    def sign_bip340(self, fields: dict[str, str | int]) -> str:
        """The Schnorr signature of an action's canonical JSON itself, not of its hash: 128 digits, without "0x".

        BIP-340 takes messages of any length. No randomness is added, so it is deterministic. Raises `ValueError` for
        an action that is not allowed and for fields that have no canonical form.
        """
        text, curve = self._text(fields), self._curve
        signature = curve.ffi.new("unsigned char[64]")
        done = curve.lib.secp256k1_schnorrsig_sign_custom(
            curve.context, signature, text, len(text), self._keypair, curve.ffi.NULL
        )
        if not done:
            raise ValueError(f"action={fields['action']!r}: the library did not sign it")
        return bytes(curve.ffi.buffer(signature)).hex()

    def _text(self, fields: dict[str, str | int]) -> bytes:
        action = fields.get("action")
        if action not in self._actions:
            raise ValueError(f"action={action!r}: this key signs {', '.join(sorted(self._actions))} only")
        return canonical_json(fields)

    def checksummed(self, address: str) -> str:
        """An address, "0x" and 40 hexadecimal digits in letters of any size, with the capitals of its checksum
        (EIP-55)."""
        digits = address[2:].lower()
        nibbles = self._hash(digits.encode()).hex()
        return "0x" + "".join(
            one.upper() if nibble >= "8" else one for one, nibble in zip(digits, nibbles, strict=False)
        )

    def check_recipient(self, address: str, field: str) -> None:
        """Let the address of another wallet pass. Raises `ConfigurationError`, naming `field`, for what is none, for
        the key's own one, and for capitals that are not its checksum: a digit may be wrong then."""
        digits = address[2:]
        if not _ADDRESS(address):
            raise ConfigurationError(f"{field}: {address[:60]} is no wallet; write 0x and 40 hexadecimal digits")
        if address.lower() == self.address.lower():
            raise ConfigurationError(f"{field}: {address} is the account's own wallet; give another one")
        if digits not in (digits.lower(), digits.upper()) and address != self.checksummed(address):
            raise ConfigurationError(f"{field}: {address} has capitals that are not its checksum; compare each digit")

    def _address(self) -> str:
        return self.checksummed(f"0x{self._hash(self._key.public_key.format(compressed=False)[1:])[-20:].hex()}")

    def _hash(self, data: bytes) -> bytes:
        return bytes(self._curve.keccak(digest_bits=256, data=data).digest())


def _load_curve() -> _Curve:
    try:
        curve = _Curve(
            private_key=load_late("coincurve:PrivateKey"),
            context=load_late("coincurve.context:GLOBAL_CONTEXT").ctx,
            ffi=load_late("coincurve._libsecp256k1:ffi"),
            lib=load_late("coincurve._libsecp256k1:lib"),
            keccak=load_late("Crypto.Hash.keccak:new"),
        )
    except (ImportError, AttributeError) as e:
        raise ConfigurationError(f"{_LIBRARY} ({e})") from e
    if not hasattr(curve.lib, "secp256k1_schnorrsig_sign_custom"):
        raise ConfigurationError(_LIBRARY)
    return curve
