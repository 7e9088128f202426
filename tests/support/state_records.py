"""Short ways to write records for tests of the state."""

from __future__ import annotations

from framework.domain.account_events import Fill, OrderReport, OrderSnapshot, ReportKind
from framework.domain.instruments import InstrumentId
from framework.domain.intents import AmendOrder, CancelAll, CancelOrder, NewOrder
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Order, Side
from framework.domain.rate_limits import RequestKind
from framework.domain.verdicts import Approved
from framework.state.accounts import AccountRecord, Accounts
from framework.state.change import Change

VENUE = "tide"
MARKET = InstrumentId("tide:A")


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
) -> OrderSnapshot:
    """An order as the venue lists it, received at `at`."""
    return OrderSnapshot(
        venue=VENUE,
        venue_order_id=venue_order_id,
        client_order_id=name,
        instrument=MARKET,
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
        venue=VENUE,
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
