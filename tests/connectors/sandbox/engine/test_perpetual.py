"""Perpetuals by hand: margin, profit, leverage, liquidation and funding in figures that can be checked."""

import pytest

from connectors.sandbox.engine.events import MarkChange
from connectors.sandbox.engine.model import Rejection
from connectors.sandbox.engine.perpetual import (
    entry_price,
    liquidation_price,
    maintenance_margin,
    unrealized,
)
from connectors.sandbox.engine.state import INSURANCE
from tests.connectors.sandbox.engine.coins import MS_NS, USDT, Coins, perpetual_spec, terms

HOUR_MS = 3_600_000
BTC = 1_000


def leveraged(leverage: int = 20) -> Coins:
    coins = Coins()
    for account in "AB":
        assert coins.exchange.set_leverage(account, "P", leverage, now_ns=coins.tick()) is None
    return coins


def test_position_when_opened_then_its_initial_margin_is_held_and_the_balance_stays() -> None:
    coins = leveraged()
    coins.open("A", "B", 705_000, 50)
    position = coins.position("A")
    assert (position.net, entry_price(position), position.margin) == (50, 705_000, 1_762_500)
    assert coins.cash("A") == 100_000 * USDT - 17_625
    assert coins.available("A") == coins.cash("A") - position.margin
    assert coins.position("B").margin == 1_762_500
    assert coins.exchange.state.markets["P"].open_interest == 50
    coins.assert_sound()


def test_position_when_marked_then_its_worth_maintenance_and_liquidation_price_are_the_venues_sample() -> None:
    # 0.05 coins at 70,500 with leverage 20: initial margin 176.25, maintenance margin 14.10 (vendor docs).
    coins = leveraged()
    coins.open("A", "B", 705_000, 50)
    spec, long, short = perpetual_spec(), coins.position("A"), coins.position("B")
    assert long.margin == 17_625 * USDT // 100
    assert maintenance_margin(spec, long, 705_000) == 1_410 * USDT // 100
    assert (unrealized(long, 710_000), unrealized(short, 710_000)) == (250_000, -250_000)
    assert liquidation_price(spec, long) == 672_439
    assert liquidation_price(spec, short) == 737_301


def test_position_when_closed_then_profit_and_loss_are_in_the_balances() -> None:
    coins = leveraged()
    coins.open("A", "B", 700_000, 100)
    coins.open("B", "A", 710_000, 40)
    assert (coins.position("A").net, coins.position("A").realized, coins.position("B").realized) == (
        60,
        400_000,
        -400_000,
    )
    assert coins.position("A").margin == 700_000 * 60 // 20
    coins.open("B", "A", 690_000, 60)
    assert coins.position("A").realized == 400_000 - 600_000
    assert (coins.position("A").margin, coins.position("A").cost) == (0, 0)
    assert coins.available("A") == coins.cash("A")
    coins.assert_sound()


def test_position_when_turned_around_then_it_closes_first_and_opens_with_the_rest() -> None:
    coins = leveraged()
    coins.open("A", "B", 700_000, 100)
    coins.open("B", "A", 710_000, 150)
    position = coins.position("A")
    assert (position.net, entry_price(position), position.realized) == (-50, 710_000, 1_000_000)
    assert position.margin == 710_000 * 50 // 20
    coins.assert_sound()


def test_order_when_it_opens_then_margin_and_fee_must_be_covered_and_when_it_closes_then_nothing() -> None:
    coins = Coins()
    coins.exchange.add_account("poor", {"USDT": 6_400 * USDT})
    assert coins.refusal("poor", "P", "bid", 700_000, BTC) == "insufficient_balance"
    coins.order("B", "P", "ask", 600_000, BTC)
    coins.order("poor", "P", "bid", 600_000, BTC, tif="ioc")
    assert coins.available("poor") == (6_400 - 6_000 - 30) * USDT
    closing = coins.order("poor", "P", "ask", 700_000, BTC)
    assert (closing.status, coins.available("poor")) == ("open", (6_400 - 6_000 - 30) * USDT)
    assert coins.refusal("poor", "P", "ask", 700_000, BTC) == "insufficient_balance"


def test_short_when_its_limit_is_far_below_the_book_then_the_margin_of_the_real_price_must_be_there() -> None:
    coins = Coins()
    coins.exchange.add_account("poor", {"USDT": 5_000 * USDT})
    coins.order("B", "P", "bid", 600_000, BTC)
    assert coins.refusal("poor", "P", "ask", 10, BTC) == "insufficient_balance"


def test_leverage_when_a_position_is_open_then_only_by_force_and_what_is_open_keeps_its_margin() -> None:
    coins = leveraged(10)
    coins.open("A", "B", 700_000, 100)
    refused = coins.exchange.set_leverage("A", "P", 50, now_ns=coins.tick())
    assert isinstance(refused, Rejection)
    assert refused.code == "position_open"
    assert coins.exchange.set_leverage("A", "P", 50, now_ns=coins.tick(), force=True) is None
    assert coins.position("A").margin == 7_000_000
    coins.open("A", "B", 700_000, 100)
    assert coins.position("A").margin == 7_000_000 + 1_400_000


@pytest.mark.parametrize("leverage", [0, -1, 126])
def test_leverage_when_out_of_range_then_it_is_refused(leverage: int) -> None:
    coins = Coins()
    refused = coins.exchange.set_leverage("A", "P", leverage, now_ns=coins.tick())
    assert isinstance(refused, Rejection)
    assert refused.code == "invalid_request"


def test_leverage_when_resting_orders_would_need_more_than_there_is_then_it_stays() -> None:
    coins = leveraged(100)
    coins.order("A", "P", "bid", 600_000, 100 * BTC)
    assert coins.exchange.set_leverage("A", "P", 10, now_ns=coins.tick()) == Rejection("insufficient_balance")
    assert coins.position("A").leverage == 100
    coins.assert_sound()


def test_mark_when_set_then_it_is_published_with_the_rate_that_it_makes() -> None:
    coins = Coins()
    coins.open("A", "B", 700_000, 100)
    coins.exchange.drain()
    coins.mark(699_000)
    (change,) = coins.events(MarkChange)
    assert (change.mark, change.index, change.funding_rate_ppm) == (699_000, 699_000, 100 + 1_430)
    assert coins.exchange.set_mark("P", 0, now_ns=coins.tick()) == Rejection(
        "invalid_price", "mark price 0 must be above zero"
    )


def test_liquidation_when_the_mark_comes_to_the_liquidation_price_then_insurance_takes_the_position() -> None:
    coins = leveraged()
    coins.open("A", "B", 705_000, 50)
    resting = coins.order("A", "P", "bid", 600_000, 5)
    coins.mark(672_440)
    assert coins.position("A").net == 50
    before = coins.cash("A")
    coins.mark(672_439)
    assert (coins.position("A").net, coins.position(INSURANCE).net, resting.reason) == (0, 50, "liquidated")
    loss, fee = 50 * (705_000 - 672_439), 50 * 672_439 * 5 // 1_000
    assert fee > 1_762_500 - loss
    assert coins.cash("A") == before - 1_762_500
    assert coins.cash(INSURANCE) == 1_762_500 - loss
    (flow,) = coins.exchange.ledger.cash_flows
    assert (flow.kind, flow.account, flow.market_id, flow.amount) == ("liquidation", "A", "P", loss - 1_762_500)
    fill = coins.fills_of("A")[-1]
    assert (fill.order_id, fill.side, fill.price, fill.size, fill.is_listed) == ("", "ask", 672_439, 50, False)
    coins.assert_sound()


def test_liquidation_when_the_mark_jumps_past_the_margin_then_insurance_pays_what_is_short() -> None:
    coins = leveraged()
    coins.open("A", "B", 705_000, 50)
    before = coins.cash("A")
    coins.mark(500_000)
    assert coins.cash("A") == before - 1_762_500
    assert coins.cash(INSURANCE) == 1_762_500 - 50 * 205_000 < 0
    assert coins.position("B").net == -50
    coins.assert_sound()


def test_liquidation_when_asked_for_then_it_is_done_whatever_the_position_is_worth() -> None:
    coins = leveraged()
    coins.open("A", "B", 700_000, 50)
    coins.mark(700_000)
    assert coins.exchange.liquidate("A", "P", now_ns=coins.tick()) is None
    assert coins.position("A").net == 0
    assert coins.exchange.ledger.cash_flows[-1].amount == -50 * 700_000 * 5 // 1_000
    refused = coins.exchange.liquidate("A", "P", now_ns=coins.tick())
    assert isinstance(refused, Rejection)
    coins.assert_sound()


def test_loss_when_a_close_is_worse_than_margin_and_balance_then_insurance_pays_the_rest() -> None:
    coins = Coins()
    coins.exchange.add_account("poor", {"USDT": 6_050 * USDT})
    coins.order("B", "P", "ask", 600_000, BTC)
    coins.order("poor", "P", "bid", 600_000, BTC, tif="ioc")
    coins.order("C", "P", "bid", 300_000, BTC)
    coins.order("poor", "P", "ask", 300_000, BTC, tif="ioc")
    assert (coins.cash("poor"), coins.position("poor").net) == (0, 0)
    assert coins.cash(INSURANCE) < 0
    coins.assert_sound()


def test_funding_when_the_rate_is_above_zero_then_longs_pay_shorts() -> None:
    coins = leveraged()
    coins.open("A", "B", 700_000, 100)
    coins.mark(700_000)
    margin = coins.position("A").margin
    assert coins.exchange.fund("P", now_ns=coins.tick(), rate_ppm=100) is None
    assert [(flow.account, flow.kind, flow.amount) for flow in coins.exchange.ledger.cash_flows] == [
        ("A", "funding", -7_000),
        ("B", "funding", 7_000),
    ]
    assert (coins.position("A").funding, coins.position("A").margin) == (-7_000, margin - 7_000)
    coins.assert_sound()


def test_funding_when_it_does_not_divide_then_the_rest_is_the_insurances() -> None:
    coins = leveraged()
    coins.open("A", "B", 700_001, 1)
    coins.mark(700_001)
    coins.exchange.fund("P", now_ns=coins.tick(), rate_ppm=100)
    assert [flow.amount for flow in coins.exchange.ledger.cash_flows] == [-71, 70]
    assert coins.cash(INSURANCE) == 1
    coins.assert_sound()


def test_funding_when_the_interval_ends_then_it_is_paid_by_itself_once() -> None:
    coins = leveraged()
    coins.open("A", "B", 700_000, 100)
    coins.mark(700_000)
    market = coins.exchange.state.markets["P"]
    due_ns = market.next_funding_ns
    assert due_ns == coins.now_ns // (8 * HOUR_MS * MS_NS) * 8 * HOUR_MS * MS_NS + 8 * HOUR_MS * MS_NS
    coins.exchange.advance(due_ns - 1)
    assert coins.exchange.ledger.cash_flows == []
    coins.exchange.advance(due_ns + 1)
    assert [(flow.amount, flow.ns) for flow in coins.exchange.ledger.cash_flows] == [(-7_000, due_ns), (7_000, due_ns)]
    assert market.next_funding_ns == due_ns + 8 * HOUR_MS * MS_NS


def test_funding_when_a_position_cannot_bear_it_then_it_is_liquidated() -> None:
    coins = leveraged(125)
    coins.open("A", "B", 700_000, 100)
    coins.mark(700_000)
    coins.exchange.fund("P", now_ns=coins.tick(), rate_ppm=5_000)
    assert coins.position("A").net == 0
    assert [flow.kind for flow in coins.exchange.ledger.cash_flows if flow.account == "A"] == ["funding", "liquidation"]
    coins.assert_sound()


def test_funding_rate_when_the_premium_is_large_then_it_is_capped() -> None:
    coins = Coins(perpetual_spec(perpetual=terms(funding_cap_ppm=750)))
    coins.open("A", "B", 700_000, 1)
    coins.mark(600_000)
    assert coins.exchange.state.markets["P"].funding_rate_ppm == 750
    coins.mark(800_000)
    assert coins.exchange.state.markets["P"].funding_rate_ppm == -750


def test_funding_when_there_is_no_mark_or_no_perpetual_then_it_is_refused() -> None:
    coins = Coins()
    for market_id in "PSX":
        assert isinstance(coins.exchange.fund(market_id, now_ns=coins.tick()), Rejection)
    assert isinstance(coins.exchange.set_mark("S", 700_000, now_ns=coins.tick()), Rejection)


def test_settlement_when_a_perpetual_ends_then_both_sides_are_paid_and_margins_are_free() -> None:
    coins = leveraged()
    coins.open("A", "B", 700_000, 100)
    assert coins.exchange.set_market("P", "settle", now_ns=coins.tick(), value=701_000) is None
    assert (coins.position("A").realized, coins.position("B").realized) == (100_000, -100_000)
    assert (coins.available("A"), coins.available("B")) == (coins.cash("A"), coins.cash("B"))
    coins.assert_sound()
