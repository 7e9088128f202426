"""Reading the journal on the disk: every segment is checked, and a torn tail is not taken for damage. Changes nothing.

A torn tail is what a crash leaves of records that were never acknowledged: it may be truncated. Damage is anything
else that can't be read: something durable is gone, so the journal fails closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from framework.domain.errors import JournalError
from framework.persistence.journal.records import Entry, decode_record
from framework.persistence.journal.segments import (
    FIRST_CHAIN,
    HEADER_SIZE,
    Frame,
    Header,
    SegmentScan,
    decode_header,
    frame_at,
    frames_after,
    is_misfit,
    payload_of,
    scan_segment,
    segment_name,
    segment_numbers,
)
from framework.runtime.files import FileSystem


class Cut(NamedTuple):
    """The torn tail of the last segment: `bytes_cut` bytes from `offset` on, whose first record was `first_number`.

    `offset` is 0 when the header was never finished: then the whole file goes.
    """

    file: str
    offset: int
    bytes_cut: int
    first_number: int


class Damage(NamedTuple):
    """A place where something that was durable can't be read: record `number` and maybe later ones.

    `offset` is in bytes within `file`, `what` says what is wrong there.
    """

    file: str
    offset: int
    number: int
    what: str

    def error(self, directory: Path) -> JournalError:
        """The error that stops a start, with the ways out for an operator."""
        return JournalError(
            f"journal: {directory / self.file} is damaged at offset {self.offset}, record {self.number}: {self.what}. "
            "Nothing is sent on a state that can't be proved. Run `tidegate journal verify` to see what is whole; then "
            "restore the file from a backup, or keep a copy and drop this record and all later ones with "
            f"`tidegate journal cut --after {self.number - 1}`: orders and fills after it come back from the venue as "
            "external orders, to be adopted with `tidegate external-orders`"
        )


class JournalScan(NamedTuple):
    """What the whole journal came to.

    `segments` are the first numbers of the segments that stay, ascending. `last` names the last good record (0: none)
    and its chain value. `cut` is the torn tail, None for none. `damages` are in the order of the files.
    """

    segments: tuple[int, ...]
    last: Header
    cut: Cut | None
    damages: tuple[Damage, ...]


class _Found(NamedTuple):
    """One segment: its last good record and chain value, or what is wrong. `chain` None: what follows is unchecked."""

    number: int
    chain: bytes | None
    cut: Cut | None = None
    damage: Damage | None = None


def scan_journal(files: FileSystem, directory: Path) -> JournalScan:
    """Read and check the whole journal; damage is reported, not raised.

    Raises `JournalError` for a segment of another format version, and `OSError`.
    """
    firsts = segment_numbers(files, directory)
    kept: list[int] = []
    damages: list[Damage] = []
    number = firsts[0] - 1 if firsts else 0
    chain: bytes | None = FIRST_CHAIN if number == 0 else None
    cut: Cut | None = None
    for first in firsts:
        data = files.read(directory / segment_name(first))
        found = _check_segment(
            data, first, Header(number, chain) if chain is not None else None, is_last=first == firsts[-1]
        )
        number, chain = found.number, found.chain
        cut = found.cut
        if found.damage is not None:
            damages.append(found.damage)
        if cut is None or cut.offset:
            kept.append(first)
    return JournalScan(tuple(kept), Header(number, chain or FIRST_CHAIN), cut, tuple(damages))


def hole_in(found: JournalScan, *, newest: int, whole: int) -> str:
    """Which records are missing before the first one or after the last, so that no state can be made of the rest.

    Empty when none are, or when there is damage, which says more. `newest` is the record number of the newest snapshot,
    `whole` that of the newest whole one; 0 for none.
    """
    first, last = found.segments[0] if found.segments else found.last.first_number + 1, found.last.first_number
    if found.damages:
        return ""
    if newest > last:
        return f"there is a snapshot of record {newest}, but the segments end with {last}: a segment was lost"
    if first > whole + 1:
        return f"records {whole + 1} to {first - 1} are missing and no whole snapshot covers them"
    return ""


def read_entries(files: FileSystem, directory: Path, *, first: int = 1, last: int | None = None) -> Iterator[Entry]:
    """The records from number `first` to `last` (None: to the end), in order; one file at a time is in memory.

    What comes after damage or a tear in a file is left out silently: `scan_journal` reports it. Raises
    `JournalError` for a whole record that this program can't decode, and `OSError`.
    """
    firsts = segment_numbers(files, directory)
    for begin, following in zip(firsts, [*firsts[1:], None], strict=False):
        if (following is not None and following <= first) or (last is not None and begin > last):
            continue
        yield from _entries_of(files.read(directory / segment_name(begin)), first, last)


def end_of(data: bytes, number: int) -> int | None:
    """The offset in bytes after record `number` in a segment, None when it is not there or can't be read."""
    return next((frame.end for frame in _whole_frames(data) if frame.number == number), None)


def _entries_of(data: bytes, first: int, last: int | None) -> Iterator[Entry]:
    for frame in _whole_frames(data):
        if last is not None and frame.number > last:
            return
        if frame.number >= first:
            yield decode_record(frame.number, payload_of(data, frame))


def _whole_frames(data: bytes) -> Iterator[Frame]:
    """The frames of a segment up to the first that is not whole, marks included."""
    position = HEADER_SIZE
    while position < len(data) and not isinstance(frame := frame_at(data, position), str):
        yield frame
        position = frame.end


def _check_segment(data: bytes, first: int, before: Header | None, *, is_last: bool) -> _Found:
    """Check one segment. `before` names the record before it and its chain value, None when neither is known."""
    file = segment_name(first)
    try:
        header = decode_header(data)
    except ValueError as e:
        raise JournalError(f"journal: {file}: {e}") from e
    # A header is durable before the first record: a last segment without one never held any.
    if header is None and is_last and len(data) <= HEADER_SIZE:
        return _Found(first - 1, before.chain if before else None, cut=Cut(file, 0, len(data), first))
    if header is None:
        return _Found(first - 1, None, damage=Damage(file, 0, first, "the segment's header is damaged"))
    misfit = _misplaced(header, first, before)
    if misfit:
        known = header.first_number - 1 if before is None else before.first_number
        missing = min(known + 1, header.first_number)
        return _Found(header.first_number - 1, None, damage=Damage(file, 0, missing, misfit))
    found = scan_segment(data, header)
    if not found.fault:
        return _Found(found.number, found.chain)
    damage = _damage(data, file, found, is_last=is_last)
    if damage is not None:
        return _Found(found.number, None, damage=damage)
    cut = Cut(file, found.end, len(data) - found.end, found.number + 1)
    return _Found(found.number, found.chain, cut=cut)


def _misplaced(header: Header, first: int, before: Header | None) -> str:
    if header.first_number != first:
        return f"its header says that it begins with record {header.first_number}, its name says {first}"
    if before is not None and before.first_number + 1 != first:
        return f"records {before.first_number + 1} to {first - 1} are missing: a segment was removed"
    if before is not None and before.chain != header.chain:
        return "it is not chained to the segment before it"
    return ""


def _damage(data: bytes, file: str, found: SegmentScan, *, is_last: bool) -> Damage | None:
    """The damage, if anything from the fault on was acknowledged; else None: the tail was torn."""
    number = found.number + 1
    if is_misfit(found.fault):
        return Damage(file, found.end, number, found.fault)
    if not is_last:
        return Damage(file, found.end, number, f"{found.fault}, and a later segment exists")
    later = tuple(frames_after(data, found.end))
    committed = max((frame.committed for frame in later), default=0)
    if committed >= number:
        what = f"{found.fault}, and a later frame says that {committed} records were durable"
        return Damage(file, found.end, number, what)
    if any(frame.number == number for frame in later):
        # What is broken held no record, so it is the mark of an orderly end, which was synced before anything followed.
        return Damage(file, found.end, number, f"{found.fault}, and record {number} is whole behind it")
    return None
