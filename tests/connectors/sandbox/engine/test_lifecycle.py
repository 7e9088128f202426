"""Markets open, close, are determined and paid; orders expire; operators pause and resume."""

from typing import Any

import pytest

from connectors.sandbox.engine.events import MarketLifecycle, OrderChange, SettlementEvent
from connectors.sandbox.engine.model import MarketSpec, Rejection
from tests.connectors.sandbox.engine.venue import DOLLAR, START_NS, Venue

SECOND_NS = 1_000_000_000


@pytest.fixture
def timed() -> Venue:
    return Venue(
        MarketSpec(
            market_id="M", open_ns=START_NS + 10 * SECOND_NS, close_ns=START_NS + 20 * SECOND_NS, settle_value=10_000
        )
    )


def test_market_when_not_open_yet_then_orders_are_refused(timed: Venue) -> None:
    assert timed.refusal("A", "bid", 50, 1) == "market_not_open"


def test_market_when_its_times_come_then_it_opens_closes_is_determined_and_paid(timed: Venue) -> None:
    timed.exchange.advance(timed.tick(10_000))
    timed.order("A", "ask", 40, 10)
    timed.order("B", "bid", 40, 10)
    resting = timed.order("C", "bid", 30, 1)
    timed.exchange.drain()
    timed.exchange.advance(timed.tick(60_000))
    market = timed.exchange.state.markets["M"]
    assert (market.status, market.result, market.open_interest) == ("finalized", "yes", 0)
    assert (resting.status, resting.reason) == ("ended", "closed")
    assert timed.exchange.state.accounts["B"].position("M").realized == 6 * DOLLAR
    timed.assert_sound()


def test_market_when_its_times_come_then_each_event_bears_its_own_time(timed: Venue) -> None:
    timed.exchange.advance(START_NS + 60 * SECOND_NS)
    seen = [(event.kind, (event.ns - START_NS) // SECOND_NS) for event in timed.events(MarketLifecycle)]
    assert seen == [("created", 0), ("opened", 10), ("closed", 20), ("determined", 25), ("settled", 35)]


def test_market_when_closed_then_even_cancels_are_refused(venue: Venue) -> None:
    order = venue.order("A", "bid", 50, 1)
    venue.exchange.set_market("M", "close", now_ns=venue.tick())
    assert venue.cancel(order) == Rejection("market_closed")
    assert venue.refusal("A", "bid", 50, 1) == "market_closed"
    assert venue.exchange.cancel_all("A", venue.tick()) == []
    assert order.status == "open"
    venue.exchange.advance(venue.tick(2_000))
    assert (order.status, order.reason) == ("ended", "closed")


@pytest.mark.parametrize(("value", "result", "paid_yes"), [(10_000, "yes", 10), (0, "no", 0), (2_500, "scalar", 2.5)])
def test_settlement_when_paid_then_yes_gets_the_value_and_no_the_rest(
    venue: Venue, value: int, result: str, paid_yes: float
) -> None:
    venue.order("A", "ask", 40, 10)
    venue.order("B", "bid", 40, 10)
    before = {account: venue.available(account) for account in "AB"}
    assert venue.exchange.set_market("M", "settle", now_ns=venue.tick(), value=value) is None
    assert venue.exchange.state.markets["M"].result == result
    assert venue.available("B") - before["B"] == paid_yes * DOLLAR
    assert venue.available("A") - before["A"] == (10 - paid_yes) * DOLLAR
    (yes, no) = sorted((event.settlement for event in venue.events(SettlementEvent)), key=lambda s: -s.net)
    assert (yes.net, yes.cost, no.net, no.cost) == (1000, 4 * DOLLAR, -1000, 6 * DOLLAR)
    venue.assert_sound()


def test_settlement_when_no_value_is_fixed_then_the_fair_value_decides_as_a_chance(venue: Venue) -> None:
    venue.exchange.outcomes["M"] = 10_000
    venue.exchange.set_market("M", "determine", now_ns=venue.tick())
    assert venue.exchange.state.markets["M"].result == "yes"


def test_order_when_its_expiration_comes_then_it_is_canceled_at_that_time(venue: Venue) -> None:
    order = venue.order("A", "bid", 50, 1, expiration_ns=venue.now_ns + 500_000_000)
    venue.exchange.advance(venue.tick(400))
    assert order.status == "open"
    venue.exchange.drain()
    venue.exchange.advance(venue.tick(400))
    (change,) = venue.events(OrderChange)
    assert (change.order.status, change.order.reason, change.ns) == ("ended", "expired", order.expiration_ns)
    assert venue.available("A") == 1_000 * DOLLAR


def test_order_when_expired_then_a_later_taker_cannot_hit_it(venue: Venue) -> None:
    venue.order("A", "bid", 50, 1, expiration_ns=venue.now_ns + 500_000_000)
    venue.tick(1_000)
    assert venue.fills("B", "ask", 50, 1, tif="ioc") == []


def test_trading_pause_when_in_force_then_cancels_pass_and_entries_do_not(venue: Venue) -> None:
    order = venue.order("A", "bid", 50, 1)
    marked = venue.order("A", "bid", 49, 1, cancel_on_pause=True)
    venue.exchange.set_phase("trading_paused", venue.tick())
    assert (marked.status, marked.reason) == ("ended", "halted")
    assert venue.refusal("A", "bid", 50, 1) == "trading_paused"
    assert venue.amend(order, 48, 1) == Rejection("trading_paused")
    assert not isinstance(venue.cancel(order), Rejection)
    venue.exchange.set_phase("open", venue.tick())
    assert venue.order("A", "bid", 50, 1).status == "open"


def test_exchange_pause_when_in_force_then_nothing_passes(venue: Venue) -> None:
    order = venue.order("A", "bid", 50, 1)
    venue.exchange.set_phase("exchange_paused", venue.tick())
    assert venue.refusal("A", "bid", 50, 1) == "exchange_paused"
    assert venue.cancel(order) == Rejection("exchange_paused")
    assert venue.amend(order, 48, 1) == Rejection("exchange_paused")
    assert venue.exchange.cancel_all("A", venue.tick()) == []
    assert venue.exchange.cancel("A", "nothing", now_ns=venue.tick()) == Rejection("exchange_paused")
    assert order.status == "open"


def test_market_when_closed_before_it_opened_then_it_does_not_open(timed: Venue) -> None:
    timed.exchange.set_market("M", "close", now_ns=timed.tick())
    timed.exchange.advance(timed.tick(10_000))
    assert "opened" not in [event.kind for event in timed.events(MarketLifecycle)]
    assert timed.refusal("A", "bid", 50, 1) == "market_closed"


def test_market_when_paused_and_resumed_then_everything_that_rested_is_canceled(venue: Venue) -> None:
    order = venue.order("A", "bid", 50, 1)
    venue.exchange.set_market("M", "pause", now_ns=venue.tick())
    assert venue.refusal("A", "bid", 50, 1) == "trading_paused"
    assert order.status == "open"
    venue.exchange.set_market("M", "resume", now_ns=venue.tick())
    assert (order.status, order.reason) == ("ended", "halted")
    kinds = [event.kind for event in venue.events(MarketLifecycle)]
    assert kinds == ["created", "opened", "deactivated", "activated"]


def test_market_when_closed_early_then_the_new_close_is_published(venue: Venue) -> None:
    venue.exchange.set_market("M", "close", now_ns=venue.tick())
    kinds = [event.kind for event in venue.events(MarketLifecycle)]
    assert kinds == ["created", "opened", "close_date_updated", "closed"]
    assert venue.exchange.state.markets["M"].close_ns == venue.now_ns


@pytest.mark.parametrize(
    ("market_id", "act", "value", "code"),
    [
        ("X", "pause", None, "market_not_found"),
        ("M", "resume", None, "invalid_request"),
        ("M", "settle", 10_001, "invalid_request"),
    ],
)
def test_operator_when_asking_the_impossible_then_it_is_refused(
    venue: Venue, market_id: str, act: Any, value: int | None, code: str
) -> None:
    answer = venue.exchange.set_market(market_id, act, now_ns=venue.tick(), value=value)
    assert isinstance(answer, Rejection)
    assert answer.code == code
