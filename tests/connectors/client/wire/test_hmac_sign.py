"""HMAC signatures and signed texts, against the documented examples."""

from __future__ import annotations

import hashlib
import hmac
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.client.wire.hmac_sign import HmacKey, canonical_json, plain_query
from tests.connectors.client.wire.test_wallet_sign import VECTORS


@pytest.mark.parametrize(
    ("secret", "text", "signature"),
    [
        ("testApiSecret", VECTORS["kalqix_A_place"]["prehash_full"], VECTORS["kalqix_A_place"]["hmac_full"]),
        ("testApiSecret", VECTORS["kalqix_A_place"]["prehash_rel"], VECTORS["kalqix_A_place"]["hmac_rel"]),
        ("testApiSecret", VECTORS["kalqix_A_cancel"]["prehash_full"], VECTORS["kalqix_A_cancel"]["hmac_full"]),
        ("testApiSecret", VECTORS["kalqix_A_get"]["prehash_full"], VECTORS["kalqix_A_get"]["hmac_full"]),
        ("testApiSecret", VECTORS["kalqix_B_place"]["prehash"], VECTORS["kalqix_B_place"]["hmac"]),
        ("your_secret_key_here", VECTORS["zdex_get_positions"]["query"], VECTORS["zdex_get_positions"]["signature"]),
        ("your_secret_key_here", VECTORS["zdex_post_order"]["query"], VECTORS["zdex_post_order"]["signature"]),
        ("hkt_secret", VECTORS["bitexasia_ASSUMED"]["prehash"], VECTORS["bitexasia_ASSUMED"]["signature"]),
    ],
)
def test_text_when_it_is_a_documented_example_then_the_signature_is_that_one(
    secret: str, text: str, signature: str
) -> None:
    assert HmacKey(secret.encode()).hex(text.encode()) == signature


@given(st.binary(min_size=1, max_size=200), st.lists(st.binary(max_size=300), min_size=2, max_size=4))
def test_key_when_used_again_and_again_then_each_text_is_signed_alone(secret: bytes, texts: list[bytes]) -> None:
    key = HmacKey(secret)
    assert [key.digest(text) for text in texts] == [hmac.digest(secret, text, hashlib.sha256) for text in texts]


def test_signature_when_in_base64_then_it_is_the_same_bytes() -> None:
    assert HmacKey(b"key").base64(b"The quick brown fox jumps over the lazy dog") == (
        "97yD9DBThCSxMpjmqm+xQ+9NWaFJRhdZl0edvC0aPNg="
    )


@pytest.mark.parametrize("vector", ["kalqix_A_place", "kalqix_B_place"])
def test_body_when_made_canonical_then_it_is_the_documented_one(vector: str) -> None:
    fields = json.loads(VECTORS[vector]["body_canonical"])
    reordered = dict(reversed(fields.items()))
    assert canonical_json(reordered).decode() == VECTORS[vector]["body_canonical"]


@pytest.mark.parametrize("value", [1.0, True, None, {"a": 1}, [1]])
def test_body_when_a_value_has_no_one_form_then_it_is_refused_by_its_name(value: Any) -> None:
    with pytest.raises(ValueError, match="can't be signed"):
        canonical_json({"price": value})


def test_query_when_its_values_are_plain_then_it_is_written_as_given() -> None:
    assert (
        plain_query([("symbol", "BTCUSDT"), ("timestamp", 1_767_225_600_000)])
        == (VECTORS["zdex_get_positions"]["query"])
    )


@pytest.mark.parametrize("value", ["a b", "a~b", "a*b", "a/b", "a&b=c", "é", "a%20b", "a+b"])
def test_query_when_encoders_would_differ_then_it_is_refused(value: str) -> None:
    for pair in (("symbol", value), (value, "x")):
        with pytest.raises(ValueError, match="written alike"):
            plain_query([pair])


def test_key_when_shown_pickled_or_empty_then_no_secret_appears() -> None:
    key = HmacKey(b"secret-text")
    assert repr(key) == "<HmacKey>"
    with pytest.raises(TypeError, match="secret"):
        pickle.dumps(key)
    with pytest.raises(ValueError, match="empty"):
        HmacKey(b"")
