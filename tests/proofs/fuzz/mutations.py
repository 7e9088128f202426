"""Inputs for a decoder: what it is made for, spoiled in every way that a wire, a bug or an enemy can.

Bytes are flipped, cut, doubled and joined; of JSON, values are replaced by what hurts, members are dropped, doubled and
put elsewhere. Seeded: the same seed gives the same inputs.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

NASTY_TEXTS = (
    "",
    "NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "1e400",
    "-1",
    "-0.0001",
    "0.00000000000000000001",
    "9" * 30,
    "9223372036854775808",
    "1_000",
    "١٢",
    " 1",
    "1.",
    ".5",
    "+1",
    "0x10",
    "true",
    "\x00",
    "\ud800",
    "😀",
    "a" * 5_000,
    "2026-13-45T99:99:99Z",
    "../../etc",
    "' OR 1=1",
)
NASTY_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63) - 1,
    2**64,
    10**40,
    0.5,
    -0.0,
    1e308,
    [],
    {},
    [[]],
    [{}],
    {"": ""},
    [None] * 50,
)
DEPTH = 100_000


class Mutator:
    """Gives one spoiled input after the other, made of the seeds in `corpus`."""

    def __init__(self, corpus: Sequence[bytes], rng: random.Random) -> None:
        self._corpus = corpus
        self._rng = rng
        self._trees = [tree for tree in map(_tree_of, corpus) if tree is not None]
        self._byte_ways: tuple[Callable[[bytearray], None], ...] = (
            self._flip,
            self._cut,
            self._double,
            self._insert,
            self._join,
        )

    def next(self) -> bytes:
        """The next input: now and then a seed as it is, so that the good way is walked, too."""
        rng = self._rng
        draw = rng.random()
        if draw < 0.02:
            return rng.choice(self._corpus)
        if draw < 0.65 and self._trees:
            spoiled = _encoded(self._spoiled_tree(json.loads(json.dumps(rng.choice(self._trees)))))
            return spoiled if rng.random() < 0.9 else bytes(self._spoiled_bytes(spoiled))
        return bytes(self._spoiled_bytes(rng.choice(self._corpus)))

    def _spoiled_tree(self, tree: Any) -> Any:
        for _ in range(self._rng.choice((1, 1, 1, 2, 3))):
            tree = self._spoil(tree, 0)
        return tree

    def _spoil(self, node: Any, depth: int) -> Any:
        rng = self._rng
        if isinstance(node, dict) and node and (depth == 0 or rng.random() < 0.9):
            name = rng.choice(list(node))
            draw = rng.random()
            if draw < 0.08:
                del node[name]
            elif draw < 0.14:
                node[rng.choice(list(node))] = copy.deepcopy(node[name])
            else:
                node[name] = self._spoil(node[name], depth + 1)
            return node
        if isinstance(node, list) and node and rng.random() < 0.9:
            place = rng.randrange(len(node))
            draw = rng.random()
            if draw < 0.1:
                node.append(copy.deepcopy(node[place]))
            elif draw < 0.2:
                del node[place]
            else:
                node[place] = self._spoil(node[place], depth + 1)
            return node
        return self._nasty(node)

    def _nasty(self, node: Any) -> Any:
        rng = self._rng
        if isinstance(node, str) and rng.random() < 0.75:
            return rng.choice(NASTY_TEXTS) if rng.random() < 0.6 else self._nearly(node)
        if isinstance(node, int) and not isinstance(node, bool) and rng.random() < 0.5:
            return rng.choice((-node, node + 1, node * 10**12, node * 10**30, -(2**63), 2**63 - 1, float(node)))
        return copy.deepcopy(rng.choice(NASTY_VALUES))

    def _nearly(self, text: str) -> str:
        rng = self._rng
        ways = (text + "0", "-" + text, text[:-1], text + text, text.upper(), text.replace(".", ","), text + "\n")
        return rng.choice(ways)

    def _spoiled_bytes(self, data: bytes) -> bytearray:
        spoiled = bytearray(data)
        for _ in range(self._rng.choice((1, 1, 2, 4, 8))):
            if spoiled:
                self._rng.choice(self._byte_ways)(spoiled)
        return spoiled

    def _flip(self, data: bytearray) -> None:
        data[self._rng.randrange(len(data))] = self._rng.randrange(256)

    def _cut(self, data: bytearray) -> None:
        start = self._rng.randrange(len(data))
        del data[start : start + self._rng.randrange(1, 20)]

    def _double(self, data: bytearray) -> None:
        start = self._rng.randrange(len(data))
        data[start:start] = data[start : start + self._rng.randrange(1, 40)]

    def _insert(self, data: bytearray) -> None:
        piece = self._rng.choice((b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\x00", b"\xff", b"-", b"9" * 40))
        place = self._rng.randrange(len(data))
        data[place:place] = piece

    def _join(self, data: bytearray) -> None:
        other = self._rng.choice(self._corpus)
        data[self._rng.randrange(len(data)) :] = other[self._rng.randrange(len(other) + 1) :]


def deep() -> list[bytes]:
    """What nests so deeply that a recursive reader runs out of its stack."""
    return [b"[" * DEPTH, b'{"a":' * DEPTH, b"[" * DEPTH + b"]" * DEPTH, b'{"type":"fill","msg":' + b"[" * DEPTH]


def _tree_of(seed: bytes) -> Any:
    try:
        return json.loads(seed)
    except ValueError:
        return None


def _encoded(tree: Any) -> bytes:
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
