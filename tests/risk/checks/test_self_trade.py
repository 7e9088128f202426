from __future__ import annotations

import pytest
from pydantic import ValidationError

from framework.domain.numbers import Price
from framework.domain.orders import OrderKind, Side, TimeInForce, Trigger, TriggerKind
from framework.domain.verdicts import RefusalCode
from risk.checks.self_trade import SelfTrade
from tests.support.risk_view import BINARY, Propose, StaticView, working_order

CHECK, CANCELLING = SelfTrade(), SelfTrade(mode="cancel_resting")


def show(view: StaticView, name: str, side: Side, price: int, **facts: object) -> None:
    order = working_order(side=side, price=Price(price), strategy="other", **facts)
    order.client_order_id = name
    view.own_prices.count(order, may_trade=True)


@pytest.mark.parametrize(
    ("side", "price", "is_refused"),
    [
        (Side.BUY, 5_200, True),
        (Side.BUY, 5_100, True),
        (Side.BUY, 5_000, False),
        (Side.SELL, 4_700, True),
        (Side.SELL, 4_800, True),
        (Side.SELL, 4_900, False),
    ],
)
def test_order_when_under_at_and_over_an_own_price_then_refused_from_it_on(
    view: StaticView, propose: Propose, side: Side, price: int, is_refused: bool
) -> None:
    show(view, "bid", Side.BUY, 4_800)
    show(view, "ask", Side.SELL, 5_100)
    refusal = CHECK.check(propose(side=side, price=price), view)
    assert (refusal is not None and refusal.code is RefusalCode.SELF_TRADE) is is_refused


def test_refusal_when_given_then_it_names_the_best_order_in_the_way_and_cancels_nothing(
    view: StaticView, propose: Propose
) -> None:
    show(view, "far", Side.SELL, 5_200)
    show(view, "near", Side.SELL, 5_000)
    refusal = CHECK.check(propose(side=Side.BUY, price=5_200), view)
    assert refusal is not None
    assert refusal.text == "side=buy price=0.5200 own_price=0.5000 own_order=near"
    assert refusal.cancels == ()


def test_refusal_when_resting_orders_are_to_be_cancelled_then_it_names_all_of_ours_in_the_way(
    view: StaticView, propose: Propose
) -> None:
    show(view, "far", Side.SELL, 5_200)
    show(view, "near", Side.SELL, 5_100)
    show(view, "beyond", Side.SELL, 5_300)
    view.own_prices.count_external(("kalshi", "x"), (BINARY.id, Side.SELL, Price(5_000)))
    refusal = CANCELLING.check(propose(side=Side.BUY, price=5_200), view)
    assert refusal is not None
    assert refusal.cancels == ("near", "far")
    assert "own_order=not ours cancelling=2 give=ask again when these have ended" in refusal.text


def test_refusal_when_only_orders_that_are_not_ours_are_in_the_way_then_nothing_is_cancelled(
    view: StaticView, propose: Propose
) -> None:
    view.own_prices.count_external(("kalshi", "x"), (BINARY.id, Side.SELL, Price(5_000)))
    refusal = CANCELLING.check(propose(side=Side.BUY, price=5_000), view)
    assert refusal is not None
    assert (refusal.cancels, "cancelling" in refusal.text) == ((), False)


@pytest.mark.parametrize(
    "terms",
    [
        {"post_only": True},
        {"kind": OrderKind.MARKET, "time_in_force": TimeInForce.IMMEDIATE_OR_CANCEL},
        {"trigger": Trigger(TriggerKind.STOP, Price(5_600))},
        {"reduce_only": True},
    ],
)
def test_order_when_of_whatever_kind_then_its_worst_price_counts(
    view: StaticView, propose: Propose, terms: dict[str, object]
) -> None:
    show(view, "ask", Side.SELL, 5_100)
    assert CHECK.check(propose(side=Side.BUY, price=5_100, **terms), view) is not None
    assert CHECK.check(propose(side=Side.BUY, price=5_000, **terms), view) is None


def test_amend_when_it_reaches_an_own_price_then_refused_and_its_own_order_is_not_in_its_way(
    view: StaticView, propose_change: Propose
) -> None:
    order = working_order(price=Price(5_000))
    view.own_prices.count(order, may_trade=True)
    show(view, "ask", Side.SELL, 5_300, amend_price=Price(5_200))
    assert CHECK.check(propose_change(order, price=5_100), view) is None
    assert CHECK.check(propose_change(order, price=5_200), view) is not None


def test_settings_when_the_mode_is_none_of_those_then_refused() -> None:
    with pytest.raises(ValidationError, match="mode"):
        SelfTrade.model_validate({"mode": "decrement"})
