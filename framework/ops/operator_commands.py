"""What the daemon does with an operator's request: it becomes kernel events, and is answered when they are durable.

Nothing is done here that a replay or a recovery would not see: each order of the operator is an event, recorded like
a fill, and the kernel acts on it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from framework.domain.account_events import (
    CancelAllRequested,
    CancelRequested,
    ExternalOrderIgnored,
    LimitChanged,
    OrderAdopted,
    OrderSnapshot,
    Scope,
    TradingState,
    TradingStateChanged,
)
from framework.domain.errors import (
    AccountRefused,
    ConfigurationError,
    JournalError,
    OutcomeUnknown,
    RefusedByVenue,
    Retryable,
    TidegateError,
    hint,
)
from framework.domain.operator_requests import (
    BY_THE_OPERATOR,
    NAME_ONE,
    OPERATOR,
    WHOSE_EXTERNAL,
    AcknowledgeAlerts,
    AdoptExternalOrder,
    Answer,
    CancelExternalOrder,
    CancelOrders,
    Flatten,
    IgnoreExternalOrder,
    Kill,
    MoveFunds,
    Reconcile,
    Request,
    SendTestAlert,
    SetLimit,
    SetTradingState,
    ShowAlerts,
    ShowFundMove,
    ShowLimits,
    ShowStatus,
)
from framework.domain.orders import Order, OrderStatus
from framework.domain.ports import Clock
from framework.engine.kernel import Kernel
from framework.ops.alerts.alerts import Alerts
from framework.ops.flatten import Flattening
from framework.ops.fund_moves import FundMoves
from framework.ops.kill_watch import KillWatch
from framework.ops.limit_changes import LimitChanges
from framework.ops.status import Status
from framework.reconciliation.differences import Difference, reconcile_answer
from framework.reconciliation.external_orders import adoption
from framework.reconciliation.reconciler import Reconciler
from framework.runtime.clock import system_rng
from framework.runtime.kill_latch import EVERYTHING, KillLatch
from framework.state.trading_states import ScopedState

_PREFIX_MIN = 4
"""Shortest beginning of a venue's order id that may stand for it, in characters."""


FOR_MS_MAX = 366 * 86_400_000
"""The longest time for which a trading state is set, in milliseconds: a year."""

DRY_RUN = "dry run: nothing is done"


class NotDone(TidegateError):
    """What was asked can't be done; the message says why and what to do instead."""


class OperatorDependencies(msgspec.Struct, frozen=True, kw_only=True):
    """What `Operator` needs. `reconcilers` by venue, as far as they are made; `strategies` are the configured ones;
    `wait_durable` returns once everything recorded so far is durable; `read_status` is quick and changes nothing.
    `fund_moves` None: no funds are moved; `alerts` None: nobody looks for alerts; `kill_watch` None: there is no
    latch."""

    kernel: Kernel
    clock: Clock
    reconcilers: Callable[[], Mapping[str, Reconciler]]
    strategies: Collection[str]
    wait_durable: Callable[[], Awaitable[None]]
    read_status: Callable[[], Status] = Status
    fund_moves: FundMoves | None = None
    alerts: Alerts | None = None
    kill_watch: KillWatch | None = None


class Operator:
    """Serves requests, one at a time. A new request has its place in the table of handlers below."""

    def __init__(self, dependencies: OperatorDependencies) -> None:
        self._dependencies = dependencies
        self._accounts = dependencies.kernel.dependencies.accounts
        self._flattening = Flattening(dependencies.kernel, dependencies.clock, dependencies.wait_durable)
        self._limits = LimitChanges(dependencies.kernel.dependencies.limits, dependencies.clock, system_rng())
        self._handlers: dict[type, Callable[[Any], Awaitable[Answer]]] = {
            SetTradingState: self._set_trading_state,
            CancelOrders: self._cancel_orders,
            AdoptExternalOrder: self._adopt_external_order,
            CancelExternalOrder: self._cancel_external_order,
            IgnoreExternalOrder: self._ignore_external_order,
            Reconcile: self._reconcile,
            ShowStatus: self._show_status,
            MoveFunds: self._move_funds,
            ShowFundMove: self._show_fund_move,
            SetLimit: self._set_limit,
            ShowLimits: self._show_limits,
            Flatten: self._flatten,
            ShowAlerts: lambda request: self._alerts.show(request),
            AcknowledgeAlerts: lambda request: self._alerts.acknowledge(request),
            SendTestAlert: lambda request: self._alerts.send_test(request),
            Kill: self._kill,
        }

    async def answer(self, request: Request) -> Answer:
        """Do what is asked, and say what was done; `is_ok` False says why it was not. Raises only for defects."""
        try:
            return await self._handlers[type(request)](request)
        except JournalError as e:
            return Answer(is_ok=False, lines=(f"it holds now but not after a restart: {e}",))
        except NotDone as e:
            return Answer(is_ok=False, lines=(str(e),))

    async def _set_trading_state(self, request: SetTradingState) -> Answer:
        if request.state is TradingState.ACTIVE and not request.reason.strip():
            raise NotDone('resume needs a reason, which is recorded: --reason "…"')
        if request.state is TradingState.ACTIVE and request.is_cancelling:
            raise NotDone("resume cancels nothing; cancel by itself, with `tidegate cancel`")
        if request.for_ms and (request.state is TradingState.ACTIVE or not 0 < request.for_ms <= FOR_MS_MAX):
            raise NotDone(f"--for: a halt or a reduce may last up to a year; {request.for_ms} ms can't be")
        self._check_target(request.scope, request.target)
        latch = self._latch_to_clear(request)
        resting = self._accounts.orders.open_in(request.scope, request.target)
        if request.is_dry_run:
            return Answer(is_ok=True, lines=_dry_run_lines(request, resting, self._accounts.trading.rows()))
        now_ns = self._dependencies.clock.now_ns()
        await self._publish(
            TradingStateChanged(
                scope=request.scope,
                target=request.target,
                state=request.state,
                reason=request.reason or BY_THE_OPERATOR,
                ts_recv=now_ns,
                by=OPERATOR,
                is_cancelling=request.is_cancelling,
                until_ns=now_ns + request.for_ms * 1_000_000 if request.for_ms else 0,
            )
        )
        if latch is not None:
            # Last: a daemon that dies before this starts under the latch, and is halted.
            latch.clear(request.target)
        rows = self._accounts.trading.rows()
        lines = (*_state_lines(request, rows), *_resting_lines(request, resting))
        return Answer(is_ok=True, lines=lines, data=[msgspec.structs.asdict(row) for row in rows])

    def _latch_to_clear(self, request: SetTradingState) -> KillLatch | None:
        """The latch, where the request takes it away. Raises `NotDone` where it would leave one in force that holds
        what it lets leave, now or when its time is over, and where there is none to take away."""
        watch, is_resume = self._dependencies.kill_watch, request.state is TradingState.ACTIVE
        if request.is_kill and not is_resume:
            raise NotDone("is_kill goes with a resume; `tidegate kill` sets the latch")
        lets_leave = request.state is not TradingState.HALTED or request.for_ms
        if watch is None or not lets_leave or request.scope not in (Scope.GLOBAL, Scope.VENUE):
            return None
        if why := watch.why_none(request.target) if request.is_kill else watch.why_held(request.target):
            raise NotDone(why)
        return watch.latch if request.is_kill else None

    async def _kill(self, request: Kill) -> Answer:
        """Not durable when this returns: the latch is, and the halt is recorded again as long as it is set."""
        watch = self._dependencies.kill_watch
        if watch is None:
            raise NotDone("this daemon has no kill latch")
        if request.venue:
            self._check_known("venue", request.venue, self._dependencies.kernel.dependencies.queues)
        if not watch.latch.is_set(request.venue):
            now_ns = self._dependencies.clock.now_ns()
            watch.latch.set(request.venue, by=request.by, reason=request.reason or BY_THE_OPERATOR, now_ns=now_ns)
        watch.look()
        left = watch.left(request.venue)
        lines = [f"{venue}: {one.own} orders may be open, {one.external} external ones" for venue, one in left.items()]
        return Answer(is_ok=True, lines=tuple(lines), data=left)

    async def _cancel_orders(self, request: CancelOrders) -> Answer:
        if not request.names_one:
            raise NotDone(NAME_ONE)
        scope, target = _scope_to_cancel(request)
        if request.with_external and (request.order or scope is Scope.STRATEGY):
            raise NotDone(WHOSE_EXTERNAL)
        if request.is_dry_run:
            return self._dry_cancel(request, scope, target)
        if request.with_external:
            await self._adopt_all(scope, target)
        orders = self._orders_to_cancel(request)
        now_ns = self._dependencies.clock.now_ns()
        if len(orders) > 1 and scope is not Scope.STRATEGY:
            event = CancelAllRequested(scope=scope, target=target, reason=request.reason, ts_recv=now_ns)
            await self._publish(event)
        else:
            await self._publish(*(_cancel_of(order, request.reason, now_ns) for order in orders))
        return Answer(is_ok=True, lines=_cancel_lines(orders), data=[order.client_order_id for order in orders])

    def _dry_cancel(self, request: CancelOrders, scope: Scope, target: str) -> Answer:
        orders = self._orders_to_cancel(request)
        lines = [DRY_RUN, *(_would_cancel(order) for order in orders)]
        if request.with_external:
            self._check_target(scope, target)
            found = (one for one in self._external_orders() if target in ("", one.venue, one.instrument))
            lines += [f"would adopt and cancel {one.venue_order_id} at {one.venue}" for one in found]
        return Answer(is_ok=True, lines=tuple(lines if len(lines) > 1 else [DRY_RUN, "there is nothing to cancel"]))

    async def _flatten(self, request: Flatten) -> Answer:
        self._check_target(request.scope, request.target)
        watch, is_of_venue = self._dependencies.kill_watch, request.scope in (Scope.VENUE, Scope.INSTRUMENT)
        of_venue = (request.target.partition(":")[0],) if is_of_venue else ()
        if watch is not None and (why := watch.why_held(EVERYTHING, *of_venue)):
            raise NotDone(why)
        return await self._flattening.run(request)

    async def _adopt_external_order(self, request: AdoptExternalOrder) -> Answer:
        self._check_known("strategy", request.strategy, self._strategies())
        external_order = self._external_order(request.order)
        order = await self._adopt(external_order, request.strategy)
        name, owner = order.client_order_id, request.strategy
        line = f"{external_order.venue_order_id} is now {name} of {owner}: {order.status.value}"
        return Answer(is_ok=True, lines=(line,), data=order.client_order_id)

    async def _cancel_external_order(self, request: CancelExternalOrder) -> Answer:
        external_order = self._external_order(request.order)
        order = await self._adopt(external_order, OPERATOR)
        await self._publish(_cancel_of(order, request.reason, self._dependencies.clock.now_ns()))
        line = f"cancel asked for {external_order.venue_order_id}, now {order.client_order_id} of {OPERATOR}"
        return Answer(is_ok=True, lines=(line,), data=order.client_order_id)

    async def _ignore_external_order(self, request: IgnoreExternalOrder) -> Answer:
        external_order = self._external_order(request.order)
        await self._publish(
            ExternalOrderIgnored(
                venue=external_order.venue,
                venue_order_id=external_order.venue_order_id,
                reason=request.reason,
                ts_recv=self._dependencies.clock.now_ns(),
            )
        )
        return Answer(
            is_ok=True,
            lines=(f"{external_order.venue_order_id} stays at {external_order.venue} and is not shown again",),
        )

    async def _reconcile(self, request: Reconcile) -> Answer:
        """Compare now. Not done when a venue can't be asked; the answer holds what the others said all the same."""
        differences: list[Difference] = []
        troubles: list[str] = []
        for venue, reconciler in self._dependencies.reconcilers().items():
            try:
                differences += await (
                    reconciler.dry_run() if request.is_dry_run else reconciler.confirmed_differences()
                )
            except (Retryable, OutcomeUnknown, RefusedByVenue, AccountRefused) as e:
                troubles.append(f"{venue} can't be asked now: {e}")
            else:
                troubles += [f"{venue} can't be asked now: not connected"] if self._was_not_asked(venue) else []
        answer = reconcile_answer(differences, troubles, self._dependencies.clock, agreed="the venues and we agree")
        notes = [note for one in self._dependencies.reconcilers().values() for note in one.not_known]
        return msgspec.structs.replace(answer, lines=(*answer.lines, *notes))

    def _was_not_asked(self, venue: str) -> bool:
        """Whether a comparison with the venue may have asked it nothing: where open orders can't be listed, and none of
        ours is in question, no difference says only that nobody looked."""
        known = self._dependencies.kernel.dependencies
        return not known.view.terms(venue).open_orders and not known.books.is_connected(venue)

    async def _show_status(self, _: ShowStatus) -> Answer:
        status = self._dependencies.read_status()
        return Answer(is_ok=True, lines=status.not_ready or ("ready",), data=status)

    async def _move_funds(self, request: MoveFunds) -> Answer:
        return await self._fund_moves().move(request)

    async def _show_fund_move(self, request: ShowFundMove) -> Answer:
        return await self._fund_moves().show(request)

    def _fund_moves(self) -> FundMoves:
        if self._dependencies.fund_moves is None:
            raise NotDone("this daemon moves no funds; use the venue's website")
        return self._dependencies.fund_moves

    async def _set_limit(self, request: SetLimit) -> Answer:
        try:
            planned = self._limits.planned(request)
        except ConfigurationError as e:
            return Answer(is_ok=False, lines=tuple(str(e).splitlines()))
        if isinstance(planned, Answer):
            return planned
        await self._publish(planned)
        return self._limits.answer(planned)

    async def _show_limits(self, request: ShowLimits) -> Answer:
        rows = self._limits.rows(request.check)
        if request.check and not rows:
            names = [one.check for one in self._limits.rows()]
            raise NotDone(f'there is no check "{request.check}" with settings{hint(request.check, names)}')
        return Answer(is_ok=True, data=[msgspec.structs.asdict(row) for row in rows])

    @property
    def _alerts(self) -> Alerts:
        if self._dependencies.alerts is None:
            raise NotDone("this daemon looks for no alerts")
        return self._dependencies.alerts

    async def _adopt(self, external_order: OrderSnapshot, strategy: str) -> Order:
        await self._publish(adoption(external_order, strategy, self._dependencies.clock.now_ns()))
        order = self._accounts.orders.by_venue_id(external_order.venue, external_order.venue_order_id)
        if order is None:
            raise NotDone(
                f"{external_order.venue_order_id} is adopted and still unknown: see `tidegate journal verify`"
            )
        return order

    async def _adopt_all(self, scope: Scope, target: str) -> None:
        """Adopt the external orders of a scope in the operator's name, ignored ones too."""
        self._check_target(scope, target)
        now_ns = self._dependencies.clock.now_ns()
        for order in self._external_orders():
            if target in ("", order.venue, order.instrument):
                self._dependencies.kernel.publish(adoption(order, OPERATOR, now_ns))

    async def _publish(
        self,
        *events: TradingStateChanged
        | OrderAdopted
        | ExternalOrderIgnored
        | CancelRequested
        | CancelAllRequested
        | LimitChanged,
    ) -> None:
        """Have the kernel take the events in, and return when they are durable. Raises `JournalError`."""
        for event in events:
            self._dependencies.kernel.publish(event)
        await self._dependencies.wait_durable()

    def _external_order(self, name: str) -> OrderSnapshot:
        """The external order whose venue id is `name` or begins with it, ignored ones included."""
        external_orders = self._external_orders()
        exact = [one for one in external_orders if one.venue_order_id == name]
        found = exact or [
            one for one in external_orders if len(name) >= _PREFIX_MIN and one.venue_order_id.startswith(name)
        ]
        if len(found) == 1:
            return found[0]
        if found:
            raise NotDone(f'"{name}" begins the ids of {len(found)} external orders; give more of it')
        ids = [one.venue_order_id for one in external_orders]
        raise NotDone(f'there is no external order "{name}"{hint(name, ids)}; `tidegate external-orders` lists them')

    def _external_orders(self) -> list[OrderSnapshot]:
        """The open orders at the venues that are not ours, ignored ones too."""
        venues = self._dependencies.kernel.dependencies.queues
        return [
            one for venue in venues for is_ignored in (False, True)
            for one in self._accounts.external_orders(venue, ignored=is_ignored)
        ]  # fmt: skip

    def _orders_to_cancel(self, request: CancelOrders) -> tuple[Order, ...]:
        orders = self._accounts.orders
        if not request.order:
            scope, target = _scope_to_cancel(request)
            self._check_target(scope, target)
            return orders.open_in(scope, target)
        found = orders.get(request.order)
        for venue in self._dependencies.kernel.dependencies.queues:
            found = found or orders.by_venue_id(venue, request.order)
        if found is None:
            close = hint(request.order, [order.client_order_id for order in orders.open()])
            raise NotDone(f'there is no order "{request.order}" of ours{close}; see `tidegate orders --open`')
        if not found.status.may_trade:
            raise NotDone(f"{found.client_order_id} has ended: {found.status.value}; there is nothing to cancel")
        return (found,)

    def _check_target(self, scope: Scope, target: str) -> None:
        if scope is Scope.GLOBAL:
            if target:
                raise NotDone(f'the global scope has no target, and "{target}" was given; name a scope')
        elif scope is Scope.VENUE:
            self._check_known("venue", target, self._dependencies.kernel.dependencies.queues)
        elif scope is Scope.INSTRUMENT:
            self._check_known("instrument", target, self._accounts.instruments)
        else:
            self._check_known("strategy", target, self._strategies())

    def _strategies(self) -> set[str]:
        """The configured ones, and those of earlier configurations that still have open orders or a state."""
        rows = self._accounts.trading.rows()
        return {
            *self._dependencies.strategies,
            *(order.strategy for order in self._accounts.orders.open()),
            *(row.target for row in rows if row.scope is Scope.STRATEGY),
        }

    @staticmethod
    def _check_known(what: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        if name not in names:
            shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
            raise NotDone(f'there is no {what} "{name}"{hint(name, names)}; there are: {shown or "none"}')


def _state_lines(request: SetTradingState, rows: Iterable[ScopedState]) -> list[str]:
    """What is set now, and what else is: a scope that is active may be halted by another one."""
    others = [
        f"{scope_text(row.scope, row.target)} is {row.state.value} ({row.reason})"
        for row in rows
        if (row.scope, row.target) != (request.scope, request.target)
    ]
    is_resumed = request.state is TradingState.ACTIVE
    rest = ", but for what is set elsewhere:" if is_resumed and others else ""
    return [f"{scope_text(request.scope, request.target)} is {request.state.value}{rest}", *others]


def _resting_lines(request: SetTradingState, resting: Sequence[Order]) -> Sequence[str]:
    """What becomes of the orders that were open in the scope."""
    if request.is_cancelling:
        return _cancel_lines(resting)
    if request.state is TradingState.ACTIVE or not resting:
        return ()
    of_scope = f" of {scope_text(request.scope, request.target)}" if request.target else ""
    option = f"--{request.scope.value} {request.target}" if request.target else "--all"
    return (f"{len(resting)} orders{of_scope} are open and stay so; `tidegate cancel {option}` ends them",)


def _dry_run_lines(request: SetTradingState, resting: Sequence[Order], rows: Sequence[ScopedState]) -> tuple[str, ...]:
    """What a change of the trading state would do."""
    lines = [DRY_RUN, f"{scope_text(request.scope, request.target)} would be {request.state.value}"]
    if request.is_cancelling:
        lines += [_would_cancel(order) for order in resting]
    elif resting and request.state is not TradingState.ACTIVE:
        lines.append(f"{len(resting)} open orders would stay")
    others = [row for row in rows if (row.scope, row.target) != (request.scope, request.target)]
    return (*lines, *(f"{scope_text(row.scope, row.target)} is {row.state.value} and stays so" for row in others))


def _would_cancel(order: Order) -> str:
    return f"would cancel {order.client_order_id} of {order.strategy} in {order.instrument}: {order.status.value}"


def _cancel_lines(orders: Sequence[Order]) -> tuple[str, ...]:
    lines = [f"{order.client_order_id} of {order.strategy}: {_progress(order)}" for order in orders]
    return (f"cancel asked for {len(orders)} open orders", *lines)


def _progress(order: Order) -> str:
    """How far its cancel is. What had not left yet is over at once, and nobody has rejected it."""
    never_left = order.status in (OrderStatus.RECORDED, OrderStatus.REJECTED)
    return "it has not left and does not leave any more" if never_left else order.status.value.replace("_", " ")


def _cancel_of(order: Order, reason: str, now_ns: int) -> CancelRequested:
    return CancelRequested(venue=order.venue, client_order_id=order.client_order_id, reason=reason, ts_recv=now_ns)


def _scope_to_cancel(request: CancelOrders) -> tuple[Scope, str]:
    scopes = {
        Scope.STRATEGY: request.strategy,
        Scope.VENUE: request.venue,
        Scope.INSTRUMENT: request.instrument,
        Scope.GLOBAL: "",
    }
    return next((scope, target) for scope, target in scopes.items() if target or scope is Scope.GLOBAL)


def scope_text(scope: Scope, target: str) -> str:
    """A scope in a sentence: `strategy maker`, or `everything` for the global one."""
    return f"{scope.value} {target}" if target else "everything"
