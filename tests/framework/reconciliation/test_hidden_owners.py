"""Which of several orders a hidden fill belongs to, and what an end that waits for the position looks like."""

from __future__ import annotations

import msgspec
import pytest

from framework.domain.account_events import ReportKind, Scope, TradingState
from framework.domain.market_events import TradePrint
from framework.domain.numbers import Price, Size
from framework.domain.orders import OrderStatus, Side
from framework.domain.strategy import OrderHandle
from framework.reconciliation.differences import DifferenceKind
from tests.framework.reconciliation.test_hidden_fills import TAKER_ONLY, at_venue, holds, passes, position, state
from tests.support.inquiries import report, working
from tests.support.world import MARKET, MS, Scribe, World


async def ended_after_a_part(world: World, scribe: Scribe) -> OrderHandle:
    """A bid of which 3 of 10 have traded, and whose end is long known."""
    handle = working(world, scribe)
    at_venue(world, handle, filled=1)
    holds(world, 3)
    await passes(world, 4)
    world.do(scribe, handle.cancel)
    report(world, handle, ReportKind.CANCEL_PENDING)
    at_venue(world, handle, is_open=False)
    await passes(world, 8)
    assert (world.order(handle).status, world.order(handle).filled) == (OrderStatus.CANCELLED, 3)
    return handle


async def test_hidden_fill_when_another_order_of_its_side_ended_before_then_that_one_can_not_own_it(
    world: World, scribe: Scribe
) -> None:
    world.offer(TAKER_ONLY)
    ended = await ended_after_a_part(world, scribe)
    resting = working(world, scribe)
    at_venue(world, resting, filled=1)
    holds(world, 7)
    await passes(world, 4)
    assert (world.order(ended).filled, world.order(resting).filled) == (3, 4)


async def test_hidden_fill_when_two_ended_orders_could_own_it_then_the_one_at_whose_limit_was_traded_has_it(
    world: World, scribe: Scribe
) -> None:
    world.offer(TAKER_ONLY)
    high, low = world.carried(scribe, 46), world.carried(scribe, 45)
    for handle in (high, low):
        world.kernel.publish(world.listing(handle))
        at_venue(world, handle)
    await passes(world, 1)
    now_ns = world.clock.now_ns()
    world.reconciler.on_trade(TradePrint(MARKET, now_ns, now_ns, "t1", Price(45), Size(9), Side.SELL))
    for handle in (high, low):
        world.do(scribe, handle.cancel)
        report(world, handle, ReportKind.CANCEL_PENDING)
        at_venue(world, handle, is_open=False)
    holds(world, 4)
    await passes(world, 6)
    assert (world.order(high).filled, world.order(low).filled) == (0, 4)


async def test_ended_order_when_a_trade_of_the_other_side_had_hidden_its_own_then_it_has_it_all_the_same(
    world: World, scribe: Scribe
) -> None:
    """The venue's position never moved: both traded 3."""
    world.offer(TAKER_ONLY)
    bid, offer = working(world, scribe), world.do(scribe, lambda: scribe.sell(MARKET, Price(60), Size(10)))
    world.queue.pop()
    world.kernel.publish(world.listing(offer))
    at_venue(world, offer)
    world.do(scribe, bid.cancel)
    report(world, bid, ReportKind.CANCEL_PENDING)
    at_venue(world, bid, is_open=False)
    await passes(world, 8)
    assert world.order(bid).status is OrderStatus.CANCELLED
    world.gateway.fills_there.append(world.fill(offer, 3, "listed late"))
    await passes(world, 3)
    assert (position(world), world.order(bid).filled, world.order(offer).filled) == (0, 3, 3)
    assert state(world) is TradingState.ACTIVE


async def test_ended_order_when_another_had_been_given_its_fill_then_it_has_it_once_that_one_trades_more(
    world: World, scribe: Scribe
) -> None:
    """4 of the bid that ended, and 1 of the one that rests, which is given all 5 and then trades the 9 that it had."""
    world.offer(TAKER_ONLY)
    ended, resting = working(world, scribe), working(world, scribe)
    at_venue(world, ended)
    at_venue(world, resting, filled=1)
    await passes(world, 1)
    world.do(scribe, ended.cancel)
    report(world, ended, ReportKind.CANCEL_PENDING)
    at_venue(world, ended, is_open=False)
    holds(world, 5)
    await passes(world, 6)
    assert (world.order(ended).status, world.order(resting).filled) == (OrderStatus.CANCELLED, 5)
    at_venue(world, resting, filled=10, is_open=False)
    holds(world, 14)
    await passes(world, 4)
    assert (position(world), world.order(ended).filled, world.order(resting).filled) == (14, 4, 10)
    assert state(world) is TradingState.ACTIVE


@pytest.mark.parametrize("bought_since", [0, 10])
async def test_position_when_it_moves_beside_orders_that_ended_long_ago_then_it_is_none_of_them(
    world: World, scribe: Scribe, bought_since: int
) -> None:
    world.offer(TAKER_ONLY)
    bid, offer = working(world, scribe), world.do(scribe, lambda: scribe.sell(MARKET, Price(60), Size(10)))
    world.queue.pop()
    world.kernel.publish(world.listing(offer))
    at_venue(world, offer)
    at_venue(world, bid, filled=10, is_open=False)
    holds(world, 10)
    world.do(scribe, offer.cancel)
    report(world, offer, ReportKind.CANCEL_PENDING)
    at_venue(world, offer, is_open=False)
    await passes(world, 8)
    assert (position(world), world.order(offer).status) == (10, OrderStatus.CANCELLED)
    if bought_since:
        another = working(world, scribe)
        at_venue(world, another, filled=bought_since, is_open=False)
        world.gateway.fills_there.append(world.fill(another, bought_since, "bought since"))
    holds(world, bought_since)
    await passes(world, 14)
    assert (position(world), world.order(offer).filled) == (bought_since, 0)
    assert world.accounts.trading.is_set(Scope.INSTRUMENT, MARKET, TradingState.REDUCING)


async def test_ended_order_when_its_fill_was_taken_back_for_one_that_is_listed_late_then_it_has_it_again(
    world: World, scribe: Scribe
) -> None:
    world.offer(TAKER_ONLY)
    offer = world.do(scribe, lambda: scribe.sell(MARKET, Price(60), Size(10)))
    world.queue.pop()
    world.kernel.publish(world.listing(offer))
    at_venue(world, offer)
    await passes(world, 1)
    world.do(scribe, offer.cancel)
    report(world, offer, ReportKind.CANCEL_PENDING)
    at_venue(world, offer, is_open=False)
    holds(world, -2)
    await passes(world, 6)
    assert (world.order(offer).status, world.order(offer).filled) == (OrderStatus.CANCELLED, 2)
    bid = working(world, scribe)
    at_venue(world, bid)
    holds(world, 3)
    await passes(world, 3)
    assert (position(world), world.order(offer).filled) == (0, 0)
    world.gateway.fills_there.append(world.fill(bid, 5, "listed late"))
    await passes(world, 3)
    assert (position(world), world.order(offer).filled, world.order(bid).filled) == (3, 2, 5)


async def test_fill_when_it_is_listed_while_it_is_owed_then_no_other_order_loses_its_own(
    world: World, scribe: Scribe
) -> None:
    world.offer(TAKER_ONLY)
    ended, other = working(world, scribe), working(world, scribe)
    early_ns = world.clock.now_ns()
    for handle in (ended, other):
        at_venue(world, handle)
    await passes(world, 1)
    world.do(scribe, ended.cancel)
    report(world, ended, ReportKind.CANCEL_PENDING)
    at_venue(world, ended, is_open=False)
    holds(world, 3)
    await passes(world, 6)
    assert world.order(ended).filled == 3
    at_venue(world, other, filled=10, is_open=False)
    holds(world, 13)
    await passes(world, 1)
    assert world.order(other).status is OrderStatus.ENDING
    world.gateway.fills_there.append(msgspec.structs.replace(world.fill(other, 1, "listed"), ts_venue=early_ns))
    await passes(world, 1, every_ms=10)
    assert (world.order(ended).filled, world.order(other).filled) == (3, 1)
    await passes(world, 3)
    assert (position(world), world.order(ended).filled, world.order(other).filled) == (13, 3, 10)


async def test_cancelled_order_when_its_end_waits_for_the_position_then_nothing_differs(
    world: World, scribe: Scribe
) -> None:
    world.offer(TAKER_ONLY)
    handle = working(world, scribe)
    at_venue(world, handle)
    await passes(world, 1)
    world.do(scribe, handle.cancel)
    report(world, handle, ReportKind.CANCEL_PENDING)
    at_venue(world, handle, is_open=False)
    holds(world, 3)
    found = []
    while world.order(handle).is_open:
        await passes(world, 1, every_ms=150)
        found += [one.kind for one in world.reconciler.differences]
    assert set(found) <= {DifferenceKind.POSITION}


async def test_cancelled_order_when_its_end_is_not_known_for_long_then_it_differs(world: World, scribe: Scribe) -> None:
    world.offer(TAKER_ONLY)
    handle = working(world, scribe)
    at_venue(world, handle)
    await passes(world, 1)
    world.do(scribe, handle.cancel)
    report(world, handle, ReportKind.CANCEL_PENDING)
    world.gateway.orders_there.clear()
    await passes(world, 9)
    assert world.reconciler.differences == ()
    await passes(world, 4)
    (one,) = world.reconciler.differences
    assert (one.kind, one.subject) == (DifferenceKind.ONLY_HERE, handle.client_order_id)
    assert "its cancel was taken, and its end is not proved yet" in one.text


async def test_position_when_a_comparison_takes_long_then_orders_are_asked_before_it_is_booked_to_nobody(
    world: World, scribe: Scribe
) -> None:
    world.offer(TAKER_ONLY)
    handle = working(world, scribe)
    at_venue(world, handle)
    holds(world, 10)
    await passes(world, 1)
    world.gateway.meanwhile = lambda: world.clock.advance(11_000 * MS)
    await passes(world, 1, every_ms=50)
    assert (position(world), state(world)) == (0, TradingState.ACTIVE)
    at_venue(world, handle, filled=10, is_open=False)
    await passes(world, 6, every_ms=50)
    assert (position(world), world.order(handle).filled, state(world)) == (10, 10, TradingState.ACTIVE)
