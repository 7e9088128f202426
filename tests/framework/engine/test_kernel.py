from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from framework.domain.account_events import (
    CancelRequested,
    OrderReport,
    PositionReport,
    ReportKind,
    Scope,
    ShutdownRequested,
    TradingState,
    TradingStateChanged,
)
from framework.domain.events import Event
from framework.domain.instruments import InstrumentId
from framework.domain.intents import CancelOrder, NewOrder
from framework.domain.market_events import (
    BookDelta,
    BookStale,
    ConnectorStatus,
    Heartbeat,
    LimitsDeclared,
    MarkPrice,
    StrategyStarted,
    TermsDeclared,
    TimerFired,
    TradePrint,
)
from framework.domain.numbers import Price, Size
from framework.domain.orders import OrderStatus, Side
from framework.domain.plausibility import TEXT_MAX
from framework.domain.rate_limits import Cost, Pool, RateLimits, RequestKind
from framework.domain.terms import VenueTerms
from framework.domain.verdicts import Approved, RefusalCode
from tests.support.world import MARKET, MS, VENUE, Scribe, World

NEGATIVE = NewOrder(strategy="scribe", instrument=MARKET, side=Side.BUY, price=Price(-1), size=Size(1))


def report(world: World, name: str, kind: ReportKind, **facts: Any) -> OrderReport:
    return OrderReport(venue=VENUE, client_order_id=name, kind=kind, ts_recv=world.clock.now_ns(), **facts)


def shown(world: World) -> tuple[object, ...]:
    """What is recorded, offered and left to be sent."""
    return len(world.entries()), world.kernel.dependencies.view.terms(VENUE), dict(world.budgets[VENUE].tokens())


def accept(world: World, name: str) -> None:
    world.kernel.publish(report(world, name, ReportKind.ACCEPTED, venue_order_id=f"v-{name}"))


def test_market_event_when_published_then_the_strategy_sees_the_new_book(world: World, scribe: Scribe) -> None:
    world.quote(41, 59)

    assert scribe.of("book") == [41]


def test_market_event_when_of_another_instrument_then_the_strategy_is_not_called(world: World, scribe: Scribe) -> None:
    world.kernel.publish(BookStale(InstrumentId("tide:B"), 1, "gap"))

    assert scribe.of("book") == []


def test_delta_when_it_changes_the_best_level_then_the_strategy_hears_it_once(world: World, scribe: Scribe) -> None:
    now_ns = world.clock.now_ns()
    world.kernel.publish(BookDelta(MARKET, now_ns, now_ns, Side.BUY, Price(42), Size(5)))
    world.kernel.publish(TradePrint(MARKET, now_ns, now_ns, "t1", Price(42), Size(1), Side.SELL))

    assert scribe.heard == [("book", 42), ("trade", "t1")]


def test_mark_price_when_published_then_the_strategy_gets_it_and_can_ask_for_the_newest(
    world: World, scribe: Scribe
) -> None:
    first, second = MarkPrice(MARKET, 1, 1, Price(50)), MarkPrice(MARKET, 2, 2, Price(51), funding_rate="0.0001")
    assert scribe.desk.mark(MARKET) is None
    world.kernel.publish(first)
    world.kernel.publish(second)

    assert scribe.of("mark") == [50, 51]
    assert scribe.desk.mark(MARKET) == second


def test_event_when_its_numbers_can_not_be_then_it_is_an_alarm_and_the_journal_goes_on(world: World) -> None:
    huge = PositionReport(venue=VENUE, instrument=MARKET, size=Size(2**70), ts_recv=1)
    recorded = len(world.entries())

    world.kernel.publish(huge)

    assert [alarm for change in world.watcher.changes for alarm in change.alarms] == [
        f"an event of the venue can't be true and is not booked: PositionReport.size: {2**70} is more than 64 bits"
    ]
    assert world.accounts.trading.is_set(Scope.INSTRUMENT, MARKET, TradingState.HALTED)
    assert len(world.entries()) == recorded + 1, "the halt alone"


def test_terms_when_declared_then_strategies_and_the_gate_see_them(world: World, scribe: Scribe) -> None:
    assert scribe.desk.terms(VENUE) == VenueTerms()
    world.kernel.publish(TermsDeclared(VENUE, VenueTerms(amend=False), 1))

    assert scribe.desk.terms(VENUE).amend is False
    assert world.kernel.dependencies.view.terms(VENUE).amend is False


def test_venue_when_it_goes_down_then_books_are_stale_before_the_strategy_hears_of_it(
    world: World, scribe: Scribe
) -> None:
    fresh: list[bool] = []
    scribe.chores["book"] = lambda: fresh.append(scribe.desk.book(MARKET).is_fresh)

    world.kernel.publish(ConnectorStatus(VENUE, False, "reset", 1))

    assert fresh == [False]
    assert scribe.heard[-1] == ("connector", False)


def test_strategy_when_started_and_its_timer_fires_then_its_hooks_are_called(world: World, scribe: Scribe) -> None:
    world.kernel.publish(StrategyStarted("scribe", 1))
    world.kernel.publish(TimerFired("scribe", "check", 1))
    world.kernel.publish(TimerFired("nobody", "check", 1))

    assert scribe.heard == [("start", None), ("timer", "check")]


def test_input_when_it_says_when_it_arrived_then_its_step_and_its_record_have_that_time(
    world: World, scribe: Scribe
) -> None:
    seen: list[tuple[int, int]] = []
    scribe.chores["trade"] = lambda: seen.append((scribe.desk.now_ns, scribe.desk.monotonic_ns))
    arrived = (world.clock.now_ns() + 1, world.clock.monotonic_ns() + 1)
    world.clock.advance(5 * MS)

    world.kernel.publish(TradePrint(MARKET, 1, 1, "t1", Price(42), Size(1), Side.SELL), *arrived)

    assert seen == [arrived]


def test_input_when_it_arrived_before_the_last_step_then_time_does_not_go_back(world: World, scribe: Scribe) -> None:
    seen: list[tuple[int, int]] = []
    scribe.chores["trade"] = lambda: seen.append((scribe.desk.now_ns, scribe.desk.monotonic_ns))
    arrived = (world.clock.now_ns(), world.clock.monotonic_ns())
    world.clock.advance(5 * MS)
    world.quote(41, 59)

    world.kernel.publish(TradePrint(MARKET, 1, 1, "t1", Price(42), Size(1), Side.SELL), *arrived)

    assert seen == [(world.clock.now_ns(), world.clock.monotonic_ns())]


def test_connector_when_it_goes_up_or_down_then_its_followers_are_called_before_strategies(
    world: World, scribe: Scribe
) -> None:
    order: list[object] = []
    world.kernel.follow_connectors(lambda status: order.append(status.is_up))
    scribe.chores["connector"] = lambda: order.append("strategy")

    world.kernel.publish(ConnectorStatus(VENUE, False, "reset", 1))
    world.kernel.publish(ConnectorStatus(VENUE, True, "subscribed", 1))

    assert order == [False, "strategy", True, "strategy"]


def test_intent_when_submitted_outside_a_step_then_it_is_refused_loudly(world: World, scribe: Scribe) -> None:
    with pytest.raises(RuntimeError, match="place orders from a hook"):
        scribe.buy(MARKET, Price(45), Size(1))

    assert world.accounts.orders.open() == ()


def test_intent_when_approved_then_it_is_journalled_counted_and_queued_in_one_step(
    world: World, scribe: Scribe
) -> None:
    handle = world.buy(scribe, 45, 10)

    bodies = [entry.record.body for entry in world.entries()]
    assert any(isinstance(body, Approved) and body.client_order_id == handle.client_order_id for body in bodies)
    assert world.accounts.exposure(MARKET).open_buy == 10
    request = world.queue.peek()
    assert request is not None
    assert request.approved.client_order_id == handle.client_order_id


def test_follow_up_when_a_step_publishes_then_it_is_a_step_of_its_own_after_it(world: World, scribe: Scribe) -> None:
    steps: list[int] = []

    def publish() -> None:
        world.kernel.publish(Heartbeat(VENUE, 0, 1))
        steps.append(world.kernel.step_number)

    scribe.chores["timer"] = publish
    before = world.kernel.step_number

    world.kernel.publish(TimerFired("scribe", "check", 1))

    assert steps == [before + 1]
    assert [type(event).__name__ for event in world.watcher.events[-2:]] == ["TimerFired", "Heartbeat"]
    assert world.kernel.step_number == before + 2


def test_step_when_the_clock_moves_meanwhile_then_every_record_of_it_has_one_time(world: World, scribe: Scribe) -> None:
    def place() -> object:
        world.clock.advance(5 * MS)
        return scribe.buy(MARKET, Price(45), Size(1))

    started_ns = world.clock.now_ns()
    world.do(scribe, place)

    approvals = [entry.record for entry in world.entries() if isinstance(entry.record.body, Approved)]
    assert [record.now_ns for record in approvals] == [started_ns]


def test_input_when_it_concerns_money_then_the_journal_has_it_and_its_step(world: World) -> None:
    event = PositionReport(venue=VENUE, instrument=MARKET, size=Size(3), ts_recv=1)
    world.kernel.publish(event)

    last = world.entries()[-1].record
    assert (last.body, last.step) == (event, world.kernel.step_number)


def test_state_when_the_journal_is_folded_again_then_it_is_the_same(world: World, scribe: Scribe) -> None:
    handle = world.buy(scribe)
    accept(world, handle.client_order_id)
    world.kernel.publish(world.fill(handle, 4))
    world.do(scribe, handle.cancel)

    again = type(world.accounts)()
    for entry in world.entries():
        body: Any = entry.record.body
        again.apply(body, entry.record.now_ns)

    assert again.digest() == world.accounts.digest()


def test_fill_when_booked_then_strategy_and_position_agree_when_the_hook_is_called(
    world: World, scribe: Scribe
) -> None:
    handle = world.buy(scribe)
    accept(world, handle.client_order_id)
    seen: list[int] = []
    scribe.chores["fill"] = lambda: seen.append(scribe.desk.position(MARKET).size)

    world.kernel.publish(world.fill(handle, 4))
    world.kernel.publish(world.fill(handle, 4))

    assert seen == [4]
    assert scribe.of("fill") == ["f1"]


def test_over_fill_when_booked_then_its_instrument_is_halted_by_an_input_of_its_own(
    world: World, scribe: Scribe
) -> None:
    handle = world.buy(scribe, size=10)
    accept(world, handle.client_order_id)

    world.kernel.publish(world.fill(handle, 12))

    halts = world.watcher.events_of(TradingStateChanged)
    assert [(halt.scope, halt.target, halt.state) for halt in halts] == [
        (Scope.INSTRUMENT, MARKET, TradingState.HALTED)
    ]
    assert world.entries()[-1].record.body == halts[0]


def test_cancel_when_the_order_is_at_the_venue_then_it_is_queued_once(world: World, scribe: Scribe) -> None:
    handle = world.carried(scribe)
    accept(world, handle.client_order_id)

    world.do(scribe, handle.cancel)
    world.do(scribe, handle.cancel)

    assert len(world.queue) == 1
    assert world.order(handle).status is OrderStatus.CANCEL_REQUESTED


def test_cancel_when_the_venue_has_not_confirmed_the_order_then_it_waits_and_leaves_after_the_confirmation(
    world: World, scribe: Scribe
) -> None:
    handle = world.carried(scribe)
    world.kernel.publish(report(world, handle.client_order_id, ReportKind.SENT))

    world.do(scribe, handle.cancel)
    assert len(world.queue) == 0

    accept(world, handle.client_order_id)

    assert isinstance(world.next_intent(), CancelOrder)
    assert len(world.queue) == 0


def test_cancel_when_the_venue_refused_it_then_it_is_asked_again_only_after_the_venue_shows_the_order(
    world: World, scribe: Scribe
) -> None:
    handle = world.carried(scribe)
    accept(world, handle.client_order_id)
    world.do(scribe, handle.cancel)
    world.queue.pop()

    world.kernel.publish(report(world, handle.client_order_id, ReportKind.CANCEL_REFUSED, code="outcome_unknown"))
    assert len(world.queue) == 0
    assert world.kernel.is_ending(world.order(handle))

    world.kernel.publish(world.listing(handle))
    assert len(world.queue) == 1


def test_cancel_when_the_order_has_ended_then_it_is_refused_and_forgotten(world: World, scribe: Scribe) -> None:
    handle = world.buy(scribe)
    accept(world, handle.client_order_id)
    world.do(scribe, handle.cancel)
    world.kernel.publish(report(world, handle.client_order_id, ReportKind.CANCELLED))

    world.do(scribe, handle.cancel)

    assert world.watcher.refusals[-1].code is RefusalCode.ORDER_FINAL
    assert not world.kernel.is_ending(world.order(handle))


def test_amend_when_a_cancel_is_under_way_then_it_is_refused(world: World, scribe: Scribe) -> None:
    handle = world.buy(scribe)
    accept(world, handle.client_order_id)
    world.do(scribe, handle.cancel)

    world.do(scribe, lambda: handle.amend(Price(44), Size(10)))

    assert world.watcher.refusals[-1].code is RefusalCode.ORDER_BUSY


def test_amend_when_the_venue_refuses_it_then_the_old_terms_stand_and_the_strategy_hears(
    world: World, scribe: Scribe
) -> None:
    handle = world.buy(scribe, 45, 10)
    accept(world, handle.client_order_id)
    world.do(scribe, lambda: handle.amend(Price(46), Size(20)))
    assert world.accounts.exposure(MARKET).open_buy == 20

    world.kernel.publish(report(world, handle.client_order_id, ReportKind.AMEND_REFUSED, code="post_only"))

    assert (world.order(handle).price, world.order(handle).size) == (45, 10)
    assert world.accounts.exposure(MARKET).open_buy == 10
    assert scribe.of("order")[-1] == "working"


def test_shutdown_when_requested_then_everything_is_cancelled_and_nothing_new_passes(
    world: World, scribe: Scribe
) -> None:
    other = world.add("other")
    names = []
    for strategy in (scribe, other):
        handle = world.carried(strategy)
        accept(world, handle.client_order_id)
        names.append(handle.client_order_id)

    world.kernel.publish(ShutdownRequested("SIGTERM", 1))

    parcels = [world.queue.pop(), world.queue.pop()]
    assert [one.approved.client_order_id for one in parcels if one] == names
    assert scribe.of("stop") == [None]
    assert not world.buy(scribe).is_approved
    assert world.watcher.refusals[-1].code is RefusalCode.SHUTTING_DOWN


def test_shutdown_when_an_order_turns_out_alive_later_then_it_is_cancelled_too(world: World, scribe: Scribe) -> None:
    handle = world.carried(scribe)
    world.kernel.publish(report(world, handle.client_order_id, ReportKind.NEVER_ARRIVED))
    world.kernel.publish(ShutdownRequested("SIGTERM", 1))
    assert len(world.queue) == 0

    world.kernel.publish(world.listing(handle))

    assert isinstance(world.next_intent(), CancelOrder)


def test_journal_when_it_fails_then_nothing_new_is_promised_and_the_daemon_is_told_once(
    world: World, scribe: Scribe
) -> None:
    assert world.log is not None
    world.log.fail()

    assert not world.buy(scribe).is_approved
    assert not world.buy(scribe).is_approved

    assert len(world.queue) == 0
    assert [refused.code for refused in world.watcher.refusals] == [RefusalCode.JOURNAL_FAILED] * 2
    assert len(world.failures) == 1


def test_journal_when_it_fails_then_cancels_still_pass(world: World, scribe: Scribe) -> None:
    handle = world.carried(scribe)
    accept(world, handle.client_order_id)
    assert world.log is not None
    world.log.fail()

    world.do(scribe, handle.cancel)

    assert len(world.queue) == 1


def test_approval_when_its_id_names_another_order_then_nothing_leaves_and_the_instrument_is_halted(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, next_client_order_id=iter(["t-1", "t-1"]).__next__)
    world.start()
    scribe = world.add()
    handle = world.carried(scribe)

    again = world.buy(scribe, 44)

    assert again.client_order_id == handle.client_order_id
    assert (len(world.queue), world.order(handle).price) == (0, 45)
    assert "a second order was approved under this id" in world.watcher.changes[-2].alarms[0]
    assert world.accounts.trading.state(strategy="", instrument=MARKET, venue=VENUE) is TradingState.HALTED
    world.close()


def test_cancel_when_its_order_was_taken_for_over_and_lives_then_it_leaves(world: World, scribe: Scribe) -> None:
    handle = world.carried(scribe)
    world.kernel.publish(report(world, handle.client_order_id, ReportKind.UNKNOWN))
    world.do(scribe, handle.cancel)
    world.kernel.publish(report(world, handle.client_order_id, ReportKind.NEVER_ARRIVED))
    assert world.order(handle).status is OrderStatus.REJECTED

    world.kernel.publish(world.listing(handle))

    assert isinstance(world.next_intent(), CancelOrder)
    assert world.queue.pop() is None


@pytest.mark.parametrize(
    "event",
    [
        CancelRequested(venue=VENUE, client_order_id="\ud800", reason="", ts_recv=1),
        TermsDeclared(VENUE, None, 1),  # type: ignore[arg-type]
        LimitsDeclared(VENUE, RateLimits((Pool("all", 10**30, 1),), ()), 1),
    ],
)
def test_event_when_no_record_can_hold_it_then_it_is_an_alarm_and_changes_nothing(world: World, event: Event) -> None:
    before = shown(world)

    world.kernel.publish(event)

    (alarm,) = [alarm for change in world.watcher.changes for alarm in change.alarms]
    assert "no record can hold it" in alarm
    assert shown(world) == before


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (RateLimits((Pool("all", -1, 1),), ()), "limits.pools.all: capacity -1, .* must be positive"),
        (
            RateLimits((), (Cost(RequestKind.NEW, "none", 1),)),
            "limits.costs.new: 1 tokens of pool 'none'",
        ),
    ],
)
def test_limits_when_they_make_no_sense_then_those_of_before_stay_with_an_alarm(
    world: World, limits: RateLimits, said: str
) -> None:
    before = shown(world)

    world.kernel.publish(LimitsDeclared(VENUE, limits, 1))
    world.kernel.publish(LimitsDeclared("other", limits, 1))

    alarms = [alarm for change in world.watcher.changes for alarm in change.alarms]
    assert len(alarms) == 2
    assert all(re.search(said, alarm) for alarm in alarms)
    assert (shown(world), set(world.budgets)) == (before, {VENUE})


@pytest.mark.parametrize("text", ["\ud800", "x" * 3_000_000])
def test_halt_when_its_reason_can_not_be_written_then_it_holds_with_a_plain_one(world: World, text: str) -> None:
    state = TradingStateChanged(scope=Scope.GLOBAL, target="", state=TradingState.HALTED, reason=text, ts_recv=1)

    world.kernel.publish(state)

    assert world.accounts.trading.is_set(Scope.GLOBAL, "", TradingState.HALTED)
    body = world.entries()[-1].record.body
    assert isinstance(body, TradingStateChanged)
    assert body.reason in ("\\ud800", "x" * TEXT_MAX)
