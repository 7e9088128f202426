"""A practice venue: drives a strategy by hand in a unit test, through the real gate, without loop or network.

    venue = PracticeVenue(Gate)
    desk = venue.desk("mine")
    strategy = Mine("mine", MySettings(), desk)
    strategy.on_book(venue.quote(bid="0.40", ask="0.44"))
    assert venue.intents == [...]

It takes every approved order as a kind exchange would: at once, and it fills only when told to. The gate's class is
handed in, because nothing in `framework` knows it; give it checks to see your strategy meet your limits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import count
from typing import Protocol

from framework.domain.account_events import Fill, InstrumentDefined, OrderReport, ReportKind
from framework.domain.instruments import Instrument, InstrumentId, InstrumentKind, TickBand
from framework.domain.intents import AmendOrder, CancelAll, CancelOrder, Intent, NewOrder
from framework.domain.market_events import BookSnapshot, ConnectorStatus
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Order
from framework.domain.ports import Check
from framework.domain.rate_limits import RequestKind
from framework.domain.verdicts import Approved, Refused, Verdict
from framework.domain.views import BookView, BudgetView, PositionView, RiskView
from framework.state.accounts import Accounts
from framework.state.books import Books
from framework.state.risk_view import View

VENUE = "practice"
INSTRUMENT = Instrument(
    id=InstrumentId(f"{VENUE}:TEST"),
    venue=VENUE,
    symbol="TEST",
    kind=InstrumentKind.BINARY,
    price_decimals=4,
    size_decimals=2,
    tick_bands=(TickBand(Price(100), Price(9_900), Price(100)),),
)
"""What is traded unless another is given: a binary market with a tick of one cent."""

_START_NS = 1_700_000_000_000_000_000


class Judge(Protocol):
    """The gate, as far as it is needed here."""

    def judge(self, intent: object, view: RiskView, /) -> Verdict:
        """Approve or refuse."""
        ...


class GateClass(Protocol):
    """`risk.gate.Gate`: how it is made."""

    def __call__(self, checks: Sequence[tuple[str, Check]], *, next_client_order_id: Callable[[], str]) -> Judge:
        """Make a gate."""
        ...


class PlentyBudget:
    """A rate limit that is never reached. Implements `BudgetView`."""

    def available(self, _kind: RequestKind, _strategy: str, /) -> int:
        """Always a thousand."""
        return 1_000

    def wait_ns(self, _kind: RequestKind, _strategy: str, /) -> int:
        """Never a wait."""
        return 0


class PracticeVenue:
    """A venue that does as it is told. `intents` and `refusals` are what strategies asked for, oldest first.

    Time stands still between calls of `advance`.
    """

    def __init__(
        self, gate: GateClass, *, checks: Sequence[tuple[str, Check]] = (), instrument: Instrument = INSTRUMENT
    ) -> None:
        self.instrument = instrument
        self.intents: list[Intent] = []
        self.refusals: list[Refused] = []
        self.accounts = Accounts()
        self.books = Books()
        self.now_ns = _START_NS
        self.monotonic_ns = 1
        self._numbers = count(1)
        self.budgets: dict[str, BudgetView] = {instrument.venue: PlentyBudget()}
        self.view = View(books=self.books, accounts=self.accounts, budgets=self.budgets)
        self._gate = gate(checks, next_client_order_id=lambda: f"practice-{next(self._numbers)}")
        self.advance(ms=0)
        self.accounts.apply(InstrumentDefined(instrument, self.now_ns), self.now_ns)
        self.books.apply(ConnectorStatus(instrument.venue, True, "", self.now_ns), self.monotonic_ns)

    def desk(self, strategy: str) -> PracticeDesk:
        """The desk to hand to the strategy of that name."""
        return PracticeDesk(strategy, self)

    def advance(self, *, ms: int) -> None:
        """Let time pass."""
        self.now_ns += ms * 1_000_000
        self.monotonic_ns += ms * 1_000_000
        self.view.now_ns, self.view.monotonic_ns = self.now_ns, self.monotonic_ns

    def quote(self, *, bid: str = "", ask: str = "", size: str = "100") -> BookView:
        """Make the market: one level a side, "" for none. Returns the book, to hand to `on_book`."""
        amount = self.instrument.size(Decimal(size))
        bids = ((self.instrument.price(bid), amount),) if bid else ()
        asks = ((self.instrument.price(ask), amount),) if ask else ()
        event = BookSnapshot(self.instrument.id, self.now_ns, self.now_ns, bids, asks)
        self.books.apply(event, self.monotonic_ns)
        return self.books.of(self.instrument.id)

    def fill(self, client_order_id: str, *, size: Size | None = None) -> tuple[Fill, Order]:
        """Trade an order, wholly or in part: `strategy.on_fill(*venue.fill(id))`. Raises `KeyError` when unknown."""
        order = self.accounts.orders.get(client_order_id)
        if order is None:
            raise KeyError(f"client_order_id: {client_order_id!r} was never approved here")
        fill = Fill(
            venue=order.venue,
            instrument=order.instrument,
            fill_id=f"fill-{next(self._numbers)}",
            venue_order_id=order.venue_order_id,
            client_order_id=client_order_id,
            side=order.side,
            price=order.price,
            size=order.remaining if size is None else size,
            fee=Money(0),
            is_maker=True,
            ts_venue=self.now_ns,
            ts_recv=self.now_ns,
        )
        self.accounts.apply(fill, self.now_ns)
        return fill, self.accounts.orders.get(client_order_id) or order

    def submit(self, intent: Intent) -> Verdict:
        """Judge an intent; what is approved takes effect at once."""
        self.intents.append(intent)
        verdict = self._gate.judge(intent, self.view)
        self.accounts.apply(verdict, self.now_ns)
        if isinstance(verdict, Refused):
            self.refusals.append(verdict)
        else:
            self._answer(verdict)
        return verdict

    def _answer(self, approved: Approved) -> None:
        intent = approved.intent
        if isinstance(intent, CancelAll):
            for order in self.accounts.orders.open(venue=intent.venue):
                self._report(order.client_order_id, ReportKind.CANCELLED)
        elif isinstance(intent, NewOrder):
            self._report(approved.client_order_id, ReportKind.SENT)
            self._report(
                approved.client_order_id, ReportKind.ACCEPTED, venue_order_id=f"venue-{approved.client_order_id}"
            )
        elif isinstance(intent, AmendOrder):
            self._report(approved.client_order_id, ReportKind.AMENDED, price=intent.price, size=intent.size)
        elif isinstance(intent, CancelOrder):
            self._report(approved.client_order_id, ReportKind.CANCELLED)

    def _report(
        self,
        client_order_id: str,
        kind: ReportKind,
        *,
        venue_order_id: str = "",
        price: Price | None = None,
        size: Size | None = None,
    ) -> None:
        report = OrderReport(
            venue=self.instrument.venue,
            client_order_id=client_order_id,
            kind=kind,
            ts_recv=self.now_ns,
            ts_venue=self.now_ns,
            venue_order_id=venue_order_id,
            price=price,
            size=size,
        )
        self.accounts.apply(report, self.now_ns)


class PracticeDesk:
    """A strategy's desk at a practice venue; implements `framework.domain.ports.Desk`.

    `timers` are the timers set, by name, with their delay in milliseconds; `lines` is what was logged.
    """

    def __init__(self, strategy: str, venue: PracticeVenue) -> None:
        self._strategy = strategy
        self._venue = venue
        self.timers: dict[str, int] = {}
        self.lines: list[tuple[str, dict[str, object]]] = []

    @property
    def now_ns(self) -> int:
        """Wall time, which stands still until advanced."""
        return self._venue.now_ns

    @property
    def monotonic_ns(self) -> int:
        """Monotonic time, which stands still until advanced."""
        return self._venue.monotonic_ns

    @property
    def instruments(self) -> tuple[InstrumentId, ...]:
        """The venue's only instrument."""
        return (self._venue.instrument.id,)

    def instrument(self, instrument: InstrumentId, /) -> Instrument:
        """The instrument; `KeyError` for any other."""
        return self._venue.accounts.instruments[instrument]

    def book(self, instrument: InstrumentId, /) -> BookView:
        """The book as last quoted."""
        return self._venue.books.of(instrument)

    def position(self, instrument: InstrumentId, /) -> PositionView:
        """What the strategy's fills come to."""
        return self._venue.accounts.positions.of_strategy(self._strategy, instrument)

    def order(self, client_order_id: str, /) -> Order | None:
        """One of the strategy's orders."""
        order = self._venue.accounts.orders.get(client_order_id)
        return order if order is not None and order.strategy == self._strategy else None

    def orders(self, instrument: InstrumentId | None = None, /) -> tuple[Order, ...]:
        """The strategy's open orders, oldest first."""
        return self._venue.accounts.orders.open(strategy=self._strategy, instrument=instrument)

    def budget(self, venue: str, /) -> BudgetView | None:
        """Plenty, unless the test put another one into `venue.budgets`."""
        return self._venue.budgets.get(venue)

    def submit(self, intent: Intent, /) -> Verdict:
        """Have the intent judged and, if approved, carried out."""
        return self._venue.submit(intent)

    def set_timer(self, name: str, *, after_ms: int) -> None:
        """Remember it; hand its name to `on_timer` when the test wants it to fire."""
        self.timers[name] = after_ms

    def log(self, message: str, **fields: object) -> None:
        """Remember it."""
        self.lines.append((message, fields))
