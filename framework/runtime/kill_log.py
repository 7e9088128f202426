"""The log of a kill: what a process beside the daemon asked of the venues, for the daemon to record.

Such a process can't write to the journal, which is the daemon's, and its requests must wait for no disk. So each has a
file of its own in the state directory, written before a request leaves and synced when there is time. The daemon reads
the files whose writer has ended, records in its journal what concerns its orders, and removes them.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from framework.runtime.files import DRAFT_SUFFIX, hand_to_owner

_PREFIX, _SUFFIX = "kill-", ".jsonl"


class KillRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line. The first one says who kills and why (`action` "kill"); then each request has one before it leaves
    ("cancel", of one order, or "cancel_all", of a market or, without `symbol`, of the account), and one more once there
    is an `outcome`. `ts_ns` is wall time."""

    ts_ns: int
    action: str
    venue: str = ""
    venue_order_id: str = ""
    client_order_id: str = ""
    symbol: str = ""
    outcome: str = ""
    by: str = ""
    reason: str = ""


class KillLog:
    """One process's own log. It is the writer's as long as that lives."""

    def __init__(self, directory: Path, *, now_ns: int) -> None:
        """Make the file in the state directory. Raises `OSError`."""
        path = directory / f"{_PREFIX}{now_ns}-{os.getpid()}{_SUFFIX}"
        draft = path.with_name(path.name + DRAFT_SUFFIX)
        self._descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        # Under its name only once it is locked: the daemon would take it for that of a process that has ended.
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        hand_to_owner(draft)
        os.rename(draft, path)

    def write(self, *records: KillRecord) -> None:
        """Append them. They survive the end of this process, and after `sync` a power failure. Raises `OSError`."""
        os.write(self._descriptor, b"".join(msgspec.json.encode(one) + b"\n" for one in records))

    def sync(self) -> None:
        """Make what was written durable; may take as long as the disk likes. Raises `OSError`."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Give the file to the daemon."""
        os.close(self._descriptor)


def finished_logs(directory: Path) -> Iterator[tuple[Path, list[KillRecord]]]:
    """The logs whose writers have ended, the oldest first, with their records; a line that was not finished is left
    out. Raises `OSError`."""
    for path in sorted(directory.glob(f"{_PREFIX}*{_SUFFIX}")):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            yield path, list(_records(path.read_bytes()))
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)


def _records(data: bytes) -> Iterator[KillRecord]:
    for line in data.splitlines():
        try:
            yield msgspec.json.decode(line, type=KillRecord)
        except msgspec.DecodeError:
            continue
