from __future__ import annotations

import pytest

from framework.domain.instruments import InstrumentId
from framework.domain.intents import CancelAll, CancelOrder
from framework.domain.market_events import TimerFired
from framework.domain.orders import OrderStatus
from framework.domain.rate_limits import RequestKind
from tests.support.world import INSTRUMENT, MARKET, START_NS, VENUE, Scribe, World


def test_desk_when_the_market_is_known_then_it_shows_instrument_book_and_time(world: World, scribe: Scribe) -> None:
    desk = scribe.desk

    assert desk.instruments == (MARKET,)
    assert desk.instrument(MARKET) == INSTRUMENT
    assert (desk.book(MARKET).bid, desk.book(MARKET).ask) == (40, 60)
    assert desk.now_ns == START_NS


def test_desk_when_the_instrument_is_unknown_then_it_says_so(scribe: Scribe) -> None:
    with pytest.raises(KeyError, match="no connector has defined tide:Z"):
        scribe.desk.instrument(InstrumentId("tide:Z"))
    assert not scribe.desk.book(InstrumentId("tide:Z")).is_fresh


def test_book_when_no_connector_has_defined_the_instrument_then_no_book_and_no_venue_begins(
    world: World, scribe: Scribe
) -> None:
    for name in ("bogus:X", "tide:Z", "no venue"):
        assert not scribe.desk.book(InstrumentId(name)).is_fresh
    books = world.kernel.dependencies.books
    assert books.venues == (VENUE,)
    assert [book.instrument for book in books.of_venue(VENUE)] == [MARKET]


def test_desk_when_time_passes_between_events_then_a_step_sees_one_time(world: World, scribe: Scribe) -> None:
    seen: list[int] = []

    def look_twice() -> None:
        seen.append(scribe.desk.monotonic_ns)
        world.clock.advance(5)
        seen.append(scribe.desk.monotonic_ns)

    world.do(scribe, look_twice)

    assert seen[0] == seen[1]


def test_orders_when_two_strategies_trade_then_each_sees_its_own(world: World, scribe: Scribe) -> None:
    other = world.add("other")
    mine, theirs = world.buy(scribe), world.buy(other)

    assert [order.client_order_id for order in scribe.desk.orders()] == [mine.client_order_id]
    assert scribe.desk.order(theirs.client_order_id) is None
    assert other.desk.order(theirs.client_order_id) is not None


def test_position_when_an_order_trades_then_only_its_strategy_has_it(world: World, scribe: Scribe) -> None:
    other = world.add("other")
    handle = world.buy(scribe)
    world.kernel.publish(world.fill(handle, 4))

    assert scribe.desk.position(MARKET).size == 4
    assert other.desk.position(MARKET).size == 0


def test_submit_when_approved_then_the_handle_knows_its_order_at_once(world: World, scribe: Scribe) -> None:
    handle = world.buy(scribe)

    assert handle.is_approved
    assert handle.order is not None
    assert handle.order.status is OrderStatus.RECORDED
    assert handle.is_open


def test_submit_when_the_intent_names_another_strategy_then_it_is_a_fault_and_nothing_is_judged(
    world: World, scribe: Scribe
) -> None:
    other = world.add("other")
    theirs = world.buy(other)
    world.watcher.verdicts.clear()
    scribe.chores["timer"] = lambda: scribe.desk.submit(
        CancelOrder(strategy="other", client_order_id=theirs.client_order_id)
    )

    world.kernel.publish(TimerFired("scribe", "chore", 0))

    assert world.watcher.verdicts == []
    assert "intent.strategy: 'other' is not 'scribe'" in world.watcher.faults[0][1]


def test_submit_when_a_strategy_asks_to_cancel_all_then_it_is_a_fault(world: World, scribe: Scribe) -> None:
    scribe.chores["timer"] = lambda: scribe.desk.submit(CancelAll(strategy="scribe", venue=VENUE))

    world.kernel.publish(TimerFired("scribe", "chore", 0))

    assert len(world.queue) == 0
    assert "cancel-all is the operator's" in world.watcher.faults[0][1]


def test_timer_when_set_then_it_carries_the_strategys_name(world: World, scribe: Scribe) -> None:
    scribe.desk.set_timer("check", after_ms=20)

    assert world.timers.due == {("scribe", "check"): 20}


@pytest.mark.parametrize("after_ms", [float("nan"), 1.5, -1, True, 10**12])
def test_timer_when_its_time_is_no_number_of_milliseconds_then_it_is_refused(
    world: World, scribe: Scribe, after_ms: int
) -> None:
    with pytest.raises(ValueError, match=r"after_ms: .* of timer 'check'"):
        scribe.desk.set_timer("check", after_ms=after_ms)

    assert world.timers.due == {}


@pytest.mark.parametrize("name", ["\udc80", "a\nb", 3, None, ("check",)])
def test_timer_when_its_name_can_not_be_written_then_it_is_refused_before_it_reaches_the_tape(
    world: World, scribe: Scribe, name: str
) -> None:
    with pytest.raises(ValueError, match=r"name: .* of a timer; give printable characters"):
        scribe.desk.set_timer(name, after_ms=20)

    assert world.timers.due == {}


def test_budget_when_limits_are_declared_then_the_desk_shows_what_is_left(world: World, scribe: Scribe) -> None:
    budget = scribe.desk.budget(VENUE)

    assert budget is not None
    assert budget.available(RequestKind.NEW, "scribe") > 0
    assert scribe.desk.budget("elsewhere") is None
