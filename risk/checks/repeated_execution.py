"""No strategy trades on and on (C9)."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from framework.domain.account_events import Fill, Scope, TradingState, TradingStateChanged
from framework.domain.views import Proposal, RiskView
from risk.limit_table import Limit

_NS_PER_MS = 1_000_000


class RepeatedExecution(BaseModel):
    """C9: a strategy that has more than `fills_max` fills, or trades more than `size_max`, within `window_ms` is halted
    and its orders are cancelled; it stays halted, over restarts too, until a person resumes it. Then it begins anew.

    What counts is when a fill happened by the venue's clock: fills that become known late, all at once, are counted at
    the time at which they happened. Of a strategy that trades at several venues the fills at all of them count
    together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_ms: int = Field(15_000, gt=0, le=3_600_000, description="The time, in milliseconds.")
    fills_max: int = Field(gt=0, description="The most fills of a strategy within that time.")
    size_max: Limit | None = Field(
        None,
        description="The most contracts or coins that it may trade within it, bought and sold together; none: not "
        "counted. Where contracts and coins, or several coins, are traded, give each a table of its own.",
    )
    instruments: tuple[str, ...] = Field(
        ("*",), description='The instruments whose fills count together, as patterns: "zdex:BTC*".'
    )

    def begin(self, before: FillRates | None = None, /) -> FillRates:
        """The check at work, with the fills that `before` knows."""
        return FillRates(self, before)


class _Traded(NamedTuple):
    """One fill: where, when by the venue's clock (wall nanoseconds) and by ours (monotonic), and how much."""

    venue: str
    at_ns: int
    known_ns: int
    size: Fraction


class FillRates:
    """The fills of each strategy that lie within the window. They are `fills_max` at most, and none of a strategy that
    was stopped: it is counted again from when it is resumed."""

    follows = (Fill, TradingStateChanged)

    def __init__(self, limits: RepeatedExecution, before: FillRates | None) -> None:
        self._limits = limits
        self._fills: defaultdict[str, list[_Traded]] = defaultdict(list) if before is None else before._fills
        self._stopped: set[str] = set() if before is None else before._stopped

    def check(self, proposal: Proposal, view: RiskView, /) -> None:
        """It refuses nothing itself: the trading state does."""

    def follow(self, event: Fill | TradingStateChanged, view: RiskView, /) -> tuple[TradingStateChanged, ...]:
        """Count a fill, and halt its strategy where that was one too many."""
        if isinstance(event, TradingStateChanged):
            if event.scope is Scope.STRATEGY and event.state is not TradingState.HALTED:
                self._stopped.discard(event.target)
            return ()
        order = view.order(event.client_order_id)
        if order is None or order.strategy in self._stopped or not self._is_counted(event):
            return ()
        why = self._count(order.strategy, event, view)
        if not why:
            return ()
        self._stopped.add(order.strategy)
        self._fills.pop(order.strategy, None)
        halt = TradingStateChanged(
            scope=Scope.STRATEGY,
            target=order.strategy,
            state=TradingState.HALTED,
            reason=f"{why} within {self._limits.window_ms} ms",
            ts_recv=view.now_ns,
            is_cancelling=True,
        )
        return (halt,)

    def _count(self, strategy: str, fill: Fill, view: RiskView) -> str:
        """What was too much, in words; empty when nothing was."""
        limits, now_ns = self._limits, view.monotonic_ns
        window_ns = limits.window_ms * _NS_PER_MS
        new = _Traded(fill.venue, fill.ts_venue or fill.ts_recv, now_ns, _amount(fill, view))
        # What became known long ago does not count in any case: so a venue's clock that is set back hides nothing for
        # longer than that.
        known = [one for one in (*self._fills[strategy], new) if one.known_ns >= now_ns - 2 * window_ns]
        newest_ns = max(one.at_ns for one in known if one.venue == new.venue)
        within = self._fills[strategy] = [one for one in known if _is_within(one, new, newest_ns, window_ns)]
        if len(within) > limits.fills_max:
            return f"{len(within)} fills (fills_max={limits.fills_max})"
        size = sum((one.size for one in within), Fraction())
        if limits.size_max is not None and size > limits.size_max:
            return f"{Decimal(size.numerator) / size.denominator:f} traded (size_max={limits.size_max})"
        return ""

    def _is_counted(self, fill: Fill) -> bool:
        return any(fnmatchcase(fill.instrument, pattern) for pattern in self._limits.instruments)


def _is_within(one: _Traded, new: _Traded, newest_ns: int, window_ns: int) -> bool:
    """Whether a fill lies within the window that ends with the newest one of `new`'s venue. Clocks of two venues are
    not compared: a fill at another venue counts when it became known."""
    return one.at_ns >= newest_ns - window_ns if one.venue == new.venue else one.known_ns >= new.known_ns - window_ns


def _amount(fill: Fill, view: RiskView) -> Fraction:
    """Contracts or coins. Of an instrument that is not known the scaled size counts, which is never less."""
    instrument = view.instrument(fill.instrument)
    return Fraction(fill.size, 1 if instrument is None else 10**instrument.size_decimals)
