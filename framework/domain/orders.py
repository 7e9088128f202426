"""Orders: side, time in force and status as closed lists, and what is known of one order."""

from __future__ import annotations

from enum import Enum

import msgspec

from framework.domain.instruments import Instrument, InstrumentId, InstrumentKind
from framework.domain.numbers import Money, Price, Size


class Side(Enum):
    """BUY is a bid, SELL an ask. On a binary market both speak of YES: buying NO at q is selling YES at 1 - q."""

    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> Side:
        """The side that trades against this one: SELL for BUY, BUY for SELL."""
        return Side.SELL if self is Side.BUY else Side.BUY

    @property
    def sign(self) -> int:
        """+1 for BUY, -1 for SELL: a fill changes the signed position by `sign * size`."""
        return 1 if self is Side.BUY else -1


class Outcome(Enum):
    """The two contracts of a binary market."""

    YES = "yes"
    NO = "no"


class TimeInForce(Enum):
    """How long an order may rest."""

    GOOD_TILL_CANCELLED = "gtc"
    IMMEDIATE_OR_CANCEL = "ioc"
    FILL_OR_KILL = "fok"


class OrderKind(Enum):
    """How an order takes its price. Every order has a worst acceptable price; a market order is sent without it where
    the venue takes none."""

    LIMIT = "limit"
    MARKET = "market"


class TriggerKind(Enum):
    """When a triggered order goes to the book: STOP when the price moves against the side that it protects (up for a
    BUY, down for a SELL), TAKE_PROFIT when it moves the other way."""

    STOP = "stop"
    TAKE_PROFIT = "take_profit"


class TriggerBy(Enum):
    """Which price is watched: of the last trade, or the venue's mark price."""

    LAST = "last"
    MARK = "mark"


class Trigger(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The condition on which an order goes to the book; until then it rests at the venue and can't trade. `price` is
    scaled by the instrument's price_decimals."""

    kind: TriggerKind
    price: Price
    by: TriggerBy = TriggerBy.LAST


class OrderStatus(Enum):
    """What is known of an order. The allowed steps between these are a table: `framework.state.orders.transitions`."""

    RECORDED = "recorded"
    """Approved and in the journal; no byte of it has left."""
    SENT = "sent"
    """Bytes may have left; no answer yet."""
    WORKING = "working"
    """The venue has it and it may trade."""
    PARTIALLY_FILLED = "partially_filled"
    CANCEL_REQUESTED = "cancel_requested"
    AMEND_REQUESTED = "amend_requested"
    UNKNOWN = "unknown"
    """The venue may or may not have it. Only what the venue shows of it ends this; until then its exposure stays
    reserved."""
    ENDING = "ending"
    """The venue says that it has ended, and some of what it says was filled is not booked yet. It can't trade, and what
    is missing of its fills stays reserved. It has ended here once they are booked."""
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    """Refused by the venue, or never sent."""

    __hash__ = object.__hash__  # by identity: the one of `Enum` is a call in Python, and orders look up by it

    @property
    def is_final(self) -> bool:
        """Whether the order has ended and the fills that the venue states are booked. A fill that comes late is booked
        all the same: money is never dropped."""
        return self in _FINAL

    @property
    def may_trade(self) -> bool:
        """Whether the venue may still trade the order, as far as is known: every status but the final ones and
        ENDING."""
        return self not in _OVER

    @property
    def is_at_venue(self) -> bool:
        """Whether the venue is known to hold the order: it has confirmed it and it has not ended."""
        return self in _AT_VENUE


_FINAL = frozenset({OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED})
_OVER = _FINAL | {OrderStatus.ENDING}
_AT_VENUE = frozenset(
    {
        OrderStatus.WORKING,
        OrderStatus.PARTIALLY_FILLED,
        OrderStatus.CANCEL_REQUESTED,
        OrderStatus.AMEND_REQUESTED,
    }
)


class Order(msgspec.Struct, kw_only=True):
    """One order as far as it is known. Only `framework.state` changes it; strategies and checks read it.

    Prices and sizes are scaled by the instrument's decimals, fees by its `money_decimals`; times are wall nanoseconds
    (0 = none). `size` is the total that may trade (filled part included), `filled` the sum of its distinct fills.
    `amend_price` and `amend_size` are what an unanswered amend asks for (exposure counts the worse of both). `sent_as`
    is the SHA-256 of the bytes that were sent last for the new order, empty before: a venue without client ids may show
    what it received. `quote_amount` is in the instrument's money, 0 for an order by size.
    """

    client_order_id: str
    venue: str
    strategy: str
    instrument: InstrumentId
    side: Side
    price: Price
    size: Size
    time_in_force: TimeInForce = TimeInForce.GOOD_TILL_CANCELLED
    post_only: bool = False
    reduce_only: bool = False
    expires_ns: int = 0
    status: OrderStatus = OrderStatus.RECORDED
    filled: Size = Size(0)
    fees: Money = Money(0)
    venue_order_id: str = ""
    created_ns: int = 0
    updated_ns: int = 0
    reason: str = ""
    cancel_wanted: bool = False
    amend_price: Price | None = None
    amend_size: Size | None = None
    kind: OrderKind = OrderKind.LIMIT
    trigger: Trigger | None = None
    quote_amount: Money = Money(0)
    sent_as: str = ""

    @property
    def remaining(self) -> Size:
        """The size (scaled) that may still trade: never negative, 0 once it can't."""
        return Size(max(self.size - self.filled, 0)) if self.status.may_trade else Size(0)

    @property
    def remaining_worst(self) -> Size:
        """The most (scaled) that may still trade, whether an unanswered amend succeeds or fails: risk counts this
        one."""
        if not self.status.may_trade:
            return Size(0)
        size = self.size if self.amend_size is None else max(self.size, self.amend_size)
        return Size(max(size - self.filled, 0))

    @property
    def is_open(self) -> bool:
        """Whether more may become of it, as far as is known: every status that is not final, UNKNOWN and ENDING
        included."""
        return not self.status.is_final


def paid_in(instrument: Instrument, side: Side) -> str:
    """The currency that an order takes from the account: of a sale at a spot market the base currency, else the one in
    which it is paid or its margin is kept."""
    if instrument.kind is InstrumentKind.SPOT and side is Side.SELL:
        return instrument.base_currency
    return instrument.settle_currency or instrument.quote_currency


def value_of(instrument: Instrument, side: Side, price: int, size: int) -> int:
    """What so much of an order (both scaled) takes from the account at most, before fees: on a binary market what can
    be lost, of a perpetual all of its value, of which a part is kept as margin. Scaled by the money decimals; of a sale
    at a spot market it is the size, scaled by the size decimals."""
    if side is Side.SELL and instrument.kind is InstrumentKind.SPOT:
        return size
    if side is Side.SELL and instrument.kind is InstrumentKind.BINARY:
        return (instrument.unit - price) * size
    return price * size
