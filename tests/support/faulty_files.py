"""A file system that counts operations and fails from a chosen one on."""

from __future__ import annotations

import errno
from pathlib import Path

from framework.runtime.files import FileHandle, RealFiles


class FaultyFiles(RealFiles):
    """The machine's files, but `fail_after` more writes and syncs succeed, then each raises `error`.

    A write that fails leaves the first half of its data behind.
    """

    def __init__(self, error: int = errno.ENOSPC) -> None:
        self.error = error
        self.fail_after: int | None = None
        self.operations: list[str] = []

    def open_append(self, path: Path, /) -> FaultyFile:  # type: ignore[override]
        return FaultyFile(self, super().open_append(path))

    def step(self, operation: str) -> bool:
        """Count an operation; whether it fails."""
        self.operations.append(operation)
        if self.fail_after is None:
            return False
        self.fail_after -= 1
        return self.fail_after < 0


class FaultyFile:
    def __init__(self, files: FaultyFiles, real: FileHandle) -> None:
        self._files = files
        self._real = real

    def write(self, data: bytes, /) -> None:
        if self._files.step("write"):
            self._real.write(data[: len(data) // 2])
            raise OSError(self._files.error, "write refused")
        self._real.write(data)

    def sync(self) -> None:
        if self._files.step("sync"):
            raise OSError(self._files.error, "sync refused")
        self._real.sync()

    def size(self) -> int:
        return self._real.size()

    def close(self) -> None:
        self._real.close()
