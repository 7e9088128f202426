"""Every venue keeps the contract, with every stream library and in every dialect that it has."""

from __future__ import annotations

import pytest
import uvloop

from framework.testing.conformance.candidates import find_venues
from framework.testing.conformance.matrix import column, kept, matrix_table
from framework.testing.conformance.stage import all_settings
from framework.testing.conformance.suite import play_venue
from tests.architecture.source_tree import ROOT

EXAMPLE = ROOT / "tests" / "support" / "example_venue"
"""A venue from outside, as a plugin in a folder of `plugin_paths`."""

SETTINGS = {column(setting): setting for venue in find_venues([EXAMPLE]).values() for setting in all_settings(venue)}


def columns_of(table: str) -> dict[str, list[str]]:
    """The cells below each head of a table in Markdown."""
    head, _, *rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines()]
    return {name: [row[number] for row in rows] for number, name in enumerate(head)}


PAGE = columns_of(kept((ROOT / "connectors" / "README.md").read_text()))
"""Written anew by `python -m framework.testing.conformance --plugin-path tests/support/example_venue --write
connectors/README.md`."""


@pytest.mark.parametrize("name", SETTINGS)
def test_venue_when_the_suite_is_played_then_every_case_passes_or_is_not_offered_as_the_page_says(name: str) -> None:
    played = uvloop.run(play_venue(SETTINGS[name]))
    assert played
    assert [f"{one.case.code} {one.case.sentence}: {one.detail}" for one in played if one.is_failure] == []
    found = columns_of(matrix_table({name: played}))
    assert found == {head: PAGE.get(head) for head in found}


def test_page_when_it_is_read_then_it_has_a_column_for_each_venue_dialect_and_library() -> None:
    assert list(PAGE)[2:] == list(SETTINGS)
