"""A counterparty that does exactly what it is asked to."""

import pytest

from connectors.sandbox.engine.counterparty import Counterparty
from connectors.sandbox.engine.events import CashFlowEvent, TradePrint
from connectors.sandbox.engine.flow import OrderFlow
from connectors.sandbox.engine.model import Accepted, OrderRequest, Rejection
from tests.connectors.sandbox.engine.venue import DOLLAR, START_NS, Venue


@pytest.fixture
def counterparty(venue: Venue) -> Counterparty:
    return Counterparty(venue.exchange)


def test_quote_when_given_then_it_is_the_book_and_the_next_one_replaces_it(
    venue: Venue, counterparty: Counterparty
) -> None:
    assert counterparty.quote("M", bids=[(4800, 300), (4700, 500)], asks=[(5200, 200)], now_ns=venue.tick()) == ()
    assert (venue.levels("bid"), venue.levels("ask")) == ([(4800, 300), (4700, 500)], [(5200, 200)])
    assert counterparty.quote("M", bids=[(4900, 100)], asks=[], now_ns=venue.tick()) == ()
    assert (venue.levels("bid"), venue.levels("ask")) == ([(4900, 100)], [])
    venue.assert_sound()


def test_quote_when_it_crosses_the_member_then_it_trades(venue: Venue, counterparty: Counterparty) -> None:
    order = venue.order("A", "bid", 50, 2)
    assert counterparty.quote("M", bids=[], asks=[(5000, 300)], now_ns=venue.tick()) == ()
    assert (order.reason, venue.net("A"), venue.levels("ask")) == ("filled", 200, [(5000, 100)])


def test_quote_when_some_levels_are_wrong_then_it_says_which_and_the_others_stand(
    venue: Venue, counterparty: Counterparty
) -> None:
    (refused,) = counterparty.quote("M", bids=[(4850, 100), (4800, 100)], asks=[], now_ns=venue.tick())
    assert (refused.code, venue.levels("bid")) == ("invalid_price", [(4800, 100)])
    assert counterparty.quote("X", bids=[], asks=[], now_ns=venue.tick()) == (Rejection("market_not_found", "X"),)


def test_trade_when_asked_then_it_takes_from_whoever_stands_first(venue: Venue, counterparty: Counterparty) -> None:
    counterparty.quote("M", bids=[], asks=[(5100, 100)], now_ns=venue.tick())
    venue.order("A", "ask", 52, 3)
    answer = counterparty.trade("M", side="bid", price=5200, size=200, now_ns=venue.tick())
    assert isinstance(answer, Accepted)
    assert [(fill.price, fill.size) for fill in answer.fills] == [(5100, 100), (5200, 100)]
    assert venue.net("A") == -100
    assert len(venue.events(TradePrint)) == 2
    venue.assert_sound()


def test_trade_when_nothing_is_there_then_nothing_rests(venue: Venue, counterparty: Counterparty) -> None:
    answer = counterparty.trade("M", side="ask", price=4800, size=200, now_ns=venue.tick())
    assert isinstance(answer, Accepted)
    assert (answer.fills, venue.levels("ask")) == ((), [])


def test_quiet_when_asked_then_the_flow_ends_and_its_orders_are_gone(venue: Venue) -> None:
    flow = OrderFlow(venue.exchange, seed=1)
    counterparty = Counterparty(venue.exchange, flow)
    for _ in range(40):
        flow.step(venue.tick(50))
    mine = venue.order("A", "bid", 1, 1)
    assert len(venue.levels("bid")) > 1
    counterparty.quiet(venue.tick())
    done = flow.actions
    flow.step(venue.tick(5_000))
    assert (flow.actions, venue.levels("bid"), venue.levels("ask")) == (done, [(100, 100)], [])
    assert mine.status == "open"


def test_order_when_nobody_sent_it_then_it_is_on_the_members_account_and_can_be_cancelled(
    venue: Venue, counterparty: Counterparty
) -> None:
    request = OrderRequest(account="A", market_id="M", side="bid", price=4800, size=100)
    answer = counterparty.order(request, venue.tick())
    assert isinstance(answer, Accepted)
    assert venue.exchange.ledger.orders_of("A") == [answer.order]
    assert isinstance(counterparty.cancel(answer.order.order_id, venue.tick()), Accepted)
    assert answer.order.reason == "cancelled"
    assert counterparty.cancel("nothing", venue.tick()) == Rejection("not_found", "nothing")


def test_deposit_when_made_then_it_is_a_cash_flow_and_everything_adds_up(
    venue: Venue, counterparty: Counterparty
) -> None:
    assert counterparty.deposit("A", "USD", 5 * DOLLAR, now_ns=venue.tick()) is None
    assert counterparty.deposit("A", "USD", -3 * DOLLAR, now_ns=venue.tick()) is None
    assert venue.available("A") == 1_002 * DOLLAR
    flows = [event.flow for event in venue.events(CashFlowEvent)]
    assert [(flow.kind, flow.currency, flow.amount) for flow in flows] == [
        ("transfer", "USD", 5 * DOLLAR),
        ("transfer", "USD", -3 * DOLLAR),
    ]
    assert venue.exchange.ledger.cash_flows == flows
    venue.assert_sound()


def test_deposit_when_it_would_take_what_orders_hold_then_it_is_refused(
    venue: Venue, counterparty: Counterparty
) -> None:
    venue.order("A", "bid", 50, 1_900)
    answer = counterparty.deposit("A", "USD", -500 * DOLLAR, now_ns=venue.tick())
    assert answer == Rejection("insufficient_balance")
    assert counterparty.deposit("Z", "USD", 1, now_ns=venue.tick()) == Rejection("account_not_found", "Z")


def test_market_when_paused_and_settled_then_as_an_operator_would(venue: Venue, counterparty: Counterparty) -> None:
    assert counterparty.set_market("M", "pause", now_ns=venue.tick()) is None
    assert venue.exchange.state.markets["M"].status == "inactive"
    assert counterparty.set_market("M", "settle", now_ns=venue.tick(), value=10_000) is None
    assert venue.exchange.state.markets["M"].result == "yes"


def test_mark_when_the_market_has_none_then_it_is_refused(venue: Venue, counterparty: Counterparty) -> None:
    answer = counterparty.mark("M", 5_000, now_ns=START_NS)
    assert answer is not None
    assert answer.code == "invalid_request"
