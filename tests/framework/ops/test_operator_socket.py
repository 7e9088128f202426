"""The operator's socket over a real one: whatever is sent, one line answers and the daemon goes on."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from framework.domain.account_events import Scope, TradingState
from framework.domain.operator_requests import (
    OPERATOR_COMMANDS,
    SOCKET_NAME,
    Answer,
    Reconcile,
    Request,
    SetTradingState,
)
from framework.ops.operator_socket import OperatorSocket
from framework.runtime.unix_socket import ask

HALT = b'{"command": "set_trading_state", "scope": "global", "state": "halted", "reason": "drill"}'
Open = Callable[..., Awaitable[list[Request]]]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    """A socket that notes what it is asked, or does what the test says."""
    sockets: list[OperatorSocket] = []

    async def begin(act: Callable[[Request], Awaitable[Answer]] | None = None, **options: Any) -> list[Request]:
        heard: list[Request] = []

        async def note(request: Request) -> Answer:
            heard.append(request)
            return Answer(is_ok=True, lines=("done",))

        socket = OperatorSocket(tmp_path, act or note, **options)
        sockets.append(socket)
        await socket.start()
        return heard

    yield begin
    for socket in sockets:
        await socket.close()


async def asked(directory: Path, line: bytes) -> Answer:
    answer = await asyncio.to_thread(ask, directory / SOCKET_NAME, line, timeout_s=5)
    return msgspec.json.decode(answer, type=Answer)


async def test_socket_when_a_request_comes_then_it_is_handed_over_and_answered(opened: Open, tmp_path: Path) -> None:
    heard = await opened()
    assert await asked(tmp_path, HALT) == Answer(is_ok=True, lines=("done",))
    assert heard == [SetTradingState(scope=Scope.GLOBAL, state=TradingState.HALTED, reason="drill")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"halt", "the request is not JSON"),
        (b'{"command": "hal', "the request is not JSON"),
        (b"\xff\xfe", "the request is not JSON"),
        (b"[" * 60_000, "the request is not JSON"),
        (b"[]", 'a request is an object with a "command"'),
        (b"{}", 'a request is an object with a "command"'),
        (b'{"command": 7}', 'a request is an object with a "command"'),
        (b'{"command": "adopt"}', 'unknown command "adopt"; did you mean "adopt_orphan"?'),
        (b'{"command": "reconcil"}', 'unknown command "reconcil"; did you mean "reconcile"?'),
        (b'{"command": "sell everything"}', 'unknown command "sell everything"; there are: set_trading_state'),
        (b'{"command": "reconcile", "is_dry_run": 1}', "Expected `bool`"),
        (b'{"command": "reconcile", "dry": true}', "unknown field `dry`"),
        (b'{"command": "set_trading_state", "scope": "globe", "state": "halted", "reason": ""}', "'globe'"),
        (b'{"command": "adopt_orphan", "order": "x"}', "missing required field `strategy`"),
    ],
)
async def test_socket_when_a_request_is_none_then_it_is_refused_and_the_next_is_heard(
    opened: Open, tmp_path: Path, line: bytes, reason: str
) -> None:
    heard = await opened()

    answer = await asked(tmp_path, line)

    assert not answer.is_ok
    assert reason in answer.lines[0]
    assert heard == []
    assert (await asked(tmp_path, HALT)).is_ok


async def test_socket_when_a_request_is_too_long_then_it_is_refused_and_the_next_is_heard(
    opened: Open, tmp_path: Path
) -> None:
    heard = await opened()
    reader, writer = await asyncio.open_unix_connection(tmp_path / SOCKET_NAME)
    writer.write(HALT[:-2] + b"x" * 70_000)

    answer = json.loads(await reader.readline())

    assert (answer["is_ok"], heard) == (False, [])
    assert "longer than 65536 bytes" in answer["lines"][0]
    writer.close()
    assert (await asked(tmp_path, HALT)).is_ok


async def test_socket_when_the_peer_is_another_user_then_nothing_is_heard(opened: Open, tmp_path: Path) -> None:
    heard = await opened(uids=frozenset({os.geteuid() + 4242}))
    answer = await asked(tmp_path, HALT)
    assert (answer.is_ok, heard) == (False, [])
    assert f"user {os.geteuid()} may not give orders here" in answer.lines[0]


async def test_socket_when_no_users_are_named_then_the_daemons_own_may_ask(opened: Open, tmp_path: Path) -> None:
    await opened()
    assert (await asked(tmp_path, HALT)).is_ok


async def test_socket_when_a_command_breaks_then_it_says_so_and_goes_on(opened: Open, tmp_path: Path) -> None:
    async def break_once(request: Request) -> Answer:
        if isinstance(request, Reconcile):
            raise RuntimeError("a defect")
        return Answer(is_ok=True)

    await opened(break_once)
    answer = await asked(tmp_path, b'{"command": "reconcile"}')
    assert not answer.is_ok
    assert "it failed: RuntimeError: a defect" in answer.lines[0]
    assert (await asked(tmp_path, HALT)).is_ok


async def test_socket_when_a_command_takes_too_long_then_it_says_so_and_goes_on(opened: Open, tmp_path: Path) -> None:
    async def brood(request: Request) -> Answer:
        if isinstance(request, Reconcile):
            await asyncio.sleep(30)
        return Answer(is_ok=True)

    await opened(brood, answer_s_max=0.05)
    answer = await asked(tmp_path, b'{"command": "reconcile"}')
    assert "not finished within 0.05 s" in answer.lines[0]
    assert (await asked(tmp_path, HALT)).is_ok


async def test_socket_when_two_ask_at_once_then_one_is_answered_after_the_other(opened: Open, tmp_path: Path) -> None:
    at_work: list[int] = []

    async def work(request: Request) -> Answer:
        at_work.append(len(at_work))
        await asyncio.sleep(0.01)
        most = len(at_work)
        at_work.clear()
        return Answer(is_ok=True, data=most)

    await opened(work)
    answers = await asyncio.gather(*(asked(tmp_path, HALT) for _ in range(4)))
    assert [answer.data for answer in answers] == [1, 1, 1, 1]


def test_commands_when_listed_then_they_are_those_of_the_requests() -> None:
    tags = {kind.__struct_config__.tag for kind in Request.__args__}
    assert set(OPERATOR_COMMANDS) == tags


async def test_status_when_another_request_takes_long_then_it_is_answered_at_once(opened: Open, tmp_path: Path) -> None:
    is_over = asyncio.Event()

    async def act(request: Request) -> Answer:
        if isinstance(request, Reconcile):
            await is_over.wait()
        return Answer(is_ok=True)

    await opened(act)
    reconciling = asyncio.create_task(asked(tmp_path, b'{"command": "reconcile"}'))
    await asyncio.sleep(0.05)
    assert (await asked(tmp_path, b'{"command": "status"}')).is_ok
    assert not reconciling.done()
    is_over.set()
    assert (await reconciling).is_ok


@pytest.mark.parametrize(
    "slow",
    [
        b'{"command": "reconcile"}',
        b'{"command": "acknowledge_alerts", "is_all": true}',
        b'{"command": "send_test_alert", "output": "phone"}',
    ],
)
async def test_halt_when_what_waits_for_others_is_under_way_then_it_does_not_wait_for_it(
    opened: Open, tmp_path: Path, slow: bytes
) -> None:
    async def act(request: Request) -> Answer:
        if not isinstance(request, SetTradingState):
            await asyncio.Event().wait()
        return Answer(is_ok=True, lines=("done",))

    await opened(act)
    _reader, writer = await asyncio.open_unix_connection(tmp_path / SOCKET_NAME)
    writer.write(slow + b"\n")
    await asyncio.sleep(0.05)

    assert (await asked(tmp_path, HALT)).is_ok

    writer.close()
