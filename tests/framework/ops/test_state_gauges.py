"""The gauges that are read from the kernel's state."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from framework.domain.account_events import (
    InstrumentDefined,
    Scope,
    StrategyQuarantined,
    TradingState,
    TradingStateChanged,
)
from framework.domain.instruments import InstrumentId, InstrumentStatus
from framework.domain.market_events import BookStale, ConnectorStatus, Heartbeat, VenueClock
from framework.ops.orders_in_question import OrdersInQuestion
from framework.ops.prometheus import MetricsText
from framework.ops.readiness import NotReady, NotReadyKind, halt_reasons, show_readiness
from framework.ops.state_gauges import StateGauges, shown_instruments
from framework.runtime.metrics import SERIES_MAX, Gauge, Labels, Metrics
from tests.support.inquiries import listed, unknown
from tests.support.state_records import INSTRUMENT, MARKET, VENUE
from tests.support.world import Scribe, World

BOOK = (VENUE, MARKET)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def in_question(world: World, metrics: Metrics) -> OrdersInQuestion:
    """What is watched of that core's orders; its gauges are in `metrics`."""
    in_question = OrdersInQuestion(world.accounts.orders, world.clock)
    StateGauges(metrics, world.kernel, in_question, strategies=["scribe"])
    return in_question


def of(gauge: Gauge) -> dict[Labels, float | int]:
    return dict(gauge.samples())


@pytest.mark.usefixtures("in_question")
def test_feed_age_when_only_the_venue_shows_life_then_a_dead_book_grows_old(world: World, metrics: Metrics) -> None:
    world.quote(40, 44)
    world.clock.advance(3_000_000_000)
    world.kernel.publish(Heartbeat(VENUE, 0, world.clock.now_ns()))
    assert of(metrics.feed_age) == {BOOK: 3.0}


@pytest.mark.usefixtures("in_question")
def test_feed_age_when_nothing_of_the_book_came_yet_then_it_has_no_series(world: World, metrics: Metrics) -> None:
    define(world, 1)
    world.kernel.dependencies.books.of(InstrumentId(f"{VENUE}:M0"))
    world.kernel.publish(Heartbeat(VENUE, 0, world.clock.now_ns()))
    assert set(of(metrics.feed_age)) == {BOOK}
    assert of(metrics.book_fresh)[VENUE, f"{VENUE}:M0"] == 0


@pytest.mark.usefixtures("in_question")
def test_book_fresh_when_the_book_goes_stale_then_is_0(world: World, metrics: Metrics) -> None:
    world.quote(40, 44)
    assert of(metrics.book_fresh) == {BOOK: 1}
    world.kernel.publish(BookStale(MARKET, 1, "gap"))
    assert of(metrics.book_fresh) == {BOOK: 0}


@pytest.mark.usefixtures("in_question")
@pytest.mark.parametrize("status", [InstrumentStatus.CLOSED, InstrumentStatus.SETTLED])
def test_book_when_its_market_has_closed_then_it_has_neither_age_nor_freshness(
    world: World, metrics: Metrics, status: InstrumentStatus
) -> None:
    world.quote(40, 44)
    world.kernel.publish(InstrumentDefined(msgspec.structs.replace(INSTRUMENT, status=status), 1))
    assert of(metrics.feed_age) == of(metrics.book_fresh) == {}
    world.kernel.publish(InstrumentDefined(INSTRUMENT, 2))
    assert set(of(metrics.feed_age)) == set(of(metrics.book_fresh)) == {BOOK}


def test_connector_up_when_the_venue_never_came_then_is_0_from_the_start(tmp_path: Path) -> None:
    world, metrics = World(tmp_path / "never"), Metrics()
    StateGauges(metrics, world.kernel, OrdersInQuestion(world.accounts.orders, world.clock), strategies=["scribe"])
    assert of(metrics.connector_up) == {(VENUE,): 0}
    assert of(metrics.clock_offset) == {}
    assert of(metrics.open_orders) == {(VENUE, "scribe"): 0}
    assert of(metrics.strategy_quarantined) == {("scribe",): 0}
    assert of(metrics.unknown_age) == of(metrics.cancel_age) == {(): 0.0}
    assert set(of(metrics.orders_by_state).values()) == {0}
    assert of(metrics.trading_state) == {("global", ""): 0, ("venue", VENUE): 0, ("strategy", "scribe"): 0}

    world.kernel.publish(ConnectorStatus(VENUE, True, "subscribed", 1))
    world.kernel.publish(VenueClock(VENUE, -250_000_000, 1, 1))

    assert of(metrics.connector_up) == {(VENUE,): 1}
    assert of(metrics.clock_offset) == {(VENUE,): -0.25}
    world.close()


@pytest.mark.usefixtures("in_question")
def test_trading_state_when_set_then_each_scope_says_how_strict_it_is(world: World, metrics: Metrics) -> None:
    for scope, target, state in [
        (Scope.GLOBAL, "", TradingState.REDUCING),
        (Scope.INSTRUMENT, MARKET, TradingState.HALTED),
    ]:
        world.kernel.publish(TradingStateChanged(scope=scope, target=target, state=state, reason="drill", ts_recv=1))
    world.kernel.publish(StrategyQuarantined("scribe", "raised", 1))
    assert of(metrics.trading_state) == {
        ("global", ""): 1,
        ("venue", VENUE): 0,
        ("instrument", MARKET): 2,
        ("strategy", "scribe"): 2,
    }
    assert of(metrics.strategy_quarantined) == {("scribe",): 1}
    active = TradingStateChanged(
        scope=Scope.INSTRUMENT, target=MARKET, state=TradingState.ACTIVE, reason="over", ts_recv=1
    )
    world.kernel.publish(active)
    assert of(metrics.trading_state)["instrument", MARKET] == 0


def test_orders_when_unknown_or_to_be_cancelled_then_their_number_and_the_oldest_ones_age_are_shown(
    world: World, metrics: Metrics, scribe: Scribe, in_question: OrdersInQuestion
) -> None:
    unanswered = unknown(world, scribe)
    in_question.look_at(world.order(unanswered))
    world.clock.advance(2_000_000_000)
    resting = listed(world, scribe)
    world.do(scribe, resting.cancel)
    in_question.look_at(world.order(resting))
    world.clock.advance(1_000_000_000)

    assert of(metrics.unknown_age) == {(): 3.0}
    assert of(metrics.cancel_age) == {(): 1.0}
    counted = {labels: count for labels, count in of(metrics.orders_by_state).items() if count}
    assert counted == {("unknown",): 1, ("cancel_requested",): 1}

    world.kernel.publish(world.listing(resting, is_open=False))
    in_question.look_at(world.order(resting))
    assert of(metrics.cancel_age) == {(): 0.0}


def test_unknown_order_when_an_earlier_run_left_it_then_its_age_counts_from_its_last_change(
    world: World, scribe: Scribe
) -> None:
    unknown(world, scribe)
    world.clock.advance(5_000_000_000)
    again = OrdersInQuestion(world.accounts.orders, world.clock)
    assert [age_ns for _, age_ns in again.unknown()] == [5_000_000_000]


def define(world: World, count: int) -> None:
    for number in range(count):
        one = msgspec.structs.replace(INSTRUMENT, id=InstrumentId(f"{VENUE}:M{number}"), symbol=f"M{number}")
        world.kernel.publish(InstrumentDefined(one, 1))


@pytest.mark.usefixtures("in_question")
def test_position_when_there_are_more_instruments_than_series_then_the_held_one_has_its_own(
    world: World, metrics: Metrics, scribe: Scribe
) -> None:
    define(world, SERIES_MAX + 5)
    held = InstrumentId(f"{VENUE}:M{SERIES_MAX + 4}")
    handle = listed(world, scribe)
    world.kernel.publish(msgspec.structs.replace(world.fill(handle, 3), instrument=held, client_order_id="theirs"))

    assert len(of(metrics.position)) == SERIES_MAX
    assert of(metrics.position)[VENUE, held] == 3.0
    assert of(metrics.position)[BOOK] == 0.0


def test_instruments_when_all_are_needed_then_the_limit_does_not_cut_them(world: World, scribe: Scribe) -> None:
    define(world, 3)
    listed(world, scribe)
    assert [one.id for one in shown_instruments(world.kernel, instruments_max=0)] == [MARKET]


def test_readiness_when_there_is_a_reason_then_its_kind_is_1_and_every_other_0() -> None:
    metrics, reasons = Metrics(), [NotReady(NotReadyKind.HALTED, "everything is halted: drill")]
    show_readiness(metrics, lambda: reasons)
    assert of(metrics.ready) == {(): 0}
    assert of(metrics.not_ready) == {(kind.value,): int(kind is NotReadyKind.HALTED) for kind in NotReadyKind}
    reasons.clear()
    assert of(metrics.ready) == {(): 1}
    assert set(of(metrics.not_ready).values()) == {0}


def test_halt_when_it_is_of_everything_then_it_is_a_reason_and_a_halt_of_a_part_is_none(world: World) -> None:
    trading = world.accounts.trading
    for scope, target in [(Scope.STRATEGY, "scribe"), (Scope.GLOBAL, "")]:
        assert halt_reasons(trading) == []
        world.kernel.publish(
            TradingStateChanged(scope=scope, target=target, state=TradingState.HALTED, reason="drill", ts_recv=1)
        )
    assert halt_reasons(trading) == [NotReady(NotReadyKind.HALTED, "everything is halted: drill")]


@pytest.mark.usefixtures("in_question")
async def test_scrape_when_there_are_many_instruments_then_the_loop_gets_its_turn_after_each_metric(
    world: World, metrics: Metrics
) -> None:
    define(world, 100)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    text = await MetricsText(metrics, version="1").render()
    counting.cancel()
    assert turns >= len([line for line in text.splitlines() if line.startswith(b"# TYPE tidegate_")])
