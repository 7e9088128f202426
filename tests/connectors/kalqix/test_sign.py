"""Signatures against vectors that other programs made: ethers for the wallet, @noble/curves for the agent, Node for
the HMAC."""

from __future__ import annotations

import msgspec
import pytest

from connectors.client.request_clock import RequestClock
from connectors.client.venue_time import VenueTime
from connectors.client.wire.calls import Call
from connectors.client.wire.hmac_sign import HmacKey
from connectors.client.wire.wallet_sign import WalletKey
from connectors.kalqix.dialect import A, B, Dialect
from connectors.kalqix.sign import TRADING, agent_signer, sent_as, signature_digest, signing, wallet_signer
from connectors.transport.ports import HttpRequest
from framework.runtime.clock import ManualClock

STAMP_MS = 1_767_225_600_000
WALLET = bytes([0x11] * 32)
AGENT = bytes(31) + b"\x03"
ADDRESS = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
ORDER = {
    "action": "PLACE_ORDER", "expires_at": 0, "order_type": "LIMIT", "price": "30000", "quantity": "0.1",
    "quote_quantity": "", "side": "BUY", "ticker": "BTC_USDC", "time_in_force": 0,
}  # fmt: skip
ORDER_SIGNATURE = (
    "0xad1b9c564b711155a5954c000104f2f3a9d8d252ee24ed82051c0ea8751be4ca"
    "4f36b8ae63f2c625846be3e7d510e5defb0e55a731b4c3190c33cc47574b897f1c"
)
CANCEL_SIGNATURE = (
    "0x9ef80b9ac63e4273cb8596fe9c754d01d09820dde2b33a6bee32a96f055e3005"
    "55534b1b2657aa0dcdda646d491125f3826314231c1469e5b123ba16d32f26401c"
)
CANCEL_ALL_SIGNATURE = (
    "0x34d2353a33156f14e0675b97a392ce76618e121a0c0167659968a57021b71d84"
    "08ae4be35ff495aa1a15db9755f1c055759113017bc141deda8f7dde95f1386d1c"
)
AGENT_SIGNATURE = (
    "87e76c0ca85c5218853606138108315748e353c660bfa4eb9564fd5dacd93edc"
    "e2ca2ec077624e59513a38ce26e0c4ae504cb8b5be4812ea0d100e37f8f0121e"
)


def signed(dialect: Dialect, call: Call, key: WalletKey | None = None) -> HttpRequest:
    """The request as it leaves at the vectors' time, by default signed as a strategy's."""
    key = key or WalletKey(AGENT if dialect is B else WALLET, TRADING)
    sign_action = agent_signer(key) if dialect is B else wallet_signer(key)
    stamps = RequestClock(VenueTime(ManualClock(wall_ns=STAMP_MS * 1_000_000)))
    return signing(dialect, "key", HmacKey(b"testApiSecret"), sign_action, stamps, prefix="/v1")(call)


def header(request: HttpRequest, name: str) -> str:
    return dict(request.headers)[name]


def test_address_when_a_wallet_is_loaded_then_it_is_that_of_other_programs() -> None:
    assert WalletKey(WALLET, TRADING).address == ADDRESS


def test_order_of_a_when_it_is_signed_then_body_and_both_signatures_are_the_vectors() -> None:
    request = signed(A, Call("POST", "/v1/orders", msgspec.json.encode(ORDER)))
    assert request.body == (
        b'{"expires_at":0,"order_type":"LIMIT","price":"30000","quantity":"0.1","quote_quantity":"","side":"BUY",'
        b'"signature":"' + ORDER_SIGNATURE.encode() + b'","ticker":"BTC_USDC","time_in_force":0,'
        b'"timestamp":1767225600000}'
    )
    assert header(request, "x-api-signature") == "fdd42d2e8d8bc83c7c171a068c9a9bdeee54ed44af4680b16859b1ab960d264f"
    assert header(request, "x-api-timestamp") == str(STAMP_MS)
    assert sent_as(request) == signature_digest(ORDER_SIGNATURE)


def test_cancel_of_a_when_it_is_signed_then_query_and_both_signatures_are_the_vectors() -> None:
    action = {"action": "CANCEL_ORDER", "order_id": "ord_1234567890"}
    request = signed(A, Call("DELETE", "/v1/orders/ord_1234567890", msgspec.json.encode(action)))
    assert request.target == (
        "/v1/orders/ord_1234567890?order_id=ord_1234567890&timestamp=1767225600000&signature=" + CANCEL_SIGNATURE
    )
    assert request.body == b""
    assert header(request, "x-api-signature") == "824cc1f1d98ad36edc2116f77ca65af449fe034cdd47bd88cf901b9c92be1183"


def test_cancel_all_of_a_when_it_is_signed_then_the_market_is_a_number_in_the_text() -> None:
    action = {"action": "CANCEL_ALL_ORDERS", "market": 1}
    request = signed(A, Call("DELETE", "/v1/users/me/cancel-all-orders", msgspec.json.encode(action)))
    assert request.target.endswith(f"?market=1&timestamp={STAMP_MS}&signature={CANCEL_ALL_SIGNATURE}")


def test_read_of_a_when_it_is_signed_then_the_query_is_covered_as_it_is_sent() -> None:
    request = signed(A, Call("GET", "/v1/orders?open=true&page=0"))
    assert header(request, "x-api-signature") == "dd7465b840752634f5e8be19fef077f2b8e23a7ca853e66e87d463366f66c67e"


def test_order_of_b_when_it_is_signed_then_the_client_id_is_sent_and_not_signed_by_the_agent() -> None:
    action = {
        "action": "PLACE_ORDER", "agent_index": 6, "client_order_id": "x-1", "expires_at": 0, "order_type": "LIMIT",
        "price": "30000000000", "quantity": "10000000", "side": "BUY", "ticker": "BTC/USDC", "time_in_force": 0,
    }  # fmt: skip
    request = signed(B, Call("POST", "/v1/orders", msgspec.json.encode(action)))
    assert msgspec.json.decode(request.body) == action | {"signature": AGENT_SIGNATURE, "timestamp": STAMP_MS}
    assert header(request, "x-api-signature") == "735a4997c0d6a66b587e8a851ad71d5cd94869a1fdef01c48ae59de01ec41a75"


def test_cancel_of_b_when_it_is_signed_then_the_order_is_in_the_path_alone() -> None:
    action = {"action": "CANCEL_ORDER", "order_id": "ord_1", "agent_index": 6}
    request = signed(B, Call("DELETE", "/v1/orders/ord_1", msgspec.json.encode(action)))
    path, _, query = request.target.partition("?")
    assert path == "/v1/orders/ord_1"
    assert [part.split("=")[0] for part in query.split("&")] == ["agent_index", "timestamp", "signature"]


@pytest.mark.parametrize(
    ("method", "path", "action", "signature"),
    [
        (
            "PUT",
            "/v1/transfers",
            {"action": "TRANSFER", "asset": "USDC", "amount": "100.5", "to_wallet_address": "0x" + "ab" * 20},
            "0x923ba332ddb875b42a0a143515b96529b195921616815ea8187e04a7802565c3"
            "55b16a0c063b6e7e3ee82e74049ac9e3f76e00990da0133d4c53a7f3d072f21d1c",
        ),
        (
            "POST",
            "/v1/withdrawals",
            {"action": "WITHDRAW", "asset": "USDC", "amount": "100.5", "chain_id": 1},
            "0x99f0ec5daef6676f646a41c27b536340352444312887698da0c2d38016865cd2"
            "27e5133c38b69624e189acac45bb7c2c6bc02f3d59e414fdaac35245c20693001c",
        ),
    ],
)
def test_money_when_an_operators_key_signs_it_then_the_signature_is_that_of_ethers(
    method: str, path: str, action: dict[str, str | int], signature: str
) -> None:
    key = WalletKey(WALLET, [str(action["action"])])
    request = signed(A, Call(method, path, msgspec.json.encode(action)), key)
    sent = {name: value for name, value in action.items() if name != "action"}
    assert msgspec.json.decode(request.body) == sent | {"signature": signature, "timestamp": STAMP_MS}


def test_public_read_when_it_is_sent_then_it_is_not_signed() -> None:
    assert signed(A, Call("GET", "/v1/markets/BTC_USDC/trades?page=0")).headers == ()


@pytest.mark.parametrize("action", ["WITHDRAW", "TRANSFER", "ADD_AGENT"])
def test_key_when_a_strategys_signer_gets_another_action_then_it_refuses(action: str) -> None:
    call = Call("POST", "/v1/withdrawals", msgspec.json.encode({"action": action, "amount": "1", "asset": "USDC"}))
    with pytest.raises(ValueError, match="this key signs CANCEL_ALL_ORDERS, CANCEL_ORDER, PLACE_ORDER only"):
        signed(A, call)
