"""A public name means one thing: within a package, no two files define the same one."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

import pytest

from tests.architecture.source_tree import Source, product_files, source
from tests.architecture.test_venues import venues

SAME = {
    "main": "the start of a program; each program has one",
    "ROUTES": "a table of paths; each file of a REST face has one, and its server joins them",
}
"""Names that several files of a package may define -> why. A `TypeVar` may, too: it is no name of the product's."""


def definitions(tree: ast.Module) -> Iterator[str]:
    """Public names that a file defines at its top. An import is no definition, nor is `T = TypeVar("T")`."""
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names = [name]
            case ast.Assign(targets=targets) if not _is_type_variable(node.value):
                names = [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name)):
                names = [name]
            case _:
                names = []
        yield from (name for name in names if not name.startswith("_"))


def _is_type_variable(value: ast.expr) -> bool:
    return (
        isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in ("TypeVar", "ParamSpec")
    )


def package_of(name: str, venue_packages: Iterable[str]) -> str:
    """The package in which a file's public names must differ. A venue's sandbox is one of its own."""
    parts = PurePosixPath(name).parts
    if parts[0] != "connectors":
        return parts[0]
    is_sandbox_of_venue = ".".join(parts[:2]) in venue_packages and parts[2] == "sandbox"
    return "/".join(parts[: 3 if is_sandbox_of_venue else 2])


def shared_names(sources: Iterable[Source]) -> list[str]:
    """Each name that several files of a package define, with the files."""
    sources = tuple(sources)
    names = venues(sources)
    files: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for one in sources:
        package = package_of(one.name, names)
        for name in set(definitions(one.tree)) - SAME.keys():
            files[package, name].append(one.name)
    return [f"{name} in {', '.join(where)}" for (_, name), where in sorted(files.items()) if len(where) > 1]


def test_names_when_walked_then_each_is_defined_once_in_its_package() -> None:
    found = shared_names(product_files())
    assert found == [], "\n".join(found)


def _files(texts: Mapping[str, str]) -> list[Source]:
    return [source(name, text) for name, text in texts.items()]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("framework/ops/http.py", "framework/engine/bus.py"),
        ("connectors/transport/dial.py", "connectors/transport/http/pool.py"),
        ("connectors/sandbox/engine/model.py", "connectors/sandbox/engine/book.py"),
        ("connectors/tide/connector.py", "connectors/tide/wire/sign.py"),
        ("connectors/tide/sandbox/server.py", "connectors/tide/sandbox/rest/orders.py"),
    ],
)
def test_names_when_two_files_of_a_package_define_one_then_it_is_reported(first: str, second: str) -> None:
    found = shared_names(
        _files({"connectors/tide/plugin.py": "", first: "class Outcome: ...", second: "Outcome = int"})
    )
    assert found == [f"Outcome in {first}, {second}"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("framework/ops/http.py", "risk/gate.py"),
        ("connectors/transport/dial.py", "connectors/sandbox/engine/model.py"),
        ("connectors/tide/connector.py", "connectors/tide/sandbox/server.py"),
        ("connectors/tide/connector.py", "connectors/ebb/connector.py"),
    ],
)
def test_names_when_two_packages_define_one_then_nothing_is_reported(first: str, second: str) -> None:
    text = {first: "class Outcome: ...", second: "class Outcome: ..."}
    assert shared_names(_files({f"connectors/{name}/plugin.py": "" for name in ("tide", "ebb")} | text)) == []


@pytest.mark.parametrize(
    "text", ["from a import Outcome", "_x = 1", 'T = TypeVar("T")', "def main(): ...", "class A:\n    x = 1"]
)
def test_names_when_it_is_no_definition_or_may_be_the_same_then_nothing_is_reported(text: str) -> None:
    other = text.replace("class A", "class B")
    assert shared_names(_files({"risk/a.py": text, "risk/b.py": other})) == []


@pytest.mark.parametrize("text", ["X: int = 1", "X, Y = 1, 2", "async def X(): ...", "def X(): ..."])
def test_names_when_two_files_define_one_in_any_way_then_it_is_reported(text: str) -> None:
    assert shared_names(_files({"risk/a.py": text, "risk/b.py": "X = 1"})) == ["X in risk/a.py, risk/b.py"]
