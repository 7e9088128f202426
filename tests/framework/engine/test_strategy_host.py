from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from framework.domain.errors import describe_error
from framework.domain.strategy import Strategy
from framework.engine.strategy_host import FaultKind, StrategyHost
from framework.runtime.clock import ManualClock

Faults = list[tuple[str, FaultKind]]
ENDINGS = [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit]
"""What is no `Exception`: it ends a program, a task or a generator, unless somebody stops it."""


def host_of(clock: ManualClock, faults: Faults, strategy: Any = None) -> StrategyHost:
    def on_fault(_: StrategyHost, reason: str, kind: FaultKind, is_grave: bool) -> None:
        is_ending = any(f"raised {error.__name__}" in reason for error in ENDINGS)
        assert is_grave is (kind is FaultKind.BLOCKED or is_ending)
        faults.append((reason, kind))

    return StrategyHost(
        "quiet",
        strategy or Strategy[Any]("quiet", None, None),  # type: ignore[arg-type]
        clock=clock,
        call_ns_max=100,
        on_fault=on_fault,
    )


def call(host: StrategyHost, hook: Callable[..., object], *args: object) -> int | None:
    """Give the strategy a hook of that name and have it called."""
    setattr(host.strategy, hook.__name__, hook)
    return host.call(hook.__name__, *args)


def test_hook_when_it_raises_then_the_fault_names_hook_error_and_line() -> None:
    faults: Faults = []
    host = host_of(ManualClock(), faults)

    def on_book(_: object) -> None:
        raise LookupError("no such level")

    call(host, on_book, None)

    (reason, kind) = faults[0]
    assert reason.startswith("on_book raised LookupError: no such level at ")
    assert f"{__file__}:" in reason
    assert kind is FaultKind.RAISED
    assert host.faults == 1


def test_hook_when_it_blocks_longer_than_allowed_then_the_fault_is_grave() -> None:
    clock, faults = ManualClock(), Faults()
    host = host_of(clock, faults)

    def on_timer() -> None:
        clock.advance(101)

    call(host, on_timer)

    assert faults[0][1] is FaultKind.BLOCKED
    assert faults[0][0].startswith("on_timer blocked the daemon")


def test_hook_when_it_blocks_and_then_raises_then_the_fault_is_grave_all_the_same() -> None:
    clock, faults = ManualClock(), Faults()
    host = host_of(clock, faults)

    def on_timer() -> None:
        clock.advance(101)
        raise LookupError("no such level")

    call(host, on_timer)

    assert [kind for _, kind in faults] == [FaultKind.RAISED, FaultKind.BLOCKED]


def test_hook_when_neither_it_nor_what_it_raises_can_be_named_then_the_fault_is_told_all_the_same() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    class Hook:
        def __call__(self, _: str) -> None:
            raise Mute

    faults: Faults = []
    host = host_of(ManualClock(), faults)
    host.strategy.on_timer = Hook()  # type: ignore[method-assign]
    host.call("on_timer", "pause")

    assert faults[0][0].startswith("on_timer raised Mute: (its message can't be read) at ")


def test_hook_when_it_takes_just_as_long_as_allowed_then_there_is_no_fault() -> None:
    clock, faults = ManualClock(), Faults()
    host = host_of(clock, faults)

    def on_timer() -> None:
        clock.advance(100)

    call(host, on_timer)

    assert faults == []


def test_hook_when_it_returns_something_then_that_is_a_fault() -> None:
    faults: Faults = []
    host = host_of(ManualClock(), faults)

    def on_trade() -> str:
        return "done"

    call(host, on_trade)

    assert faults == [("on_trade returned a str; a hook returns nothing (and is never async)", FaultKind.INVALID)]


def test_hook_when_the_host_is_quarantined_then_it_is_not_called() -> None:
    called: list[int] = []
    host = host_of(ManualClock(), [])
    host.quarantine = "raised too often"

    host.strategy.on_start = lambda: called.append(1)  # type: ignore[method-assign]
    host.call("on_start")

    assert host.is_quarantined
    assert called == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_hook_when_it_raises_what_ends_a_program_then_it_is_this_strategys_fault_with_its_line(
    ending: type[BaseException],
) -> None:
    faults: Faults = []
    host = host_of(ManualClock(), faults)

    def on_stop() -> None:
        raise ending

    assert call(host, on_stop) is not None
    assert faults[0][0].startswith(f"on_stop raised {ending.__name__}: ")
    assert f" at {__file__}:" in faults[0][0]


@pytest.mark.parametrize("ending", [*ENDINGS, LookupError])
@pytest.mark.parametrize("hook", ["on_start", "on_book", "on_trade", "on_fill", "on_order", "on_timer", "on_stop"])
def test_hook_when_looking_it_up_raises_then_that_is_a_fault_of_this_strategy(
    hook: str, ending: type[BaseException]
) -> None:
    def look_up(_: object) -> object:
        raise ending

    faults: Faults = []
    strategy = type("Hidden", (Strategy,), {hook: property(look_up)})("hidden", None, None)

    assert host_of(ManualClock(), faults, strategy).call(hook) is not None
    assert faults[0][0].startswith(f"{hook} raised {ending.__name__}: ")
    assert f" at {__file__}:" in faults[0][0]


@pytest.mark.parametrize("ending", ENDINGS)
def test_hook_when_what_it_returns_can_not_be_named_then_that_is_a_fault_of_this_strategy(
    ending: type[BaseException],
) -> None:
    def name(_: object) -> str:
        raise ending

    nameless = type("Nameless", (type,), {"__name__": property(name)})

    def on_book() -> object:
        return nameless("it", (), {})()

    faults: Faults = []

    assert call(host_of(ManualClock(), faults), on_book) is not None
    assert faults[0][0].startswith(f"on_book raised {ending.__name__}: ")


@pytest.mark.parametrize("ending", ENDINGS)
def test_error_when_its_text_can_not_be_read_then_that_ends_nothing(ending: type[BaseException]) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ending

    assert describe_error(Mute()) == "Mute: (its message can't be read)"


def test_error_when_it_was_never_raised_then_it_is_described_without_a_place() -> None:
    assert describe_error(ValueError("odd")) == "ValueError: odd"
