"""Some types mean something only because one place builds them: verdicts, signed orders, and the kernel."""

from __future__ import annotations

import ast
from collections.abc import Iterable

import pytest

from tests.architecture.source_tree import Source, calls, files_of_tests, product_files, source


def builders(sources: Iterable[Source], name: str) -> set[str]:
    """The files that call `name(…)`."""
    return {one.name for one in sources if f"{name}(" in one.text and calls(one.tree, name)}


def test_approved_when_the_source_is_walked_then_only_the_gate_builds_it() -> None:
    assert builders(product_files(), "Approved") == {"risk/gate.py"}


def test_signed_when_the_source_is_walked_then_only_gateways_build_it() -> None:
    found = builders(product_files(), "Signed")
    assert found
    assert all(name.startswith("connectors/") for name in found)


def test_kernel_when_the_source_and_the_tests_are_walked_then_only_the_assembly_builds_it() -> None:
    """Live runs, replays, benches and tests share one assembly, so that no run is built in a way of its own."""
    assert builders([*product_files(), *files_of_tests()], "Kernel") == {"framework/assembly.py"}


@pytest.mark.parametrize("text", ["Approved(intent=1)", "verdicts.Approved(intent=1)"])
def test_walk_when_somebody_else_builds_a_verdict_then_it_is_seen(text: str) -> None:
    assert calls(ast.parse(text), "Approved") == [1]


@pytest.mark.parametrize("text", ["Kernel(dependencies)", "kernel.Kernel(x)", "def f():\n    return [Kernel(y)]"])
def test_walk_when_somebody_else_builds_a_kernel_then_it_is_seen(text: str) -> None:
    assert builders([source("tests/support/world.py", text)], "Kernel") == {"tests/support/world.py"}


@pytest.mark.parametrize("text", ["def f(kernel: Kernel) -> Kernel: ...", "KernelRecorder(1)", "kernel(1)"])
def test_walk_when_a_kernel_is_only_named_then_nothing_is_seen(text: str) -> None:
    assert builders([source("framework/cli/run.py", text)], "Kernel") == set()
