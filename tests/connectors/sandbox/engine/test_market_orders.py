"""Orders without a price: by size, by amount of quote, and what the balance must cover."""

import pytest

from connectors.sandbox.engine.model import Rejection
from tests.connectors.sandbox.engine.coins import COIN, USDT, Coins, spot_spec

MARKET = {"kind": "market", "tif": "ioc"}


@pytest.fixture
def coins() -> Coins:
    made = Coins()
    for price, size in ((630_000, 100), (631_000, 100), (640_000, 100)):
        made.order("B", "S", "ask", price, size)
    return made


def test_market_order_when_by_size_then_it_takes_the_best_prices_and_nothing_rests(coins: Coins) -> None:
    order = coins.order("A", "S", "bid", 0, 150, **MARKET)
    assert [(fill.price, fill.size) for fill in coins.fills_of("A")] == [(630_000, 100), (631_000, 50)]
    assert (order.reason, order.remaining) == ("filled", 0)
    coins.assert_sound()


def test_market_order_when_the_book_is_too_thin_then_the_rest_ends(coins: Coins) -> None:
    order = coins.order("A", "S", "bid", 0, 500, **MARKET)
    assert (order.filled, order.status, order.reason) == (300, "ended", "unfilled")
    empty = coins.order("A", "S", "bid", 0, 500, **MARKET)
    assert (empty.filled, empty.reason) == (0, "unfilled")


def test_market_order_when_it_names_a_worst_price_then_it_trades_no_worse(coins: Coins) -> None:
    order = coins.order("A", "S", "bid", 631_000, 300, **MARKET)
    assert (order.filled, order.reason) == (200, "unfilled")


def test_market_order_when_fill_or_kill_then_all_or_nothing(coins: Coins) -> None:
    assert coins.order("A", "S", "bid", 0, 301, kind="market", tif="fok").filled == 0
    assert coins.order("A", "S", "bid", 0, 300, kind="market", tif="fok").filled == 300


def test_market_order_when_it_sells_then_it_takes_the_bids(coins: Coins) -> None:
    coins.order("C", "S", "bid", 620_000, 100)
    order = coins.order("A", "S", "ask", 0, 60, **MARKET)
    assert (order.reason, coins.cash("A", "BTC")) == ("filled", 2 * COIN - 60)


def test_quote_amount_when_it_buys_then_whole_steps_within_the_amount(coins: Coins) -> None:
    order = coins.order("A", "S", "bid", 0, 0, quote_amount=6_400 * USDT, **MARKET)
    assert (order.initial, order.filled, order.reason) == (101, 101, "filled")
    assert order.taker_cost == 6_363_1000
    assert coins.cash("A") >= 100_000 * USDT - 6_400 * USDT


def test_quote_amount_when_it_sells_then_what_it_brings_is_within_the_amount(coins: Coins) -> None:
    coins.order("C", "S", "bid", 620_000, 100)
    order = coins.order("A", "S", "ask", 0, 0, quote_amount=1_000 * USDT, **MARKET)
    assert (order.filled, order.taker_cost) == (16, 16 * 620_000)


def test_quote_amount_when_it_buys_less_than_a_step_then_the_order_ends_unfilled(coins: Coins) -> None:
    order = coins.order("A", "S", "bid", 0, 0, quote_amount=1, **MARKET)
    assert (order.initial, order.status, order.reason) == (0, "ended", "unfilled")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"kind": "market", "tif": "gtc", "size": 5}, "invalid_order"),
        ({"kind": "market", "tif": "ioc", "size": 5, "quote_amount": 5}, "invalid_order"),
        ({"kind": "limit", "price": 630_000, "quote_amount": 5}, "invalid_order"),
        ({"kind": "market", "tif": "ioc"}, "invalid_size"),
        ({"kind": "market", "tif": "ioc", "size": 5, "price": 30_000_000}, "invalid_price"),
        ({"kind": "limit", "size": 5}, "invalid_price"),
    ],
)
def test_order_when_kind_price_and_size_do_not_go_together_then_it_is_refused(
    coins: Coins, wrong: dict[str, object], code: str
) -> None:
    terms = {"price": 0, "size": 0} | wrong
    assert coins.refusal("A", "S", "bid", **terms) == code  # type: ignore[arg-type]


def test_reserve_when_a_market_buy_is_placed_then_cost_and_margin_must_be_covered() -> None:
    coins = Coins(spot_spec(market_margin_ppm=50_000))
    coins.exchange.add_account("poor", {"USDT": 6_600 * USDT})
    coins.order("B", "S", "ask", 630_000, 200)
    assert coins.refusal("poor", "S", "bid", 0, 100, **MARKET) == "insufficient_balance"
    assert coins.exchange.deposit("poor", "USDT", 20 * USDT, now_ns=coins.tick()) is None
    assert coins.order("poor", "S", "bid", 0, 100, **MARKET).reason == "filled"
    coins.assert_sound()


def test_reserve_when_a_market_sell_is_placed_then_the_base_must_be_there(coins: Coins) -> None:
    coins.order("C", "S", "bid", 620_000, 1_500)
    coins.order("C", "S", "bid", 610_000, 100)
    coins.order("A", "S", "ask", 650_000, 1_990)
    assert coins.send("A", "S", "ask", 0, 11, **MARKET) == Rejection("insufficient_balance")
    assert coins.order("A", "S", "ask", 0, 10, **MARKET).reason == "filled"
