"""A disk in memory whose power can fail at any operation, and whose writes and syncs can be refused.

Modelled as the weakest disk that POSIX allows: data is durable after a sync of its file, a name after a sync of its
directory, a directory's own name after a sync of its parent. What is not synced may survive in whole, not at all, as
a prefix, with sectors of any age, or with a flipped bit, and each name on its own. A sync that was refused leaves its
data neither durable nor dirty: the next sync does not save it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import NamedTuple

SECTOR = 512
"""Bytes that the disk writes in one step."""


class Fate(Enum):
    """What a power failure does to everything that was not synced."""

    LOSE_ALL = "lose-all"
    KEEP_ALL = "keep-all"
    PREFIX = "prefix"
    """Of each file and directory, the first changes are kept, the last of them up to any byte."""
    TORN = "torn"
    """The files are as long as they were, but some unsynced sectors are old or zero."""
    REORDERED = "reordered"
    """Each sector, each length and each name is of any age since the last sync: later ones kept, earlier ones lost."""
    BIT_FLIP = "bit-flip"
    """Everything is kept, with one flipped bit in what was not synced."""


class Change(NamedTuple):
    """An unsynced change of a file: bytes at an offset, or (None) its end there. `is_doomed`: a refused sync had it."""

    offset: int
    data: bytes | None
    is_doomed: bool = False


class Node:
    """A file: its durable content, the changes since in order, and what a reader sees."""

    def __init__(self, durable: bytes = b"") -> None:
        self.durable = durable
        self.changes: list[Change] = []
        self.content = bytearray(durable)
        self.errors = 0

    def change(self, change: Change) -> None:
        """Change what a reader sees."""
        self.changes.append(change)
        _apply(self.content, change)

    def sync(self) -> None:
        """Make durable what no refused sync had."""
        durable = bytearray(self.durable)
        for change in self.changes:
            if not change.is_doomed:
                _apply(durable, change)
        self.durable = bytes(durable)
        self.changes = [change for change in self.changes if change.is_doomed]

    def doom(self) -> None:
        """A sync was refused: what was to be written now counts as clean, and is not. Whoever has the file open is
        told once, at his next sync, as Linux does since 4.13."""
        self.errors += 1
        self.changes = [change._replace(is_doomed=True) for change in self.changes]

    def survive(self, fate: Fate, rng: random.Random) -> bytes:
        """The content after the power came back."""
        if fate is Fate.LOSE_ALL or not self.changes:
            return self.durable
        if fate is Fate.PREFIX:
            return self._prefix(rng)
        if fate is Fate.TORN or fate is Fate.REORDERED:
            return self._sectors(rng, is_length_kept=fate is Fate.TORN)
        survived = bytearray(self._ages()[-1])
        if fate is Fate.BIT_FLIP:
            spans = [(start, start + len(data or b"")) for start, data, _ in self.changes]
            unsynced = [offset for start, end in spans for offset in range(start, min(end, len(survived)))]
            if unsynced:
                survived[rng.choice(unsynced)] ^= 1 << rng.randrange(8)
        return bytes(survived)

    def _ages(self) -> list[bytes]:
        content = bytearray(self.durable)
        ages = [self.durable]
        for change in self.changes:
            _apply(content, change)
            ages.append(bytes(content))
        return ages

    def _prefix(self, rng: random.Random) -> bytes:
        kept = rng.randrange(len(self.changes))
        content = bytearray(self._ages()[kept])
        offset, data, _ = self.changes[kept]
        if data is not None:
            _apply(content, Change(offset, data[: rng.randrange(len(data) + 1)]))
        return bytes(content)

    def _sectors(self, rng: random.Random, *, is_length_kept: bool) -> bytes:
        ages = self._ages()
        size = len(ages[-1] if is_length_kept else rng.choice(ages))
        survived = bytearray()
        for start in range(0, size, SECTOR):
            survived += rng.choice(ages)[start : start + SECTOR].ljust(SECTOR, b"\0")
        return bytes(survived[:size])


class NameChange(NamedTuple):
    """An unsynced change of a directory: names and what they lead to from now on (None: nothing)."""

    names: tuple[tuple[Path, Node | Directory | None], ...]


class Directory:
    """Something that has names in it."""


class Refusal(NamedTuple):
    """Operation number `at` raises `error`, and with `is_lasting` every later one too. A write leaves half behind."""

    at: int
    error: int
    is_lasting: bool


Names = dict[Path, Node | Directory]


def _ignore() -> None:
    """Watch nothing."""


class CrashFiles:
    """A `framework.runtime.files.FileSystem`. `watch` is called before every operation that changes something or
    syncs: `after_power_loss` is then the disk of a power failure at that point. `syncs` False: a disk that lies."""

    def __init__(self, names: Names | None = None, *, syncs: bool = True) -> None:
        self.names: Names = dict(names or {})
        self.durable_names: Names = dict(self.names)
        self.changes: dict[Path, list[NameChange]] = {}
        self.syncs = syncs
        self.operations = 0
        self.watch: Callable[[], None] = _ignore
        self.refusal: Refusal | None = None
        self.refused: list[str] = []

    def after_power_loss(self, fate: Fate, rng: random.Random) -> CrashFiles:
        """The disk as the next start finds it; this one stays as it is."""
        names = dict(self.durable_names)
        for changes in self.changes.values():
            for name, leads_to in _surviving_names(changes, fate, rng):
                if leads_to is None:
                    names.pop(name, None)
                else:
                    names[name] = leads_to
        return CrashFiles(
            {
                name: Node(node.survive(fate, rng)) if isinstance(node, Node) else node
                for name, node in names.items()
                if all(parent in names for parent in name.parents[:-1])
            },
            syncs=self.syncs,
        )

    def copy(self) -> CrashFiles:
        """The same disk, unsynced changes included: what a process that dies leaves to the next one."""
        pending = [leads_to for changes in self.changes.values() for one in changes for _, leads_to in one.names]
        twins: dict[int, Node | Directory] = {}
        for node in [*self.names.values(), *self.durable_names.values(), *pending]:
            if node is not None and id(node) not in twins:
                twins[id(node)] = _twin(node)
        other = CrashFiles({name: twins[id(node)] for name, node in self.names.items()}, syncs=self.syncs)
        other.durable_names = {name: twins[id(node)] for name, node in self.durable_names.items()}
        for directory, changes in self.changes.items():
            other.changes[directory] = [
                NameChange(tuple((name, twins[id(node)] if node else None) for name, node in one.names))
                for one in changes
            ]
        return other

    def step(self, operation: str, path: Path) -> bool:
        """Count an operation, let it be watched, and say whether it is refused."""
        self.watch()
        number, self.operations = self.operations, self.operations + 1
        refusal = self.refusal
        if refusal is None or number < refusal.at or (number > refusal.at and not refusal.is_lasting):
            return False
        self.refused.append(f"{operation} {path.name}")
        return True

    def proceed(self, operation: str, path: Path) -> None:
        """Count an operation. Raises `OSError` when it is refused."""
        if self.step(operation, path):
            raise self.error(operation)

    def error(self, operation: str) -> OSError:
        """What a refused operation raises."""
        return OSError(self.refusal.error if self.refusal else 0, f"{operation} refused")

    def make_directory(self, path: Path, /) -> None:
        """See `FileSystem`."""
        for directory in [*reversed(path.parents[:-1]), path]:
            if directory not in self.names:
                self.proceed("make_directory", directory)
                self._rename_to(directory.parent, ((directory, Directory()),))

    def list(self, directory: Path, /) -> list[str]:
        """See `FileSystem`."""
        return sorted(path.name for path in self.names if path.parent == directory)

    def exists(self, path: Path, /) -> bool:
        """See `FileSystem`."""
        return path in self.names

    def read(self, path: Path, /) -> bytes:
        """See `FileSystem`."""
        return bytes(self.node(path).content)

    def size(self, path: Path, /) -> int:
        """See `FileSystem`."""
        return len(self.node(path).content)

    def open_append(self, path: Path, /) -> CrashFile:
        """See `FileSystem`."""
        if path not in self.names:
            self._parent_of(path)
            self.proceed("create", path)
            self._rename_to(path.parent, ((path, Node()),))
        return CrashFile(self, path, self.node(path))

    def truncate(self, path: Path, size: int, /) -> None:
        """See `FileSystem`."""
        self.proceed("truncate", path)
        self.node(path).change(Change(size, None))

    def rename(self, old: Path, new: Path, /) -> None:
        """See `FileSystem`. Within one directory only."""
        self.proceed("rename", old)
        self._rename_to(old.parent, ((old, None), (new, self.node(old))))

    def remove(self, path: Path, /) -> None:
        """See `FileSystem`."""
        self.node(path)
        self.proceed("remove", path)
        self._rename_to(path.parent, ((path, None),))

    def sync_directory(self, path: Path, /) -> None:
        """See `FileSystem`."""
        self.proceed("sync_directory", path)
        if not self.syncs:
            return
        for change in self.changes.pop(path, []):
            for name, leads_to in change.names:
                if leads_to is None:
                    self.durable_names.pop(name, None)
                else:
                    self.durable_names[name] = leads_to

    def node(self, path: Path) -> Node:
        """The file of that name. Raises `FileNotFoundError`."""
        node = self.names.get(path)
        if not isinstance(node, Node):
            raise FileNotFoundError(path)
        return node

    def _parent_of(self, path: Path) -> None:
        if path.parent not in self.names:
            raise FileNotFoundError(path.parent)

    def _rename_to(self, directory: Path, names: tuple[tuple[Path, Node | Directory | None], ...]) -> None:
        self.changes.setdefault(directory, []).append(NameChange(names))
        for name, leads_to in names:
            if leads_to is None:
                self.names.pop(name, None)
            else:
                self.names[name] = leads_to


class CrashFile:
    """A `framework.runtime.files.FileHandle`."""

    def __init__(self, files: CrashFiles, path: Path, node: Node) -> None:
        self._files = files
        self._path = path
        self._node = node
        self._errors_seen = node.errors

    def write(self, data: bytes, /) -> None:
        """See `FileHandle`."""
        is_refused = self._files.step("write", self._path)
        written = data[: len(data) // 2] if is_refused else data
        self._node.change(Change(len(self._node.content), written))
        if is_refused:
            raise self._files.error("write")

    def sync(self) -> None:
        """See `FileHandle`."""
        if self._files.step("sync", self._path):
            self._node.doom()
        if self._node.errors != self._errors_seen:
            self._errors_seen = self._node.errors
            raise self._files.error("sync")
        if self._files.syncs:
            self._node.sync()

    def size(self) -> int:
        """See `FileHandle`."""
        return len(self._node.content)

    def close(self) -> None:
        """See `FileHandle`. Changes nothing on the disk."""


def _twin(node: Node | Directory) -> Node | Directory:
    if isinstance(node, Directory):
        return node
    twin = Node(node.durable)
    twin.content[:], twin.changes = node.content, list(node.changes)
    return twin


def _apply(content: bytearray, change: Change) -> None:
    if change.data is None:
        del content[change.offset :]
        return
    if len(content) < change.offset:
        content += bytes(change.offset - len(content))
    content[change.offset : change.offset + len(change.data)] = change.data


def _surviving_names(
    changes: list[NameChange], fate: Fate, rng: random.Random
) -> list[tuple[Path, Node | Directory | None]]:
    """The changed names of one directory that survive, in order."""
    if fate is Fate.LOSE_ALL:
        return []
    if fate is Fate.REORDERED:
        # Each name is of any age: the first so many of its own changes are kept.
        kept: dict[Path, int] = {}
        ages: dict[Path, int] = {}
        named = [change for group in changes for change in group.names]
        for name, _ in named:
            ages[name] = ages.get(name, 0) + 1
        kept = {name: rng.randrange(count + 1) for name, count in ages.items()}
        survived = []
        for name, leads_to in named:
            kept[name] -= 1
            if kept[name] >= 0:
                survived.append((name, leads_to))
        return survived
    count = len(changes) if fate is Fate.KEEP_ALL else rng.randrange(len(changes) + 1)
    return [change for group in changes[:count] for change in group.names]
