"""Fills that the venue does not list are booked from what it states of orders and positions, once and at our risk."""

from __future__ import annotations

import msgspec
import pytest

from framework.domain.account_events import (
    BalanceReport,
    Fill,
    FillSource,
    InstrumentDefined,
    PositionReport,
    ReportKind,
    Scope,
    TradingState,
)
from framework.domain.market_events import TradePrint
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import OrderStatus, Side, Trigger, TriggerKind
from framework.domain.strategy import OrderHandle
from framework.domain.terms import FillListing, PositionListing, VenueTerms
from framework.state.accounts import Accounts
from tests.support.inquiries import look, report, working
from tests.support.state_records import INSTRUMENT
from tests.support.world import MARKET, MS, VENUE, Scribe, World

BY_ORDER = VenueTerms(open_orders=False, fills=FillListing.BY_ORDER, positions=PositionListing.NONE)
TAKER_ONLY = VenueTerms(fills=FillListing.TAKER_ONLY)
NO_POSITIONS = VenueTerms(positions=PositionListing.NONE)


def at_venue(world: World, handle: OrderHandle, *, filled: int = 0, is_open: bool = True, **stated: int | None) -> None:
    """The venue shows the order so from now on."""
    shown = world.listing(handle, filled=filled, is_open=is_open)
    world.gateway.orders_there[handle.client_order_id] = msgspec.structs.replace(shown, **stated)


def holds(world: World, size: int) -> None:
    """The venue shows this position from now on."""
    now_ns = world.clock.now_ns()
    world.gateway.positions_there = [PositionReport(venue=VENUE, instrument=MARKET, size=Size(size), ts_recv=now_ns)]


def position(world: World) -> int:
    return world.accounts.positions.account(MARKET).size


def booked(world: World) -> list[Fill]:
    return [one.fill for one in world.accounts.fills.snapshot().fills if not one.is_voided]


def state(world: World) -> TradingState:
    return world.accounts.trading.state(strategy="scribe", instrument=MARKET, venue=VENUE)


async def passes(world: World, count: int, *, every_ms: int = 1_000) -> None:
    """Let the reconciler compare so many times."""
    for _ in range(count):
        world.clock.advance(every_ms * MS)
        await world.reconciler.once()


async def test_spot_venue_when_it_lists_no_positions_then_a_booked_fill_halts_nothing(
    world: World, scribe: Scribe
) -> None:
    world.offer(NO_POSITIONS)
    world.kernel.publish(world.fill(working(world, scribe), 4))
    await passes(world, 20)
    assert state(world) is TradingState.ACTIVE
    assert world.reconciler.differences == ()


async def test_open_orders_when_they_can_not_be_listed_then_none_is_only_here_and_each_has_its_turn(
    world: World, scribe: Scribe
) -> None:
    world.offer(BY_ORDER)
    handles = [working(world, scribe) for _ in range(3)]
    for handle in handles:
        at_venue(world, handle)
    await passes(world, 1)
    assert world.gateway.looked_up == [one.client_order_id for one in handles]
    world.gateway.looked_up.clear()
    for _ in range(600):
        await look(world, after_ns=100 * MS)
    assert world.reconciler.differences == ()
    assert {world.gateway.looked_up.count(one.client_order_id) for one in handles} <= {5, 6}


async def test_open_order_when_public_trades_reach_its_price_then_it_is_looked_up_at_once(
    world: World, scribe: Scribe
) -> None:
    world.offer(BY_ORDER)
    handle = working(world, scribe)
    at_venue(world, handle)
    await passes(world, 1)
    world.gateway.looked_up.clear()
    await look(world, after_ns=2_000 * MS)
    now_ns = world.clock.now_ns()
    world.reconciler.on_trade(TradePrint(MARKET, now_ns, now_ns, "t1", Price(46), Size(1), Side.SELL))
    await look(world, after_ns=300 * MS)
    assert world.gateway.looked_up == []
    world.reconciler.on_trade(TradePrint(MARKET, now_ns, now_ns, "t2", Price(45), Size(1), Side.SELL))
    await look(world, after_ns=300 * MS)
    assert world.gateway.looked_up == [handle.client_order_id]


@pytest.mark.parametrize(
    ("kind", "price", "is_looked_up"),
    [
        (TriggerKind.STOP, 43, False),
        (TriggerKind.STOP, 44, True),
        (TriggerKind.STOP, 45, True),
        (TriggerKind.STOP, 46, False),
        (TriggerKind.TAKE_PROFIT, 45, False),
        (TriggerKind.TAKE_PROFIT, 44, True),
    ],
)
async def test_order_when_it_waits_for_its_trigger_then_only_trades_that_far_have_it_looked_up(
    world: World, scribe: Scribe, kind: TriggerKind, price: int, is_looked_up: bool
) -> None:
    """A bid at 45, triggered at 44."""
    world.offer(BY_ORDER)
    handle = working(world, scribe)
    world.order(handle).trigger = Trigger(kind, Price(44))
    at_venue(world, handle)
    await passes(world, 1)
    world.gateway.looked_up.clear()
    await look(world, after_ns=2_000 * MS)
    now_ns = world.clock.now_ns()
    world.reconciler.on_trade(TradePrint(MARKET, now_ns, now_ns, "t1", Price(price), Size(1), Side.SELL))
    await look(world, after_ns=300 * MS)
    assert bool(world.gateway.looked_up) is is_looked_up


async def test_statement_when_fills_are_listed_nowhere_then_what_it_shows_is_booked_at_its_exact_cost(
    world: World, scribe: Scribe
) -> None:
    world.offer(BY_ORDER)
    handle = working(world, scribe)
    at_venue(world, handle, filled=3, cost=Money(3 * 44 + 1), fees=Money(2))
    await passes(world, 1)
    at_venue(world, handle, filled=10, is_open=False, cost=Money(3 * 44 + 1 + 7 * 45), fees=Money(9))
    for _ in range(150):
        await look(world, after_ns=100 * MS)

    by_id = {fill.fill_id: fill for fill in booked(world)}
    name = f"v-{handle.client_order_id}"
    one, two = by_id[f"{name}#3"], by_id[f"{name}#10"]
    assert (one.size, one.price, one.cost, one.fee) == (3, 45, 133, 2)
    assert (two.size, two.price, two.cost, two.fee) == (7, 45, None, 7)
    assert {fill.source for fill in (one, two)} == {FillSource.INFERRED_ORDER}
    assert world.order(handle).status is OrderStatus.FILLED
    assert position(world) == 10


async def test_statement_when_it_is_repeated_or_old_or_after_a_restart_then_nothing_is_booked_again(
    world: World, scribe: Scribe
) -> None:
    world.offer(BY_ORDER)
    handle = working(world, scribe)
    for filled in (5, 5, 3):
        at_venue(world, handle, filled=filled)
        world.reconciler.request()
        await passes(world, 1)
    assert position(world) == 5
    again = Accounts.from_snapshot(world.accounts.to_snapshot())
    assert again.orders.get(handle.client_order_id) is not None
    assert again.digest() == world.accounts.digest()


async def test_answer_when_it_states_fills_that_no_look_up_shows_then_they_are_booked_at_the_limit_without_a_halt(
    world: World, scribe: Scribe
) -> None:
    world.offer(BY_ORDER)
    handle = working(world, scribe)
    world.gateway.orders_there.clear()
    now_ns = world.clock.now_ns()
    world.kernel.publish(msgspec.structs.replace(world.listing(handle, filled=10, is_open=False), ts_recv=now_ns))
    for _ in range(40):
        await look(world, after_ns=1_000 * MS)
    assert (position(world), world.order(handle).status) == (10, OrderStatus.FILLED)
    assert world.accounts.orders.awaiting_fills() == ()
    assert state(world) is TradingState.ACTIVE


async def test_order_when_its_answer_states_more_than_is_booked_then_the_next_pass_books_it(
    world: World, scribe: Scribe
) -> None:
    """A stop makes one pass when every order has ended: nothing may be left out then."""
    world.offer(BY_ORDER)
    handle = working(world, scribe)
    at_venue(world, handle, filled=10, is_open=False, cost=Money(450))
    now_ns = world.clock.now_ns()
    world.kernel.publish(msgspec.structs.replace(world.listing(handle, filled=10, is_open=False), ts_recv=now_ns))
    assert (position(world), world.order(handle).status) == (0, OrderStatus.ENDING)
    await world.reconciler.once()
    assert (position(world), world.order(handle).status) == (10, OrderStatus.FILLED)


async def test_maker_fill_when_only_the_position_shows_it_then_it_is_booked_at_its_limit_after_the_lag(
    world: World, scribe: Scribe
) -> None:
    world.offer(TAKER_ONLY)
    handle = working(world, scribe)
    at_venue(world, handle, filled=10, is_open=False)
    holds(world, 10)
    await passes(world, 1, every_ms=150)
    assert (position(world), world.order(handle).status) == (0, OrderStatus.ENDING)
    assert world.accounts.exposure(MARKET).open_buy == 10

    await passes(world, 2)

    assert (position(world), world.order(handle).status) == (10, OrderStatus.FILLED)
    assert world.accounts.exposure(MARKET).open_buy == 0
    (fill,) = booked(world)
    assert (fill.price, fill.is_maker) == (45, True)
    assert state(world) is TradingState.ACTIVE


async def test_partial_fill_when_no_amount_is_stated_then_the_position_says_how_much_and_the_best_price_has_it(
    world: World, scribe: Scribe
) -> None:
    world.offer(TAKER_ONLY)
    low, high = working(world, scribe), working(world, scribe)
    for handle in (low, high):
        at_venue(world, handle)
    await passes(world, 1)
    at_venue(world, high, filled=1)
    holds(world, 6)
    await passes(world, 3)
    assert (world.order(high).filled, world.order(low).filled) == (6, 0)
    assert world.order(high).status is OrderStatus.PARTIALLY_FILLED
    assert world.accounts.exposure(MARKET).open_buy == 14


async def test_fill_when_it_is_listed_after_it_was_inferred_then_it_takes_its_place_and_nothing_counts_twice(
    world: World, scribe: Scribe
) -> None:
    world.offer(TAKER_ONLY)
    handle = working(world, scribe)
    at_venue(world, handle, filled=10, is_open=False)
    holds(world, 10)
    await passes(world, 3)
    world.gateway.fills_there.append(world.fill(handle, 4, "real"))
    sizes = []
    world.watcher.on_change = lambda _: sizes.append(position(world))  # type: ignore[method-assign]
    await passes(world, 3)

    assert max(sizes) == 10
    assert sorted((one.fill_id == "real", one.size) for one in booked(world)) == [(False, 6), (True, 4)]
    assert (position(world), world.order(handle).filled) == (10, 10)
    assert world.order(handle).status is OrderStatus.FILLED
    assert state(world) is TradingState.ACTIVE


async def test_cancelled_order_when_the_venue_states_no_amount_then_its_exposure_stays_until_a_position_says_it(
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
    await passes(world, 1)
    assert world.accounts.exposure(MARKET).open_buy == 10
    await passes(world, 3)
    assert (world.order(handle).status, world.order(handle).filled) == (OrderStatus.CANCELLED, 3)
    assert (position(world), world.accounts.exposure(MARKET).open_buy) == (3, 0)


async def test_end_when_another_order_s_stated_fill_hides_what_it_traded_then_the_position_still_shows_it(
    world: World, scribe: Scribe
) -> None:
    world.offer(TAKER_ONLY)
    bid = working(world, scribe)
    ask = world.do(scribe, lambda: scribe.sell(MARKET, Price(60), Size(10)))
    assert isinstance(ask, OrderHandle)
    world.queue.pop()
    world.kernel.publish(world.listing(ask))
    for handle in (bid, ask):
        at_venue(world, handle)
    await passes(world, 1)
    world.do(scribe, bid.cancel)
    report(world, bid, ReportKind.CANCEL_PENDING)
    at_venue(world, bid, is_open=False)
    holds(world, -3)
    await passes(world, 1)
    at_venue(world, ask, filled=10, is_open=False)
    for _ in range(8):
        await passes(world, 1)
        assert world.order(bid).status is not OrderStatus.CANCELLED or world.order(bid).filled == 7
    assert (world.order(bid).filled, world.order(ask).filled, position(world)) == (7, 10, -3)


async def test_position_when_it_agreed_after_an_order_s_end_then_a_later_change_is_another_order_s(
    world: World, scribe: Scribe
) -> None:
    world.offer(TAKER_ONLY)
    first = working(world, scribe)
    at_venue(world, first)
    await passes(world, 1)
    world.do(scribe, first.cancel)
    report(world, first, ReportKind.CANCEL_PENDING)
    at_venue(world, first, is_open=False)
    await passes(world, 3)
    assert world.order(first).status is OrderStatus.CANCELLED
    second = working(world, scribe)
    at_venue(world, second)
    holds(world, 3)
    await passes(world, 3)
    assert position(world) == 0, "no order is stated to have traded yet"
    at_venue(world, second, filled=1)
    await passes(world, 3)
    assert (world.order(first).filled, world.order(second).filled, position(world)) == (0, 3, 3)


async def test_position_when_no_order_explains_it_then_it_is_booked_to_nobody_and_the_instrument_only_reduces(
    world: World, scribe: Scribe
) -> None:
    world.offer(TAKER_ONLY)
    handle = working(world, scribe)
    at_venue(world, handle)
    holds(world, -5)
    await passes(world, 8)
    assert state(world) is TradingState.ACTIVE
    await passes(world, 6)
    assert (position(world), world.accounts.positions.of_strategy("scribe", MARKET).size) == (-5, 0)
    assert world.accounts.trading.is_set(Scope.INSTRUMENT, MARKET, TradingState.REDUCING)
    assert any("no order of ours" in alarm for change in world.watcher.changes for alarm in change.alarms)
    assert world.accounts.unmatched.unlisted(VENUE) == ()


async def test_hidden_fill_when_two_strategies_could_own_it_then_an_alarm_names_them_and_the_best_price_has_it(
    world: World, scribe: Scribe
) -> None:
    world.offer(TAKER_ONLY)
    other = world.add("other")
    mine, theirs = working(world, scribe), world.carried(other, 46)
    world.kernel.publish(world.listing(theirs))
    for handle in (mine, theirs):
        at_venue(world, handle, filled=1)
    holds(world, 5)
    await passes(world, 4)
    assert position(world) == 5
    assert (world.order(mine).filled, world.order(theirs).filled) == (1, 4)
    assert "orders of other and scribe could have traded it" in world.alarms[0]


SPOT = msgspec.structs.replace(INSTRUMENT, base_currency="COIN")


def balance(world: World, amount: int) -> None:
    """The venue reports this balance of the base currency."""
    now_ns = world.clock.now_ns()
    world.kernel.publish(BalanceReport(venue=VENUE, currency="COIN", amount=amount, decimals=0, ts_recv=now_ns))


async def test_balance_when_it_moves_as_our_positions_do_then_nothing_differs(world: World, scribe: Scribe) -> None:
    world.offer(NO_POSITIONS)
    world.kernel.publish(InstrumentDefined(SPOT, world.clock.now_ns()))
    balance(world, 100)
    handle = working(world, scribe)
    at_venue(world, handle, filled=4)
    world.kernel.publish(world.fill(handle, 4))
    for _ in range(30):
        await passes(world, 2)
        balance(world, 104)
    assert state(world) is TradingState.ACTIVE


async def test_balance_when_it_moves_without_a_trade_of_ours_then_the_instrument_is_halted_and_a_deposit_is_named(
    world: World, scribe: Scribe
) -> None:
    world.offer(NO_POSITIONS)
    world.kernel.publish(InstrumentDefined(SPOT, world.clock.now_ns()))
    balance(world, 100)
    for _ in range(15):
        await passes(world, 2)
        balance(world, 103)
    assert state(world) is TradingState.ACTIVE
    for _ in range(10):
        await passes(world, 2)
        balance(world, 103)
    assert world.accounts.trading.is_set(Scope.INSTRUMENT, MARKET, TradingState.HALTED)
    (difference,) = world.reconciler.differences
    assert "the balance of COIN changed by 3 since it was first reported; here positions" in difference.text
    assert "a deposit" in difference.text
    again = Accounts.from_snapshot(world.accounts.to_snapshot())
    assert again.baselines.changes(world.accounts.balances[VENUE, "COIN"])[0] == 3


async def test_venue_when_it_does_not_list_everything_then_what_can_not_be_known_is_said(world: World) -> None:
    assert world.reconciler.not_known == ()
    world.offer(BY_ORDER)
    said = "; ".join(world.reconciler.not_known)
    assert "orders that are not ours can't be known here" in said
    assert "changes of balances are compared" in said


async def test_end_when_its_report_states_no_amount_and_fills_are_listed_nowhere_then_it_is_looked_up_once(
    world: World, scribe: Scribe
) -> None:
    world.offer(BY_ORDER)
    handle = working(world, scribe)
    await passes(world, 1)
    report(world, handle, ReportKind.CANCELLED)
    at_venue(world, handle, filled=3, is_open=False)
    world.gateway.looked_up.clear()
    await passes(world, 5)
    assert world.gateway.looked_up == [handle.client_order_id]
    assert (position(world), world.order(handle).status) == (3, OrderStatus.CANCELLED)


async def test_maker_fill_when_positions_can_not_be_read_either_then_what_its_order_states_is_booked(
    world: World, scribe: Scribe
) -> None:
    world.offer(VenueTerms(fills=FillListing.TAKER_ONLY, positions=PositionListing.NONE))
    handle = working(world, scribe)
    at_venue(world, handle, filled=10, is_open=False)
    await passes(world, 4)
    assert (position(world), world.order(handle).status) == (10, OrderStatus.FILLED)
