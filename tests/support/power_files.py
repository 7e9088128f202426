"""A file system in memory whose power can fail at any operation: unsynced writes are lost, torn, flipped, reordered."""

from __future__ import annotations

import random
from enum import Enum
from pathlib import Path


class PowerLoss(Exception):
    """The machine stopped here."""


class Fate(Enum):
    """What happens to everything unsynced."""

    LOST = "lost"
    KEPT = "kept"
    TORN = "torn"
    FLIPPED = "flipped"
    REORDERED = "reordered"


class Node:
    """A file: what is durable, and the writes since, each an offset and its bytes."""

    def __init__(self, durable: bytes = b"") -> None:
        self.durable = durable
        self.data = bytearray(durable)
        self.writes: list[tuple[int, bytes]] = []

    def survive(self, fate: Fate, rng: random.Random) -> bytes:
        """The content after the power came back."""
        if not self.writes or fate is Fate.LOST:
            return bytes(self.data) if fate is Fate.KEPT else self.durable
        if fate is Fate.TORN:
            unsynced = len(self.data) - len(self.durable)
            return bytes(self.data[: len(self.durable) + rng.randrange(unsynced + 1)])
        survived = bytearray(self.data)
        if fate is Fate.FLIPPED:
            survived[rng.randrange(len(self.durable), len(survived))] ^= 1 << rng.randrange(8)
        elif fate is Fate.REORDERED:
            offset, data = rng.choice(self.writes)
            survived[offset : offset + len(data)] = bytes(len(data))
        return bytes(survived)


class PowerFiles:
    """`power_fails_at` is the number of the operation that is not carried out; None = never."""

    def __init__(self, content: dict[Path, bytes] | None = None, *, syncs: bool = True) -> None:
        self.names = {path: Node(data) for path, data in (content or {}).items()}
        self.durable_names = dict(self.names)
        self.operations = 0
        self.power_fails_at: int | None = None
        self.syncs = syncs

    def after_power_loss(self, fate: Fate, rng: random.Random) -> PowerFiles:
        """The disk as the next start finds it."""
        lost = fate is Fate.LOST or (fate is not Fate.KEPT and rng.random() < 0.5)
        names = self.durable_names if lost else self.names
        return PowerFiles({path: node.survive(fate, rng) for path, node in names.items()}, syncs=self.syncs)

    def step(self) -> None:
        if self.operations == self.power_fails_at:
            raise PowerLoss
        self.operations += 1

    def make_directory(self, path: Path, /) -> None:
        self.step()

    def list(self, directory: Path, /) -> list[str]:
        return sorted(path.name for path in self.names if path.parent == directory)

    def exists(self, path: Path, /) -> bool:
        return path in self.names

    def read(self, path: Path, /) -> bytes:
        return bytes(self.names[path].data)

    def size(self, path: Path, /) -> int:
        return len(self.names[path].data)

    def open_append(self, path: Path, /) -> PowerFile:
        self.step()
        return PowerFile(self, self.names.setdefault(path, Node()))

    def truncate(self, path: Path, size: int, /) -> None:
        self.step()
        node = self.names[path]
        del node.data[size:]

    def rename(self, old: Path, new: Path, /) -> None:
        self.step()
        self.names[new] = self.names.pop(old)

    def remove(self, path: Path, /) -> None:
        self.step()
        del self.names[path]

    def sync_directory(self, path: Path, /) -> None:
        self.step()
        if self.syncs:
            self.durable_names = dict(self.names)


class PowerFile:
    def __init__(self, files: PowerFiles, node: Node) -> None:
        self._files = files
        self._node = node

    def write(self, data: bytes, /) -> None:
        self._files.step()
        self._node.writes.append((len(self._node.data), data))
        self._node.data += data

    def sync(self) -> None:
        self._files.step()
        if self._files.syncs:
            self._node.durable = bytes(self._node.data)
            self._node.writes.clear()

    def size(self) -> int:
        return len(self._node.data)

    def close(self) -> None:
        self._files.step()
