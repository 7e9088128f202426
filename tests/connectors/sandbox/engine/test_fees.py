"""Fees against figures that the venue charged or documents."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sandbox.engine.fees import fee_bound, fill_fee, trade_fee
from connectors.sandbox.engine.model import FeeModel, MarketSpec
from tests.connectors.sandbox.engine.coins import USDT, Coins, spot_spec
from tests.connectors.sandbox.engine.venue import Venue

WITH_MAKER_FEES = FeeModel(maker_ppm=17_500)


def charged(price: int, size: int, *, taker: bool, model: FeeModel = WITH_MAKER_FEES) -> int:
    spec = MarketSpec(market_id="M", fees=model)
    trade = trade_fee(spec, price, size=size, taker=taker)
    return fill_fee(model, -price * size, trade=trade).total


@pytest.mark.parametrize(
    ("price", "contracts", "taker", "micro_dollars"),
    [(5200, 1, True, 17_500), (9900, 1, True, 700), (6700, 2, False, 7_800), (1200, 2, False, 3_700)],
)
def test_fee_when_charged_to_a_direct_member_then_it_is_the_recorded_one(
    price: int, contracts: int, taker: bool, micro_dollars: int
) -> None:
    assert charged(price, contracts * 100, taker=taker) == micro_dollars


def test_fee_when_rounded_to_whole_cents_then_it_is_the_documented_example() -> None:
    fee = fill_fee(FeeModel(balance_step=10_000), -55_000, trade=3_639)
    assert (fee.rounding, fee.rebate, fee.total) == (1_361, 0, 5_000)
    assert -55_000 - fee.total == -60_000


def test_trade_fee_when_the_model_is_not_whole_then_it_is_rounded_up_to_a_millionth() -> None:
    spec = MarketSpec(market_id="M", fees=WITH_MAKER_FEES)
    assert trade_fee(spec, 6700, size=200, taker=False) == 7_739
    assert trade_fee(spec, 5200, size=100, taker=True) == 17_472


def test_trade_fee_when_quadratic_without_maker_fees_then_a_maker_pays_nothing() -> None:
    assert charged(5200, 100, taker=False, model=FeeModel()) == 0


def test_trade_fee_when_the_series_has_a_multiplier_then_it_scales() -> None:
    half = FeeModel(multiplier_ppm=500_000)
    assert charged(5000, 100, taker=True, model=half) == 8_800


def test_trade_fee_when_notional_then_it_is_a_share_of_price_times_size() -> None:
    fees = FeeModel("notional", taker_ppm=1_000, balance_step=1)
    spec = MarketSpec(market_id="S", kind="spot", base="BTC", fees=fees)
    assert trade_fee(spec, 20_000, size=500, taker=True) == 10_000


def test_rebate_when_rounding_of_one_order_adds_up_then_whole_balance_steps_come_back() -> None:
    model = FeeModel(balance_step=10_000)
    accumulated = paid = 0
    for _ in range(10):
        fee = fill_fee(model, -5_500_000, trade=363_825, accumulated=accumulated)
        accumulated = fee.accumulated
        paid += fee.total
    assert paid - 10 * 363_825 == accumulated
    assert 0 <= accumulated < 10_000


def test_rebate_when_it_would_make_the_fee_negative_then_it_waits() -> None:
    fee = fill_fee(FeeModel(balance_step=10_000), -55_000, trade=3_639, accumulated=9_000)
    assert (fee.rebate, fee.accumulated, fee.total) == (0, 10_361, 5_000)


@given(
    revenue=st.integers(-(10**9), 10**9),
    trade=st.integers(0, 10**6),
    accumulated=st.integers(0, 10**6),
    step=st.sampled_from([1, 100, 10_000]),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_fill_fee_when_anything_is_charged_then_never_negative_and_in_whole_balance_steps(
    revenue: int, trade: int, accumulated: int, step: int
) -> None:
    fee = fill_fee(FeeModel(balance_step=step), revenue, trade=trade, accumulated=accumulated)
    assert fee.total >= 0
    assert (revenue - fee.total) % step == 0
    assert fee.accumulated == accumulated + fee.rounding - fee.rebate


def test_fee_bound_when_no_fee_and_no_rounding_can_occur_then_it_is_zero() -> None:
    spec = MarketSpec(market_id="M")
    assert fee_bound(spec, 5200, size=100, taker=False) == 0
    assert fee_bound(spec, 5210, size=100, taker=False) > 0
    assert fee_bound(spec, 5200, size=100, taker=True) >= 17_500


def test_order_when_it_fills_as_taker_and_maker_then_fees_are_kept_apart() -> None:
    venue = Venue(MarketSpec(market_id="M", fees=WITH_MAKER_FEES))
    venue.order("A", "ask", 52, 1)
    order = venue.order("B", "bid", 52, 3)
    venue.order("C", "ask", 52, 2)
    assert (order.taker_cost, order.taker_fees) == (520_000, 17_500)
    assert order.maker_cost == 1_040_000
    assert 8_700 <= order.maker_fees <= 8_800
    venue.assert_sound()


def test_fee_when_paid_in_what_is_received_then_a_buyer_gets_less_base_and_a_seller_less_quote() -> None:
    fees = FeeModel("notional", taker_ppm=1_500, maker_ppm=1_000, rounding="up", asset="received")
    coins = Coins(spot_spec(fees=fees))
    order = coins.order("A", "S", "bid", 630_000, 999)
    assert coins.available("A") == 100_000 * USDT - 630_000 * 999
    coins.order("B", "S", "ask", 630_000, 999)
    buyer, seller = coins.fills_of("A")[0], coins.fills_of("B")[0]
    assert (buyer.fee_currency, buyer.fee) == ("BTC", 1)
    assert (seller.fee_currency, seller.fee) == ("USDT", -(-630_000 * 999 * 15 // 10_000))
    assert coins.cash("A", "BTC") == 2_000 + 999 - 1
    assert (order.maker_fees, coins.position("A", "S").fees) == (0, 0)
    coins.assert_sound()


def test_fee_when_paid_in_another_asset_then_from_its_balance_and_in_quote_without_enough() -> None:
    fees = FeeModel(
        "notional", taker_ppm=1_000, maker_ppm=0, rounding="up", asset="other", currency="KLX", per_money_ppm=2_500_000
    )
    coins = Coins(spot_spec(fees=fees))
    coins.order("B", "S", "ask", 630_000, 200)
    assert coins.exchange.deposit("A", "KLX", 160_000, now_ns=coins.tick()) is None
    for _ in range(2):
        coins.order("A", "S", "bid", 630_000, 100, tif="ioc")
    assert [(fill.fee_currency, fill.fee) for fill in coins.fills_of("A")] == [("KLX", 157_500), ("USDT", 63_000)]
    assert coins.cash("A", "KLX") == 2_500
    coins.assert_sound()


def test_fee_when_the_rate_is_below_zero_then_the_maker_gets_a_rebate_rounded_down() -> None:
    coins = Coins(spot_spec(fees=FeeModel("notional", taker_ppm=500, maker_ppm=-101, rounding="up")))
    coins.order("A", "S", "bid", 630_001, 1)
    coins.order("B", "S", "ask", 630_001, 1)
    assert [fill.fee for fill in coins.exchange.ledger.fills] == [-63, 316]
    coins.assert_sound()


def test_fee_when_an_order_trades_in_many_pieces_then_they_cost_no_more_than_one() -> None:
    coins = Coins(spot_spec(fees=FeeModel("notional", taker_ppm=1_000, maker_ppm=1, rounding="up")))
    for _ in range(20):
        coins.order("B", "S", "ask", 111, 1)
    coins.order("A", "S", "bid", 111, 20)
    assert sum(fill.fee for fill in coins.fills_of("A")) == 3
    assert sum(fill.fee for fill in coins.fills_of("B")) == 20
    coins.assert_sound()
