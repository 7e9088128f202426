"""The lease of a venue: who may send to its account, the daemon or a process beside it that ends the orders there.

Two senders would spend one rate limit twice. So a process that ends orders holds the venue's lease for as long as it
does, and the daemon, which looks for it while the kill latch is set, sends nothing there meanwhile, no cancel either.
The lease is a lock of the operating system on a file in the state directory: it ends with its holder, whatever happens
to that.

The file also keeps the last stamp of such a process (`framework.domain.mass_cancel.Stamps`). The daemon signs with even
milliseconds only and these processes with odd ones, each later than the last one here, so no stamp comes twice.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

_STAMP_BYTES = 20


def _path(directory: Path, venue: str) -> Path:
    return directory / f"lease-{venue}"


class VenueLease:
    """The right to send to one venue in the daemon's place: held from `take` until `close` or the end of the process.
    Implements `framework.domain.mass_cancel.Stamps`."""

    def __init__(self, directory: Path, venue: str) -> None:
        """Raises `OSError` when the file in the state directory `directory` can't be made."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(_path(directory, venue), flags, 0o600)
        self._last_ms = 0

    def take(self) -> bool:
        """Whether the lease is ours now; False while another process has it. Never waits. Raises `OSError`."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        text = os.pread(self._descriptor, _STAMP_BYTES, 0).strip()
        self._last_ms = int(text) if text.isdigit() else 0
        return True

    def first_from(self, stamp_ms: int, /) -> int:
        """The first odd millisecond from `stamp_ms` on that was not used; it is from now on. Raises `OSError`."""
        self._last_ms = max(stamp_ms | 1, self._last_ms + 2)
        os.pwrite(self._descriptor, b"%-*d" % (_STAMP_BYTES, self._last_ms), 0)
        return self._last_ms

    def close(self) -> None:
        """Give the lease back; the second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class LeaseWatch:
    """The daemon's side: whether a process beside it has the lease of a venue."""

    def __init__(self, directory: Path) -> None:
        """`directory` is the state directory."""
        self._directory = directory
        self._descriptors: dict[str, int] = {}

    def is_taken(self, venue: str) -> bool:
        """Whether it is taken now. One that can't be looked at counts as free: the daemon must be able to cancel."""
        try:
            descriptor = self._descriptor(venue)
            if descriptor < 0:
                return False
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return False

    def close(self) -> None:
        """Give the descriptors back."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()

    def _descriptor(self, venue: str) -> int:
        """The file's, opened once; -1 while there is none."""
        if venue not in self._descriptors:
            try:
                self._descriptors[venue] = os.open(_path(self._directory, venue), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return -1
        return self._descriptors[venue]
