"""Getting strategies out of their positions at an operator's word, by limit orders within a collar and a time.

The scope is set reducing first and its orders are cancelled, so nothing that a strategy does works against it. Every
order passes the gate in the strategy's name. One order at a time works a position out: the next leaves when it is known
what became of the last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple

from framework.domain.account_events import (
    CancelRequested,
    OrderRequested,
    Scope,
    TradingState,
    TradingStateChanged,
)
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.intents import NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.operator_requests import OPERATOR, Answer, Flatten
from framework.domain.orders import Order, Side, TimeInForce
from framework.domain.ports import Clock
from framework.domain.verdicts import Refused
from framework.engine.kernel import Kernel

BETWEEN_LOOKS_S = 0.2
"""How often it is looked what is left."""
ORDER_NS_MAX = 1_000_000_000
"""So long an order rests, where the venue has no immediate-or-cancel."""
TIME_MS_MAX = 50_000
COLLAR_BPS_MAX = 1_000
_BPS = 10_000


class Held(NamedTuple):
    """A position of a strategy: signed and scaled."""

    strategy: str
    instrument: Instrument
    size: int

    @property
    def text(self) -> str:
        """Whose it is, and how much."""
        return f"{self.strategy} {self.instrument.id} {self.instrument.size_text(Size(self.size))}"


class Flattening:
    """Serves `Flatten`. Any number may be under way: two on one position leave one order at a time there."""

    def __init__(self, kernel: Kernel, clock: Clock, wait_durable: Callable[[], Awaitable[None]]) -> None:
        self._kernel = kernel
        self._clock = clock
        self._wait_durable = wait_durable
        self._parts = kernel.dependencies

    async def run(self, request: Flatten) -> Answer:
        """Do it, and say what became of each position; not done when some are left. Raises `JournalError`."""
        if not 0 < request.time_ms <= TIME_MS_MAX:
            return _no(f"--time: it may take up to {TIME_MS_MAX // 1000} seconds; {request.time_ms} ms can't be")
        if not 0 <= request.collar_bps <= COLLAR_BPS_MAX:
            return _no(f"--collar: 0 to {COLLAR_BPS_MAX} basis points; {request.collar_bps} can't be")
        begun = list(self._held(request))
        if request.is_dry_run:
            would = [f"would work out {one.text}" for one in begun]
            return Answer(is_ok=True, lines=("dry run: nothing is done", *(would or ["there is no position"])))
        self._stop_entry(request, begun)
        await self._wait_durable()
        whys = await self._work_out(request)
        left = {(one.strategy, one.instrument.id): one for one in self._held(request)}
        lines = [_outcome(one, left.get((one.strategy, one.instrument.id)), whys) for one in begun]
        scope = f" --{request.scope.value} {request.target}" if request.target else ""
        end = f"reducing stays set; `tidegate resume{scope} --reason …` ends it"
        return Answer(is_ok=not left, lines=(*(lines or ["there is no position"]), end))

    def _held(self, request: Flatten) -> Iterator[Held]:
        accounts = self._parts.accounts
        for (strategy, name), position in accounts.positions.strategies():
            instrument = accounts.instruments.get(name)
            if instrument is None or not position.size or name in accounts.settlements:
                continue
            names = {Scope.VENUE: instrument.venue, Scope.INSTRUMENT: name, Scope.STRATEGY: strategy}
            if request.scope is Scope.GLOBAL or names[request.scope] == request.target:
                yield Held(strategy, instrument, position.size)

    def _stop_entry(self, request: Flatten, begun: list[Held]) -> None:
        trading = self._parts.accounts.trading
        scopes = [(request.scope, request.target)]
        # A quarantined strategy is halted by that alone; set reducing itself, it can be got out of its position.
        scopes += [(Scope.STRATEGY, name) for name in {one.strategy for one in begun} if trading.is_quarantined(name)]
        for scope, target in dict.fromkeys(scopes):
            self._kernel.publish(
                TradingStateChanged(
                    scope=scope,
                    target=target,
                    state=TradingState.REDUCING,
                    reason=f"flatten: {request.reason}",
                    ts_recv=self._clock.now_ns(),
                    by=OPERATOR,
                    is_cancelling=True,
                )
            )

    async def _work_out(self, request: Flatten) -> dict[tuple[str, InstrumentId], str]:
        """Place orders until nothing is held or the time is over; why the last one of each position did not leave."""
        until_ns = self._clock.monotonic_ns() + request.time_ms * 1_000_000
        whys: dict[tuple[str, InstrumentId], str] = {}
        while True:
            held = list(self._held(request))
            if not held or self._clock.monotonic_ns() >= until_ns:
                break
            for one in held:
                whys[one.strategy, one.instrument.id] = self._next_order(one, request)
            await self._wait_durable()
            await asyncio.sleep(BETWEEN_LOOKS_S)
        for one in held:
            for order in self._open(one):
                self._cancel(order, request.reason)
        return whys

    def _open(self, one: Held) -> tuple[Order, ...]:
        return self._parts.accounts.orders.open(strategy=one.strategy, instrument=one.instrument.id)

    def _next_order(self, one: Held, request: Flatten) -> str:
        """Place the next order of a position, unless one may still trade; why none left, if so."""
        for order in self._open(one):
            if self._clock.now_ns() - order.created_ns > ORDER_NS_MAX and not order.cancel_wanted:
                self._cancel(order, request.reason)
            return f"{order.client_order_id} is {order.status.value}"
        price = self._price(one, request.collar_bps)
        if price is None:
            return "the book is not fresh, or its other side is empty"
        instrument, lot = one.instrument, one.instrument.lot
        size = min(abs(one.size), instrument.size_max or abs(one.size)) // lot * lot
        if size < max(instrument.size_min, lot):
            return "what is left is below the venue's smallest order"
        terms = self._parts.view.terms(instrument.venue)
        is_ioc = TimeInForce.IMMEDIATE_OR_CANCEL in terms.times_in_force
        intent = NewOrder(
            strategy=one.strategy,
            instrument=instrument.id,
            side=Side.SELL if one.size > 0 else Side.BUY,
            price=price,
            size=Size(size),
            time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL if is_ioc else TimeInForce.GOOD_TILL_CANCELLED,
            reduce_only=terms.reduce_only,
            allow_duplicate=True,
        )
        self._kernel.publish(OrderRequested(intent=intent, reason=request.reason, ts_recv=self._clock.now_ns()))
        verdict = self._kernel.requested
        return f"{verdict.code.value}: {verdict.detail}" if isinstance(verdict, Refused) else ""

    def _price(self, one: Held, collar_bps: int) -> Price | None:
        """The worst price that is taken: the other side's best, and the collar beyond it, at least a tick."""
        book, instrument = self._parts.books.of(one.instrument.id), one.instrument
        best = book.bid if one.size > 0 else book.ask
        if not book.is_fresh or best is None:
            return None
        slip = max(best * collar_bps // _BPS, instrument.tick_at(best) if collar_bps else 0)
        if one.size > 0:
            return instrument.round_up(Price(max(best - slip, 1)))
        return instrument.round_down(Price(best + slip))

    def _cancel(self, order: Order, reason: str) -> None:
        self._kernel.publish(
            CancelRequested(
                venue=order.venue,
                client_order_id=order.client_order_id,
                reason=f"flatten: {reason}",
                ts_recv=self._clock.now_ns(),
            )
        )


def _outcome(begun: Held, left: Held | None, whys: dict[tuple[str, InstrumentId], str]) -> str:
    if left is None:
        return f"{begun.text}: flat"
    why = whys.get((begun.strategy, begun.instrument.id)) or "its time was over"
    return f"{begun.text}: {left.instrument.size_text(Size(left.size))} is left: {why}"


def _no(why: str) -> Answer:
    return Answer(is_ok=False, lines=(why,))
