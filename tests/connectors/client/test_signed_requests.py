"""Whole requests of other venues, put together of the parts, are the documented ones byte for byte."""

from __future__ import annotations

import json

from connectors.client.rest import request_of
from connectors.client.wire.calls import Call
from connectors.client.wire.decimals import plain_text
from connectors.client.wire.hmac_sign import HmacKey, canonical_json, plain_query
from connectors.client.wire.wallet_sign import WalletKey
from connectors.transport.ports import HttpRequest
from tests.connectors.client.wire.test_wallet_sign import ACTIONS, AGENT, VECTORS, WALLET

STAMP = 1_767_225_600_000
HMAC = HmacKey(b"testApiSecret")


def sign_bars(call: Call, *, splits_query: bool = False) -> HttpRequest:
    """Parts joined by bars; the query is a part of its own in the newer generation."""
    path, _, query = call.target.partition("?")
    place = (path, query) if splits_query else (call.target,)
    text = "|".join((call.method, *place, call.body.decode(), str(STAMP)))
    return request_of(call, (("x-api-signature", HMAC.hex(text.encode())),))


def signature_of(request: HttpRequest) -> str:
    return dict(request.headers)["x-api-signature"]


def test_order_when_signed_by_a_wallet_and_a_key_then_body_and_header_are_the_documented_ones() -> None:
    fields: dict[str, str | int] = {
        "ticker": "BTC_USDC",
        "side": "BUY",
        "order_type": "LIMIT",
        "quantity": plain_text(1_000, 4),
        "quote_quantity": "",
        "price": plain_text(3_000_000, 2),
        "time_in_force": 0,
        "expires_at": 0,
        "timestamp": STAMP,
    }
    signature = WalletKey(WALLET, ACTIONS).sign_eip191(fields | {"action": "PLACE_ORDER"})
    request = sign_bars(Call("POST", "/v1/orders", canonical_json(fields | {"signature": signature})))
    assert request.body.decode() == VECTORS["kalqix_A_place"]["body_canonical"]
    assert signature_of(request) == VECTORS["kalqix_A_place"]["hmac_full"]


def test_cancel_when_its_query_is_signed_then_it_is_the_documented_one_and_urgent() -> None:
    fields: dict[str, str | int] = {"order_id": "ord_1234567890", "timestamp": STAMP}
    signature = WalletKey(WALLET, ACTIONS).sign_eip191(fields | {"action": "CANCEL_ORDER"})
    query = plain_query([*fields.items(), ("signature", signature)])
    request = sign_bars(Call("DELETE", f"/v1/orders/ord_1234567890?{query}", is_urgent=True))
    assert request.target == f"/v1{VECTORS['kalqix_A_cancel']['target']}"
    assert signature_of(request) == VECTORS["kalqix_A_cancel"]["hmac_full"]
    assert request.is_urgent


def test_order_when_signed_by_an_agent_then_body_and_header_are_the_documented_ones() -> None:
    fields: dict[str, str | int] = json.loads(VECTORS["kalqix_B_place"]["signing_string"])
    signature = WalletKey(AGENT, ACTIONS).sign_bip340(fields)
    body = canonical_json(fields | {"client_order_id": "x-1", "signature": signature})
    request = sign_bars(Call("POST", "/v1/orders", body), splits_query=True)
    assert request.body.decode() == VECTORS["kalqix_B_place"]["body_canonical"]
    assert signature_of(request) == VECTORS["kalqix_B_place"]["hmac"]


def test_read_when_the_signature_is_in_the_query_then_the_address_is_the_documented_one() -> None:
    query = plain_query([("symbol", "BTCUSDT"), ("timestamp", STAMP)])
    key = HmacKey(VECTORS["zdex_get_positions"]["secret"].encode())
    request = request_of(Call("GET", f"/v1/positions?{query}&signature={key.hex(query.encode())}"))
    assert f"https://api.zdex.world{request.target}" == VECTORS["zdex_get_positions"]["url"]
