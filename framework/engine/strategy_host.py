"""The host of one strategy: calls its hooks, times them, and keeps its faults from the others.

A hook that raises, takes too long or returns something is a fault: named, counted, logged. Too many, or one that blocks
the whole daemon, and the kernel quarantines the strategy; so it does at once with a strategy that can't be made or
started.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from framework.domain.errors import describe_error
from framework.domain.ports import Clock
from framework.domain.strategy import Strategy
from framework.domain.verdicts import Approved


class FaultKind(Enum):
    """What a strategy did wrong. The values are a format: metrics show them."""

    RAISED = "raised"
    BLOCKED = "blocked"
    """It kept the daemon waiting for longer than `kernel.strategy_call_ms_max`."""
    INVALID = "invalid"
    """It returned something, or asked for an order or a change that makes no sense."""


OnFault = Callable[["StrategyHost", str, FaultKind, bool], None]
"""Called for every fault with the host, what happened, its kind, and whether to quarantine at once."""


def any_instrument(_approved: Approved) -> str:
    """No instrument is kept from the strategy: for a host without a configuration."""
    return ""


class StrategyHost:
    """One strategy and its faults so far. `quarantine` says why its hooks are not called; empty while they are.
    `why_not_its_own` says of an approval why the strategy may not have it, since it is outside of its instruments.

    `flaw` says why the strategy could not be made, empty when it could. `has_started` is True once `on_start` came to
    its end.
    """

    __slots__ = (
        "_call_ns_max",
        "_clock",
        "_on_fault",
        "faults",
        "flaw",
        "has_started",
        "name",
        "quarantine",
        "strategy",
        "why_not_its_own",
    )

    def __init__(
        self,
        name: str,
        strategy: Strategy[Any],
        *,
        clock: Clock,
        call_ns_max: int,
        on_fault: OnFault,
        why_not_its_own: Callable[[Approved], str] = any_instrument,
        flaw: str = "",
    ) -> None:
        self.name = name
        self.strategy = strategy
        self.flaw = flaw
        self.faults = 0
        self.quarantine = ""
        self.why_not_its_own = why_not_its_own
        self.has_started = False
        self._clock = clock
        self._call_ns_max = call_ns_max
        self._on_fault = on_fault

    @property
    def is_quarantined(self) -> bool:
        """Whether its hooks are not called any more; `quarantine` says why."""
        return bool(self.quarantine)

    def start(self) -> None:
        """Call `on_start`, unless it has come to its end before. Its failure, and that of the constructor, are grave: a
        strategy that is half made would be idle, or trade on what it does not know."""
        if self.flaw:
            self.fault(self.flaw, FaultKind.RAISED, is_grave=True)
        elif not self.has_started:
            self.call("on_start", is_start=True)

    def call(self, hook: str, *args: object, started_ns: int | None = None, is_start: bool = False) -> int | None:
        """Call the hook of that name. Never raises: also what would end the program or cancel its task is a fault of
        the strategy, and so is a hook that can't be looked up, or returns what can't be named.

        It is looked up at each call: a strategy may change its hooks while it runs. Its time counts from `started_ns`
        (monotonic nanoseconds), or from now. Returns when it was over, or `started_ns` when the strategy is quarantined
        and nothing was called.
        """
        if self.quarantine:
            return started_ns
        if started_ns is None:
            started_ns = self._clock.monotonic_ns()
        try:
            result = getattr(self.strategy, hook)(*args)
            returned = "" if result is None else f"returned a {type(result).__name__}"
        except BaseException as e:  # noqa: BLE001 - a strategy may raise anything; the others must go on
            # What ends a program is no slip: the strategy means to end, and is not called once more.
            is_grave = is_start or not isinstance(e, Exception)
            self.fault(f"{hook} raised {describe_error(e)}", FaultKind.RAISED, is_grave=is_grave)
        else:
            self.has_started |= is_start
            if returned:
                self.fault(f"{hook} {returned}; a hook returns nothing (and is never async)")
        ended_ns = self._clock.monotonic_ns()
        elapsed_ns = ended_ns - started_ns
        if elapsed_ns > self._call_ns_max:
            limit_ms = self._call_ns_max // 10**6
            reason = f"{hook} blocked the daemon for {elapsed_ns / 1e6:.0f} ms (limit {limit_ms})"
            self.fault(reason, FaultKind.BLOCKED, is_grave=True)
        return ended_ns

    def fault(self, reason: str, kind: FaultKind = FaultKind.INVALID, *, is_grave: bool = False) -> None:
        """Count a fault and report it; `is_grave` asks for a quarantine at once."""
        self.faults += 1
        self._on_fault(self, reason, kind, is_grave)
