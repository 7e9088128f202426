from __future__ import annotations

import pytest

from connectors.transport.http_codec import encode_request
from connectors.transport.ports import HttpRequest


def test_request_when_encoded_then_head_and_body_are_one_piece() -> None:
    request = HttpRequest(method="PUT", target="/p?q=%20", headers=(("A", "b\tc"), ("D", "é")), body=b"{}")
    expected = b"PUT /p?q=%20 HTTP/1.1\r\nHost: h:1\r\nA: b\tc\r\nD: \xe9\r\nContent-Length: 2\r\n\r\n{}"
    assert encode_request(request, authority="h:1") == expected


@pytest.mark.parametrize(("method", "has_length"), [("GET", False), ("DELETE", True), ("POST", True)])
def test_request_when_body_is_empty_then_only_get_omits_the_length(method: str, has_length: bool) -> None:
    encoded = encode_request(HttpRequest(method=method, target="/"), authority="h")
    assert (b"Content-Length: 0" in encoded) is has_length


@pytest.mark.parametrize("target", ["", "a", "http://h/", "/a b", "/a\r\nX: y", "/a\n", "/é", "/a#b", "/\x7f", "/\x00"])
def test_request_when_target_is_unfit_then_refused(target: str) -> None:
    with pytest.raises(ValueError, match="target="):
        encode_request(HttpRequest(method="GET", target=target), authority="h")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X", "a\r\nY: b"),
        ("X", "a\n"),
        ("X", "a\x00"),
        ("X", "€"),
        ("X Y", "a"),
        ("X\r\nY", "a"),
        ("X:", "a"),
        ("", "a"),
        ("Host", "other"),
        ("content-length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("CONNECTION", "close"),
    ],
)
def test_request_when_header_is_unfit_then_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="header"):
        encode_request(HttpRequest(method="GET", target="/", headers=((name, value),)), authority="h")


@pytest.mark.parametrize("method", ["HEAD", "CONNECT", "get", "GET\r\n", ""])
def test_request_when_method_is_unfit_then_refused(method: str) -> None:
    with pytest.raises(ValueError, match="method="):
        encode_request(HttpRequest(method=method, target="/"), authority="h")


def test_request_when_header_value_is_refused_then_error_does_not_repeat_it() -> None:
    with pytest.raises(ValueError, match="Signature") as caught:
        encode_request(HttpRequest(method="GET", target="/", headers=(("Signature", "s3cret\n"),)), authority="h")
    assert "s3cret" not in str(caught.value)


def test_request_when_shown_then_neither_its_query_nor_its_headers_nor_its_body_are() -> None:
    request = HttpRequest("DELETE", "/v1/orders/7?signature=0xad", (("x-api-key", "k"),), b'{"signature":"0xad"}')
    assert repr(request) == "<HttpRequest DELETE /v1/orders/7>"
