"""Orders that wait for a price."""

from typing import Any

import pytest

from connectors.sandbox.engine.model import Accepted, Trigger
from connectors.sandbox.engine.rules import Rules
from tests.connectors.sandbox.engine.coins import USDT, Coins

MARKET: dict[str, Any] = {"kind": "market", "tif": "ioc"}


def trade(coins: Coins, price: int, market_id: str = "S") -> None:
    """One trade at `price`, between others."""
    coins.order("B", market_id, "ask", price, 1)
    coins.order("C", market_id, "bid", price, 1, tif="ioc")


@pytest.mark.parametrize(
    ("side", "kind", "short_of", "there"),
    [
        ("bid", "stop", 649_999, 650_000),
        ("ask", "stop", 610_001, 610_000),
        ("bid", "take_profit", 610_001, 610_000),
        ("ask", "take_profit", 649_999, 650_000),
    ],
)
def test_trigger_when_the_last_price_comes_there_then_the_order_starts(
    side: Any, kind: Any, short_of: int, there: int
) -> None:
    coins = Coins()
    trade(coins, 630_000)
    order = coins.order("A", "S", side, 630_000, 5, trigger=Trigger(kind, there))
    assert (order.status, coins.available("A")) == ("pending_trigger", 100_000 * USDT)
    trade(coins, short_of)
    assert order.status == "pending_trigger"
    trade(coins, there)
    assert (order.status, order.reason) == ("open", "triggered")
    assert coins.exchange.state.books["S"].total(side, 630_000) == 5
    coins.assert_sound()


def test_trigger_when_its_price_is_there_already_then_the_order_starts_at_once() -> None:
    coins = Coins()
    trade(coins, 630_000)
    assert coins.order("A", "S", "bid", 620_000, 5, trigger=Trigger("stop", 630_000)).status == "open"


@pytest.mark.parametrize(("side", "kind"), [("ask", "stop"), ("bid", "take_profit")])
def test_trigger_when_there_is_no_price_yet_then_the_order_waits(side: Any, kind: Any) -> None:
    assert Coins().order("A", "S", side, 630_000, 5, trigger=Trigger(kind, 630_000)).status == "pending_trigger"


def test_trigger_when_cancels_take_time_then_a_waiting_order_still_ends_at_once() -> None:
    coins = Coins(rules=Rules(cancel_min_ns=10**9, cancel_max_ns=10**9))
    order = coins.order("A", "S", "bid", 630_000, 5, trigger=Trigger("stop", 640_000))
    coins.exchange.cancel("A", order.order_id, now_ns=coins.tick())
    assert (order.status, order.reason) == ("ended", "cancelled")


def test_trigger_when_by_mark_then_the_last_price_does_not_matter() -> None:
    coins = Coins()
    coins.open("A", "B", 630_000, 500)
    coins.mark(630_000)
    stop = coins.order("A", "P", "ask", 0, 500, reduce_only=True, trigger=Trigger("stop", 600_000, "mark"), **MARKET)
    trade(coins, 590_000, "P")
    assert stop.status == "pending_trigger"
    coins.order("C", "P", "bid", 595_000, 1_000)
    coins.mark(600_000)
    assert (stop.status, stop.reason, coins.position("A").net) == ("ended", "filled", 0)
    coins.assert_sound()


def test_trigger_when_a_stop_reduces_then_only_what_the_position_is_by_then() -> None:
    coins = Coins()
    coins.open("A", "B", 630_000, 500)
    coins.order("C", "P", "bid", 600_000, 1_000)
    stop = coins.order("A", "P", "ask", 0, 500, reduce_only=True, trigger=Trigger("stop", 610_000), **MARKET)
    coins.open("B", "A", 620_000, 300)
    trade(coins, 610_000, "P")
    assert (stop.filled, stop.reason, coins.position("A").net) == (200, "reduce_only", 0)


def test_trigger_when_the_balance_does_not_cover_it_then_the_order_ends() -> None:
    coins = Coins()
    trade(coins, 630_000)
    order = coins.order("A", "S", "bid", 650_000, 500, trigger=Trigger("stop", 640_000))
    coins.order("A", "S", "bid", 620_000, 1_600)
    trade(coins, 640_000)
    assert (order.status, order.reason) == ("ended", "margin")
    coins.assert_sound()


def test_trigger_when_one_order_moves_the_price_then_the_next_starts_too() -> None:
    coins = Coins()
    for price in (630_000, 640_000, 650_000):
        coins.order("B", "S", "ask", price, 10)
    second = coins.order("A", "S", "bid", 0, 5, trigger=Trigger("stop", 640_000), **MARKET)
    first = coins.order("A", "S", "bid", 0, 15, trigger=Trigger("stop", 630_000), **MARKET)
    coins.order("C", "S", "bid", 630_000, 5)
    assert (first.reason, second.reason) == ("filled", "filled")
    assert [fill.price for fill in coins.fills_of("A")] == [630_000, 640_000, 650_000]


def test_trigger_when_cancelled_then_it_never_starts() -> None:
    coins = Coins()
    trade(coins, 630_000)
    order = coins.order("A", "S", "bid", 630_000, 5, trigger=Trigger("stop", 640_000))
    answer = coins.exchange.cancel("A", order.order_id, now_ns=coins.tick())
    assert isinstance(answer, Accepted)
    assert (answer.reduced, order.reason) == (5, "cancelled")
    trade(coins, 640_000)
    assert order.status == "ended"


def test_trigger_when_everything_is_cancelled_then_waiting_orders_too() -> None:
    coins = Coins()
    order = coins.order("A", "S", "bid", 630_000, 5, trigger=Trigger("stop", 640_000))
    coins.order("B", "S", "bid", 630_000, 5, trigger=Trigger("stop", 640_000))
    assert coins.exchange.cancel_all("A", coins.tick()) == [order]
    assert order.reason == "cancelled"


def test_trigger_when_the_market_closes_then_waiting_orders_end() -> None:
    coins = Coins()
    order = coins.order("A", "S", "bid", 630_000, 5, trigger=Trigger("stop", 640_000))
    coins.exchange.set_market("S", "settle", now_ns=coins.tick(), value=630_000)
    assert (order.status, order.reason) == ("ended", "closed")


def test_trigger_when_its_date_comes_first_then_the_order_expires() -> None:
    coins = Coins()
    expiry_ns = coins.now_ns + 5_000_000
    order = coins.order("A", "S", "bid", 630_000, 5, trigger=Trigger("stop", 640_000), expiration_ns=expiry_ns)
    coins.exchange.advance(coins.tick(10))
    assert (order.status, order.reason) == ("ended", "expired")


@pytest.mark.parametrize(("market_id", "trigger"), [("S", Trigger("stop", 640_000, "mark")), ("S", Trigger("stop", 0))])
def test_trigger_when_there_is_no_such_price_then_it_is_refused(market_id: str, trigger: Trigger) -> None:
    assert Coins().refusal("A", market_id, "bid", 630_000, 5, trigger=trigger) == "invalid_trigger"
