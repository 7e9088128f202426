"""The daemon as a child of the proof: forked from a process that has imported everything, then `tidegate run`.

A fork instead of a fresh interpreter saves the imports, which are two thirds of a start; nothing else is shared: own
session, default signals, own log, no loop. What is tuned here makes rare things frequent (checkpoints, snapshots,
segments); what the daemon does is not touched, except by the mutant, which is there to be caught.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from framework.cli import main as cli
from framework.domain.errors import JournalError
from framework.domain.ports import Clock
from framework.persistence import recovery
from framework.persistence.journal import journal
from framework.runtime import failpoints
from framework.runtime.disk_writer import Durability, Sink, Writer, ignore, start_writer

MUTANTS = ("wire-before-journal",)
PR_SET_PDEATHSIG = 1
LATE_S = 0.05
CHECKPOINT_NS = 200_000_000
SNAPSHOT_RECORDS = 400
SEGMENT_BYTES_MAX = 32 * 1024
SNAPSHOTS_KEPT = 4


class Child(NamedTuple):
    """A running daemon: its process, and the wire on which it is told where to die."""

    pid: int
    wire: socket.socket

    def arm(self, point: str) -> None:
        """Have it die at a fail point; returns once it is armed."""
        self.wire.sendall(point.encode())
        self.wire.recv(1)


def start(arguments: Sequence[str], log: Path, *, point: str, mutant: str, records_share: float = 1.0) -> Child:
    """Fork a daemon; `point` is armed from its first instruction on (empty: none). `records_share`: how much it records
    in a life, compared with one at Kalshi."""
    ours, theirs = socket.socketpair()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        theirs.close()
        return Child(pid, ours)
    try:
        ours.close()
        _become_a_daemon(log)
        _tune(mutant, records_share)
        failpoints.arm(point)
        threading.Thread(target=_listen, args=(theirs,), daemon=True).start()
        code = cli.main(arguments)
    except BaseException:  # noqa: BLE001 - nothing of the parent may run in the child
        traceback.print_exc()
        code = 70
    sys.stderr.flush()
    os._exit(code)


def _become_a_daemon(log: Path) -> None:
    os.setsid()
    end_with_parent(signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for descriptor, path, flags in ((0, os.devnull, os.O_RDONLY), (1, log, os.O_WRONLY), (2, log, os.O_WRONLY)):
        opened = os.open(path, flags | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)


def end_with_parent(number: int) -> None:
    """Have this process get a signal when the one that forked it ends: nothing is left behind, whatever happens."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


def _listen(wire: socket.socket) -> None:
    while word := wire.recv(256):
        failpoints.arm(word.decode())
        wire.sendall(b".")


def _tune(mutant: str, records_share: float) -> None:
    recovery.CHECKPOINT_NS = CHECKPOINT_NS
    recovery.SNAPSHOT_RECORDS = round(SNAPSHOT_RECORDS * records_share)
    segment_bytes_max = round(SEGMENT_BYTES_MAX * records_share)
    settings = partial(journal.JournalSettings, segment_bytes_max=segment_bytes_max, snapshots_kept=SNAPSHOTS_KEPT)
    vars(journal)["JournalSettings"] = settings
    if mutant:
        vars(recovery)["start_writer"] = _start_late_writer


def _start_late_writer(
    sink: Sink, *, clock: Clock, durability: Durability, observe_sync_ns: Callable[[int], None] = ignore
) -> Writer:
    return LateWriter(start_writer(sink, clock=clock, durability=durability, observe_sync_ns=observe_sync_ns))


class LateWriter:
    """The mutant: says that a record is durable while it is still in memory, where it stays for 50 ms. Orders leave
    before their records. Lives in a running loop."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._count = writer.appended_count
        self._waiting: deque[object] = deque()

    def append(self, record: object, /) -> int:
        """See `Writer`."""
        self._count += 1
        self._waiting.append(record)
        asyncio.get_running_loop().call_later(LATE_S, self._write_one)
        return self._count

    @property
    def appended_count(self) -> int:
        """See `Writer`."""
        return self._count

    @property
    def durable_count(self) -> int:
        """See `Writer`."""
        return self._count

    @property
    def failure(self) -> JournalError | None:
        """See `Writer`."""
        return self._writer.failure

    async def wait_durable(self, number: int, /) -> None:
        """See `Writer`. That is the lie."""

    def close(self) -> None:
        """See `Writer`."""
        while self._waiting:
            self._write_one()
        self._writer.close()

    def _write_one(self) -> None:
        if self._waiting:
            self._writer.append(self._waiting.popleft())
