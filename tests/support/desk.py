"""A desk that records: strategies are tested by calling their hooks and looking at what they asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.intents import AmendOrder, CancelOrder, Intent, NewOrder
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Order, OrderStatus, Side
from framework.domain.rate_limits import RequestKind
from framework.domain.terms import UNDECLARED, VenueTerms
from framework.domain.verdicts import Approved, RefusalCode, Refused, Verdict
from framework.domain.views import BookView, BudgetView, PositionView, StrategyExposure
from tests.support.state_records import order_of

Levels = Sequence[tuple[int, int]]


class QuotedBook:
    """A book as given: levels best first. Implements `BookView`."""

    def __init__(
        self, instrument: InstrumentId, bids: Levels = (), asks: Levels = (), *, is_fresh: bool = True, age: int = 0
    ) -> None:
        self.instrument = instrument
        self.bids = [(Price(price), Size(size)) for price, size in bids]
        self.asks = [(Price(price), Size(size)) for price, size in asks]
        self.is_fresh = is_fresh
        self.stale_reason = "" if is_fresh else "gap"
        self.ts_venue = 1
        self.age = age

    @property
    def bid(self) -> Price | None:
        return self.bids[0][0] if self.bids else None

    @property
    def ask(self) -> Price | None:
        return self.asks[0][0] if self.asks else None

    @property
    def bid_size(self) -> Size:
        return self.bids[0][1] if self.bids else Size(0)

    @property
    def ask_size(self) -> Size:
        return self.asks[0][1] if self.asks else Size(0)

    @property
    def is_two_sided(self) -> bool:
        return bool(self.bids and self.asks and self.bids[0][0] < self.asks[0][0])

    @property
    def mid_twice(self) -> int | None:
        return self.bids[0][0] + self.asks[0][0] if self.is_two_sided else None

    @property
    def microprice(self) -> Price | None:
        if not self.is_two_sided:
            return None
        (bid, bid_size), (ask, ask_size) = self.bids[0], self.asks[0]
        return Price(round((bid * ask_size + ask * bid_size) / (bid_size + ask_size)))

    def age_ns(self, monotonic_ns: int) -> int:
        return self.age

    def depth(self, side: Side, levels: int) -> Sequence[tuple[Price, Size]]:
        return (self.bids if side is Side.BUY else self.asks)[:levels]


class HeldPosition(msgspec.Struct):
    """A position as given. Implements `PositionView`."""

    size: Size = Size(0)
    cost: Money = Money(0)
    realised: Money = Money(0)
    fees: Money = Money(0)


class CountedBudget(msgspec.Struct):
    """A budget as given: how many requests of each kind are left. Implements `BudgetView`."""

    left: dict[RequestKind, int]
    wait: int = 0

    def available(self, kind: RequestKind, strategy: str, /) -> int:
        return self.left.get(kind, 0)

    def wait_ns(self, kind: RequestKind, strategy: str, /) -> int:
        return 0 if self.left.get(kind, 0) else self.wait


class RecordingDesk:
    """Implements `Desk`. Intents are approved and kept in `intents`; those for which `refuse` answers a code are
    refused. Orders change only as far as the request itself goes; `settle` says what the venue did."""

    def __init__(self, instruments: Sequence[Instrument], *, budgets: dict[str, BudgetView] | None = None) -> None:
        self.saved = b""
        self.definitions = {each.id: each for each in instruments}
        self.instruments: tuple[InstrumentId, ...] = tuple(self.definitions)
        self.books: dict[InstrumentId, QuotedBook] = {}
        self.positions: dict[InstrumentId, HeldPosition] = {}
        self.known: dict[str, Order] = {}
        self.budgets: dict[str, BudgetView] = {} if budgets is None else budgets
        self.intents: list[Intent] = []
        self.refuse: Callable[[Intent], RefusalCode | None] = lambda intent: None
        self.venue_terms = UNDECLARED
        self.timers: dict[str, int] = {}
        self.lines: list[tuple[str, dict[str, object]]] = []
        self.now_ns = 1_700_000_000_000_000_000
        self.monotonic_ns = 1_000_000_000

    def terms(self, venue: str, /) -> VenueTerms:
        return self.venue_terms

    def instrument(self, instrument: InstrumentId, /) -> Instrument:
        return self.definitions[instrument]

    def book(self, instrument: InstrumentId, /) -> BookView:
        return self.books.get(instrument) or QuotedBook(instrument, is_fresh=False)

    def position(self, instrument: InstrumentId, /) -> PositionView:
        return self.positions.get(instrument) or HeldPosition()

    def exposure(self, instrument: InstrumentId, /) -> StrategyExposure:
        left = {side: Size(sum(o.remaining for o in self.orders(instrument) if o.side is side)) for side in Side}
        return StrategyExposure(
            position=self.position(instrument).size,
            open_buy=left[Side.BUY],
            open_sell=left[Side.SELL],
            in_flight_buy=Size(0),
            in_flight_sell=Size(0),
        )

    def order(self, client_order_id: str, /) -> Order | None:
        return self.known.get(client_order_id)

    def orders(self, instrument: InstrumentId | None = None, /) -> tuple[Order, ...]:
        return tuple(o for o in self.known.values() if o.is_open and instrument in (None, o.instrument))

    def budget(self, venue: str, /) -> BudgetView | None:
        return self.budgets.get(venue)

    def submit(self, intent: Intent, /) -> Verdict:
        code = self.refuse(intent)
        if code is not None:
            return Refused(intent=intent, code=code, detail="", check="test", ts_ns=self.now_ns)
        self.intents.append(intent)
        if isinstance(intent, NewOrder):
            order = self._record(intent)
        else:
            assert isinstance(intent, AmendOrder | CancelOrder)
            order = self.known[intent.client_order_id]
        if isinstance(intent, AmendOrder):
            order.status, order.amend_price, order.amend_size = OrderStatus.AMEND_REQUESTED, intent.price, intent.size
        if isinstance(intent, CancelOrder):
            order.status, order.cancel_wanted = OrderStatus.CANCEL_REQUESTED, True
        kinds = {NewOrder: RequestKind.NEW, AmendOrder: RequestKind.AMEND, CancelOrder: RequestKind.CANCEL}
        return Approved(
            intent=intent,
            venue=order.venue,
            client_order_id=order.client_order_id,
            request_kind=kinds[type(intent)],
            ts_ns=self.now_ns,
        )

    def save(self, state: bytes, /) -> None:
        self.saved = state

    def set_timer(self, name: str, *, after_ms: int) -> None:
        self.timers[name] = after_ms

    def log(self, message: str, **fields: object) -> None:
        self.lines.append((message, fields))

    def pass_time(self, *, ms: int) -> None:
        self.now_ns += ms * 1_000_000
        self.monotonic_ns += ms * 1_000_000

    def take_intents(self) -> list[Intent]:
        """What was asked for since the last call."""
        intents, self.intents = self.intents, []
        return intents

    def settle(self, client_order_id: str, status: OrderStatus, *, filled: int = 0) -> Order:
        """The venue answered: an amend under way comes true when the order works on."""
        order = self.known[client_order_id]
        if order.amend_price is not None and order.amend_size is not None and not status.is_final:
            order.price, order.size = order.amend_price, order.amend_size
        order.amend_price = order.amend_size = None
        order.status, order.filled = status, Size(order.filled + filled)
        return order

    def _record(self, intent: NewOrder) -> Order:
        venue = self.definitions[intent.instrument].venue
        order = order_of(intent, f"c{len(self.known) + 1}", venue=venue, post_only=intent.post_only)
        self.known[order.client_order_id] = order
        return order
