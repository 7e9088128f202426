"""The product speaks only of itself: no text names a folder of one computer, or a server that only one network has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.architecture.source_tree import PACKAGES, ROOT

FOLDERS = (*PACKAGES, "tests", "config", "docs", "deploy", ".ci")
BESIDE = ("*.md", "*.lock", "pyproject.toml", "Dockerfile", "Makefile", ".dockerignore", ".gitignore", ".importlinter")
FOREIGN = re.compile(
    r"(?<![\w.])/(?:root|home|Users|work|mnt)/\w|(?<!-no-emit)-index-url|https?://[^\s\"'`)]*/simple(?![\w-])"
)
"""Paths of somebody's home, and addresses of a package index."""


def texts() -> Iterator[tuple[str, str]]:
    """Name and text of the files that are delivered. Left out are this one, and what is no text."""
    inside = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if "__pycache__" not in path.parts)
    beside = (path for pattern in BESIDE for path in ROOT.glob(pattern))
    for path in sorted({*inside, *beside} - {Path(__file__)}):
        with suppress(UnicodeDecodeError):
            if path.is_file():
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def foreign(name: str, text: str) -> list[str]:
    """Each line that names what is not of the product."""
    return [
        f"{name}:{number} {line.strip()}" for number, line in enumerate(text.splitlines(), 1) if FOREIGN.search(line)
    ]


def test_texts_when_read_then_none_names_a_place_outside_the_product() -> None:
    found = [line for name, text in texts() for line in foreign(name, text)]
    assert found == [], "\n".join(found)


def test_texts_when_listed_then_source_tests_and_pages_are_among_them() -> None:
    assert {"README.md", "Dockerfile", "framework/daemon.py", "tests/architecture/source_tree.py"} <= dict(
        texts()
    ).keys()


@pytest.mark.parametrize(
    "text", ["see ~root~notes.md", "cd '~home~me~tide'", "--index-url x", "get https:~~index.example~simple~x"]
)
def test_texts_when_one_names_a_place_outside_then_it_is_reported(text: str) -> None:
    assert foreign("README.md", f"# Title\n{text.replace('~', '/')}\n") == [f"README.md:2 {text.replace('~', '/')}"]


@pytest.mark.parametrize(
    "text", ["--no-emit-index-url", "~var~lib~tidegate", "https:~~example.com~simple-orders", "config~root~x"]
)
def test_texts_when_one_only_looks_like_it_then_nothing_is_reported(text: str) -> None:
    assert foreign("README.md", text.replace("~", "/")) == []
