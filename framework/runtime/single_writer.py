"""One daemon per state directory (C24): a lock that dies with its process, and a fencing epoch that only grows.

The lock keeps a second daemon on the same machine away. The epoch is in every client order id and in the journal, so
that two daemons that somehow both run can be told apart, and the older one sees that it is the older one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from pathlib import Path
from typing import NewType
from zlib import crc32

from framework.domain.errors import Fatal
from framework.runtime.files import FileSystem, RealFiles, write_atomically

Epoch = NewType("Epoch", int)
"""1 for the first daemon on a state directory, one more for each later one."""

_LOCK, _EPOCH = "lock", "epoch"


class StateInUse(Fatal):
    """Another daemon holds the state directory; the message names its process."""


class StateLock:
    """The right to write to a state directory. Held until `close` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def close(self) -> None:
        """Give the directory free. The second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def lock_state(directory: Path, files: FileSystem | None = None) -> StateLock:
    """Take the state directory, creating it for the owner alone, durably (`files` for tests).

    Raises `StateInUse` when a live process holds it, `Fatal` when it can't be created or written to.
    """
    return _lock(directory, _LOCK, f"state_dir: {directory}", files or RealFiles())


def lock_account(account: str, directory: Path | None = None) -> StateLock:
    """Take a venue account on this machine: two daemons with states of their own must not trade on one account.

    The lock lies in a folder of this user's beside other temporary files (`directory` for tests). Raises `StateInUse`
    when a live process holds it, `Fatal` when no lock can be made there. Daemons on other machines are not seen.
    """
    folder = directory or Path(tempfile.gettempdir()) / f"tidegate-accounts-{os.getuid()}"
    name = hashlib.sha256(account.encode()).hexdigest()[:32]
    return _lock(folder, f"{name}.lock", f"account {account}", RealFiles())


def take_epoch(files: FileSystem, directory: Path, *, at_least: int = 0) -> Epoch:
    """The next epoch, durable before it is returned: one more than the file's and than `at_least`, the highest that
    the journal knows. Hold the lock. Raises `Fatal` for a damaged file and `OSError`."""
    epoch = Epoch(max(read_epoch(files, directory), at_least) + 1)
    write_atomically(files, directory / _EPOCH, _encode(epoch), points=("epoch-before-rename", "epoch-after-rename"))
    return epoch


def read_epoch(files: FileSystem, directory: Path) -> Epoch:
    """The epoch last taken (0 = none yet). A daemon whose own epoch is lower must stop sending.

    Raises `Fatal` for a damaged file and `OSError`.
    """
    path = directory / _EPOCH
    if not files.exists(path):
        return Epoch(0)
    data = files.read(path)
    digits = data.split(b" ")[0]
    if not digits.isdigit() or data != _encode(Epoch(int(digits))):
        raise Fatal(
            f"epoch: {path} is damaged ({data[:32]!r}); run `tidegate journal dump` to find the highest epoch that was "
            "taken, then remove the file: the next start goes on from the journal"
        )
    return Epoch(int(digits))


def _encode(epoch: Epoch) -> bytes:
    digits = b"%d" % epoch
    return b"%s %08x\n" % (digits, crc32(digits))


def _lock(directory: Path, name: str, what: str, files: FileSystem) -> StateLock:
    try:
        _make_durably(files, directory)
        descriptor = os.open(directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise Fatal(f"{what} can't be used: {directory} ({e.strerror}); give a folder that this user may write") from e
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise StateInUse(
            f"{what} is in use by process {holder}; stop it, or give this daemon a state and an account of its own"
        ) from None
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    except OSError as e:
        os.close(descriptor)
        raise Fatal(f"{what} can't be used: {directory / name} ({e.strerror}); free or repair the disk") from e
    return StateLock(descriptor)


def _make_durably(files: FileSystem, directory: Path) -> None:
    """Make a directory and its missing parents with durable names: what is recorded in a folder whose own name a power
    failure forgets is lost with it."""
    if files.exists(directory):
        return
    _make_durably(files, directory.parent)
    files.make_directory(directory)
    files.sync_directory(directory.parent)
