"""Orders: what facts do to them, how they are found, when they are forgotten."""

from __future__ import annotations

import msgspec
import pytest

from framework.domain.account_events import ReportKind
from framework.domain.instruments import InstrumentId
from framework.domain.orders import OrderStatus, Side
from framework.domain.verdicts import Approved
from framework.state.accounts import Accounts
from framework.state.change import Change
from framework.state.orders.index import Orders
from tests.support.state_records import (
    MARKET,
    VENUE,
    adopted,
    amend,
    apply,
    cancel,
    cancel_all,
    fill,
    listed,
    new,
    report,
    the_order,
)

K, S = ReportKind, OrderStatus


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


def test_approval_when_new_then_records_the_order_as_intended(accounts: Accounts) -> None:
    change = apply(accounts, new(price=42, size=7, side=Side.SELL))
    order = the_order(accounts)
    assert change.orders == (order,)
    assert (order.status, order.side, order.price, order.size) == (S.RECORDED, Side.SELL, 42, 7)
    assert (order.strategy, order.venue, order.created_ns) == ("maker", VENUE, 1)


def test_approval_when_the_id_was_used_then_alarms_and_keeps_the_first(accounts: Accounts) -> None:
    change = apply(accounts, new(price=42), new(price=43))
    assert change.alarms
    assert change.halts == (MARKET,)
    assert the_order(accounts).price == 42


def test_approval_when_it_names_no_known_order_then_alarms(accounts: Accounts) -> None:
    assert apply(accounts, cancel("nobody")).alarms


def test_report_when_it_holds_nothing_new_then_no_order_changes(accounts: Accounts) -> None:
    change = apply(accounts, new(), report(K.ACCEPTED), report(K.ACCEPTED))
    assert change == Change()


def test_report_when_the_order_is_unknown_then_alarms(accounts: Accounts) -> None:
    assert apply(accounts, report(K.CANCELLED, "nobody")).alarms


def test_report_when_the_client_id_belongs_to_another_venue_then_does_not_touch_it(accounts: Accounts) -> None:
    foreign = msgspec.structs.replace(report(K.CANCELLED), venue="ebb")
    assert apply(accounts, new(), foreign).alarms
    assert the_order(accounts).is_open


def test_rejection_when_reported_then_keeps_the_reason(accounts: Accounts) -> None:
    apply(accounts, new(), report(K.SENT), report(K.REJECTED, code="post_only_cross"))
    assert (the_order(accounts).status, the_order(accounts).reason) == (S.REJECTED, "post_only_cross")


def test_cancel_when_wanted_before_the_ack_then_shows_after_it(accounts: Accounts) -> None:
    apply(accounts, new(), report(K.SENT), cancel())
    assert (the_order(accounts).status, the_order(accounts).cancel_wanted) == (S.SENT, True)
    apply(accounts, report(K.ACCEPTED))
    assert the_order(accounts).status is S.CANCEL_REQUESTED


def test_cancel_all_when_approved_then_marks_every_open_order_of_the_venue(accounts: Accounts) -> None:
    change = apply(accounts, new("c1"), new("c2"), report(K.REJECTED, "c2"), new("c3"), cancel_all())
    assert [order.client_order_id for order in change.orders] == ["c1", "c3"]
    assert all(order.cancel_wanted for order in change.orders)


def test_cancel_when_refused_then_order_goes_on_working(accounts: Accounts) -> None:
    apply(accounts, new(), fill(size=4), cancel(), report(K.CANCEL_REFUSED, code="too_late"))
    order = the_order(accounts)
    assert (order.status, order.cancel_wanted, order.reason) == (S.PARTIALLY_FILLED, False, "too_late")


def test_cancel_when_not_found_then_order_is_unknown_and_its_exposure_stays(accounts: Accounts) -> None:
    apply(accounts, new(), report(K.ACCEPTED), cancel(), report(K.CANCEL_REFUSED, code="not_found", at=50))
    assert the_order(accounts).status is S.UNKNOWN
    assert accounts.exposure(MARKET).open_buy == 10
    apply(accounts, report(K.ACCEPTED, at=60))
    assert the_order(accounts).status is S.UNKNOWN, "an acknowledgement says nothing about what came after it"
    apply(accounts, listed(at=70))
    assert the_order(accounts).status is S.WORKING


def test_not_found_when_the_order_was_listed_later_then_it_works(accounts: Accounts) -> None:
    apply(accounts, new(), listed(at=70), cancel(), report(K.CANCEL_REFUSED, code="not_found", at=50))
    assert the_order(accounts).status is S.WORKING


def test_unknown_when_time_passes_then_stays_unknown_until_evidence(accounts: Accounts) -> None:
    apply(accounts, new(), report(K.SENT), report(K.UNKNOWN), report(K.UNKNOWN, at=10**15))
    assert the_order(accounts).status is S.UNKNOWN
    assert accounts.exposure(MARKET).open_buy == 10
    apply(accounts, report(K.NEVER_ARRIVED))
    assert the_order(accounts).status is S.REJECTED
    assert accounts.exposure(MARKET).open_buy == 0


def test_never_arrived_when_the_order_shows_up_after_all_then_it_lives_with_an_alarm(accounts: Accounts) -> None:
    change = apply(accounts, new(), report(K.UNKNOWN), report(K.NEVER_ARRIVED), fill(size=4))
    assert the_order(accounts).status is S.PARTIALLY_FILLED
    assert change.alarms
    assert change.halts == (MARKET,)
    assert accounts.exposure(MARKET).open_buy == 6
    assert accounts.orders.open() == (the_order(accounts),)


def test_not_sent_when_the_outcome_was_ambiguous_then_proves_nothing(accounts: Accounts) -> None:
    change = apply(accounts, new(), report(K.UNKNOWN), report(K.NOT_SENT))
    assert the_order(accounts).status is S.UNKNOWN
    assert change.alarms


def test_fill_when_before_the_ack_then_implies_acceptance(accounts: Accounts) -> None:
    change = apply(accounts, new(), report(K.SENT), fill(size=4, fee=2, venue_order_id="v7"))
    order = the_order(accounts)
    assert (order.status, order.filled, order.fees, order.venue_order_id) == (S.PARTIALLY_FILLED, 4, 2, "v7")
    assert [one.fill_id for one in change.fills] == ["f1"]


def test_fill_when_late_on_a_cancelled_order_then_is_booked_and_may_complete_it(accounts: Accounts) -> None:
    apply(accounts, new(), report(K.ACCEPTED), report(K.CANCELLED), fill("f1", size=4))
    assert (the_order(accounts).status, the_order(accounts).filled) == (S.CANCELLED, 4)
    change = apply(accounts, fill("f2", size=6))
    assert (the_order(accounts).status, the_order(accounts).filled) == (S.FILLED, 10)
    assert not change.alarms


def test_fill_when_beyond_the_size_then_is_booked_and_alarmed(accounts: Accounts) -> None:
    change = apply(accounts, new(), fill("f1", size=9), fill("f2", size=3))
    assert (the_order(accounts).status, the_order(accounts).filled) == (S.FILLED, 12)
    assert change.alarms
    assert change.halts == (MARKET,)
    assert accounts.exposure(MARKET).position == 12
    assert accounts.exposure(MARKET).open_buy == 0


def test_fill_when_of_another_side_than_the_order_then_alarms(accounts: Accounts) -> None:
    change = apply(accounts, new(), fill(size=3, side=Side.SELL))
    assert change.halts == (MARKET,)
    assert accounts.exposure(MARKET).position == -3


def test_venue_when_it_states_more_filled_than_is_booked_then_fills_are_awaited(accounts: Accounts) -> None:
    apply(accounts, new(), report(K.ACCEPTED), report(K.CANCELLED, filled=7))
    assert the_order(accounts).status is S.ENDING
    assert accounts.orders.awaiting_fills() == (the_order(accounts),)
    assert accounts.exposure(MARKET).open_buy == 7, "what traded and is not booked yet still counts"
    apply(accounts, fill("f1", size=7))
    assert the_order(accounts).status is S.CANCELLED
    assert accounts.orders.awaiting_fills() == ()
    assert (accounts.exposure(MARKET).position, accounts.exposure(MARKET).open_buy) == (7, 0)


def test_order_when_the_venue_states_all_filled_then_it_ends_once_its_fills_are_booked(accounts: Accounts) -> None:
    apply(accounts, new(), report(K.ACCEPTED, filled=10))
    assert (the_order(accounts).status, the_order(accounts).filled) == (S.ENDING, 0)
    assert (accounts.exposure(MARKET).open_buy, accounts.exposure(MARKET).open_orders) == (10, 1)
    apply(accounts, fill("f1", size=4))
    assert (the_order(accounts).status, accounts.exposure(MARKET).open_buy) == (S.ENDING, 6)
    apply(accounts, fill("f2", size=6))
    assert (the_order(accounts).status, the_order(accounts).filled) == (S.FILLED, 10)
    assert (accounts.exposure(MARKET).position, accounts.exposure(MARKET).open_buy) == (10, 0)


def test_order_when_its_stated_fills_are_not_listed_then_it_ends_with_an_alarm_and_they_stay_reserved(
    accounts: Accounts,
) -> None:
    apply(accounts, new(), report(K.ACCEPTED, filled=10))
    change = accounts.apply(report(K.FILLS_MISSING), 2)
    assert change.alarms
    assert change.halts == (MARKET,)
    assert (the_order(accounts).status, accounts.exposure(MARKET).open_buy) == (S.FILLED, 10)
    again = Accounts.from_snapshot(accounts.to_snapshot())
    assert the_order(again).status is S.FILLED
    apply(accounts, fill("f1", size=10))
    assert (accounts.exposure(MARKET).position, accounts.exposure(MARKET).open_buy) == (10, 0)


def test_order_when_a_listing_waited_for_its_id_then_its_end_and_what_was_filled_become_known_together(
    accounts: Accounts,
) -> None:
    apply(accounts, new(), report(K.SENT), listed("", is_open=False, filled=2, venue_order_id="v1"))
    apply(accounts, report(K.CANCELLED, venue_order_id="v1"))
    assert (the_order(accounts).status, accounts.exposure(MARKET).open_buy) == (S.ENDING, 2)
    apply(accounts, fill("f1", size=2))
    assert (the_order(accounts).status, the_order(accounts).filled) == (S.CANCELLED, 2)


def test_order_when_more_is_stated_as_filled_after_its_end_then_the_end_stays_until_the_fills_come(
    accounts: Accounts,
) -> None:
    apply(accounts, new(), report(K.ACCEPTED), report(K.CANCELLED), listed(is_open=False, filled=10))
    assert (the_order(accounts).status, accounts.exposure(MARKET).open_buy) == (S.CANCELLED, 10)
    apply(accounts, fill("f1", size=10))
    assert the_order(accounts).status is S.FILLED


def test_amend_when_unanswered_then_the_worse_of_both_sizes_counts(accounts: Accounts) -> None:
    apply(accounts, new(), report(K.ACCEPTED), amend(price=51, size=15))
    assert the_order(accounts).status is S.AMEND_REQUESTED
    assert accounts.exposure(MARKET).open_buy == 15
    apply(accounts, report(K.AMEND_REFUSED))
    assert (the_order(accounts).status, accounts.exposure(MARKET).open_buy) == (S.WORKING, 10)
    apply(accounts, amend(price=51, size=5))
    assert accounts.exposure(MARKET).open_buy == 10
    apply(accounts, report(K.AMENDED))
    order = the_order(accounts)
    assert (order.status, order.price, order.size, order.amend_price) == (S.WORKING, 51, 5, None)
    assert accounts.exposure(MARKET).open_buy == 5


def test_amend_when_the_old_size_fills_first_then_order_is_not_filled_yet(accounts: Accounts) -> None:
    apply(accounts, new(), report(K.ACCEPTED), amend(size=15), fill(size=10))
    assert the_order(accounts).status is S.AMEND_REQUESTED
    apply(accounts, report(K.AMEND_REFUSED))
    assert the_order(accounts).status is S.FILLED


def test_amend_when_a_listing_shows_its_terms_then_is_proved(accounts: Accounts) -> None:
    apply(accounts, new(), report(K.ACCEPTED), amend(price=51, size=15), listed(at=20))
    assert the_order(accounts).status is S.AMEND_REQUESTED, "the old terms prove nothing: the listing may be older"
    apply(accounts, listed(price=51, size=15, at=30))
    assert (the_order(accounts).status, the_order(accounts).size) == (S.WORKING, 15)


def test_amend_when_an_older_answer_comes_again_then_the_newer_request_stays(accounts: Accounts) -> None:
    first = report(K.AMENDED, size=12, price=50, at=20)
    apply(accounts, new(), report(K.ACCEPTED), amend(size=12), first, amend(size=20), first)
    assert the_order(accounts).status is S.AMEND_REQUESTED
    assert accounts.exposure(MARKET).open_buy == 20


def test_amend_when_asked_twice_then_alarms_and_counts_the_worst(accounts: Accounts) -> None:
    change = apply(accounts, new(), report(K.ACCEPTED), amend(size=20), amend(size=12))
    assert change.alarms
    assert accounts.exposure(MARKET).open_buy == 20


def test_terms_when_an_older_listing_comes_later_then_the_newest_statement_holds(accounts: Accounts) -> None:
    apply(accounts, new(), listed(size=8, ts_venue=30, at=40), listed(size=10, ts_venue=20, at=50))
    assert the_order(accounts).size == 8


def test_listing_when_it_contradicts_the_order_then_alarms(accounts: Accounts) -> None:
    assert apply(accounts, new(), listed(side=Side.SELL)).halts == (MARKET,)


def test_venue_id_when_a_second_one_appears_then_alarms_but_after_an_amend_it_is_a_rename(accounts: Accounts) -> None:
    change = apply(accounts, new(), report(K.ACCEPTED, venue_order_id="v1"), report(K.ACCEPTED, venue_order_id="v2"))
    assert "two orders" in change.alarms[0]
    assert accounts.orders.by_venue_id(VENUE, "v2") is the_order(accounts)
    renamed = Accounts()
    change = apply(renamed, new(), report(K.ACCEPTED, venue_order_id="v1"), amend(size=12))
    change = apply(renamed, listed(venue_order_id="v2", size=12), report(K.AMENDED, venue_order_id="v2"))
    assert not change.alarms
    assert the_order(renamed).venue_order_id == "v2"
    assert renamed.orders.by_venue_id(VENUE, "v1") is the_order(renamed)


def test_facts_when_they_know_only_the_venue_id_then_wait_for_the_order(accounts: Accounts) -> None:
    change = apply(accounts, new(), fill("f1", name="", size=4), report(K.CANCELLED, "", venue_order_id="v1", filled=4))
    assert (the_order(accounts).filled, the_order(accounts).status) == (0, S.RECORDED)
    assert accounts.exposure(MARKET).position == 4
    assert accounts.strategy_exposure("maker", MARKET).position == 0
    change = apply(accounts, report(K.ACCEPTED, venue_order_id="v1"))
    assert (the_order(accounts).filled, the_order(accounts).status) == (4, S.CANCELLED)
    assert [one.client_order_id for one in change.fills] == ["c1"]
    assert accounts.strategy_exposure("maker", MARKET).position == 4


def test_fill_when_unmatched_and_reported_again_then_is_shown_once(accounts: Accounts) -> None:
    change = apply(accounts, new(), fill("f1", name="", size=4))
    assert (len(change.unattributed), change.fills) == (1, ())
    assert apply(accounts, fill("f1", name="", size=4)) == Change()
    assert len(apply(accounts, fill("f1", name="c1", size=4)).fills) == 1
    assert apply(accounts, report(K.ACCEPTED, venue_order_id="v1")).fills == ()
    assert the_order(accounts).filled == 4


def test_external_order_when_listed_then_is_shown_until_it_ends_or_is_adopted(accounts: Accounts) -> None:
    apply(accounts, listed("", venue_order_id="v1"), listed("", venue_order_id="v2"))
    assert [one.venue_order_id for one in accounts.external_orders(VENUE)] == ["v1", "v2"]
    apply(accounts, listed("", venue_order_id="v2", is_open=False), adopted())
    assert accounts.external_orders(VENUE) == ()


def test_adoption_when_unknown_then_order_works_and_takes_its_fills(accounts: Accounts) -> None:
    change = apply(accounts, fill("f1", name="", size=4), adopted(filled=4))
    order = accounts.orders.by_venue_id(VENUE, "v1")
    assert order is not None
    assert (order.client_order_id, order.status, order.filled) == ("tide/v1", S.PARTIALLY_FILLED, 4)
    assert [one.client_order_id for one in change.fills] == ["tide/v1"]
    assert accounts.exposure(MARKET).open_buy == 6


def test_adoption_when_given_to_a_strategy_later_then_its_fills_and_exposure_move(accounts: Accounts) -> None:
    apply(accounts, adopted(), fill("f1", name="", size=4), adopted(strategy="maker"))
    assert accounts.strategy_exposure("maker", MARKET).position == 4
    assert accounts.strategy_exposure("maker", MARKET).open_buy == 6
    assert accounts.strategy_exposure("", MARKET).position == 0
    assert accounts.strategy_exposure("", MARKET).open_orders == 0
    assert [order.strategy for order in accounts.orders.open(strategy="maker")] == ["maker"]
    assert accounts.orders.open(strategy="") == accounts.orders.open()
    assert accounts.exposure(MARKET).position == 4


def test_adoption_when_the_order_is_ours_already_then_nothing_changes(accounts: Accounts) -> None:
    apply(accounts, new(), report(K.ACCEPTED, venue_order_id="v1"))
    assert apply(accounts, adopted(strategy="maker", client_order_id="c1")) == Change()


def test_open_orders_when_asked_by_place_then_come_oldest_first(accounts: Accounts) -> None:
    apply(accounts, new("c2"), new("c1", strategy="taker"), new("c3"), report(K.REJECTED, "c3"))
    names = [order.client_order_id for order in accounts.orders.open()]
    assert names == ["c2", "c1"]
    assert [one.client_order_id for one in accounts.orders.open(strategy="taker")] == ["c1"]
    assert accounts.orders.open(instrument=InstrumentId("tide:B")) == ()
    assert accounts.orders.open(venue="ebb") == ()
    assert accounts.orders.open_count() == 2
    assert accounts.orders.open_count(strategy="maker") == 1
    assert accounts.orders.open_count(venue=VENUE) == 2
    assert accounts.orders.open_count(strategy="maker", venue="ebb") == 0


def test_ended_orders_when_too_many_then_the_oldest_go_but_not_those_that_await_fills() -> None:
    accounts = Accounts()
    accounts.orders = Orders(accounts.exposures, ended_kept_max=2)
    accounts._wire()
    approvals: list[Approved] = [new(f"c{number}") for number in range(4)]
    apply(accounts, *approvals, report(K.CANCELLED, "c0", filled=3), report(K.FILLS_MISSING, "c0"))
    apply(accounts, *(report(K.CANCELLED, f"c{number}", venue_order_id=f"v{number}") for number in (1, 2, 3)))
    kept = [accounts.orders.get(f"c{number}") is not None for number in range(4)]
    assert kept == [True, False, False, True]
    assert accounts.orders.by_venue_id(VENUE, "v1") is None
    assert accounts.orders.by_venue_id(VENUE, "v3") is not None


def test_order_when_it_was_sent_then_the_digest_of_its_last_bytes_is_kept_and_those_of_changes_are_not(
    accounts: Accounts,
) -> None:
    sent = [msgspec.structs.replace(report(K.SENT), detail=digest) for digest in ("a1", "a2", "c1")]
    apply(accounts, new(), sent[0], sent[1], report(K.ACCEPTED, venue_order_id="v1"), cancel(), sent[2])
    assert the_order(accounts).sent_as == "a2"
    assert the_order(Accounts.from_snapshot(accounts.to_snapshot())).sent_as == "a2"


def test_cancel_when_the_venue_has_taken_it_then_it_counts_as_requested_whoever_asked(accounts: Accounts) -> None:
    apply(accounts, new(), report(K.ACCEPTED, venue_order_id="v1"), cancel(), report(K.CANCEL_REFUSED, code="restart"))
    assert the_order(accounts).status is S.WORKING
    apply(accounts, msgspec.structs.replace(listed(at=20), is_cancelling=True))
    assert the_order(accounts).status is S.CANCEL_REQUESTED
    assert the_order(accounts).remaining == 10


def test_venue_id_when_the_venue_gives_it_to_two_orders_then_the_first_keeps_it_with_one_alarm(
    accounts: Accounts,
) -> None:
    first, second = (report(K.ACCEPTED, name, venue_order_id="v1") for name in ("c1", "c2"))
    change = apply(accounts, new("c1"), new("c2"), first, second)

    assert change.alarms == ("c2: the venue names it v1, like c1",)
    assert change.halts == (MARKET,)
    assert apply(accounts, second).alarms == ()
    again = Accounts.from_snapshot(accounts.to_snapshot())
    for one in (accounts, again):
        holder = one.orders.by_venue_id(VENUE, "v1")
        assert holder is not None
        assert holder.client_order_id == "c1"
