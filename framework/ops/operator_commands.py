"""The operator's hand on a running daemon: what a person asks becomes kernel events, and the answer is given when
they are durable.

Nothing is done here that a replay or a recovery would not see: each order of the operator is an event, recorded like
a fill, and the kernel acts on it.
"""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any

import msgspec

from framework.domain.account_events import (
    CancelRequested,
    OrderAdopted,
    OrderSnapshot,
    OrphanIgnored,
    Scope,
    TradingState,
    TradingStateChanged,
)
from framework.domain.errors import JournalError, OutcomeUnknown, RefusedByVenue, Retryable, TidegateError
from framework.domain.operator_requests import (
    AdoptOrphan,
    Answer,
    CancelOrders,
    CancelOrphan,
    IgnoreOrphan,
    Reconcile,
    Request,
    SetTradingState,
)
from framework.domain.orders import Order, TimeInForce
from framework.domain.ports import Clock
from framework.engine.kernel import Kernel
from framework.reconciliation.differences import Difference
from framework.reconciliation.reconciler import Reconciler

OPERATOR = "operator"
"""In whose name orphans are adopted that nobody wants but to end them."""

_PREFIX_MIN = 4


class NotDone(TidegateError):
    """What was asked can't be done; the message says why and what to do instead."""


class OperatorParts(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator's hand needs. `reconcilers` by venue, as far as they are made; `strategies` are the configured
    ones; `wait_durable` returns once everything recorded so far is durable."""

    kernel: Kernel
    clock: Clock
    reconcilers: Callable[[], Mapping[str, Reconciler]]
    strategies: Collection[str]
    wait_durable: Callable[[], Awaitable[None]]


class Operator:
    """Answers requests, one at a time. `answer` never raises for what a person asked."""

    def __init__(self, parts: OperatorParts) -> None:
        self._parts = parts
        self._accounts = parts.kernel.parts.accounts
        self._handlers: dict[type, Callable[[Any], Awaitable[Answer]]] = {
            SetTradingState: self._set_trading_state,
            CancelOrders: self._cancel_orders,
            AdoptOrphan: self._adopt_orphan,
            CancelOrphan: self._cancel_orphan,
            IgnoreOrphan: self._ignore_orphan,
            Reconcile: self._reconcile,
        }

    async def answer(self, request: Request) -> Answer:
        """Do what is asked, and say what was done."""
        try:
            return await self._handlers[type(request)](request)
        except JournalError as e:
            return Answer(is_ok=False, lines=(f"it holds now but not after a restart: {e}",))
        except NotDone as e:
            return Answer(is_ok=False, lines=(str(e),))

    async def _set_trading_state(self, request: SetTradingState) -> Answer:
        if request.state is TradingState.ACTIVE and not request.reason.strip():
            raise NotDone('resume needs a reason, which is recorded: --reason "…"')
        self._check_target(request.scope, request.target)
        await self._publish(
            TradingStateChanged(
                scope=request.scope,
                target=request.target,
                state=request.state,
                reason=request.reason or "by the operator",
                ts_recv=self._parts.clock.now_ns(),
            )
        )
        lines = [f"{_scope_text(request.scope, request.target)} is {request.state.value}"]
        rows = self._accounts.trading.rows()
        lines += [
            f"{_scope_text(row.scope, row.target)} is {row.state.value} ({row.reason})"
            for row in rows
            if (row.scope, row.target) != (request.scope, request.target)
        ]
        if request.state is not TradingState.ACTIVE and (resting := self._accounts.orders.open_count()):
            lines.append(f"{resting} orders are open and stay so; `tidegate cancel --all` ends them")
        return Answer(is_ok=True, lines=tuple(lines), data=[msgspec.structs.asdict(row) for row in rows])

    async def _cancel_orders(self, request: CancelOrders) -> Answer:
        if [bool(request.order), bool(request.strategy), request.is_all].count(True) != 1:
            raise NotDone("cancel: name one order, or --strategy S, or --all")
        orders = self._orders_to_cancel(request)
        now_ns = self._parts.clock.now_ns()
        await self._publish(
            *(
                CancelRequested(
                    venue=order.venue, client_order_id=order.client_order_id, reason=request.reason, ts_recv=now_ns
                )
                for order in orders
            )
        )
        lines = [f"{order.client_order_id} of {order.strategy}: {order.status.value}" for order in orders]
        return Answer(
            is_ok=True,
            lines=(f"cancel asked for {len(orders)} open orders", *lines),
            data=[order.client_order_id for order in orders],
        )

    async def _adopt_orphan(self, request: AdoptOrphan) -> Answer:
        self._check_known("strategy", request.strategy, self._strategies())
        orphan = self._orphan(request.order)
        order = await self._adopt(orphan, request.strategy)
        line = f"{orphan.venue_order_id} is now {order.client_order_id} of {request.strategy}: {order.status.value}"
        return Answer(is_ok=True, lines=(line,), data=order.client_order_id)

    async def _cancel_orphan(self, request: CancelOrphan) -> Answer:
        orphan = self._orphan(request.order)
        order = await self._adopt(orphan, OPERATOR)
        await self._publish(
            CancelRequested(
                venue=order.venue,
                client_order_id=order.client_order_id,
                reason=request.reason,
                ts_recv=self._parts.clock.now_ns(),
            )
        )
        line = f"cancel asked for {orphan.venue_order_id}, now {order.client_order_id} of {OPERATOR}"
        return Answer(is_ok=True, lines=(line,), data=order.client_order_id)

    async def _ignore_orphan(self, request: IgnoreOrphan) -> Answer:
        orphan = self._orphan(request.order)
        await self._publish(
            OrphanIgnored(
                venue=orphan.venue,
                venue_order_id=orphan.venue_order_id,
                reason=request.reason,
                ts_recv=self._parts.clock.now_ns(),
            )
        )
        return Answer(is_ok=True, lines=(f"{orphan.venue_order_id} stays at {orphan.venue} and is not shown again",))

    async def _reconcile(self, request: Reconcile) -> Answer:
        """Compare now. Not done when a venue can't be asked; what the others said is told all the same."""
        differences: list[Difference] = []
        troubles: list[str] = []
        for venue, reconciler in self._parts.reconcilers().items():
            try:
                differences += await (reconciler.dry_run() if request.is_dry_run else reconciler.settled())
            except (Retryable, OutcomeUnknown, RefusedByVenue) as e:
                troubles.append(f"{venue} can't be asked now: {e}")
        now_ns, monotonic_ns = self._parts.clock.now_ns(), self._parts.clock.monotonic_ns()
        lines = [one.text for one in differences] or ([] if troubles else ["the venues and we agree"])
        return Answer(
            is_ok=not troubles,
            lines=(*troubles, *lines),
            data=[one.fields(now_ns=now_ns, monotonic_ns=monotonic_ns) for one in differences],
        )

    async def _adopt(self, orphan: OrderSnapshot, strategy: str) -> Order:
        await self._publish(
            OrderAdopted(
                venue=orphan.venue,
                venue_order_id=orphan.venue_order_id,
                client_order_id=orphan.client_order_id,
                strategy=strategy,
                instrument=orphan.instrument,
                side=orphan.side,
                price=orphan.price,
                size=orphan.size,
                filled=orphan.filled,
                time_in_force=TimeInForce.GOOD_TILL_CANCELLED,
                ts_recv=self._parts.clock.now_ns(),
            )
        )
        order = self._accounts.orders.by_venue_id(orphan.venue, orphan.venue_order_id)
        if order is None:
            raise NotDone(f"{orphan.venue_order_id} is adopted and still unknown: see `tidegate journal verify`")
        return order

    async def _publish(self, *events: TradingStateChanged | OrderAdopted | OrphanIgnored | CancelRequested) -> None:
        """Have the kernel take the events in, and return when they are durable. Raises `JournalError`."""
        for event in events:
            self._parts.kernel.publish(event)
        await self._parts.wait_durable()

    def _orphan(self, name: str) -> OrderSnapshot:
        """The orphan whose venue id is `name` or begins with it, ignored ones included."""
        venues = self._parts.kernel.parts.outboxes
        orphans = [
            one for venue in venues for is_ignored in (False, True)
            for one in self._accounts.strangers(venue, ignored=is_ignored)
        ]  # fmt: skip
        exact = [one for one in orphans if one.venue_order_id == name]
        found = exact or [one for one in orphans if len(name) >= _PREFIX_MIN and one.venue_order_id.startswith(name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise NotDone(f'"{name}" begins the ids of {len(found)} orphans; give more of it')
        ids = [one.venue_order_id for one in orphans]
        raise NotDone(f'there is no orphan "{name}"{_closest(name, ids)}; `tidegate orphans` lists them')

    def _orders_to_cancel(self, request: CancelOrders) -> tuple[Order, ...]:
        orders = self._accounts.orders
        if request.is_all:
            return orders.open()
        if request.strategy:
            self._check_known("strategy", request.strategy, self._strategies())
            return orders.open(strategy=request.strategy)
        found = orders.get(request.order)
        for venue in self._parts.kernel.parts.outboxes:
            found = found or orders.by_venue_id(venue, request.order)
        if found is None:
            close = _closest(request.order, [order.client_order_id for order in orders.open()])
            raise NotDone(f'there is no order "{request.order}" of ours{close}; see `tidegate orders --open`')
        if not found.is_open:
            raise NotDone(f"{found.client_order_id} has ended: {found.status.value}; there is nothing to cancel")
        return (found,)

    def _check_target(self, scope: Scope, target: str) -> None:
        if scope is Scope.GLOBAL:
            if target:
                raise NotDone(f'the global scope has no target, and "{target}" was given; name a scope')
        elif scope is Scope.VENUE:
            self._check_known("venue", target, self._parts.kernel.parts.outboxes)
        elif scope is Scope.INSTRUMENT:
            self._check_known("instrument", target, self._accounts.instruments)
        else:
            self._check_known("strategy", target, self._strategies())

    def _strategies(self) -> set[str]:
        """The configured ones, and those of earlier configurations that still have open orders or a state."""
        rows = self._accounts.trading.rows()
        return {
            *self._parts.strategies,
            *(order.strategy for order in self._accounts.orders.open()),
            *(row.target for row in rows if row.scope is Scope.STRATEGY),
        }

    @staticmethod
    def _check_known(what: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        if name not in names:
            shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
            raise NotDone(f'there is no {what} "{name}"{_closest(name, names)}; there are: {shown or "none"}')


def _scope_text(scope: Scope, target: str) -> str:
    return f"{scope.value} {target}" if target else "everything"


def _closest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else ""
