"""The pages for people who change the code name files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = (ROOT, ROOT / "framework")
PLACEHOLDERS = ("NAME", "<", "*", "…")
OF_A_STATE_DIRECTORY = {"state/past", "journal/accounts"}


def missing_paths(text: str) -> list[str]:
    """Paths in backticks or links that exist neither from the top nor inside `framework`."""
    named = re.findall(r"`([\w.<>*…-]+/[\w./<>*…-]+)`", text) + re.findall(r"\]\(([^)#:]+)\)", text)
    return [
        path
        for path in named
        if not any(mark in path for mark in PLACEHOLDERS)
        and path not in OF_A_STATE_DIRECTORY
        and not any((place / path).exists() for place in PLACES)
    ]


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "framework/README.md"])
def test_page_when_it_names_files_then_they_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    assert len(re.findall(r"`[\w/]+/[\w./]+`", text)) > 20
    assert missing_paths(text.replace("](../", "](")) == []


def test_page_when_it_names_a_file_that_is_gone_then_it_is_seen() -> None:
    assert missing_paths("see `engine/kernel.py`, `engine/gone.py` and [this](gone.md)") == [
        "engine/gone.py",
        "gone.md",
    ]
