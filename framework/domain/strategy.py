"""The strategy API: subclass `Strategy`, give it settings, react to events, place orders.

A strategy is plain synchronous code. It is called from the kernel, one event at a time, and must return quickly:
no waiting, no I/O. What it asks for is judged at once; the returned handle says what the gate decided.
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypedDict, TypeVar, Unpack

from framework.domain.account_events import Fill, TradingStateChanged
from framework.domain.instruments import Instrument, InstrumentId, InstrumentKind
from framework.domain.intents import AmendOrder, CancelOrder, NewOrder
from framework.domain.market_events import ConnectorStatus, MarkPrice, TradePrint
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Order, OrderKind, Outcome, Side, TimeInForce, Trigger
from framework.domain.ports import Desk
from framework.domain.verdicts import Refused, Verdict
from framework.domain.views import BookView

SettingsT = TypeVar("SettingsT")


class OrderTerms(TypedDict, total=False):
    """What may be said of a new order beside its side, price and size. `self.desk.terms(venue)` says what of it the
    venue offers; what it does not offer is refused as NOT_OFFERED.

    `time_in_force`: good-till-cancelled unless given; a market order never rests, so it is immediate-or-cancel.
    `post_only`: rejected by the venue where it would trade at once. `reduce_only`: ended by the venue where it would
    open a position. `expires_ns`: wall time at which the venue ends it; `deadline_ns`: not sent later than this wall
    time, since a late order is worse than none (0 = none for both).

    `allow_duplicate`: the order is meant, although instrument, side, price and size may be those of one that the
    strategy has placed a moment before.

    `trigger`: the order goes to the book when this condition is met; it counts in the exposure from its approval.
    `quote_amount`: a market order trades for this amount, in the instrument's money; its `size` is then the most that
    it may trade. So reckon the size at the best price that you think possible: what trades beyond it is booked with an
    alarm, and halts the instrument.
    """

    time_in_force: TimeInForce
    post_only: bool
    reduce_only: bool
    expires_ns: int
    deadline_ns: int
    kind: OrderKind
    trigger: Trigger | None
    quote_amount: Money
    allow_duplicate: bool


class OrderHandle:
    """An order that was just asked for: the gate's verdict at once, what became of the order later."""

    __slots__ = ("_desk", "_strategy", "verdict")

    def __init__(self, verdict: Verdict, strategy: str, desk: Desk) -> None:
        self.verdict = verdict
        self._strategy = strategy
        self._desk = desk

    @property
    def is_approved(self) -> bool:
        """Whether the gate let the order through; from then on it is recorded and queued, not yet at the venue."""
        return not isinstance(self.verdict, Refused)

    @property
    def refusal(self) -> Refused | None:
        """The gate's no with code and numbers, or None when the order was approved."""
        return self.verdict if isinstance(self.verdict, Refused) else None

    @property
    def client_order_id(self) -> str:
        """The id under which the order goes to the venue and into every record; empty when it was refused."""
        return "" if isinstance(self.verdict, Refused) else self.verdict.client_order_id

    @property
    def order(self) -> Order | None:
        """What is known of the order now; None when it was refused, or ended so long ago that it is no longer kept."""
        return self._desk.order(self.client_order_id) if self.client_order_id else None

    @property
    def is_open(self) -> bool:
        """Whether more may become of the order: it may still trade, or fills of it are not booked yet; False when
        it was refused."""
        order = self.order
        return order is not None and order.is_open

    def cancel(self) -> Verdict:
        """Ask the gate to cancel the order. What trades before the cancel reaches the venue is still ours. Of a refused
        order: refused as INVALID_INTENT, which counts as a fault of the strategy; ask `is_open` first."""
        return self._desk.submit(CancelOrder(strategy=self._strategy, client_order_id=self.client_order_id))

    def amend(self, price: Price, size: Size) -> Verdict:
        """Ask for a new price and a new total size (filled part included) in place, both scaled integers. Until the
        venue answers, risk counts the worse of before and after."""
        return self._desk.submit(
            AmendOrder(strategy=self._strategy, client_order_id=self.client_order_id, price=price, size=size)
        )


class Strategy(Generic[SettingsT]):
    """Base of every strategy. Override the hooks you need; all of them do nothing by default.

    `Settings` is a frozen pydantic model (or None): the table of the strategy in the configuration is checked
    against it, unknown keys are refused. `self.desk` reads the market and places intents; `self.buy` and
    `self.sell` are its short forms. An exception out of a hook is counted; too many quarantine the strategy.
    """

    Settings: ClassVar[Any] = None

    needs_all_venues: ClassVar[bool] = True
    """Whether it begins only when every venue that its instruments name is up. False: also while some are down. Their
    instruments join by `on_instrument` when they come; those that an earlier run knew are there from the start, with a
    book that is not fresh."""

    def __init__(self, name: str, settings: SettingsT, desk: Desk) -> None:
        self.name = name
        self.settings = settings
        self.desk = desk

    def on_start(self) -> None:
        """Called once, when its venues are up (`needs_all_venues`) and at least one of its instruments is open for
        trading."""

    def on_instrument(self, instrument: Instrument) -> None:
        """Called after `on_start`, when an instrument that the configuration's pattern names has opened and joined
        `self.desk.instruments`, and when one has settled (its status says so) and left them. A strategy without this
        hook keeps the instruments that it started with and gets no new ones."""

    def on_book(self, book: BookView) -> None:
        """Called after each change of a book, also when it becomes stale: look at `book.is_fresh`."""

    def on_trade(self, trade: TradePrint) -> None:
        """Called for each public trade on an instrument of this strategy, in the order of the venue's stream."""

    def on_mark(self, mark: MarkPrice) -> None:
        """Called for each mark price that the venue publishes of a perpetual of this strategy."""

    def on_fill(self, fill: Fill, order: Order) -> None:
        """Called for each own fill, once, after position and order are up to date."""

    def on_order(self, order: Order) -> None:
        """Called when something became known of an own order: accepted, rejected, changed, ended, outcome unknown. Its
        status is final only when the fills that the venue states are in `order.filled` and in the position; until then
        it is ENDING."""

    def on_timer(self, name: str) -> None:
        """Called when a timer set by `self.desk.set_timer` is due."""

    def on_connector(self, status: ConnectorStatus) -> None:
        """Called when a venue's streams come up or go down. Books are stale while they are down."""

    def on_state(self, change: TradingStateChanged) -> None:
        """Called when a trading state was set, in whatever scope: `self.desk.state(instrument)` says what counts for
        this strategy now. Orders that were open may still be: the record says whether they are cancelled, too."""

    def on_stop(self) -> None:
        """Called once before the daemon stops; its orders are cancelled afterwards."""

    def buy(
        self,
        instrument: InstrumentId,
        price: Price,
        size: Size,
        *,
        outcome: Outcome = Outcome.YES,
        **terms: Unpack[OrderTerms],
    ) -> OrderHandle:
        """Place a bid: `place` with `Side.BUY`, with the same `terms` and errors."""
        return self.place(Side.BUY, instrument, price, size, outcome=outcome, **terms)

    def sell(
        self,
        instrument: InstrumentId,
        price: Price,
        size: Size,
        *,
        outcome: Outcome = Outcome.YES,
        **terms: Unpack[OrderTerms],
    ) -> OrderHandle:
        """Place an ask: `place` with `Side.SELL`, with the same `terms` and errors."""
        return self.place(Side.SELL, instrument, price, size, outcome=outcome, **terms)

    def place(
        self,
        side: Side,
        instrument: InstrumentId,
        price: Price,
        size: Size,
        *,
        outcome: Outcome = Outcome.YES,
        **terms: Unpack[OrderTerms],
    ) -> OrderHandle:
        """Ask for a new order, a limit order unless its `terms` say more, and return a handle with the gate's verdict.

        `price` and `size` are scaled by the instrument's decimals. `price` is the worst acceptable one, also of a
        market order: every limit is judged by it. With `outcome=Outcome.NO` side, price and trigger price speak of the
        NO contract of a binary market, and become the equal order for YES.

        Raises `ValueError` for NO on an instrument that is not binary and for NO with a `quote_amount`, `KeyError` for
        NO on one that no connector defined, `TypeError` for a term that is none; everything else that is wrong is a
        refusal.
        """
        if outcome is Outcome.NO:
            definition = self.desk.instrument(instrument)
            if definition.kind is not InstrumentKind.BINARY:
                raise ValueError(f"outcome: {instrument} is not binary; only binary markets have a NO side")
            side, price = side.opposite, definition.complement_price(price)
            _complement_terms(terms, definition)
        if terms.get("kind") is OrderKind.MARKET:
            terms.setdefault("time_in_force", TimeInForce.IMMEDIATE_OR_CANCEL)
        intent = NewOrder(strategy=self.name, instrument=instrument, side=side, price=price, size=size, **terms)
        return OrderHandle(self.desk.submit(intent), self.name, self.desk)


def _complement_terms(terms: OrderTerms, definition: Instrument) -> None:
    """Bring the terms of an order for NO into those of the equal order for YES."""
    if terms.get("quote_amount"):
        raise ValueError("quote_amount: an amount for NO is none for YES; give the order by its size")
    if (trigger := terms.get("trigger")) is not None:
        terms["trigger"] = Trigger(trigger.kind, definition.complement_price(trigger.price), trigger.by)
