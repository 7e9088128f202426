"""Balances, reserves and positions of binary and spot markets."""

import pytest

from connectors.sandbox.engine.accounts import account_problems
from connectors.sandbox.engine.model import FeeModel, MarketSpec, PriceBand
from tests.connectors.sandbox.engine.venue import DOLLAR, START_NS, Venue

FREE = FeeModel(taker_ppm=0)


@pytest.fixture
def venue() -> Venue:
    return Venue(MarketSpec(market_id="M", fees=FREE))


def test_resting_order_when_it_opens_then_it_reserves_its_worst_case(venue: Venue) -> None:
    venue.order("A", "bid", 40, 10)
    assert venue.available("A") == 996 * DOLLAR
    venue.order("A", "ask", 70, 10)
    assert venue.available("A") == 993 * DOLLAR


def test_resting_order_when_it_closes_a_position_then_it_reserves_nothing(venue: Venue) -> None:
    venue.order("A", "ask", 40, 10)
    venue.order("B", "bid", 40, 10)
    before = venue.available("B")
    venue.order("B", "ask", 70, 10)
    assert venue.available("B") == before
    venue.order("B", "ask", 75, 1)
    assert venue.available("B") == before - DOLLAR // 4


def test_resting_orders_when_some_close_then_the_best_priced_close_first(venue: Venue) -> None:
    venue.order("A", "ask", 40, 10)
    venue.order("B", "bid", 40, 10)
    before = venue.available("B")
    venue.order("B", "ask", 70, 10)
    venue.order("B", "ask", 60, 10)
    assert venue.available("B") == before - 3 * DOLLAR


def test_trade_when_both_open_then_yes_pays_price_and_no_pays_the_rest(venue: Venue) -> None:
    venue.order("A", "ask", 40, 10)
    venue.order("B", "bid", 40, 10)
    assert (venue.available("A"), venue.available("B")) == (994 * DOLLAR, 996 * DOLLAR)
    assert venue.exchange.state.markets["M"].open_interest == 1000
    venue.assert_sound()


def test_trade_when_the_opposite_fills_then_the_position_nets_and_cash_is_released(venue: Venue) -> None:
    venue.order("A", "ask", 40, 10)
    venue.order("B", "bid", 40, 10)
    venue.order("B", "ask", 55, 4)
    venue.order("C", "bid", 55, 4)
    position = venue.exchange.state.accounts["B"].position("M")
    assert (position.net, position.cost, position.realized) == (600, 2_400_000, 600_000)
    assert venue.available("B") == 996 * DOLLAR + 2_200_000
    assert position.traded == 6_200_000
    venue.assert_sound()


def test_trade_when_it_turns_the_position_then_it_closes_first_and_opens_the_rest(venue: Venue) -> None:
    venue.order("A", "ask", 40, 10)
    venue.order("B", "bid", 40, 10)
    venue.order("C", "bid", 50, 15)
    venue.order("B", "ask", 50, 15)
    position = venue.exchange.state.accounts["B"].position("M")
    assert (position.net, position.cost, position.realized) == (-500, 2_500_000, 1_000_000)
    venue.assert_sound()


def test_balance_when_it_does_not_cover_the_worst_case_then_the_order_is_refused(venue: Venue) -> None:
    assert venue.refusal("A", "bid", 50, 2_001) == "insufficient_balance"
    assert venue.refusal("A", "ask", 50, 2_001) == "insufficient_balance"
    venue.order("A", "bid", 50, 2_000)
    assert venue.refusal("A", "bid", 1, 0.01) == "insufficient_balance"


def test_balance_when_a_taker_needs_its_fee_too_then_the_fee_is_part_of_the_worst_case() -> None:
    venue = Venue()
    venue.order("A", "ask", 50, 1_999)
    assert venue.refusal("B", "bid", 50, 1_999) == "insufficient_balance"
    assert venue.order("B", "bid", 50, 1_900).status == "ended"
    assert venue.available("B") >= 0


def test_balance_when_a_position_is_closed_then_no_free_cash_is_needed() -> None:
    venue = Venue()
    venue.exchange.add_account("P", {"USD": 518_000})
    venue.order("A", "ask", 50, 1)
    venue.order("P", "bid", 50, 1)
    venue.order("A", "bid", 49, 1)
    assert venue.order("P", "ask", 49, 1).status == "ended"
    venue.assert_sound()


def test_margin_when_fees_eat_the_reserve_then_the_newest_orders_are_canceled() -> None:
    venue = Venue(MarketSpec(market_id="M", fees=FREE))
    account = venue.exchange.state.accounts["A"]
    old = venue.order("A", "bid", 40, 1_000)
    new = venue.order("A", "bid", 41, 1_000)
    account.deposit("USD", -300 * DOLLAR)
    venue.order("B", "ask", 41, 0.01)
    assert (new.status, new.reason) == ("ended", "margin")
    assert old.status == "open"
    assert venue.available("A") >= 0
    venue.assert_sound()


def test_margin_when_a_taker_pays_more_small_fees_than_its_bound_then_its_newest_order_is_canceled() -> None:
    venue = Venue(MarketSpec(market_id="M", fees=FeeModel(balance_step=1)))
    venue.exchange.add_account("P", {"USD": 100_000 + 510_000 + 17_495})
    for _ in range(100):
        venue.order("A", "ask", 51, 0.01)
    resting = venue.order("P", "bid", 10, 1)
    assert venue.order("P", "bid", 51, 1).taker_fees == 17_500
    assert (resting.status, resting.reason) == ("ended", "margin")
    venue.assert_sound()


def test_balance_when_overdrawn_then_a_closing_order_is_still_let_in(venue: Venue) -> None:
    venue.order("A", "ask", 50, 1)
    venue.order("B", "bid", 50, 1)
    venue.exchange.state.accounts["B"].deposit("USD", -1_000 * DOLLAR)
    assert venue.refusal("B", "bid", 50, 1) == "insufficient_balance"
    assert venue.order("B", "ask", 60, 1).status == "open"


def test_cash_account_when_the_market_is_on_another_shard_then_its_cash_must_be_there() -> None:
    venue = Venue(MarketSpec(market_id="M", cash_account="USD#2"))
    assert venue.refusal("A", "bid", 50, 1) == "insufficient_balance"
    venue.exchange.state.accounts["A"].deposit("USD", -DOLLAR)
    venue.exchange.state.accounts["A"].deposit("USD#2", DOLLAR)
    assert venue.order("A", "bid", 50, 1).status == "open"
    venue.assert_sound()


@pytest.fixture
def spot() -> Venue:
    spec = MarketSpec(
        market_id="BTC-USD",
        kind="spot",
        price_decimals=2,
        size_decimals=4,
        bands=(PriceBand(0, 10**9, 1),),
        base="BTC",
        fees=FeeModel("notional", taker_ppm=1_000, balance_step=1),
    )
    venue = Venue(spec)
    venue.exchange.add_account("S", {"BTC": 20_000, "USD": 0})
    return venue


def test_spot_when_an_order_rests_then_a_bid_reserves_quote_and_an_ask_base(spot: Venue) -> None:
    spot.order("S", "ask", 500, 100, market_id="BTC-USD")
    assert spot.exchange.state.accounts["S"].available("BTC") == 10_000
    spot.order("A", "bid", 400, 100, market_id="BTC-USD")
    assert spot.available("A") == 600 * DOLLAR
    assert spot.refusal("S", "ask", 500, 101, market_id="BTC-USD") == "insufficient_balance"


def test_spot_when_it_trades_then_both_assets_change_hands_and_the_taker_pays_its_share(spot: Venue) -> None:
    spot.order("S", "ask", 500, 100, market_id="BTC-USD")
    spot.order("A", "bid", 500, 100, market_id="BTC-USD")
    buyer, seller = spot.exchange.state.accounts["A"], spot.exchange.state.accounts["S"]
    assert (buyer.cash["BTC"], buyer.cash["USD"]) == (10_000, 1_000 * DOLLAR - 500_500_000)
    assert (seller.cash["BTC"], seller.cash["USD"]) == (10_000, 500_000_000)
    spot.assert_sound()


def test_account_problems_when_cash_was_changed_behind_its_back_then_it_is_named(venue: Venue) -> None:
    account = venue.exchange.state.accounts["A"]
    account.cash["USD"] += 1
    assert account_problems(account, venue.exchange.state.markets) == [
        f"A cash USD: is {1_000 * DOLLAR + 1}, should be {1_000 * DOLLAR}"
    ]


def test_order_when_refused_then_nothing_is_reserved(venue: Venue) -> None:
    venue.refusal("A", "bid", 50, 5_000)
    assert venue.available("A") == 1_000 * DOLLAR
    assert venue.exchange.ledger.orders == {}
    assert venue.exchange.state.now_ns > START_NS
