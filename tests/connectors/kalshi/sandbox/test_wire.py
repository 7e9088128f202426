"""Numbers, times, cursors and signatures, without a server."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from connectors.kalshi.sandbox import auth, errors, wire
from connectors.sandbox.serving.clock import VenueClock, rfc3339
from connectors.sandbox.serving.decimals import fixed, parse_decimal
from connectors.sandbox.serving.fields import decode_body
from connectors.sandbox.serving.pages import decode_cursor, encode_cursor
from connectors.sandbox.serving.public_keys import generate_private_key, signature_is_valid
from connectors.sandbox.serving.rest import Refusal

NS = 1_000_000_000


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(5600, 4, "0.5600"), (-300, 2, "-3.00"), (0, 6, "0.000000"), (17500, 6, "0.017500"), (-1, 4, "-0.0001")],
)
def test_fixed_when_rendered_then_exact_digits(value: int, decimals: int, text: str) -> None:
    assert fixed(value, decimals) == text


@pytest.mark.parametrize(
    ("text", "decimals", "value"),
    [
        ("0.56", 4, 5600),
        ("0.5600", 4, 5600),
        ("10", 2, 1000),
        ("10.5", 2, 1050),
        ("1.000000", 2, 100),
        ("0.001", 2, None),
        ("1e3", 2, None),
        ("-1", 2, None),
        ("", 2, None),
        (".5", 2, None),
        ("1.", 2, None),
        ("٣", 2, None),
        ("9" * 5000, 2, None),
    ],
)
def test_decimal_when_read_then_exact_or_refused(text: str, decimals: int, value: int | None) -> None:
    assert parse_decimal(text, decimals) == value


def test_time_when_rendered_then_trailing_zeros_are_trimmed() -> None:
    assert rfc3339(1_781_159_360 * NS + 866_753_000) == "2026-06-11T06:29:20.866753Z"
    assert rfc3339(1_781_159_360 * NS + 285_630_000) == "2026-06-11T06:29:20.28563Z"
    assert rfc3339(1_781_159_360 * NS + 999) == "2026-06-11T06:29:20Z"


def test_balance_when_cut_to_cents_then_towards_zero() -> None:
    assert (wire.cents(98_018_600), wire.cents(-15_000)) == (9801, -1)
    assert wire.money_short(98_018_699) == "98.0186"


def test_skew_when_set_then_shown_times_move_and_engine_times_do_not() -> None:
    clock = VenueClock(lambda: 100 * NS)
    clock.skew_ns = 5 * NS
    assert (clock.engine_ns(), clock.shown_ns(), clock.seconds(100 * NS)) == (100 * NS, 105 * NS, 105)
    assert clock.to_engine_ns(105 * NS) == 100 * NS


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "garbage-cursor-fixture",
        "é",
        "azE6",
        "azE6eA",
        "=" * 9,
        "azE6wrI",
        base64.b64encode(b"k1:" + b"9" * 5000).decode(),
    ],
)
def test_cursor_when_it_is_not_ours_then_none(cursor: str) -> None:
    assert decode_cursor(cursor) is None


def test_cursor_when_it_is_ours_then_its_key() -> None:
    assert decode_cursor(encode_cursor(-12)) == -12


@pytest.mark.parametrize("raw", [b"{", b"\xff", b"[1]", b'"x"'])
def test_body_when_it_is_no_object_then_flat_400(raw: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        decode_body(raw, "CreateOrderV2Request", errors.COMPLAINTS)
    assert (refused.value.status, refused.value.body["code"]) == (400, "bad_request")


def test_signature_when_salt_has_another_length_then_refused() -> None:
    key = generate_private_key("rsa")
    assert isinstance(key, rsa.RSAPrivateKey)
    scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=20)
    signature = key.sign(b"text", scheme, hashes.SHA256())
    encoded = base64.b64encode(signature).decode()
    assert not signature_is_valid(key.public_key(), encoded, text="text")


@pytest.mark.parametrize("signature", ["", "not base64!", "é", "AAAA"])
def test_signature_when_it_is_garbage_then_refused(signature: str) -> None:
    key = generate_private_key("ed25519").public_key()
    assert not signature_is_valid(key, signature, text="text")


@pytest.mark.parametrize(("skew_ms", "accepted"), [(10_000, True), (-10_000, True), (10_001, False), (-10_001, False)])
def test_timestamp_when_at_the_edge_of_the_window_then_exact(skew_ms: int, accepted: bool) -> None:
    private = generate_private_key("ed25519")
    assert isinstance(private, ed25519.Ed25519PrivateKey)
    ring = auth.KeyRing()
    ring.add(auth.ApiKey("id", "name", private.public_key()))
    stamp = str(1_000_000_000_000 + skew_ms)
    signature = private.sign(f"{stamp}GET/x".encode())
    headers = {
        auth.KEY_HEADER: "id",
        auth.TIMESTAMP_HEADER: stamp,
        auth.SIGNATURE_HEADER: base64.b64encode(signature).decode(),
    }
    if accepted:
        assert ring.authenticate(headers, method="GET", path="/x", now_ms=1_000_000_000_000).key_id == "id"
    else:
        with pytest.raises(Refusal, match="header_timestamp_expired"):
            ring.authenticate(headers, method="GET", path="/x", now_ms=1_000_000_000_000)
    assert ring.refused_signatures == (0 if accepted else 1)
