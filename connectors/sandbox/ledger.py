"""The engine's memory: every order ever accepted from outside, every fill, the public tape, every settlement."""

from collections import deque

from connectors.sandbox.events import TradePrint
from connectors.sandbox.model import Fill, Order, Settlement

TAPE_LENGTH = 20_000
"""Trades kept per market; older ones are dropped."""


class Ledger:
    """What happened, oldest first. Of internal accounts only resting orders are known, and none of their fills."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.fills: list[Fill] = []
        self.settlements: list[Settlement] = []
        self._by_client: dict[tuple[str, str], str] = {}
        self._orders_of: dict[str, list[Order]] = {}
        self._fills_of: dict[str, list[Fill]] = {}
        self._settlements_of: dict[str, list[Settlement]] = {}
        self._tape: dict[str, deque[TradePrint]] = {}

    def accept(self, order: Order, *, internal: bool) -> None:
        """Remember an order, and its client order id for ever."""
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
        """Drop an internal account's finished order."""
        self.orders.pop(order.order_id, None)
        self._by_client.pop((order.account, order.client_order_id), None)

    def order_by_client(self, account: str, client_order_id: str) -> Order | None:
        """The order that used this client order id, in any state."""
        order_id = self._by_client.get((account, client_order_id))
        return None if order_id is None else self.orders[order_id]

    def record_fill(self, fill: Fill) -> None:
        """Remember a fill."""
        self.fills.append(fill)
        self._fills_of.setdefault(fill.account, []).append(fill)

    def record_settlement(self, settlement: Settlement) -> None:
        """Remember a settlement."""
        self.settlements.append(settlement)
        self._settlements_of.setdefault(settlement.account, []).append(settlement)

    def print_trade(self, trade: TradePrint) -> None:
        """Put a trade on the tape."""
        tape = self._tape.get(trade.market_id)
        if tape is None:
            tape = self._tape[trade.market_id] = deque(maxlen=TAPE_LENGTH)
        tape.append(trade)

    def orders_of(self, account: str) -> list[Order]:
        """Every order an external account ever had accepted."""
        return self._orders_of.get(account, [])

    def fills_of(self, account: str) -> list[Fill]:
        """Every fill of an external account."""
        return self._fills_of.get(account, [])

    def settlements_of(self, account: str) -> list[Settlement]:
        """Every settlement of an external account."""
        return self._settlements_of.get(account, [])

    def trades(self, market_id: str) -> list[TradePrint]:
        """The tape of a market."""
        return list(self._tape.get(market_id, ()))
