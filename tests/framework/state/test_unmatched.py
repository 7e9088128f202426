"""Facts that wait for their order."""

from __future__ import annotations

import pytest

from framework.domain.account_events import ReportKind
from framework.state import unmatched as unmatched_module
from framework.state.exposure import Exposures
from framework.state.unmatched import UnmatchedReports
from tests.support.state_records import VENUE, fill, listed, report


def test_unmatched_reports_when_claimed_then_gives_everything_once() -> None:
    unmatched = UnmatchedReports(Exposures())
    late, early = fill("f2", at=20), fill("f1", at=10)
    unmatched.add_fill(late)
    unmatched.add_fill(early)
    cancelled = report(ReportKind.CANCELLED, venue_order_id="v1")
    unmatched.add_report(cancelled)
    unmatched.add_snapshot(listed(at=5))
    kept = unmatched.claim(VENUE, "v1")
    assert kept is not None
    assert kept.fills == [early, late]
    assert kept.facts() == [cancelled, listed(at=5)]
    assert unmatched.claim(VENUE, "v1") is None


def test_unmatched_reports_when_an_older_listing_comes_later_then_keeps_the_newest() -> None:
    unmatched = UnmatchedReports(Exposures())
    for filled, ts_venue in ((2, 20), (1, 10)):
        unmatched.add_snapshot(listed(filled=filled, ts_venue=ts_venue))
    assert [one.filled for one in unmatched.external_orders(VENUE)] == [2]
    assert unmatched.external_orders("ebb") == ()


def test_external_orders_when_listed_as_ended_first_then_an_open_listing_does_not_revive_them() -> None:
    unmatched = UnmatchedReports(Exposures())
    unmatched.add_snapshot(listed(is_open=False))
    unmatched.add_snapshot(listed())
    assert unmatched.external_orders(VENUE) == ()


def test_unmatched_reports_when_full_then_lets_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unmatched_module, "UNMATCHED_MAX", 2)
    unmatched = UnmatchedReports(Exposures())
    for number in range(3):
        unmatched.add_snapshot(listed(venue_order_id=f"v{number}"))
    assert [one.venue_order_id for one in unmatched.external_orders(VENUE)] == ["v1", "v2"]


def test_unmatched_reports_when_restored_then_is_equal_and_in_the_same_order() -> None:
    unmatched = UnmatchedReports(Exposures())
    for name in ("v2", "v1"):
        unmatched.add_snapshot(listed(venue_order_id=name))
    again = UnmatchedReports.from_snapshot(unmatched.snapshot(), unmatched.keys(), Exposures())
    assert again.keys() == unmatched.keys() == [(VENUE, "v2"), (VENUE, "v1")]
    assert again.snapshot() == unmatched.snapshot()
