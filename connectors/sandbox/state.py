"""What the parts of the engine share: markets, books, accounts, the ledger, the event list and the exchange's clock."""

import copy
import random

from connectors.sandbox.accounts import Account
from connectors.sandbox.events import Event, OrderChange, PositionChange
from connectors.sandbox.ledger import Ledger
from connectors.sandbox.matching import Book
from connectors.sandbox.model import Market, Order, Phase, new_uuid


class ExchangeState:
    """The whole exchange as data. Only the engine's own parts write here; a server reads.

    `now_ns` is the engine's time: the highest `now_ns` any act was given, so it never goes back.
    """

    def __init__(self, rng: random.Random, now_ns: int) -> None:
        self.markets: dict[str, Market] = {}
        self.books: dict[str, Book] = {}
        self.accounts: dict[str, Account] = {}
        self.ledger = Ledger()
        self.events: list[Event] = []
        self.phase: Phase = "open"
        self.now_ns = now_ns
        self.fees_collected: dict[str, int] = {}
        self._rng = rng
        self._operations = 0
        self._sequence = 0

    def new_id(self) -> str:
        """An identifier for an order, a trade or a group."""
        return new_uuid(self._rng)

    def next_operation(self) -> int:
        """The number of the act that starts now; markets show it as their clock."""
        self._operations += 1
        return self._operations

    def next_sequence(self) -> int:
        """A place in the queue behind everything before it."""
        self._sequence += 1
        return self._sequence

    def order_changed(self, order: Order) -> None:
        """Tell about an order's new state; internal accounts' orders are not told."""
        if not self.accounts[order.account].internal:
            self.events.append(OrderChange(copy.copy(order), self.now_ns))

    def position_changed(self, account: Account, market_id: str) -> None:
        """Tell about a position's new state."""
        position = account.position(market_id)
        position.updated_ns = account.updated_ns = self.now_ns
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
