"""The kill latch: files that stop every request but cancels, of everything or of one venue (C15).

A kill must hold while the daemon hangs, after it has died, and after a restart, and a process beside the daemon must be
able to set it. So the latch is neither in memory nor in the journal: it is a file per scope in the state directory,
and that the file is there is all that counts. Whoever is about to write a request's first byte asks the file system,
which costs two microseconds; nothing has to reach the daemon first. The text inside says who set it, why and when.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from framework.runtime.files import FileSystem, RealFiles, hand_to_owner

EVERYTHING = ""
"""The venue of the latch that holds for all of them."""

_NAME = "killed"


class Latch(msgspec.Struct, frozen=True):
    """One latch that is set: for which venue (`EVERYTHING`: all), by whom, why, and since when (wall nanoseconds, 0 =
    the file does not say)."""

    venue: str
    by: str = ""
    reason: str = ""
    since_ns: int = 0

    @property
    def text(self) -> str:
        """What it holds, why, and who set it, in words."""
        who = f", by {self.by}" if self.by else ""
        return f"{self.venue or 'everything'}: {self.reason or 'no reason given'}{who}"


class KillLatch:
    """The latches of one state directory. Reading needs no lock and never waits."""

    def __init__(self, directory: Path, files: FileSystem | None = None) -> None:
        """`directory` is the state directory; `files` is for tests."""
        # No folder of its own: one that root has made could not be looked into by the daemon's user.
        self._directory = directory
        self._files = files or RealFiles()
        self._everything = str(self._path(EVERYTHING))
        self._names: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<KillLatch {self._directory}>"

    def is_set(self, venue: str) -> bool:
        """Whether nothing but cancels may leave for this venue, now. Asks the file system."""
        name = self._names.get(venue)
        if name is None:
            name = self._names[venue] = str(self._path(venue))
        return os.access(self._everything, os.F_OK) or os.access(name, os.F_OK)

    def set(self, venue: str, *, by: str, reason: str, now_ns: int) -> bool:
        """Set the latch of a venue, or of everything; it holds from the first system call on, and is durable when this
        returns. Returns False when it was set before: it keeps its reason then. Raises `OSError`; it may hold then.

        No draft is renamed into place, unlike elsewhere: a disk that stalls or is full could hold that up, and a latch
        without a text is one all the same.
        """
        path = self._path(venue)
        self._files.make_directory(self._directory)
        is_new = not self._files.exists(path)
        handle = self._files.open_append(path)
        try:
            if is_new:
                handle.write(msgspec.json.encode(Latch(venue, by, reason, now_ns)) + b"\n")
                hand_to_owner(path)
            handle.sync()
        finally:
            handle.close()
        self._files.sync_directory(self._directory)
        return is_new

    def clear(self, venue: str) -> None:
        """Take the latch of this very scope away, durably; one that is not set is left alone. Raises `OSError`."""
        path = self._path(venue)
        if self._files.exists(path):
            self._files.remove(path)
            self._files.sync_directory(self._directory)

    def latches(self) -> tuple[Latch, ...]:
        """Every latch that is set, that of everything first. One whose text can't be read is set all the same."""
        try:
            names = self._files.list(self._directory)
        except FileNotFoundError:
            return ()
        found = [self._read(name) for name in names if name == _NAME or name.startswith(f"{_NAME}-")]
        return tuple(sorted(found, key=lambda one: one.venue))

    def _read(self, name: str) -> Latch:
        venue = name.removeprefix(_NAME).removeprefix("-")
        try:
            latch = msgspec.json.decode(self._files.read(self._directory / name), type=Latch)
        except (OSError, msgspec.DecodeError):
            return Latch(venue, reason=f"{self._directory / name} can't be read")
        return msgspec.structs.replace(latch, venue=venue)

    def _path(self, venue: str) -> Path:
        return self._directory / (f"{_NAME}-{venue}" if venue else _NAME)
