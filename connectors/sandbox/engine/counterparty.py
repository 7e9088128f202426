"""A counterparty that does exactly what it is asked to: for tests that must know what the market does next.

Its acts take and give the engine's integers (`model`), each with the time at which it happens, and leave their events
for the server to publish. An act that cannot be done answers the Rejection and changes nothing but what its text says.
"""

from collections.abc import Sequence

from connectors.sandbox.engine.exchange import Exchange
from connectors.sandbox.engine.flow import OrderFlow
from connectors.sandbox.engine.lifecycle import MarketAct
from connectors.sandbox.engine.model import Accepted, OrderRequest, Rejection, Side, TimeInForce

QUOTER = "counterparty:quotes"
TAKER = "counterparty:trades"
# Sizes and money of an act are a test's own; this only keeps it from ever running out.
CASH = 10**20
BASE = 10**18

Quote = tuple[int, int]
"""(price, size)."""


class Counterparty:
    """Quotes and trades on demand, from two internal accounts of its own: it can trade against its own quotes.

    `flow` is the seeded order flow beside it, if there is one; `quiet` ends it.
    """

    def __init__(self, exchange: Exchange, flow: OrderFlow | None = None) -> None:
        self._exchange = exchange
        self._flow = flow

    def quiet(self, now_ns: int) -> None:
        """Stop the order flow for good and cancel what its agents have resting: the book is the member's and ours."""
        if self._flow is not None:
            self._flow.stop(now_ns)

    def quote(
        self, market_id: str, *, bids: Sequence[Quote], asks: Sequence[Quote], now_ns: int
    ) -> tuple[Rejection, ...]:
        """Replace all quotes in a market; empty sides take them away. Returns why some were refused, if any.

        A quote that crosses an order of the member trades with it, as anybody's would.
        """
        exchange = self._exchange
        if market_id not in exchange.state.markets:
            return (Rejection("market_not_found", market_id),)
        self._fund(QUOTER, market_id)
        exchange.cancel_all(QUOTER, now_ns, market_id=market_id)
        sides: tuple[tuple[Side, Sequence[Quote]], ...] = (("bid", bids), ("ask", asks))
        answers = [
            self._send(QUOTER, market_id, side=side, quote=one, tif="gtc", now_ns=now_ns)
            for side, quotes in sides
            for one in quotes
        ]
        return tuple(answer for answer in answers if isinstance(answer, Rejection))

    def trade(self, market_id: str, *, side: Side, price: int, size: int, now_ns: int) -> Accepted | Rejection:
        """Take up to `size` at once, at `price` or better, from whoever stands first; `Accepted.fills` says what."""
        if market_id not in self._exchange.state.markets:
            return Rejection("market_not_found", market_id)
        self._fund(TAKER, market_id)
        return self._send(TAKER, market_id, side=side, quote=(price, size), tif="ioc", now_ns=now_ns)

    def set_market(self, market_id: str, act: MarketAct, *, now_ns: int, value: int | None = None) -> Rejection | None:
        """Pause, resume, close, determine or settle a market, as `Exchange.set_market` does."""
        return self._exchange.set_market(market_id, act, now_ns=now_ns, value=value)

    def mark(self, market_id: str, price: int, *, now_ns: int) -> Rejection | None:
        """Set the mark price of a perpetual, as `Exchange.set_mark` does; other markets refuse it."""
        return self._exchange.set_mark(market_id, price, now_ns=now_ns)

    def deposit(self, account: str, cash_account: str, amount: int, *, now_ns: int) -> Rejection | None:
        """Bring money (or a base asset, in sizes) into an account from outside; a negative amount takes it out."""
        return self._exchange.deposit(account, cash_account, amount, now_ns=now_ns)

    def order(self, request: OrderRequest, now_ns: int) -> Accepted | Rejection:
        """Place an order on the account that `request` names, though no client sent it: an external order."""
        return self._exchange.submit(request, now_ns)

    def cancel(self, order_id: str, now_ns: int) -> Accepted | Rejection:
        """Cancel any order, whoever's it is."""
        order = self._exchange.ledger.orders.get(order_id)
        if order is None:
            return Rejection("not_found", order_id)
        return self._exchange.cancel(order.account, order_id, now_ns=now_ns)

    def _send(
        self, account: str, market_id: str, *, side: Side, quote: Quote, tif: TimeInForce, now_ns: int
    ) -> Accepted | Rejection:
        request = OrderRequest(
            account=account, market_id=market_id, side=side, price=quote[0], size=quote[1], tif=tif, self_trade="maker"
        )
        return self._exchange.submit(request, now_ns)

    def _fund(self, account_id: str, market_id: str) -> None:
        """Open the account, and give it what the market needs when it has none."""
        exchange = self._exchange
        account = exchange.state.accounts.get(account_id) or exchange.add_account(account_id, {}, internal=True)
        spec = exchange.state.markets[market_id].spec
        for name, amount in ((spec.cash_account, CASH), (spec.base, BASE)):
            if name and name not in account.cash:
                account.deposit(name, amount)
