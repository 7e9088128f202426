"""Wallet signatures: the documented examples byte for byte, and every signature checked by code of the tests' own."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_defunct
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.client.wire import wallet_sign
from connectors.client.wire.wallet_sign import WalletKey
from framework.domain.errors import ConfigurationError
from tests.connectors.client.secp256k1 import G, N, is_bip340, recovered, times

VECTORS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parents[3] / "data" / "signatures.json").read_text())
WALLET = bytes.fromhex(VECTORS["kalqix_A_place"]["private_key"].removeprefix("0x"))
AGENT = bytes.fromhex(VECTORS["kalqix_B_place"]["agent_sk"])
ACTIONS = ("PLACE_ORDER", "CANCEL_ORDER", "CANCEL_ALL_ORDERS")
FIELDS: dict[str, str | int] = {"action": "CANCEL_ORDER", "order_id": "o", "timestamp": 1}


def fields_of(vector: str) -> dict[str, str | int]:
    found: dict[str, str | int] = json.loads(VECTORS[vector]["signing_string"])
    return found


@pytest.mark.parametrize("vector", ["kalqix_A_place", "kalqix_A_cancel", "kalqix_A_cancel_all"])
def test_wallet_when_it_signs_the_documented_example_then_the_bytes_are_those(vector: str) -> None:
    assert WalletKey(WALLET, ACTIONS).sign_eip191(fields_of(vector)) == VECTORS[vector]["wallet_signature"]


def test_agent_when_it_signs_the_documented_example_then_the_bytes_are_those() -> None:
    key = WalletKey(AGENT, ACTIONS)
    assert key.sign_bip340(fields_of("kalqix_B_place")) == VECTORS["kalqix_B_place"]["schnorr"]
    assert key.public_key == VECTORS["kalqix_B_place"]["agent_pub_xonly"]


def test_wallet_when_made_then_its_address_is_the_documented_one() -> None:
    assert WalletKey(WALLET, ACTIONS).address == VECTORS["kalqix_A_place"]["address"]


@settings(max_examples=15, deadline=None)
@given(st.integers(1, N - 1), st.text(alphabet='abc xyz"\\é€', max_size=200))
def test_signatures_when_checked_by_other_code_then_they_are_of_this_key_and_this_text(secret: int, text: str) -> None:
    key = WalletKey(secret.to_bytes(32), ACTIONS)
    fields: dict[str, str | int] = {"timestamp": 1, "action": "PLACE_ORDER", "note": text}
    signed = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    wallet, message = key.sign_eip191(fields), encode_defunct(text=signed)
    assert Account.recover_message(message, signature=wallet) == key.address
    public = recovered(_hash_eip191_message(message), bytes.fromhex(wallet.removeprefix("0x")))
    assert public == b"".join(one.to_bytes(32) for one in times(secret, G) or ())
    schnorr = bytes.fromhex(key.sign_bip340(fields))
    assert is_bip340(bytes.fromhex(key.public_key), signed.encode(), schnorr)
    assert not is_bip340(bytes.fromhex(key.public_key), signed.encode() + b" ", schnorr)


@pytest.mark.parametrize("action", ["WITHDRAW", "TRANSFER", "place_order", "", 1, None])
def test_action_when_it_is_not_of_the_list_then_it_is_not_signed(action: Any) -> None:
    key = WalletKey(WALLET, ACTIONS)
    for sign in (key.sign_eip191, key.sign_bip340):
        with pytest.raises(ValueError, match="this key signs CANCEL_ALL_ORDERS, CANCEL_ORDER, PLACE_ORDER only"):
            sign(FIELDS | {"action": action})
    with pytest.raises(ValueError, match="this key signs"):
        key.sign_eip191({"timestamp": 1})


@pytest.mark.parametrize("value", [1.5, None, True, {"a": 1}, ["a"]])
def test_field_when_it_has_no_canonical_form_then_it_is_not_signed(value: Any) -> None:
    with pytest.raises(ValueError, match="can't be signed"):
        WalletKey(WALLET, ACTIONS).sign_eip191(FIELDS | {"price": value})


@pytest.mark.parametrize("secret", [bytes(32), N.to_bytes(32), b"\x01" * 31, b""])
def test_key_when_it_is_none_of_the_curve_then_it_is_refused(secret: bytes) -> None:
    with pytest.raises(ConfigurationError, match="private key"):
        WalletKey(secret, ACTIONS)


@pytest.mark.parametrize("missing", ["coincurve:PrivateKey", "coincurve._libsecp256k1:lib"])
def test_library_when_it_is_missing_or_has_no_schnorr_then_the_start_fails(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    real = wallet_sign.load_late

    def without(name: str) -> Any:
        if name != missing:
            return real(name)
        if name.endswith(":lib"):
            return object()
        raise ImportError(name)

    monkeypatch.setattr(wallet_sign, "load_late", without)
    with pytest.raises(ConfigurationError, match="install coincurve"):
        WalletKey(WALLET, ACTIONS)


def test_wallet_when_shown_or_pickled_then_the_key_does_not_appear() -> None:
    key = WalletKey(WALLET, ACTIONS)
    assert repr(key) == f"<WalletKey {key.address}>"
    with pytest.raises(TypeError, match="private key"):
        pickle.dumps(key)


# The examples of EIP-55.
CHECKSUMMED = [
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]


@pytest.mark.parametrize("address", CHECKSUMMED)
def test_recipient_when_its_capitals_are_its_checksum_or_say_nothing_then_it_passes(address: str) -> None:
    key = WalletKey(WALLET, ACTIONS)
    for form in (address, address.lower(), f"0x{address[2:].upper()}"):
        key.check_recipient(form, "--to")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (CHECKSUMMED[0].replace("aA", "Aa", 1), "has capitals that are not its checksum; compare each digit"),
        (CHECKSUMMED[0][:-1] + "e", "has capitals that are not its checksum; compare each digit"),
        (CHECKSUMMED[0][:-1], "is no wallet; write 0x and 40 hexadecimal digits"),
        (CHECKSUMMED[0] + "\n", "is no wallet; write 0x and 40 hexadecimal digits"),
        ("", "is no wallet; write 0x and 40 hexadecimal digits"),
        (WalletKey(WALLET, ACTIONS).address, "is the account's own wallet; give another one"),
        (WalletKey(WALLET, ACTIONS).address.lower(), "is the account's own wallet; give another one"),
    ],
)
def test_recipient_when_it_may_be_wrong_then_the_option_is_named(address: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        WalletKey(WALLET, ACTIONS).check_recipient(address, "--to")
    assert str(refused.value) == f"--to: {address} {message}"
