"""Whose a state directory is: one daemon's, one account's per venue, and of real accounts or of sandboxes, never both.

* The lock keeps a second daemon on this machine away, and ends with its process (C24). The epoch only grows, and is in
  every client order id and in the journal: should two daemons run after all, they can be told apart, and the older one
  stops sending.
* The file `accounts` says to which account each venue name of the journal belongs. A journal that went on with another
  account would look for its open orders where they never were, find none, and take them for ended.
* A mark says that the records are an embedded sandbox's. A sandbox begins anew with each daemon and gives out its names
  of instruments and orders again, so the records of the one before are moved to `past`. Those of an account are never
  moved, and never continued with a sandbox's.

Accounts and mark lie in the journal's folder, so that they are moved and copied with it.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NewType
from zlib import crc32

import msgspec

from framework.domain.errors import ConfigurationError, Fatal
from framework.runtime.background import run_detached
from framework.runtime.files import FileSystem, RealFiles, write_atomically

Epoch = NewType("Epoch", int)
"""1 for the first daemon on a state directory, one more for each later one."""

JOURNAL_NAME, LEDGER_NAME, ALERTS_NAME = "journal", "ledger.sqlite3", "alerts.json"
"""Where the journal's folder, the ledger's file and that of the alerts lie in a state directory."""

RECORDS = (JOURNAL_NAME, "tape", LEDGER_NAME, f"{LEDGER_NAME}-wal", f"{LEDGER_NAME}-shm", ALERTS_NAME)
"""Everything that belongs to one account or one sandbox; lock and epoch are the directory's own."""

ACCOUNTS, PAST = "accounts", "past"

PARTS = {"journal": JOURNAL_NAME, "tape": "tape", "ledger": f"{LEDGER_NAME}*", "log": "log.jsonl*", "past": PAST}
"""What takes room in a state directory, by the name that people are shown: a pattern of the names in it."""

MEASURE_S = 10
"""How often a running daemon measures its state directory, in seconds."""

_LOCK, _EPOCH, _MARK = "lock", "epoch", "of-an-embedded-sandbox"
_OWN_FOLDER = "give each a folder of its own: --state-dir DIR, or state_dir in the configuration"


class StateInUse(Fatal):
    """Another daemon holds the state directory or the account; the message names its process."""


class StateLock:
    """The right to write to a state directory, or to trade on an account: held until `close` or the end of the
    process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def close(self) -> None:
        """Give the lock back: another process may take it at once. The second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def lock_state(directory: Path, files: FileSystem | None = None) -> StateLock:
    """Take the state directory, creating it for the owner alone, durably (`files` for tests).

    Raises `StateInUse` when a live process holds it, `Fatal` when it can't be created or written to.
    """
    return _lock(directory, _LOCK, f"state_dir: {directory}", files or RealFiles())


def is_in_use(directory: Path) -> bool:
    """Whether a live daemon holds the state directory. Takes nothing, and makes nothing."""
    try:
        descriptor = os.open(directory / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


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


def bind_account(files: FileSystem, journal: Path, venue: str, account: str) -> None:
    """Let the journal's records of `venue` be those of `account` from now on, durably: the first use decides.

    Call it before anything is asked of the account; hold the state directory's lock. Raises `ConfigurationError`, with
    nothing changed, when they are another account's, and `OSError`.
    """
    bound = refuse_other_account(files, journal, venue, account)
    if venue not in bound:
        rows = msgspec.json.format(msgspec.json.encode({**bound, venue: account}, order="sorted"), indent=2)
        write_atomically(files, journal / ACCOUNTS, rows + b"\n")


def refuse_other_account(files: FileSystem, journal: Path, venue: str, account: str) -> dict[str, str]:
    """The account of each venue whose records the journal holds, by venue.

    Raises `ConfigurationError` when the records of `venue` are another account's, or when the file that says so can't
    be read, and `OSError`.
    """
    path = journal / ACCOUNTS
    try:
        bound = msgspec.json.decode(files.read(path), type=dict[str, str]) if files.exists(path) else {}
    except msgspec.DecodeError as e:
        raise ConfigurationError(
            f"state_dir: {path} is damaged ({e}): it says to which account each venue's records belong. Make sure that "
            "the configuration names those accounts, then remove the file: the next start writes it again"
        ) from e
    known = bound.get(venue, account)
    if known != account:
        raise ConfigurationError(
            f'venues.{venue}: the records in {journal} are of the account "{known}", the configuration names '
            f'"{account}": the one never had the orders and positions of the other. Give each account a folder of its '
            "own: --state-dir DIR, or state_dir in the configuration. If it is the same account under a new key or "
            f"address, write that into {path}"
        )
    return bound


def set_aside(directory: Path) -> Path | None:
    """Move the records of the last sandbox to `directory/past`, over those of the one before, and begin a journal that
    is marked as a sandbox's. Return where they are now, or None when there were none.

    The epoch stays, so that no client order id comes twice. Hold the directory's lock. May be interrupted and
    repeated. Raises `ConfigurationError`, with nothing touched, when
    the records are a venue account's, and `Fatal` when the disk refuses something.
    """
    try:
        return _set_aside(directory)
    except OSError as e:
        raise Fatal(f"state_dir: {directory} can't be read or written ({e}); check the disk and rights") from e


def _set_aside(directory: Path) -> Path | None:
    journal, past = directory / JOURNAL_NAME, directory / PAST
    refuse_account_records(directory)
    found = [directory / name for name in RECORDS if (directory / name).exists()]
    if journal.exists():
        # Where it is missing, an interrupted call has moved it already: then `past` holds the newest, and is kept.
        shutil.rmtree(past, ignore_errors=True)
    for path in found:
        past.mkdir(mode=0o700, exist_ok=True)
        path.rename(past / path.name)
    files = RealFiles()
    files.make_directory(journal)
    write_atomically(files, journal / _MARK, b"")
    return past if found else None


def refuse_unusable(directory: Path, *, key: str) -> None:
    """Look whether the folder that the setting `key` names can be made or written to, and make nothing.

    Raises `ConfigurationError` when this user can't. What only a write shows, such as a full disk, is not seen.
    """
    nearest = next(place for place in (directory, *directory.absolute().parents) if os.path.exists(place))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        why = "is not writable" if nearest.is_dir() else "is a file"
        raise ConfigurationError(
            f"{key}: {directory} can't be used: {nearest} {why}; give a folder that this user may write"
        )


def refuse_account_records(directory: Path) -> None:
    """Keep embedded sandboxes off a venue account's records. Raises `ConfigurationError` when they are one's."""
    if _holds_records(directory / JOURNAL_NAME) and not _is_marked(directory / JOURNAL_NAME):
        raise ConfigurationError(
            f"state_dir: {directory} holds the records of a venue's account, and every venue here is an embedded "
            f"sandbox, which begins anew; {_OWN_FOLDER}"
        )


def refuse_sandbox_records(directory: Path) -> None:
    """Keep a venue's account off an embedded sandbox's records: it never had their orders and positions.

    Raises `ConfigurationError` when the records are a sandbox's.
    """
    if _holds_records(directory / JOURNAL_NAME) and _is_marked(directory / JOURNAL_NAME):
        raise ConfigurationError(
            f"state_dir: {directory} holds the records of an embedded sandbox, whose orders and positions exist at no "
            f"venue; {_OWN_FOLDER}"
        )


def part_bytes(directory: Path) -> dict[str, int]:
    """Bytes on the disk of each of `PARTS`, 0 for what is not there. What goes away meanwhile is left out."""
    return {
        name: sum(_file_bytes(path) for root in directory.glob(pattern) for path in (root, *root.rglob("*")))
        for name, pattern in PARTS.items()
    }


class DiskUsage:
    """How much room a state directory takes, by part, and how much is free, in bytes. Measured every few seconds by
    `run`, in a thread: a disk that hangs must hold neither the event loop nor the end of the process. Before the first
    time no part is known, and `free_bytes` is None."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.part_bytes: Mapping[str, int] = {}
        self.free_bytes: int | None = None

    async def run(self) -> None:
        """Measure until cancelled; what can't be read keeps its last value."""
        while True:
            with suppress(OSError):
                self.part_bytes, self.free_bytes = await run_detached(self._measure, name="disk usage")
            await asyncio.sleep(MEASURE_S)

    def _measure(self) -> tuple[Mapping[str, int], int]:
        return part_bytes(self._directory), shutil.disk_usage(self._directory).free


def _file_bytes(path: Path) -> int:
    try:
        found = path.stat()
    except OSError:
        return 0  # removed since it was listed, as old segments are
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _holds_records(journal: Path) -> bool:
    return journal.is_dir() and any(path.name != _MARK and path.suffix != ".tmp" for path in journal.iterdir())


def _is_marked(journal: Path) -> bool:
    return (journal / _MARK).exists()


def _encode(epoch: Epoch) -> bytes:
    digits = b"%d" % epoch
    return b"%s %08x\n" % (digits, crc32(digits))


def _lock(directory: Path, name: str, what: str, files: FileSystem) -> StateLock:
    try:
        _make_durably(files, directory)
        descriptor = os.open(directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise Fatal(f"{what} can't be used: {directory} ({e.strerror}); give a folder that this user may write") from e
    # A lock of the system, not a file that says "locked": it ends with the process, so a crash leaves nothing stale.
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
    """Make a directory and its missing parents, each name durable: records in a folder whose name a power failure loses
    are lost with it."""
    if files.exists(directory):
        return
    _make_durably(files, directory.parent)
    files.make_directory(directory)
    files.sync_directory(directory.parent)
