"""The exchange: the only way into the engine. Synchronous and deterministic; every act is given its time.

Call order: add accounts and markets, then act; after each act `drain` the events and publish them. Times are
nanoseconds since the epoch. The engine's time never goes back: an act with an older `now_ns` happens at the newest time
seen.
"""

import copy
import random
from collections.abc import Mapping

from connectors.sandbox.engine import admission
from connectors.sandbox.engine.accounts import Account
from connectors.sandbox.engine.collateral import COLLATERAL
from connectors.sandbox.engine.events import Event
from connectors.sandbox.engine.execution import Execution
from connectors.sandbox.engine.lifecycle import Lifecycle, MarketAct
from connectors.sandbox.engine.matching import Book
from connectors.sandbox.engine.model import (
    Accepted,
    AmendRequest,
    Market,
    MarketSpec,
    Order,
    OrderRequest,
    Phase,
    Rejection,
)
from connectors.sandbox.engine.state import ExchangeState, Ledger


class Exchange:
    """Markets, accounts and orders of one venue.

    `state` is everything as it stands, `ledger` everything that happened. `outcomes` may be given a fair value per
    market (price units), by which markets without a fixed settlement value are determined. `rng` fixes the identifiers
    and the drawn outcomes.
    """

    def __init__(self, rng: random.Random, *, now_ns: int) -> None:
        self.state = ExchangeState(rng, now_ns)
        self._execution = Execution(self.state)
        self._lifecycle = Lifecycle(self.state, self._execution, rng=rng)
        self.ledger: Ledger = self.state.ledger
        self.outcomes = self._lifecycle.outcomes

    def add_market(self, spec: MarketSpec, now_ns: int) -> Market:
        """List a market; it opens and closes by its own timetable.

        Raises `ValueError` when the market id is taken.
        """
        if spec.market_id in self.state.markets:
            raise ValueError(f"market_id {spec.market_id} is listed already; choose another")
        self.advance(now_ns)
        market = Market(spec=spec, close_ns=spec.close_ns)
        self.state.markets[spec.market_id] = market
        self.state.books[spec.market_id] = Book()
        self._lifecycle.list_market(market)
        return market

    def add_account(self, account_id: str, cash: Mapping[str, int], *, internal: bool = False) -> Account:
        """Open an account with balances by cash account (`MarketSpec.cash_account`) or base asset.

        `internal` accounts emit no private events and leave no history. Raises `ValueError` when the id is taken.
        """
        if account_id in self.state.accounts:
            raise ValueError(f"account {account_id} exists already; choose another id")
        account = Account(account_id, cash, internal=internal)
        self.state.accounts[account_id] = account
        return account

    def submit(self, request: OrderRequest, now_ns: int) -> Accepted | Rejection:
        """Place an order: trade what crosses at the resting prices, then rest, or end as its time in force demands."""
        self.advance(now_ns)
        state = self.state
        refusal = admission.refuse_new(state, request)
        if refusal is not None:
            return refusal
        order = self._new_order(request)
        account = state.accounts[request.account]
        if request.reduce_only:
            self._cap_reduce_only(order, account)
        refusal = self._refuse_by_book(order, account)
        if refusal is not None:
            return refusal
        state.ledger.accept(order, internal=account.internal)
        if order.remaining == 0:
            self._execution.end_unfilled(order, "reduce_only")
            return Accepted(order)
        self._lifecycle.watch_expiry(order)
        return Accepted(order, self._execution.run(order))

    def _new_order(self, request: OrderRequest) -> Order:
        state = self.state
        return Order(
            order_id=state.new_id(),
            client_order_id=request.client_order_id,
            account=request.account,
            market_id=request.market_id,
            side=request.side,
            price=request.price,
            initial=request.size,
            remaining=request.size,
            tif=request.tif,
            self_trade=request.self_trade,
            post_only=request.post_only,
            reduce_only=request.reduce_only,
            expiration_ns=request.expiration_ns,
            group_id=request.group_id,
            cancel_on_pause=request.cancel_on_pause,
            arrival_ns=state.now_ns,
            updated_ns=state.now_ns,
            sequence=state.next_sequence(),
        )

    def _cap_reduce_only(self, order: Order, account: Account) -> None:
        """Cut a reduce-only order down to what the position allows."""
        spec = self.state.markets[order.market_id].spec
        allowed = COLLATERAL[spec.kind].reducible(account.position(order.market_id).net, order.side)
        order.remaining = min(order.remaining, allowed)

    def _refuse_by_book(self, order: Order, account: Account) -> Rejection | None:
        book = self.state.books[order.market_id]
        crosses = book.crosses(order.side, order.price)
        if order.post_only and crosses:
            return Rejection("post_only_crosses", "post only cross")
        if order.tif == "fok" and book.fillable(order) < order.remaining:
            return Rejection("fok_unfillable")
        spec = self.state.markets[order.market_id].spec
        return admission.refuse_balance(account, spec, order=order, crosses=crosses)

    def amend(self, request: AmendRequest, now_ns: int) -> Accepted | Rejection:
        """Change price, total size, expiry or client id of a resting order.

        Its place in the queue is kept when the price stays and the size does not grow; else it goes to the back, and
        trades at once if it then crosses (vendor docs). `Accepted.fills` are the fills of this act.
        """
        order = self._resting_order(request.account, request.order_id, now_ns=now_ns)
        if isinstance(order, Rejection):
            return order
        refusal = admission.refuse_amend(self.state, request, order=order)
        if refusal is not None:
            return refusal
        wanted = copy.copy(order)
        wanted.price, wanted.initial, wanted.remaining = request.price, request.size, request.size - order.filled
        refusal = self._refuse_by_book(wanted, self.state.accounts[order.account])
        if refusal is not None:
            return refusal
        if request.new_client_order_id and request.new_client_order_id != order.client_order_id:
            self.ledger.rename(order, request.new_client_order_id)
        if request.expiration_ns is not None:
            order.expiration_ns = request.expiration_ns
            self._lifecycle.watch_expiry(order)
        less = order.remaining - wanted.remaining
        if request.price == order.price and less >= 0:
            order.initial = request.size
            self._execution.shrink(order, less, reason="amended")
            return Accepted(order)
        self._execution.take_out(order)
        order.price, order.initial, order.remaining = wanted.price, wanted.initial, wanted.remaining
        order.reason = "amended"
        return Accepted(order, self._execution.run(order))

    def decrease(
        self, account: str, order_id: str, *, now_ns: int, reduce_by: int | None = None, reduce_to: int | None = None
    ) -> Accepted | Rejection:
        """Take contracts off a resting order, which keeps its place; give exactly one of the two sizes.

        Taking all that remains cancels it. `initial` stays what was asked for (*assumption*).
        """
        order = self._cancellable_order(account, order_id, now_ns=now_ns)
        if isinstance(order, Rejection):
            return order
        if (reduce_by is None) == (reduce_to is None):
            return Rejection("invalid_request", "exactly one of reduce_by and reduce_to is required")
        taken = reduce_by if reduce_by is not None else order.remaining - (reduce_to or 0)
        if not 0 < taken <= order.remaining or taken % self.state.markets[order.market_id].spec.size_step:
            return Rejection("invalid_size", f"cannot take {taken} off {order.remaining} remaining")
        if taken == order.remaining:
            self._execution.cancel(order, "cancelled")
        else:
            self._execution.shrink(order, taken, reason="decreased")
        return Accepted(order, (), taken)

    def cancel(self, account: str, order_id: str, *, now_ns: int) -> Accepted | Rejection:
        """End a resting order; `Accepted.reduced` is the size taken off.

        An order that has ended or belongs to another account is "not_found" (recorded answers).
        """
        order = self._cancellable_order(account, order_id, now_ns=now_ns)
        if isinstance(order, Rejection):
            return order
        return Accepted(order, (), self._execution.cancel(order, "cancelled"))

    def cancel_all(self, account: str, now_ns: int, *, market_id: str | None = None) -> list[Order]:
        """End every order of the account that may be cancelled now (in one market, when named); return them.

        Raises `KeyError` for an unknown account or market.
        """
        self.advance(now_ns)
        working = self.state.accounts[account].working
        ended = []
        for name in [market_id] if market_id is not None else list(working):
            if admission.refuse_cancel(self.state, self.state.markets[name]) is None:
                ended += list(working.get(name, {}).values())
        for order in ended:
            self._execution.cancel(order, "cancelled")
        return ended

    def _cancellable_order(self, account: str, order_id: str, *, now_ns: int) -> Order | Rejection:
        order = self._resting_order(account, order_id, now_ns=now_ns)
        if isinstance(order, Rejection):
            return order
        return admission.refuse_cancel(self.state, self.state.markets[order.market_id]) or order

    def _resting_order(self, account: str, order_id: str, *, now_ns: int) -> Order | Rejection:
        self.advance(now_ns)
        # The pause is checked first; which of the two codes the venue would prefer is an assumption.
        if self.state.phase == "exchange_paused":
            return Rejection("exchange_paused")
        order = self.ledger.orders.get(order_id)
        if order is None or order.account != account or order.status != "open":
            return Rejection("not_found")
        return order

    def withdraw(self, order: Order) -> None:
        """End an order by the venue's own rules, at the present time, also while it trades; for `OrderHook`s."""
        self._execution.withdraw(order)

    def set_phase(self, phase: Phase, now_ns: int) -> None:
        """Open or pause the exchange. A trading pause lets cancels through, an exchange pause nothing (vendor docs)."""
        self.advance(now_ns)
        self._lifecycle.set_phase(phase)

    def set_market(self, market_id: str, act: MarketAct, *, now_ns: int, value: int | None = None) -> Rejection | None:
        """Pause, resume, close, determine or settle a market at once; None when done.

        "determine" closes first, "settle" closes and determines first. `value` is the price per YES that they pay; None
        leaves it to the market's specification or to a draw. A market whose status does not allow the act gives the
        Rejection "invalid_request".
        """
        self.advance(now_ns)
        market = self.state.markets.get(market_id)
        if market is None:
            return Rejection("market_not_found", market_id)
        return self._lifecycle.act(market, act, value=value)

    def set_mark(self, market_id: str, price: int, *, now_ns: int) -> Rejection | None:
        """Set the mark price of a perpetual; None when done. No other kind of market has one."""
        self.advance(now_ns)
        if market_id not in self.state.markets:
            return Rejection("market_not_found", market_id)
        return Rejection("invalid_request", f"{market_id} has no mark price {price} to set")

    def deposit(self, account_id: str, currency: str, amount: int, *, now_ns: int) -> Rejection | None:
        """Bring `amount` of a cash account (money) or a base asset (sizes) in from outside; negative: take it out.

        Refused for an unknown account, and where it would leave less than the resting orders hold back.
        """
        self.advance(now_ns)
        account = self.state.accounts.get(account_id)
        if account is None:
            return Rejection("account_not_found", account_id)
        if account.available(currency) + amount < 0:
            return Rejection("insufficient_balance")
        account.deposit(currency, amount)
        self.state.record_flow(account, "transfer", currency=currency, amount=amount)
        return None

    def advance(self, now_ns: int) -> None:
        """Do what is due by `now_ns`: expiries, opens, closes, cancels after the close, determinations, payments."""
        self._lifecycle.advance(now_ns)

    def drain(self) -> list[Event]:
        """Take out every event since the last drain, in the order in which they happened."""
        events = self.state.events[:]
        self.state.events.clear()
        return events
