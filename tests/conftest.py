"""The order of the tests: those that wait for processes and clocks are begun first, the longest before all others, so
that two workers end together, and while one of them waits the other computes."""

from __future__ import annotations

import pytest

LONG = (
    "tests/contracts/",
    "tests/framework/kill/test_process.py",
    "tests/journeys/test_sigkill.py",
    "tests/journeys/test_zdex.py",
    "tests/journeys/test_venues.py",
    "tests/journeys/",
    "tests/framework/cli/test_funds.py",
)
"""Beginnings of the names of long tests, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the long tests to the front; all others stay as they were."""
    items.sort(key=lambda item: next((at for at, one in enumerate(LONG) if item.nodeid.startswith(one)), len(LONG)))
