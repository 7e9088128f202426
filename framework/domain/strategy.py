"""The strategy API: subclass `Strategy`, give it settings, react to events, place orders.

A strategy is plain synchronous code. It is called from the kernel, one event at a time, and must return quickly:
no waiting, no I/O. What it asks for is judged at once; the returned handle says what the gate decided.
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

from framework.domain.account_events import Fill
from framework.domain.instruments import InstrumentId, InstrumentKind
from framework.domain.intents import AmendOrder, CancelOrder, NewOrder
from framework.domain.market_events import ConnectorStatus, TradePrint
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, Outcome, Side, TimeInForce
from framework.domain.ports import Desk
from framework.domain.verdicts import Refused, Verdict
from framework.domain.views import BookView

SettingsT = TypeVar("SettingsT")


class OrderHandle:
    """An order that was just asked for: the gate's verdict now, its life later."""

    __slots__ = ("_desk", "_strategy", "verdict")

    def __init__(self, verdict: Verdict, strategy: str, desk: Desk) -> None:
        self.verdict = verdict
        self._strategy = strategy
        self._desk = desk

    @property
    def is_approved(self) -> bool:
        """Whether the gate let it through."""
        return not isinstance(self.verdict, Refused)

    @property
    def refusal(self) -> Refused | None:
        """Why not, when it did not."""
        return self.verdict if isinstance(self.verdict, Refused) else None

    @property
    def client_order_id(self) -> str:
        """Its name for life; empty when refused."""
        return "" if isinstance(self.verdict, Refused) else self.verdict.client_order_id

    @property
    def order(self) -> Order | None:
        """What is known of it now; None when refused."""
        return self._desk.order(self.client_order_id) if self.client_order_id else None

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        order = self.order
        return order is not None and order.is_open

    def cancel(self) -> Verdict:
        """Ask for its end. What trades before the cancel arrives is still ours."""
        return self._desk.submit(CancelOrder(strategy=self._strategy, client_order_id=self.client_order_id))

    def amend(self, price: Price, size: Size) -> Verdict:
        """Ask for a new price and a new total size (filled part included) in place."""
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

    def __init__(self, name: str, settings: SettingsT, desk: Desk) -> None:
        self.name = name
        self.settings = settings
        self.desk = desk

    def on_start(self) -> None:
        """Called once, when the instruments are known and trading may begin."""

    def on_book(self, book: BookView) -> None:
        """Called after each change of a book, also when it becomes stale: look at `book.is_fresh`."""

    def on_trade(self, trade: TradePrint) -> None:
        """Called for each public trade."""

    def on_fill(self, fill: Fill, order: Order) -> None:
        """Called for each own fill, once, after position and order are up to date."""

    def on_order(self, order: Order) -> None:
        """Called when something became known of an own order."""

    def on_timer(self, name: str) -> None:
        """Called when a timer set by `self.desk.set_timer` is due."""

    def on_connector(self, status: ConnectorStatus) -> None:
        """Called when a venue's streams come up or go down."""

    def on_stop(self) -> None:
        """Called once before the daemon stops; its orders are cancelled afterwards."""

    def buy(self, instrument: InstrumentId, price: Price, size: Size, **terms: Any) -> OrderHandle:
        """Place a bid. See `place` for `terms`."""
        return self.place(Side.BUY, instrument, price, size, **terms)

    def sell(self, instrument: InstrumentId, price: Price, size: Size, **terms: Any) -> OrderHandle:
        """Place an ask. See `place` for `terms`."""
        return self.place(Side.SELL, instrument, price, size, **terms)

    def place(
        self,
        side: Side,
        instrument: InstrumentId,
        price: Price,
        size: Size,
        *,
        outcome: Outcome = Outcome.YES,
        time_in_force: TimeInForce = TimeInForce.GOOD_TILL_CANCELLED,
        post_only: bool = False,
        reduce_only: bool = False,
        expires_ns: int = 0,
        deadline_ns: int = 0,
    ) -> OrderHandle:
        """Place an order. With `outcome=Outcome.NO` side and price speak of the NO contract of a binary market."""
        if outcome is Outcome.NO:
            definition = self.desk.instrument(instrument)
            if definition.kind is not InstrumentKind.BINARY:
                raise ValueError(f"outcome: {instrument} is not binary; only binary markets have a NO side")
            side, price = side.opposite, definition.complement_price(price)
        intent = NewOrder(
            strategy=self.name,
            instrument=instrument,
            side=side,
            price=price,
            size=size,
            time_in_force=time_in_force,
            post_only=post_only,
            reduce_only=reduce_only,
            expires_ns=expires_ns,
            deadline_ns=deadline_ns,
        )
        return OrderHandle(self.desk.submit(intent), self.name, self.desk)
