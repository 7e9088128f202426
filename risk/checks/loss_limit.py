"""No more is lost in a day than was meant to be (C13)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from enum import Enum
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from framework.domain.account_events import (
    CashFlow,
    ControlSaved,
    Fill,
    FillVoided,
    InstrumentPurged,
    InstrumentSettled,
    OrderAdopted,
    Scope,
    TradingState,
    TradingStateChanged,
)
from framework.domain.instruments import Instrument, InstrumentId, InstrumentKind
from framework.domain.market_events import BookDelta, BookLevel, BookSnapshot, BookStale, TradePrint
from framework.domain.numbers import Price
from framework.domain.ports import ControlAction
from framework.domain.views import BookView, PositionView, Proposal, RiskView
from risk.limit_table import Limit

DECIMALS = 30
"""Sums over instruments are integers of so many decimals, doubled like a mid: no profit is finer."""
SAVE_PART = 100
"""A new peak is recorded once it is higher by this part of the drawdown that is allowed."""


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f'"{name}" is no time zone; write for example "UTC" or "America/New_York"') from None
    return name


class Counted(Enum):
    """Whose losses are counted together."""

    STRATEGY = "strategy"
    VENUE = "venue"
    ACCOUNT = "account"


class Effect(Enum):
    """What a breach sets."""

    REDUCE = "reduce"
    HALT = "halt"


_SCOPES = {Counted.STRATEGY: Scope.STRATEGY, Counted.VENUE: Scope.VENUE, Counted.ACCOUNT: Scope.GLOBAL}
_STATES = {Effect.REDUCE: TradingState.REDUCING, Effect.HALT: TradingState.HALTED}


class LossLimit(BaseModel):
    """C13: once a strategy, a venue, or everything together has lost more than `loss_max` since the day began, or has
    fallen by more than `drawdown_max` from the day's highest profit, it may only reduce, or is halted, and its orders
    are cancelled. It stays so until a person resumes it, or until the next day begins; then it is counted anew.

    What counts is realised and unrealised profit less fees, with funding, of all instruments that settle in `currency`.
    An open position is worth the mid of a fresh book; without one the worse of what the book and the last public trade
    show, so that a feed that fails hides no loss. Fees in another currency are not counted. A new day begins with what
    the positions are worth then. The day's beginning and its peak outlive a restart.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    currency: str = Field(min_length=1, description='The currency of the limits, as instruments name it: "USD".')
    loss_max: Limit | None = Field(None, description='The largest loss of a day, for example "100"; none: not counted.')
    drawdown_max: Limit | None = Field(
        None, description="The largest fall from the day's highest profit; none: not counted."
    )
    per: Counted = Field(Counted.STRATEGY, description="Whose losses count together: strategy, venue or account.")
    instruments: tuple[str, ...] = Field(("*",), description='The instruments that count, as patterns: "kalshi:*".')
    effect: Effect = Field(Effect.REDUCE, description="reduce: only orders that close positions; halt: none.")
    until_next_day: bool = Field(False, description="Whether that ends by itself when the next day begins.")
    day_begins: time = Field(time(0), description='When the day begins, for example "17:00:00".')
    zone: Annotated[str, AfterValidator(_zone)] = Field("UTC", description="The time zone of day_begins.")

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.loss_max is None and self.drawdown_max is None:
            raise ValueError("neither loss_max nor drawdown_max is given; give at least one of them")
        if self.day_begins.tzinfo is not None:
            raise ValueError("day_begins: the zone stands in zone; write the time alone")
        return self

    @property
    def key(self) -> str:
        """What the day's figures are recorded under: the same as long as the same is counted."""
        return f"loss {self.per.value} {self.currency} {' '.join(self.instruments)} {self.day_begins} {self.zone}"

    def day_of(self, now_ns: int) -> tuple[int, int]:
        """The day of a wall time as a number, and the wall time in nanoseconds at which the next one begins."""
        zone = ZoneInfo(self.zone)
        local = datetime.fromtimestamp(now_ns // 10**9, UTC).astimezone(zone)
        began = local.date() if local.timetz().replace(tzinfo=None) >= self.day_begins else local.date() - _DAY
        next_begins = datetime.combine(began + _DAY, self.day_begins, tzinfo=zone)
        return began.toordinal(), int(next_begins.timestamp()) * 10**9

    def begin(self, before: Losses | None = None, /) -> Losses:
        """The check at work, with what `before` knows where the same is counted."""
        losses = Losses(self)
        if before is not None and before.limits.key == self.key:
            losses.go_on_from(before)
        return losses


_DAY = timedelta(days=1)


class Figures(msgspec.Struct):
    """The figures of a day, as they are recorded: by whose they are, the profit at its beginning and its peak, and the
    profit in instruments that have left; who was stopped and not resumed, and who has traded at all. Profits are
    doubled, with `DECIMALS` decimals, and text: they pass 64 bits."""

    day: int = 0
    began: dict[str, str] = {}
    peak: dict[str, str] = {}
    gone: dict[str, dict[str, str]] = {}
    stopped: list[str] = []
    known: list[str] = []


class Losses:
    """Profits as they are now, by whose they are and by instrument, against those at the day's beginning and peak."""

    follows = (
        BookSnapshot, BookDelta, BookLevel, BookStale, TradePrint, Fill, FillVoided, OrderAdopted, CashFlow,
        InstrumentSettled, InstrumentPurged, TradingStateChanged,
    )  # fmt: skip

    def __init__(self, limits: LossLimit) -> None:
        self.limits = limits
        self._day, self._next_day_ns = 0, 0
        self._began: dict[str, int] = {}
        self._peak: dict[str, int] = {}
        self._saved_peak: dict[str, int] = {}
        self._unsure: dict[str, int] = {}
        self._parts: defaultdict[str, dict[InstrumentId, int]] = defaultdict(dict)
        self._sum: defaultdict[str, int] = defaultdict(int)
        self._known: set[str] = set()
        self._gone: set[InstrumentId] = set()
        self._unmarked: set[tuple[str, InstrumentId]] = set()
        self._holders: defaultdict[InstrumentId, set[str]] = defaultdict(set)
        self._last: dict[InstrumentId, Price] = {}
        self._stopped: set[str] = set()
        self._is_begun = self._is_to_save = False

    def go_on_from(self, before: Losses) -> None:
        """Take over all that was counted so far; the limits are the new ones."""
        for name, known in vars(before).items():
            if name != "limits":
                setattr(self, name, known)

    def check(self, proposal: Proposal, view: RiskView, /) -> None:
        """It refuses nothing itself: the trading state does."""

    def follow(self, event: Any, view: RiskView, /) -> list[ControlAction]:
        """Count what has changed, and stop who has lost too much by it."""
        if not self._is_begun:
            self._begin(view, event)
        if view.now_ns >= self._next_day_ns:
            self._begin_day(view)
        if isinstance(event, TradingStateChanged):
            self._resume(event)
            touched: list[str] = []
        else:
            touched = self._count(event, view)
        actions = [action for whose in touched for action in self._judge(whose, view)]
        if self._is_to_save:
            self._is_to_save = False
            actions.append(self._save(view))
        return actions

    def _begin(self, view: RiskView, first: Any) -> None:
        """Take up what an earlier run has recorded, and count every position that there is. The view knows of the
        `first` event already."""
        if state := view.control_state(self.limits.key):
            figures = msgspec.json.decode(state, type=Figures)
            today, ends_ns = self.limits.day_of(view.now_ns)
            self._day, self._next_day_ns = figures.day, ends_ns if figures.day == today else 0
            # On the same day, who is not in the record has begun to trade since: from nothing.
            self._known, self._is_begun = set(figures.known), figures.day == today
            self._began = {whose: int(value) for whose, value in figures.began.items()}
            self._saved_peak = {whose: int(value) for whose, value in figures.peak.items()}
            self._peak = dict(self._saved_peak)
            # It may have been so much higher since: rather too early than too late.
            self._unsure = dict.fromkeys(self._peak, _scaled(self.limits.drawdown_max) // SAVE_PART)
            # Somebody who was resumed while this was not asked is not stopped any more.
            scope, states = _SCOPES[self.limits.per], (TradingState.REDUCING, TradingState.HALTED)
            resumed = first.target if isinstance(first, TradingStateChanged) else None
            self._stopped = {
                one for one in figures.stopped if one == resumed or any(view.is_set(scope, one, s) for s in states)
            }
            for whose, parts in figures.gone.items():
                for name, value in parts.items():
                    self._gone.add(InstrumentId(name))
                    self._put(whose, InstrumentId(name), int(value))
        for strategy, instrument in view.positions():
            self._hold(strategy, instrument, view)
        self._is_begun = True

    def _begin_day(self, view: RiskView) -> None:
        """What all is worth now is what the new day begins with; what has left is forgotten."""
        self._day, self._next_day_ns = self.limits.day_of(view.now_ns)
        for parts in self._parts.values():
            for name in self._gone & parts.keys():
                del parts[name]
        self._gone.clear()
        self._sum = defaultdict(int, {whose: sum(parts.values()) for whose, parts in self._parts.items()})
        self._began, self._peak, self._is_to_save = {}, {}, True
        for whose in self._known:
            self._begin_anew(whose)

    def _begin_anew(self, whose: str) -> None:
        """Count from here on, once every open position is worth something that is known."""
        self._began.pop(whose, None)
        self._unsure.pop(whose, None)
        if not any(one == whose for one, _ in self._unmarked):
            self._began[whose] = self._peak[whose] = self._saved_peak[whose] = self._sum[whose]
            self._is_to_save = True

    def _resume(self, event: TradingStateChanged) -> None:
        """A person, or the time, has resumed somebody who had lost too much: it is counted anew."""
        is_resumed = event.state is TradingState.ACTIVE and event.scope is _SCOPES[self.limits.per]
        if is_resumed and event.target in self._stopped:
            self._stopped.discard(event.target)
            self._is_to_save = True
            self._begin_anew(event.target)

    def _count(self, event: Any, view: RiskView) -> list[str]:
        """Count the instrument of the event anew; whose profits that changes."""
        if isinstance(event, OrderAdopted):
            for strategy, instrument in view.positions():
                self._hold(strategy, instrument, view)
            return list(self._known)
        name: InstrumentId = event.instrument
        if isinstance(event, TradePrint):
            self._last[name] = event.price
        elif isinstance(event, InstrumentPurged):
            if any(name in parts for parts in self._parts.values()):
                self._gone.add(name)
                self._is_to_save = True
            self._holders.pop(name, None)
            return []
        elif isinstance(event, Fill):
            order = view.order(event.client_order_id)
            self._hold("" if order is None else order.strategy, name, view)
            self._hold("", name, view)
        holders = self._holders.get(name)
        if not holders:
            return []
        for whose in holders:
            self._revalue(whose, name, view)
        return list(holders)

    def _hold(self, strategy: str, name: InstrumentId, view: RiskView) -> None:
        """Count a position of a strategy, or with '' the account's, from now on, if it is one that counts."""
        instrument = view.instrument(name)
        if instrument is None or not self._counts(instrument) or bool(strategy) is not self._is_per_strategy:
            return
        whose = {Counted.STRATEGY: strategy, Counted.VENUE: instrument.venue, Counted.ACCOUNT: ""}[self.limits.per]
        if whose not in self._known and self._is_begun:
            # Nothing was ever traded before this: what its first trade costs is a loss of this day.
            self._began[whose] = self._peak[whose] = self._saved_peak[whose] = 0
            self._is_to_save = True
        self._known.add(whose)
        self._holders[name].add(whose)
        self._gone.discard(name)
        self._revalue(whose, name, view)

    def _revalue(self, whose: str, name: InstrumentId, view: RiskView) -> None:
        instrument = view.instrument(name)
        if instrument is None:
            return
        position = view.position(name, whose if self._is_per_strategy else "")
        mark_twice = self._mark_twice(position, view.book(name), instrument) if position.size else 0
        if mark_twice is None:
            self._unmarked.add((whose, name))
            return
        self._unmarked.discard((whose, name))
        # Doubled like the mark. Money of an instrument has its price's and its size's decimals together.
        twice = position.size * mark_twice - 2 * position.cost
        twice += 2 * (position.realised - position.fees + position.funding)
        self._put(whose, name, twice * 10 ** (DECIMALS - instrument.money_decimals))

    def _mark_twice(self, position: PositionView, book: BookView | None, instrument: Instrument) -> int | None:
        """Twice what one of it is worth: the mid of a fresh book, else the worse of the rest. Of a fresh book that
        nobody else is in, the worst that can be; None where nothing is known."""
        if book is not None and book.is_fresh and book.mid_twice is not None:
            return book.mid_twice
        is_long = position.size > 0
        best = None if book is None else book.bid if is_long else book.ask
        known = [2 * price for price in (best, self._last.get(instrument.id)) if price is not None]
        if not known and book is not None and book.is_fresh:
            is_bounded = is_long or instrument.kind is InstrumentKind.BINARY
            return (0 if is_long else 2 * instrument.unit) if is_bounded else None
        return (min(known) if is_long else max(known)) if known else None

    def _put(self, whose: str, name: InstrumentId, value: int) -> None:
        parts = self._parts[whose]
        self._sum[whose] += value - parts.get(name, 0)
        parts[name] = value

    def _judge(self, whose: str, view: RiskView) -> Iterator[ControlAction]:
        limits, profit = self.limits, self._sum[whose]
        if whose not in self._began:
            self._begin_anew(whose)
            return
        if any(one == whose for one, _ in self._unmarked):
            return
        if profit > self._peak[whose] + self._unsure.get(whose, 0):
            self._peak[whose] = profit
            self._unsure.pop(whose, None)
            step = _scaled(limits.drawdown_max) // SAVE_PART
            self._is_to_save |= limits.drawdown_max is not None and profit >= self._saved_peak[whose] + step
        why = self._why(whose)
        if not why or whose in self._stopped:
            return
        self._stopped.add(whose)
        self._is_to_save = True
        yield TradingStateChanged(
            scope=_SCOPES[limits.per],
            target=whose,
            state=_STATES[limits.effect],
            reason=why,
            ts_recv=view.now_ns,
            is_cancelling=True,
            until_ns=self._next_day_ns if limits.until_next_day else 0,
        )

    def _why(self, whose: str) -> str:
        """What was too much, in words; empty when nothing was."""
        if whose not in self._began:
            return ""
        limits, profit = self.limits, self._sum[whose]
        lost, fallen = self._began[whose] - profit, self._peak[whose] + self._unsure.get(whose, 0) - profit
        if limits.loss_max is not None and lost > _scaled(limits.loss_max):
            return f"lost {_text(lost)} {limits.currency} since the day began (loss_max={limits.loss_max})"
        if limits.drawdown_max is not None and fallen > _scaled(limits.drawdown_max):
            return f"fell by {_text(fallen)} {limits.currency} from its peak (drawdown_max={limits.drawdown_max})"
        return ""

    def _save(self, view: RiskView) -> ControlSaved:
        self._saved_peak = dict(self._peak)
        gone = {
            whose: {str(name): str(value) for name, value in parts.items() if name in self._gone}
            for whose, parts in self._parts.items()
        }
        figures = Figures(
            self._day, _texts(self._began), _texts(self._peak), gone, sorted(self._stopped), sorted(self._known)
        )
        return ControlSaved(self.limits.key, msgspec.json.encode(figures), view.now_ns)

    def _counts(self, instrument: Instrument) -> bool:
        currency = instrument.settle_currency or instrument.quote_currency
        return currency == self.limits.currency and any(
            fnmatchcase(instrument.id, pattern) for pattern in self.limits.instruments
        )

    @property
    def _is_per_strategy(self) -> bool:
        return self.limits.per is Counted.STRATEGY


def _scaled(limit: Any) -> int:
    """A limit as sums are counted; 0 for none."""
    if limit is None:
        return 0
    numerator, denominator = limit.as_integer_ratio()
    return int(2 * numerator * 10**DECIMALS // denominator)


def _text(twice: int) -> str:
    """An amount for people, to a hundredth of a cent."""
    return f"{twice / (2 * 10**DECIMALS):.4f}"


def _texts(values: dict[str, int]) -> dict[str, str]:
    return {whose: str(value) for whose, value in values.items()}
