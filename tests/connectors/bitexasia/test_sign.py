"""What is signed, by the literal vector; times and nonces of requests; what a key tolerates."""

from __future__ import annotations

import base64

import pytest

from connectors.bitexasia.sign import Layout, key_of, signature, signing
from connectors.client.venue_time import VenueTime
from connectors.client.wire.calls import Call
from framework.domain.errors import ConfigurationError, Retryable
from framework.runtime.clock import ManualClock, seeded_rng

BODY = b'{"pair":"BTC-USD","side":"buy","type":"limit","price":"63000","size":"0.01"}'
CALL = Call("POST", "/v1/orders", BODY)
STAMP, NONCE = "1714521600000", "7f3a1b8e"
VECTOR = "957950259890b8a380d32fc83c123074ecb26d7ca13562a955250691ed3a58e8"
"""Made by another program: secret `hkt_secret`, the five inputs joined by line breaks."""
CONCATENATED = "dc5f028af08db032dca0549da872531061f91be0959b644ac1ec98feb7416324"


def test_signature_when_made_as_assumed_then_it_is_the_literal_vector() -> None:
    assert signature(key_of("hkt_secret", "text"), Layout(), CALL, STAMP, NONCE) == VECTOR


def test_signature_when_settings_correct_the_layout_then_it_is_the_other_vector() -> None:
    key = key_of("hkt_secret", "text")
    assert signature(key, Layout(separator=""), CALL, STAMP, NONCE) == CONCATENATED
    written = signature(key, Layout(encoding="base64"), CALL, STAMP, NONCE)
    assert base64.b64decode(written).hex() == VECTOR
    turned = Layout(("timestamp", "nonce", "method", "target", "body"))
    assert signature(key, turned, CALL, STAMP, NONCE) not in (VECTOR, CONCATENATED)


@pytest.mark.parametrize(("text", "encoding"), [("aGt0X3NlY3JldA==", "base64"), ("686b745f736563726574", "hex")])
def test_secret_when_it_is_encoded_then_its_bytes_are_the_key(text: str, encoding: str) -> None:
    assert signature(key_of(text, encoding), Layout(), CALL, STAMP, NONCE) == VECTOR


@pytest.mark.parametrize(("text", "encoding"), [("hkt_secret", "base64"), ("hkt_secret", "hex"), ("", "hex")])
def test_secret_when_it_has_not_the_form_that_is_set_then_that_is_said_without_it(text: str, encoding: str) -> None:
    with pytest.raises(ConfigurationError, match=r"secret_path: .*key_encoding") as raised:
        key_of(text, encoding)
    assert "hkt" not in str(raised.value)


def test_request_when_signed_twice_then_time_and_nonce_are_new_and_the_body_is_the_same() -> None:
    clock = ManualClock()
    sign = signing("key", key_of("hkt_secret", "text"), VenueTime(clock), drift_ms=30_000, rng=seeded_rng(1))
    first, second = sign(CALL), sign(CALL)
    assert first.body == second.body == BODY
    headers = [dict(one.headers) for one in (first, second)]
    for name in ("X-Api-Timestamp", "X-Api-Nonce", "X-Api-Signature"):
        assert headers[0][name] != headers[1][name]
    assert headers[0]["X-Api-Key"] == "key"
    assert len(headers[0]["X-Api-Nonce"]) == 16
    expected = signature(
        key_of("hkt_secret", "text"), Layout(), CALL, headers[0]["X-Api-Timestamp"], headers[0]["X-Api-Nonce"]
    )
    assert headers[0]["X-Api-Signature"] == expected


def test_request_when_the_venue_s_time_is_known_to_half_the_tolerance_then_no_stamp_is_beyond_it() -> None:
    clock = ManualClock(wall_ns=1_800_000_000_000_000_000)
    for late_ms in (0, 999):
        time = VenueTime(clock)
        sent_ns = clock.monotonic_ns()
        # The Date of an answer is cut down to whole seconds.
        time.sample_date("Fri, 15 Jan 2027 08:00:00 GMT", sent_ns=sent_ns, received_ns=sent_ns)
        request = signing("key", key_of("hkt_secret", "text"), time, drift_ms=600, rng=seeded_rng(1))(CALL)
        stamp_ms = int(dict(request.headers)["X-Api-Timestamp"])
        assert abs(stamp_ms - (1_800_000_000_000 + late_ms)) <= 600


def test_request_when_the_venue_s_time_is_less_sure_than_the_key_tolerates_then_it_is_not_signed() -> None:
    clock = ManualClock(wall_ns=1_800_000_000_000_000_000)
    time = VenueTime(clock)
    sent_ns = clock.monotonic_ns()
    time.sample_ms(clock.now_ns() // 1_000_000, sent_ns=sent_ns - 900_000_000, received_ns=sent_ns)
    key = key_of("hkt_secret", "text")
    with pytest.raises(Retryable, match="drift_ms=200"):
        signing("key", key, time, drift_ms=200, rng=seeded_rng(1))(CALL)
    assert signing("key", key, time, drift_ms=1_000, rng=seeded_rng(1))(CALL).headers
