"""The frame serves a venue that is not Kalshi: its own signatures, limits, pages, errors, stream and command line."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connectors.sandbox.serving.command import run_sandbox
from connectors.sandbox.serving.server import SandboxServer
from tests.connectors.sandbox.serving.listed import Turned
from tests.connectors.sandbox.serving.toy import PAIR, ToyConversation, ToyOptions, ToyVenue, toy
from tests.support.command_line import Capsys


class ToyClient:
    """A client of the toy that signs on its own."""

    def __init__(self, server: SandboxServer[ToyVenue, ToyConversation], ready: dict[str, Any], clock: Turned) -> None:
        self.server, self.ready, self.clock = server, ready, clock
        self.nonces = 0
        self.http = aiohttp.ClientSession()

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, Any]:
        """Status, body and headers of one signed request; `headers` replace those of the signature."""
        raw = json.dumps(body) if body is not None else ""
        self.nonces += 1
        nonce = headers.get("X-Nonce", str(self.nonces))
        text = "\n".join((method, f"/v1{path}", raw, nonce))
        sign = hmac.new(b"toy secret", text.encode(), hashlib.sha256).hexdigest()
        sent = {"X-Nonce": nonce, "X-Sign": sign} | headers
        async with self.http.request(method, self.ready["rest_url"] + path, data=raw, headers=sent) as answer:
            return answer.status, json.loads(await answer.text()), answer.headers

    async def place(self, **changes: str) -> tuple[int, Any]:
        """Status and body of an order."""
        order = {"pair": PAIR, "side": "buy", "price": "30000", "size": "0.01"} | changes
        status, body, _ = await self.call("POST", "/orders", order)
        return status, body

    async def admin(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and body of a request to the administrator's address: a read without a body."""
        method = "GET" if body is None else "POST"
        async with self.http.request(method, f"{self.ready['admin_url']}/{path}", json=body) as answer:
            return answer.status, await answer.json()

    async def truth(self) -> Any:
        """What the venue says really happened."""
        async with self.http.get(f"{self.ready['admin_url']}/truth") as answer:
            return await answer.json()


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[ToyClient]:
    clock = Turned()
    server = toy(ToyOptions(tmp_path), now_ns=clock)
    client = ToyClient(server, await server.start(), clock)
    yield client
    await client.http.close()
    await server.stop()


async def test_start_when_ready_then_the_line_names_addresses_and_keys_and_is_kept(
    client: ToyClient, tmp_path: Path
) -> None:
    assert set(client.ready) == {"ready", "venue", "rest_url", "ws_url", "admin_url", "secret_path", "dialect"}
    assert json.loads((tmp_path / "sandbox.json").read_text()) == client.ready
    assert stat.S_IMODE((tmp_path / "toy.secret").stat().st_mode) == 0o600


async def test_order_when_signed_then_taken_and_in_the_truth_without_a_report_of_its_own(client: ToyClient) -> None:
    status, body = await client.place()
    said = await client.truth()
    assert (status, said["orders"][0]["order_id"], said["orders"][0]["is_own"]) == (201, body["id"], True)
    assert said["observed"]["requests"] == {"POST /orders": 1}


async def test_order_when_it_was_made_by_a_request_then_the_truth_knows_that_request_and_an_act_has_none(
    client: ToyClient,
) -> None:
    await client.place()
    order = {"act": "order", "instrument": "BTC_USDC", "side": "buy", "price": "1", "size": "1"}
    async with client.http.post(f"{client.ready['admin_url']}/act", json=order) as answer:
        assert answer.status == 200, await answer.text()
    sent, acted = (await client.truth())["orders"]
    assert len(bytes.fromhex(sent["sent_as"])) == 32
    assert acted["sent_as"] == ""


@pytest.mark.parametrize(("headers", "code"), [({"X-Sign": "no"}, "bad_signature"), ({"X-Nonce": "1"}, "nonce_reused")])
async def test_request_when_its_signature_or_nonce_is_wrong_then_401_in_the_venues_shape(
    client: ToyClient, headers: dict[str, str], code: str
) -> None:
    await client.call("GET", "/orders")
    status, body, _ = await client.call("GET", "/orders", **headers)
    counted = (await client.truth())["observed"]["unauthorized"]
    assert (status, body["error"]["code"]) == (401, code)
    assert (await client.truth())["observed"]["refused_signatures"] == 1
    assert [(count, answer[:3], code in answer) for answer, count in counted.items()] == [(1, "401", True)]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"side": "hold"}, "side_invalid"),
        ({"price": "1e3"}, "price_invalid"),
        ({"pair": ""}, "pair_missing"),
        ({"pair": "ETH"}, "market_not_found"),
    ],
)
async def test_order_when_a_field_is_wrong_then_the_venue_complains_in_its_words(
    client: ToyClient, changes: dict[str, str], code: str
) -> None:
    _, body = await client.place(**changes)
    assert body["error"]["code"] == code


async def test_path_when_unknown_then_the_venues_own_404(client: ToyClient) -> None:
    status, body, _ = await client.call("GET", "/none")
    assert (status, body["error"]["code"]) == (404, "no_such_path")


async def test_window_when_spent_then_429_with_headers_until_the_next_one(client: ToyClient) -> None:
    answers = [await client.call("GET", "/orders") for _ in range(6)]
    assert [status for status, _, _ in answers] == [200] * 5 + [429]
    assert answers[5][2]["Retry-After"] == "1"
    assert [answer[2]["X-RateLimit-Remaining"] for answer in answers] == ["4", "3", "2", "1", "0", "0"]
    client.clock.ns += 10**9
    assert (await client.call("GET", "/orders"))[0] == 200
    assert (await client.truth())["observed"]["rate_limited"] == 1


async def test_window_when_an_endpoint_costs_more_then_it_draws_so_much_and_a_public_one_draws_nothing(
    client: ToyClient,
) -> None:
    statuses = [(await client.call("GET", "/fills"))[0] for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert (await client.call("GET", "/time", **{"X-Sign": "no"}))[0] == 200
    assert (await client.call("GET", "/orders"))[0] == 200


async def test_pages_when_asked_by_number_then_clamped_in_silence_and_shorter_under_a_fault(
    client: ToyClient,
) -> None:
    placed = [(await client.place())[1]["id"] for _ in range(4)]
    client.clock.ns += 10**9
    _, first, _ = await client.call("GET", "/orders?size=50")
    _, second, _ = await client.call("GET", "/orders?size=50&page=1")
    assert (first["page_size"], first["data"] + second["data"]) == (3, placed)
    await client.admin("faults", {"kind": "page_clamp", "size": 1})
    assert (await client.call("GET", "/orders?size=50"))[1]["data"] == placed[:1]
    assert (await client.admin("faults"))[1]["struck"] == {"page_clamp": 1}
    assert (await client.call("GET", "/orders?size=-1"))[1]["error"]["code"] == "size_too_low"


async def test_fills_when_read_from_an_id_then_those_from_there_on(client: ToyClient) -> None:
    await client.admin("act", {"act": "quote", "instrument": PAIR, "asks": [["100", "1"]]})
    for size in ("0.1", "0.2", "0.3"):
        await client.place(size=size)
    assert (await client.call("GET", "/fills?from_id=1"))[1] == ["0.2", "0.3"]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"kind": "ip_refused"}, 403, "ip_not_allowed"),
        ({"kind": "replay_refusal"}, 401, "nonce_reused"),
        ({"kind": "rate_limit_storm"}, 429, "rate_limited"),
        ({"kind": "error_after_accept", "status": 503}, 503, "failed_503"),
    ],
)
async def test_fault_when_it_strikes_then_the_answer_has_the_venues_shape(
    client: ToyClient, fault: dict[str, Any], status: int, code: str
) -> None:
    await client.admin("faults", fault)
    refused = await client.place()
    assert (refused[0], refused[1]["error"]["code"]) == (status, code)
    accepted = len((await client.truth())["orders"])
    assert accepted == (1 if fault["kind"] == "error_after_accept" else 0)


async def test_fault_when_the_venue_cannot_commit_it_then_400_and_a_sentence(client: ToyClient) -> None:
    status, body = await client.admin("faults", [{"kind": "delay"}, {"kind": "liquidate"}])
    assert status == 400
    assert "kind is 'liquidate': this venue can't commit it; use one of drop_connection" in body["error"]
    assert client.server.venue.served.faults.listed() == []


async def test_skew_when_in_force_then_the_venues_time_shows_it_and_ends_with_it(client: ToyClient) -> None:
    shown_ms = client.clock.ns // 10**6
    await client.admin("faults", {"kind": "clock_skew", "skew_ms": 5_000, "for_s": 10})
    assert (await client.call("GET", "/time"))[1]["server_time"] == shown_ms + 5_000
    client.clock.ns += 11 * 10**9
    client.server.faults_changed()
    assert (await client.call("GET", "/time"))[1]["server_time"] == shown_ms + 11_000


async def test_stream_when_a_trade_happens_then_the_subscriber_gets_it_and_beats_in_text(client: ToyClient) -> None:
    async with client.http.ws_connect(client.ready["ws_url"]) as socket:
        await socket.send_str('{"op": "trades"}')
        assert await next_message(socket) == {"ok": True}
        await client.admin("act", {"act": "quote", "instrument": PAIR, "asks": [["30000", "1"]]})
        await client.place(size="0.5")
        assert await next_message(socket) == {"price": "30000", "size": "0.5"}
        assert await socket.receive_str(timeout=5) == "beat"


async def test_stream_when_another_pair_is_asked_for_then_nothing_comes(client: ToyClient) -> None:
    async with client.http.ws_connect(client.ready["ws_url"]) as socket:
        for pair in ("ETH_USDC", PAIR):
            await socket.send_str(json.dumps({"op": "trades", "pair": pair}))
            assert await next_message(socket) == {"ok": True}
        await client.admin("act", {"act": "quote", "instrument": PAIR, "asks": [["30000", "1"]]})
        for size in ("0.1", "0.2"):
            await client.place(size=size)
        assert [(await next_message(socket))["size"] for _ in range(2)] == ["0.1", "0.2"]


async def test_stream_when_frames_double_or_are_muted_then_only_data_is_touched(client: ToyClient) -> None:
    async with client.http.ws_connect(client.ready["ws_url"]) as socket:
        await client.admin("faults", [{"kind": "duplicate_frame"}, {"kind": "mute", "match": {"channel": "trades"}}])
        await socket.send_str('{"op": "trades"}')
        assert await next_message(socket) == {"ok": True}
        await client.admin("act", {"act": "quote", "instrument": PAIR, "asks": [["30000", "1"]]})
        for size in ("0.1", "0.2"):
            await client.place(size=size)
        assert [(await next_message(socket))["size"] for _ in range(2)] == ["0.2", "0.2"]


async def test_reset_when_asked_then_streams_are_cut_and_the_exchange_is_fresh_under_the_same_key(
    client: ToyClient,
) -> None:
    await client.place()
    async with client.http.ws_connect(client.ready["ws_url"]) as socket:
        assert (await client.admin("reset", {}))[0] == 200
        async with asyncio.timeout(5):
            while not socket.closed:
                await socket.receive()
    assert (await client.truth())["orders"] == []
    assert (await client.place())[0] == 201


async def test_stream_when_a_message_can_not_be_written_then_it_is_cut_and_the_error_is_said(
    client: ToyClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with client.http.ws_connect(client.ready["ws_url"]) as socket:
        await socket.send_json({"op": "trades"})
        assert await next_message(socket) == {"ok": True}
        client.server.conversations[0].send({"price": object()})
        async with asyncio.timeout(5):
            while not socket.closed:
                await socket.receive()
            while "Encoding objects of type object" not in caplog.text:  # noqa: ASYNC110 - a log has no event
                await asyncio.sleep(0.01)


async def next_message(socket: aiohttp.ClientWebSocketResponse) -> Any:
    """The next message that is no heartbeat."""
    while (text := await socket.receive_str(timeout=5)) == "beat":
        pass
    return json.loads(text)


def test_command_when_the_port_is_taken_then_status_two_and_the_venues_name(
    tmp_path: Path, capsys: Capsys, taken_port: int
) -> None:
    arguments = ["--directory", str(tmp_path), "--port", str(taken_port), "--dialect", "new"]
    assert run_sandbox("toy", ToyOptions, toy, arguments) == 2
    assert capsys.readouterr().err == (
        f"sandbox toy: --port: 127.0.0.1:{taken_port}: can't be listened on (Address already in use); choose another, "
        "0 takes a free one\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "99999"], "--port: 99999: is no port; give 0 to 65535, 0 takes a free one"),
        (["--dir", "{file}"], "--dir: {file}: can't be used (File exists); choose another folder"),
    ],
)
def test_command_when_port_or_folder_can_not_be_used_then_says_which_and_what_to_do(
    tmp_path: Path, capsys: Capsys, arguments: list[str], said: str
) -> None:
    file = tmp_path / "a"
    file.write_text("")
    given = ["--dir", str(tmp_path), *(each.format(file=file) for each in arguments)]
    assert run_sandbox("toy", ToyOptions, toy, given) == 2
    assert capsys.readouterr().err == f"sandbox toy: {said.format(file=file)}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--dialect", "newest"], "'old', 'new'"),
        (["--speeed", "1"], "--speeed"),
        (["--read-lag", "-5"], "--read-lag: -5: give a whole number, 0 or more"),
        (["--read-lag", "some"], "--read-lag: some: give a whole number, 0 or more"),
    ],
)
def test_command_when_an_option_is_wrong_then_usage_error(arguments: list[str], said: str, capsys: Capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        run_sandbox("toy", ToyOptions, toy, [*arguments, "--port", "99999"])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_command_when_the_daemon_gives_an_option_that_the_venue_lacks_then_it_is_taken(
    tmp_path: Path, capsys: Capsys, taken_port: int
) -> None:
    arguments = ["--dir", str(tmp_path), "--port", str(taken_port), "--markets", "2", "--speed", "1", "--seed", "1"]
    assert run_sandbox("toy", ToyOptions, toy, arguments) == 2
    assert "can't be listened on" in capsys.readouterr().err
