"""Market orders, orders by amount and triggers at the scripted venue, from a hook to the order's end."""

from __future__ import annotations

from typing import Any

import pytest

from framework.domain.numbers import Money, Price
from framework.domain.orders import OrderKind, OrderStatus, Outcome, Side, TimeInForce, Trigger, TriggerBy, TriggerKind
from framework.domain.strategy import OrderHandle, Strategy
from framework.domain.terms import VenueTerms
from framework.domain.verdicts import RefusalCode
from framework.testing import INSTRUMENT, VENUE, TradingHarness

EVERYTHING = VenueTerms(order_kinds=tuple(OrderKind), triggers=tuple(TriggerKind), quote_amounts=True)
S, MARKET = OrderStatus, OrderKind.MARKET


class Plain(Strategy[None]):
    """Does what the test does with its methods."""


@pytest.fixture
def harness() -> TradingHarness:
    harness = TradingHarness(terms=EVERYTHING)
    harness.add("plain", Plain)
    harness.venue.quote(bids=[("0.40", 10), ("0.39", 20)], asks=[("0.45", 20), ("0.44", 10)])
    return harness


def ask(harness: TradingHarness, side: Side, price: str, size: int = 15, **terms: Any) -> OrderHandle:
    place = harness.strategies["plain"].place
    return harness.call(place, side, INSTRUMENT.id, INSTRUMENT.price(price), INSTRUMENT.size(size), **terms)


def state(handle: OrderHandle) -> tuple[OrderStatus, str]:
    assert handle.order is not None, handle.refusal
    return handle.order.status, INSTRUMENT.size_text(handle.order.filled)


def trigger(kind: TriggerKind, price: str, by: TriggerBy = TriggerBy.LAST) -> Trigger:
    return Trigger(kind, INSTRUMENT.price(price), by)


def test_market_order_when_the_depth_within_its_worst_price_suffices_then_it_is_filled(harness: TradingHarness) -> None:
    handle = ask(harness, Side.BUY, "0.45", kind=MARKET)
    assert state(handle) == (S.FILLED, "15.00")
    assert [INSTRUMENT.price_text(fill.price) for fill in harness.recorder.fills] == ["0.4400", "0.4500"]


def test_market_order_when_the_market_is_beyond_its_worst_price_then_the_rest_ends(harness: TradingHarness) -> None:
    handle = ask(harness, Side.BUY, "0.44", kind=MARKET)
    assert state(handle) == (S.CANCELLED, "10.00")
    assert harness.orders() == ()


def test_market_order_when_it_is_to_fill_or_kill_and_can_not_then_nothing_trades(harness: TradingHarness) -> None:
    handle = ask(harness, Side.BUY, "0.44", kind=MARKET, time_in_force=TimeInForce.FILL_OR_KILL)
    assert state(handle) == (S.CANCELLED, "0.00")


def test_order_by_amount_when_it_trades_then_whole_lots_until_the_amount_is_spent_and_ends_as_filled(
    harness: TradingHarness,
) -> None:
    # 10 at 0.44 are 4.40; of the 1.00 that is left 0.45 buys 2.22.
    handle = ask(harness, Side.BUY, "0.45", kind=MARKET, quote_amount=Money(5_400_000))
    assert state(handle) == (S.FILLED, "12.22")
    assert harness.recorder.alarms == []
    assert harness.call(harness.strategies["plain"].desk.exposure, INSTRUMENT.id).open_buy == 0


def test_order_by_amount_when_the_depth_ends_first_then_it_ends_as_cancelled(harness: TradingHarness) -> None:
    handle = ask(harness, Side.SELL, "0.40", kind=MARKET, quote_amount=Money(5_000_000))
    assert state(handle) == (S.CANCELLED, "10.00")


@pytest.mark.parametrize(
    ("side", "kind", "at", "before", "then"),
    [
        (Side.SELL, TriggerKind.STOP, "0.41", "0.42", "0.41"),
        (Side.BUY, TriggerKind.STOP, "0.44", "0.43", "0.45"),
        (Side.SELL, TriggerKind.TAKE_PROFIT, "0.43", "0.42", "0.43"),
        (Side.BUY, TriggerKind.TAKE_PROFIT, "0.42", "0.43", "0.41"),
    ],
)
def test_trigger_when_a_trade_reaches_its_price_then_the_order_goes_to_the_book(
    harness: TradingHarness, side: Side, kind: TriggerKind, at: str, before: str, then: str
) -> None:
    worst = "0.45" if side is Side.BUY else "0.39"
    handle = ask(harness, side, worst, 10, kind=MARKET, trigger=trigger(kind, at))
    harness.venue.trade(before, aggressor=Side.BUY)
    assert state(handle) == (S.WORKING, "0.00"), "its price crosses the book, and it waits outside of it"
    harness.venue.trade(then, aggressor=Side.SELL)
    assert state(handle) == (S.FILLED, "10.00")


def test_trigger_by_mark_when_the_mid_of_a_quote_gets_there_then_a_limit_order_rests(harness: TradingHarness) -> None:
    stop = trigger(TriggerKind.STOP, "0.35", TriggerBy.MARK)
    handle = ask(harness, Side.SELL, "0.36", 10, trigger=stop)
    harness.venue.trade("0.30", aggressor=Side.SELL)
    harness.venue.quote(bid="0.35", ask="0.36")
    assert state(handle) == (S.WORKING, "0.00")
    harness.venue.quote(bid="0.34", ask="0.36")
    harness.venue.trade("0.37", 4, aggressor=Side.BUY)
    assert state(handle) == (S.PARTIALLY_FILLED, "4.00")


def test_trigger_when_its_order_is_cancelled_then_no_price_brings_it_back(harness: TradingHarness) -> None:
    handle = ask(harness, Side.SELL, "0.39", 10, trigger=trigger(TriggerKind.STOP, "0.41"))
    harness.call(handle.cancel)
    harness.venue.trade("0.10", aggressor=Side.SELL)
    assert state(handle) == (S.CANCELLED, "0.00")


def test_order_for_no_when_it_has_a_trigger_then_both_prices_become_those_for_yes(harness: TradingHarness) -> None:
    stop = trigger(TriggerKind.STOP, "0.70")
    handle = ask(harness, Side.BUY, "0.75", 10, trigger=stop, outcome=Outcome.NO)
    assert handle.order is not None
    assert (handle.order.side, handle.order.price) == (Side.SELL, INSTRUMENT.price("0.25"))
    assert handle.order.trigger == trigger(TriggerKind.STOP, "0.30")
    with pytest.raises(ValueError, match="quote_amount"):
        ask(harness, Side.BUY, "0.75", kind=MARKET, quote_amount=Money(1), outcome=Outcome.NO)


def test_terms_when_a_venue_offers_less_from_now_on_then_the_strategy_sees_it_and_is_refused(
    harness: TradingHarness,
) -> None:
    desk = harness.strategies["plain"].desk
    assert desk.terms(VENUE) == EVERYTHING
    harness.venue.offer(VenueTerms(post_only=False))
    assert desk.terms(VENUE) == VenueTerms(post_only=False)
    refusal = ask(harness, Side.BUY, "0.40", post_only=True).refusal
    assert refusal is not None
    assert (refusal.code, refusal.check, refusal.detail) == (
        RefusalCode.NOT_OFFERED,
        "gate",
        "post_only=true offered=false",
    )
    assert desk.terms("nowhere") == VenueTerms()


def test_order_when_a_term_is_misspelt_then_it_is_an_error_and_not_left_out(harness: TradingHarness) -> None:
    with pytest.raises(TypeError, match="post_onyl"):
        ask(harness, Side.BUY, "0.40", post_onyl=True)


def test_restart_when_orders_of_each_kind_are_open_then_they_are_known_as_before(harness: TradingHarness) -> None:
    stop = trigger(TriggerKind.STOP, "0.41")
    name = ask(
        harness, Side.SELL, "0.39", 10, kind=MARKET, trigger=stop, quote_amount=Money(Price(39_000))
    ).client_order_id
    harness.restart()
    order = harness.orders()[0]
    assert (order.client_order_id, order.kind, order.trigger, order.quote_amount) == (name, MARKET, stop, 39_000)
