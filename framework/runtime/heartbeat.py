"""The heartbeat: a file in which the event loop itself says ten times a second that it runs.

A watcher beside the daemon needs a sign that costs nothing, that nobody has to answer, and that stops when the loop
does, whether it is blocked, stopped or dead. A socket would have to be answered, and so would say more of its own
server than of the loop. A file's time of change has the wall clock's steps and the file system's grain. So the file
holds the machine's monotonic clock, which all its processes share.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

_NAME = "heartbeat"


class Beat(msgspec.Struct, frozen=True):
    """The newest one: when (monotonic nanoseconds), of which process, and whether it was the last, because the daemon
    has stopped with every order proved ended."""

    monotonic_ns: int
    pid: int
    is_last: bool = False


class LoopHeartbeat:
    """The daemon's side. `beat` from the loop; `end` after an orderly end."""

    def __init__(self, directory: Path) -> None:
        """`directory` is the state directory; nothing is written before the first beat."""
        self._path = directory / _NAME
        self._descriptor = -1

    def beat(self, monotonic_ns: int) -> None:
        """Write one, which costs a few microseconds. Raises `OSError`."""
        self._write(Beat(monotonic_ns, os.getpid()))

    def end(self, monotonic_ns: int) -> None:
        """Write that no more come, and that nothing is open. Raises `OSError`."""
        self._write(Beat(monotonic_ns, os.getpid(), is_last=True))

    def close(self) -> None:
        """Give the descriptor back; what was written last stays."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, beat: Beat) -> None:
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.pwrite(self._descriptor, msgspec.json.encode(beat) + b"\n", 0)


def read_beat(directory: Path) -> Beat | None:
    """The newest beat of a state directory, None when none can be read: no daemon has traded there."""
    try:
        line, end, _rest = (directory / _NAME).read_bytes().partition(b"\n")
        return msgspec.json.decode(line, type=Beat) if end else None
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return None
