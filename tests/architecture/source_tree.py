"""The source as the rules of this folder read it: parsed files, and who imports whom."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import TypeAlias

ROOT = Path(__file__).parents[2]
PACKAGES = ("framework", "strategies", "connectors", "risk")
INIT = "__init__.py"

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One file. `name` is its path below the root, with slashes."""

    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The file as parsed: when a rule first asks for it, since most of them only read the text of most files."""
        return ast.parse(self.text)

    @property
    def module(self) -> str:
        """The dotted name under which it is imported."""
        path = PurePosixPath(self.name)
        return ".".join(path.parent.parts if path.name == INIT else path.with_suffix("").parts)

    @property
    def lines(self) -> int:
        """How many lines it has."""
        return self.text.count("\n")


def source(name: str, text: str) -> Source:
    """A file that is given as text, as the controls of the rules use it."""
    return Source(name, text)


@cache
def product_files() -> tuple[Source, ...]:
    """Every file of the product."""
    return tuple(_read(PACKAGES))


@cache
def files_of_tests() -> tuple[Source, ...]:
    """Every file of the tests."""
    return tuple(_read(("tests",)))


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function and method, also those inside another."""
    return (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def calls(tree: ast.AST, name: str) -> list[int]:
    """The lines in which `name(…)` or `….name(…)` is called."""
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Call) and last_word_of(node.func) == name]


def last_word_of(node: ast.AST) -> str:
    """`C` of `C`, of `a.b.C` and of `C[…]`; empty for what has no name."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value):
            return last_word_of(value)
    return ""


def imports(tree: ast.AST) -> set[str]:
    """Dotted names that a file imports. `from a import b` may mean the module `a.b`, so it counts as `a` and `a.b`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def importers(sources: Iterable[Source]) -> Mapping[str, set[str]]:
    """Dotted name -> modules that import it."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for one in sources:
        for name in imports(one.tree):
            found[name].add(one.module)
    return found


def is_inside(module: str, package: str) -> bool:
    """Whether a dotted name is a package or something in it."""
    return module == package or module.startswith(f"{package}.")


def _read(folders: Iterable[str]) -> Iterator[Source]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield source(path.relative_to(ROOT).as_posix(), path.read_text())
