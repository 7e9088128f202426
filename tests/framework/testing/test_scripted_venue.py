"""The scripted venue fills by simple rules, and refuses, delays and loses what a test says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from framework.domain.account_events import Fill
from framework.domain.instruments import FeeModel, FeeSchedule, InstrumentStatus
from framework.domain.intents import CancelAll
from framework.domain.orders import OrderStatus, Side, TimeInForce
from framework.domain.rate_limits import Cost, Pool, RateLimits, RequestKind
from framework.domain.strategy import OrderHandle, Strategy
from framework.domain.verdicts import RefusalCode
from framework.testing import INSTRUMENT, ScriptedVenue, TradingHarness, fee_of

Terms = tuple[int, int, bool]


class Plain(Strategy[None]):
    """Does what the test does with its methods."""


@pytest.fixture
def harness() -> TradingHarness:
    return TradingHarness()


@pytest.fixture
def venue(harness: TradingHarness) -> ScriptedVenue:
    harness.venue.quote(bids=[("0.40", 10), ("0.39", 20)], asks=[("0.45", 20), ("0.44", 10)])
    return harness.venue


@pytest.fixture
def plain(harness: TradingHarness, venue: ScriptedVenue) -> Plain:
    return harness.add("plain", Plain)


def place(
    harness: TradingHarness, plain: Plain, price: str, size: int = 10, side: Side = Side.BUY, **terms: Any
) -> OrderHandle:
    return harness.call(plain.place, side, INSTRUMENT.id, INSTRUMENT.price(price), INSTRUMENT.size(size), **terms)


def status_of(handle: OrderHandle) -> OrderStatus:
    assert handle.order is not None
    return handle.order.status


def terms_of(fills: list[Fill]) -> list[Terms]:
    return [(fill.price, fill.size, fill.is_maker) for fill in fills]


# How orders fill.


def test_order_when_it_reaches_the_other_side_then_takes_the_depth_best_level_first_and_rests(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain
) -> None:
    handle = place(harness, plain, "0.45", 35)
    assert terms_of(venue.fills) == [(4_400, 1_000, False), (4_500, 2_000, False)]
    assert status_of(handle) is OrderStatus.PARTIALLY_FILLED
    book = plain.desk.book(INSTRUMENT.id)
    assert (book.bid, book.ask) == (4_000, None), "what was taken is gone"
    place(harness, plain, "0.45", 5)
    assert len(venue.fills) == 2


def test_order_when_immediate_or_cancel_then_takes_what_is_there_and_the_rest_is_cancelled(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain
) -> None:
    handle = place(harness, plain, "0.39", 40, Side.SELL, time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL)
    assert terms_of(venue.fills) == [(4_000, 1_000, False), (3_900, 2_000, False)]
    assert status_of(handle) is OrderStatus.CANCELLED
    assert harness.position("plain").size == -3_000


@pytest.mark.parametrize(("size", "status"), [(31, OrderStatus.CANCELLED), (30, OrderStatus.FILLED)])
def test_order_when_fill_or_kill_then_trades_whole_or_not_at_all(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain, size: int, status: OrderStatus
) -> None:
    handle = place(harness, plain, "0.45", size, time_in_force=TimeInForce.FILL_OR_KILL)
    assert status_of(handle) is status
    assert bool(venue.fills) is (status is OrderStatus.FILLED)


def test_order_when_post_only_and_crossing_then_rejected(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain
) -> None:
    handle = place(harness, plain, "0.44", post_only=True)
    assert handle.order is not None
    assert (handle.order.status, handle.order.reason) == (OrderStatus.REJECTED, "post_only")
    assert status_of(place(harness, plain, "0.43", post_only=True)) is OrderStatus.WORKING


def test_resting_order_when_a_quote_reaches_its_price_then_fills_as_maker_up_to_the_quoted_size(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain
) -> None:
    handle = place(harness, plain, "0.42", 10)
    venue.quote(bid="0.40", ask="0.42", size=4)
    assert terms_of(venue.fills) == [(4_200, 400, True)]
    assert plain.desk.book(INSTRUMENT.id).ask is None
    venue.quote(bid="0.38", asks=[("0.40", 2), ("0.41", 10)])
    assert terms_of(venue.fills)[1:] == [(4_200, 200, True), (4_200, 400, True)]
    assert status_of(handle) is OrderStatus.FILLED
    assert plain.desk.book(INSTRUMENT.id).ask_size == 600


def test_resting_orders_when_a_trade_prints_beyond_their_price_then_fill_best_first_and_not_at_it(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain
) -> None:
    low, high = place(harness, plain, "0.41", 5), place(harness, plain, "0.42", 5)
    ask = place(harness, plain, "0.43", 5, Side.SELL)
    venue.trade("0.42", 50, aggressor=Side.SELL)
    venue.trade("0.40", 50, aggressor=Side.BUY)
    assert venue.fills == []
    venue.trade("0.40", 7, aggressor=Side.SELL)
    assert [(fill.client_order_id, fill.price, fill.size) for fill in venue.fills] == [
        (high.client_order_id, 4_200, 500),
        (low.client_order_id, 4_100, 200),
    ]
    assert status_of(ask) is OrderStatus.WORKING


def test_amend_when_it_reaches_the_other_side_then_trades(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain
) -> None:
    handle = place(harness, plain, "0.40", 5)
    harness.call(handle.amend, INSTRUMENT.price("0.44"), INSTRUMENT.size(6))
    assert terms_of(venue.fills) == [(4_400, 600, False)]
    assert status_of(handle) is OrderStatus.FILLED


def test_fill_when_said_then_partial_whole_at_another_price_and_late(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain
) -> None:
    handle = place(harness, plain, "0.40", 10)
    venue.fill(handle, size="2.5", price="0.39", is_maker=False)
    assert handle.order is not None
    venue.fill(handle.order, size=1)
    harness.call(handle.cancel)
    assert status_of(handle) is OrderStatus.CANCELLED
    venue.fill(handle.client_order_id, size=1)
    assert terms_of(harness.recorder.fills) == [(3_900, 250, False), (4_000, 100, True), (4_000, 100, True)]
    assert harness.position("plain").size == 450
    venue.fill(handle, size=100)
    assert len(harness.recorder.alarms) == 1
    with pytest.raises(KeyError, match="nobody"):
        venue.fill("nobody")


def test_fills_when_many_come_in_one_instant_then_count_in_their_order(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain
) -> None:
    for number in range(1, 12):
        side, price = (Side.BUY, f"0.{10 + number}") if number % 2 else (Side.SELL, "0.80")
        venue.fill(place(harness, plain, price, 1, side))
    assert (harness.position("plain").size, harness.position("plain").cost) == (100, 100 * 2_100)


@pytest.mark.parametrize(
    ("fees", "is_maker", "fee"),
    [
        (FeeSchedule(FeeModel.PROPORTIONAL, "0.001", "0.0002"), False, 4_000),
        (FeeSchedule(FeeModel.PROPORTIONAL, "0.001", "-0.0002"), True, -800),
        (FeeSchedule(FeeModel.QUADRATIC, "0.07", "0"), False, 168_000),
        (FeeSchedule(FeeModel.QUADRATIC, "0.0000001", "0"), False, 1),
    ],
)
def test_fees_when_an_order_trades_then_follow_the_schedule_rounded_up(
    fees: FeeSchedule, is_maker: bool, fee: int
) -> None:
    instrument = msgspec.structs.replace(INSTRUMENT, fees=fees)
    assert fee_of(instrument, instrument.price("0.40"), instrument.size(10), is_maker=is_maker) == fee
    harness = TradingHarness(instruments=[instrument])
    plain = harness.add("plain", Plain)
    harness.venue.fill(place(harness, plain, "0.40"), is_maker=is_maker)
    assert harness.position("plain").fees == fee


# What becomes of requests.


def test_request_when_rejected_then_a_new_order_ends_and_an_old_one_stays(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain
) -> None:
    venue.reject_next("insufficient_balance", "have 3.00")
    handle = place(harness, plain, "0.40")
    assert handle.order is not None
    assert (handle.order.status, handle.order.reason) == (OrderStatus.REJECTED, "insufficient_balance: have 3.00")
    handle = place(harness, plain, "0.40")
    venue.reject_next("exchange_paused")
    harness.call(handle.amend, INSTRUMENT.price("0.41"), INSTRUMENT.size(3))
    assert handle.order is not None
    assert (handle.order.price, status_of(handle)) == (4_000, OrderStatus.WORKING)


def test_cancel_when_held_then_a_fill_comes_before_it(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain
) -> None:
    whole, part = place(harness, plain, "0.40"), place(harness, plain, "0.40")
    venue.hold()
    harness.call(whole.cancel)
    harness.call(part.cancel)
    assert status_of(whole) is OrderStatus.CANCEL_REQUESTED
    venue.fill(whole)
    venue.fill(part, size=4)
    harness.reconcile()
    assert status_of(part) is OrderStatus.CANCEL_REQUESTED, "a request under way is not looked up"
    venue.release()
    assert (status_of(whole), status_of(part)) == (OrderStatus.FILLED, OrderStatus.CANCELLED)
    assert harness.position("plain").size == 1_400


def test_new_order_when_held_then_sent_and_not_at_the_venue_until_released(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain
) -> None:
    venue.hold()
    handle = place(harness, plain, "0.40")
    harness.reconcile()
    assert status_of(handle) is OrderStatus.SENT
    with pytest.raises(KeyError, match="no order that practice has accepted"):
        venue.fill(handle)
    venue.release()
    assert status_of(handle) is OrderStatus.WORKING
    assert status_of(place(harness, plain, "0.40")) is OrderStatus.WORKING


@pytest.mark.parametrize(("reached", "status"), [(True, OrderStatus.FILLED), (False, OrderStatus.REJECTED)])
def test_new_order_when_its_answer_is_lost_then_unknown_until_it_is_looked_up(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain, reached: bool, status: OrderStatus
) -> None:
    venue.lose_next(reached=reached)
    handle = place(harness, plain, "0.44")
    assert status_of(handle) is OrderStatus.UNKNOWN
    assert harness.position("plain").size == 0
    harness.reconcile()
    assert status_of(handle) is status
    assert harness.position("plain").size == (1_000 if reached else 0)


@pytest.mark.parametrize("reached", [True, False])
def test_cancel_when_its_answer_is_lost_then_the_order_ends_after_a_look_up_in_any_case(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain, reached: bool
) -> None:
    handle = place(harness, plain, "0.40")
    venue.lose_next(reached=reached)
    harness.call(handle.cancel)
    assert status_of(handle) is OrderStatus.WORKING
    harness.reconcile()
    assert status_of(handle) is OrderStatus.CANCELLED
    assert len(venue.requests) == (2 if reached else 3)


@pytest.mark.parametrize(("reached", "price"), [(True, 4_100), (False, 4_000)])
def test_amend_when_its_answer_is_lost_then_a_look_up_shows_the_terms(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain, reached: bool, price: int
) -> None:
    handle = place(harness, plain, "0.40")
    venue.lose_next(reached=reached)
    harness.call(handle.amend, INSTRUMENT.price("0.41"), INSTRUMENT.size(3))
    harness.reconcile()
    assert handle.order is not None
    assert (handle.order.price, handle.order.amend_price, status_of(handle)) == (price, None, OrderStatus.WORKING)


def test_request_when_limited_then_the_order_ends_and_the_budget_is_empty() -> None:
    limits = RateLimits((Pool("write", 100, 10),), (Cost(RequestKind.NEW, "write", 10),))
    harness = TradingHarness(limits=limits)
    plain = harness.add("plain", Plain)
    harness.venue.limit_next()
    limited, waiting = place(harness, plain, "0.40"), place(harness, plain, "0.40")
    assert (status_of(limited), status_of(waiting)) == (OrderStatus.REJECTED, OrderStatus.RECORDED)
    harness.advance(ms=1_100)
    assert status_of(waiting) is OrderStatus.WORKING


def test_answers_when_scripted_then_used_in_their_order(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain
) -> None:
    venue.reject_next("first")
    venue.lose_next()
    handles = [place(harness, plain, "0.40") for _ in range(3)]
    assert [status_of(one) for one in handles] == [OrderStatus.REJECTED, OrderStatus.UNKNOWN, OrderStatus.WORKING]


def test_change_when_the_order_has_ended_at_the_venue_then_not_found(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain
) -> None:
    handle, other = place(harness, plain, "0.40"), place(harness, plain, "0.40")
    venue.disconnect()
    venue.fill(handle, size=10)
    venue.fill(other, size=5)
    harness.call(handle.cancel)
    assert status_of(handle) is OrderStatus.UNKNOWN
    venue.connect()
    assert (status_of(handle), status_of(other)) == (OrderStatus.FILLED, OrderStatus.PARTIALLY_FILLED)


def test_amend_when_more_has_traded_than_it_leaves_then_refused(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain
) -> None:
    handle = place(harness, plain, "0.40", 10)
    venue.hold()
    harness.call(handle.amend, INSTRUMENT.price("0.41"), INSTRUMENT.size(4))
    venue.fill(handle, size=5)
    venue.release()
    assert handle.order is not None
    assert (handle.order.price, handle.order.size, handle.order.filled) == (4_000, 1_000, 500)
    assert handle.is_open


def test_cancel_all_when_submitted_then_nothing_is_open(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain
) -> None:
    for price in ("0.40", "0.41"):
        place(harness, plain, price)
    harness.submit(CancelAll(strategy="plain", venue=INSTRUMENT.venue))
    assert harness.orders() == ()


# Streams and instruments.


def test_venue_when_disconnected_then_books_are_stale_orders_refused_and_what_was_missed_comes_later(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain
) -> None:
    handle = place(harness, plain, "0.40")
    venue.disconnect()
    assert not plain.desk.book(INSTRUMENT.id).is_fresh
    refusal = place(harness, plain, "0.40").refusal
    assert refusal is not None
    assert refusal.code is RefusalCode.VENUE_DOWN
    venue.fill(handle)
    venue.quote(bid="0.30", ask="0.34")
    assert harness.position("plain").size == 0
    venue.connect()
    book = plain.desk.book(INSTRUMENT.id)
    assert (book.is_fresh, book.bid, harness.position("plain").size) == (True, 3_000, 1_000)


@pytest.mark.parametrize(("status", "is_open"), [(InstrumentStatus.PAUSED, True), (InstrumentStatus.CLOSED, False)])
def test_instrument_when_its_status_changes_then_no_new_order_is_taken_and_an_end_ends_its_orders(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain, status: InstrumentStatus, is_open: bool
) -> None:
    handle = place(harness, plain, "0.40")
    venue.set_status(status)
    assert plain.desk.instrument(INSTRUMENT.id).status is status
    assert handle.is_open is is_open
    refused = place(harness, plain, "0.40").order
    assert refused is not None
    assert (refused.status, refused.reason) == (OrderStatus.REJECTED, "instrument_not_active")
    venue.set_status(InstrumentStatus.ACTIVE)
    assert status_of(place(harness, plain, "0.40")) is OrderStatus.WORKING


def test_instrument_when_settled_then_positions_are_paid_out_and_orders_end(
    harness: TradingHarness, venue: ScriptedVenue, plain: Plain
) -> None:
    venue.fill(place(harness, plain, "0.40"))
    handle = place(harness, plain, "0.30")
    venue.settle("1")
    assert not handle.is_open
    assert harness.position("plain").size == 0
    assert harness.profit_and_loss("plain").net == 1_000 * 6_000
