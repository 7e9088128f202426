"""The operator's socket: requests as lines of JSON, checked before anything else sees them.

Whatever a peer sends, the answer is one line and the daemon goes on: what is no JSON, no known command, or has
members of the wrong name or type is refused with the reason.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import structlog

from framework.domain.errors import hint
from framework.domain.operator_requests import (
    OPERATOR_COMMANDS,
    SOCKET_NAME,
    AcknowledgeAlerts,
    Answer,
    Flatten,
    Kill,
    MoveFunds,
    Reconcile,
    Request,
    SendTestAlert,
    ShowAlerts,
    ShowFundMove,
    ShowStatus,
)
from framework.domain.plausibility import UNREADABLE
from framework.runtime.unix_socket import UnixServer

ANSWER_S_MAX = 60.0
"""Longest time for one answer, in seconds: a reconciliation may have to wait for the venue's rate limit."""

_ROOT = 0
_SIDE_BY_SIDE = (Reconcile, MoveFunds, ShowFundMove, Flatten, AcknowledgeAlerts, SendTestAlert)
_log = structlog.get_logger("operator")
_convert: Callable[[Any], Request] = partial(msgspec.convert, type=Request)
_encode = msgspec.json.encode


class OperatorSocket:
    """The socket of one daemon. Call order: `start`, `close`.

    `answer` is asked one request at a time, but for comparisons with the venues: two operators at once see each other's
    effect, not half of it. Every request and its answer are logged, but those that only ask.
    """

    def __init__(
        self,
        directory: Path,
        answer: Callable[[Request], Awaitable[Answer]],
        *,
        uids: frozenset[int] | None = None,
        answer_s_max: float = ANSWER_S_MAX,
    ) -> None:
        """`uids`: the users that may ask; without it, the daemon's own and root."""
        self._answer_request = answer
        self._answer_s_max = answer_s_max
        self._one_at_a_time = asyncio.Lock()
        self._server = UnixServer(
            directory / SOCKET_NAME,
            self._answer,
            refuse=_refusal,
            uids=frozenset({os.geteuid(), _ROOT}) if uids is None else uids,
        )

    async def start(self) -> None:
        """Listen; hold the state directory's lock. Raises `Fatal` when the socket can't be made."""
        await self._server.start()

    async def close(self) -> None:
        """Stop listening, end open connections, and remove the socket. Does nothing when not started."""
        await self._server.close()

    def _turn(self, request: Request) -> AbstractAsyncContextManager[None]:
        # A comparison takes as long as the venues do and changes nothing that an operator sets: a halt passes it.
        # Nor does funds' way out, or that of a position: a halt waits for no venue. Nor for who is sent alerts, or the
        # disk that keeps them.
        return nullcontext() if isinstance(request, _SIDE_BY_SIDE) else self._one_at_a_time

    async def _answer(self, line: bytes) -> bytes:
        request = _read(line)
        if isinstance(request, str):
            _log.warning("operator's request refused", reason=request)
            return _refusal(request)
        try:
            if isinstance(request, (ShowStatus, ShowAlerts, Kill)):
                # None waits for its turn behind a long reconciliation. Nor are they logged here: two change nothing,
                # the third is asked again and again, and the latch itself is an alarm.
                return _encode(await self._answer_request(request))
            async with asyncio.timeout(self._answer_s_max), self._turn(request):
                answer = await self._answer_request(request)
        except TimeoutError:
            return _refusal(f"not finished within {self._answer_s_max:g} s; it may still take effect, so look first")
        except Exception as e:  # noqa: BLE001 - a defect in a command must not end the daemon's only way to be stopped
            _log.error("operator's request failed", **_fields(request), error=f"{type(e).__name__}: {e}", exc_info=e)
            return _refusal(f"it failed: {type(e).__name__}: {e}; see the daemon's log")
        _log.info("operator", **_fields(request), done=answer.is_ok, answer="; ".join(answer.lines))
        return _encode(answer)


def _fields(request: Request) -> dict[str, Any]:
    """A request as fields of a log line, those that say nothing left out."""
    return {name: field for name, field in msgspec.to_builtins(request).items() if field not in ("", False, None)}


def _read(line: bytes) -> Request | str:
    """The request, or why it is none."""
    try:
        raw = msgspec.json.decode(line)
    except UNREADABLE as e:
        return f"the request is not JSON: {e}"
    try:
        return _convert(raw)
    except msgspec.ValidationError as e:
        return _unknown_command(raw) or f"the request is not one: {e}"


def _unknown_command(raw: Any) -> str:
    command = raw.get("command") if isinstance(raw, dict) else None
    if not isinstance(command, str):
        return f'a request is an object with a "command": one of {", ".join(OPERATOR_COMMANDS)}'
    if command in OPERATOR_COMMANDS:
        return ""
    remedy = hint(command, OPERATOR_COMMANDS) or f"; there are: {', '.join(OPERATOR_COMMANDS)}"
    return f'unknown command "{command}"{remedy}'


def _refusal(reason: str) -> bytes:
    return _encode(Answer(is_ok=False, lines=(reason,)))
