"""Market events: prices, clocks, limits and timers. They go to the tape, which replay reads.

Prices and sizes are scaled by the instrument's decimals. `ts_venue` is the venue's own time (0 = it gave none),
`ts_recv` ours at receipt; both are wall nanoseconds. Fields are written as arrays: new ones come at the end, with
defaults.
"""

from __future__ import annotations

from enum import Enum
from typing import get_args

import msgspec

from framework.domain.instruments import InstrumentId
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side
from framework.domain.rate_limits import RateLimits, RequestKind
from framework.domain.terms import VenueTerms

Level = tuple[Price, Size]
"""One price level of a book: (price, total size), both scaled."""


class BookSnapshot(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """The whole book: replaces what was known and makes it fresh. Levels come in any order; sizes are totals."""

    instrument: InstrumentId
    ts_venue: int
    ts_recv: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


class BookDelta(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """A signed change of one level's total size, for venues that send differences. A level below 0 makes the book
    stale."""

    instrument: InstrumentId
    ts_venue: int
    ts_recv: int
    side: Side
    price: Price
    change: Size


class BookLevel(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """The new total size of one level, for venues that send totals; 0 removes the level."""

    instrument: InstrumentId
    ts_venue: int
    ts_recv: int
    side: Side
    price: Price
    size: Size


class BookStale(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """The book can't be trusted until the next snapshot: a gap, a disconnect, a terminal channel error."""

    instrument: InstrumentId
    ts_recv: int
    reason: str


class TradePrint(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """A public trade. `aggressor` is the taker's side."""

    instrument: InstrumentId
    ts_venue: int
    ts_recv: int
    trade_id: str
    price: Price
    size: Size
    aggressor: Side


class Heartbeat(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """The venue's stream proved alive at `ts_recv`: books of `venue` that are not gapped are as fresh as this. With an
    `instrument` it proves that one book only, as after a poll that found it unchanged."""

    venue: str
    ts_venue: int
    ts_recv: int
    instrument: InstrumentId = InstrumentId("")


class MarkPrice(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """The venue's mark price of a perpetual, by which it values and liquidates positions, with the index price (0 = not
    given), both scaled. `funding_rate` is the rate of the next payment as exact text, `next_funding_ns` its venue
    time."""

    instrument: InstrumentId
    ts_venue: int
    ts_recv: int
    mark: Price
    index: Price = Price(0)
    funding_rate: str = ""
    next_funding_ns: int = 0


class VenueClock(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """The venue's clock as measured: venue time = our wall time + `offset_ns`, give or take `uncertainty_ns`."""

    venue: str
    offset_ns: int
    uncertainty_ns: int
    ts_recv: int


class ConnectorStatus(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """The venue's streams are up (connected, subscribed) or down."""

    venue: str
    is_up: bool
    reason: str
    ts_recv: int


class LimitsDeclared(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The venue's rate limits for this account, as it declares them now."""

    venue: str
    limits: RateLimits
    ts_recv: int


class TermsDeclared(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """What the venue offers this account, as its connector declares it now."""

    venue: str
    terms: VenueTerms
    ts_recv: int


class RequestOutcome(Enum):
    """What became of a request's tokens."""

    SPENT = "spent"
    """The venue counted it, or may have."""
    NOT_CHARGED = "unspent"
    """Proved that it never arrived."""
    LIMITED = "limited"
    """The venue answered 429: its bucket is empty now."""


class RequestCompleted(msgspec.Struct, frozen=True, gc=False, tag="RequestSettled", array_like=True):
    """A request that held tokens is over: answered, timed out for good, or never sent. One of the connector's own has
    no strategy, and says which `endpoint` it was for and how often its cost is due."""

    venue: str
    strategy: str
    kind: RequestKind
    outcome: RequestOutcome
    ts_recv: int
    endpoint: str = ""
    weight: int = 1


class TurnTaken(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """A request of the connector's own has its tokens and leaves next; a `RequestCompleted` without a strategy, of the
    same kind, endpoint and weight, says how it ended."""

    venue: str
    kind: RequestKind
    ts_recv: int
    endpoint: str = ""
    weight: int = 1


class WindowSeen(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """What an answer of the venue showed of a pool that is a WINDOW: how many tokens are `left` of it (-1: not said),
    and that it begins anew not before `ends_ns_min` and not after `ends_ns_max` nanoseconds from now (both 0: not
    said). The range must cover what the answer took to come, and a rounded time. Only for a window that forgets
    everything at once: the time at which a sliding one forgets its oldest request says nothing of the others.
    Worth an event when something new is seen, not with each answer."""

    venue: str
    pool: str
    ts_recv: int
    left: int = -1
    ends_ns_min: int = 0
    ends_ns_max: int = 0


class TimerFired(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """A strategy's timer is due."""

    strategy: str
    name: str
    ts_due: int


class StrategyStarted(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """A strategy may begin: its instruments are known and its orders and positions are given back to it."""

    strategy: str
    ts_recv: int


MarketEvent = (
    BookSnapshot
    | BookDelta
    | BookLevel
    | BookStale
    | TradePrint
    | Heartbeat
    | VenueClock
    | ConnectorStatus
    | LimitsDeclared
    | RequestCompleted
    | StrategyStarted
    | TimerFired
    | MarkPrice
    | TermsDeclared
    | TurnTaken
    | WindowSeen
)
"""Inputs that only the tape records."""

MARKET_EVENTS: frozenset[type] = frozenset(get_args(MarketEvent))
"""The classes of `MarketEvent`, for dispatch."""
