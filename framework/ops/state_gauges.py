"""The gauges that are read from the kernel's state when Prometheus scrapes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from framework.domain.account_events import Scope
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.numbers import to_decimal
from framework.domain.orders import OrderStatus
from framework.engine.kernel import Kernel
from framework.ops.orders_in_question import OrdersInQuestion
from framework.runtime.metrics import SERIES_MAX, Metrics, Sample
from framework.state.order_book import Book
from framework.state.positions import profit_and_loss

OPEN_STATUSES = tuple(status for status in OrderStatus if not status.is_final)
"""The states that an order can be in before it has ended."""


class StateGauges:
    """Gives `metrics` its view of one kernel. Reads only. `strategies` are the configured ones."""

    def __init__(
        self, metrics: Metrics, kernel: Kernel, in_question: OrdersInQuestion, *, strategies: Sequence[str]
    ) -> None:
        dependencies = kernel.dependencies
        self._kernel = kernel
        self._in_question = in_question
        self._strategies = strategies
        self._clock = dependencies.clock
        self._books = dependencies.books
        self._accounts = dependencies.accounts
        self._venues = tuple(dependencies.queues)
        self._pull_from_market(metrics)
        self._pull_from_accounts(metrics)

    def _pull_from_market(self, metrics: Metrics) -> None:
        metrics.budget_tokens.pull(self._budget_samples)
        metrics.connector_up.pull(lambda: [((one,), int(self._books.is_connected(one))) for one in self._venues])
        metrics.clock_offset.pull(self._clock_offset_samples)
        metrics.feed_age.pull(self._feed_age_samples)
        metrics.book_fresh.pull(
            lambda: [((one.venue, one.id), int(book.is_fresh)) for one, book in self._shown_books()]
        )

    def _pull_from_accounts(self, metrics: Metrics) -> None:
        metrics.position.pull(self._position_samples)
        metrics.pnl.pull(self._pnl_samples)
        metrics.open_orders.pull(self._open_order_samples)
        metrics.orders_by_state.pull(self._order_state_samples)
        metrics.unknown_age.pull(lambda: [((), _oldest_s(self._in_question.unknown()))])
        metrics.cancel_age.pull(lambda: [((), _oldest_s(self._in_question.cancels()))])
        metrics.trading_state.pull(self._trading_state_samples)
        metrics.strategy_quarantined.pull(self._quarantine_samples)

    def _clock_offset_samples(self) -> Iterable[Sample]:
        offsets = ((venue, self._books.clock_offset_ns(venue)) for venue in self._venues)
        return [((venue,), offset_ns / 1e9) for venue, offset_ns in offsets if offset_ns is not None]

    def _budget_samples(self) -> Iterable[Sample]:
        budgets = self._kernel.dependencies.budgets
        return [((venue, pool), left) for venue, one in budgets.items() for pool, left in one.tokens().items()]

    def _feed_age_samples(self) -> Iterable[Sample]:
        now_ns = self._clock.monotonic_ns()
        ages = ((one, book.proof_age_ns(now_ns)) for one, book in self._shown_books())
        return [((one.venue, one.id), age_ns / 1e9) for one, age_ns in ages if age_ns is not None]

    def _position_samples(self) -> Iterable[Sample]:
        sizes = {instrument: position.size for instrument, position in self._accounts.positions.accounts()}
        return [
            ((one.venue, one.id), float(to_decimal(size, one.size_decimals)) if (size := sizes.get(one.id)) else 0.0)
            for one in shown_instruments(self._kernel)
        ]

    def _pnl_samples(self) -> Iterable[Sample]:
        """Sums over a strategy's instruments at a venue, in the quote currency."""
        sums: dict[tuple[str, str, str], float] = {}
        for (strategy, instrument_id), position in self._accounts.positions.strategies():
            if (instrument := self._accounts.instruments.get(instrument_id)) is None:
                continue
            profit = profit_and_loss(position, self._books.get(instrument_id), self._books.mark(instrument_id))
            amounts = {kind: getattr(profit, kind) for kind in ("realised", "unrealised", "fees")}
            for kind, money in (*amounts.items(), ("funding", position.funding)):
                key = (instrument.venue, strategy, kind)
                sums[key] = sums.get(key, 0.0) + float(instrument.money(money))
        for one in self._accounts.purged.sums():
            amounts = {"realised": one.realised, "fees": one.fees, "funding": one.funding}
            for kind, amount in amounts.items() if one.strategy else ():
                key = (one.venue, one.strategy, kind)
                sums[key] = sums.get(key, 0.0) + float(to_decimal(amount, one.decimals))
        return list(sums.items())

    def _open_order_samples(self) -> Iterable[Sample]:
        counts = {(venue, strategy): 0 for venue in self._venues for strategy in self._strategies}
        for order in self._accounts.orders.open():
            key = (order.venue, order.strategy)
            counts[key] = counts.get(key, 0) + 1
        return list(counts.items())

    def _order_state_samples(self) -> Iterable[Sample]:
        counts = dict.fromkeys(OPEN_STATUSES, 0)
        for order in self._accounts.orders.open():
            counts[order.status] += 1
        return [((status.value,), count) for status, count in counts.items()]

    def _trading_state_samples(self) -> Iterable[Sample]:
        """What has no state set is active; an instrument has a series once a state was set for it."""
        configured = [(Scope.VENUE, one) for one in self._venues] + [(Scope.STRATEGY, one) for one in self._strategies]
        found = {(scope.value, target): 0 for scope, target in [(Scope.GLOBAL, ""), *configured]}
        found |= {(row.scope.value, row.target): 0 for row in self._accounts.trading.snapshot().states}
        for row in self._accounts.trading.rows():
            key = (row.scope.value, row.target)
            found[key] = max(found.get(key, 0), row.state.strictness)
        return list(found.items())

    def _quarantine_samples(self) -> Iterable[Sample]:
        return [((one,), int(self._accounts.trading.is_quarantined(one))) for one in self._strategies]

    def _shown_books(self) -> Iterable[tuple[Instrument, Book]]:
        trading = (one for one in shown_instruments(self._kernel) if not one.status.is_over)
        found = ((one, self._books.get(one.id)) for one in trading)
        return [(one, book) for one, book in found if book is not None]


def shown_instruments(kernel: Kernel, instruments_max: int = SERIES_MAX) -> Sequence[Instrument]:
    """The instruments that metrics show: all that are held, traded or given to a strategy, and others up to
    `instruments_max`."""
    instruments = kernel.dependencies.accounts.instruments
    if len(instruments) <= instruments_max:
        return list(instruments.values())
    needed = [instruments[one] for one in _needed(kernel) if one in instruments]
    names = {one.id for one in needed}
    others = (one for one in instruments.values() if one.id not in names)
    return [*needed, *islice(others, max(0, instruments_max - len(needed)))]


def _needed(kernel: Kernel) -> Iterable[InstrumentId]:
    accounts = kernel.dependencies.accounts
    held = [instrument for instrument, position in accounts.positions.accounts() if position.size]
    held += [instrument for instrument, report in accounts.venue_positions.items() if report.size]
    traded = [order.instrument for order in accounts.orders.open()]
    given = [one for name in kernel.hosts for one in kernel.instruments_of(name)]
    return dict.fromkeys([*held, *traded, *given])


def _oldest_s(aged: Sequence[tuple[object, int]]) -> float:
    return aged[0][1] / 1e9 if aged else 0.0
