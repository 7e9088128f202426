"""Short ways to write records for tests of the state."""

from __future__ import annotations

import msgspec

from framework.domain.account_events import Fill, OrderAdopted, OrderReport, OrderSnapshot, ReportKind
from framework.domain.instruments import Instrument, InstrumentId, InstrumentKind, TickBand, instrument_id
from framework.domain.intents import AmendOrder, CancelAll, CancelOrder, NewOrder
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Order, Side, TimeInForce
from framework.domain.rate_limits import RequestKind
from framework.domain.verdicts import Approved
from framework.state.accounts import AccountRecord, Accounts
from framework.state.change import Change

VENUE = "tide"
MARKET = InstrumentId("tide:A")
INSTRUMENT = Instrument(
    id=MARKET,
    venue=VENUE,
    symbol="A",
    kind=InstrumentKind.BINARY,
    quote_currency="USD",
    price_decimals=2,
    size_decimals=0,
    tick_bands=(TickBand(Price(0), Price(100), Price(1)),),
)
"""A binary market with a tick of one cent and whole contracts."""

CENTS = (0, 10_000, 100)
"""A grid of cents between 0 and 1, in hundredths of a cent."""


def kalshi_market(symbol: str, *bands: tuple[int, int, int]) -> Instrument:
    """A binary market of Kalshi's: a grid of cents unless told; sizes in hundredths of a contract."""
    return Instrument(
        id=instrument_id("kalshi", symbol),
        venue="kalshi",
        symbol=symbol,
        kind=InstrumentKind.BINARY,
        quote_currency="USD",
        price_decimals=4,
        size_decimals=2,
        tick_bands=tuple(TickBand(Price(low), Price(high), Price(step)) for low, high, step in bands or [CENTS]),
    )


def new(
    name: str = "c1", *, side: Side = Side.BUY, price: int = 50, size: int = 10, strategy: str = "maker"
) -> Approved:
    """An approved new order."""
    intent = NewOrder(strategy=strategy, instrument=MARKET, side=side, price=Price(price), size=Size(size))
    return Approved(intent=intent, venue=VENUE, client_order_id=name, request_kind=RequestKind.NEW, ts_ns=1)


def amend(name: str = "c1", *, price: int = 50, size: int = 10) -> Approved:
    """An approved amend."""
    intent = AmendOrder(strategy="maker", client_order_id=name, price=Price(price), size=Size(size))
    return Approved(intent=intent, venue=VENUE, client_order_id=name, request_kind=RequestKind.AMEND, ts_ns=1)


def cancel(name: str = "c1") -> Approved:
    """An approved cancel."""
    intent = CancelOrder(strategy="maker", client_order_id=name)
    return Approved(intent=intent, venue=VENUE, client_order_id=name, request_kind=RequestKind.CANCEL, ts_ns=1)


def cancel_all() -> Approved:
    """An approved cancel of everything."""
    intent = CancelAll(strategy="", venue=VENUE)
    return Approved(intent=intent, venue=VENUE, client_order_id="", request_kind=RequestKind.CANCEL, ts_ns=1)


def report(
    kind: ReportKind,
    name: str = "c1",
    *,
    at: int = 10,
    venue_order_id: str = "",
    filled: int | None = None,
    size: int | None = None,
    price: int | None = None,
    code: str = "",
    ts_venue: int = 0,
) -> OrderReport:
    """A report received at `at`."""
    return OrderReport(
        venue=VENUE,
        client_order_id=name,
        kind=kind,
        ts_recv=at,
        ts_venue=ts_venue,
        venue_order_id=venue_order_id,
        filled=None if filled is None else Size(filled),
        size=None if size is None else Size(size),
        price=None if price is None else Price(price),
        code=code,
    )


def listed(
    name: str = "c1",
    *,
    is_open: bool = True,
    filled: int = 0,
    size: int = 10,
    price: int = 50,
    at: int = 10,
    venue_order_id: str = "v1",
    side: Side = Side.BUY,
    ts_venue: int = 0,
    instrument: InstrumentId = MARKET,
) -> OrderSnapshot:
    """An order as the venue lists it, received at `at`."""
    return OrderSnapshot(
        venue=venue_of(instrument),
        venue_order_id=venue_order_id,
        client_order_id=name,
        instrument=instrument,
        side=side,
        price=Price(price),
        size=Size(size),
        filled=Size(filled),
        is_open=is_open,
        ts_recv=at,
        ts_venue=ts_venue,
    )


def fill(
    fill_id: str = "f1",
    *,
    name: str = "c1",
    venue_order_id: str = "v1",
    side: Side = Side.BUY,
    price: int = 50,
    size: int = 10,
    fee: int = 0,
    at: int = 10,
    instrument: InstrumentId = MARKET,
) -> Fill:
    """A fill at the venue's time `at`."""
    return Fill(
        venue=venue_of(instrument),
        instrument=instrument,
        fill_id=fill_id,
        venue_order_id=venue_order_id,
        client_order_id=name,
        side=side,
        price=Price(price),
        size=Size(size),
        fee=Money(fee),
        is_maker=True,
        ts_venue=at,
        ts_recv=at,
    )


def adopted(
    *, strategy: str = "", client_order_id: str = "", venue_order_id: str = "v1", filled: int = 0, at: int = 5
) -> OrderAdopted:
    """An order that an operator took over at `at`."""
    return OrderAdopted(
        venue=VENUE,
        venue_order_id=venue_order_id,
        client_order_id=client_order_id,
        strategy=strategy,
        instrument=MARKET,
        side=Side.BUY,
        price=Price(50),
        size=Size(10),
        filled=Size(filled),
        time_in_force=TimeInForce.GOOD_TILL_CANCELLED,
        ts_recv=at,
    )


def order_of(intent: NewOrder, name: str = "c1", **facts: object) -> Order:
    """The order that an intent became, with what is known of it."""
    order = Order(
        client_order_id=name,
        venue=venue_of(intent.instrument),
        strategy=intent.strategy,
        instrument=intent.instrument,
        side=intent.side,
        price=intent.price,
        size=intent.size,
    )
    return msgspec.structs.replace(order, **facts)


def order(side: Side = Side.BUY) -> Order:
    """Ten contracts at 50 that nothing is known of."""
    return order_of(NewOrder(strategy="maker", instrument=MARKET, side=side, price=Price(50), size=Size(10)))


def venue_of(instrument: InstrumentId) -> str:
    """The venue that an instrument's id names."""
    return instrument.partition(":")[0]


def apply(accounts: Accounts, *records: AccountRecord) -> Change:
    """Apply all and return the last change."""
    change = Change()
    for now_ns, record in enumerate(records, 1):
        change = accounts.apply(record, now_ns)
    return change


def the_order(accounts: Accounts) -> Order:
    """The order c1."""
    order = accounts.orders.get("c1")
    assert order is not None
    return order
