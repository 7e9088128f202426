"""Where journal records become files: encoding, framing, rotation, and the order of syncs that recovery relies on.

A segment is synced before the next one is created, and a new segment's header and name are durable before a record
goes into it. So every segment but the last is whole, and a last one that is shorter than its header never held one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from framework.domain.errors import JournalError
from framework.runtime.failpoints import reach
from framework.runtime.files import FileHandle, FileSystem
from framework.state.records import encode_record
from framework.state.segments import HEADER_SIZE, PAYLOAD_MAX, Header, encode_frame, encode_header

_PREFIX, _SUFFIX = "journal-", ".seg"


def segment_name(first_number: int) -> str:
    """The file name of the segment that begins with a record."""
    return f"{_PREFIX}{first_number:020d}{_SUFFIX}"


def segment_number(name: str) -> int | None:
    """The number of the first record of a segment, from its file name; None for other files."""
    digits = name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
    return int(digits) if name == f"{_PREFIX}{digits}{_SUFFIX}" and digits.isdigit() else None


def segment_numbers(files: FileSystem, directory: Path) -> list[int]:
    """The first numbers of the segments in a directory, ascending."""
    return sorted(number for name in files.list(directory) if (number := segment_number(name)) is not None)


class SegmentSink:
    """A `framework.runtime.disk_writer.Sink` on segments. Goes on after record `last_number`, whose chain is `chain`.

    `segment` is the first number of the segment to go on with, None to begin a new one. Used by one thread at a time.
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
        """See `Sink`."""
        return self._number

    def write(self, records: Sequence[object], committed: int, /) -> None:
        """See `Sink`. One write per call, so that a group is torn at most once."""
        # All of them first: a record that can't be encoded leaves file, number and chain as they are.
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
        """See `Sink`."""
        if self._handle is not None:
            self._handle.sync()

    def close(self, committed: int, /) -> None:
        """See `Sink`."""
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
