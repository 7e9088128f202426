"""Every venue keeps the contract, with every stream library and in every dialect that it has.

The suite plays a part of each way, by the rule of `part_of`. All cases in every way take ten minutes and more:
`python -m framework.testing.conformance --plugin-path tests/support/example_venue --write connectors/README.md`, which
writes the page's tables, too.
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

OF_THE_DIALECT = frozenset(
    "V01 V06 V07 V09 V10 V12 V14 V15 V16 V19 V20 V24 V25 V29 V30 V41 V43 V51 V52 V53 V54 V55 V56 V58 V59 V60 V62 V63"
    " V71 V72 V73 V84 V85 V86".split()
)
"""What each dialect writes, reads and is refused by in its own way: orders and their ends, lists, ids, keys, clocks."""

OF_THE_LIBRARY = frozenset("V02 V03 V04 V05 V44 V80 V81 V82 V94 V95".split())
"""What a stream's connection carries and how it ends: books, trades, gaps, silence, cuts, TLS."""

LEFT_OUT = {("bitexasia", "V42")}
"""What waits for a window of the venue's limits that lasts a minute: only the whole matrix does."""

SETTINGS = {column(setting): setting for venue in find_venues([EXAMPLE]).values() for setting in all_settings(venue)}


def part_of(name: str) -> list[str]:
    """The cases that the suite plays in this way.

    Each case is played at each venue in its first dialect, with its stream libraries in turn. Those of the dialect are
    played in every further dialect, too, and those of the library with each library.
    """
    way = SETTINGS[name]
    is_first = way.dialect == way.venue.dialects[0]
    codes = sorted(CASES if is_first else OF_THE_DIALECT)
    dealt = codes[way.venue.libraries.index(way.library) :: len(way.venue.libraries)]
    chosen = {*dealt, *OF_THE_LIBRARY} if is_first else set(dealt)
    return sorted(code for code in chosen if (way.venue.name, code) not in LEFT_OUT)


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


def test_cases_when_they_are_dealt_then_each_is_played_at_each_venue_in_each_dialect_and_with_each_library() -> None:
    assert set(CASES) >= OF_THE_DIALECT | OF_THE_LIBRARY
    for venue in {one.venue.name: one.venue for one in SETTINGS.values()}.values():
        ways = {name: one for name, one in SETTINGS.items() if one.venue is venue}
        first = {code for name, one in ways.items() if one.dialect == venue.dialects[0] for code in part_of(name)}
        assert first == {code for code in CASES if (venue.name, code) not in LEFT_OUT}, venue.name
        for dialect in venue.dialects:
            of_dialect = {code for name, one in ways.items() if one.dialect == dialect for code in part_of(name)}
            assert of_dialect >= OF_THE_DIALECT, dialect
        for library in venue.libraries:
            of_library = {code for name, one in ways.items() if one.library == library for code in part_of(name)}
            assert of_library >= OF_THE_LIBRARY, library
