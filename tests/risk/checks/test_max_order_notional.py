from __future__ import annotations

import pytest

from framework.domain.numbers import Size
from framework.domain.orders import Side
from framework.domain.verdicts import RefusalCode
from risk.checks.max_order_notional import MaxOrderNotional
from tests.support.desk import QuotedBook
from tests.support.risk_view import BINARY, SPOT, Exposure, Propose, StaticView, book, working_order

CHECK = MaxOrderNotional.model_validate({"max_notional": "5"})


@pytest.mark.parametrize(
    ("side", "price", "size", "passes"),
    [
        (Side.BUY, 5_000, 999, True),
        (Side.BUY, 5_000, 1_000, True),
        (Side.BUY, 5_000, 1_001, False),
        (Side.BUY, 9_900, 505, True),
        (Side.BUY, 9_900, 506, False),
        (Side.SELL, 9_900, 50_000, True),
        (Side.SELL, 9_900, 50_001, False),
        (Side.SELL, 100, 505, True),
        (Side.SELL, 100, 506, False),
    ],
)
def test_binary_when_valued_then_a_buyer_risks_the_price_and_a_seller_the_rest(
    view: StaticView, propose: Propose, side: Side, price: int, size: int, passes: bool
) -> None:
    refusal = CHECK.check(propose(BINARY, side, price, size), view)
    assert (refusal is None) is passes
    assert refusal is None or refusal.code is RefusalCode.ORDER_NOTIONAL_MAX


@pytest.mark.parametrize(
    ("side", "price", "bid", "ask", "size", "passes"),
    [
        (Side.BUY, 1_000, 4_900, 5_100, 1_000, True),
        (Side.BUY, 1_000, 4_900, 5_100, 1_001, False),
        (Side.BUY, 1_000, 4_901, 5_100, 1_000, False),
        (Side.SELL, 9_000, 4_900, 5_100, 1_000, True),
        (Side.SELL, 9_000, 4_899, 5_100, 1_000, False),
    ],
)
def test_binary_when_the_market_is_worse_than_the_limit_price_then_the_market_counts_without_rounding(
    view: StaticView,
    propose: Propose,
    side: Side,
    price: int,
    bid: int,
    ask: int,
    size: int,
    passes: bool,
) -> None:
    view.books = {BINARY.id: book(bid, ask)}
    assert (CHECK.check(propose(BINARY, side, price, size), view) is None) is passes


@pytest.mark.parametrize("side", Side)
def test_spot_when_valued_then_the_higher_of_price_and_market_counts(
    view: StaticView, propose: Propose, side: Side
) -> None:
    check = MaxOrderNotional.model_validate({"max_notional": "100"})
    at_limit, over = 10**8 // 500, 10**8 // 500 + 1
    assert check.check(propose(SPOT, side, 50_000_00, at_limit), view) is None
    assert check.check(propose(SPOT, side, 50_000_00, over), view) is not None
    view.books = {SPOT.id: QuotedBook(SPOT.id, [(99_999_00, 1)], [(100_001_00, 1)])}
    assert check.check(propose(SPOT, side, 50_000_00, at_limit), view) is not None
    assert check.check(propose(SPOT, side, 50_000_00, at_limit // 2), view) is None


@pytest.mark.parametrize("facts", [{"is_fresh": False}])
def test_market_when_its_book_is_stale_or_crossed_then_the_limit_price_alone_counts(
    view: StaticView, propose: Propose, facts: dict[str, bool]
) -> None:
    view.books = {BINARY.id: book(9_700, 9_900, **facts)}
    assert CHECK.check(propose(BINARY, Side.BUY, 5_000, 1_000), view) is None
    view.books = {BINARY.id: book(9_900, 9_700)}
    assert CHECK.check(propose(BINARY, Side.BUY, 5_000, 1_000), view) is None


def test_order_when_it_only_closes_then_may_be_of_any_value(view: StaticView, propose: Propose) -> None:
    view.account = view.own = Exposure(Size(9_000))
    assert CHECK.check(propose(BINARY, Side.SELL, 100, 9_000), view) is None
    assert CHECK.check(propose(BINARY, Side.SELL, 100, 9_001), view) is not None


def test_amend_when_over_the_limit_then_passes_while_its_value_falls(view: StaticView, propose_change: Propose) -> None:
    order = working_order(size=Size(3_000))
    assert CHECK.check(propose_change(order, price=5_000, size=2_999), view) is None
    assert CHECK.check(propose_change(order, price=5_000, size=3_000), view) is not None
    assert CHECK.check(propose_change(order, price=4_900, size=3_000), view) is None
    assert CHECK.check(propose_change(order, price=9_000, size=2_000), view) is not None, "fewer, but worth more"
