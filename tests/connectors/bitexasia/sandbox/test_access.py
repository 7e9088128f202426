"""Who may send what: signatures, times, nonces, scopes, addresses and the rate of a key."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path

import pytest

from connectors.bitexasia.sandbox.__main__ import main
from connectors.bitexasia.sandbox.venue import Key
from tests.connectors.bitexasia.signed_client import Client, StartClient
from tests.support.command_line import Capsys

BALANCES = ("GET", "/account/balances")


async def test_request_when_it_is_signed_by_the_literal_vector_then_it_is_let_through(start: StartClient) -> None:
    """The vector: secret `hkt_secret`, 1714521600000 and 7f3a1b8e."""
    client = await start(now_ns=lambda: 1_714_521_600_000 * 1_000_000)
    assert isinstance(client.venue.keys, dict)
    client.venue.keys[client.ready["api_key"]] = Key(b"hkt_secret", "trade")
    headers = {
        "X-Api-Key": client.ready["api_key"],
        "X-Api-Timestamp": "1714521600000",
        "X-Api-Nonce": "7f3a1b8e",
        "X-Api-Signature": "957950259890b8a380d32fc83c123074ecb26d7ca13562a955250691ed3a58e8",
    }
    body = '{"pair":"BTC-USD","side":"buy","type":"limit","price":"63000","size":"0.01"}'
    answer = await client.call("POST", "/orders", body, headers=headers)
    assert (answer.status, answer.body["state"]) == (201, "open")
    other = headers | {"X-Api-Signature": "dc5f028af08db032dca0549da872531061f91be0959b644ac1ec98feb7416324"}
    assert (await client.call("POST", "/orders", body, headers=other)).code == "bad_signature"


@pytest.mark.parametrize(
    "change",
    [
        {"X-Api-Signature": "0" * 64},
        {"X-Api-Signature": ""},
        {"X-Api-Nonce": "00000000"},
        {"X-Api-Timestamp": "1714521600000"},
    ],
)
async def test_request_when_a_header_is_not_the_one_that_was_signed_then_it_is_refused(
    client: Client, change: dict[str, str]
) -> None:
    answer = await client.call(*BALANCES, headers=client.signed("GET", "/v1/account/balances") | change)
    assert (answer.status, answer.code) == (401, "bad_signature")


async def test_request_when_body_or_path_is_another_then_it_is_refused(client: Client) -> None:
    body = {"pair": "BTC-USD", "side": "buy", "type": "limit", "price": "60000", "size": "0.01"}
    signed = client.signed("POST", "/v1/orders", json.dumps(body | {"size": "0.02"}))
    assert (await client.call("POST", "/orders", body, headers=signed)).code == "bad_signature"
    signed = client.signed("GET", "/v1/orderbook/BTC-USD")
    assert (await client.call("GET", "/orderbook/BTC-USD?depth=5", headers=signed)).code == "bad_signature"
    signed = client.signed("GET", "/account/balances")
    assert (await client.call(*BALANCES, headers=signed)).code == "bad_signature"


async def test_request_when_it_names_no_known_key_then_it_is_refused(client: Client) -> None:
    for headers in ({}, client.signed("GET", "/v1/account/balances") | {"X-Api-Key": "nobody"}):
        answer = await client.call(*BALANCES, headers=headers)
        assert (answer.status, answer.code) == (401, "unknown_key")


@pytest.mark.parametrize(
    ("key", "skew_ms", "is_let_through"),
    [
        ("", 25_000, True),
        ("", -25_000, True),
        ("", 31_000, False),
        ("", -31_000, False),
        ("", 3_600_000, False),
        ("strict_", 500, True),
        ("strict_", 5_000, False),
    ],
)
async def test_clock_when_it_is_off_then_the_tolerance_of_the_key_decides(
    client: Client, key: str, skew_ms: int, is_let_through: bool
) -> None:
    answer = await client.call(*BALANCES, key=key, stamp_ms=time.time_ns() // 1_000_000 + skew_ms)
    assert answer.status == (200 if is_let_through else 401)
    assert is_let_through or answer.code == "timestamp_out_of_range"


async def test_nonce_when_it_comes_twice_then_it_counts_once_for_its_key(client: Client) -> None:
    assert (await client.call(*BALANCES, nonce="aaaaaaaa")).status == 200
    again = await client.call(*BALANCES, nonce="aaaaaaaa")
    assert (again.status, again.code) == (401, "nonce_reused")
    assert (await client.call(*BALANCES, nonce="aaaaaaaa", key="read_only_")).status == 200
    short = await client.call(*BALANCES, nonce="abc")
    assert (short.status, short.code) == (400, "invalid_request")


async def test_scope_when_the_key_may_not_trade_then_that_is_told_apart_from_an_address_that_is_not_allowed(
    client: Client,
) -> None:
    body = {"pair": "BTC-USD", "side": "buy", "type": "limit", "price": "60000", "size": "0.01"}
    read_only = await client.call("POST", "/orders", body, key="read_only_")
    assert (read_only.status, read_only.code) == (403, "scope")
    elsewhere = await client.call("POST", "/orders", body, key="elsewhere_")
    assert (elsewhere.status, elsewhere.code) == (403, "ip_not_allowed")
    assert (await client.call("POST", "/orders", body, key="withdraw_")).status == 201
    assert (await client.call(*BALANCES, key="read_only_")).status == 200
    assert len(client.venue.served.exchange.ledger.orders) == 1


async def test_address_when_a_fault_refuses_it_then_the_refusal_is_the_same(client: Client) -> None:
    await client.admin("faults", {"kind": "ip_refused", "count": 1})
    answer = await client.call(*BALANCES)
    assert (answer.status, answer.code) == (403, "ip_not_allowed")
    assert (await client.call(*BALANCES)).status == 200


async def test_rate_when_the_window_is_used_up_then_429_says_when_it_begins_anew(start: StartClient) -> None:
    now = 1_800_000_000_000_000_000
    client = await start(limit=20, now_ns=lambda: now)
    stamp_ms = now // 1_000_000
    book = await client.call("GET", "/orderbook/BTC-USD", stamp_ms=stamp_ms)
    assert (book.headers["X-RateLimit-Limit"], book.headers["X-RateLimit-Remaining"]) == ("20", "15")
    deep = await client.call("GET", "/orderbook/BTC-USD?depth=101", stamp_ms=stamp_ms)
    assert (deep.code, deep.headers["X-RateLimit-Remaining"]) == ("depth", "5"), "it weighs 10, refused or not"
    for left in (4, 3, 2, 1, 0):
        answer = await client.call(*BALANCES, stamp_ms=stamp_ms)
        assert (answer.status, answer.headers["X-RateLimit-Remaining"]) == (200, str(left))
    refused = await client.call(*BALANCES, stamp_ms=stamp_ms)
    assert (refused.status, refused.code) == (429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["Retry-After"] == refused.headers["X-RateLimit-Reset"]
    assert (await client.call(*BALANCES, key="read_only_", stamp_ms=stamp_ms)).status == 200, "another key's window"
    now += 60_000_000_000
    assert (await client.call(*BALANCES, stamp_ms=stamp_ms + 60_000)).status == 200
    assert client.venue.served.observed.rate_limited == 1


async def test_storm_when_it_rages_then_every_request_is_429(client: Client) -> None:
    await client.admin("faults", {"kind": "rate_limit_storm", "count": 2})
    answers = [await client.call(*BALANCES) for _ in range(3)]
    assert [one.status for one in answers] == [429, 429, 200]
    assert answers[0].code == "rate_limited"


async def test_ready_line_when_printed_then_it_has_the_members_of_every_sandbox_and_files_are_private(
    client: Client,
) -> None:
    ready = client.ready
    wanted = {"ready", "venue", "dialect", "rest_url", "ws_url", "admin_url", "api_key", "api_secret_path"}
    assert wanted <= set(ready)
    assert (ready["venue"], ready["dialect"], ready["rest_url"].rsplit("/", 1)[1]) == ("bitexasia", "v1", "v1")
    paths = [Path(value) for name, value in ready.items() if name.endswith("_path")]
    assert paths
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in paths)


@pytest.mark.parametrize("option", ["--limit"])
def test_option_when_nothing_may_be_sent_then_it_is_a_usage_error(option: str, capsys: Capsys) -> None:
    with pytest.raises(SystemExit):
        main([option, "0", "--port", "99999"])
    assert f"{option}: 0: give a whole number, 1 or more" in capsys.readouterr().err
