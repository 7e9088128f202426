"""Orders that wait for a price: stops and take-profits. They hold nothing back and are in no book until they start.

That a waiting order reserves nothing, that one whose price is there already starts at once, and that one which the
balance does not cover when it starts ends with the reason "margin", are *assumptions*.
"""

from collections.abc import Callable, Mapping

from connectors.sandbox.engine.model import Order, Rejection, RejectionCode, UpdateReason
from connectors.sandbox.engine.state import ExchangeState

ENDS: Mapping[RejectionCode, UpdateReason] = {"insufficient_balance": "margin", "post_only_crosses": "post_only"}


class Triggers:
    """The waiting orders of an exchange. `start` puts one that has started through the book and the balance."""

    def __init__(self, state: ExchangeState, start: Callable[[Order], None]) -> None:
        self._state = state
        self._start = start

    def is_met(self, order: Order) -> bool:
        """Whether the price that `order` waits for is there; never before there is one, always without a trigger."""
        trigger = order.trigger
        if trigger is None:
            return True
        market = self._state.markets[order.market_id]
        price = market.mark_price if trigger.by == "mark" else market.last_price
        rising = (order.side == "bid") == (trigger.kind == "stop")
        return price > 0 and (price >= trigger.price if rising else price <= trigger.price)

    def watch(self, order: Order) -> None:
        """Let an accepted order wait."""
        order.status = "pending_trigger"
        self._state.pending[order.order_id] = order
        self._state.order_changed(order)

    def of_account(self, account: str) -> list[Order]:
        """The waiting orders of an account, oldest first."""
        return [order for order in self._state.pending.values() if order.account == account]

    def fire(self) -> None:
        """Start every order whose price is there, in the order in which they came, until none is left.

        An order that starts may move the price for others. Call it after every act that may have moved a price.
        """
        while (order := self._next_met()) is not None:
            del self._state.pending[order.order_id]
            order.status = "open"
            order.reason = "triggered"
            order.updated_ns = self._state.now_ns
            self._start(order)

    def _next_met(self) -> Order | None:
        for order in self._state.pending.values():
            if self._state.markets[order.market_id].status == "active" and self.is_met(order):
                return order
        return None


def end_of(refusal: Rejection) -> UpdateReason:
    """Why an order that was refused when it started has ended."""
    return ENDS.get(refusal.code, "unfilled")
