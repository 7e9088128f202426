"""The prices of own orders, kept step by step."""

from __future__ import annotations

import pytest

from framework.domain.account_events import ReportKind
from framework.domain.instruments import InstrumentId
from framework.domain.numbers import Price
from framework.domain.orders import Side
from framework.state.accounts import AccountRecord, Accounts
from tests.support.state_records import MARKET, adopted, amend, apply, cancel, fill, listed, new, report

K = ReportKind
WORKING = [new(), report(K.SENT), report(K.ACCEPTED, venue_order_id="v1")]


def met(accounts: Accounts, price: int, side: Side = Side.SELL) -> list[tuple[int, str]]:
    """What an order would meet, as (price, client order id)."""
    found = accounts.exposures.own_prices.met_by(MARKET, side, Price(price))
    return [(one.price, one.client_order_id) for one in found]


@pytest.mark.parametrize(
    ("records", "is_met"),
    [
        ([new()], True),
        (WORKING[:2], True),
        (WORKING, True),
        ([*WORKING, cancel()], True),
        ([*WORKING[:2], report(K.UNKNOWN)], True),
        ([*WORKING, fill(size=9)], True),
        ([*WORKING, fill(size=10)], False),
        ([*WORKING, cancel(), report(K.CANCELLED)], False),
        ([*WORKING, report(K.EXPIRED, filled=4)], False),
        ([new(), report(K.NOT_SENT)], False),
        ([*WORKING[:2], report(K.REJECTED)], False),
    ],
)
def test_order_when_it_may_still_trade_then_it_is_met(records: list[AccountRecord], is_met: bool) -> None:
    accounts = Accounts()
    apply(accounts, *records)
    assert met(accounts, 50) == ([(50, "c1")] if is_met else [])
    assert met(accounts, 51) == []


@pytest.mark.parametrize(
    ("answer", "best"), [([], 55), ([report(K.AMENDED, price=55, size=10)], 55), ([report(K.AMEND_REFUSED)], 50)]
)
def test_amend_when_asked_for_and_answered_then_the_better_price_counts_until_one_is_known(
    answer: list[AccountRecord], best: int
) -> None:
    accounts = Accounts()
    apply(accounts, *WORKING, amend(price=55), *answer)
    assert met(accounts, best) == [(best, "c1")]
    assert met(accounts, best + 1) == []


def test_amend_when_it_is_to_a_worse_price_then_the_price_of_before_counts_until_it_is_answered() -> None:
    accounts = Accounts()
    apply(accounts, *WORKING, amend(price=45))
    assert met(accounts, 50) == [(50, "c1")]
    apply(accounts, report(K.AMENDED, price=45, size=10))
    assert met(accounts, 46) == []


def test_orders_when_several_are_met_then_the_best_comes_first_and_the_other_side_is_left_out() -> None:
    accounts = Accounts()
    apply(accounts, new("a", price=48), new("b", price=50), new("c", price=40), new("d", price=60, side=Side.SELL))
    assert met(accounts, 48) == [(50, "b"), (48, "a")]
    assert met(accounts, 60, Side.BUY) == [(60, "d")]
    assert met(accounts, 59, Side.BUY) == []


def test_external_order_when_listed_then_it_is_met_until_it_ends_has_traded_or_is_ours() -> None:
    accounts = Accounts()
    apply(accounts, listed("", venue_order_id="x", price=52), listed("", venue_order_id="y", price=53, at=11))
    assert met(accounts, 52) == [(53, ""), (52, "")]
    apply(accounts, fill(name="", venue_order_id="y", price=53, size=10))
    assert met(accounts, 52) == [(52, "")]
    apply(accounts, listed("", venue_order_id="x", price=52, is_open=False, at=12))
    assert met(accounts, 1) == []
    apply(accounts, listed("", venue_order_id="v1"), adopted(strategy="maker"))
    assert met(accounts, 50) == [(50, "tide/v1")]


def test_prices_when_the_state_is_read_from_a_snapshot_then_they_are_the_same() -> None:
    accounts = Accounts()
    apply(accounts, new("a", price=48), amend("a", price=49), listed("", venue_order_id="x", price=47, at=11))
    again = Accounts.from_snapshot(accounts.to_snapshot())
    assert met(again, 40) == met(accounts, 40) == [(49, "a"), (47, "")]


def test_instrument_when_nothing_is_open_in_it_then_nothing_is_met_and_nothing_is_kept() -> None:
    accounts = Accounts()
    prices = accounts.exposures.own_prices
    assert prices.met_by(InstrumentId("tide:B"), Side.SELL, Price(1)) == ()
    apply(accounts, *WORKING, fill(size=10))
    prices.purge(MARKET)
    assert [*prices._buys, *prices._sells, *prices._counted] == []
