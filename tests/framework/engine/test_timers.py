from __future__ import annotations

import asyncio

from framework.domain.market_events import TimerFired
from framework.engine.strategy_context import LoopTimers
from framework.runtime.clock import ManualClock
from tests.support.world import until


async def test_timer_when_due_then_it_is_published_once_with_its_names() -> None:
    fired: list[TimerFired] = []
    timers = LoopTimers(fired.append, ManualClock(wall_ns=7))

    timers.set("maker", "check", 1)
    await until(lambda: fired)
    await asyncio.sleep(0.005)

    assert fired == [TimerFired("maker", "check", 7)]


async def test_timer_when_set_again_under_its_name_then_only_the_last_one_fires() -> None:
    fired: list[TimerFired] = []
    timers = LoopTimers(fired.append, ManualClock())

    timers.set("maker", "check", 1)
    timers.set("maker", "check", 2)
    await until(lambda: fired)
    await asyncio.sleep(0.005)

    assert len(fired) == 1


async def test_timers_when_of_two_strategies_then_one_name_does_not_replace_the_other() -> None:
    fired: list[TimerFired] = []
    timers = LoopTimers(fired.append, ManualClock())

    timers.set("maker", "check", 1)
    timers.set("taker", "check", 1)
    await until(lambda: len(fired) == 2)

    assert {timer.strategy for timer in fired} == {"maker", "taker"}


async def test_timers_when_closed_then_none_fires() -> None:
    fired: list[TimerFired] = []
    timers = LoopTimers(fired.append, ManualClock())

    timers.set("maker", "check", 1)
    timers.close()
    await asyncio.sleep(0.005)

    assert fired == []
