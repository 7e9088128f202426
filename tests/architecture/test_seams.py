"""Time, randomness, identifiers, sockets and threads come through ports, so that a whole daemon can run in a
simulation under one seed. The places that may touch the real ones are named here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("framework", "strategies", "connectors", "risk")
BANNED_MODULES = {
    "time", "random", "uuid", "secrets", "socket", "threading", "concurrent", "multiprocessing", "subprocess",
    "select", "selectors",
}  # fmt: skip
BANNED_CALLS = {
    ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"), ("os", "urandom"),
    ("asyncio", "to_thread"),
}  # fmt: skip
BANNED_METHODS = {"run_in_executor", "create_connection", "open_connection", "create_server", "start_server"}

ALLOWED = ("framework/runtime/", "connectors/transport/", "connectors/sandbox/")
EDGE_FILES = {
    # The command line measures nothing and trades nothing; the health check is a program of its own.
    "framework/ops/healthcheck.py",
    # The contract suite puts a real network before the sandboxes.
    "framework/testing/conformance/front.py",
}


def is_allowed(path: Path) -> bool:
    name = path.relative_to(ROOT).as_posix()
    return name.startswith(ALLOWED) or "/sandbox/" in name or name in EDGE_FILES


def violations(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] in BANNED_MODULES:
                    yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in BANNED_MODULES:
            yield node.lineno, node.module or ""
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if node.func.attr in BANNED_METHODS or (
                isinstance(owner, ast.Name) and (owner.id, node.func.attr) in BANNED_CALLS
            ):
                yield node.lineno, node.func.attr


def test_seams_when_the_source_is_walked_then_the_real_world_is_touched_in_its_places_only() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {what}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if not is_allowed(path)
        for line, what in violations(ast.parse(path.read_text()))
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from random import choice",
        "import uuid",
        "from concurrent.futures import ThreadPoolExecutor",
        "datetime.now()",
        "os.urandom(8)",
        "loop.run_in_executor(None, work)",
    ],
)
def test_seams_when_the_real_world_is_touched_then_the_walk_sees_it(source: str) -> None:
    assert list(violations(ast.parse(source)))
