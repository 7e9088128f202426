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
from connectors.sandbox.engine.events import Event
from connectors.sandbox.engine.execution import Execution
from connectors.sandbox.engine.funding import Funding
from connectors.sandbox.engine.lifecycle import Lifecycle, MarketAct
from connectors.sandbox.engine.matching import Book
from connectors.sandbox.engine.model import (
    PPM,
    Accepted,
    AmendRequest,
    Fill,
    Market,
    MarketSpec,
    Order,
    OrderRequest,
    OrderStatus,
    Phase,
    Rejection,
)
from connectors.sandbox.engine.perpetual import Perpetuals
from connectors.sandbox.engine.price_grid import worst_price
from connectors.sandbox.engine.rules import Rules
from connectors.sandbox.engine.state import ExchangeState, Ledger
from connectors.sandbox.engine.triggers import Triggers, end_of

PLAIN = Rules()
"""The rules of an exchange that is given none."""


class Exchange:
    """Markets, accounts and orders of one venue.

    `state` is everything as it stands, `ledger` everything that happened. `outcomes` may be given a fair value per
    market (price units), by which markets without a fixed settlement value are determined. `rng` fixes the identifiers
    and the drawn outcomes. `rules` are the venue's; the default ones cancel and refuse nothing of themselves.
    """

    def __init__(self, rng: random.Random, *, now_ns: int, rules: Rules = PLAIN) -> None:
        self.state = ExchangeState(rng, now_ns, rules)
        self._rng = rng
        self._execution = Execution(self.state)
        self._lifecycle = Lifecycle(self.state, self._execution, rng=rng)
        self._triggers = Triggers(self.state, self._start_waiting)
        self._perpetuals = Perpetuals(self.state, self._execution)
        self._funding = Funding(self.state, self._execution, self._perpetuals, self._lifecycle.at)
        self.ledger: Ledger = self.state.ledger
        self.outcomes = self._lifecycle.outcomes

    def add_market(self, spec: MarketSpec, now_ns: int) -> Market:
        """List a market; it opens and closes by its own timetable.

        Raises `ValueError` when the market id is taken, or when a market that draws on the same cash account or base
        asset counts it in other units.
        """
        if spec.market_id in self.state.markets:
            raise ValueError(f"market_id {spec.market_id} is listed already; choose another")
        self._check_units(spec)
        self.advance(now_ns)
        market = Market(spec=spec, close_ns=spec.close_ns)
        self.state.markets[spec.market_id] = market
        self.state.books[spec.market_id] = Book()
        if spec.kind == "perpetual":
            self._perpetuals.list_market(market)
            self._funding.list_market(market)
        self._lifecycle.list_market(market)
        return market

    def _check_units(self, spec: MarketSpec) -> None:
        counted = {spec.cash_account: spec.price_decimals + spec.size_decimals}
        if spec.base:
            counted[spec.base] = spec.size_decimals
        if spec.fees.currency:
            counted[spec.fees.currency] = spec.price_decimals + spec.size_decimals
        for currency, decimals in counted.items():
            known = self.state.decimals.setdefault(currency, decimals)
            if known != decimals:
                raise ValueError(f"{spec.market_id} counts {currency} in {decimals} decimals; others have {known}")

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
        """Place an order: trade what crosses at the resting prices, then rest, or end as its time in force demands.

        One whose trigger has not come yet waits for it.
        """
        self.advance(now_ns)
        state = self.state
        refusal = admission.refuse_new(state, request)
        if refusal is not None:
            return refusal
        order = self._new_order(request)
        waits = not self._triggers.is_met(order)
        refusal = None if waits else self._fit(order)
        if refusal is not None:
            return refusal
        state.ledger.accept(order, internal=state.accounts[order.account].internal)
        self._lifecycle.watch_expiry(order)
        if waits:
            self._triggers.watch(order)
            return Accepted(order)
        fills = self._start(order)
        self._follow_up()
        return Accepted(order, fills)

    def _new_order(self, request: OrderRequest) -> Order:
        state = self.state
        return Order(
            order_id=state.new_id(),
            client_order_id=request.client_order_id,
            account=request.account,
            market_id=request.market_id,
            side=request.side,
            price=request.price or worst_price(state.markets[request.market_id].spec, request.side),
            initial=request.size,
            remaining=request.size,
            tif=request.tif,
            self_trade=request.self_trade or state.rules.self_trade,
            post_only=request.post_only,
            reduce_only=request.reduce_only,
            expiration_ns=request.expiration_ns,
            group_id=request.group_id,
            cancel_on_pause=request.cancel_on_pause,
            arrival_ns=state.now_ns,
            updated_ns=state.now_ns,
            sequence=state.next_sequence(),
            kind=request.kind,
            quote_amount=request.quote_amount,
            trigger=request.trigger,
        )

    def _fit(self, order: Order) -> Rejection | None:
        """Bring an order that starts now to its size, and ask book and balance."""
        if order.quote_amount:
            order.initial = order.remaining = self._execution.affordable(order)
        if order.reduce_only:
            order.remaining = min(order.remaining, self._execution.closable(order))
        return self._refuse_by_book(order)

    def _start(self, order: Order) -> tuple[Fill, ...]:
        """Let an accepted order trade and rest, or end it where nothing is left of it or not all can be had."""
        if order.remaining == 0:
            self._execution.end_unfilled(order, "reduce_only" if order.reduce_only else "unfilled")
            return ()
        if order.tif == "fok" and self._execution.estimate(order)[0] < order.remaining:
            self._execution.end_unfilled(order, "unfilled")
            return ()
        return self._execution.run(order)

    def _start_waiting(self, order: Order) -> None:
        refusal = self._fit(order)
        if refusal is None:
            self._start(order)
        else:
            self._execution.end_unfilled(order, end_of(refusal))

    def _follow_up(self) -> None:
        """What a moved price brings about: waiting orders start, positions are liquidated."""
        self._triggers.fire()
        self._perpetuals.liquidate_due()

    def _refuse_by_book(self, order: Order) -> Rejection | None:
        state = self.state
        crosses = state.books[order.market_id].crosses(order.side, order.price)
        if order.post_only and crosses:
            return Rejection("post_only_crosses", "post only cross")
        if order.tif == "fok" and state.rules.refuses_unfillable_fok:
            if self._execution.estimate(order)[0] < order.remaining:
                return Rejection("fok_unfillable")
        spec = state.markets[order.market_id].spec
        worst = self._at_worst(order, spec) if crosses or order.kind == "market" else order
        return admission.refuse_balance(state.accounts[order.account], spec, order=worst, crosses=crosses)

    def _at_worst(self, order: Order, spec: MarketSpec) -> Order:
        """The order as the balance must cover it when it trades at once.

        A market order has no price of its own: its estimated cost and the market's margin on top count. A short of a
        perpetual needs more margin at a better price.
        """
        worst = copy.copy(order)
        if order.kind == "market":
            size, cost = self._execution.estimate(order)
            worst.remaining = size
            worst.price = -(-cost * (PPM + spec.market_margin_ppm) // (PPM * size)) if size else order.price
        elif spec.kind == "perpetual" and order.side == "ask":
            worst.price = max(order.price, self.state.books[order.market_id].best("bid") or 0)
        return worst

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
        refusal = self._refuse_by_book(wanted)
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
        fills = self._execution.run(order)
        self._follow_up()
        return Accepted(order, fills)

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
            self._cancel(order)
        else:
            self._execution.shrink(order, taken, reason="decreased")
        return Accepted(order, (), taken)

    def cancel(self, account: str, order_id: str, *, now_ns: int) -> Accepted | Rejection:
        """End an order that rests or waits; `Accepted.reduced` is the size taken off.

        Where cancels take time it is "cancelling" first, may still trade, and nothing is taken off yet. An order that
        has ended or belongs to another account is "not_found" (recorded answers).
        """
        order = self._cancellable_order(account, order_id, now_ns=now_ns, also="pending_trigger")
        if isinstance(order, Rejection):
            return order
        return Accepted(order, (), self._cancel(order))

    def cancel_all(self, account: str, now_ns: int, *, market_id: str | None = None) -> list[Order]:
        """End every order of the account that may be cancelled now (in one market, when named); return them.

        Raises `KeyError` for an unknown account or market.
        """
        self.advance(now_ns)
        owner, markets = self.state.accounts[account], self.state.markets
        names = list(markets) if market_id is None else [market_id]
        allowed = {name for name in names if admission.refuse_cancel(self.state, markets[name]) is None}
        live = [order for orders in owner.working.values() for order in orders.values()]
        live += self._triggers.of_account(account)
        ended = [order for order in live if order.market_id in allowed and order.status != "cancelling"]
        for order in ended:
            self._cancel(order)
        return ended

    def _cancel(self, order: Order) -> int:
        """End an order by its owner's wish, now or when cancels are done; return what is taken off it now."""
        state = self.state
        delay_ns = self._cancel_delay_ns(order)
        if delay_ns == 0:
            return self._execution.cancel(order, "cancelled")
        order.status = "cancelling"
        order.updated_ns = state.now_ns
        state.order_changed(order)
        self._lifecycle.at(state.now_ns + delay_ns, self._finish_cancel, target=order.order_id)
        return 0

    def _cancel_delay_ns(self, order: Order) -> int:
        rules, state = self.state.rules, self.state
        if order.status == "pending_trigger" or state.accounts[order.account].internal:
            return 0
        drawn = self._rng.randint(rules.cancel_min_ns, rules.cancel_max_ns) if rules.cancel_max_ns else 0
        return max(drawn, state.cancel_delay_ns)

    def _finish_cancel(self, order_id: str) -> None:
        order = self.ledger.orders.get(order_id)
        if order is not None and order.status == "cancelling":
            self._execution.cancel(order, "cancelled")

    def _cancellable_order(
        self, account: str, order_id: str, *, now_ns: int, also: OrderStatus = "open"
    ) -> Order | Rejection:
        order = self._resting_order(account, order_id, now_ns=now_ns, also=also)
        if isinstance(order, Rejection):
            return order
        return admission.refuse_cancel(self.state, self.state.markets[order.market_id]) or order

    def _resting_order(
        self, account: str, order_id: str, *, now_ns: int, also: OrderStatus = "open"
    ) -> Order | Rejection:
        self.advance(now_ns)
        # The pause is checked first; which of the two codes the venue would prefer is an assumption.
        if self.state.phase == "exchange_paused":
            return Rejection("exchange_paused")
        order = self.ledger.orders.get(order_id)
        if order is None or order.account != account or order.status not in ("open", also, "cancelling"):
            return Rejection("not_found")
        return order if order.status != "cancelling" else Rejection("cancel_pending")

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
        market = self._market(market_id, now_ns)
        return market if isinstance(market, Rejection) else self._lifecycle.act(market, act, value=value)

    def set_mark(self, market_id: str, price: int, *, now_ns: int) -> Rejection | None:
        """Set the mark and index price of a perpetual, and do what that brings about; None when done."""
        market = self._market(market_id, now_ns)
        if isinstance(market, Rejection):
            return market
        refusal = self._perpetuals.set_mark(market, price)
        if refusal is None:
            self._follow_up()
        return refusal

    def fund(self, market_id: str, *, now_ns: int, rate_ppm: int | None = None) -> Rejection | None:
        """Pay the funding of a perpetual now, at a rate in parts per million (None: its present one)."""
        market = self._market(market_id, now_ns)
        return market if isinstance(market, Rejection) else self._funding.pay(market, rate_ppm)

    def liquidate(self, account_id: str, market_id: str, *, now_ns: int) -> Rejection | None:
        """Liquidate the position of an account in a perpetual at its mark now; None when done."""
        held = self._held(account_id, market_id, now_ns)
        return held if isinstance(held, Rejection) else self._perpetuals.liquidate(*held)

    def set_leverage(
        self, account_id: str, market_id: str, leverage: int, *, now_ns: int, force: bool = False
    ) -> Rejection | None:
        """Choose at which leverage an account opens in a perpetual from now on; what is open keeps its margin.

        "position_open" with an open position unless `force`; "insufficient_balance" when resting orders need more then.
        """
        held = self._held(account_id, market_id, now_ns)
        return held if isinstance(held, Rejection) else self._perpetuals.set_leverage(*held, leverage, force=force)

    def _market(self, market_id: str, now_ns: int) -> Market | Rejection:
        self.advance(now_ns)
        return self.state.markets.get(market_id) or Rejection("market_not_found", market_id)

    def _account(self, account_id: str) -> Account | Rejection:
        return self.state.accounts.get(account_id) or Rejection("account_not_found", account_id)

    def _held(self, account_id: str, market_id: str, now_ns: int) -> tuple[Account, Market] | Rejection:
        """An account and a market, as the acts on a position name them."""
        market, account = self._market(market_id, now_ns), self._account(account_id)
        if isinstance(market, Rejection):
            return market
        return account if isinstance(account, Rejection) else (account, market)

    def deposit(self, account_id: str, currency: str, amount: int, *, now_ns: int) -> Rejection | None:
        """Bring `amount` of a cash account (money) or a base asset (sizes) in from outside; negative: take it out.

        Refused for an unknown account, and where it would leave less than the resting orders hold back.
        """
        self.advance(now_ns)
        account = self._account(account_id)
        if isinstance(account, Rejection):
            return account
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
