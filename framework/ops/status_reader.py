"""Reads the status of a running daemon from the kernel's state and the metrics; changes neither."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from framework.domain.account_events import Scope
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.numbers import Price, Size, to_decimal
from framework.domain.orders import Order, Side
from framework.domain.ports import Clock
from framework.engine.kernel import Kernel
from framework.engine.strategy_host import StrategyHost
from framework.ops.orders_in_question import OrdersInQuestion
from framework.ops.readiness import NotReady
from framework.ops.status import (
    MarkStatus,
    QuestionedOrder,
    QuoteStatus,
    Status,
    StrategyStatus,
    VenueStatus,
    cash_of,
    positions_of,
    trading_of,
)
from framework.reconciliation.reconciler import Reconciler
from framework.runtime.metrics import Metrics
from framework.state.positions import mark_of, profit_and_loss


class StatusSources(msgspec.Struct, frozen=True, kw_only=True):
    """What a status is read from beside the kernel. `strategies` are the configured ones,
    `waiting` says which wait for an instrument; `trouble` says why a venue
    could not be brought up yet, by venue; `alerts` is a sentence or two about alerts, if there are any."""

    not_ready: Callable[[], Sequence[NotReady]] = tuple
    waiting: Callable[[], Sequence[str]] = tuple
    reconcilers: Callable[[], Mapping[str, Reconciler]] = dict
    strategies: Sequence[str] = ()
    trouble: Mapping[str, str] = {}
    in_question: OrdersInQuestion | None = None
    alerts: Callable[[], Iterable[str]] = tuple


class StatusReader:
    """Reads the status of one daemon."""

    def __init__(self, kernel: Kernel, metrics: Metrics, clock: Clock, sources: StatusSources) -> None:
        self._kernel = kernel
        self._metrics = metrics
        self._clock = clock
        self._sources = sources
        self._accounts = kernel.dependencies.accounts
        self._books = kernel.dependencies.books
        self._started_ns = clock.monotonic_ns()

    def read(self) -> Status:
        """The status as it is now. Quick, without I/O: meant to be called on the event loop."""
        hosts = self._kernel.hosts.values()
        not_ready = tuple(one.text for one in self._sources.not_ready())
        return Status(
            uptime_s=(self._clock.monotonic_ns() - self._started_ns) // 1_000_000_000,
            not_ready=not_ready,
            trading=trading_of(self._accounts),
            venues=tuple(self._venue(name) for name in self._kernel.dependencies.queues),
            strategies=self._strategies(not_ready),
            orders_in_question=tuple(self._orders_in_question()),
            differences=tuple(
                one.text for reconciler in self._sources.reconcilers().values() for one in reconciler.differences
            ),
            cash=cash_of(self._accounts),
            positions=positions_of(self._accounts),
            quotes=tuple(self._quote(host, instrument) for host in hosts for instrument in self._shown(host)),
            fills=sum(self._metrics.fills.values.values()),
            refusals=sum(self._metrics.refusals.values.values()),
            open_orders=self._accounts.orders.open_count(),
            marks=dict(self._marks()),
            alerts=tuple(self._sources.alerts()),
        )

    def _marks(self) -> Iterator[tuple[str, MarkStatus]]:
        """Of every instrument in which the account or a strategy holds something."""
        held = {of for of, one in self._accounts.positions.accounts() if one.size}
        held |= {of for (_, of), one in self._accounts.positions.strategies() if one.size}
        for name in sorted(held):
            instrument, book = self._accounts.instruments.get(name), self._books.get(name)
            if instrument is not None and book is not None and book.is_fresh:
                own = self._books.mark(name)
                sides = (
                    mark_of(size, book) if own is None else ("venue", 2 * own.mark) for size in (Size(1), Size(-1))
                )
                texts = [(at, "" if twice is None else half_text(twice, instrument)) for at, twice in sides]
                yield name, MarkStatus(texts[0][1], texts[0][0], texts[1][1], texts[1][0])

    def exit_summary(self, reason: str, state_dir: Path) -> str:
        """What a stopped daemon leaves, as text for the terminal: orders that may be open, positions, where records
        are."""
        left = [
            f"order may be left: {order.client_order_id} {order.status.value} on {order.instrument}"
            for order in self._accounts.orders.open_in(Scope.GLOBAL, "")
        ]
        held = [f"position: {one.size} {one.instrument}" for one in positions_of(self._accounts)]
        records = f"records: {state_dir}  (tidegate orders | fills | positions --state-dir {state_dir})"
        others = self._accounts.exposures.external_count()
        if others:
            held.insert(0, f"open and not ours: {others}  (tidegate external-orders --state-dir {state_dir})")
        return "\n".join([f"stopped: {reason}", *(left or ["no order of ours left"]), *held, records]) + "\n"

    def _strategies(self, not_ready: Sequence[str]) -> tuple[StrategyStatus, ...]:
        reasons = [*not_ready, *self._sources.waiting()]
        names = dict.fromkeys([*self._sources.strategies, *self._kernel.hosts])
        return tuple(self._strategy(name, reasons) for name in names)

    def _shown(self, host: StrategyHost) -> list[InstrumentId]:
        """The strategy's instruments, then others in which it holds a position or has an open order."""
        own = self._kernel.instruments_of(host.name)
        others = {order.instrument for order in self._accounts.orders.open(strategy=host.name)}
        others |= {of for (name, of), one in self._accounts.positions.strategies() if name == host.name and one.size}
        shown = [*own, *sorted(others.difference(own))]
        return [one for one in shown if one in self._accounts.instruments]

    def _venue(self, name: str) -> VenueStatus:
        now_ns = self._clock.monotonic_ns()
        books = [book for book in self._books.of_venue(name) if self._is_traded(book.instrument)]
        ages = [book.proof_age_ns(now_ns) or 0 for book in books if book.is_fresh]
        offset_ns = self._books.clock_offset_ns(name)
        tokens = self._kernel.dependencies.budgets
        is_up = self._books.is_connected(name)
        return VenueStatus(
            venue=name,
            is_up=is_up,
            reason="" if is_up else self._sources.trouble.get(name, "") or self._books.down_reason(name),
            feed_age_ms=max(ages) // 1_000_000 if ages else None,
            books=len(books),
            books_fresh=len(ages),
            clock_offset_ms=None if offset_ns is None else offset_ns / 1e6,
            rate_limit_left=dict(tokens[name].tokens()) if name in tokens else {},
            external_orders=len(self._accounts.external_orders(name)),
            not_known=one.not_known if (one := self._sources.reconcilers().get(name)) else (),
        )

    def _is_traded(self, instrument: InstrumentId) -> bool:
        """False once the venue has closed it. A book that comes before its instrument counts."""
        known = self._accounts.instruments.get(instrument)
        return known is None or not known.status.is_over

    def _strategy(self, name: str, reasons: Sequence[str]) -> StrategyStatus:
        host = self._kernel.hosts.get(name)
        if host is None:
            mark = f"strategy {name} "
            why = [text.removeprefix(mark) for text in reasons if text.startswith(mark)]
            return StrategyStatus(name, "waiting", "; ".join(why) or "it has not begun")
        return StrategyStatus(
            name,
            "quarantined" if host.is_quarantined else "running",
            host.quarantine,
            instruments=len(self._kernel.instruments_of(name)),
            open_orders=self._accounts.orders.open_count(strategy=name),
            faults=host.faults,
        )

    def _orders_in_question(self) -> list[QuestionedOrder]:
        in_question = self._sources.in_question
        if in_question is None:
            return []
        kinds = {"unknown": in_question.unknown(), "cancel pending": in_question.cancels()}
        return [questioned(order, what, age_ns) for what, aged in kinds.items() for order, age_ns in aged]

    def _quote(self, host: StrategyHost, instrument_id: InstrumentId) -> QuoteStatus:
        instrument, book = self._accounts.instruments[instrument_id], self._books.get(instrument_id)
        orders = self._accounts.orders.open(strategy=host.name, instrument=instrument_id)
        position = self._accounts.positions.of_strategy(host.name, instrument_id)
        profit = profit_and_loss(position, book, self._books.mark(instrument_id))
        return QuoteStatus(
            strategy=host.name,
            instrument=instrument.symbol,
            bid=_price(instrument, book.bid if book else None),
            ask=_price(instrument, book.ask if book else None),
            own_bid=_best(instrument, orders, Side.BUY),
            own_ask=_best(instrument, orders, Side.SELL),
            position=f"{to_decimal(position.size, instrument.size_decimals).normalize():f}",
            pnl=f"{instrument.money(profit.net):+.4f}"
            + (f" at {profit.mark}" if profit.mark in ("bid", "ask") else ""),
        )


def questioned(order: Order, what: str, age_ns: int) -> QuestionedOrder:
    """The order as one to see to, for the reason `what`."""
    return QuestionedOrder(order.client_order_id, order.strategy, order.instrument, what, age_ns // 1_000_000)


def _price(instrument: Instrument, price: Price | None) -> str:
    return "" if price is None else instrument.price_text(price)


def _best(instrument: Instrument, orders: tuple[Order, ...], side: Side) -> str:
    """Our best price on a side, with its size."""
    own = [order for order in orders if order.side is side]
    if not own:
        return ""
    best = max(own, key=lambda order: order.price * side.sign)
    return f"{instrument.price_text(best.price)} x {to_decimal(best.remaining, instrument.size_decimals).normalize():f}"


def half_text(price_twice: int, instrument: Instrument) -> str:
    """Half of a price as exact decimal text: a mid may lie between two prices."""
    return f"{(to_decimal(price_twice, instrument.price_decimals) / 2).normalize():f}"
