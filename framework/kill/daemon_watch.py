"""What the daemon says during a kill, asked in a thread: this process loads its other parts meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from framework.domain.operator_requests import SOCKET_NAME, Answer, Kill
from framework.runtime.background import repeat_detached
from framework.runtime.unix_socket import NoServer, ask

DAEMON_S_MAX = 0.25
"""How long the daemon may take for an answer. One that takes longer is not waited for."""

ASK_DAEMON_S = 0.1


class DaemonLeft(msgspec.Struct):
    """What the daemon says that is left at a venue."""

    own: int
    external: int


class DaemonWatch:
    """Has the daemon act on the latch, and asks it what is left, until it does not answer. `start` once."""

    def __init__(self, directory: Path, request: Kill) -> None:
        """`directory` is the state directory."""
        self._path = directory / SOCKET_NAME
        self._line = msgspec.json.encode(request)
        self._left: Mapping[str, DaemonLeft] | None = None
        self.is_known = False
        """Whether it has answered, or has been found not to answer."""

    def start(self) -> None:
        """Ask from now on. Returns at once."""
        repeat_detached(self._ask, every_s=ASK_DAEMON_S, name="daemon")

    def count(self, venue: str) -> int | None:
        """How many orders it knows to be open at a venue; None when it does not answer, or does not know the venue."""
        left = self._left.get(venue) if self._left else None
        return None if left is None else left.own + left.external

    def _ask(self) -> bool:
        try:
            answer = msgspec.json.decode(ask(self._path, self._line, timeout_s=DAEMON_S_MAX), type=Answer)
            self._left = msgspec.convert(answer.data, dict[str, DaemonLeft]) if answer.is_ok else None
        except (NoServer, msgspec.DecodeError, msgspec.ValidationError):
            self._left = None
        self.is_known = True
        return self._left is not None
