"""RSA and Ed25519 keys of members: made, kept in files, read from PEM, and the check of what they signed.

Written apart from any signer of a client: a mistake that both share would pass on both sides. RSA keys sign with PSS
over SHA-256 (MGF1 SHA-256, salt as long as the digest), Ed25519 keys sign the text itself; the algorithm follows from
the key.
"""

from __future__ import annotations

import base64
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from connectors.sandbox.serving.keys import kept_secret

RSA_BITS = 2048
PublicKey = rsa.RSAPublicKey | ed25519.Ed25519PublicKey
PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def generate_private_key(key_type: str) -> PrivateKey:
    """A fresh private key: Ed25519 for `ed25519`, else RSA of RSA_BITS."""
    if key_type == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)


def private_pem(key: PrivateKey) -> str:
    """PEM text without a password: PKCS#1 for RSA, PKCS#8 for Ed25519."""
    is_rsa = isinstance(key, rsa.RSAPrivateKey)
    form = serialization.PrivateFormat.TraditionalOpenSSL if is_rsa else serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def public_pem(key: PublicKey) -> str:
    """PEM text of a public key: the same for the same key, so that an id can follow from it."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def load_public_key(pem: str) -> PublicKey | None:
    """The public key of `pem`, or None when it is not a usable RSA or Ed25519 key."""
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except ValueError:
        return None
    return key if isinstance(key, rsa.RSAPublicKey | ed25519.Ed25519PublicKey) else None


def kept_public_key(path: Path, key_type: str) -> PublicKey:
    """The public half of the private key that an earlier run left in `path`, else of a fresh one, which is kept there.

    Raises `ValueError` when the file holds no usable key, `OSError` when it cannot be read or written.
    """
    pem = kept_secret(path, lambda: private_pem(generate_private_key(key_type)))
    # The long check of an RSA key is left out: it takes long, and the file is the sandbox's own.
    private = serialization.load_pem_private_key(pem.encode(), password=None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(private, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise ValueError(f"{path} holds neither an RSA nor an Ed25519 key; remove it to have a fresh one made")
    return private.public_key()


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
