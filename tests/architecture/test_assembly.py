"""Live runs, replays, benches and tests share one assembly, so that no run is built in a way of its own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOME = "framework/assembly.py"


def builds_a_kernel(source: str) -> bool:
    """Whether `Kernel(...)` is called somewhere in it."""
    return any(
        isinstance(node, ast.Call)
        and (node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")) == "Kernel"
        for node in ast.walk(ast.parse(source))
    )


def test_kernel_when_the_source_and_the_tests_are_walked_then_only_the_assembly_builds_it() -> None:
    builders = {
        path.relative_to(ROOT).as_posix()
        for package in ("framework", "strategies", "connectors", "risk", "tests")
        for path in (ROOT / package).rglob("*.py")
        if builds_a_kernel(path.read_text())
    }
    assert builders == {HOME}


@pytest.mark.parametrize("source", ["Kernel(dependencies)", "kernel.Kernel(x)", "def f():\n    return [Kernel(y)]"])
def test_walk_when_somebody_else_builds_a_kernel_then_it_is_seen(source: str) -> None:
    assert builds_a_kernel(source)
