"""The tape: every kernel input that the journal does not hold, that is market data, for replay.

Losing a piece of tape costs a replay, never money. So nothing waits for it, nothing is synced, its size is bounded, and
when the disk is too slow events are dropped and counted. A segment is a magic of 16 bytes and frames of length u32 |
crc u32 | MessagePack array, little-endian.

Call order: `Tape.open`, then `record` as events come and `flush` ten times a second; `close` at the end. Reading:
`read_tape`, and `merge` with the journal's entries.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Iterator
from heapq import merge as merge_sorted
from pathlib import Path
from typing import NamedTuple, get_args
from zlib import crc32

import msgspec

from framework.domain.account_events import AccountEvent
from framework.domain.errors import TidegateError
from framework.domain.events import Event
from framework.domain.market_events import MarketEvent
from framework.domain.plausibility import UNREADABLE
from framework.persistence.journal.records import Entry
from framework.persistence.numbered_files import NumberedFiles
from framework.runtime.background import Worker
from framework.runtime.files import FileHandle, FileSystem

_FRAME = struct.Struct("<II")
_MAGIC = b"TIDETAPE\x01\x00\x00\x00\x00\x00\x00\x00"
_SEGMENTS = NumberedFiles("tape-", ".seg")
"""A segment of tape has the number of its first step."""
_FLUSH_AT = 512
_WRITE_MAX = 2_000
_ACCOUNT_EVENTS = get_args(AccountEvent)


class TapeSettings(msgspec.Struct, frozen=True, gc=False):
    """The tape's limits.

    `bytes_max` bytes for all segments together: the oldest ones are deleted to stay below it. `segment_bytes_max` bytes
    after which a new segment is begun. `pending_max` events may wait to be written; new ones are dropped beyond it.
    """

    bytes_max: int = 1024 * 1024 * 1024
    segment_bytes_max: int = 16 * 1024 * 1024
    pending_max: int = 100_000


class KernelInput(NamedTuple):
    """One input of the kernel: its step, and the wall and monotonic time that the step saw, in nanoseconds."""

    step: int
    now_ns: int
    monotonic_ns: int
    event: Event


class _TapeRecord(msgspec.Struct, frozen=True, gc=False, array_like=True):
    step: int
    now_ns: int
    monotonic_ns: int
    event: MarketEvent


class _TapeStep(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The step of a record, whatever version of the program wrote the rest of it."""

    step: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_TapeRecord).decode
_decode_step = msgspec.msgpack.Decoder(_TapeStep).decode
_UNWRITABLE = (TypeError, OverflowError, ValueError, RecursionError)


class Tape:
    """The writing side. `record` and `flush` belong to the event loop, the file to the worker, which `close` ends."""

    def __init__(self, files: FileSystem, directory: Path, worker: Worker, settings: TapeSettings) -> None:
        self._files = files
        self._directory = directory
        self._worker = worker
        self._settings = settings
        self._pending: deque[tuple[int, int, int, MarketEvent]] = deque()
        self._is_scheduled = False
        self._shed, self._unwritable = 0, 0
        self._handle: FileHandle | None = None
        self._size = 0
        self._sizes: dict[int, int] = {}
        self._last_step = 0

    def __repr__(self) -> str:
        return f"Tape(directory={str(self._directory)!r}, pending={len(self._pending)}, shed={self._shed})"

    @classmethod
    def open(cls, files: FileSystem, directory: Path, worker: Worker, settings: TapeSettings | None = None) -> Tape:
        """Go on after what is in the directory, in a new segment; the directory is made when it is missing.

        Segments at the end without a whole record are deleted. What this program does not know on the tape stays, and
        costs a replay only. Raises `OSError`.
        """
        tape = cls(files, directory, worker, settings or TapeSettings())
        files.make_directory(directory)
        firsts = _SEGMENTS.numbers(files, directory)
        # From the newest: a crash may leave segments that hold no whole record, and so no last step.
        while firsts and tape._last_step == 0:
            first = firsts.pop()
            data = files.read(directory / _SEGMENTS.name(first))
            tape._last_step = max(map(_step_of, _payloads(data)), default=0)
            if tape._last_step:
                tape._sizes[first] = len(data)
            else:
                files.remove(directory / _SEGMENTS.name(first))
        for first in firsts:
            tape._sizes[first] = files.size(directory / _SEGMENTS.name(first))
        return tape

    @property
    def last_step(self) -> int:
        """The last step that was on the tape when it was opened, 0 for none: count on after it and the journal's."""
        return self._last_step

    @property
    def shed_count(self) -> int:
        """How many events of this run were not recorded: too many were waiting to be written, or no record can hold
        them."""
        return self._shed + self._unwritable

    @property
    def trouble(self) -> str:
        """Why nothing is recorded any more, empty while it is. Only the next start goes on."""
        failure = self._worker.failure
        return "" if failure is None else f"tape: {self._directory}: {type(failure).__name__}: {failure}"

    def record(self, step: int, now_ns: int, monotonic_ns: int, event: MarketEvent) -> None:
        """Queue an event, or drop and count it when `pending_max` events wait. Times as in `KernelInput`."""
        pending = self._pending
        if len(pending) >= self._settings.pending_max:
            self._shed += 1
            return
        pending.append((step, now_ns, monotonic_ns, event))
        if len(pending) >= _FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Start the writing of what is queued; returns at once."""
        if self._pending and not self._is_scheduled:
            # Set before the worker may clear it: the job can be over when `submit` returns.
            self._is_scheduled = True
            if not self._worker.submit(self._write_pending):
                self._is_scheduled = False

    def close(self) -> None:
        """Close the worker, write the rest and close the file. Raises `OSError`."""
        self._worker.close()
        try:
            self._write_pending()
        finally:
            if self._handle is not None:
                self._handle.close()
                self._handle = None

    def _write_pending(self) -> None:
        # Cleared first: what is queued from here on either is seen below or asks for another turn.
        self._is_scheduled = False
        while self._pending:
            batch = [self._pending.popleft() for _ in range(min(len(self._pending), _WRITE_MAX))]
            payloads = self._encoded(batch)
            data = b"".join(_FRAME.pack(len(payload), crc32(payload)) + payload for payload in payloads)
            handle = self._segment(batch[0][0])
            handle.write(data)
            self._size += len(data)

    def _encoded(self, batch: list[tuple[int, int, int, MarketEvent]]) -> list[bytes]:
        try:
            return [_encode(item) for item in batch]
        except _UNWRITABLE:
            if len(batch) > 1:
                return [payload for item in batch for payload in self._encoded([item])]
            self._unwritable += 1
            return []

    def _segment(self, step: int) -> FileHandle:
        if self._handle is not None and self._size < self._settings.segment_bytes_max:
            return self._handle
        if self._handle is not None:
            self._handle.close()
            self._sizes[max(self._sizes)] = self._size
        self._prune()
        self._handle = self._files.open_append(self._directory / _SEGMENTS.name(step))
        self._size = len(_MAGIC)
        self._sizes[step] = self._size
        self._handle.write(_MAGIC)
        return self._handle

    def _prune(self) -> None:
        """Make room for one more segment."""
        room = self._settings.bytes_max - self._settings.segment_bytes_max
        while self._sizes and sum(self._sizes.values()) > room:
            oldest = min(self._sizes)
            self._files.remove(self._directory / _SEGMENTS.name(oldest))
            del self._sizes[oldest]


class TapeError(TidegateError):
    """A whole event on the tape can't be decoded: another version of the program wrote it."""


def read_tape(files: FileSystem, directory: Path) -> Iterator[KernelInput]:
    """Everything on the tape, by step. A torn segment ends at its last whole record; the next one goes on.

    Raises `TapeError` for an event that this program does not know and `OSError`.
    """
    firsts = _SEGMENTS.numbers(files, directory) if files.exists(directory) else []
    for first in firsts:
        for found in _records(files.read(directory / _SEGMENTS.name(first))):
            yield KernelInput(found.step, found.now_ns, found.monotonic_ns, found.event)


def inputs_of(entries: Iterable[Entry]) -> Iterator[KernelInput]:
    """The inputs among journal entries, in order. Left out is what the kernel or the recovery wrote: verdicts, epochs,
    checkpoints, snapshots."""
    for entry in entries:
        record = entry.record
        if isinstance(record.body, _ACCOUNT_EVENTS):
            yield KernelInput(record.step, record.now_ns, record.monotonic_ns, record.body)


def merge(entries: Iterable[Entry], tape: Iterable[KernelInput]) -> Iterator[KernelInput]:
    """Every input of the kernel in the order of its steps. A step that is missing was dropped or never written.

    Both must be in ascending order of steps. Raises what reading them raises.
    """
    return merge_sorted(inputs_of(entries), tape, key=lambda found: found.step)


def _records(data: bytes) -> Iterator[_TapeRecord]:
    for payload in _payloads(data):
        try:
            yield _decode(payload)
        except UNREADABLE as e:
            raise TapeError(f"tape: the event of step {_step_of(payload)} can't be decoded: {e}") from e


def _step_of(payload: bytes) -> int:
    """The step of a record; 0 where it says none."""
    try:
        return _decode_step(payload).step
    except UNREADABLE:
        return 0


def _payloads(data: bytes) -> Iterator[bytes]:
    position = len(_MAGIC)
    while data.startswith(_MAGIC) and position + _FRAME.size <= len(data):
        length, crc = _FRAME.unpack_from(data, position)
        payload = data[position + _FRAME.size : position + _FRAME.size + length]
        if len(payload) < length or crc32(payload) != crc:
            return
        yield payload
        position += _FRAME.size + length
