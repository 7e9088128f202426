"""When each strategy begins: its venues are up, and a market is there for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from framework.assembly import Core
from framework.config.resolve import ResolvedStrategy
from framework.domain.instruments import InstrumentId
from framework.domain.market_events import StrategyStarted
from framework.domain.ports import Clock
from framework.engine.universe import InstrumentPattern
from framework.ops.readiness import NotReady, NotReadyKind

VENUE_WAIT_NS = 5_000_000_000
"""How long a strategy that can do without some of its venues waits for them all: venues that are there come up at
about the same time, and which of their markets it gets must not depend on which was first."""

_log = structlog.get_logger("daemon")


class StrategyStarts:
    """Lets strategies begin, and says what the others wait for. Call `begin` again and again.

    A strategy begins when every venue that its patterns name is up and one of its instruments is open. One that does
    not need them all (`Strategy.needs_all_venues`) begins without those that are still down after `VENUE_WAIT_NS`, once
    an instrument at one that is up is open; what the others list joins it later, as markets do that open later.
    """

    def __init__(
        self, strategies: Sequence[ResolvedStrategy], core: Core, *, is_up: Callable[[str], bool], clock: Clock
    ) -> None:
        """`is_up` says of a venue whether it is connected and was compared with."""
        self._strategies = strategies
        self._core = core
        self._is_up = is_up
        self._clock = clock
        self._since_ns: int | None = None

    def begin(self) -> None:
        """Let each strategy begin that can now."""
        if self._since_ns is None:
            self._since_ns = self._clock.monotonic_ns()
        for row in self._not_begun():
            instruments = () if self._awaited(row) else self._instruments_of(row)
            if instruments:
                self._core.add_strategy(
                    row.name, row.make, row.settings, instruments, _pattern(row), trade_anything=row.row.trade_anything
                )
                without = {"without": self._down(row)} if self._down(row) else {}
                _log.info("strategy starts", strategy=row.name, instruments=list(instruments), **without)
                self._core.kernel.publish(StrategyStarted(row.name, self._clock.now_ns()))

    def not_ready(self) -> list[NotReady]:
        """A reason for each strategy that waits for a venue, or could begin at once. One that waits for a market is no
        reason: markets close at night."""
        return [
            NotReady(NotReadyKind.STARTING, f"strategy {row.name} has not begun{self._reason_to_wait(row)}", row.name)
            for row in self._not_begun()
            if self._awaited(row) or self._instruments_of(row)
        ]

    def waiting(self) -> list[str]:
        """Strategies that wait for an instrument to open, and for which. That is no fault: the daemon can be ready."""
        return [
            f"strategy {row.name} waits for an active instrument that matches {', '.join(row.row.instruments)}"
            for row in self._strategies
            if not self._awaited(row) and not self._instruments_of(row)
        ]

    def _not_begun(self) -> list[ResolvedStrategy]:
        return [row for row in self._strategies if row.name not in self._core.kernel.hosts]

    def _down(self, row: ResolvedStrategy) -> list[str]:
        """The venues that the strategy's patterns name and that are not up."""
        return sorted(venue for venue in self._core.queues if row.names(venue) and not self._is_up(venue))

    def _awaited(self, row: ResolvedStrategy) -> str:
        """The first venue for which the strategy waits, empty when it waits for none."""
        down = self._down(row)
        return down[0] if down and not self._can_do_without(row) else ""

    def _can_do_without(self, row: ResolvedStrategy) -> bool:
        """Whether it may begin though venues are down."""
        if row.factory.needs_all_venues or self._since_ns is None:
            return False
        has_waited = self._clock.monotonic_ns() - self._since_ns >= VENUE_WAIT_NS
        return has_waited and any(self._is_up(one.partition(":")[0]) for one in self._instruments_of(row))

    def _reason_to_wait(self, row: ResolvedStrategy) -> str:
        return f": waits for venue {venue}" if (venue := self._awaited(row)) else ""

    def _instruments_of(self, row: ResolvedStrategy) -> tuple[InstrumentId, ...]:
        """The instruments that the strategy has; before it begins, those that it would begin with now: a replay of the
        journal must choose the same, so whether their venue is up makes no difference."""
        kernel, accounts = self._core.kernel, self._core.accounts
        if row.name in kernel.hosts:
            return kernel.instruments_of(row.name)
        known, settled = accounts.instruments.values(), accounts.settlements
        return _pattern(row).choose(one for one in known if one.venue in self._core.queues and one.id not in settled)


def _pattern(row: ResolvedStrategy) -> InstrumentPattern:
    return InstrumentPattern(row.row.instruments, row.row.instruments_max)
