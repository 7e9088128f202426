"""Facts that wait for their order."""

from __future__ import annotations

import pytest

from framework.domain.account_events import ReportKind
from framework.state import unmatched as parking_module
from framework.state.unmatched import Parking
from tests.support.state_records import VENUE, fill, listed, report


def test_parking_when_claimed_then_gives_everything_once() -> None:
    parking = Parking()
    late, early = fill("f2", at=20), fill("f1", at=10)
    parking.park_fill(late)
    parking.park_fill(early)
    cancelled = report(ReportKind.CANCELLED, venue_order_id="v1")
    parking.park_report(cancelled)
    parking.park_snapshot(listed(at=5))
    parked = parking.claim(VENUE, "v1")
    assert parked is not None
    assert parked.fills == [early, late]
    assert parked.facts() == [cancelled, listed(at=5)]
    assert parking.claim(VENUE, "v1") is None


def test_parking_when_an_older_listing_comes_later_then_keeps_the_newest() -> None:
    parking = Parking()
    for filled, ts_venue in ((2, 20), (1, 10)):
        parking.park_snapshot(listed(filled=filled, ts_venue=ts_venue))
    assert [one.filled for one in parking.strangers(VENUE)] == [2]
    assert parking.strangers("ebb") == ()


def test_strangers_when_listed_as_ended_first_then_an_open_listing_does_not_revive_them() -> None:
    parking = Parking()
    parking.park_snapshot(listed(is_open=False))
    parking.park_snapshot(listed())
    assert parking.strangers(VENUE) == ()


def test_parking_when_full_then_lets_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking_module, "PARKED_MAX", 2)
    parking = Parking()
    for number in range(3):
        parking.park_snapshot(listed(venue_order_id=f"v{number}"))
    assert [one.venue_order_id for one in parking.strangers(VENUE)] == ["v1", "v2"]


def test_parking_when_restored_then_is_equal_and_in_the_same_order() -> None:
    parking = Parking()
    for name in ("v2", "v1"):
        parking.park_snapshot(listed(venue_order_id=name))
    again = Parking.from_image(parking.image(), parking.keys())
    assert again.keys() == parking.keys() == [(VENUE, "v2"), (VENUE, "v1")]
    assert again.image() == parking.image()
