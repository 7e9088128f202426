"""Which terms of an order are the newest when the venue's clock was set back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.domain.account_events import OrderReport, ReportKind
from framework.domain.orders import OrderStatus
from framework.state.accounts import Accounts
from framework.state.orders.evidence import CODE_LISTED
from tests.support.state_records import MARKET, amend, apply, fill, listed, new, report, the_order

K, S = ReportKind, OrderStatus
AHEAD, NOW = 8_000, 1_000
"""The venue's time before and after its clock is set back."""


def amended(*, price: int = 50, size: int = 10, at: int, code: str = "") -> OrderReport:
    """The venue's yes to an amend, dated `at`."""
    return report(K.AMENDED, price=price, size=size, ts_venue=at, code=code)


@pytest.fixture
def accounts() -> Accounts:
    """An order of 10 at 50 that was listed while the venue's clock ran ahead."""
    accounts = Accounts()
    apply(accounts, new(), report(K.ACCEPTED, venue_order_id="v1"), listed(ts_venue=AHEAD))
    return accounts


def terms(accounts: Accounts) -> tuple[int, int]:
    return the_order(accounts).price, the_order(accounts).size


def test_amend_when_granted_after_the_clock_was_set_back_then_its_terms_hold(accounts: Accounts) -> None:
    apply(accounts, amend(price=51, size=15), amended(price=51, size=15, at=NOW))

    assert terms(accounts) == (51, 15)
    assert the_order(accounts).status is S.WORKING
    assert accounts.exposure(MARKET).open_buy == 15


def test_fills_when_within_terms_granted_after_the_step_then_nothing_alarms_but_beyond_them_they_do(
    accounts: Accounts,
) -> None:
    apply(accounts, amend(size=15), amended(size=15, at=NOW))

    assert not apply(accounts, fill("f1", size=15)).alarms
    assert the_order(accounts).status is S.FILLED
    change = apply(accounts, fill("f2", size=1))
    assert change.alarms
    assert change.halts == (MARKET,)


def test_fills_when_beyond_terms_made_smaller_after_the_step_then_they_alarm(accounts: Accounts) -> None:
    apply(accounts, amend(size=5), amended(size=5, at=NOW))

    assert apply(accounts, fill(size=6)).halts == (MARKET,)


def test_terms_when_what_was_stated_before_the_step_is_repeated_then_it_changes_nothing(accounts: Accounts) -> None:
    apply(accounts, amend(size=15), amended(size=15, at=NOW), listed(ts_venue=AHEAD), listed(ts_venue=AHEAD - 50))

    assert terms(accounts) == (50, 15)


def test_amends_when_several_come_before_the_clock_has_caught_up_then_each_holds(accounts: Accounts) -> None:
    for number, size in enumerate((15, 12, 10, 12), 1):
        apply(accounts, amend(size=size), amended(size=size, at=NOW + number))
        assert terms(accounts) == (50, size)


def test_terms_when_the_clock_has_caught_up_then_the_latest_date_holds_again(accounts: Accounts) -> None:
    apply(accounts, amend(size=15), amended(size=15, at=NOW))
    apply(accounts, listed(size=9, ts_venue=AHEAD + 1), listed(size=8, ts_venue=AHEAD))

    assert terms(accounts) == (50, 9)


def test_amend_when_a_listing_with_its_terms_has_a_date_from_before_the_step_then_it_is_not_proved(
    accounts: Accounts,
) -> None:
    apply(accounts, amend(size=15), amended(size=15, at=NOW), amend(size=10), listed(ts_venue=AHEAD))

    assert the_order(accounts).status is S.AMEND_REQUESTED
    assert accounts.exposure(MARKET).open_buy == 15


def test_amend_when_an_older_answer_of_other_terms_has_a_date_from_before_the_step_then_it_is_not_answered(
    accounts: Accounts,
) -> None:
    apply(accounts, amend(size=15), amended(size=15, at=NOW), amend(size=20), amended(size=12, at=AHEAD - 10))

    assert the_order(accounts).status is S.AMEND_REQUESTED
    assert accounts.exposure(MARKET).open_buy == 20


def test_answer_when_a_newer_statement_came_after_the_request_then_the_date_decides(accounts: Accounts) -> None:
    apply(accounts, amend(size=15), listed(size=7, ts_venue=AHEAD + 20), amended(size=15, at=AHEAD + 10))

    assert terms(accounts) == (50, 7)


@pytest.mark.parametrize("is_pending", [True, False])
def test_listing_when_reconciliation_says_that_it_is_the_newest_then_its_terms_hold_whatever_the_date(
    accounts: Accounts, is_pending: bool
) -> None:
    requests = [amend(size=15)] if is_pending else []
    apply(accounts, *requests, listed(size=15, ts_venue=NOW))
    assert the_order(accounts).size == 10

    apply(accounts, amended(size=15, at=NOW, code=CODE_LISTED))

    assert terms(accounts) == (50, 15)
    assert the_order(accounts).status is S.WORKING


def test_state_when_the_clock_only_goes_forward_then_no_step_is_found(accounts: Accounts) -> None:
    apply(accounts, amend(size=15), listed(size=15, filled=2, ts_venue=AHEAD + 20), amended(size=15, at=AHEAD + 10))

    assert accounts.orders.evidence(the_order(accounts)).stepped_ns == 0


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_terms_when_the_clock_steps_and_old_statements_repeat_then_the_last_granted_amend_holds(
    data: st.DataObject,
) -> None:
    accounts = Accounts()
    apply(accounts, new(), report(K.ACCEPTED, venue_order_id="v1"))
    now, stated = 10_000, [listed(ts_venue=10_000)]
    wanted = (50, 10)
    apply(accounts, *stated)
    for _ in range(data.draw(st.integers(1, 6))):
        now += data.draw(st.sampled_from([10, 10, -3_000, 5_000]))
        price, size = data.draw(st.sampled_from([(50, 10), (51, 15), (49, 12)]))
        if (price, size) == wanted:
            continue
        repeated = data.draw(st.lists(st.sampled_from(stated), max_size=3))
        apply(accounts, amend(price=price, size=size), amended(price=price, size=size, at=now))
        wanted = price, size
        stated.append(listed(price=price, size=size, ts_venue=now))
        apply(accounts, *repeated, stated[-1])
        assert terms(accounts) == wanted
