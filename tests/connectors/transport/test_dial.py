from __future__ import annotations

import ssl

import pytest

from connectors.transport.dial import parse_endpoint

SCHEMES = ("http", "https", "ws", "wss")


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("http://a.example", "a.example", 80, "a.example"),
        ("ws://A.example:80/", "a.example", 80, "a.example"),
        ("http://a.example:443", "a.example", 443, "a.example:443"),
        ("https://a.example", "a.example", 443, "a.example"),
        ("wss://a.example:8443", "a.example", 8443, "a.example:8443"),
        ("http://[::1]:8080", "::1", 8080, "[::1]:8080"),
        ("http://bücher.example", "xn--bcher-kva.example", 80, "xn--bcher-kva.example"),
    ],
)
def test_endpoint_when_url_is_good_then_split(url: str, host: str, port: int, authority: str) -> None:
    endpoint = parse_endpoint(url, schemes=SCHEMES, tls=None)
    assert (endpoint.host, endpoint.port, endpoint.authority) == (host, port, authority)
    assert (endpoint.tls is not None) is (endpoint.scheme in ("https", "wss"))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host",
        "http://",
        "host:80",
        "http://host/path",
        "http://u:p@host",
        "http://host?x=1",
        "http://host#f",
        "http://host:99999",
        "http://" + "a" * 70,
    ],
)
def test_endpoint_when_url_is_bad_then_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"base_url|[Pp]ort|label"):
        parse_endpoint(url, schemes=SCHEMES, tls=None)


def test_endpoint_when_scheme_is_of_another_protocol_then_refused() -> None:
    with pytest.raises(ValueError, match="scheme must be one of http, https"):
        parse_endpoint("ws://host", schemes=("http", "https"), tls=None)


def test_endpoint_when_tls_does_not_verify_then_refused() -> None:
    lax = ssl.create_default_context()
    lax.check_hostname = False
    with pytest.raises(ValueError, match="does not verify"):
        parse_endpoint("https://host", schemes=SCHEMES, tls=lax)
    lax.verify_mode = ssl.CERT_NONE
    with pytest.raises(ValueError, match="does not verify"):
        parse_endpoint("https://host", schemes=SCHEMES, tls=lax)
