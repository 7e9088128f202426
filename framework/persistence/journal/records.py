"""What the journal holds: one record per fact, encoded as a MessagePack array.

Tags and the order of fields are a written format: a new field comes last and has a default, and a renamed class keeps
its old name as `tag`, so that every journal that was ever written can be read.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from framework.domain.account_events import AccountEvent
from framework.domain.errors import JournalError
from framework.domain.plausibility import UNREADABLE
from framework.domain.verdicts import Approved, RefusalsCounted, Refused


class EpochTaken(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """A run began to write: its fencing epoch (C24), its instance, and which configuration (SHA-256) and which version
    of the program it is (C23). `ts_ns` is wall time. It is repeated after every snapshot."""

    epoch: int
    instance: str
    config_hash: str
    version: str
    ts_ns: int


class Checkpoint(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """The SHA-256 of the state after all records before this one: a fold of these must come to the same (I22).
    `version` is that of the canonical form in which it was computed."""

    digest: str
    version: int = 1


class SnapshotTaken(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """The state after record `number` is durable in a snapshot file whose content has this digest (BLAKE2b-256)."""

    number: int
    digest: str


Body = Approved | Refused | RefusalsCounted | AccountEvent | EpochTaken | Checkpoint | SnapshotTaken
"""What a record can hold: a verdict of the gate or a count of them, an event about orders and money, or a note of the
recovery."""


class Record(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One fact and the kernel step it belongs to; wall and monotonic time are those that the step saw, in nanoseconds.

    Every step has a number of its own, and at most one of its records is the input that began it.
    """

    step: int
    now_ns: int
    monotonic_ns: int
    body: Body


class Entry(NamedTuple):
    """A record with its number in the journal: 1, 2, … without a gap, over all runs."""

    number: int
    record: Record


encode_record = msgspec.msgpack.Encoder().encode
"""Encode a `Record`. Raises what msgspec raises for a value that MessagePack can't hold, as an integer over 64 bits."""

_decode = msgspec.msgpack.Decoder(Record).decode


def decode_record(number: int, payload: bytes) -> Entry:
    """The record with this number from its encoded bytes.

    Raises `JournalError` when they are not a record that this version of the program knows: the frame was whole, so
    another version wrote it.
    """
    try:
        return Entry(number, _decode(payload))
    except UNREADABLE as e:
        raise JournalError(
            f"journal: record {number} can't be decoded ({e}); it was written by another version of the program: start "
            "that one. The last EpochTaken that `tidegate journal dump` prints before this record names it"
        ) from e
