"""Signatures against literal ones, and what a 401 is about."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from connectors.client.request_clock import query_signing
from connectors.client.venue_time import VenueTime
from connectors.client.wire.calls import Call
from connectors.client.wire.hmac_sign import HmacKey, signed_query
from connectors.transport.ports import HttpRequest, HttpResponse
from connectors.zdex.dialect import STALE
from connectors.zdex.sign import refusals_of
from framework.runtime.clock import ManualClock

KEY = HmacKey(b"your_secret_key_here")
STAMP_MS = 1_767_225_600_000
POSITIONS = "92d6bc3b1a7073ab07924c9b2820123186f89c8031cc1fecf1d3beb83551ae94"
ORDER = "5c80e1e5914e64699ce244907dc44c2637545b18bf54e35ec57952aa93b55a59"


def test_query_when_it_is_signed_then_it_has_the_vendors_signature() -> None:
    assert signed_query(KEY, "symbol=BTCUSDT", STAMP_MS) == (
        f"symbol=BTCUSDT&timestamp={STAMP_MS}&signature={POSITIONS}"
    )
    assert signed_query(KEY, "", STAMP_MS) == f"timestamp={STAMP_MS}&signature={ORDER}"


def test_query_when_its_names_are_not_sorted_then_they_are_before_it_is_signed() -> None:
    one = signed_query(KEY, "zone=1&limit=5&status=NEW", STAMP_MS)
    assert one.startswith(f"limit=5&status=NEW&timestamp={STAMP_MS}&zone=1&signature=")


@pytest.mark.parametrize("value", ["a%20b", "a~b", "a*b", "a/b"])
def test_query_when_encoders_would_differ_then_it_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="written alike"):
        signed_query(KEY, f"symbol={value}", STAMP_MS)


def test_requests_when_they_share_a_millisecond_then_each_has_its_own_stamp() -> None:
    clock = ManualClock(wall_ns=STAMP_MS * 1_000_000)
    sign = query_signing("zdex_k", KEY)(VenueTime(clock))
    made = [sign(Call("POST", "/v1/orders", b"{}")) for _ in range(50)]
    assert len({one.target for one in made}) == 50
    assert [one.target.partition("timestamp=")[2].partition("&")[0] for one in made] == [
        str(STAMP_MS + 2 * number) for number in range(50)
    ]
    assert all(("X-API-KEY", "zdex_k") in one.headers for one in made)


def test_body_when_it_differs_then_the_signature_is_the_same() -> None:
    clock = ManualClock(wall_ns=STAMP_MS * 1_000_000)
    targets = {
        query_signing("k", KEY)(VenueTime(clock))(Call("POST", "/v1/orders", body)).target
        for body in (b"{}", b'{"a":1}')
    }
    assert targets == {f"/v1/orders?timestamp={STAMP_MS}&signature={ORDER}"}


@pytest.mark.parametrize(
    ("off_s", "code"), [(0, "invalid_or_expired_token"), (29, STALE), (3_600, STALE), (-3_600, STALE)]
)
def test_refusal_when_the_request_was_off_the_venues_clock_then_it_is_about_the_time(off_s: int, code: str) -> None:
    refusals = refusals_of(30_000)
    request = HttpRequest("GET", f"/v1/positions?timestamp={STAMP_MS}&signature=x", (), b"")
    date = formatdate(STAMP_MS // 1000 + off_s, usegmt=True)
    refusals.see(request, HttpResponse(401, {"date": date}, b""), 5)
    assert refusals.read(401, b'{"ok":false,"error":"Invalid or expired token"}', 0).code == code


@pytest.mark.parametrize("body", [b"<html>502</html>", b"\xff", b"[]", b'{"ok":false}', b'{"error":5}', b"[" * 5_000])
def test_refusal_when_it_is_not_the_venues_then_it_has_no_code(body: bytes) -> None:
    assert refusals_of(30_000).read(502, body, 7).code == ""


def test_refusal_when_it_has_a_code_and_an_error_id_then_both_are_said() -> None:
    body = b'{"ok":false,"error":"Symbol has an open position.","errorId":"e-1","code":"OPEN_POSITION_LEVERAGE_GUARD"}'
    found = refusals_of(5_000).read(409, body, 0)
    assert found.code == "OPEN_POSITION_LEVERAGE_GUARD"
    assert found.text == "HTTP 409 OPEN_POSITION_LEVERAGE_GUARD Symbol has an open position. e-1"
