"""Every public class, function and module says what it is, and which errors of its own a caller must expect."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import pytest

from tests.architecture.source_tree import Function, Source, last_word_of, product_files, source

WORDS_MIN = 4
_SEE_ONLY = re.compile(r"See [^.]*(\.\w[^.]*)*\.?")
_PARTS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

DEFECTS = {"AssertionError"}
"""Errors that no caller must expect: only a defect of the program raises them."""
INIT = "__init__"

Named: TypeAlias = Function | ast.ClassDef
Owner: TypeAlias = ast.Module | ast.ClassDef


def missing(sources: Iterable[Source]) -> list[str]:
    """What is public and has no docstring."""
    sources = tuple(sources)
    found = [one.name for one in sources if one.text.strip() and ast.get_docstring(one.tree) is None]
    return found + [where for where, node in public_names(sources) if ast.get_docstring(node) is None]


def short(sources: Iterable[Source]) -> list[str]:
    """Docstrings of fewer words than say something."""
    return [f"{where}: {text}" for where, text in _docstrings(sources) if len(text.split()) < WORDS_MIN]


def see_only(sources: Iterable[Source]) -> list[str]:
    """Docstrings that only send the reader somewhere else."""
    return [f"{where}: {text}" for where, text in _docstrings(sources) if _SEE_ONLY.fullmatch(" ".join(text.split()))]


def unsaid_errors(sources: Iterable[Source]) -> list[str]:
    """Public functions that raise an error of their own, of which their docstring does not say "Raises" and its name.

    What a constructor raises may stand in the docstring of its class.
    """
    return [
        f"{where}: {name}"
        for one in sources
        for where, node, owner in _public(one.name, one.tree, "")
        if not isinstance(node, ast.ClassDef)
        for name in sorted(_raised(node.body) - DEFECTS)
        if not any(_says_raises(text, name) for text in _texts(node, owner))
    ]


def public_names(sources: Iterable[Source]) -> Iterator[tuple[str, Named]]:
    """Place and node of public classes, functions and methods."""
    for one in sources:
        yield from ((where, node) for where, node, _ in _public(one.name, one.tree, "") if node.name != INIT)


def _public(name: str, parent: Owner, prefix: str) -> Iterator[tuple[str, Named, Owner]]:
    """Also constructors."""
    for node in parent.body:
        if not isinstance(node, _PARTS) or _is_setter(node):
            continue
        if not node.name.startswith("_") or node.name == INIT:
            yield f"{name}:{node.lineno} {prefix}{node.name}", node, parent
            if isinstance(node, ast.ClassDef):
                yield from _public(name, node, f"{prefix}{node.name}.")


def _texts(node: Named, owner: Owner) -> Iterator[str]:
    yield ast.get_docstring(node) or ""
    if node.name == INIT:
        yield ast.get_docstring(owner) or ""


def _is_setter(node: Named) -> bool:
    """Whether it is the second half of a property, or a spelling for the type checker: the other half says it."""
    return any(last_word_of(one) in ("setter", "overload") for one in node.decorator_list)


def _docstrings(sources: Iterable[Source]) -> Iterator[tuple[str, str]]:
    sources = tuple(sources)
    texts = [(one.name, ast.get_docstring(one.tree)) for one in sources]
    texts += [(where, ast.get_docstring(node)) for where, node in public_names(sources)]
    return ((where, text) for where, text in texts if text is not None)


def _raised(body: Iterable[ast.AST]) -> set[str]:
    """Errors that statements raise by name and do not catch themselves."""
    found: set[str] = set()
    for node in body:
        if isinstance(node, ast.Raise) and node.exc is not None:
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            found.add(last_word_of(error))
        elif isinstance(node, ast.Try):
            caught = {last_word_of(kind) for handler in node.handlers for kind in _kinds(handler)}
            found |= _raised(node.body) - caught
            found |= _raised([*node.handlers, *node.orelse, *node.finalbody])
        elif not isinstance(node, (*_PARTS, ast.Lambda)):
            found |= _raised(ast.iter_child_nodes(node))
    return {name for name in found if name[:1].isupper()}


def _kinds(handler: ast.ExceptHandler) -> list[ast.expr]:
    if isinstance(handler.type, ast.Tuple):
        return handler.type.elts
    return [] if handler.type is None else [handler.type]


def _says_raises(text: str, name: str) -> bool:
    return re.search(rf"\b[Rr]ais(es|ed|ing)\b.*\b{name}\b", text, re.DOTALL) is not None


def test_public_names_when_walked_then_each_says_what_it_is() -> None:
    found = missing(product_files())
    assert found == [], "\n".join(found)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("x = 1\n", "risk/a.py"),
        ('"""A file."""\nclass A: ...', "risk/a.py:2 A"),
        ('"""A file."""\ndef f(): ...', "risk/a.py:2 f"),
        ('"""A file."""\nclass A:\n    """A class."""\n    async def f(self): ...', "risk/a.py:4 A.f"),
    ],
)
def test_public_names_when_one_says_nothing_then_it_is_reported(text: str, where: str) -> None:
    assert missing([source("risk/a.py", text)]) == [where]


def test_public_names_when_private_or_the_second_half_of_a_property_then_nothing_is_reported() -> None:
    text = '"""A file."""\nclass _A:\n    def f(self): ...\ndef _f(): ...\n'
    text += 'class B:\n    """A class."""\n    def _f(self): ...'
    setter = "\n    @x.setter\n    def x(self, value): ...\n    def __init__(self): ..."
    assert missing([source("risk/a.py", text + setter), source("risk/__init__.py", "")]) == []


def test_docstrings_when_counted_then_none_is_too_short_to_say_something() -> None:
    found = short(product_files())
    assert found == [], "\n".join(found)


def test_docstrings_when_one_is_too_short_then_it_is_reported() -> None:
    text = (
        '"""A file of words."""\ndef f():\n    """Start the\n    thing."""\ndef g():\n    """Start the whole thing."""'
    )
    assert short([source("risk/a.py", text)]) == ["risk/a.py:2 f: Start the\nthing."]
    assert short([source("risk/a.py", '"""A file."""')]) == ["risk/a.py: A file."]


def test_docstrings_when_walked_then_none_only_sends_elsewhere() -> None:
    found = see_only(product_files())
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("text", ["See `Worker`.", "See `Gateway.submit`", "See `connectors.x.y.Z.f` and\n    `W`."])
def test_docstrings_when_one_only_sends_elsewhere_then_it_is_reported(text: str) -> None:
    assert len(see_only([source("risk/a.py", f'def f():\n    """{text}"""\n')])) == 1


@pytest.mark.parametrize(
    "text", ["Place an order; see `Gateway.submit`.", "See `Worker`. Raises `Fatal` when it has ended."]
)
def test_docstrings_when_one_says_something_of_its_own_then_nothing_is_reported(text: str) -> None:
    assert see_only([source("risk/a.py", f'def f():\n    """{text}"""\n')]) == []


def test_errors_when_a_public_function_raises_its_own_then_its_docstring_says_so() -> None:
    found = unsaid_errors(product_files())
    assert found == [], "\n".join(found)


@pytest.mark.parametrize(
    "body",
    [
        "raise Fatal(1)",
        "raise errors.Fatal",
        "if x:\n        raise Fatal(1) from None",
        "try:\n        f()\n    except OSError as e:\n        raise Fatal(1) from e",
        "try:\n        raise Fatal(1)\n    except OSError:\n        pass",
    ],
)
def test_errors_when_a_docstring_does_not_name_one_then_it_is_reported(body: str) -> None:
    text = f'def f():\n    """Do what is asked for. Raises `JournalError`."""\n    {body}\n'
    assert unsaid_errors([source("risk/a.py", text)]) == ["risk/a.py:1 f: Fatal"]


@pytest.mark.parametrize(
    ("says", "found"), [("See `Fatal`.", ["risk/a.py:3 A.__init__: Fatal"]), ("Raises `Fatal`.", [])]
)
def test_errors_when_a_constructor_raises_one_then_it_or_its_class_must_name_it(says: str, found: list[str]) -> None:
    text = f'class A:\n    """A thing of ours. {says}"""\n    def __init__(self):\n        raise Fatal\n'
    assert unsaid_errors([source("risk/a.py", text)]) == found
    text = f'class A:\n    pass\n    def __init__(self):\n        """Start. {says}"""\n        raise Fatal\n'
    assert unsaid_errors([source("risk/a.py", text)]) == found


@pytest.mark.parametrize(
    "body",
    [
        '"""Do it. Raises `Fatal` when it is too late."""\n    raise Fatal(1)',
        '"""Do it. Raises `OSError` when it is too late,\n    and `Fatal` when early."""\n    raise Fatal(1)',
        "try:\n        raise Fatal(1)\n    except (OSError, Fatal):\n        pass",
        "def g():\n        raise Fatal(1)",
        "raise",
        "raise failure",
        'raise AssertionError("a case is missing")',
    ],
)
def test_errors_when_named_or_not_its_own_then_nothing_is_reported(body: str) -> None:
    assert unsaid_errors([source("risk/a.py", f"def f():\n    {body}\n")]) == []
