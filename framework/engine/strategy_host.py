"""The host of one strategy: calls its hooks and sees to it that its faults stay its own.

A hook that raises, takes too long or returns something is a fault: named, counted, logged. Too many, or one
that blocks the whole daemon, and the kernel quarantines the strategy.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from framework.domain.ports import Clock
from framework.domain.strategy import Strategy

OnFault = Callable[["StrategyHost", str, bool], None]
"""Told of every fault: the host, what happened, and whether it is grave enough to quarantine at once."""


class StrategyHost:
    """One strategy and its record of faults."""

    __slots__ = ("_call_ns_max", "_clock", "_on_fault", "faults", "name", "quarantine", "strategy")

    def __init__(
        self, name: str, strategy: Strategy[Any], *, clock: Clock, call_ns_max: int, on_fault: OnFault
    ) -> None:
        self.name = name
        self.strategy = strategy
        self.faults = 0
        self.quarantine = ""
        self._clock = clock
        self._call_ns_max = call_ns_max
        self._on_fault = on_fault

    @property
    def is_quarantined(self) -> bool:
        """Whether its hooks are not called any more; `quarantine` says why."""
        return bool(self.quarantine)

    def call(self, hook: Callable[..., object], *args: object) -> None:
        """Call a hook. Never raises but for what ends the process."""
        if self.is_quarantined:
            return
        name = getattr(hook, "__name__", type(hook).__name__)
        started = self._clock.monotonic_ns()
        try:
            result = hook(*args)
        except Exception as e:  # noqa: BLE001 - a strategy may raise anything; the others must go on
            self.fault(f"{name} raised {describe(e)}")
        else:
            if result is not None:
                self.fault(f"{name} returned a {type(result).__name__}; a hook returns nothing (and is never async)")
        elapsed = self._clock.monotonic_ns() - started
        if elapsed > self._call_ns_max:
            reason = f"{name} blocked the daemon for {elapsed / 1e6:.0f} ms (limit {self._call_ns_max // 10**6})"
            self.fault(reason, is_grave=True)

    def fault(self, reason: str, *, is_grave: bool = False) -> None:
        """Count a fault and pass it on."""
        self.faults += 1
        self._on_fault(self, reason, is_grave)


def describe(error: BaseException) -> str:
    """An exception in one line: type, message, and the line of the strategy that raised it. Never raises: the message
    is the strategy's own code."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - what can't be said is left out
        text = "(its message can't be read)"
    return f"{type(error).__name__}: {text}{where}"
