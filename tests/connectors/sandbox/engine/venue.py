"""A small binary exchange for tests: cents in, records out, one millisecond per act."""

import random
from typing import Any

from connectors.kalshi.sandbox.listings import RULES
from connectors.sandbox.engine import audit_report
from connectors.sandbox.engine.events import Event
from connectors.sandbox.engine.exchange import Exchange
from connectors.sandbox.engine.model import Accepted, AmendRequest, Fill, MarketSpec, Order, OrderRequest, Rejection

START_NS = 1_000_000_000_000
MS_NS = 1_000_000
DOLLAR = 1_000_000


class Venue:
    """One exchange, by default with market "M" and accounts "A", "B", "C" of $1,000 each.

    Prices are written in cents and sizes in contracts; the records that come back are in engine units.
    """

    def __init__(self, *specs: MarketSpec) -> None:
        self.exchange = Exchange(random.Random(1), now_ns=START_NS, rules=RULES)
        self.now_ns = START_NS
        for spec in specs or (MarketSpec(market_id="M"),):
            self.exchange.add_market(spec, START_NS)
        for account in "ABC":
            self.exchange.add_account(account, {"USD": 1_000 * DOLLAR})

    def tick(self, ms: int = 1) -> int:
        """Let time pass and return it."""
        self.now_ns += ms * MS_NS
        return self.now_ns

    def send(self, account: str, side: Any, cents: float, contracts: float, **more: Any) -> Accepted | Rejection:
        """Submit an order and return whatever the exchange says."""
        request = OrderRequest(
            account=account,
            market_id=more.pop("market_id", "M"),
            side=side,
            price=round(cents * 100),
            size=round(contracts * 100),
            **more,
        )
        return self.exchange.submit(request, self.tick())

    def order(self, account: str, side: Any, cents: float, contracts: float, **more: Any) -> Order:
        """Submit an order that must be accepted; return it."""
        answer = self.send(account, side, cents, contracts, **more)
        assert isinstance(answer, Accepted), answer
        return answer.order

    def fills(self, account: str, side: Any, cents: float, contracts: float, **more: Any) -> list[tuple[int, int]]:
        """Submit an order that must be accepted; return (price, size) of its fills."""
        answer = self.send(account, side, cents, contracts, **more)
        assert isinstance(answer, Accepted), answer
        return [(fill.price, fill.size) for fill in answer.fills]

    def refusal(self, account: str, side: Any, cents: float, contracts: float, **more: Any) -> str:
        """Submit an order that must be refused; return the code."""
        answer = self.send(account, side, cents, contracts, **more)
        assert isinstance(answer, Rejection), answer
        return answer.code

    def amend(self, order: Order, cents: float, contracts: float, **more: Any) -> Accepted | Rejection:
        """Amend an order to a price and a total."""
        request = AmendRequest(
            account=more.pop("account", order.account),
            order_id=order.order_id,
            price=round(cents * 100),
            size=round(contracts * 100),
            **more,
        )
        return self.exchange.amend(request, self.tick())

    def cancel(self, order: Order) -> Accepted | Rejection:
        """Cancel an order as its owner."""
        return self.exchange.cancel(order.account, order.order_id, now_ns=self.tick())

    def levels(self, side: Any, market_id: str = "M") -> list[tuple[int, int]]:
        """The book of a side, best first."""
        return self.exchange.state.books[market_id].levels(side)

    def available(self, account: str) -> int:
        """Money the account may spend."""
        return self.exchange.state.accounts[account].available("USD")

    def net(self, account: str, market_id: str = "M") -> int:
        """The account's position."""
        return self.exchange.state.accounts[account].position(market_id).net

    def events(self, kind: type[Event]) -> list[Any]:
        """Drain the events and return those of one kind."""
        return [event for event in self.exchange.drain() if isinstance(event, kind)]

    def fills_of(self, account: str) -> list[Fill]:
        """Every fill of an account."""
        return [fill for fill in self.exchange.ledger.fills if fill.account == account]

    def assert_sound(self) -> None:
        """Everything adds up."""
        assert audit_report.problems(self.exchange) == []
