"""Account events: orders, money, trading states and operators. They go to the journal, durably.

Prices and sizes are scaled by the instrument's decimals, fees by its `money_decimals`. `ts_venue` is the venue's own
time (0 = it gave none), `ts_recv` ours at receipt, and of orders and positions that were read ours when they were asked
for, so that an older read undoes no newer message; both are wall nanoseconds. Fields are written as arrays: new ones
come at the end, with defaults.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from framework.domain.instruments import Instrument, InstrumentId, InstrumentStatus
from framework.domain.intents import NewOrder
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Side, TimeInForce


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


class InstrumentPurged(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """An instrument leaves the state, metrics and snapshots: it has settled, and nothing is held or open in it. One of
    which that is not true stays."""

    instrument: InstrumentId
    ts_recv: int


class ReportKind(Enum):
    """What is reported of an order."""

    SENT = "sent"
    """The bytes go to the network next; `detail` is their SHA-256. In the journal before the first byte leaves."""
    NOT_SENT = "not_sent"
    """Proved that no byte reached the venue; the order has ended."""
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    CANCEL_PENDING = "cancel_pending"
    """The venue has taken the cancel and has not carried it out yet: the order can still trade."""
    CANCEL_REFUSED = "cancel_refused"
    """The venue did not cancel. `code` `not_found` proves nothing about the order's end by itself."""
    AMENDED = "amended"
    AMEND_REFUSED = "amend_refused"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    """Ambiguous answer: time-out, reset, 5xx, garbled. The order keeps its exposure and is looked up."""
    NEVER_ARRIVED = "never_arrived"
    """Looked up after the venue's read lag and not found: the venue never accepted it."""
    FILLS_MISSING = "fills_missing"
    """Asked for often enough, the venue does not list fills that it states: the order's end counts without them."""

    __hash__ = object.__hash__  # by identity: the one of `Enum` is a call in Python, and reports are told apart by it


class OrderReport(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """One fact about an own order, from an answer, a stream or a look-up.

    `filled`, `size` (total) and `price` are given when the source states them. `cancelled_size` is never needed:
    only an order's fills say what traded.
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
    `client_order_id` is empty where the venue gives none. `is_cancelling`: open, with a cancel under way at the venue.
    `cost` (price times size of what is filled) and `fees` are in the instrument's money, None where it states none.
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
    is_cancelling: bool = False
    cost: Money | None = None
    fees: Money | None = None


class FillSource(Enum):
    """What shows a fill."""

    LISTED = "listed"
    """The venue reports or lists it."""
    INFERRED_ORDER = "inferred_order"
    """The order states more filled than is booked, at a venue that lists no fills."""
    INFERRED_POSITION = "inferred_position"
    """The position changed, at a venue that does not list the fills of resting orders."""


class Fill(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """A trade of ours. `(venue, fill_id)` is unique: the same fill seen twice is booked once.

    `client_order_id` may be empty when the source does not give it; the order is then found by `venue_order_id`. `side`
    is ours. `fee` is what we pay (negative = rebate): in the instrument's money, or, where `fee_currency` names another
    currency than the quote's, scaled by `fee_decimals`. `cost` is the exact price times size where the price is an
    average that lies off the grid; None means that they multiply to it.
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
    cost: Money | None = None
    fee_currency: str = ""
    fee_decimals: int = 0
    source: FillSource = FillSource.LISTED


class FillVoided(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """The venue took a fill back (bust, failed settlement): it is reversed exactly once."""

    venue: str
    fill_id: str
    ts_recv: int
    ts_venue: int = 0
    reason: str = ""


class PositionReport(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """The venue's view of the account's net position (long > 0): compared with ours, never copied over it. Of a
    perpetual also the average entry price, the mark, the price of liquidation, the margin kept for it and the leverage,
    each None where the venue does not say."""

    venue: str
    instrument: InstrumentId
    size: Size
    ts_recv: int
    ts_venue: int = 0
    entry: Price | None = None
    mark: Price | None = None
    liquidation: Price | None = None
    margin: Money | None = None
    leverage: int | None = None


class BalanceReport(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """The venue's view of the account's cash: `amount` scaled by `decimals`, and of it what is `available` for orders
    and what open orders have `locked`, None where the venue does not say."""

    venue: str
    currency: str
    amount: int
    decimals: int
    ts_recv: int
    available: int | None = None
    locked: int | None = None


class CashFlowKind(Enum):
    """Why cash came or went without a trade."""

    FUNDING = "funding"
    FEE = "fee"
    REBATE = "rebate"
    TRANSFER = "transfer"
    LIQUIDATION = "liquidation"


class CashFlow(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """Cash that came (`amount` above 0) or went without a trade of ours, scaled by `decimals`. `(venue, flow_id)` is
    unique: the same flow seen twice counts once. `instrument` is empty where it belongs to none."""

    venue: str
    flow_id: str
    kind: CashFlowKind
    currency: str
    amount: int
    decimals: int
    ts_venue: int
    ts_recv: int
    instrument: InstrumentId = InstrumentId("")
    detail: str = ""


class TradingState(Enum):
    """What may leave: everything, reducing orders and cancels, cancels only."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"

    @property
    def strictness(self) -> int:
        """A rank to compare states by: 0 for ACTIVE, 1 for REDUCING, 2 for HALTED."""
        return _STRICTNESS[self]


_STRICTNESS = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}


class Scope(Enum):
    """What a trading state is set for."""

    GLOBAL = "global"
    VENUE = "venue"
    INSTRUMENT = "instrument"
    STRATEGY = "strategy"


class TradingStateChanged(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """A trading state is set: `by` operator, kernel, reconciliation or recovery (empty = not known). Durable; the
    strictest scope wins. `is_cancelling` also cancels every order that is open in the scope. `until_ns`: the wall time,
    in nanoseconds, at which it ends by itself, 0 for never."""

    scope: Scope
    target: str
    state: TradingState
    reason: str
    ts_recv: int
    by: str = ""
    is_cancelling: bool = False
    until_ns: int = 0


class StrategyQuarantined(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """A strategy failed too often: it gets no more events, its intents are refused and its orders are cancelled."""

    strategy: str
    reason: str
    ts_recv: int


class StrategySaved(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """What a strategy keeps for its next start: its own bytes, at most 1 MiB; the newest replace the older."""

    strategy: str
    state: bytes
    ts_recv: int = 0


class ShutdownRequested(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """The daemon stops: no new orders from here on, and what is open is cancelled."""

    reason: str
    ts_recv: int


class OrderAdopted(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """An order found at the venue that we did not know is given to a strategy. An empty `strategy` stands for
    none: the order stays external."""

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


class CancelRequested(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """An operator wants one of our orders cancelled. The kernel does it in the name of the order's strategy; an order
    that is not known or has ended is left alone."""

    venue: str
    client_order_id: str
    reason: str
    ts_recv: int


class CancelAllRequested(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """An operator wants every order of ours cancelled that is open in a scope; `target` as in `TradingStateChanged`.
    The kernel asks by one request where the venue takes it and nothing else would end by it."""

    scope: Scope
    target: str
    reason: str
    ts_recv: int


class ExternalOrderIgnored(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="OrphanIgnored", array_like=True):
    """An operator leaves an open order at the venue that is not ours where it is, and it is not reported again.
    Durable; ends when the order is adopted."""

    venue: str
    venue_order_id: str
    reason: str
    ts_recv: int


class FundMoveReported(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """A step of funds that leave an account on an operator's word. `reference` is ours, one per move. `status` is
    "requested" before the first byte leaves, then the venue's word, or "refused", "not_sent", "unknown", and "seen"
    once an operator has looked what became of an unknown one; `move_id` is the venue's. `amount` is a decimal in units
    of `asset`; `chain_id` 0 for none. `digest` is what it can be found again by (`SignedMove`)."""

    venue: str
    reference: str
    verb: str
    asset: str
    amount: str
    to: str
    chain_id: int
    status: str
    ts_recv: int
    move_id: str = ""
    detail: str = ""
    digest: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it is not known what became of it."""
        return self.status in ("requested", "unknown")

    @property
    def text(self) -> str:
        """What was to be moved, in words."""
        to = f" to {self.to}" if self.to else ""
        return f"{self.verb} of {self.amount} {self.asset} at {self.venue}{to}"


class LimitChanged(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """A setting of a check has another value from here on. `key` is dotted, as `overrides.kalshi:KX*`; `value` is TOML,
    empty when the configuration's counts again; `configured` is what the configuration had then, in TOML, empty for
    none. Durable; the newest of a check and key counts."""

    check: str
    key: str
    value: str
    configured: str
    reason: str
    ts_recv: int
    by: str = ""


class OrderRequested(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """An operator has an order placed in a strategy's name, to get out of a position. It passes the gate like any
    other."""

    intent: NewOrder
    reason: str
    ts_recv: int


class ControlSaved(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """What a check of the gate keeps for the next run, under a name that it chooses: the newest replace the older."""

    key: str
    state: bytes
    ts_recv: int = 0


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
    | ExternalOrderIgnored
    | CancelRequested
    | InstrumentPurged
    | CashFlow
    | CancelAllRequested
    | FundMoveReported
    | LimitChanged
    | OrderRequested
    | ControlSaved
)
"""Inputs that the journal records, durably."""
