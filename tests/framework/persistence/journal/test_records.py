from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import msgspec
import pytest
from msgspec import inspect

from framework.domain.account_events import BalanceReport, StrategySaved
from framework.domain.errors import JournalError
from framework.persistence.journal.journal import Journal, Recovered
from framework.persistence.journal.records import Checkpoint, Record, decode_record
from framework.persistence.journal.scan import scan_journal
from framework.persistence.journal.segments import FIRST_CHAIN, PAYLOAD_MAX, Header, SegmentSink
from framework.runtime.background import InlineWorker
from framework.runtime.clock import SystemClock
from framework.runtime.disk_writer import Durability, InlineWriter, start_writer
from framework.runtime.files import RealFiles

FILES = RealFiles()
GOOD = Record(1, 2, 3, Checkpoint("good"))
TOO_LONG = Record(1, 2, 3, StrategySaved("s", bytes(PAYLOAD_MAX)))
TOO_BIG = Record(1, 2, 3, BalanceReport(venue="tide", currency="USD", amount=2**64, decimals=2, ts_recv=0))
NOT_TEXT = Record(1, 2, 3, Checkpoint("\ud800"))
FIXED = (
    inspect.BoolType,
    inspect.BytesType,
    inspect.EnumType,
    inspect.IntType,
    inspect.NoneType,
    inspect.StrType,
)


class Open(msgspec.Struct):
    field: int


class Loose(msgspec.Struct, frozen=True):
    numbers: list[int]
    inner: Open | None


def reopen(directory: Path) -> Recovered:
    journal, recovered = Journal.open(FILES, directory, start_writer=InlineWriter, worker=InlineWorker())
    journal.close()
    return recovered


def changeable(found: inspect.Type, path: str, seen: set[type]) -> list[str]:
    """The places in a type whose value can change after its birth."""
    if isinstance(found, FIXED):
        return []
    if isinstance(found, inspect.UnionType):
        return [place for kind in found.types for place in changeable(kind, path, seen)]
    if isinstance(found, inspect.VarTupleType):
        return changeable(found.item_type, f"{path}[]", seen)
    if isinstance(found, inspect.StructType) and found.cls.__struct_config__.frozen:
        if found.cls in seen:
            return []
        seen.add(found.cls)
        name = found.cls.__name__
        return [place for field in found.fields for place in changeable(field.type, f"{name}.{field.name}", seen)]
    return [path]


def test_record_when_queued_then_nothing_in_it_can_change_before_it_is_encoded() -> None:
    assert changeable(inspect.type_info(Record), "Record", set()) == []


def test_record_when_a_field_could_change_then_it_is_found() -> None:
    assert changeable(inspect.type_info(Loose), "Loose", set()) == ["Loose.numbers", "Loose.inner"]


@pytest.mark.parametrize("durability", list(Durability))
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (TOO_LONG, f"longer than {PAYLOAD_MAX}"),
        (TOO_BIG, r"can't be encoded \(OverflowError"),
        (NOT_TEXT, r"can't be encoded \(UnicodeEncodeError"),
    ],
    ids=["too long", "too big a number", "not text"],
)
async def test_journal_when_a_record_can_not_be_encoded_then_it_fails_and_says_why_to_all(
    tmp_path: Path, durability: Durability, bad: Record, reason: str
) -> None:
    journal, _ = Journal.open(
        FILES,
        tmp_path,
        start_writer=partial(start_writer, clock=SystemClock(), durability=durability),
        worker=InlineWorker(),
    )
    await asyncio.wait_for(journal.wait_durable(journal.append(GOOD)), 10)
    message = f"record 2 .*{reason}.*nothing leaves"

    with pytest.raises(JournalError, match=message):
        await asyncio.wait_for(journal.wait_durable(journal.append(bad)), 10)

    assert journal.durable_count == 1
    with pytest.raises(JournalError, match=message):
        journal.append(GOOD)
    with pytest.raises(JournalError, match=message):
        journal.close()
    assert [entry.record for entry in reopen(tmp_path).entries()] == [GOOD]


def test_sink_when_one_record_of_a_group_can_not_be_encoded_then_none_is_written_and_it_goes_on(
    tmp_path: Path,
) -> None:
    sink = SegmentSink(FILES, tmp_path, last=Header(0, FIRST_CHAIN), segment=None, segment_bytes_max=10_000)
    sink.write([GOOD], 0)
    with pytest.raises(JournalError, match="record 3 can't be encoded"):
        sink.write([GOOD, TOO_BIG, GOOD], 1)
    assert sink.last_number == 1

    sink.write([GOOD, GOOD], 1)
    sink.close(3)

    found = scan_journal(FILES, tmp_path)
    assert found.damages == ()
    assert found.last.first_number == 3


def test_checkpoint_when_it_says_no_version_then_it_is_of_the_first() -> None:
    old = msgspec.msgpack.encode([1, 2, 3, ["Checkpoint", "x"]])
    assert decode_record(1, old).record.body == Checkpoint("x", 1)
