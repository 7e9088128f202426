"""A certificate authority made for one case, and a server's certificate under it."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from framework.domain.ports import Clock
from framework.runtime.clock import SystemClock

TRUST_VARIABLE = "SSL_CERT_FILE"
"""What OpenSSL reads the file of trusted authorities from."""
VALID_DAYS = 1


class Authority:
    """An authority whose certificate lies in `file`."""

    def __init__(self, directory: Path, clock: Clock | None = None) -> None:
        self.file = directory / "authority.pem"
        self._directory = directory
        self._now = datetime.fromtimestamp((clock or SystemClock()).now_ns() // 1_000_000_000, UTC)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Authority of a test")
        builder = self._builder(self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.file.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def server(self, host: str) -> ssl.SSLContext:
        """What a server needs that speaks TLS as this host, an address or a name."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_name(host), key.public_key())
        builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(host)]), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)
        file = self._directory / "server.pem"
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    @contextmanager
    def trusted(self) -> Iterator[None]:
        """Have connections that are made meanwhile trust this authority, and no other."""
        before = os.environ.get(TRUST_VARIABLE)
        os.environ[TRUST_VARIABLE] = str(self.file)
        try:
            yield
        finally:
            if before is None:
                del os.environ[TRUST_VARIABLE]
            else:
                os.environ[TRUST_VARIABLE] = before

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - timedelta(days=VALID_DAYS))
            .not_valid_after(self._now + timedelta(days=VALID_DAYS))
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
