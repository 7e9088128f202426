"""Signatures, checked by the public key alone."""

from __future__ import annotations

import base64
import os
import pickle
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors.kalshi.wire.sign import PrivateKey, Signer, load_private_key, signed_text
from framework.domain.errors import ConfigurationError

PATH = "/trade-api/v2/portfolio/events/orders"
PEM, NONE = serialization.Encoding.PEM, serialization.NoEncryption()
# RFC 8032, section 7.1, test 1: a published key, so that the signature below can be written out.
KNOWN_SECRET = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
# Made with `openssl pkeyutl -sign -rawin` from that key and the text of the test.
KNOWN_SIGNATURE = "lGkIOYM3I19A9zhXn66r7D5dMo8YDKdSh+ecQiXvcs3WVXOZL6C43loLiobo/+MCkhYtJ/itbk3oKSasUA6iCQ=="


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def write(path: Path, pem: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(pem)
    path.chmod(mode)
    return path


def pem_of(key: PrivateKey | ec.EllipticCurvePrivateKey, form: serialization.PrivateFormat) -> bytes:
    return key.private_bytes(PEM, form, NONE)


def test_text_when_target_has_a_query_then_it_is_not_signed() -> None:
    assert signed_text(1767225600000, "get", f"{PATH}?limit=5") == f"1767225600000GET{PATH}".encode()


def test_rsa_signature_when_checked_with_the_public_key_then_it_is_pss_with_a_salt_of_32(
    rsa_key: rsa.RSAPrivateKey,
) -> None:
    raw = base64.b64decode(Signer("k", rsa_key).signature(1767225600000, "POST", PATH))
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    text = b"1767225600000POST" + PATH.encode()
    rsa_key.public_key().verify(raw, text, pss, hashes.SHA256())
    with pytest.raises(InvalidSignature):
        rsa_key.public_key().verify(raw, text + b"?", pss, hashes.SHA256())


def test_ed25519_signature_when_the_key_is_published_then_it_is_the_one_that_openssl_makes() -> None:
    key = Ed25519PrivateKey.from_private_bytes(KNOWN_SECRET)
    signature = Signer("k", key).signature(1767225600000, "GET", "/trade-api/ws/v2")
    key.public_key().verify(base64.b64decode(signature), b"1767225600000GET/trade-api/ws/v2")
    assert signature == KNOWN_SIGNATURE


def test_headers_when_signed_then_they_carry_id_time_and_signature(rsa_key: rsa.RSAPrivateKey) -> None:
    names = [name for name, _ in Signer("my-key", rsa_key).headers(17, "GET", PATH)]
    assert names == ["KALSHI-ACCESS-KEY", "KALSHI-ACCESS-TIMESTAMP", "KALSHI-ACCESS-SIGNATURE"]
    assert dict(Signer("my-key", rsa_key).headers(17, "GET", PATH))["KALSHI-ACCESS-TIMESTAMP"] == "17"


@pytest.mark.parametrize("form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
def test_key_when_rsa_in_either_pem_form_then_its_kind_comes_from_the_key(
    tmp_path: Path, rsa_key: rsa.RSAPrivateKey, form: serialization.PrivateFormat
) -> None:
    assert isinstance(load_private_key(write(tmp_path / "k.pem", pem_of(rsa_key, form))), rsa.RSAPrivateKey)


def test_key_when_ed25519_then_its_kind_comes_from_the_key(tmp_path: Path) -> None:
    path = write(tmp_path / "k.pem", pem_of(Ed25519PrivateKey.generate(), serialization.PrivateFormat.PKCS8))
    assert isinstance(load_private_key(path), Ed25519PrivateKey)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601])
def test_key_when_others_may_touch_the_file_then_it_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "k.pem", b"anything", mode)
    with pytest.raises(ConfigurationError, match=rf"{path}: mode {mode:04o}.*\(chmod 600\)"):
        load_private_key(path)


def test_key_when_a_link_points_to_an_open_file_then_the_file_is_judged(tmp_path: Path) -> None:
    target = write(tmp_path / "k.pem", b"anything", 0o644)
    link = tmp_path / "link.pem"
    link.symlink_to(target)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_private_key(link)


def test_key_when_kubernetes_mounts_it_then_its_links_are_followed(tmp_path: Path, rsa_key: rsa.RSAPrivateKey) -> None:
    (tmp_path / "..2026_11_30").mkdir()
    write(tmp_path / "..2026_11_30" / "kalshi.pem", pem_of(rsa_key, serialization.PrivateFormat.PKCS8), 0o400)
    (tmp_path / "..data").symlink_to("..2026_11_30")
    (tmp_path / "kalshi.pem").symlink_to(Path("..data") / "kalshi.pem")
    assert isinstance(load_private_key(tmp_path / "kalshi.pem"), rsa.RSAPrivateKey)


def test_key_when_missing_or_no_file_or_garbage_then_the_message_names_the_path(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    garbage = write(tmp_path / "garbage.pem", b"-----BEGIN GARBAGE-----")
    for path in (tmp_path / "missing.pem", tmp_path, fifo, garbage):
        with pytest.raises(ConfigurationError, match=str(path)):
            load_private_key(path)


def test_key_when_of_another_kind_or_too_short_or_encrypted_then_it_is_refused(
    tmp_path: Path, rsa_key: rsa.RSAPrivateKey
) -> None:
    curve = write(
        tmp_path / "ec.pem", pem_of(ec.generate_private_key(ec.SECP256R1()), serialization.PrivateFormat.PKCS8)
    )
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - refused below
    weak = write(tmp_path / "weak.pem", pem_of(short, serialization.PrivateFormat.PKCS8))
    sealed = rsa_key.private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )
    locked = write(tmp_path / "locked.pem", sealed)
    for path, reason in ((curve, "not supported"), (weak, "2048"), (locked, "encrypted")):
        with pytest.raises(ConfigurationError, match=reason):
            load_private_key(path)


def test_signer_when_shown_or_pickled_then_the_key_does_not_appear() -> None:
    signer = Signer("my-key", Ed25519PrivateKey.from_private_bytes(KNOWN_SECRET))
    assert repr(signer) == "<Signer key_id=my-key kind=ed25519>"
    with pytest.raises(TypeError, match="private key"):
        pickle.dumps(signer)
