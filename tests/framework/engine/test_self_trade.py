"""Own orders never meet: across strategies, in flight, while they change, and what is done about those in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from framework.domain.account_events import ReportKind
from framework.domain.intents import CancelOrder, NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import OrderStatus, Outcome, Side
from framework.domain.strategy import OrderHandle
from framework.domain.verdicts import Approved, RefusalCode, Refused
from risk.checks.max_position import MaxPosition
from risk.checks.self_trade import SelfTrade
from tests.framework.engine.test_kernel import accept, report
from tests.support.state_records import listed
from tests.support.world import MARKET, Scribe, World


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> World:
    mode = getattr(request, "param", "refuse")
    limit = MaxPosition.model_validate({"max_position": "50"})
    world = World(tmp_path, checks=[("position", limit), ("self_trade", SelfTrade(mode=mode))])
    world.start()
    return world


cancelling = pytest.mark.parametrize("world", ["cancel_resting"], indirect=True)


@pytest.fixture
def maker(world: World) -> Scribe:
    return world.add("maker")  # type: ignore[no-any-return]


@pytest.fixture
def taker(world: World) -> Scribe:
    return world.add("taker")  # type: ignore[no-any-return]


def sell(world: World, strategy: Scribe, price: int = 45, size: int = 10) -> OrderHandle:
    return world.do(strategy, lambda: strategy.sell(MARKET, Price(price), Size(size)))  # type: ignore[no-any-return]


def test_order_when_another_strategy_has_one_in_the_way_that_has_not_left_then_refused(
    world: World, maker: Scribe, taker: Scribe
) -> None:
    bid = world.buy(maker, 45)
    refused = sell(world, taker, 45)
    assert refused.refusal is not None
    assert refused.refusal.code is RefusalCode.SELF_TRADE
    assert refused.refusal.detail == f"side=sell price=0.45 own_price=0.45 own_order={bid.client_order_id}"
    assert sell(world, taker, 46).is_approved
    assert len(world.queue) == 2


def test_no_order_when_bought_against_own_yes_then_refused(world: World, maker: Scribe, taker: Scribe) -> None:
    world.buy(maker, 45)
    buy_no = lambda price: world.do(  # noqa: E731 - the same order twice
        taker, lambda: taker.buy(MARKET, Price(price), Size(1), outcome=Outcome.NO)
    )
    assert buy_no(55).refusal.code is RefusalCode.SELF_TRADE
    assert buy_no(54).is_approved


@pytest.mark.parametrize(
    ("answer", "lowest"),
    [(None, 49), (ReportKind.AMEND_REFUSED, 46), (ReportKind.UNKNOWN, 49), (ReportKind.AMENDED, 49)],
)
def test_amend_when_it_is_under_way_then_both_prices_are_in_the_way_until_it_is_answered(
    world: World, maker: Scribe, taker: Scribe, answer: ReportKind | None, lowest: int
) -> None:
    bid = world.buy(maker, 45)
    accept(world, bid.client_order_id)
    assert isinstance(world.do(maker, lambda: bid.amend(Price(48), Size(10))), Approved)
    if answer is not None:
        world.kernel.publish(report(world, bid.client_order_id, answer))
    assert not sell(world, taker, lowest - 1).is_approved
    assert sell(world, taker, lowest).is_approved


def test_amend_when_it_would_reach_an_own_order_then_refused_and_the_order_stays(
    world: World, maker: Scribe, taker: Scribe
) -> None:
    ask, bid = sell(world, taker, 50), world.buy(maker, 45)
    accept(world, bid.client_order_id)
    accept(world, ask.client_order_id)
    verdict = world.do(maker, lambda: bid.amend(Price(50), Size(10)))
    assert isinstance(verdict, Refused)
    assert verdict.code is RefusalCode.SELF_TRADE
    assert world.order(bid).amend_price is None


def test_external_order_when_it_is_open_at_the_venue_then_it_is_in_the_way(world: World, taker: Scribe) -> None:
    world.kernel.publish(listed("", venue_order_id="x", price=47, at=world.clock.now_ns()))
    assert not sell(world, taker, 47).is_approved
    world.kernel.publish(listed("", venue_order_id="x", price=47, is_open=False, at=world.clock.now_ns()))
    assert sell(world, taker, 47).is_approved


@cancelling
def test_resting_orders_when_in_the_way_and_to_be_cancelled_then_they_are_and_the_order_goes_once_they_have_ended(
    world: World, maker: Scribe, taker: Scribe
) -> None:
    best, second, away = (world.carried(maker, price) for price in (48, 46, 40))
    for handle in (best, second, away):
        accept(world, handle.client_order_id)
    refused = sell(world, taker, 46)
    assert refused.refusal is not None
    assert "cancelling=2 give=ask again when these have ended" in refused.refusal.detail
    assert [world.next_intent() for _ in range(2)] == [
        CancelOrder(strategy="maker", client_order_id=one.client_order_id) for one in (best, second)
    ]
    assert not sell(world, taker, 46).is_approved
    assert len(world.queue) == 0, "a cancel that is under way is not asked for again"
    for handle in (best, second):
        world.kernel.publish(report(world, handle.client_order_id, ReportKind.CANCELLED))
    assert sell(world, taker, 46).is_approved
    assert world.order(away).status is OrderStatus.WORKING


@cancelling
def test_resting_order_when_the_new_one_is_refused_for_another_limit_then_it_is_not_cancelled(
    world: World, maker: Scribe, taker: Scribe
) -> None:
    bid = world.carried(maker)
    accept(world, bid.client_order_id)
    refused = sell(world, taker, 45, size=51)
    assert refused.refusal is not None
    assert refused.refusal.code is RefusalCode.POSITION_MAX
    assert len(world.queue) == 0


@cancelling
def test_refusal_when_it_cancels_then_the_journal_says_which(world: World, maker: Scribe, taker: Scribe) -> None:
    bid = world.buy(maker)
    sell(world, taker)
    bodies = [entry.record.body for entry in world.entries()]
    refused = next(body for body in bodies if isinstance(body, Refused))
    assert refused.cancels == (bid.client_order_id,)
    assert isinstance(refused.intent, NewOrder)
    assert refused.intent.side is Side.SELL
    assert world.order(bid).cancel_wanted
