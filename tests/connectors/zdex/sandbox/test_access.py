"""Who is let in: signatures, times, replays, addresses, and limits with their headers."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from connectors.zdex.sandbox.auth import signed_text
from tests.connectors.zdex.support import Client, Start, signed

VECTOR = "/v1/positions?symbol=BTCUSDT&timestamp=1767225600000&signature=92d6bc3b1a7073ab07924c9b2820123186f89c80"


def test_text_when_the_query_is_in_another_order_then_it_is_sorted() -> None:
    assert signed_text(VECTOR)[0] == "symbol=BTCUSDT&timestamp=1767225600000"
    assert signed_text("/v1/x?timestamp=1&signature=s&a=2")[0] == "a=2&timestamp=1"
    assert signed_text("/v1/x") == ("", "", "")


@pytest.mark.parametrize("query", ["a=x+y*%7E%2F", "a=x%20y*~/", "a=%78%20y%2A~%2F"])
def test_text_when_a_value_is_encoded_somehow_then_it_is_signed_as_forms_encode_it(query: str) -> None:
    assert signed_text(f"/v1/x?{query}")[0] == "a=x+y*%7E%2F"


async def test_files_when_they_are_made_then_only_their_owner_can_read_them(client: Client) -> None:
    for name in ("api_secret_path", "reader_api_secret_path", "session_token_path"):
        assert stat.S_IMODE(Path(client.ready[name]).stat().st_mode) == 0o600
    assert client.ready["rest_url"].endswith(f"/{client.ready['dialect']}")


async def test_request_when_it_is_signed_then_it_is_answered(client: Client) -> None:
    assert (await client.ask("GET", "/positions", status="OPEN")).body == {"ok": True, "positions": []}
    assert (await client.session("GET", "/positions")).status == 200


@pytest.mark.parametrize("what", ["key", "signature", "missing", "early", "late", "no_time"])
async def test_request_when_its_signature_or_time_is_wrong_then_it_is_refused(client: Client, what: str) -> None:
    drift_ms = {"v1": 30_000, "v2": 5_000}[client.ready["dialect"]]
    off_ms = {"early": -drift_ms - 500, "late": drift_ms + 500}.get(what, 0)
    query, headers = signed(client.secret, {"symbol": "BTCUSDT"}, client.stamp_ms() + off_ms), {"X-API-KEY": client.key}
    if what == "key":
        headers["X-API-KEY"] = "zdex_nobody"
    if what == "signature":
        query = signed("another", {}, client.stamp_ms())
    if what == "missing":
        query = query.partition("&signature")[0]
    if what == "no_time":
        query = signed(client.secret, {}, client.stamp_ms()).replace("timestamp", "time")
    answer = await client.send("GET", f"/positions?{query}", headers=headers)
    assert (answer.status, answer.body["ok"]) == (401, False)
    if client.ready["dialect"] == "v1":
        assert answer.body == {"ok": False, "error": "Invalid or expired token"}
    else:
        assert set(answer.body) == {"ok", "error", "errorId"}


@pytest.mark.parametrize("share", [-0.8, 0.8])
async def test_request_when_its_time_is_off_by_less_than_the_limit_then_it_is_answered(
    client: Client, share: float
) -> None:
    drift_ms = {"v1": 30_000, "v2": 5_000}[client.ready["dialect"]]
    answer = await client.ask("GET", "/positions", stamp_ms=client.stamp_ms() + int(drift_ms * share))
    assert answer.status == 200


async def test_signature_when_it_comes_twice_then_v2_refuses_it(client: Client) -> None:
    stamp_ms = client.stamp_ms()
    first, again = [await client.ask("GET", "/positions", stamp_ms=stamp_ms) for _ in range(2)]
    assert (first.status, again.status) == (200, {"v1": 200, "v2": 401}[client.ready["dialect"]])


async def test_signature_when_only_the_body_differs_then_it_is_a_replay_in_v2(start: Start) -> None:
    client = await start(dialect="v2")
    stamp_ms = client.stamp_ms()
    first = await client.ask("POST", "/futures/leverage", {"symbol": "BTCUSDT", "leverage": 3}, stamp_ms=stamp_ms)
    again = await client.ask("POST", "/futures/leverage", {"symbol": "BTCUSDT", "leverage": 4}, stamp_ms=stamp_ms)
    assert (first.status, again.status) == (200, 401)
    assert "replay" in again.body["error"]


async def test_key_when_it_lists_another_address_then_it_is_refused(client: Client) -> None:
    client.sandbox.keys.by_key[client.key].ips = ["203.0.113.50"]
    answer = await client.ask("GET", "/positions")
    assert (answer.status, answer.body["error"]) == (403, "IP address is not in the key's whitelist")
    client.sandbox.keys.by_key[client.key].ips = ["127.0.0.1"]
    assert (await client.ask("GET", "/positions")).status == 200


async def test_request_when_the_administrator_refuses_its_address_then_it_is_403(client: Client) -> None:
    await client.fault("ip_refused")
    assert (await client.ask("GET", "/positions")).status == 403
    assert (await client.ask("GET", "/positions")).status == 200


async def test_request_when_the_venue_is_not_there_then_it_is_503(client: Client) -> None:
    await client.fault("error_after_accept", status=503)
    answer = await client.ask("GET", "/positions")
    assert (answer.status, answer.body["ok"]) == (503, False)


async def test_requests_when_there_are_more_than_the_limit_then_the_rest_are_429(start: Start) -> None:
    client = await start(requests=5, orders=2, window_s=3600)
    answers = [await client.ask("GET", "/positions") for _ in range(6)]
    assert [one.status for one in answers] == [200] * 5 + [429]
    assert [one.headers["x-ratelimit-remaining"] for one in answers[:5]] == ["4", "3", "2", "1", "0"]
    assert answers[0].headers["x-ratelimit-limit"] == "5"
    assert 0 < int(answers[-1].headers["retry-after"]) <= 3600
    assert answers[-1].body["error"] == "Rate limit exceeded, retry in 1 minute"
    assert (await client.truth())["observed"]["rate_limited"] == 1
    # Without a key another window counts.
    assert (await client.send("GET", "/market/symbols")).status == 200


async def test_orders_when_there_are_more_than_their_own_limit_then_reads_go_on(start: Start) -> None:
    client = await start(requests=100, orders=2, window_s=3600)
    answers = [await client.buy("60000") for _ in range(3)]
    assert [one.status for one in answers] == [200, 200, 429]
    assert answers[1].headers["x-ratelimit-limit"] == "2"
    assert (await client.ask("GET", "/orders")).status == 200
    assert len((await client.truth())["orders"]) == 2


async def test_request_when_a_storm_is_on_then_it_is_429(client: Client) -> None:
    await client.fault("rate_limit_storm", count=1)
    answer = await client.ask("GET", "/positions")
    assert answer.status == 429
    assert "retry-after" in answer.headers


async def test_path_when_it_is_unknown_then_it_is_404(client: Client) -> None:
    answer = await client.ask("GET", "/nothing")
    assert (answer.status, answer.body["ok"]) == (404, False)


@pytest.mark.parametrize("wrong", [{"requests": 0}, {"window_s": 0}, {"markets": 0}, {"markets": 145}, {"speed": -1.0}])
async def test_option_when_it_is_out_of_range_then_it_is_named(start: Start, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        await start(**wrong)
