"""The sizes that a reader can bear: of files, functions, folders and venues, and no file that is only a fragment."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

import pytest

from tests.architecture.source_tree import (
    INIT,
    ROOT,
    Function,
    Source,
    files_of_tests,
    functions,
    importers,
    product_files,
    source,
)

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 40
FUNCTION_LINES_P90_MAX = 14
FOLDER_FILES_MAX = 20
FRAGMENT_LINES = 60
"""A shorter file must have two importers, or stand in `ALONE`."""
CLIENT_LINES_MAX = 1_250
"""Of a venue's client: everything in its folder but the sandbox."""
ROOMS = {
    "connectors/kalshi": 3_350,
    "connectors/kalshi/sandbox": 3_450,
    "connectors/kalshi/sandbox/v1": 700,
    "connectors/kalshi/v1": 500,
}
"""Rooms of the first venue, for which the toolkit and the frame were taken out of it. What is in a room counts there
alone, so that a generation that nobody asks for any more goes with its rooms."""
ALONE = {
    "*/__main__.py": "started by its package's name",
    "connectors/*/plugin.py": "found by its name: what a venue declares",
    "connectors/*/settings.py": "found by its name: what a venue's table in the configuration may say",
    "connectors/*/sign.py": "a venue's role file: every venue has its signing in a file of this name",
    "connectors/*/mass_cancel.py": "a venue's role file: what ends its orders beside the daemon, found by its name",
    "connectors/*/limits.py": "a venue's role file: every venue has its rate limits in a file of this name",
    "connectors/*/dialect.py": "a venue's role file: every venue has its dialect in a file of this name",
    "framework/testing/conformance/cases/*.py": "cases of one subject, declared when their package is imported",
    "risk/checks/*.py": "one check, loaded by its name",
    "strategies/*.py": "one strategy, loaded by its name",
    "framework/cli/run.py": "loaded when its verb is used, so that help is quick",
    "framework/cli/guard.py": "loaded when its verb is used, so that help is quick",
    "framework/ops/healthcheck.py": "a program of its own, called by the container",
    "framework/control/healthcheck.py": "old public spelling, named in container files",
    "framework/practice.py": "old public spelling of framework.testing",
    "framework/plugins.py": "old public spelling of framework.config.plugins",
    "framework/domain/limits.py": "old public spelling of framework.domain.rate_limits",
    "framework/domain/refusals.py": "old public spelling of framework.domain.verdicts",
    "framework/domain/tickets.py": "old public spelling of framework.domain.verdicts",
}
"""Files that may be short and have one importer or none -> why."""


def long_files(sources: Iterable[Source]) -> list[str]:
    """Files over the limit, with their lines."""
    return [f"{one.name}: {one.lines}" for one in sources if one.lines > FILE_LINES_MAX]


def long_functions(sources: Iterable[Source]) -> list[str]:
    """Functions over the limit, with their lines."""
    return [
        f"{one.name}:{function.lineno} {function.name}: {length(function)}"
        for one in sources
        for function in functions(one.tree)
        if length(function) > FUNCTION_LINES_MAX
    ]


def length(function: Function) -> int:
    """Lines of a function, with signature and docstring."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def length_p90(sources: Iterable[Source]) -> int:
    """Nine of ten functions are not longer than this. Docstrings do not count: a good one must not cost anything."""
    lengths = sorted(
        length(function) - docstring_lines(function) for one in sources for function in functions(one.tree)
    )
    return lengths[len(lengths) * 9 // 10]


def docstring_lines(function: Function) -> int:
    """Lines of a function's docstring."""
    first = function.body[0]
    return 0 if ast.get_docstring(function) is None else (first.end_lineno or first.lineno) - first.lineno + 1


def full_folders(sources: Iterable[Source]) -> list[str]:
    """Folders over the limit, with the number of their files; `__init__.py` and old spellings do not count."""
    paths = [PurePosixPath(one.name) for one in sources if not ALONE.get(one.name, "").startswith("old public")]
    counts = Counter(path.parent.as_posix() for path in paths if path.name != INIT)
    return [f"{folder}: {count}" for folder, count in sorted(counts.items()) if count > FOLDER_FILES_MAX]


def fragments(sources: Iterable[Source]) -> list[str]:
    """Short files that one other file imports, or none."""
    sources = tuple(sources)
    known = importers(sources)
    return [
        f"{one.name}: {one.lines} lines, imported by {', '.join(sorted(known.get(one.module, ()))) or 'nobody'}"
        for one in sources
        if PurePosixPath(one.name).name != INIT
        and one.lines < FRAGMENT_LINES
        and len(known.get(one.module, ())) < 2
        and not any(fnmatchcase(one.name, pattern) for pattern in ALONE)
    ]


def lines_by_room(sources: Iterable[Source]) -> Counter[str]:
    """Lines of each room, and of the client of every other venue."""
    found: Counter[str] = Counter()
    for one in sources:
        parts = one.name.split("/")
        if parts[0] == "connectors" and len(parts) > 2:
            rooms = [room for room in ROOMS if one.name.startswith(f"{room}/")]
            found[max(rooms, key=len) if rooms else "/".join(parts[: 3 if parts[2] == "sandbox" else 2])] += one.lines
    return found


def overfull(sources: Iterable[Source], venues: Iterable[str]) -> list[str]:
    """Rooms over their limit, with their lines."""
    limits = {f"connectors/{name}": CLIENT_LINES_MAX for name in venues} | ROOMS
    counts = lines_by_room(sources)
    return [f"{room}: {counts[room]} of {limit}" for room, limit in limits.items() if counts[room] > limit]


def venues_of(sources: Iterable[Source]) -> set[str]:
    """The names of the folders that have a plugin.py."""
    paths = [one.name.split("/") for one in sources]
    return {parts[1] for parts in paths if parts[0] == "connectors" and parts[2:] == ["plugin.py"]}


def test_files_when_counted_then_none_is_longer_than_a_reader_bears() -> None:
    found = long_files([*product_files(), *files_of_tests()])
    assert found == [], "\n".join(found)


def test_files_when_one_is_too_long_then_it_is_reported() -> None:
    text = "x = 1\n" * FILE_LINES_MAX
    assert long_files([source("risk/a.py", text)]) == []
    assert long_files([source("tests/risk/test_a.py", text + "y = 2\n")]) == ["tests/risk/test_a.py: 501"]


def test_functions_when_counted_then_none_is_longer_than_a_screen() -> None:
    found = long_functions(product_files())
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("start", ["def f():", "class A:\n    async def f(self):", "def g():\n  def f():"])
def test_functions_when_one_is_too_long_then_it_is_reported(start: str) -> None:
    text = f"{start}\n" + "        x = 1\n" * (FUNCTION_LINES_MAX - 1)
    assert [line for line in long_functions([source("risk/a.py", text)]) if " f: " in line] == []
    assert [line for line in long_functions([source("risk/a.py", f"{text}        x = 2\n")]) if " f: 41" in line]


def test_functions_when_measured_then_nine_of_ten_are_short() -> None:
    assert length_p90(product_files()) <= FUNCTION_LINES_P90_MAX


def test_functions_when_two_of_ten_are_long_then_the_measure_says_so() -> None:
    short, long = "def f():\n    pass\n", "def g():\n" + "    x = 1\n" * FUNCTION_LINES_P90_MAX
    assert length_p90([source("risk/a.py", short * 10)]) == 2
    assert length_p90([source("risk/a.py", short * 8 + long * 2)]) == FUNCTION_LINES_P90_MAX + 1
    assert length_p90([source("risk/a.py", 'def h():\n    """One,\n\n    two."""\n    pass\n')]) == 2


def test_folders_when_counted_then_none_is_too_full() -> None:
    found = full_folders([*product_files(), *files_of_tests()])
    assert found == [], "\n".join(found)


def test_folders_when_one_is_too_full_then_it_is_reported() -> None:
    files = [source(f"risk/checks/a{number}.py", "") for number in range(FOLDER_FILES_MAX)]
    files.append(source("risk/checks/__init__.py", ""))
    assert full_folders(files) == []
    assert full_folders([*files, source("risk/checks/b.py", "")]) == ["risk/checks: 21"]


def test_files_when_short_then_each_has_two_importers_or_a_reason_to_stand_alone() -> None:
    found = fragments(product_files())
    assert found == [], "\n".join(found)


def test_files_when_one_is_a_fragment_then_it_is_reported() -> None:
    part, user = (
        source("framework/ops/part.py", "x = 1\n"),
        source("framework/ops/big.py", "import framework.ops.part\n" * 60),
    )
    assert fragments([part, user]) == ["framework/ops/part.py: 1 lines, imported by framework.ops.big"]
    other = source("framework/ops/other.py", "from framework.ops import part\n" * 60)
    assert [line for line in fragments([part, user, other]) if "part" in line] == []


def test_files_when_one_may_stand_alone_then_it_is_there() -> None:
    assert [name for name in ALONE if "*" not in name and not (ROOT / name).exists()] == []


def test_rooms_when_counted_then_no_client_and_no_generation_is_larger_than_its_room() -> None:
    files = tuple(product_files())
    assert {"kalshi", "zdex"} <= venues_of(files)
    assert all(lines_by_room(files)[room] for room in ROOMS)
    found = overfull(files, venues_of(files))
    assert found == [], "\n".join(found)


def test_rooms_when_one_is_too_full_then_it_is_reported_and_the_others_are_not() -> None:
    line = "x = 1\n"
    files = [
        source("connectors/tide/plugin.py", line * CLIENT_LINES_MAX),
        source("connectors/tide/sandbox/server.py", line * 9_000),
        source("connectors/kalshi/v1/writes.py", line * 501),
        source("connectors/kalshi/sandbox/v1/orders.py", line * 700),
    ]
    assert overfull(files, ["tide"]) == ["connectors/kalshi/v1: 501 of 500"]
    assert overfull([*files, source("connectors/tide/wire/encode.py", line)], ["tide"])[0].startswith(
        "connectors/tide:"
    )
