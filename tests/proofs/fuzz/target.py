"""What is fuzzed: a decoder with inputs that it is made for, and the errors by which it refuses."""

from __future__ import annotations

import gc
import random
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from framework.domain.loading import RECURSION_MAX
from tests.proofs.fuzz.mutations import Mutator, deep
from tests.proofs.fuzz.values import flaws

SHOWN_MAX = 5

Read = Callable[[bytes], Iterable[object]]
"""Reads one input and gives what it would let into the program."""


class Target(NamedTuple):
    """One decoder. `make` gives a fresh reader, `refusals` are the errors that mean a clean no."""

    name: str
    corpus: Sequence[bytes]
    make: Callable[[], Read]
    refusals: tuple[type[Exception], ...]


class Fuzzed(NamedTuple):
    """What came of it. `uncaught` and `wrong` show the first inputs, shortened."""

    inputs: int
    read: int
    refused: int
    uncaught: list[str]
    wrong: list[str]
    slowest_ms: float

    def as_json(self) -> dict[str, Any]:
        """The figures for people and programs."""
        return {**self._asdict(), "slowest_ms": round(self.slowest_ms, 2)}


def fuzz(target: Target, *, inputs: int, seed: int) -> Fuzzed:
    """Give the decoder so many inputs, and first what nests too deeply; the same seed gives the same inputs."""
    rng = random.Random(seed ^ zlib.crc32(target.name.encode()))
    mutator, read = Mutator(target.corpus, rng), target.make()
    counts, uncaught, wrong, slowest_ns = [0, 0], list[str](), list[str](), 0
    first = [*target.corpus, *deep()]
    # As the daemon keeps it, whatever a library of the tests has set.
    sys.setrecursionlimit(RECURSION_MAX)
    # A collection of the whole heap in the middle of an input is not the decoder's time.
    gc.collect()
    gc.freeze()
    for number in range(inputs + len(first)):
        data = first[number] if number < len(first) else mutator.next()
        # The time of this thread: what else the machine does is not the decoder's.
        started_ns = time.thread_time_ns()
        try:
            values = read(data)
        except target.refusals:
            counts[1] += 1
            values = ()
        except Exception as e:  # noqa: BLE001 - this is what is looked for
            uncaught.append(f"{type(e).__name__}: {str(e)[:100]} <- {data[:200]!r}")
            values = ()
        else:
            counts[0] += 1
        slowest_ns = max(slowest_ns, time.thread_time_ns() - started_ns)
        wrong += [f"{flaw} <- {data[:200]!r}" for flaw in flaws(list(values))][: SHOWN_MAX - len(wrong)]
    gc.unfreeze()
    return Fuzzed(inputs + len(first), *counts, uncaught[:SHOWN_MAX], wrong, slowest_ns / 1e6)
