"""The house rules that a machine can keep: short files, short functions, few ways to inherit."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("framework", "strategies", "connectors", "risk")
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
TEST_LINES_MAX = 600


def parsed() -> Iterator[tuple[str, str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text()
            yield path.relative_to(ROOT).as_posix(), text, ast.parse(text)


def test_files_when_counted_then_none_is_longer_than_a_reader_bears() -> None:
    long = [f"{name}: {len(text.splitlines())}" for name, text, _ in parsed() if text.count("\n") > FILE_LINES_MAX]
    long += [
        f"{path.relative_to(ROOT)}: {path.read_text().count(chr(10))}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if path.read_text().count("\n") > TEST_LINES_MAX
    ]
    assert long == []


def test_functions_when_counted_then_none_is_longer_than_a_screen() -> None:
    long = [
        f"{name}:{node.lineno} {node.name}: {(node.end_lineno or 0) - node.lineno + 1}"
        for name, _, tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_public_names_when_walked_then_each_class_and_module_says_what_it_is() -> None:
    silent = [
        f"{name}:{node.lineno} {node.name}"
        for name, _, tree in parsed()
        for node in tree.body
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and not node.name.startswith("_")
        and ast.get_docstring(node) is None
    ]
    silent += [name for name, text, tree in parsed() if text.strip() and ast.get_docstring(tree) is None]
    assert silent == []


def test_names_when_walked_then_no_module_is_a_drawer_for_everything() -> None:
    drawers = {"utils", "helpers", "manager", "base", "common", "misc"}
    assert [name for name, _, _ in parsed() if Path(name).stem in drawers] == []
