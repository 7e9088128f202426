"""What the gate looks at, as given: for tests of the gate and its checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from framework.domain.account_events import BalanceReport, Scope, TradingState
from framework.domain.instruments import FeeModel, FeeSchedule, Instrument, InstrumentId, InstrumentKind, TickBand
from framework.domain.intents import NewOrder
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Order, OrderStatus, Side
from framework.domain.terms import UNDECLARED, VenueTerms
from framework.domain.views import BookView, BudgetView, ExposureView, OwnPrice, PositionView, Proposal
from framework.state.own_prices import OwnPrices
from framework.state.positions import Position
from tests.support.desk import QuotedBook
from tests.support.state_records import kalshi_market, order_of

Propose = Callable[..., Proposal]
"""Makes what the gate shows to a check; tests change the terms that matter to them."""

BINARY = msgspec.structs.replace(kalshi_market("KXTIDE-B25"), fees=FeeSchedule(FeeModel.QUADRATIC, "0.07", "0"))
"""A cent grid; sizes in hundredths of a contract."""

SPOT = Instrument(
    id=InstrumentId("coin:BTC-USD"),
    venue="coin",
    symbol="BTC-USD",
    kind=InstrumentKind.SPOT,
    quote_currency="USD",
    price_decimals=2,
    size_decimals=8,
    tick_bands=(TickBand(Price(1), Price(100_000_000_00), Price(1)),),
    lot=Size(1_000),
    size_min=Size(10_000),
    notional_min=Money(1_00 * 10**8),
)
"""Cent grid, lot 0.00001, at least 0.0001 and 1 USD."""


class Exposure(msgspec.Struct):
    """Implements `ExposureView`."""

    position: Size = Size(0)
    open_buy: Size = Size(0)
    open_sell: Size = Size(0)
    open_orders: int = 0


class StaticView(msgspec.Struct, kw_only=True):
    """Implements `RiskView`: everything is a field that a test may set."""

    now_ns: int = 1_700_000_000_000_000_000
    monotonic_ns: int = 10**9
    instruments: dict[str, Instrument] = msgspec.field(default_factory=lambda: {i.id: i for i in (BINARY, SPOT)})
    books: dict[str, BookView] = {}
    orders: dict[str, Order] = {}
    account: Exposure = msgspec.field(default_factory=Exposure)
    own: Exposure = msgspec.field(default_factory=Exposure)
    counts: dict[str, int] = {}
    state: TradingState = TradingState.ACTIVE
    venue_terms: VenueTerms = UNDECLARED
    scopes: frozenset[Scope] = frozenset({Scope.GLOBAL})
    down: tuple[str, ...] = ()
    budgets: dict[str, BudgetView] = {}
    balances: dict[tuple[str, str], BalanceReport] = {}
    taken: dict[tuple[InstrumentId, Side], int] = {}
    leverages: dict[str, int] = {}
    held: dict[tuple[str, InstrumentId], PositionView] = {}
    control_states: dict[str, bytes] = {}
    own_prices: OwnPrices = msgspec.field(default_factory=OwnPrices)

    def instrument(self, instrument: InstrumentId, /) -> Instrument | None:
        return self.instruments.get(instrument)

    def book(self, instrument: InstrumentId, /) -> BookView | None:
        return self.books.get(instrument)

    def order(self, client_order_id: str, /) -> Order | None:
        return self.orders.get(client_order_id)

    def exposure(self, instrument: InstrumentId, /) -> ExposureView:
        return self.account

    def strategy_exposure(self, strategy: str, instrument: InstrumentId, /) -> ExposureView:
        return self.own

    def own_orders_met(self, instrument: InstrumentId, side: Side, price: Price, /) -> Sequence[OwnPrice]:
        return self.own_prices.met_by(instrument, side, price)

    def open_orders(self, *, strategy: str = "", venue: str = "") -> int:
        return self.counts.get(strategy or venue, 0)

    def trading_state(self, *, strategy: str, instrument: InstrumentId, venue: str) -> TradingState:
        return self.state

    def is_set(self, scope: Scope, target: str, state: TradingState, /) -> bool:
        return self.state is state and scope in self.scopes

    def is_connected(self, venue: str, /) -> bool:
        return venue not in self.down

    def budget(self, venue: str, /) -> BudgetView | None:
        return self.budgets.get(venue)

    def terms(self, venue: str, /) -> VenueTerms:
        return self.venue_terms

    def balance(self, venue: str, currency: str, /) -> BalanceReport | None:
        return self.balances.get((venue, currency))

    def funds_taken(self, venue: str, currency: str, /) -> Mapping[tuple[InstrumentId, Side], int]:
        return self.taken

    def positions(self) -> Iterable[tuple[str, InstrumentId]]:
        return self.held.keys()

    def position(self, instrument: InstrumentId, strategy: str = "", /) -> PositionView:
        return self.held.get((strategy, instrument), Position())

    def control_state(self, key: str, /) -> bytes:
        return self.control_states.get(key, b"")

    def leverage(self, instrument: InstrumentId, /) -> int | None:
        return self.leverages.get(instrument)


def new_order(
    instrument: Instrument = BINARY, side: Side = Side.BUY, price: int = 5_000, size: int = 1_000, **terms: object
) -> NewOrder:
    """A sensible new order: by default ten contracts at 0.50."""
    intent = NewOrder(strategy="mm", instrument=instrument.id, side=side, price=Price(price), size=Size(size))
    return msgspec.structs.replace(intent, **terms)


def working_order(instrument: Instrument = BINARY, **facts: object) -> Order:
    """An own order at the venue: by default ten contracts at 0.50, nothing filled."""
    return order_of(new_order(instrument), **{"status": OrderStatus.WORKING, **facts})


def book(bid: int = 4_900, ask: int = 5_100, **facts: bool | int) -> QuotedBook:
    """A book of the binary instrument with ten contracts on each side."""
    return QuotedBook(BINARY.id, [(bid, 1_000)], [(ask, 1_000)], **facts)  # type: ignore[arg-type]
