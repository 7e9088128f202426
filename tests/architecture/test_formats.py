"""What is written can be read by the next version: every format stands in a golden list, under tags and places, so that
classes and modules may be renamed and nothing that is written changes."""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec
import pytest

from framework.state.accounts import Accounts
from tests.architecture.formats import GOLDEN, collect, differences, read_golden
from tests.architecture.formats_walk import Walk


class Word(Enum):
    OPEN = "open"
    SHUT = "shut"


class Door(msgspec.Struct, tag="Door", array_like=True):
    room: str
    word: Word
    since_ns: int = 0


class Window(msgspec.Struct, tag=True, array_like=True):
    room: str


class House(msgspec.Struct, array_like=True):
    parts: list[Door | Window]


def walked(kind: Any) -> dict[str, dict[str, list[str]]]:
    walk = Walk()
    walk.add("house", kind)
    return {"structs": walk.structs, "words": walk.words}


def changes(door: type[msgspec.Struct]) -> list[str]:
    """What is said when `door` takes the place of `Door`."""
    house = msgspec.defstruct("Renamed", [("parts", list[door | Window])], array_like=True)  # type: ignore[valid-type]
    return differences(walked(House), walked(house))


def door(*fields: Any, tag: str | bool = "Door") -> type[msgspec.Struct]:
    return msgspec.defstruct("Gate", fields, tag=tag, array_like=True)


ROOM, WORD, SINCE = ("room", str), ("word", Word), ("since_ns", int, 0)


def test_formats_when_collected_then_they_are_those_of_the_golden_list() -> None:
    found = differences(read_golden(), collect())
    assert not found, "\n".join([f"{GOLDEN.name}: what is written or shown changed:", *found])


def test_snapshot_when_it_is_the_golden_list_s_then_it_is_read_and_has_its_digest() -> None:
    disk = read_golden()["disk"]
    accounts = Accounts.from_snapshot(bytes.fromhex(disk["snapshot of a session"][0]))
    assert [accounts.digest(1)] == disk["digest of a session"]


def test_struct_when_its_class_is_renamed_then_nothing_changed() -> None:
    assert changes(door(ROOM, WORD, SINCE)) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (door(WORD, ROOM, SINCE), ["structs: Door: the order changed, from `array, its tag first`, `room: str`"]),
        (door(ROOM, WORD), ["structs: Door: `since_ns: int (default)` is gone; a written format may only grow"]),
        (door(ROOM, ("lock", str), WORD, SINCE), ["structs: Door: `lock: str` came before the end; a written format"]),
        (door(("hall", str), WORD, SINCE), ["structs: Door: `room: str` became `hall: str`; a written format"]),
        (door(("room", int), WORD, SINCE), ["structs: Door: `room: str` became `room: int`; a written format"]),
        (door(ROOM, WORD, ("since_ns", int)), ["structs: Door: `since_ns: int (default)` became `since_ns: int`;"]),
        (
            door(ROOM, WORD, SINCE, tag=True),
            [
                'structs: Door is gone; a class may be renamed, its tag not: tag="Door"; a written format',
                "structs: Gate is new: write the list anew",
                "words: Door.word is gone",
                "words: Gate.word is new",
                "words: house.parts[]: `Gate` is new: write the list anew; `Door` is gone; a written word stays",
            ],
        ),
        (
            door(ROOM, WORD, SINCE, ("lock", str, "")),
            ["structs: Door: grew at the end by `lock: str (default)`"],
        ),
    ],
    ids=["order", "field gone", "field between", "renamed", "type", "default gone", "tag gone", "grown"],
)
def test_struct_when_its_layout_changes_then_it_is_said(changed: type[msgspec.Struct], said: list[str]) -> None:
    lines = changes(changed)
    assert [line[: len(start)] for line, start in zip(lines, said, strict=True)] == said


def test_struct_when_it_grows_without_a_default_then_it_is_said() -> None:
    wanted = walked(door(ROOM, ("lock", str)))
    assert differences(walked(door(ROOM)), wanted) == [
        "structs: Door: grew by `lock: str` without a default; a written format may only grow at the end, with defaults"
    ]


def test_enum_when_a_value_changes_then_it_is_said() -> None:
    other = Enum("Other", {"OPEN": "open", "SHUT": "closed"})
    assert changes(door(ROOM, ("word", other), SINCE)) == [
        "words: Door.word: `closed` is new: write the list anew; "
        "`shut` is gone; a written word stays, or its old spelling is still read"
    ]


def test_struct_when_its_tag_is_missing_then_it_is_said() -> None:
    plain = msgspec.defstruct("Door", [ROOM, WORD, SINCE], array_like=True)
    lines = differences(walked(Door), walked(plain))
    assert 'structs: Door is gone; a class may be renamed, its tag not: tag="Door"' in lines[0]
    assert "structs: house is new: write the list anew" in lines


def test_struct_when_another_has_its_tag_then_the_walk_says_so() -> None:
    walk = Walk()
    walk.add("house", Door)
    with pytest.raises(ValueError, match="one key, Door"):
        walk.add("shed", door(ROOM))


def test_section_when_a_line_changes_then_old_and_new_are_named() -> None:
    golden = {"ledger": {"fills": ["venue TEXT", "fee TEXT"], "voids": ["venue TEXT"]}, "http": {"/metrics 200": []}}
    now = {"ledger": {"fills": ["venue TEXT", "fees TEXT"]}, "http": {"/metrics 200": []}}
    assert differences(golden, now) == [
        "ledger: fills: `fee TEXT` became `fees TEXT`; a written format may only grow at the end, with defaults",
        "ledger: voids is gone; a written format may only grow at the end, with defaults",
    ]
