"""The exchange's timetable: markets open, close, are determined and paid; orders expire; operators pause and resume.

The steps and their order are the venue's (vendor docs); the time between them is the market's own.
"""

import random
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Literal

from connectors.sandbox.engine.collateral import COLLATERAL
from connectors.sandbox.engine.events import LifecycleKind, MarketLifecycle, SettlementEvent
from connectors.sandbox.engine.execution import Execution
from connectors.sandbox.engine.model import Market, Order, Phase, Rejection, Settlement, UpdateReason
from connectors.sandbox.engine.rules import Halted
from connectors.sandbox.engine.state import ExchangeState

MarketAct = Literal["pause", "resume", "close", "determine", "settle"]


class Lifecycle:
    """Timers in one heap, run in order of time and then of registration.

    `outcomes` may hold a fair value per market in price units: the chance by which an open outcome is drawn.
    """

    def __init__(self, state: ExchangeState, execution: Execution, *, rng: random.Random) -> None:
        self.outcomes: dict[str, int] = {}
        self._state = state
        self._execution = execution
        self._rng = rng
        self._heap: list[tuple[int, int, Callable[[str], None], str]] = []
        self._timers = 0

    def advance(self, now_ns: int) -> None:
        """Do everything due up to `now_ns`, each at its own time; then the engine's time is `now_ns`, or later."""
        state = self._state
        while self._heap and self._heap[0][0] <= now_ns:
            due_ns, _, act, target = heappop(self._heap)
            state.now_ns = max(state.now_ns, due_ns)
            act(target)
        state.now_ns = max(state.now_ns, now_ns)

    def list_market(self, market: Market) -> None:
        """Announce a new market and start its timetable; it opens at once when its time has come."""
        spec = market.spec
        self._publish(market, "created")
        self.at(spec.open_ns, self._open, target=spec.market_id)
        if spec.close_ns:
            self.at(spec.close_ns, self._close_on_time, target=spec.market_id)
        self.advance(self._state.now_ns)

    def watch_expiry(self, order: Order) -> None:
        """Cancel the order when its expiration comes, if it has one; a later amend of the expiry overrides it."""
        if order.expiration_ns:
            self.at(order.expiration_ns, self._expire, target=order.order_id)

    def set_phase(self, phase: Phase) -> None:
        """Open or pause the whole exchange; entering a pause cancels the orders that asked for it."""
        state = self._state
        entering_pause = state.phase == "open" and phase != "open"
        state.phase = phase
        if entering_pause:
            for market_id in state.markets:
                self._cancel_resting(market_id, "halted", which=state.rules.pause_cancels)

    def act(self, market: Market, act: MarketAct, *, value: int | None) -> Rejection | None:
        """Do what an operator asks; None when done. `value` is the price paid per YES for "determine" and "settle"."""
        if value is not None and (value < 0 or (market.spec.kind == "binary" and value > market.spec.one)):
            return Rejection("invalid_request", f"settlement value {value} must be from 0 to {market.spec.one}")
        allowed = {
            "pause": ("active",),
            "resume": ("inactive",),
            "close": ("initialized", "active", "inactive"),
            "determine": ("initialized", "active", "inactive", "closed"),
            "settle": ("initialized", "active", "inactive", "closed", "determined"),
        }[act]
        if market.status not in allowed:
            return Rejection("invalid_request", f"cannot {act} a market that is {market.status}")
        match act:
            case "pause":
                self._pause(market)
            case "resume":
                self._resume(market)
            case "close":
                self._close(market)
            case "determine":
                self._close(market)
                self._determine(market, value)
            case "settle":
                self._close(market)
                self._determine(market, value)
                self._pay(market)
        return None

    def at(self, due_ns: int, act: Callable[[str], None], *, target: str) -> None:
        """Call `act` with `target` when the time has come; a call cannot be taken back."""
        self._timers += 1
        heappush(self._heap, (due_ns, self._timers, act, target))

    def _publish(self, market: Market, kind: LifecycleKind) -> None:
        market.updated_ns = self._state.now_ns
        self._state.events.append(MarketLifecycle(market.market_id, kind, self._state.now_ns))

    def _open(self, market_id: str) -> None:
        market = self._state.markets[market_id]
        if market.status == "initialized":
            market.status = "active"
            self._publish(market, "opened")

    def _pause(self, market: Market) -> None:
        market.status = "inactive"
        self._publish(market, "deactivated")
        self._cancel_resting(market.market_id, "halted", which=self._state.rules.pause_cancels)

    def _resume(self, market: Market) -> None:
        self._cancel_resting(market.market_id, "halted", which=self._state.rules.resume_cancels)
        market.status = "active"
        self._publish(market, "activated")

    # A timer may find that an operator has done its step already, or moved it: each checks before it acts.

    def _close_on_time(self, market_id: str) -> None:
        market = self._state.markets[market_id]
        if market.close_ns <= self._state.now_ns:
            self._close(market)

    def _close(self, market: Market) -> None:
        if market.status not in ("initialized", "active", "inactive"):
            return
        now_ns = self._state.now_ns
        # Closed early by an operator: only then does the close time change.
        if market.close_ns == 0 or market.close_ns > now_ns:
            market.close_ns = now_ns
            self._publish(market, "close_date_updated")
        market.status = "closed"
        self._publish(market, "closed")
        spec = market.spec
        self.at(now_ns + spec.cancel_delay_ns, self._cancel_closed, target=spec.market_id)
        self.at(now_ns + spec.determine_delay_ns, self._determine_on_time, target=spec.market_id)

    def _cancel_closed(self, market_id: str) -> None:
        self._cancel_resting(market_id, "closed", which="all")

    def _determine_on_time(self, market_id: str) -> None:
        market = self._state.markets[market_id]
        if market.status == "closed":
            self._determine(market, None)

    def _determine(self, market: Market, value: int | None) -> None:
        if market.status != "closed":
            return
        self._cancel_closed(market.market_id)
        market.settle_value = self._outcome(market) if value is None else value
        market.determined_ns = self._state.now_ns
        market.status = "determined"
        self._publish(market, "determined")
        self.at(self._state.now_ns + market.spec.settle_delay_ns, self._pay_on_time, target=market.market_id)

    def _outcome(self, market: Market) -> int:
        """The value fixed beforehand, else YES with the probability that the fair value (or last price) gives.

        A market that is not binary ends at its mark or last price.
        """
        spec = market.spec
        if spec.settle_value >= 0:
            return spec.settle_value
        if spec.kind != "binary":
            return market.reference_price
        chance = self.outcomes.get(spec.market_id, market.last_price)
        return spec.one if self._rng.randrange(spec.one) < chance else 0

    def _pay_on_time(self, market_id: str) -> None:
        market = self._state.markets[market_id]
        if market.status == "determined":
            self._pay(market)

    def _pay(self, market: Market) -> None:
        state = self._state
        spec = market.spec
        for account in state.accounts.values():
            position = account.positions.get(spec.market_id)
            if position is None or position.net == 0:
                continue
            net, cost = position.net, position.cost
            paid = COLLATERAL[spec.kind].settle(spec, position, value=market.settle_value)
            account.apply({spec.cash_account: paid})
            account.hold(spec)
            if spec.kind == "perpetual":
                state.cover(account, spec.cash_account)
            state.position_changed(account, spec.market_id)
            if not account.internal:
                settlement = Settlement(
                    account=account.account_id,
                    market_id=spec.market_id,
                    net=net,
                    cost=cost,
                    revenue=paid,
                    value=market.settle_value,
                    fees=position.fees,
                    ns=state.now_ns,
                )
                state.ledger.settlements.append(settlement)
                state.events.append(SettlementEvent(settlement))
        market.open_interest = 0
        market.settled_ns = state.now_ns
        market.status = "finalized"
        self._publish(market, "settled")

    def _expire(self, order_id: str) -> None:
        order = self._state.ledger.orders.get(order_id)
        if order is None or order.status == "ended":
            return
        # Timers stay in the heap when an amend moves or clears the expiry; the order's own field decides.
        if 0 < order.expiration_ns <= self._state.now_ns:
            self._execution.cancel(order, "expired")

    def _cancel_resting(self, market_id: str, reason: UpdateReason, *, which: Halted) -> None:
        """End the orders of a market that rest, in the order of the book, and those that wait for their trigger."""
        book = self._state.books[market_id]
        for order in [*book.orders("bid"), *book.orders("ask"), *self._state.pending.values()]:
            if order.market_id == market_id and (which == "all" or (which == "marked" and order.cancel_on_pause)):
                self._execution.cancel(order, reason)
