"""What a member's reads show: the engine's state, or the state as it was some time ago.

At the venue reads of orders, fills, positions and balances lag writes; a recorded read still showed an order resting
360 ms after its cancel was acknowledged. Without lag every read is the engine's present state. With lag, copies are
taken after each act and become visible when they are old enough.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

from connectors.sandbox.engine.events import Event, FillEvent, OrderChange, PositionChange, SettlementEvent
from connectors.sandbox.engine.exchange import Exchange
from connectors.sandbox.engine.model import Fill, Order, Position, Settlement
from connectors.sandbox.serving.faults import FaultPlan


@dataclass
class _VisibleState:
    """Copies of what a reader sees; of fills and settlements, which never change, only how many.

    Also used for one batch of changes: then it holds what changed, and how many fills and settlements came.
    """

    orders: dict[str, Order] = field(default_factory=dict)
    positions: dict[tuple[str, str], Position] = field(default_factory=dict)
    balances: dict[str, dict[str, int]] = field(default_factory=dict)
    reserved: dict[str, dict[str, int]] = field(default_factory=dict)
    fills: int = 0
    settlements: int = 0


class Reads:
    """The member's readable state and history. Call `note` with every batch of engine events, in order.

    `accounts` is a live collection of the ids of the accounts whose state is read. Times are nanoseconds of the engine;
    every read takes the present time, `now_ns`, and shows the state of `lag_ns` before it. A fill that a fault
    `hidden_fill` strikes (by `market`, `account` and `role`: maker or taker) is never in `fills`.
    """

    def __init__(self, exchange: Exchange, accounts: Collection[str], *, faults: FaultPlan) -> None:
        self._faults = faults
        self._hidden: set[tuple[str, str]] = set()
        self._exchange = exchange
        self._accounts = accounts
        self.lag_ns = 0
        self._visible: _VisibleState | None = None
        self._pending: deque[tuple[int, _VisibleState]] = deque()

    def set_lag(self, lag_ns: int) -> None:
        """Show the state of `lag_ns` ago from now on; 0 shows the present again."""
        self.lag_ns = lag_ns
        self._pending.clear()
        self._visible = self._present_state() if lag_ns else None

    def note(self, events: list[Event]) -> None:
        """Keep what these events changed, to be shown when the lag has passed; without lag only hide fills."""
        for event in events:
            if isinstance(event, FillEvent):
                self._hide_when_struck(event.fill)
        if self._visible is None:
            return
        change = self._changes_of(events)
        self._pending.append((self._exchange.state.now_ns, change))

    def orders(self, accounts: Collection[str], now_ns: int) -> list[Order]:
        """Every order of `accounts`, in whatever state, oldest first within an account."""
        visible = self._at(now_ns)
        if visible is None:
            return [order for name in accounts for order in self._exchange.ledger.orders_of(name)]
        return [order for order in visible.orders.values() if order.account in accounts]

    def order(self, order_id: str, now_ns: int) -> Order | None:
        """One order by its id, in whatever state; None when there is none, or not yet for a lagging read."""
        visible = self._at(now_ns)
        return (self._exchange.ledger.orders if visible is None else visible.orders).get(order_id)

    def fills(self, accounts: Collection[str], now_ns: int) -> list[Fill]:
        """Every fill of `accounts` that is visible at `now_ns`, oldest first."""
        visible = self._at(now_ns)
        known = self._exchange.ledger.fills
        shown = known if visible is None else known[: visible.fills]
        return [fill for fill in shown if fill.account in accounts and self.is_listed(fill)]

    def is_listed(self, fill: Fill) -> bool:
        """False for a fill that the venue or a fault hides from every listing."""
        return fill.is_listed and (fill.trade_id, fill.account) not in self._hidden

    def _hide_when_struck(self, fill: Fill) -> None:
        role = "taker" if fill.is_taker else "maker"
        if self._faults.take("hidden_fill", market=fill.market_id, account=fill.account, role=role) is not None:
            self._hidden.add((fill.trade_id, fill.account))

    def settlements(self, accounts: Collection[str], now_ns: int) -> list[Settlement]:
        """Every settlement of `accounts` that is visible at `now_ns`, oldest first."""
        visible = self._at(now_ns)
        known = self._exchange.ledger.settlements
        shown = known if visible is None else known[: visible.settlements]
        return [one for one in shown if one.account in accounts]

    def positions(self, account: str, now_ns: int) -> dict[str, Position]:
        """Market id -> position of one account, in order of first trade; positions that were closed are there, too."""
        visible = self._at(now_ns)
        if visible is None:
            return self._exchange.state.accounts[account].positions
        return {market: position for (owner, market), position in visible.positions.items() if owner == account}

    def balances(self, account: str, now_ns: int) -> dict[str, int]:
        """Cash account -> money that new orders of one account may draw on; empty for an account not visible yet."""
        visible = self._at(now_ns)
        return self._available(account) if visible is None else visible.balances.get(account, {})

    def reserved(self, account: str, now_ns: int) -> dict[str, int]:
        """Cash account -> money that open orders and margins of one account hold back; what is not there is 0."""
        visible = self._at(now_ns)
        return self._reserved(account) if visible is None else visible.reserved.get(account, {})

    def _reserved(self, account: str) -> dict[str, int]:
        return dict(self._exchange.state.accounts[account].reserved)

    def _available(self, account: str) -> dict[str, int]:
        state = self._exchange.state.accounts[account]
        return {cash_account: state.available(cash_account) for cash_account in state.cash}

    def _present_state(self) -> _VisibleState:
        ledger, state = self._exchange.ledger, self._exchange.state
        return _VisibleState(
            {order.order_id: copy.copy(order) for name in self._accounts for order in ledger.orders_of(name)},
            {(name, key): copy.copy(p) for name in self._accounts for key, p in state.accounts[name].positions.items()},
            {name: self._available(name) for name in self._accounts},
            {name: self._reserved(name) for name in self._accounts},
            len(ledger.fills),
            len(ledger.settlements),
        )

    def _changes_of(self, events: list[Event]) -> _VisibleState:
        change = _VisibleState(
            balances={name: self._available(name) for name in self._accounts},
            reserved={name: self._reserved(name) for name in self._accounts},
        )
        for event in events:
            if isinstance(event, OrderChange):
                change.orders[event.order.order_id] = event.order
            elif isinstance(event, PositionChange):
                position = self._exchange.state.accounts[event.account].position(event.market_id)
                change.positions[event.account, event.market_id] = copy.copy(position)
            elif isinstance(event, FillEvent):
                change.fills += 1
            elif isinstance(event, SettlementEvent):
                change.settlements += 1
        return change

    def _at(self, now_ns: int) -> _VisibleState | None:
        """What is visible at `now_ns`; None without lag. An earlier `now_ns` does not take it back."""
        visible = self._visible
        if visible is None:
            return None
        while self._pending and self._pending[0][0] <= now_ns - self.lag_ns:
            change = self._pending.popleft()[1]
            visible.orders |= change.orders
            visible.positions |= change.positions
            visible.balances |= change.balances
            visible.reserved |= change.reserved
            visible.fills += change.fills
            visible.settlements += change.settlements
        return visible
