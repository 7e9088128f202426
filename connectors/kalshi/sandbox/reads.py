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

from connectors.sandbox.events import Event, FillEvent, OrderChange, PositionChange, SettlementEvent
from connectors.sandbox.exchange import Exchange
from connectors.sandbox.model import Fill, Order, Position, Settlement


@dataclass
class _VenueView:
    """Copies of what is visible."""

    orders: dict[str, Order] = field(default_factory=dict)
    positions: dict[tuple[str, str], Position] = field(default_factory=dict)
    balances: dict[str, dict[str, int]] = field(default_factory=dict)
    fills: int = 0
    settlements: int = 0


class Reads:
    """The member's readable history. Call `note` with every batch of engine events, in order."""

    def __init__(self, exchange: Exchange, accounts: Collection[str]) -> None:
        """`accounts` is a live collection of the accounts whose state is read."""
        self._exchange = exchange
        self._accounts = accounts
        self.lag_ns = 0
        self._view: _VenueView | None = None
        self._pending: deque[tuple[int, _VenueView]] = deque()

    def set_lag(self, lag_ns: int) -> None:
        """Show the state of `lag_ns` ago from now on; 0 shows the present again."""
        self.lag_ns = lag_ns
        self._pending.clear()
        self._view = self._full_view() if lag_ns else None

    def note(self, events: list[Event]) -> None:
        """Remember what these events changed, to be shown when the lag has passed."""
        if self._view is None:
            return
        change = self._change_of(events)
        self._pending.append((self._exchange.state.now_ns, change))

    def orders(self, accounts: Collection[str], now_ns: int) -> list[Order]:
        """The orders of `accounts`, oldest first."""
        view = self._at(now_ns)
        if view is None:
            return [order for name in accounts for order in self._exchange.ledger.orders_of(name)]
        return [order for order in view.orders.values() if order.account in accounts]

    def order(self, order_id: str, now_ns: int) -> Order | None:
        """One order in whatever state, or None."""
        view = self._at(now_ns)
        return (self._exchange.ledger.orders if view is None else view.orders).get(order_id)

    def fills(self, accounts: Collection[str], now_ns: int) -> list[Fill]:
        """The fills of `accounts`, oldest first."""
        view = self._at(now_ns)
        known = self._exchange.ledger.fills
        shown = known if view is None else known[: view.fills]
        return [fill for fill in shown if fill.account in accounts]

    def settlements(self, accounts: Collection[str], now_ns: int) -> list[Settlement]:
        """The settlements of `accounts`, oldest first."""
        view = self._at(now_ns)
        known = self._exchange.ledger.settlements
        shown = known if view is None else known[: view.settlements]
        return [one for one in shown if one.account in accounts]

    def positions(self, account: str, now_ns: int) -> dict[str, Position]:
        """Market -> position of one account, in order of first trade."""
        view = self._at(now_ns)
        if view is None:
            return self._exchange.state.accounts[account].positions
        return {market: position for (owner, market), position in view.positions.items() if owner == account}

    def balances(self, account: str, now_ns: int) -> dict[str, int]:
        """Purse -> money that new orders of one account may draw on."""
        view = self._at(now_ns)
        return self._available(account) if view is None else view.balances.get(account, {})

    def _available(self, account: str) -> dict[str, int]:
        state = self._exchange.state.accounts[account]
        return {cash_account: state.available(cash_account) for cash_account in state.cash}

    def _full_view(self) -> _VenueView:
        ledger, state = self._exchange.ledger, self._exchange.state
        return _VenueView(
            {order.order_id: copy.copy(order) for name in self._accounts for order in ledger.orders_of(name)},
            {(name, key): copy.copy(p) for name in self._accounts for key, p in state.accounts[name].positions.items()},
            {name: self._available(name) for name in self._accounts},
            len(ledger.fills),
            len(ledger.settlements),
        )

    def _change_of(self, events: list[Event]) -> _VenueView:
        change = _VenueView(balances={name: self._available(name) for name in self._accounts})
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

    def _at(self, now_ns: int) -> _VenueView | None:
        view = self._view
        if view is None:
            return None
        while self._pending and self._pending[0][0] <= now_ns - self.lag_ns:
            change = self._pending.popleft()[1]
            view.orders |= change.orders
            view.positions |= change.positions
            view.balances |= change.balances
            view.fills += change.fills
            view.settlements += change.settlements
        return view
