"""What the journal holds: one record per fact, encoded as a MessagePack array."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from framework.domain.account_events import AccountEvent
from framework.domain.errors import JournalError
from framework.domain.verdicts import Approved, Refused


class EpochTaken(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """A daemon began to write: its fencing epoch, instance, configuration (SHA-256) and program version (C23)."""

    epoch: int
    instance: str
    config_hash: str
    version: str
    ts_ns: int


class Checkpoint(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """The digest of the state after every record before this one: a fold of the journal must end in the same."""

    digest: str


class SnapshotTaken(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """The state after record `number` is durable in a snapshot file whose content has this digest."""

    number: int
    digest: str


Body = Approved | Refused | AccountEvent | EpochTaken | Checkpoint | SnapshotTaken
"""What a record can say."""


class Record(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One fact and the kernel step it belongs to; the times are those that the step saw (nanoseconds).

    Every step has one number, and at most one of its records is the input that began it.
    """

    step: int
    now_ns: int
    monotonic_ns: int
    body: Body


class Entry(NamedTuple):
    """A record with its place in the journal: 1, 2, …"""

    number: int
    record: Record


encode_record = msgspec.msgpack.Encoder().encode
"""The bytes of a `Record`."""

_decode = msgspec.msgpack.Decoder(Record).decode


def decode_record(number: int, payload: bytes) -> Entry:
    """The record with this number. Raises `JournalError` when a whole payload is not a record of this program."""
    try:
        return Entry(number, _decode(payload))
    except msgspec.DecodeError as e:
        raise JournalError(
            f"journal: record {number} can't be decoded ({e}); it was written by another version of the program: start "
            "that one. The last EpochTaken that `tidegate journal dump` prints before this record names it"
        ) from e
