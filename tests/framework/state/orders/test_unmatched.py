"""Facts that wait for their order."""

from __future__ import annotations

import pytest

from framework.domain.account_events import ExternalOrderIgnored, ReportKind
from framework.domain.orders import Side
from framework.state.accounts import AccountRecord, Accounts
from framework.state.books import Books
from framework.state.exposure import Exposures
from framework.state.orders import unmatched as unmatched_module
from framework.state.orders.unmatched import UnmatchedReports
from framework.state.risk_view import View
from tests.support.state_records import MARKET, VENUE, adopted, fill, listed, new, report


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


def exposure_of(*records: AccountRecord) -> tuple[int, int, int, int]:
    """The account's exposure after these records, which a restart on a snapshot and the strategy must agree with."""
    accounts = Accounts()
    for record in records:
        accounts.apply(record, 1)
    exposure = accounts.exposure(MARKET)
    assert Accounts.from_snapshot(accounts.to_snapshot()).exposure(MARKET) == exposure
    view = View(books=Books(), accounts=accounts, budgets={})
    assert view.open_orders() == view.open_orders(venue=VENUE) == exposure.open_orders
    return exposure.position, exposure.open_buy, exposure.open_sell, exposure.open_orders


IGNORED = ExternalOrderIgnored(venue=VENUE, venue_order_id="v1", reason="mine", ts_recv=1)


@pytest.mark.parametrize(
    ("records", "exposed"),
    [
        ([listed("")], (0, 10, 0, 1)),
        ([listed("", side=Side.SELL, filled=4)], (0, 0, 10, 1)),
        ([listed(""), fill(name="", size=4)], (4, 6, 0, 1)),
        ([fill(name="", size=4), listed("", filled=4)], (4, 6, 0, 1)),
        ([listed(""), IGNORED], (0, 10, 0, 1)),
        ([listed(""), listed("", size=3, at=20)], (0, 3, 0, 1)),
        ([listed(""), listed("", is_open=False)], (0, 0, 0, 0)),
        ([listed(""), fill(name="", size=10)], (10, 0, 0, 1)),
        ([listed(""), fill(name="", size=4), adopted(strategy="maker")], (4, 6, 0, 1)),
        ([listed(""), IGNORED, adopted(strategy="maker")], (0, 10, 0, 1)),
        ([listed(""), listed("", venue_order_id="v2")], (0, 20, 0, 2)),
        ([new(), listed(""), report(ReportKind.ACCEPTED, venue_order_id="v1")], (0, 10, 0, 1)),
    ],
    ids=[
        "listed",
        "a sale whose fills are not known yet",
        "then traded",
        "traded before",
        "ignored",
        "made smaller",
        "ended",
        "traded whole and not listed as ended yet",
        "adopted",
        "ignored and adopted",
        "two",
        "ours after all",
    ],
)
def test_external_order_when_it_may_trade_then_it_counts_once_in_the_account_and_no_more_when_it_has_ended(
    records: list[AccountRecord], exposed: tuple[int, int, int, int]
) -> None:
    assert exposure_of(*records) == exposed


def test_external_order_when_it_is_dropped_then_it_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unmatched_module, "UNMATCHED_MAX", 2)
    records = [listed("", venue_order_id=f"v{number}") for number in range(3)]
    assert exposure_of(*records) == (0, 20, 0, 2)
