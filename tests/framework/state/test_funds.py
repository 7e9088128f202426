"""What own orders have taken since the venue's last report of a balance."""

from __future__ import annotations

import pytest

from framework.domain.account_events import BalanceReport, InstrumentDefined, ReportKind
from framework.domain.orders import Side
from framework.state.accounts import Accounts
from framework.state.funds import LAG_NS
from tests.support.state_records import INSTRUMENT, VENUE, amend, fill, new, report

S = 1_000_000_000


@pytest.fixture
def accounts() -> Accounts:
    accounts = Accounts()
    accounts.apply(InstrumentDefined(INSTRUMENT, 0), 0)
    return accounts


def taken(accounts: Accounts) -> dict[Side, int]:
    return {side: value for (_, side), value in accounts.funds_taken(VENUE, "USD").items()}


def balance(accounts: Accounts, at_ns: int) -> None:
    accounts.apply(BalanceReport(venue=VENUE, currency="USD", amount=1, decimals=2, ts_recv=at_ns), at_ns)


def test_orders_when_they_are_made_then_both_sides_count_until_a_report_that_must_hold_them(accounts: Accounts) -> None:
    accounts.apply(new("b", price=40), S)
    accounts.apply(new("s", side=Side.SELL, price=60), S)
    assert taken(accounts) == {Side.BUY: 400, Side.SELL: (INSTRUMENT.unit - 60) * 10}
    balance(accounts, S + LAG_NS)
    assert len(taken(accounts)) == 2
    balance(accounts, S + LAG_NS + 1)
    assert taken(accounts) == {}


def test_order_when_it_ends_after_a_report_held_it_then_it_gives_back_what_has_not_traded(accounts: Accounts) -> None:
    accounts.apply(new("b", price=40), S)
    accounts.apply(report(ReportKind.ACCEPTED, "b", venue_order_id="v1"), S)
    balance(accounts, 10 * S)
    accounts.apply(fill("f1", name="b", price=40, size=3, at=11 * S), 11 * S)
    assert taken(accounts) == {}
    accounts.apply(report(ReportKind.CANCELLED, "b", filled=3), 12 * S)
    assert taken(accounts) == {Side.BUY: -280}
    balance(accounts, 20 * S)
    assert taken(accounts) == {}


def test_order_when_it_is_rejected_before_a_report_then_it_takes_nothing(accounts: Accounts) -> None:
    accounts.apply(new("b", price=40), S)
    accounts.apply(report(ReportKind.REJECTED, "b"), S)
    assert taken(accounts) == {}


def test_amend_when_it_is_asked_for_then_the_larger_of_both_counts(accounts: Accounts) -> None:
    accounts.apply(new("b", price=40), S)
    accounts.apply(report(ReportKind.ACCEPTED, "b", venue_order_id="v1"), S)
    accounts.apply(amend("b", price=45, size=20), S)
    assert taken(accounts) == {Side.BUY: 900}


def test_restart_when_orders_changed_shortly_before_the_last_report_then_they_count_once_more(
    accounts: Accounts,
) -> None:
    accounts.apply(new("old", price=40), S)
    balance(accounts, 20 * S)
    accounts.apply(new("fresh", price=30), 21 * S)
    again = Accounts.from_snapshot(accounts.to_snapshot())
    assert taken(again) == taken(accounts) == {Side.BUY: 300}


def test_orders_when_the_venue_never_reports_a_balance_then_ended_ones_are_forgotten(accounts: Accounts) -> None:
    accounts.apply(new("b", price=40), S)
    accounts.apply(fill("f1", name="b", price=40, size=10, at=2 * S), 2 * S)
    assert accounts.orders.open() == ()
    assert taken(accounts) == {}
    assert not accounts._funds._orders[VENUE, "USD"]
