"""Addresses in settings."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from connectors.client.wire.address import RestUrl, StreamUrl, account_of, is_loopback, origin_of, path_of

REST, STREAM = TypeAdapter(RestUrl), TypeAdapter(StreamUrl)


@pytest.mark.parametrize(
    "url", ["https://api.venue.com/v1", "http://127.0.0.1:8080/v1", "http://localhost", "http://[::1]"]
)
def test_address_when_encrypted_or_local_then_it_is_taken(url: str) -> None:
    assert REST.validate_python(f"{url}/") == url
    assert STREAM.validate_python(url.replace("http", "ws", 1)) == url.replace("http", "ws", 1)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://api.venue.com/v1", "only a loopback address may go without https"),
        ("http://127.0.0.1.evil.com/v1", "only a loopback address"),
        ("http://10.0.0.1/v1", "only a loopback address"),
        ("wss://api.venue.com", "is not an address"),
        ("api.venue.com", "is not an address"),
        ("https://", "is not an address"),
        ("https://user:pw@api.venue.com", "no user info, query or fragment"),
        ("https://api.venue.com/v1?a=b", "no user info, query or fragment"),
        ("https://api.venue.com/v1#a", "no user info, query or fragment"),
    ],
)
def test_address_when_unsafe_or_none_then_it_is_refused_with_the_reason(url: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        REST.validate_python(url)


def test_address_when_split_then_a_transport_and_a_signature_have_their_parts() -> None:
    url = "https://api.venue.com:8443/v1"
    assert (origin_of(url), path_of(url)) == ("https://api.venue.com:8443", "/v1")
    assert path_of("https://api.venue.com") == ""
    assert account_of(url, "k") == "api.venue.com:8443 k"
    assert [is_loopback(one) for one in (url, "http://127.8.0.1", "ws://localhost:1/x")] == [False, True, True]
