"""The words in which a venue, its orders and what it tells of them are modelled."""

from __future__ import annotations

from enum import Enum

import msgspec

from framework.domain.account_events import Fill, FillVoided, InstrumentSettled, OrderReport, OrderSnapshot
from framework.domain.instruments import InstrumentId
from framework.domain.intents import AmendOrder, CancelOrder, NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side
from framework.domain.rate_limits import RequestKind
from framework.domain.verdicts import Approved

VENUE = "tide"
MARKETS = (InstrumentId("tide:A"), InstrumentId("tide:B"))
TICK_NS = 1_000

Told = OrderReport | OrderSnapshot | Fill | FillVoided | InstrumentSettled


class End(Enum):
    """How an order ended at the venue."""

    NONE = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Ask(Enum):
    """What a request asks for."""

    NEW = "new"
    CANCEL = "cancel"
    AMEND = "amend"


class Request(msgspec.Struct, kw_only=True):
    """One request on its way. `decided_at` is the venue's time when it took it up, 0 while it has not;
    `is_answered` whether the sender has heard, or given up to hear, what became of it."""

    number: int
    ask: Ask
    name: str
    strategy: str
    market: InstrumentId
    side: Side
    price: int
    size: int
    decided_at: int = 0
    is_granted: bool = False
    is_lost: bool = False
    is_answered: bool = False


class Telling(msgspec.Struct, kw_only=True):
    """Something that the venue says. `name` is the order that it is about, by its client id or else the venue's;
    `request` the one that it answers."""

    record: Told
    name: str
    request: Request | None = None


class Trade(msgspec.Struct):
    """A trade of an order. A voided one was taken back. A hidden one is told by nobody until it is listed late: before
    that it may be inferred from what the venue states of the order."""

    fill_id: str
    size: int
    price: int
    fee: int
    at: int
    is_voided: bool = False
    is_hidden: bool = False
    is_inferred: bool = False


class Version(msgspec.Struct, frozen=True):
    """An order as it stood from a time on."""

    at: int
    price: int
    size: int
    traded: int
    end: End
    is_cancelling: bool = False


class VenueOrder(msgspec.Struct, kw_only=True):
    """An order of the account at the venue. `strategy` is empty for one that a person placed by hand."""

    name: str
    venue_order_id: str
    strategy: str
    market: InstrumentId
    side: Side
    price: int
    size: int
    end: End = End.NONE
    is_cancelling: bool = False
    trades: list[Trade] = []
    versions: list[Version] = []

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        return self.end is End.NONE

    @property
    def traded(self) -> int:
        """What traded, trades that were taken back included."""
        return sum(trade.size for trade in self.trades)

    @property
    def filled(self) -> int:
        """What traded and stands."""
        return sum(trade.size for trade in self.trades if not trade.is_voided)


def approved_of(request: Request, *, now_ns: int) -> Approved:
    """The gate's yes to a request."""
    intent: NewOrder | AmendOrder | CancelOrder
    price, size = Price(request.price), Size(request.size)
    if request.ask is Ask.NEW:
        intent = NewOrder(
            strategy=request.strategy, instrument=request.market, side=request.side, price=price, size=size
        )
    elif request.ask is Ask.AMEND:
        intent = AmendOrder(strategy=request.strategy, client_order_id=request.name, price=price, size=size)
    else:
        intent = CancelOrder(strategy=request.strategy, client_order_id=request.name)
    kind = RequestKind[request.ask.name]
    return Approved(intent=intent, venue=VENUE, client_order_id=request.name, request_kind=kind, ts_ns=now_ns)
