"""Real TLS on loopback, with a certificate authority made for the occasion."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket

from connectors.transport.errors import NotSent
from connectors.transport.http_pool import Http1Transport
from connectors.transport.ports import HttpRequest
from connectors.transport.reference_websocket import ReferenceTransport
from connectors.transport.websocket import PicowsTransport
from tests.connectors.transport.loopback import ManualClock, Serve, Wire, always_ok

GET = HttpRequest(method="GET", target="/")
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
FAR_OFF = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM file with key and certificate for 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(LONG_AGO)
        .not_valid_after(FAR_OFF)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "loopback.pem"
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(private + made.public_bytes(encoding))
    return path


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


async def test_http_when_certificate_is_trusted_then_requests_share_a_connection(
    server_tls: ssl.SSLContext, trusting: ssl.SSLContext, clock: ManualClock, serve: Serve
) -> None:
    server = await serve(always_ok, server_tls)
    transport = Http1Transport(f"https://127.0.0.1:{server.port}", clock=clock, tls=trusting)
    for _ in range(3):
        assert (await transport.send(GET, timeout_ms=2000)).body == b"ok"
    assert server.connections == 1
    await transport.close()


async def test_http_when_certificate_is_not_trusted_then_not_sent(
    server_tls: ssl.SSLContext, clock: ManualClock, serve: Serve
) -> None:
    requests = 0

    async def count(wire: Wire) -> None:
        nonlocal requests
        await wire.request()
        requests += 1

    server = await serve(count, server_tls)
    transport = Http1Transport(f"https://127.0.0.1:{server.port}", clock=clock)
    with pytest.raises(NotSent, match="certificate"):
        await transport.send(GET, timeout_ms=2000)
    await transport.close()
    assert requests == 0


async def greet(connection: ServerConnection) -> None:
    await connection.send("hello")
    await connection.wait_closed()


@pytest.mark.parametrize("kind", [PicowsTransport, ReferenceTransport])
async def test_websocket_when_certificate_is_trusted_then_messages_flow_else_not_sent(
    kind: type[PicowsTransport] | type[ReferenceTransport],
    server_tls: ssl.SSLContext,
    trusting: ssl.SSLContext,
    clock: ManualClock,
) -> None:
    got: list[bytes] = []
    async with serve_websocket(greet, "127.0.0.1", 0, ssl=server_tls) as server:
        url = f"wss://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        with pytest.raises(NotSent, match="certificate"):
            await kind(url, clock=clock).connect("/", (), on_message=lambda data, *_: got.append(data), timeout_ms=2000)
        connection = await kind(url, clock=clock, tls=trusting).connect(
            "/", (), on_message=lambda data, *_: got.append(data), timeout_ms=2000
        )
        server.close()
        await connection.wait_closed()
    assert got == [b"hello"]
