"""The socket: private to its owner, one line for one line, and whatever a peer does, the server goes on."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from framework.domain.errors import Fatal
from framework.runtime.unix_socket import CONNECTIONS_MAX, LINE_BYTES_MAX, NoServer, UnixServer, ask

OWN = frozenset({os.geteuid()})
Start = Callable[..., Awaitable[UnixServer]]


async def echo(line: bytes) -> bytes:
    return b"heard " + line


def refuse(reason: str) -> bytes:
    return b"no: " + reason.encode()


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    servers: list[UnixServer] = []

    async def begin(path: Path = tmp_path / "s.sock", *, uids: frozenset[int] = OWN, idle_s: float = 5) -> UnixServer:
        server = UnixServer(path, echo, refuse=refuse, uids=uids, idle_s_max=idle_s)
        servers.append(server)
        await server.start()
        return server

    yield begin
    for server in servers:
        await server.close()


async def asked(path: Path, line: bytes) -> bytes:
    return await asyncio.to_thread(ask, path, line, timeout_s=5)


async def test_server_when_a_line_is_sent_then_one_line_answers(start: Start, tmp_path: Path) -> None:
    await start()
    assert await asked(tmp_path / "s.sock", b"halt") == b"heard halt"


async def test_server_when_several_lines_are_sent_on_one_connection_then_each_is_answered(
    start: Start, tmp_path: Path
) -> None:
    await start()
    reader, writer = await asyncio.open_unix_connection(tmp_path / "s.sock")
    writer.write(b"one\ntwo\n")
    assert await reader.readline() == b"heard one\n"
    assert await reader.readline() == b"heard two\n"
    writer.close()
    await writer.wait_closed()


async def test_server_when_it_listens_then_the_socket_is_its_owners_alone(start: Start, tmp_path: Path) -> None:
    await start()
    assert stat.S_IMODE((tmp_path / "s.sock").stat().st_mode) == 0o600


async def test_server_when_the_peer_is_another_user_then_it_is_refused_and_not_heard(
    start: Start, tmp_path: Path
) -> None:
    await start(uids=frozenset({os.geteuid() + 4242}))
    answer = await asked(tmp_path / "s.sock", b"halt")
    assert answer.startswith(b"no: user %d may not" % os.geteuid())


async def test_server_when_a_request_is_too_long_then_it_is_refused_and_the_next_peer_is_answered(
    start: Start, tmp_path: Path
) -> None:
    await start()
    reader, writer = await asyncio.open_unix_connection(tmp_path / "s.sock")
    writer.write(b"x" * (LINE_BYTES_MAX + 1))
    assert b"longer than 65536 bytes" in await reader.readline()
    writer.close()
    assert await asked(tmp_path / "s.sock", b"halt") == b"heard halt"


async def test_server_when_a_peer_hangs_up_in_mid_line_then_the_next_is_answered(start: Start, tmp_path: Path) -> None:
    await start()
    reader, writer = await asyncio.open_unix_connection(tmp_path / "s.sock")
    writer.write(b"half a li")
    writer.write_eof()
    assert b"no line end" in await reader.readline()
    writer.close()
    assert await asked(tmp_path / "s.sock", b"halt") == b"heard halt"


async def test_server_when_a_peer_falls_silent_then_its_connection_is_closed(start: Start, tmp_path: Path) -> None:
    await start(idle_s=0.05)
    reader, writer = await asyncio.open_unix_connection(tmp_path / "s.sock")
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_server_when_too_many_idle_peers_are_connected_then_the_newest_gets_in_and_the_oldest_goes(
    start: Start, tmp_path: Path
) -> None:
    await start(idle_s=60)
    held = [await asyncio.open_unix_connection(tmp_path / "s.sock") for _ in range(CONNECTIONS_MAX)]
    async with asyncio.timeout(10):
        assert await asked(tmp_path / "s.sock", b"halt") == b"heard halt"
        assert b"made room for a newer one" in await held[0][0].read()
    held[-1][1].write(b"status\n")
    assert await held[-1][0].readline() == b"heard status\n"
    for _, writer in held:
        writer.close()


async def test_server_when_all_peers_wait_for_answers_then_the_newest_gets_in_all_the_same(tmp_path: Path) -> None:
    async def brood(line: bytes) -> bytes:
        await (asyncio.sleep(0) if line == b"halt" else asyncio.Event().wait())
        return b"heard " + line

    server = UnixServer(tmp_path / "s.sock", brood, refuse=refuse, uids=OWN)
    await server.start()
    held = [await asyncio.open_unix_connection(tmp_path / "s.sock") for _ in range(CONNECTIONS_MAX)]
    for _, writer in held:
        writer.write(b"reconcile\n")
    await asyncio.sleep(0.05)
    try:
        assert await asked(tmp_path / "s.sock", b"halt") == b"heard halt"
        assert b"it may still take effect" in await held[0][0].readline()
    finally:
        await server.close()
        for _, writer in held:
            writer.close()


async def test_server_when_a_peer_does_not_read_its_answer_then_its_connection_is_closed(tmp_path: Path) -> None:
    answer = b"x" * 10_000_000

    async def flood(_: bytes) -> bytes:
        return answer

    server = UnixServer(tmp_path / "s.sock", flood, refuse=refuse, uids=OWN, idle_s_max=0.05)
    await server.start()
    reader, writer = await asyncio.open_unix_connection(tmp_path / "s.sock", limit=1)
    writer.write(b"orders\n")
    async with asyncio.timeout(5):
        while not server._conversations:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)
        while server._conversations:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
        # What had not left by then never comes: the server's end is gone, not only forgotten.
        read = await reader.read()
    assert len(read) < len(answer)
    writer.close()
    await server.close()


async def test_server_when_a_dead_one_left_its_socket_then_it_takes_its_place(start: Start, tmp_path: Path) -> None:
    (tmp_path / "s.sock").touch()
    await start()
    assert await asked(tmp_path / "s.sock", b"halt") == b"heard halt"


async def test_server_when_the_path_is_longer_than_a_socket_name_then_it_serves_all_the_same(
    start: Start, tmp_path: Path
) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    await start(deep / "s.sock")
    assert await asked(deep / "s.sock", b"halt") == b"heard halt"


async def test_server_when_the_directory_is_missing_then_it_says_which(start: Start, tmp_path: Path) -> None:
    with pytest.raises(Fatal, match=r"nowhere/s\.sock can't be made"):
        await start(tmp_path / "nowhere" / "s.sock")


async def test_server_when_it_closes_then_the_socket_is_gone_and_asking_says_so(start: Start, tmp_path: Path) -> None:
    server = await start()
    await server.close()
    assert not (tmp_path / "s.sock").exists()
    with pytest.raises(NoServer, match=r"s\.sock: No such file"):
        await asked(tmp_path / "s.sock", b"halt")


async def test_ask_when_the_server_never_answers_then_it_gives_up(tmp_path: Path) -> None:
    async def brood(_: bytes) -> bytes:
        await asyncio.sleep(30)
        return b""

    server = UnixServer(tmp_path / "s.sock", brood, refuse=refuse, uids=OWN)
    await server.start()
    try:
        with pytest.raises(NoServer, match=r"no answer within 0\.05 s"):
            await asyncio.to_thread(ask, tmp_path / "s.sock", b"halt", timeout_s=0.05)
    finally:
        await server.close()
