"""The control server, over real connections on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from framework.config.layers import load
from framework.config.model import HttpSettings
from framework.domain.account_events import Scope, TradingState, TradingStateChanged
from framework.domain.errors import ConfigurationError
from framework.ops.http import BEAT_AGE_MS_MAX, HTTP_CONNECTIONS_MAX, ControlServer
from framework.ops.readiness import NotReady, NotReadyKind
from framework.state.trading_states import TradingStates


@dataclass
class Daemon:
    """What the server looks at, set by the test."""

    beat_age_ms: int = 0
    reasons: list[NotReady] = field(default_factory=list)
    trading: TradingStates = field(default_factory=TradingStates)


@dataclass
class Answer:
    """A parsed HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
async def port(daemon: Daemon) -> AsyncIterator[int]:
    server = make_server(daemon, HttpSettings(port=0, allowed_hosts=("tidegate",)))
    yield await server.start()
    await server.close()


async def scraped() -> bytes:
    return b"tidegate_build_info 1\n"


def make_server(
    daemon: Daemon,
    settings: HttpSettings,
    *,
    connection_s_max: float = 10,
    render_metrics: Callable[[], Awaitable[bytes]] = scraped,
) -> ControlServer:
    return ControlServer(
        settings,
        render_metrics=render_metrics,
        beat_age_ns=lambda: daemon.beat_age_ms * 1_000_000,
        not_ready=lambda: daemon.reasons,
        trading=daemon.trading,
        connection_s_max=connection_s_max,
    )


async def get(port: int, path: str, *, host: str = "127.0.0.1:8080", method: str = "GET") -> Answer:
    """One request, written by hand so that the Host header is ours."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    raw = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return Answer(int(first.split()[1]), headers, body)


async def test_metrics_when_scraped_then_are_prometheus_text(port: int) -> None:
    answer = await get(port, "/metrics")
    assert answer.status == 200
    assert answer.body == b"tidegate_build_info 1\n"
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize(("age_ms", "status"), [(0, 200), (BEAT_AGE_MS_MAX, 200), (BEAT_AGE_MS_MAX + 1, 503)])
async def test_healthz_when_the_heart_beat_some_time_ago_then_says_whether_that_is_healthy(
    port: int, daemon: Daemon, age_ms: int, status: int
) -> None:
    daemon.beat_age_ms = age_ms
    answer = await get(port, "/healthz")
    assert answer.status == status
    assert json.loads(answer.body) == {"beat_age_ms": age_ms}


async def test_readyz_when_something_is_missing_then_503_with_the_reasons(port: int, daemon: Daemon) -> None:
    daemon.reasons = [NotReady(NotReadyKind.VENUE_DOWN, "venue kalshi is not connected")]
    answer = await get(port, "/readyz")
    assert answer.status == 503
    assert json.loads(answer.body) == {
        "ready": False,
        "reasons": ["venue kalshi is not connected"],
        "halted": [],
        "reducing": [],
        "waiting": [],
    }
    daemon.reasons = []
    assert (await get(port, "/readyz")).status == 200


async def test_readyz_when_scopes_are_halted_or_reducing_then_names_them_with_the_reason(
    port: int, daemon: Daemon
) -> None:
    for scope, target, state in [
        (Scope.STRATEGY, "mm", TradingState.HALTED),
        (Scope.VENUE, "kalshi", TradingState.REDUCING),
        (Scope.INSTRUMENT, "kalshi:A", TradingState.ACTIVE),
    ]:
        daemon.trading.apply(TradingStateChanged(scope=scope, target=target, state=state, reason="drill", ts_recv=1))

    answer = await get(port, "/readyz")

    assert answer.status == 200
    assert json.loads(answer.body)["halted"] == [{"scope": "strategy", "target": "mm", "reason": "drill"}]
    assert json.loads(answer.body)["reducing"] == [{"scope": "venue", "target": "kalshi", "reason": "drill"}]


@pytest.mark.parametrize("host", ["localhost:9", "127.0.0.1", "TIDEGATE:8080", "tidegate"])
async def test_request_when_the_host_is_on_the_list_then_is_answered(port: int, host: str) -> None:
    assert (await get(port, "/healthz", host=host)).status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "10.0.0.1", "[::1]:8080", ""])
async def test_request_when_the_host_is_not_on_the_list_then_is_refused(port: int, host: str) -> None:
    answer = await get(port, "/metrics", host=host)
    assert answer.status == 421
    assert b"tidegate_build_info" not in answer.body
    assert json.loads(answer.body)["remedy"] == "add the name to http.allowed_hosts"


async def test_request_when_bound_to_every_interface_then_the_address_it_came_to_is_allowed(daemon: Daemon) -> None:
    server = make_server(daemon, HttpSettings(host="0.0.0.0", port=0))  # noqa: S104
    port = await server.start()
    try:
        assert (await get(port, "/healthz", host=f"127.0.0.1:{port}")).status == 200
        assert (await get(port, "/healthz", host="192.0.2.1")).status == 421
    finally:
        await server.close()


async def test_request_when_it_would_change_something_then_is_refused(port: int) -> None:
    assert (await get(port, "/metrics", method="POST")).status == 405
    assert (await get(port, "/orders")).status == 404


async def test_start_when_the_port_is_taken_then_names_the_key_and_the_remedy(port: int, daemon: Daemon) -> None:
    server = make_server(daemon, HttpSettings(port=port))
    with pytest.raises(
        ConfigurationError, match=rf"http\.port: can't listen on 127\.0\.0\.1:{port} .*--set http\.port=0"
    ):
        await server.start()
    await server.close()


async def test_close_when_called_twice_then_is_harmless(daemon: Daemon) -> None:
    server = make_server(daemon, HttpSettings(port=0))
    await server.start()
    await server.close()
    await server.close()


async def test_start_when_the_host_is_not_this_machine_s_then_names_that_key(daemon: Daemon) -> None:
    with pytest.raises(ConfigurationError, match=r"^http\.host: can't listen on \[2001:db8::1\]:0 .* of this machine$"):
        await make_server(daemon, HttpSettings(host="2001:db8::1", port=0)).start()


def test_compose_when_prometheus_asks_by_the_service_s_name_then_that_name_is_allowed() -> None:
    text = Path("deploy/compose.yaml").read_text()
    (target,) = re.findall(r'targets: \["([a-z]+):8080"\]', text)
    (allowed,) = re.findall(r"TIDEGATE_HTTP__ALLOWED_HOSTS: '(.*)'", text)
    environ = {"TIDEGATE_HTTP__ALLOWED_HOSTS": allowed}
    assert load([], environ=environ).config.http.allowed_hosts == (target,)
    assert f"\n  {target}:\n" in text


@pytest.mark.parametrize("half", [b"", b"GET /healthz HTTP/1.1\r\nHost: local"])
async def test_connection_when_its_request_does_not_come_then_it_is_closed(daemon: Daemon, half: bytes) -> None:
    server = make_server(daemon, HttpSettings(port=0), connection_s_max=0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", await server.start())
    writer.write(half)
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
    await server.close()


@pytest.mark.parametrize("life_s", [0.1, 3_600], ids=["too old", "at the end"])
async def test_connection_when_its_peer_does_not_read_the_answer_then_no_descriptor_is_held(
    daemon: Daemon, life_s: float
) -> None:
    async def metrics() -> bytes:
        return b"x" * 8_000_000

    server = make_server(daemon, HttpSettings(port=0), connection_s_max=life_s, render_metrics=metrics)
    port = await server.start()
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        peer.connect(("127.0.0.1", port))
        peer.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: is_serving(port))
        if life_s > 1:
            await server.close()
        await until(lambda: not is_serving(port))
    await server.close()


def is_serving(port: int) -> bool:
    """Whether this process holds the server's end of a connection to `port`."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {row[9] for row in rows if int(row[1].partition(":")[2], 16) == port and row[3] != "0A"}
    names = [str(os.readlink(one)) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
    return not inodes.isdisjoint(name.removeprefix("socket:[").removesuffix("]") for name in names)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the operating system closes it, and rings no bell
            await asyncio.sleep(0.01)


async def test_connections_when_hundreds_hang_then_the_oldest_go_and_a_new_one_is_answered(
    port: int,
) -> None:
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
    for _, writer in held:
        writer.write(b"GET /healthz HTTP/1.1\r\n")
    async with asyncio.timeout(5):
        ended = [await reader.read() for reader, _ in held[:-HTTP_CONNECTIONS_MAX]]
    assert set(ended) == {b""}
    assert (await get(port, "/healthz")).status == 200
    for _, writer in held:
        writer.close()
