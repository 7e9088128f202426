"""Every venue keeps the contract, with every stream library and in every dialect that it has."""

from __future__ import annotations

from functools import cache

import pytest
import uvloop

from framework.testing.conformance.candidates import find_venues
from framework.testing.conformance.matrix import column, kept, matrix_table
from framework.testing.conformance.stage import all_settings
from framework.testing.conformance.suite import Played, play_venue
from tests.architecture.source_tree import ROOT

EXAMPLE = ROOT / "tests" / "support" / "example_venue"
"""A venue from outside, as a plugin in a folder of `plugin_paths`."""

SETTINGS = {column(setting): setting for venue in find_venues([EXAMPLE]).values() for setting in all_settings(venue)}


@cache
def played_as(name: str) -> list[Played]:
    """What came of every case, played once for all tests."""
    return uvloop.run(play_venue(SETTINGS[name]))


@pytest.mark.parametrize("name", SETTINGS)
def test_venue_when_the_suite_is_played_then_every_case_passes_or_is_not_offered(name: str) -> None:
    played = played_as(name)
    assert played
    assert [f"{one.case.code} {one.case.sentence}: {one.detail}" for one in played if one.is_failure] == []


def test_page_when_the_suite_is_played_then_it_shows_what_came_of_it() -> None:
    """Written anew by `python -m framework.testing.conformance --plugin-path tests/support/example_venue --write
    connectors/README.md`."""
    page = (ROOT / "connectors" / "README.md").read_text()
    assert kept(page) == matrix_table({name: played_as(name) for name in SETTINGS})
