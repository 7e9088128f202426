"""The pages are true: tables are generated, the example runs, commands and files that are named exist."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from framework.domain.verdicts import refusal_table
from framework.runtime.metrics import metrics_table
from tests.architecture.source_tree import ROOT, Source, files_of_tests, product_files, source

README = (ROOT / "README.md").read_text()
PLACES = (ROOT, ROOT / "framework", ROOT / "connectors")
PLACEHOLDERS = ("NAME", "<", "*", "…")
OF_A_STATE_DIRECTORY = {"state/past", "journal/accounts"}


def between(page: str, name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", (ROOT / page).read_text(), re.DOTALL)
    assert found, f"{page} has no section {name}"
    return found[1].strip()


@pytest.mark.parametrize(
    ("page", "name", "table"),
    [("risk/README.md", "refusals", refusal_table()), ("README.md", "metrics", metrics_table())],
)
def test_page_when_a_table_is_generated_then_it_shows_it(page: str, name: str, table: str) -> None:
    assert between(page, name) == table.strip()


def test_readme_when_its_example_is_copied_then_the_configuration_loads(tmp_path: Path) -> None:
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    config = re.search(r"```toml\n(.*?)```", README, re.DOTALL)
    assert code
    assert config
    lines = [line for line in code[1].splitlines() if line.strip()]
    assert len(lines) <= 25
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "joiner.py").write_text(code[1])
    (tmp_path / "joiner.toml").write_text(config[1])
    command = [sys.executable, "-m", "framework", "check-config", "-c", "sandbox", "-c", "joiner.toml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", ["README.md", "docs/operating.md", "docs/alerts.md", "risk/README.md"])
def test_page_when_it_links_to_files_then_they_exist(page: str) -> None:
    targets = re.findall(r"\]\(([^)#:]+)[^)]*\)", (ROOT / page).read_text())
    assert targets
    for target in targets:
        assert (ROOT / page).parent.joinpath(target).exists(), target


def test_readme_when_it_links_to_a_heading_then_the_page_has_it() -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]+)#([^)]+)\)", README):
        headings = re.findall(r"^#+ (.+)$", (ROOT / target).read_text(), re.MULTILINE)
        assert anchor in [re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings], anchor


def test_readme_when_read_then_a_newcomer_gets_through() -> None:
    assert len(README.splitlines()) <= 300


@pytest.mark.parametrize("target", ["run", "test", "check", "bench", "lock"])
def test_readme_when_it_names_a_make_target_then_make_has_it(target: str) -> None:
    assert f"make {target}" in README
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def missing_paths(text: str) -> list[str]:
    """Paths in backticks or links that exist neither from the top nor inside `framework` or `connectors`."""
    named = re.findall(r"`([\w.<>*…-]+/[\w./<>*…-]+)`", text) + re.findall(r"\]\(([^)#:]+)\)", text)
    return [
        path
        for path in named
        if not any(mark in path for mark in PLACEHOLDERS)
        and path not in OF_A_STATE_DIRECTORY
        and not any((place / path).exists() for place in PLACES)
    ]


@pytest.mark.parametrize(
    ("page", "count"), [("CONTRIBUTING.md", 20), ("framework/README.md", 20), ("connectors/README.md", 15)]
)
def test_page_when_it_names_files_then_they_exist(page: str, count: int) -> None:
    text = (ROOT / page).read_text()
    assert len(re.findall(r"`[\w/]+/[\w./]+`", text)) > count
    assert missing_paths(text.replace("](../", "](")) == []


def test_page_when_it_names_a_file_that_is_gone_then_it_is_seen() -> None:
    assert missing_paths("see `engine/kernel.py`, `engine/gone.py` and [this](gone.md)") == [
        "engine/gone.py",
        "gone.md",
    ]


def missing_methods(text: str, sources: Iterable[Source]) -> list[str]:
    """Each `Class.method` in backticks that no class of that name has."""
    classes = [node for one in sources for node in ast.walk(one.tree) if isinstance(node, ast.ClassDef)]
    known = {f"{one.name}.{name}" for one in classes for name in _members(one)}
    return sorted(set(re.findall(r"`([A-Z][a-z]\w*\.[a-z_]\w*)`", text)) - known)


def _members(one: ast.ClassDef) -> Iterable[str]:
    return (node.name for node in one.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "framework/README.md", "connectors/sandbox/README.md"])
def test_page_when_it_names_methods_then_they_exist(page: str) -> None:
    assert missing_methods((ROOT / page).read_text(), product_files()) == []


def test_page_when_it_names_a_method_that_is_gone_then_it_is_seen() -> None:
    kernel = source("framework/engine/kernel.py", "class Kernel:\n    def publish(self): ...")
    assert missing_methods("`Kernel.publish`, then `Kernel.gone`", [kernel]) == ["Kernel.gone"]


NUMBER = re.compile(r"\b[CI]\d{1,2}\b")
"""The number of a control or of an invariant, as comments and messages name them."""


def numbers_explained(page: str) -> set[str]:
    """The numbers in the first cells of a page's tables."""
    return {number for cell in re.findall(r"^\| ([^|]*) \|", page, re.MULTILINE) for number in NUMBER.findall(cell)}


def test_numbers_when_the_source_names_them_then_a_page_explains_each_and_no_other() -> None:
    proofs = (one for one in files_of_tests() if one.name.startswith("tests/proofs/"))
    texts = [one.text for one in (*product_files(), *proofs)]
    used = {number for text in texts for number in NUMBER.findall(text)}
    assert numbers_explained((ROOT / "framework/README.md").read_text()) == used


def test_numbers_when_a_table_explains_some_then_only_its_first_cells_count() -> None:
    assert numbers_explained("A number such as C7.\n| C1, C2 | see C3 |\n| I4 | what C5 says |") == {"C1", "C2", "I4"}
