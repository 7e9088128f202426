"""Market orders, orders by amount and orders with a trigger: what is known of each, and when it has ended."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from framework.domain.account_events import OrderSnapshot, ReportKind
from framework.domain.numbers import Money, Price
from framework.domain.orders import Order, OrderKind, OrderStatus, TimeInForce, Trigger, TriggerKind
from framework.domain.verdicts import Approved
from framework.reconciliation.order_terms import differ
from framework.state.accounts import Accounts
from tests.support.state_records import MARKET, amend, apply, fill, listed, new, report, the_order

K, S = ReportKind, OrderStatus
TRIGGER = Trigger(TriggerKind.STOP, Price(40))


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


def asked(**terms: Any) -> Approved:
    approved = new()
    return msgspec.structs.replace(approved, intent=msgspec.structs.replace(approved.intent, **terms))


def by_amount(amount: int = 300) -> Approved:
    return asked(kind=OrderKind.MARKET, quote_amount=Money(amount), time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL)


def ended(reason: str = "", **facts: int) -> OrderSnapshot:
    return msgspec.structs.replace(listed(is_open=False, **facts), reason=reason)


def exposed(accounts: Accounts) -> int:
    return accounts.exposures.account(MARKET).open_buy


def test_order_when_approved_then_its_kind_trigger_and_amount_are_known(accounts: Accounts) -> None:
    apply(accounts, asked(kind=OrderKind.MARKET, trigger=TRIGGER, quote_amount=Money(300)))
    order: Order = the_order(accounts)
    assert (order.kind, order.trigger, order.quote_amount) == (OrderKind.MARKET, TRIGGER, 300)


def test_order_with_a_trigger_when_approved_then_all_of_it_counts_from_then_on(accounts: Accounts) -> None:
    apply(accounts, asked(trigger=TRIGGER))
    assert exposed(accounts) == 10
    apply(accounts, report(K.SENT), report(K.ACCEPTED), listed())
    assert (exposed(accounts), the_order(accounts).status) == (10, S.WORKING)


def test_order_by_amount_when_it_trades_then_its_size_counts_until_the_venue_says_that_it_has_ended(
    accounts: Accounts,
) -> None:
    change = apply(accounts, by_amount(), report(K.SENT), report(K.ACCEPTED), fill(size=6))
    assert (the_order(accounts).status, exposed(accounts), change.alarms) == (S.PARTIALLY_FILLED, 4, ())
    change = apply(accounts, ended(filled=6, size=6))
    assert (the_order(accounts).status, exposed(accounts), change.alarms) == (S.FILLED, 0, ())


def test_order_by_amount_when_its_end_comes_before_its_fills_then_it_is_ending_until_they_are_booked(
    accounts: Accounts,
) -> None:
    apply(accounts, by_amount(), report(K.SENT), report(K.ACCEPTED), ended(filled=6, size=6))
    assert (the_order(accounts).status, exposed(accounts)) == (S.ENDING, 6)
    change = apply(accounts, fill(size=6))
    assert (the_order(accounts).status, exposed(accounts), change.alarms) == (S.FILLED, 0, ())
    assert the_order(accounts).size == 10


@pytest.mark.parametrize(("facts", "reason"), [({"filled": 0}, ""), ({"filled": 6}, "nothing left to buy")])
def test_order_by_amount_when_it_ended_with_a_reason_or_without_a_trade_then_cancelled(
    accounts: Accounts, facts: dict[str, int], reason: str
) -> None:
    apply(accounts, by_amount(), report(K.SENT), *([fill(size=6)] if facts["filled"] else []), ended(reason, **facts))
    assert (the_order(accounts).status, exposed(accounts)) == (S.CANCELLED, 0)


def test_order_by_size_when_it_ended_with_less_then_cancelled(accounts: Accounts) -> None:
    apply(accounts, asked(kind=OrderKind.MARKET), report(K.SENT), fill(size=6), ended(filled=6))
    assert the_order(accounts).status is S.CANCELLED


def test_order_by_amount_when_more_trades_than_its_size_then_alarm_and_halt(accounts: Accounts) -> None:
    change = apply(accounts, by_amount(), report(K.SENT), report(K.ACCEPTED), fill(size=11))
    assert change.alarms
    assert change.halts == (MARKET,)


@pytest.mark.parametrize(("price", "size"), [(0, 10), (99, 10), (50, 0)])
def test_market_order_by_amount_when_the_venue_states_terms_then_price_and_size_stay_ours(
    accounts: Accounts, price: int, size: int
) -> None:
    stated = listed(price=price, size=size, at=20)
    apply(accounts, by_amount(), report(K.SENT), report(K.ACCEPTED, price=price, size=size), stated)
    order = the_order(accounts)
    assert (order.price, order.size, order.status) == (50, 10, S.WORKING)
    assert not differ(order, stated)


def test_stop_market_order_when_it_is_listed_without_a_price_then_its_worst_price_stays_and_its_size_is_the_venues(
    accounts: Accounts,
) -> None:
    apply(accounts, asked(kind=OrderKind.MARKET, trigger=TRIGGER), report(K.SENT), listed(price=0, size=8, at=20))
    assert (the_order(accounts).price, the_order(accounts).size) == (50, 8)
    assert differ(the_order(accounts), listed(price=0, size=7))
    apply(accounts, amend(price=55, size=8), report(K.AMENDED, price=0, size=8, at=30))
    assert (the_order(accounts).price, the_order(accounts).amend_price) == (55, None), "the amend's own"
