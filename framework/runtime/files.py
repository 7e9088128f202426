"""The file system as a port: everything durable goes through these few operations, one system call each.

What is not synced may be lost, torn or reordered by a power failure; nothing here hides that. The power-loss proof
plugs in a file system that loses, tears and reorders on purpose.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from framework.runtime.failpoints import reach

DRAFT_SUFFIX = ".tmp"
"""What is put after the name of a file that is being written beside its place."""

_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700


class FileHandle(Protocol):
    """A file open for appending."""

    def write(self, data: bytes, /) -> None:
        """Append all of `data`. Raises `OSError`; some of it may have been written then."""
        ...

    def sync(self) -> None:
        """Make everything written durable, the file's size included. Raises `OSError`: then nothing unsynced can be
        relied on, and syncing again proves nothing."""
        ...

    def size(self) -> int:
        """Length of the file in bytes, what is not synced included. Raises `OSError`."""
        ...

    def close(self) -> None:
        """Give the descriptor back. Syncs nothing: what was not synced before may be lost."""
        ...


class FileSystem(Protocol):
    """What the journal, its snapshots and the epoch file need. Every operation raises `OSError`."""

    def make_directory(self, path: Path, /) -> None:
        """Create a directory, and its parents, for the owner alone; an existing one is left as it is."""
        ...

    def list(self, directory: Path, /) -> list[str]:
        """The names in a directory, without its path, sorted."""
        ...

    def exists(self, path: Path, /) -> bool:
        """Whether there is a file or a directory at `path`."""
        ...

    def read(self, path: Path, /) -> bytes:
        """The whole content of a file; journal segments are bounded, so it fits into memory."""
        ...

    def size(self, path: Path, /) -> int:
        """Length of a file in bytes, without opening it."""
        ...

    def open_append(self, path: Path, /) -> FileHandle:
        """Open for appending; created for the owner alone when it is missing."""
        ...

    def truncate(self, path: Path, size: int, /) -> None:
        """Cut a file to `size` bytes; durable only after a sync of the file."""
        ...

    def rename(self, old: Path, new: Path, /) -> None:
        """Put `old` in the place of `new`, in one step; durable only after `sync_directory`."""
        ...

    def remove(self, path: Path, /) -> None:
        """Delete a file; durable only after `sync_directory`."""
        ...

    def sync_directory(self, path: Path, /) -> None:
        """Make creations, renames and removals in a directory durable."""
        ...


class RealFile:
    """A `FileHandle` on the operating system's file."""

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, _FILE_MODE)

    def write(self, data: bytes, /) -> None:
        """Append all of `data`, however many calls that takes: the system may write a part. Raises `OSError`."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def sync(self) -> None:
        """Have the disk hold everything written, the size included (`fdatasync`). Raises `OSError`."""
        os.fdatasync(self._descriptor)

    def size(self) -> int:
        """Length of the open file in bytes, asked of the system."""
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """Close the descriptor. A second call raises `OSError`: it is bad by then."""
        os.close(self._descriptor)


class RealFiles:
    """The `FileSystem` of the machine."""

    def make_directory(self, path: Path, /) -> None:
        """Create a directory and its parents with mode 0700; an existing one keeps its mode."""
        path.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)

    def list(self, directory: Path, /) -> list[str]:
        """The names in a directory, sorted, hidden ones included."""
        return sorted(os.listdir(directory))

    def exists(self, path: Path, /) -> bool:
        """Whether there is anything at `path`; follows links."""
        return path.exists()

    def read(self, path: Path, /) -> bytes:
        """The whole content of a file as bytes."""
        return path.read_bytes()

    def size(self, path: Path, /) -> int:
        """Length of a file in bytes, by `stat`."""
        return path.stat().st_size

    def open_append(self, path: Path, /) -> RealFile:
        """Open for appending; a missing file is created with mode 0600."""
        return RealFile(path)

    def truncate(self, path: Path, size: int, /) -> None:
        """Cut a file to `size` bytes; sync the file to make that durable."""
        os.truncate(path, size)

    def rename(self, old: Path, new: Path, /) -> None:
        """Replace `new` by `old` in one step; sync the directory to make that durable."""
        os.rename(old, new)

    def remove(self, path: Path, /) -> None:
        """Delete a file; sync the directory to make that durable."""
        os.remove(path)

    def sync_directory(self, path: Path, /) -> None:
        """Make the names in a directory durable, by `fsync` of the directory itself."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def aside_name(files: FileSystem, path: Path, suffix: str) -> Path:
    """A name beside `path` that nothing has yet: with `suffix` at its end, and a number where that is taken."""
    name, count = path.name + suffix, 1
    while files.exists(path.with_name(name)):
        count += 1
        name = f"{path.name}{suffix}-{count}"
    return path.with_name(name)


def hand_to_owner(path: Path) -> None:
    """As root, make a file its folder's owner's, as far as that is allowed: the daemon, which is another user's, reads
    what a process beside it has left."""
    if os.geteuid() == 0:
        with suppress(OSError):
            owner = os.stat(path.parent)
            os.chown(path, owner.st_uid, owner.st_gid)


def write_atomically(files: FileSystem, path: Path, data: bytes, *, points: tuple[str, str] = ("", "")) -> None:
    """Put `data` in the place of `path`, durably: a crash leaves either the old file or the new one, whole.

    `points`: the fail points before and after it has its name. Raises `OSError`.
    """
    draft = path.with_name(path.name + DRAFT_SUFFIX)
    # A draft that a crash left: appending to it would join two contents.
    if files.exists(draft):
        files.remove(draft)
    handle = files.open_append(draft)
    try:
        handle.write(data)
        handle.sync()
    finally:
        handle.close()
    reach(points[0])
    files.rename(draft, path)
    reach(points[1])
    files.sync_directory(path.parent)
