"""Snapshot files: the whole state after one record, so that a start need not fold the journal from its beginning.

A file is: magic 8 | version u16 | reserved 6 | record number u64 | length u64 | BLAKE2b-256 of number, length and
state | state, little-endian. It is written as a draft and renamed, so no start ever sees a half-written one. What the
state's bytes mean is not known here: see `framework.state.account_snapshot`.
"""

from __future__ import annotations

import struct
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from framework.domain.errors import JournalError
from framework.persistence.numbered_files import NumberedFiles
from framework.runtime.files import DRAFT_SUFFIX, FileSystem, write_atomically

SNAPSHOT_FILE_VERSION = 1
"""The version of the file's frame, not of the state in it."""
_MAGIC = b"TIDESNAP"
_HEADER = struct.Struct("<8sHHIQQ32s")
_COUNTS = struct.Struct("<QQ")


class SnapshotFile(NamedTuple):
    """The encoded state after record `number`: what a fold of the records 1 to `number` comes to."""

    number: int
    state: bytes


_SNAPSHOTS = NumberedFiles("snapshot-", ".state")
snapshot_name = _SNAPSHOTS.name
"""The file name of the snapshot of the state after record `number`."""
snapshot_numbers = _SNAPSHOTS.numbers
"""The record numbers of the snapshots in a directory, ascending, damaged ones too. Raises `OSError`."""


def snapshot_drafts(files: FileSystem, directory: Path) -> list[str]:
    """The names of half-written snapshots that a crash left in a directory. Raises `OSError`."""
    return [
        name
        for name in files.list(directory)
        if name.endswith(DRAFT_SUFFIX) and _SNAPSHOTS.number(name.removesuffix(DRAFT_SUFFIX)) is not None
    ]


def write_snapshot(files: FileSystem, directory: Path, snapshot: SnapshotFile) -> str:
    """Write a snapshot durably and return its digest in hexadecimal. Raises `OSError`; older snapshots stay as they
    are then."""
    digest = _digest(snapshot)
    header = _HEADER.pack(_MAGIC, SNAPSHOT_FILE_VERSION, 0, 0, snapshot.number, len(snapshot.state), digest)
    path, points = directory / snapshot_name(snapshot.number), ("snapshot-before-rename", "snapshot-after-rename")
    write_atomically(files, path, header + snapshot.state, points=points)
    return digest.hex()


def read_snapshot(files: FileSystem, directory: Path, number: int) -> SnapshotFile | None:
    """The snapshot of record `number`, None when its file is damaged.

    Raises `JournalError` for a whole file of another format version, and `OSError`.
    """
    path = directory / snapshot_name(number)
    data = files.read(path)
    if len(data) < _HEADER.size:
        return None
    magic, version, _, _, stored, length, digest = _HEADER.unpack_from(data)
    snapshot = SnapshotFile(stored, data[_HEADER.size :])
    if magic != _MAGIC or stored != number or length != len(snapshot.state) or digest != _digest(snapshot):
        return None
    if version != SNAPSHOT_FILE_VERSION:
        raise JournalError(
            f"journal: {path}: format version {version} is not {SNAPSHOT_FILE_VERSION}; read it with the program that "
            "wrote it. If there was none, the file is damaged: move it away (keep it), and the one before it is used"
        )
    return snapshot


def newest_snapshot(
    files: FileSystem, directory: Path, *, last: int | None = None
) -> tuple[SnapshotFile | None, tuple[str, ...]]:
    """The newest whole snapshot of a record up to `last` (None: of any), and the names of damaged ones that are newer.

    Raises `JournalError` for a whole file of another format version, and `OSError`.
    """
    damaged: list[str] = []
    for number in reversed(snapshot_numbers(files, directory)):
        if last is not None and number > last:
            continue
        snapshot = read_snapshot(files, directory, number)
        if snapshot is not None:
            return snapshot, tuple(damaged)
        damaged.append(snapshot_name(number))
    return None, tuple(damaged)


def _digest(snapshot: SnapshotFile) -> bytes:
    counts = _COUNTS.pack(snapshot.number, len(snapshot.state))
    return blake2b(counts + snapshot.state, digest_size=32).digest()
