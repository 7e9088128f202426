"""Events: everything that enters the kernel. Immutable, and encodable as a msgpack array.

`ts_venue` is the venue's own time (0 = it gave none), `ts_recv` ours at receipt; both wall nanoseconds.
Market data goes to the tape; what concerns orders, money and operators goes to the journal.
"""

from __future__ import annotations

from enum import Enum
from typing import get_args

import msgspec

from framework.domain.instruments import Instrument, InstrumentId, InstrumentStatus
from framework.domain.limits import RateLimits, RequestKind
from framework.domain.numbers import Money, Price, Size
from framework.domain.operator_events import CancelRequested, OrphanIgnored
from framework.domain.orders import Side, TimeInForce

Level = tuple[Price, Size]
"""One price level of a book."""


class BookSnapshot(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """The whole book: replaces what was known and makes it fresh. Levels come in any order; sizes are totals."""

    instrument: InstrumentId
    ts_venue: int
    ts_recv: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


class BookDelta(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """A signed change of one level's total size."""

    instrument: InstrumentId
    ts_venue: int
    ts_recv: int
    side: Side
    price: Price
    change: Size


class BookLevel(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """The new total of one level; 0 removes it."""

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
    """The venue's stream proved alive at `ts_recv`: books of `venue` that are not gapped are as fresh as this."""

    venue: str
    ts_venue: int
    ts_recv: int


class VenueClock(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """The venue's clock as measured: venue time = our wall time + `offset_ns`, give or take `uncertainty_ns`."""

    venue: str
    offset_ns: int
    uncertainty_ns: int
    ts_recv: int


class InstrumentDefined(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A connector knows this instrument, newly or with changed terms, grid or status."""

    instrument: Instrument
    ts_recv: int


class InstrumentStatusChanged(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """Opened, paused, closed. `close_ns` is the new close time, 0 when it is unchanged."""

    instrument: InstrumentId
    status: InstrumentStatus
    ts_venue: int
    ts_recv: int
    close_ns: int = 0


class InstrumentSettled(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """Positions are paid out at `value` per contract (binary: 0 to 1, YES) and end."""

    instrument: InstrumentId
    value: Price
    ts_venue: int
    ts_recv: int


class ReportKind(Enum):
    """What is reported of an order."""

    SENT = "sent"
    """The dispatcher hands the bytes to the network next; `detail` is their SHA-256."""
    NOT_SENT = "not_sent"
    """Proved that no byte reached the venue; the order is over."""
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    CANCEL_REFUSED = "cancel_refused"
    """The venue did not cancel. `code` `not_found` proves nothing about the order's end by itself."""
    AMENDED = "amended"
    AMEND_REFUSED = "amend_refused"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    """Ambiguous answer: time-out, reset, 5xx, garbled."""
    NEVER_ARRIVED = "never_arrived"
    """Evidence, after the venue's read lag, that the venue never accepted it."""


class OrderReport(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """One fact about an own order, from an answer, a stream or a look-up.

    `filled`, `size` (total) and `price` are given when the source states them. `cancelled_size` is never needed:
    an order's fills are the truth about what traded.
    """

    venue: str
    client_order_id: str
    kind: ReportKind
    ts_recv: int
    ts_venue: int = 0
    venue_order_id: str = ""
    filled: Size | None = None
    size: Size | None = None
    price: Price | None = None
    code: str = ""
    detail: str = ""


class OrderSnapshot(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """An order as the venue lists it: what reconciliation and streams of whole orders bring.

    `is_open` False with `filled < size` means cancelled or expired; `size` is the initial total.
    `client_order_id` is empty where the venue gives none.
    """

    venue: str
    venue_order_id: str
    client_order_id: str
    instrument: InstrumentId
    side: Side
    price: Price
    size: Size
    filled: Size
    is_open: bool
    ts_recv: int
    ts_venue: int = 0
    created_ns: int = 0
    reason: str = ""


class Fill(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """A trade of ours. `(venue, fill_id)` is unique: the same fill seen twice is booked once.

    `client_order_id` may be empty when the source does not give it; the order is then found by `venue_order_id`.
    `side` is ours. `fee` is what we pay (negative = rebate).
    """

    venue: str
    instrument: InstrumentId
    fill_id: str
    venue_order_id: str
    client_order_id: str
    side: Side
    price: Price
    size: Size
    fee: Money
    is_maker: bool
    ts_venue: int
    ts_recv: int


class FillVoided(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """The venue took a fill back (bust, failed settlement): it is reversed exactly once."""

    venue: str
    fill_id: str
    ts_recv: int
    ts_venue: int = 0
    reason: str = ""


class PositionReport(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """The venue's view of the account's net position (long > 0): compared with ours, never copied over it."""

    venue: str
    instrument: InstrumentId
    size: Size
    ts_recv: int
    ts_venue: int = 0


class BalanceReport(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """The venue's view of the account's cash: `amount` scaled by `decimals`."""

    venue: str
    currency: str
    amount: int
    decimals: int
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


class RequestOutcome(Enum):
    """What became of a request's tokens."""

    SPENT = "spent"
    """The venue counted it, or may have."""
    UNSPENT = "unspent"
    """Proved that it never arrived."""
    LIMITED = "limited"
    """The venue answered 429: its bucket is empty now."""


class RequestSettled(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """A request that held tokens is over: answered, timed out for good, or never sent."""

    venue: str
    strategy: str
    kind: RequestKind
    outcome: RequestOutcome
    ts_recv: int


class TimerFired(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """A strategy's timer is due."""

    strategy: str
    name: str
    ts_due: int


class TradingState(Enum):
    """What may leave: everything, reducing orders and cancels, cancels only."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"

    @property
    def strictness(self) -> int:
        """0 for ACTIVE to 2 for HALTED."""
        return _STRICTNESS[self]


_STRICTNESS = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}


class Scope(Enum):
    """What a trading state is set for."""

    GLOBAL = "global"
    VENUE = "venue"
    INSTRUMENT = "instrument"
    STRATEGY = "strategy"


class TradingStateChanged(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """A trading state is set: by an operator, a check or a supervisor. Durable; the strictest scope wins."""

    scope: Scope
    target: str
    state: TradingState
    reason: str
    ts_recv: int


class StrategyStarted(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """A strategy may begin: its instruments are known and its orders and positions are given back to it."""

    strategy: str
    ts_recv: int


class StrategyQuarantined(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """A strategy failed too often or too badly: it gets no more events and its orders are cancelled."""

    strategy: str
    reason: str
    ts_recv: int


class StrategySaved(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """What a strategy wants to know again after a restart: its own bytes, the newest replace the older."""

    strategy: str
    state: bytes
    ts_recv: int = 0


class ShutdownRequested(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """No new orders from here on."""

    reason: str
    ts_recv: int


class OrderAdopted(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """An order found at the venue that we did not know is given to a strategy (empty: nobody's, an orphan)."""

    venue: str
    venue_order_id: str
    client_order_id: str
    strategy: str
    instrument: InstrumentId
    side: Side
    price: Price
    size: Size
    filled: Size
    time_in_force: TimeInForce
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
    | RequestSettled
    | StrategyStarted
    | TimerFired
)
"""Inputs that only the tape records."""

AccountEvent = (
    InstrumentDefined
    | InstrumentStatusChanged
    | InstrumentSettled
    | OrderReport
    | OrderSnapshot
    | Fill
    | FillVoided
    | PositionReport
    | BalanceReport
    | TradingStateChanged
    | StrategyQuarantined
    | StrategySaved
    | ShutdownRequested
    | OrderAdopted
    | OrphanIgnored
    | CancelRequested
)
"""Inputs that the journal records, durably."""

Event = MarketEvent | AccountEvent

MARKET_EVENTS: frozenset[type] = frozenset(get_args(MarketEvent))
"""The classes of `MarketEvent`, for dispatch."""
