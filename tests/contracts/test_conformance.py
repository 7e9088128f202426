"""Every venue keeps the contract, with every stream library and in every dialect that it has.

Each case is played at each venue; of a venue that can be run in several ways, each way has its part of the cases. All
of them in every way take a quarter of an hour: `python -m framework.testing.conformance --plugin-path
tests/support/example_venue --write connectors/README.md`, which writes the page's table, too.
"""

from __future__ import annotations

import pytest
import uvloop

from framework.testing.conformance.answers import KINDS, answer_of, answers_in, place_of
from framework.testing.conformance.candidates import find_venues
from framework.testing.conformance.case import CASES
from framework.testing.conformance.findings import Finding
from framework.testing.conformance.matrix import ANSWERS, MATRIX, SHOWN, column, kept
from framework.testing.conformance.stage import all_settings
from framework.testing.conformance.suite import play_venue
from tests.architecture.source_tree import ROOT

EXAMPLE = ROOT / "tests" / "support" / "example_venue"
"""A venue from outside, as a plugin in a folder of `plugin_paths`."""

WHOLE = ("kalshi current",)
"""Venues, or dialects of one, that are played whole in every way, by the beginning of its name."""

SETTINGS = {column(setting): setting for venue in find_venues([EXAMPLE]).values() for setting in all_settings(venue)}


def part_of(name: str) -> list[str]:
    """The cases that are played in this way."""
    venue = SETTINGS[name].venue.name
    parts = [one for one in SETTINGS if SETTINGS[one].venue.name == venue and not one.startswith(WHOLE)]
    ways = [name] if name.startswith(WHOLE) else parts
    return sorted(CASES)[ways.index(name) :: len(ways)]


def columns_of(table: str) -> dict[str, list[str]]:
    """The cells below each head of a table in Markdown."""
    head, _, *rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines()]
    return {name: [row[number] for row in rows] for number, name in enumerate(head)}


TEXT = (ROOT / "connectors" / "README.md").read_text()
PAGE = columns_of(kept(TEXT, MATRIX))
PLACES = list(dict.fromkeys(place_of(one) for one in SETTINGS.values()))
ANSWERED = answers_in(kept(TEXT, ANSWERS), PLACES)


@pytest.mark.parametrize("name", SETTINGS)
def test_venue_when_the_suite_is_played_then_every_case_passes_or_is_not_offered_as_the_page_says(name: str) -> None:
    played = uvloop.run(play_venue(SETTINGS[name], part_of(name)))
    assert [one.case.code for one in played] == part_of(name)
    assert [f"{one.case.code} {one.case.sentence}: {one.detail}" for one in played if one.is_failure] == []
    shown = dict(zip(PAGE["case"], PAGE[name], strict=True))
    assert {one.case.code: SHOWN[one.finding] for one in played} == {code: shown[code] for code in part_of(name)}
    place, venue = place_of(SETTINGS[name]), SETTINGS[name].venue.name
    said = {one.case.code: answer_of(one, venue) for one in played if one.case.code in KINDS or one.said}
    assert said == {code: ANSWERED[code, place] for code in said}


def test_page_when_it_is_read_then_it_says_of_each_kind_of_bad_input_what_each_venue_makes_of_it() -> None:
    assert set(ANSWERED) == {(code, place) for code in KINDS for place in PLACES}
    assert "" not in ANSWERED.values()


def test_page_when_it_is_read_then_it_has_a_column_for_each_way_a_row_for_each_case_and_no_failure() -> None:
    assert list(PAGE) == ["case", "what a connector does", *SETTINGS]
    assert PAGE["case"] == sorted(CASES)
    assert {SHOWN[Finding.FAIL], ""}.isdisjoint(cell for name in SETTINGS for cell in PAGE[name])


def test_cases_when_they_are_dealt_then_each_is_played_at_each_venue() -> None:
    for venue in {one.venue.name for one in SETTINGS.values()}:
        played = {code for name, one in SETTINGS.items() if one.venue.name == venue for code in part_of(name)}
        assert played == set(CASES), venue
