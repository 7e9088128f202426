"""The type system's tickets are only worth something if nobody prints his own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("framework", "strategies", "connectors", "risk")


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def calls_of(tree: ast.AST, name: str) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id == name)
            or (isinstance(node.func, ast.Attribute) and node.func.attr == name)
        )
    ]


def test_approved_when_the_source_is_walked_then_only_the_gate_builds_it() -> None:
    builders = {str(path.relative_to(ROOT)) for path in sources() if calls_of(ast.parse(path.read_text()), "Approved")}
    assert builders == {"risk/gate.py"}


def test_signed_when_the_source_is_walked_then_only_gateways_build_it() -> None:
    builders = {path.relative_to(ROOT) for path in sources() if calls_of(ast.parse(path.read_text()), "Signed")}
    assert builders
    assert all(path.parts[0] == "connectors" for path in builders)


@pytest.mark.parametrize("source", ["Approved(intent=1)", "tickets.Approved(intent=1)"])
def test_walk_when_somebody_else_builds_a_ticket_then_it_is_seen(source: str) -> None:
    assert calls_of(ast.parse(source), "Approved") == [1]
