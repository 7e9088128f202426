"""The lease of a venue: who may send to its account, the daemon or a process beside it that ends the orders there.

Two senders would spend one rate limit twice. So a process that ends orders holds the venue's lease for as long as it
does, and the daemon, which looks for it before it sends, sends nothing there meanwhile, no cancel either. The lease is
a lock of the operating system on a file in the state directory: it ends with its holder, whatever happens to that.

The file also keeps how often the lease was taken, so that the daemon knows that somebody else has spent of the limit,
and the last stamp of such a process (`framework.domain.mass_cancel.Stamps`). The daemon signs with even milliseconds
only and these processes with odd ones, each later than the last one here, so no stamp comes twice.

Whoever sends writes down what is left of the limits, before each request leaves (`BudgetNote`): so the next one need
not begin with nothing, however the one before ended.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from framework.runtime.files import hand_to_owner

_NUMBER = 20
"""Digits of a number in the file: the last stamp, and behind it how often the lease was taken."""


def _path(directory: Path, venue: str) -> Path:
    return directory / f"lease-{venue}"


def _open(path: Path) -> int:
    """Open a file of a state directory, made for its owner where it is missing. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    hand_to_owner(path)
    return descriptor


def _number(descriptor: int, place: int) -> int:
    text = os.pread(descriptor, _NUMBER, place * _NUMBER).strip()
    return int(text) if text.isdigit() else 0


class VenueLease:
    """The right to send to one venue in the daemon's place: held from `take` until `close` or the end of the process.
    Implements `framework.domain.mass_cancel.Stamps`."""

    def __init__(self, directory: Path, venue: str) -> None:
        """Raises `OSError` when the file in the state directory `directory` can't be made."""
        self._descriptor = _open(_path(directory, venue))
        self._last_ms = 0

    def take(self) -> bool:
        """Whether the lease is ours now; False while another process has it. Never waits."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self._last_ms = _number(self._descriptor, 0)
        self._write(1, _number(self._descriptor, 1) + 1)
        return True

    def first_from(self, stamp_ms: int, /) -> int:
        """The first odd millisecond from `stamp_ms` on that was not used; it is from now on."""
        self._last_ms = max(stamp_ms | 1, self._last_ms + 2)
        self._write(0, self._last_ms)
        return self._last_ms

    def close(self) -> None:
        """Give the lease back; the second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, place: int, number: int) -> None:
        # A disk that is full holds up no cancel: what the next such process might use again is refused then, at worst.
        with suppress(OSError):
            os.pwrite(self._descriptor, b"%*d" % (_NUMBER, number), place * _NUMBER)


class LeaseWatch:
    """The daemon's side: whether a process beside it has the lease of a venue, and whether one has had it."""

    def __init__(self, directory: Path, venue: str) -> None:
        """`directory` is the state directory. Raises `OSError` when the file can't be made there."""
        self._descriptor = _open(_path(directory, venue))
        self._seen = _number(self._descriptor, 1)

    def is_taken(self) -> bool:
        """Whether it is taken now. Never waits."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        except BlockingIOError:
            return True
        return False

    def was_taken(self) -> bool:
        """Whether it was taken since this was last asked, or since the beginning."""
        count = _number(self._descriptor, 1)
        is_new, self._seen = count != self._seen, count
        return is_new

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)


class BudgetLeft(msgspec.Struct, frozen=True):
    """What was left of a venue's limits at a time: whole tokens by pool. `monotonic_ns` is the machine's clock, which
    all its processes share; one of before a restart of the machine is no later than it should be."""

    monotonic_ns: int
    tokens: Mapping[str, int]


class BudgetNote:
    """The file of one venue in which whoever sends writes what is left of its limits."""

    def __init__(self, directory: Path, venue: str) -> None:
        """`directory` is the state directory. Raises `OSError` when the file can't be made."""
        self._descriptor = _open(directory / f"budget-{venue}")

    def write(self, left: BudgetLeft) -> None:
        """Write it down, for when this process ends in any way but a power failure. What a full disk does not take, the
        next sender does not know: it holds up no request."""
        # One write behind the other: what is read is a whole line, with what an earlier, longer one left behind it.
        with suppress(OSError):
            os.pwrite(self._descriptor, msgspec.json.encode(left) + b"\n", 0)

    def read(self) -> BudgetLeft | None:
        """What was written last, None for nothing that can be read."""
        try:
            line, end, _rest = os.pread(self._descriptor, 65_536, 0).partition(b"\n")
            return msgspec.json.decode(line, type=BudgetLeft) if end else None
        except (OSError, msgspec.DecodeError, msgspec.ValidationError):
            return None

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)
