"""Every venue keeps the contract, with every stream library and in every dialect that it has."""

from __future__ import annotations

import pytest
import uvloop

from framework.testing.conformance.candidates import Candidate, find_venues
from framework.testing.conformance.stage import Setting
from framework.testing.conformance.suite import play_venue

PLAYS = [
    pytest.param(venue, dialect, library, id="-".join(filter(None, (venue.name, dialect, library))))
    for venue in find_venues().values()
    for dialect in venue.dialects
    for library in venue.libraries
]


@pytest.mark.parametrize(("venue", "dialect", "library"), PLAYS)
def test_venue_when_the_suite_is_played_then_every_case_passes_or_is_not_offered(
    venue: Candidate, dialect: str, library: str
) -> None:
    played = uvloop.run(play_venue(Setting(venue, dialect, library)))
    assert played
    assert [f"{one.case.code} {one.case.sentence}: {one.detail}" for one in played if one.is_failure] == []
