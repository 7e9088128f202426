"""Positions and their profit, against an oracle that is written in another way."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from framework.domain.account_events import Fill
from framework.domain.instruments import Instrument, InstrumentKind, TickBand
from framework.domain.market_events import MarkPrice
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Side
from framework.state.positions import (
    TRADES_KEPT_MAX,
    Position,
    Positions,
    PositionSnapshot,
    Trade,
    denomination_of,
    profit_and_loss,
    trade_of,
)
from tests.support.desk import QuotedBook
from tests.support.state_records import MARKET, fill


def booked(*fills: Fill) -> Position:
    position = Position()
    for one in fills:
        position.add(trade_of(one, None))
    return position


def amounts(position: Position) -> tuple[int, int, int, int]:
    return position.size, position.cost, position.realised, position.fees


class Oracle:
    """Average cost in exact fractions: the textbook rule, with no rounding at all."""

    def __init__(self) -> None:
        self.size = 0
        self.average = Fraction(0)
        self.realised = Fraction(0)
        self.cash = Decimal(0)

    def trade(self, change: int, price: int) -> None:
        self.cash -= Decimal(change) * Decimal(price)
        closing = min(abs(change), abs(self.size)) if change * self.size < 0 else 0
        direction = 1 if self.size > 0 else -1
        self.realised += direction * closing * (price - self.average)
        opening = change - (-direction * closing)
        held = self.size - direction * closing
        if opening:
            self.average = (held * self.average + opening * price) / Fraction(held + opening)
        self.size += change


trades = st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 30), st.integers(1, 99)), max_size=40)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(trades)
def test_position_when_traded_then_agrees_with_the_oracle_and_loses_no_unit(deals: list[tuple[Side, int, int]]) -> None:
    oracle, position = Oracle(), Position()
    for number, (side, size, price) in enumerate(deals):
        oracle.trade(side.sign * size, price)
        position.add(Trade(number, str(number), side.sign * size, price, 1))
        assert position.size == oracle.size
        assert position.realised - position.cost == oracle.cash, "cash is kept to the last unit"
        assert abs(position.cost - oracle.size * oracle.average) <= len(deals)
        assert abs(position.realised - oracle.realised) <= len(deals)
        assert position.size != 0 or position.cost == 0
        assert position.cost == 0 or (position.cost > 0) == (position.size > 0)
    assert position.fees == len(deals)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(trades, st.data())
def test_position_when_fills_come_in_another_order_then_is_the_same(
    deals: list[tuple[Side, int, int]], data: st.DataObject
) -> None:
    made = [Trade(n, str(n), side.sign * size, price, 0) for n, (side, size, price) in enumerate(deals)]
    shuffled = data.draw(st.permutations(made))
    in_order, in_any_order = Position(), Position()
    for trade in made:
        in_order.add(trade)
    for trade in shuffled:
        in_any_order.add(trade)
    assert amounts(in_any_order) == amounts(in_order)


def test_position_when_a_part_is_closed_then_takes_its_part_of_the_cost() -> None:
    position = booked(fill("f1", price=50, size=3, at=1), fill("f2", side=Side.SELL, price=60, size=2, at=2))
    assert amounts(position) == (1, 50, 20, 0)


def test_position_when_cost_does_not_divide_then_the_remainder_stays_open() -> None:
    position = booked(
        fill("f1", price=10, size=2, at=1),
        fill("f2", price=11, size=1, at=2),
        fill("f3", side=Side.SELL, price=20, size=1, at=3),
    )
    assert amounts(position) == (2, 21, 10, 0)  # 31 * 1 // 3 = 10 is taken, 21 stays


def test_position_when_short_then_size_and_cost_are_negative_and_profit_mirrors() -> None:
    position = booked(fill("f1", side=Side.SELL, price=60, size=10, at=1), fill("f2", price=45, size=4, at=2))
    assert amounts(position) == (-6, -360, 60, 0)
    assert position.unrealised_twice(2 * 50) == 2 * 60


def test_position_when_it_flips_through_zero_then_all_of_the_old_side_is_realised() -> None:
    position = booked(fill("f1", price=50, size=4, at=1), fill("f2", side=Side.SELL, price=55, size=10, at=2))
    assert amounts(position) == (-6, -330, 20, 0)


def test_unrealised_when_the_mid_lies_on_a_half_then_is_exact() -> None:
    assert booked(fill(price=50, size=3)).unrealised_twice(101) == 3


@pytest.mark.parametrize("value", [0, 40, 100], ids=["nothing", "a part", "all"])
def test_settlement_when_paid_then_position_ends_at_the_value(value: int) -> None:
    position = booked(fill("f1", price=30, size=10, fee=2))
    position.settle(Price(value))
    assert amounts(position) == (0, 0, 10 * (value - 30), 2)
    assert position.unrealised_twice(120) == 0


def test_settlement_when_a_fill_comes_after_it_then_is_paid_too() -> None:
    early, late = booked(fill("f1", price=30)), booked(fill("f1", price=30))
    early.add(trade_of(fill("f2", side=Side.SELL, price=70, size=4, at=20), None))
    early.settle(Price(100))
    late.settle(Price(100))
    late.add(trade_of(fill("f2", side=Side.SELL, price=70, size=4, at=20), None))
    assert amounts(early) == amounts(late)


def test_void_when_the_trade_is_kept_then_it_is_as_if_it_never_was() -> None:
    keep, gone = fill("f1", price=30, at=1, fee=1), fill("f2", price=90, size=7, at=2, fee=5)
    last = fill("f3", side=Side.SELL, price=60, size=5, at=3)
    position = booked(keep, gone, last)
    position.remove(trade_of(gone, None))
    assert amounts(position) == amounts(booked(keep, last))


def test_void_when_the_trade_is_folded_away_then_its_cash_and_size_are_reversed() -> None:
    fills = [fill(f"f{n}", price=50, size=1, fee=1, at=n) for n in range(TRADES_KEPT_MAX + 1)]
    position = booked(*fills)
    position.remove(trade_of(fills[0], None))
    assert amounts(position) == (TRADES_KEPT_MAX, 50 * TRADES_KEPT_MAX, 0, TRADES_KEPT_MAX)


def test_positions_when_many_trades_were_folded_away_then_amounts_stay_exact() -> None:
    position, cash = Position(), 0
    for number in range(3 * TRADES_KEPT_MAX):
        change, price = (5, 40 + number % 7) if number % 3 else (-8, 50)
        cash -= change * price
        position.add(Trade(number, str(number), change, price, 0))
    assert position.realised - position.cost == cash
    again = Position.from_snapshot(position.snapshot())
    assert amounts(again) == amounts(position)


def test_positions_when_a_fill_is_given_to_a_strategy_then_both_books_show_it() -> None:
    positions = Positions()
    one = fill(price=30, size=10)
    positions.book(MARKET, trade_of(one, None))
    positions.attribute(MARKET, trade_of(one, None), "maker")
    assert positions.account(MARKET).size == 10
    assert positions.of_strategy("maker", MARKET).cost == 300
    assert positions.of_strategy("taker", MARKET).size == 0
    positions.settle(MARKET, Price(100))
    assert positions.of_strategy("maker", MARKET).realised == 700
    positions.attribute(MARKET, trade_of(fill("f2", price=90, size=1), None), "taker")
    assert positions.of_strategy("taker", MARKET).realised == 10
    assert [key for key, _ in positions.strategies()] == [("maker", MARKET), ("taker", MARKET)]
    assert [key for key, _ in positions.accounts()] == [MARKET]
    assert "size=0" in repr(positions.account(MARKET))


@pytest.mark.parametrize(
    ("side", "bids", "asks", "mark", "unrealised"),
    [
        (Side.BUY, [(60, 1)], [(70, 1)], "mid", 3 * 15),
        (Side.BUY, [(60, 1)], [], "bid", 3 * 10),
        (Side.BUY, [], [(70, 1)], "", 0),
        (Side.SELL, [], [(70, 1)], "ask", -3 * 20),
        (Side.SELL, [(60, 1)], [], "", 0),
        (Side.BUY, [(70, 1)], [(60, 1)], "", 0),
    ],
)
def test_mark_when_one_side_is_empty_then_it_is_the_side_that_closing_trades_with(
    side: Side, bids: list[tuple[int, int]], asks: list[tuple[int, int]], mark: str, unrealised: int
) -> None:
    profit = profit_and_loss(booked(fill(side=side, price=50, size=3)), QuotedBook(MARKET, bids, asks))
    assert (profit.mark, profit.unrealised, profit.is_marked) == (mark, unrealised, mark != "")
    assert not profit_and_loss(booked(fill(price=50)), QuotedBook(MARKET, bids, asks, is_fresh=False)).mark


def test_trade_when_the_price_is_an_average_then_the_exact_cost_counts() -> None:
    bought = structs.replace(fill("f1", price=33, size=3, at=1), cost=Money(100))
    part = booked(bought, fill("f2", side=Side.SELL, price=40, size=1, at=2))
    assert amounts(part) == (2, 67, 7, 0)
    sold = structs.replace(fill("f3", side=Side.SELL, price=33, size=6, at=2), cost=Money(201))
    assert amounts(booked(bought, sold)) == (-3, -101, 0, 0)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 30), st.integers(1, 9_999)), max_size=40))
def test_position_when_costs_are_off_the_grid_then_no_unit_of_cash_is_lost(deals: list[tuple[Side, int, int]]) -> None:
    position, cash = Position(), 0
    for number, (side, size, cost) in enumerate(deals):
        cash -= side.sign * cost
        position.add(Trade(number, str(number), side.sign * size, 50, 0, side.sign * cost))
        assert position.realised - position.cost == cash
        assert position.size != 0 or position.cost == 0


COIN = Instrument(
    id=MARKET,
    venue="coin",
    symbol="A",
    kind=InstrumentKind.SPOT,
    price_decimals=1,
    size_decimals=3,
    tick_bands=(TickBand(Price(1), Price(10**9), Price(1)),),
    base_currency="BTC",
    quote_currency="USDT",
)


@pytest.mark.parametrize(
    ("currency", "amount", "decimals", "expected"),
    [
        ("USDT", 123_456_789, 8, (1_000, 0, 12_346)),  # 1.23456789 at four decimals, rounded against us
        ("USDT", -123_456_789, 8, (1_000, 0, -12_345)),
        ("BTC", 1, 3, (999, 0, 0)),
        ("BTC", 1, 8, (999, 0, 0)),  # less than the smallest size: rounded against us
        ("ZDX", 5, 2, (1_000, 0, 0)),
    ],
)
def test_fee_when_it_has_a_currency_of_its_own_then_it_moves_what_it_is_paid_in(
    currency: str, amount: int, decimals: int, expected: tuple[int, int, int]
) -> None:
    one = fill(price=630_000, size=1_000)
    one = structs.replace(one, fee=Money(amount), fee_currency=currency, fee_decimals=decimals)
    trade = trade_of(one, denomination_of(COIN))
    position = Position()
    position.add(trade)
    assert (position.size, position.realised, position.fees) == expected
    assert position.cost == 630_000_000, "what was paid for the coins is their cost, whatever the fee took of them"


def test_fee_when_the_instrument_is_not_defined_then_one_in_a_currency_of_its_own_is_no_money() -> None:
    one = structs.replace(fill(size=5, fee=7), fee_currency="BTC", fee_decimals=8)
    assert (trade_of(one, None).change, trade_of(one, None).fee) == (5, 0)
    assert trade_of(fill(size=5, fee=7), None).fee == 7


def test_position_when_its_amounts_pass_64_bits_then_it_is_written_and_read_all_the_same() -> None:
    position = Position()
    for number in range(TRADES_KEPT_MAX + 1):
        position.add(Trade(number, str(number), 1, 2**61, 0))
    written = msgspec.msgpack.encode(position.snapshot())
    again = Position.from_snapshot(msgspec.msgpack.decode(written, type=PositionSnapshot))
    assert amounts(again) == amounts(position)
    assert position.cost == (TRADES_KEPT_MAX + 1) * 2**61


def test_profit_when_the_venue_publishes_a_mark_price_then_it_is_valued_at_that() -> None:
    book = QuotedBook(MARKET, ((Price(40), Size(5)),), ((Price(60), Size(5)),))
    profit = profit_and_loss(booked(fill(price=50, size=3)), book, MarkPrice(MARKET, 1, 1, Price(57)))
    assert (profit.unrealised, profit.mark, profit.is_marked) == (21, "venue", True)
