"""Strategies that fail: which fault quarantines, what a quarantine does, and what ends it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from framework.domain.account_events import (
    Scope,
    ShutdownRequested,
    StrategyQuarantined,
    TradingState,
    TradingStateChanged,
)
from framework.domain.intents import CancelOrder, NewOrder
from framework.domain.market_events import StrategyStarted, TimerFired
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side
from framework.domain.verdicts import RefusalCode, Refused
from tests.framework.engine.test_kernel import accept
from tests.support.world import MARKET, MS, Scribe, World

NEGATIVE = NewOrder(strategy="scribe", instrument=MARKET, side=Side.BUY, price=Price(-1), size=Size(1))


def raising() -> None:
    raise ZeroDivisionError("one over nothing")


def test_strategy_when_it_raises_too_often_then_it_is_quarantined_and_others_go_on(
    world: World, scribe: Scribe
) -> None:
    other = world.add("other")
    handle = world.carried(scribe)
    accept(world, handle.client_order_id)
    scribe.chores["book"] = raising
    scribe.heard.clear()

    for _ in range(5):
        world.quote(40, 60)

    assert scribe.of("book") == [40] * 3
    assert other.of("book") == [40] * 5
    (event,) = world.watcher.events_of(StrategyQuarantined)
    assert event.strategy == "scribe"
    assert "ZeroDivisionError: one over nothing" in event.reason
    assert isinstance(world.next_intent(), CancelOrder)


def test_strategy_when_it_blocks_once_then_it_is_quarantined_at_once(world: World) -> None:
    slow, other = world.add("slow"), world.add("other")
    slow.chores["book"] = lambda: world.clock.advance(101 * MS)

    world.quote(40, 60)
    world.quote(40, 60)

    assert slow.of("book") == [40]
    assert other.of("book") == [40, 40]
    assert "blocked the daemon for 101 ms" in world.watcher.events_of(StrategyQuarantined)[0].reason


def test_strategy_when_it_blocks_then_its_quarantine_begins_after_the_step_as_a_replay_will_see_it(
    world: World, scribe: Scribe
) -> None:
    handle = world.buy(scribe)
    accept(world, handle.client_order_id)
    scribe.chores["fill"] = lambda: world.clock.advance(101 * MS)
    scribe.heard.clear()

    world.kernel.publish(world.fill(handle, 4))
    world.quote(41, 59)

    assert scribe.heard == [("fill", "f1"), ("order", "partially_filled")]


def test_strategy_when_the_disk_stalls_before_its_hook_then_it_is_not_blamed(world: World, scribe: Scribe) -> None:
    handle = world.buy(scribe)
    accept(world, handle.client_order_id)
    assert world.log is not None
    release = world.log.release
    world.log.release = lambda: (world.clock.advance(101 * MS), release())[1]  # type: ignore[method-assign]

    world.kernel.publish(world.fill(handle, 4))

    assert scribe.of("fill") == ["f1"]
    assert world.watcher.faults == []


@pytest.mark.parametrize("intent", [NEGATIVE, msgspec.structs.replace(NEGATIVE, price=0.5), None, "buy", 7])
def test_strategy_when_it_asks_for_nonsense_then_it_is_refused_counted_and_quarantined(
    world: World, scribe: Scribe, intent: Any
) -> None:
    for _ in range(3):
        world.do(scribe, lambda: scribe.desk.submit(intent))

    assert {refused.code for refused in world.watcher.refusals} == {RefusalCode.INVALID_INTENT}
    assert [strategy for strategy, _, _ in world.watcher.faults] == ["scribe"] * 3
    assert all(reason.startswith("asked for an invalid order or change: ") for _, reason, _ in world.watcher.faults)
    assert world.kernel.hosts["scribe"].is_quarantined


@pytest.mark.parametrize("intent", [None, object(), msgspec.structs.replace(NEGATIVE, price=0.5)])
def test_nonsense_when_the_daemon_is_stopping_then_the_journal_can_still_be_read(
    world: World, scribe: Scribe, intent: Any
) -> None:
    world.kernel.publish(ShutdownRequested("SIGTERM", 1))

    world.do(scribe, lambda: scribe.desk.submit(intent))

    refused = world.entries()[-1].record.body
    assert isinstance(refused, Refused)
    assert (refused.code, refused.intent.strategy) == (RefusalCode.INVALID_INTENT, "scribe")


def test_quarantine_when_it_began_then_intents_are_refused_with_its_reason(world: World, scribe: Scribe) -> None:
    def ask_in_a_stopped_hook() -> None:
        intent = NewOrder(strategy="scribe", instrument=MARKET, side=Side.BUY, price=Price(45), size=Size(1))
        scribe.desk.submit(intent)

    other = world.add("other")
    world.kernel.publish(StrategyQuarantined("scribe", "raised", 1))
    other.chores["timer"] = ask_in_a_stopped_hook
    world.kernel.publish(TimerFired("other", "chore", 1))

    assert (world.watcher.refusals[-1].code, world.watcher.refusals[-1].detail) == (
        RefusalCode.QUARANTINED,
        "raised",
    )


def test_quarantine_when_it_stands_since_an_earlier_run_then_the_strategy_is_not_called(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.start()
    world.kernel.publish(StrategyQuarantined("scribe", "raised", 1))

    scribe = world.add("scribe")
    world.quote(41, 59)

    assert world.kernel.hosts["scribe"].is_quarantined
    assert scribe.heard == []
    world.close()


def test_quarantine_when_the_strategy_is_set_active_then_it_is_over(world: World, scribe: Scribe) -> None:
    world.kernel.publish(StrategyQuarantined("scribe", "raised", 1))

    world.kernel.publish(
        TradingStateChanged(
            scope=Scope.STRATEGY, target="scribe", state=TradingState.ACTIVE, reason="repaired", ts_recv=1
        )
    )
    world.quote(41, 59)

    assert scribe.of("book") == [41]
    assert world.buy(scribe).is_approved


ENDINGS = [ZeroDivisionError, SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit]


def started(world: World, name: str) -> None:
    world.kernel.publish(StrategyStarted(name, world.clock.now_ns()))


def resumed(world: World, name: str) -> None:
    world.kernel.publish(
        TradingStateChanged(scope=Scope.STRATEGY, target=name, state=TradingState.ACTIVE, reason="mended", ts_recv=1)
    )


@pytest.mark.parametrize("error", ENDINGS)
def test_strategy_when_a_hook_raises_what_ends_a_program_then_it_is_quarantined_and_others_go_on(
    world: World, scribe: Scribe, error: type[BaseException]
) -> None:
    def leave() -> None:
        raise error

    other = world.add("other")
    scribe.chores["book"] = leave

    # At once for what ends a program: the strategy means to end.
    for _ in range(5 if issubclass(error, Exception) else 1):
        world.quote(40, 60)

    assert set(other.of("book")) == {40}
    (event,) = world.watcher.events_of(StrategyQuarantined)
    assert event.strategy == "scribe"
    assert f"raised {error.__name__}" in event.reason
    assert f"{__file__}:" in event.reason


class Broken(Scribe):
    """Can't be made."""

    error: type[BaseException] = ValueError

    def __init__(self, name: str, settings: Any, desk: Any) -> None:
        raise self.error("no such file")


@pytest.mark.parametrize("error", ENDINGS)
def test_strategy_when_its_constructor_raises_then_it_is_quarantined_with_its_orders_and_others_go_on(
    world: World, error: type[BaseException]
) -> None:
    before = world.add("broken")
    handle = world.carried(before)
    accept(world, handle.client_order_id)
    other = world.add("other")
    world.add("broken", type("Unmade", (Broken,), {"error": error}))

    started(world, "broken")
    world.quote(40, 60)

    (event,) = world.watcher.events_of(StrategyQuarantined)
    assert (event.strategy, event.reason.startswith(f"__init__ raised {error.__name__}: ")) == ("broken", True)
    assert f" at {__file__}:" in event.reason
    assert world.kernel.hosts["broken"].is_quarantined
    assert world.next_intent() == CancelOrder(strategy="broken", client_order_id=handle.client_order_id)
    assert other.of("book") == [40]


@pytest.mark.parametrize("error", ENDINGS)
def test_strategy_when_on_start_raises_then_it_is_quarantined_at_once(
    world: World, scribe: Scribe, error: type[BaseException]
) -> None:
    def leave() -> None:
        raise error

    scribe.chores["start"] = leave

    started(world, "scribe")
    world.quote(40, 60)

    assert f"on_start raised {error.__name__}" in world.watcher.events_of(StrategyQuarantined)[0].reason
    assert scribe.of("book") == []


def test_strategy_when_it_is_resumed_before_it_was_started_then_it_starts(world: World, scribe: Scribe) -> None:
    scribe.chores["start"] = raising
    started(world, "scribe")
    scribe.chores.pop("start")
    scribe.heard.clear()

    resumed(world, "scribe")
    world.quote(40, 60)
    resumed(world, "scribe")

    assert [kind for kind, _ in scribe.heard] == ["start", "state", "book", "state"]


def test_strategy_when_it_could_not_be_made_then_resuming_it_says_so_again(world: World) -> None:
    world.add("broken", Broken)
    started(world, "broken")

    resumed(world, "broken")

    assert len(world.watcher.events_of(StrategyQuarantined)) == 2
    assert world.kernel.hosts["broken"].is_quarantined
