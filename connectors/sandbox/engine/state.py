"""The exchange as data: how everything stands now, and what has happened so far."""

import copy
import random
from collections import defaultdict, deque
from typing import Protocol

from connectors.sandbox.engine.accounts import Account
from connectors.sandbox.engine.events import CashFlowEvent, Event, OrderChange, PositionChange, TradePrint
from connectors.sandbox.engine.matching import Book
from connectors.sandbox.engine.model import (
    CashFlow,
    CashFlowKind,
    Fill,
    Market,
    Order,
    OrderRequest,
    Phase,
    Rejection,
    Settlement,
)
from connectors.sandbox.engine.rules import Rules
from connectors.sandbox.seeding import new_uuid

INSURANCE = "insurance"
"""The internal account that takes over liquidated positions and pays what their margins did not cover."""
TAPE_LENGTH = 20_000
"""Trades kept per market; older ones are dropped, so that a long session does not grow without bound."""


class Ledger:
    """What happened, oldest first: orders of external accounts for ever, their fills, settlements and cash flows, the
    public tape.

    Of internal accounts only resting orders are here, and none of their fills: the order flow makes thousands a minute.
    """

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.fills: list[Fill] = []
        self.settlements: list[Settlement] = []
        self.cash_flows: list[CashFlow] = []
        self._by_client: dict[tuple[str, str], str] = {}
        self._orders_of: dict[str, list[Order]] = {}
        self._tape: defaultdict[str, deque[TradePrint]] = defaultdict(lambda: deque(maxlen=TAPE_LENGTH))

    def accept(self, order: Order, *, internal: bool) -> None:
        """Record an accepted order. Its client order id stays used for ever, also after the order has ended."""
        self.orders[order.order_id] = order
        if not internal:
            self._orders_of.setdefault(order.account, []).append(order)
        if order.client_order_id:
            self._by_client[order.account, order.client_order_id] = order.order_id

    def rename(self, order: Order, client_order_id: str) -> None:
        """Give an order a new client order id; the old one stays used."""
        order.client_order_id = client_order_id
        self._by_client[order.account, client_order_id] = order.order_id

    def forget(self, order: Order) -> None:
        """Drop a finished order of an internal account, and free its client order id."""
        self.orders.pop(order.order_id, None)
        self._by_client.pop((order.account, order.client_order_id), None)

    def order_by_client(self, account: str, client_order_id: str) -> Order | None:
        """The order that used this client order id, in any state; None when none did."""
        order_id = self._by_client.get((account, client_order_id))
        return None if order_id is None else self.orders[order_id]

    def print_trade(self, trade: TradePrint) -> None:
        """Put a trade on the public tape of its market."""
        self._tape[trade.market_id].append(trade)

    def orders_of(self, account: str) -> list[Order]:
        """Every order an external account ever had accepted, oldest first; empty for internal accounts."""
        return self._orders_of.get(account, [])

    def trades(self, market_id: str) -> list[TradePrint]:
        """The last trades of a market, at most TAPE_LENGTH, oldest first."""
        return list(self._tape.get(market_id, ()))


class OrderHook(Protocol):
    """Rules of one venue about its orders that the engine does not have; `ExchangeState.hook` is asked and informed.

    It may end orders with `Exchange.withdraw`, also from within a call, and emit `Notice`s.
    """

    def refuse(self, request: OrderRequest) -> Rejection | None:
        """Why a new order that is right in itself is refused, or None."""
        ...

    def entered(self, order: Order) -> None:
        """An order starts to trade or rest; after an amend that lost its place in the queue once more."""
        ...

    def matched(self, order: Order, size: int) -> None:
        """`size` of an order has traded; the maker of a trade is named before its taker."""
        ...

    def ended(self, order: Order) -> None:
        """An order is over."""
        ...


class ExchangeState:
    """The whole exchange as data. Only the engine's own parts write here; a server reads.

    `now_ns` is the engine's time, nanoseconds since the epoch: the highest `now_ns` any act was given, so it never goes
    back. `fees_collected` is money by cash account, or sizes by base asset; `decimals` says in which units each is
    counted. `pending` has the orders that wait for their trigger, oldest first. `events` are those not drained yet.
    `hook` may be set once, before the first order. `cancel_delay_ns` makes cancels take at least so long.
    """

    def __init__(self, rng: random.Random, now_ns: int, rules: Rules) -> None:
        self.rules = rules
        self.markets: dict[str, Market] = {}
        self.books: dict[str, Book] = {}
        self.accounts: dict[str, Account] = {}
        self.ledger = Ledger()
        self.events: list[Event] = []
        self.hook: OrderHook | None = None
        self.phase: Phase = "open"
        self.now_ns = now_ns
        self.fees_collected: dict[str, int] = {}
        self.pending: dict[str, Order] = {}
        self.decimals: dict[str, int] = {}
        self.cancel_delay_ns = 0
        self.revalued: dict[tuple[str, str], None] = {}
        """Account and perpetual market of each position that has changed, or whose mark has, since it was last looked
        at whether it is to be liquidated; in this order."""
        self._rng = rng
        self._operations = 0
        self._sequence = 0

    def new_id(self) -> str:
        """A fresh UUID for an order, a trade or a group; the exchange's generator fixes it."""
        return new_uuid(self._rng)

    def next_operation(self) -> int:
        """The number of the act that starts now, counted from 1 over all markets; a market shows it as its clock."""
        self._operations += 1
        return self._operations

    def next_sequence(self) -> int:
        """A place in the queue behind everything before it."""
        self._sequence += 1
        return self._sequence

    def cover(self, account: Account, cash_account: str) -> None:
        """Let the insurance account pay what a balance lacks after a loss."""
        short = -account.available(cash_account)
        if short > 0 and account.account_id != INSURANCE:
            account.transfer(cash_account, short)
            self.accounts[INSURANCE].transfer(cash_account, -short)
            self.record_flow(account, "liquidation", currency=cash_account, amount=short)

    def order_changed(self, order: Order) -> None:
        """Emit an order's new state as a copy; nothing is emitted for internal accounts."""
        if not self.accounts[order.account].internal:
            self.events.append(OrderChange(copy.copy(order), self.now_ns))

    def position_changed(self, account: Account, market_id: str) -> None:
        """Stamp a position with the present time and emit its new state; internal accounts are only stamped."""
        position = account.position(market_id)
        position.updated_ns = self.now_ns
        if self.markets[market_id].spec.kind == "perpetual":
            self.revalued[account.account_id, market_id] = None
        if account.internal:
            return
        self.events.append(
            PositionChange(
                account=account.account_id,
                market_id=market_id,
                net=position.net,
                cost=position.cost,
                realized=position.realized,
                fees=position.fees,
                volume=position.volume,
                ns=self.now_ns,
            )
        )

    def record_flow(
        self, account: Account, kind: CashFlowKind, *, currency: str, amount: int, market_id: str = ""
    ) -> None:
        """Record and emit a change of balance that no trade made; nothing for internal accounts."""
        if account.internal or amount == 0:
            return
        flow = CashFlow(
            flow_id=self.new_id(),
            account=account.account_id,
            kind=kind,
            market_id=market_id,
            currency=currency,
            amount=amount,
            ns=self.now_ns,
        )
        self.ledger.cash_flows.append(flow)
        self.events.append(CashFlowEvent(flow))
