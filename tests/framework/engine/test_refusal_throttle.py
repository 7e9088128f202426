"""A strategy that is refused without pause fills neither the journal nor its neighbours' time."""

from __future__ import annotations

import pytest

from framework.domain.account_events import (
    Scope,
    ShutdownRequested,
    StrategyQuarantined,
    TradingState,
    TradingStateChanged,
)
from framework.domain.intents import CancelOrder
from framework.domain.verdicts import RefusalCode, RefusalsCounted, Refused
from framework.engine.refusal_throttle import BURST_S, SINGLY_MAX, RefusalThrottle
from tests.support.state_records import MARKET
from tests.support.world import MS, Scribe, World

S = 1_000 * MS


def refused(strategy: str, code: RefusalCode = RefusalCode.PRICE_COLLAR) -> Refused:
    return Refused(intent=CancelOrder(strategy=strategy, client_order_id="x"), code=code, detail="", check="c", ts_ns=1)


def ask_for_nothing(scribe: Scribe, times: int) -> list[bool]:
    """Have requests refused: the orders that they name do not exist."""
    cancel = CancelOrder(strategy=scribe.name, client_order_id="never-placed")
    return [isinstance(scribe.desk.submit(cancel), Refused) for _ in range(times)]


def do_if_let(world: World, scribe: Scribe, times: int) -> None:
    if world.accounts.trading.is_quarantined(scribe.name):
        tick(world)
    else:
        world.do(scribe, lambda: ask_for_nothing(scribe, times))


def tick(world: World) -> None:
    world.quote(40, 60)


def recorded(world: World, kind: type) -> list[object]:
    return [entry.record.body for entry in world.entries() if isinstance(entry.record.body, kind)]


def test_refusals_when_more_than_fifty_come_in_a_second_then_the_rest_is_one_record_per_code(
    world: World, scribe: Scribe
) -> None:
    assert all(world.do(scribe, lambda: ask_for_nothing(scribe, 500)))
    first = world.kernel.step_number
    world.clock.advance(500 * MS)
    world.do(scribe, lambda: ask_for_nothing(scribe, 30))
    last = world.kernel.step_number
    assert len(recorded(world, Refused)) == SINGLY_MAX

    world.clock.advance(500 * MS)
    tick(world)

    code = RefusalCode.UNKNOWN_ORDER
    (counted,) = recorded(world, RefusalsCounted)
    ts_ns = world.clock.now_ns()
    assert counted == RefusalsCounted(
        strategy="scribe", code=code, count=480, first_step=first, last_step=last, ts_ns=ts_ns
    )
    assert len(world.watcher.refusals) == 530, "each was answered and counted"


def test_refusals_when_few_then_each_is_a_record_and_nothing_is_counted_up(world: World, scribe: Scribe) -> None:
    for _ in range(3):
        world.do(scribe, lambda: ask_for_nothing(scribe, SINGLY_MAX))
        world.clock.advance(1_000 * MS)
        tick(world)

    assert len(recorded(world, Refused)) == 3 * SINGLY_MAX
    assert recorded(world, RefusalsCounted) == []


def test_refusals_when_another_strategy_storms_then_ones_own_are_recorded_one_by_one() -> None:
    throttle = RefusalThrottle(1_000)
    assert [throttle.count(refused("loud"), 1, 0) for _ in range(60)] == [True] * 50 + [False] * 10
    assert throttle.count(refused("quiet"), 1, 0)
    assert not throttle.count(refused("loud", RefusalCode.OFF_GRID), 2, 0)

    assert throttle.due_ns == S
    assert [(one.strategy, one.code, one.count) for one in throttle.close_window(7)] == [
        ("loud", RefusalCode.PRICE_COLLAR, 10),
        ("loud", RefusalCode.OFF_GRID, 1),
    ]
    assert throttle.close_window(7) == []
    assert throttle.count(refused("loud"), 3, 2 * S)


def test_shutdown_when_refusals_were_counted_then_the_count_is_recorded_before_the_end(
    world: World, scribe: Scribe
) -> None:
    world.do(scribe, lambda: ask_for_nothing(scribe, 80))

    world.kernel.publish(ShutdownRequested("test", 1))

    assert [one.count for one in recorded(world, RefusalsCounted)] == [30]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("per_second", "seconds", "is_quarantined"),
    [(1_000, 60, False), (4_900, 1, False), (6_100, 1, True), (1_500, 8, False), (1_500, 12, True), (40_000, 1, True)],
)
def test_strategy_when_refused_faster_than_allowed_then_quarantined_after_five_seconds_or_as_much(
    world: World, scribe: Scribe, per_second: int, seconds: int, is_quarantined: bool
) -> None:
    for _ in range(seconds * 10):
        do_if_let(world, scribe, per_second // 10)
        world.clock.advance(100 * MS)

    assert world.accounts.trading.is_quarantined("scribe") is is_quarantined
    assert len(recorded(world, StrategyQuarantined)) == is_quarantined
    assert len(recorded(world, Refused)) <= SINGLY_MAX * (seconds + 1)


def test_strategy_when_let_in_again_after_a_storm_then_a_refusal_is_no_storm(world: World, scribe: Scribe) -> None:
    world.do(scribe, lambda: ask_for_nothing(scribe, 1_000 * BURST_S + 500))
    world.kernel.publish(
        TradingStateChanged(scope=Scope.STRATEGY, target="scribe", state=TradingState.ACTIVE, reason="", ts_recv=1)
    )

    world.do(scribe, lambda: ask_for_nothing(scribe, 1))
    world.buy(scribe)

    assert not world.accounts.trading.is_quarantined("scribe")
    assert world.accounts.exposure(MARKET).open_buy == 10


def test_quarantine_when_it_was_for_a_storm_then_its_reason_says_so(world: World, scribe: Scribe) -> None:
    resting = world.carried(scribe)
    world.kernel.publish(world.listing(resting))
    world.do(scribe, lambda: ask_for_nothing(scribe, 1_000 * BURST_S + 1))

    (quarantine,) = recorded(world, StrategyQuarantined)
    assert isinstance(quarantine, StrategyQuarantined)
    assert quarantine.reason == ("was refused without pause, last with UNKNOWN_ORDER (refusals_per_second_max=1000)")
    assert world.order(resting).cancel_wanted
    assert isinstance(world.next_intent(), CancelOrder)
