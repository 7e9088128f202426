"""What the tests of this folder share."""

from __future__ import annotations

import pytest

from tests.architecture.source_tree import files_of_tests, product_files


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Drop the parsed files after the last test here: a collection of their nodes would be a pause in later tests."""
    if nextitem is None or nextitem.path.parent != item.path.parent:
        product_files.cache_clear()
        files_of_tests.cache_clear()
