"""Words that no identifier may have: images, words with two meanings, and names for a drawer of everything."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

import pytest

from tests.architecture.source_tree import Source, product_files, source

BANNED = frozenset(
    """
    doubt doubts suspect suspects seek stranger strangers orphan orphans parking parked park survey moment grace endings
    lineup binding carrier parcel ticket tickets nonsense oversight picture farewell pardon condemned promise tend vouch
    witness keeper pacer purse seat pulse image heard told hear unspent
    """.split()
)
DRAWERS = frozenset({"utils", "helpers", "helper", "manager", "base", "common", "misc"})
"""Words that no file, folder or class may have: they say nothing of what is inside."""
PUBLIC = {
    "reconcile_grace_ms": "a key of the configuration",
    "TICKET": "a level of alerts, as configurations and messages have it",
    "orphans": "a verb of the command line, a table of the ledger, a key of JSON",
    "framework/domain/tickets.py": "old public spelling of framework.domain.verdicts",
}
"""Identifiers and files that keep their name: users or written files have it, or everybody uses it -> why."""
_WORD = re.compile(r"base64|[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def words_of(identifier: str) -> list[str]:
    """The words of a name in snake_case or CamelCase, in small letters: `hand` is no word of `handler`."""
    return [word.lower() for word in _WORD.findall(identifier)]


def identifiers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of whatever a file gives a name to: definitions, parameters, variables, attributes, aliases."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=str(name)) | ast.FunctionDef(name=str(name)) | ast.AsyncFunctionDef(name=str(name)):
                yield node.lineno, name
            case ast.arg(arg=str(name)) | ast.Name(id=str(name), ctx=ast.Store()):
                yield node.lineno, name
            case ast.Attribute(attr=str(name), ctx=ast.Store()):
                yield node.lineno, name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, name
            case ast.alias(asname=str(name)):
                yield node.lineno, name


def banned_words(sources: Iterable[Source]) -> list[str]:
    """Each identifier with a banned word, as `file:line name`, and each file or folder, as `file`."""
    found: list[str] = []
    for one in sources:
        if one.name not in PUBLIC and any(
            _is_banned(part, BANNED | DRAWERS) for part in PurePosixPath(one.name).with_suffix("").parts
        ):
            found.append(one.name)
        found += [f"{one.name}:{line} {name}" for line, name in identifiers(one.tree) if _is_banned(name, BANNED)]
        classes = (node for node in ast.walk(one.tree) if isinstance(node, ast.ClassDef))
        found += [f"{one.name}:{node.lineno} {node.name}" for node in classes if _is_banned(node.name, DRAWERS)]
    return found


def _is_banned(name: str, words: frozenset[str]) -> bool:
    return name not in PUBLIC and not words.isdisjoint(words_of(name))


def test_words_when_names_are_walked_then_none_is_banned() -> None:
    found = banned_words(product_files())
    assert found == [], "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "def seek_order(): ...",
        "class BookPulse: ...",
        "class A:\n    PARKED_MAX = 1",
        "class A:\n    image: bytes",
        "def f(*, told_ns): ...",
        "f = lambda doubt: doubt",
        "self._heard_ns = 1",
        "for parcel in parcels: ...",
        "with f() as binding: ...",
        "from a import b as keeper",
        "if (grace := f()): ...",
        "try: ...\nexcept OSError as promise: ...",
        "match x:\n    case [1, seat]: ...",
        "UNSPENT = 1",
        "class OrderManager: ...",
    ],
)
def test_words_when_an_identifier_has_a_banned_one_then_it_is_reported(text: str) -> None:
    assert len(banned_words([source("risk/gate.py", text)])) == 1


@pytest.mark.parametrize("name", ["risk/utils.py", "framework/common/clock.py", "framework/state/order_parking.py"])
def test_words_when_a_file_or_folder_has_a_banned_one_then_it_is_reported(name: str) -> None:
    assert banned_words([source(name, "")]) == [name]


@pytest.mark.parametrize(
    "text",
    [
        "def parkings(): ...",
        "database = base = 1",
        "imagery = managers = 1",
        "x = lib.base.manager",
        "reconcile_grace_ms = base_url = to_base64 = 1",
        "def orphans(): ...",
        'x = "orphan"',
        "class HTTPSeated: ...",
    ],
)
def test_words_when_a_word_only_begins_like_one_or_is_public_then_nothing_is_reported(text: str) -> None:
    assert banned_words([source("framework/domain/tickets.py", text)]) == []


@pytest.mark.parametrize(
    ("identifier", "words"),
    [
        ("not_found_ns", ["not", "found", "ns"]),
        ("HTTPPool", ["http", "pool"]),
        ("_BookLiveness2", ["book", "liveness"]),
        ("PARKED_MAX", ["parked", "max"]),
    ],
)
def test_words_when_an_identifier_is_split_then_by_both_spellings(identifier: str, words: list[str]) -> None:
    assert words_of(identifier) == words
