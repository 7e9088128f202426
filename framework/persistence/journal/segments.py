"""Journal segments: their bytes, their file names, and the sink that writes them.

A segment is a header and frames::

    header: magic 8 | version u16 | reserved 6 | first number u64 | chain 16 | crc u32
    frame:  magic 2 | crc u32 | length u32 | number u64 | committed u64 | chain 16 | payload

All integers are little-endian. The CRC covers everything of its part but the magic and itself. `chain` is
BLAKE2b-128 over the chain before it, number, committed and payload, so that a record can't be changed, removed or
inserted without breaking every later one; a header repeats the chain of the segment before it. `committed` says how
many records had been acknowledged as durable when the frame was written: it tells a torn tail (nothing from there on
was ever acknowledged) from damage (something was). A frame whose number is 0 is a mark: it holds no record, only
`committed`. The format is fixed: another one needs another `SEGMENT_VERSION`.

Recovery relies on the order of syncs: a segment is synced before the next one is created, and a new segment's header
and name are durable before a record goes into it. So every segment but the last is whole, and a last one that is
shorter than its header never held a record.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import msgspec

from framework.domain.errors import JournalError
from framework.persistence.journal.records import encode_record
from framework.persistence.numbered_files import NumberedFiles
from framework.runtime.failpoints import reach
from framework.runtime.files import FileHandle, FileSystem

SEGMENT_VERSION = 1
"""The version that every header states; a segment of another one is refused, never guessed at."""
CHAIN_SIZE = 16
"""Bytes of a chain value."""
FIRST_CHAIN = bytes(CHAIN_SIZE)
"""The chain value before the first record of a journal."""
PAYLOAD_MAX = 16 * 1024 * 1024
"""Longest payload in bytes; a longer length in a file is damage."""

_SEGMENT_MAGIC = b"TIDEGATE"
_HEADER = struct.Struct("<HHIQ16s")
_CRC = struct.Struct("<I")
HEADER_SIZE = len(_SEGMENT_MAGIC) + _HEADER.size + _CRC.size
FRAME_MAGIC = b"\xd7\x1d"
_FRAME = struct.Struct("<2sIIQQ16s")
_FRAME_TAIL = struct.Struct("<IQQ16s")
_COUNTS = struct.Struct("<QQ")
FRAME_OVERHEAD = _FRAME.size
_CHECKED_FROM = len(FRAME_MAGIC) + _CRC.size


class Header(NamedTuple):
    """A segment's header: the number of its first record and the chain value before that record."""

    first_number: int
    chain: bytes


class Frame(NamedTuple):
    """One frame as found in a file: `start` and `end` are its offsets in bytes, `number` is 0 for a mark."""

    number: int
    committed: int
    chain: bytes
    start: int
    end: int


class SegmentScan(NamedTuple):
    """What reading a segment found: good frames up to offset `end`, where `fault` lies (empty: the end of the file).

    `number` of the last good record, and `committed` and `chain` of the last good frame.
    """

    number: int
    committed: int
    chain: bytes
    end: int
    fault: str


def encode_header(header: Header) -> bytes:
    """The bytes of a segment's header, `HEADER_SIZE` of them."""
    body = _HEADER.pack(SEGMENT_VERSION, 0, 0, header.first_number, header.chain)
    return _SEGMENT_MAGIC + body + _CRC.pack(crc32(body))


def decode_header(data: bytes) -> Header | None:
    """The header at the beginning of a segment's bytes, None when it is incomplete or damaged.

    Raises `ValueError` for a whole header of another format version.
    """
    body = data[len(_SEGMENT_MAGIC) : HEADER_SIZE - _CRC.size]
    if len(data) < HEADER_SIZE or not data.startswith(_SEGMENT_MAGIC):
        return None
    if _CRC.unpack_from(data, HEADER_SIZE - _CRC.size)[0] != crc32(body):
        return None
    version, _, _, first_number, chain = _HEADER.unpack(body)
    if version != SEGMENT_VERSION:
        raise ValueError(f"format version {version} is not {SEGMENT_VERSION}; read it with the program that wrote it")
    return Header(first_number, chain)


def encode_frame(chain: bytes, number: int, committed: int, payload: bytes) -> tuple[bytes, bytes]:
    """The bytes of a frame, and its chain value, which the next frame takes as `chain`. `number` 0 makes a mark."""
    chain = blake2b(chain + _COUNTS.pack(number, committed) + payload, digest_size=CHAIN_SIZE).digest()
    checked = _FRAME_TAIL.pack(len(payload), number, committed, chain) + payload
    return FRAME_MAGIC + _CRC.pack(crc32(checked)) + checked, chain


def frame_at(data: bytes, start: int) -> Frame | str:
    """The whole frame at an offset, or the reason why there is none. Its place in the chain is not checked."""
    if len(data) - start < FRAME_OVERHEAD:
        return "incomplete frame"
    magic, crc, length, number, committed, chain = _FRAME.unpack_from(data, start)
    end = start + FRAME_OVERHEAD + length
    if magic != FRAME_MAGIC:
        return "no frame begins here"
    if length > PAYLOAD_MAX or end > len(data):
        return "incomplete frame"
    if crc32(memoryview(data)[start + _CHECKED_FROM : end]) != crc:
        return "checksum mismatch"
    return Frame(number, committed, chain, start, end)


def payload_of(data: bytes, frame: Frame) -> bytes:
    """The payload of a frame that was found in `data`: an encoded record, empty for a mark."""
    return data[frame.start + FRAME_OVERHEAD : frame.end]


def scan_segment(data: bytes, header: Header) -> SegmentScan:
    """Read every frame and check it, its number and its chain, up to the end of the file or the first fault."""
    position, number, committed, chain = HEADER_SIZE, header.first_number - 1, 0, header.chain
    size = len(data)
    while position < size:
        frame = frame_at(data, position)
        if isinstance(frame, str):
            return SegmentScan(number, committed, chain, position, frame)
        fault = _misfit(data, frame, number, chain)
        if fault:
            return SegmentScan(number, committed, chain, position, fault)
        number = frame.number or number
        position, committed, chain = frame.end, frame.committed, frame.chain
    return SegmentScan(number, committed, chain, position, "")


def is_misfit(fault: str) -> bool:
    """Whether a fault of `SegmentScan` can't be a torn write: the frame is whole, but does not belong where it is."""
    return fault.startswith("misfit")


def frames_after(data: bytes, start: int) -> Iterator[Frame]:
    """Every whole frame that begins at or after an offset, also behind damage. Places in the chain are not checked."""
    position = data.find(FRAME_MAGIC, start)
    while position >= 0:
        frame = frame_at(data, position)
        if isinstance(frame, str):
            position = data.find(FRAME_MAGIC, position + 1)
        else:
            yield frame
            position = data.find(FRAME_MAGIC, frame.end)


def _misfit(data: bytes, frame: Frame, number: int, chain: bytes) -> str:
    if frame.number not in (0, number + 1):
        return f"misfit: record {frame.number} stands where {number + 1} belongs"
    counts = _COUNTS.pack(frame.number, frame.committed)
    payload = memoryview(data)[frame.start + FRAME_OVERHEAD : frame.end]
    if blake2b(b"".join((chain, counts, payload)), digest_size=CHAIN_SIZE).digest() != frame.chain:
        return f"misfit: record {number + 1} is not chained to the one before it"
    return ""


_SEGMENTS = NumberedFiles("journal-", ".seg")
segment_name = _SEGMENTS.name
"""The file name of the segment whose first record has this number."""
segment_numbers = _SEGMENTS.numbers
"""The numbers of the segments' first records in a directory, ascending. Raises `OSError`."""


class SegmentSink:
    """Writes records into segments; a `framework.runtime.disk_writer.Sink`. Used by one thread at a time.

    `last` names the last record in the journal and its chain value. `segment` is the first number of the segment to
    append to, None to begin a new one. A segment of `segment_bytes_max` bytes or more is followed by a new one.
    """

    def __init__(
        self, files: FileSystem, directory: Path, *, last: Header, segment: int | None, segment_bytes_max: int
    ) -> None:
        self._files = files
        self._directory = directory
        self._number = last.first_number
        self._chain = last.chain
        # A segment without a record is never followed by another: both would have the same name.
        self._bytes_max = max(segment_bytes_max, HEADER_SIZE + 1)
        self._size = 0
        self._handle: FileHandle | None = None
        if segment is not None:
            self._handle = files.open_append(directory / segment_name(segment))
            self._size = self._handle.size()

    @property
    def last_number(self) -> int:
        """The number of the last record written, 0 for none; `write` counts on after it."""
        return self._number

    def write(self, records: Sequence[object], committed: int, /) -> None:
        """Append encoded `Record`s, all or none, as frames that state `committed`: how many records are durable so far.

        Raises `JournalError` for a record that can't be encoded or is longer than `PAYLOAD_MAX`; nothing is written
        then. Raises `OSError` when the disk refuses.
        """
        # All are encoded first: one that can't be leaves file, number and chain as they are. And one write for all of
        # them, so that a power failure tears a group at one place at most.
        payloads = [self._encode(record, position) for position, record in enumerate(records, 1)]
        frames = []
        if self._handle is None or self._size >= self._bytes_max:
            self._rotate()
        for payload in payloads:
            self._number += 1
            frame, self._chain = encode_frame(self._chain, self._number, committed, payload)
            frames.append(frame)
        self._write(b"".join(frames))

    def sync(self) -> None:
        """Make everything that was written durable. Raises `OSError`."""
        if self._handle is not None:
            self._handle.sync()

    def close(self, committed: int, /) -> None:
        """Append a mark that `committed` records were acknowledged, sync, and close the file. Raises `OSError`.

        The mark shows that the end is an orderly one: damage before it is never taken for a torn tail.
        """
        if self._handle is None:
            return
        mark, self._chain = encode_frame(self._chain, 0, committed, b"")
        self._write(mark)
        self._handle.sync()
        self._handle.close()
        self._handle = None

    def _encode(self, record: object, position: int) -> bytes:
        try:
            payload = encode_record(record)
        except (TypeError, ValueError, OverflowError, msgspec.EncodeError) as e:
            reason = f"can't be encoded ({type(e).__name__}: {e})"
        else:
            if len(payload) <= PAYLOAD_MAX:
                return payload
            reason = f"of {len(payload)} bytes is longer than {PAYLOAD_MAX}"
        raise JournalError(
            f"journal: record {self._number + position} {reason}; nothing leaves any more. Find what sends such an "
            "event, a strategy that saves its state or a venue, then start again"
        )

    def _write(self, data: bytes) -> None:
        if self._handle is None:
            raise OSError("no segment is open")
        self._handle.write(data)
        self._size += len(data)

    def _rotate(self) -> None:
        if self._handle is not None:
            self._handle.sync()
            self._handle.close()
        self._handle = self._files.open_append(self._directory / segment_name(self._number + 1))
        reach("segment-rotation")
        self._handle.write(encode_header(Header(self._number + 1, self._chain)))
        self._handle.sync()
        self._files.sync_directory(self._directory)
        self._size = HEADER_SIZE
