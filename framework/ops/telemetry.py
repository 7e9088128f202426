"""What the kernel does, as metrics and log lines. It only watches: nothing here changes an outcome."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from framework.domain.account_events import InstrumentDefined, OrderReport
from framework.domain.events import Event, kind_of
from framework.domain.market_events import (
    BookDelta,
    BookLevel,
    BookSnapshot,
    BookStale,
    ConnectorStatus,
    RequestCompleted,
    RequestOutcome,
    TradePrint,
)
from framework.domain.numbers import to_decimal
from framework.domain.ports import Clock
from framework.domain.verdicts import Approved, RefusalCode, Refused, Verdict
from framework.engine.strategy_host import FaultKind
from framework.runtime.metrics import Metrics, Sample
from framework.state.accounts import Accounts
from framework.state.books import Books
from framework.state.change import Change
from framework.state.positions import profit_and_loss

_log = structlog.get_logger("kernel")

QUIET_CODES = frozenset(
    {
        RefusalCode.BUDGET_EXHAUSTED,
        RefusalCode.BUDGET_SHARE,
        RefusalCode.BOOK_NOT_FRESH,
        RefusalCode.SHUTTING_DOWN,
    }
)
"""Refusals that a healthy strategy gets all day: counted, not logged."""


class Telemetry:
    """The kernel's watcher. Market events are only counted; what is rare is also logged."""

    def __init__(self, metrics: Metrics, accounts: Accounts, books: Books, clock: Clock) -> None:
        self._metrics = metrics
        self._accounts = accounts
        self._books = books
        self._clock = clock
        self._connected: dict[str, bool] = {}
        metrics.connector_up.pull(self._connector_samples)
        metrics.feed_age.pull(self._feed_age_samples)
        metrics.position.pull(self._position_samples)
        metrics.pnl.pull(self._pnl_samples)
        metrics.open_orders.pull(self._open_order_samples)

    def on_event(self, event: Event) -> None:
        """Count an event that the kernel has applied; log what is rare: connectors going up or down, a 429."""
        kind = kind_of(event)
        if isinstance(event, (BookDelta, BookLevel, BookSnapshot, TradePrint, BookStale)):
            self._metrics.events.inc((event.instrument.partition(":")[0], kind))
            return
        self._metrics.events.inc((_venue_of(event), kind))
        if isinstance(event, ConnectorStatus):
            self._on_connector(event)
        elif isinstance(event, OrderReport):
            order = self._accounts.orders.get(event.client_order_id)
            self._metrics.orders.inc((event.venue, order.strategy if order else "", event.kind.value))
        elif isinstance(event, RequestCompleted) and event.outcome is RequestOutcome.LIMITED:
            self._metrics.rate_limited.inc((event.venue,))
            _log.warning("rate limited by the venue", venue=event.venue, request=event.kind.value)

    def on_verdict(self, verdict: Verdict) -> None:
        """Count an approval or a refusal; log the 1st, 2nd, 4th, … refusal of a code, unless it is in `QUIET_CODES`."""
        if isinstance(verdict, Approved):
            self._metrics.orders.inc((verdict.venue, verdict.intent.strategy, "approved"))
        else:
            self._on_refusal(verdict)

    def on_change(self, change: Change) -> None:
        """Count the fills that changed something (one seen twice does not) and log alarms of the state."""
        for fill in change.fills:
            order = self._accounts.orders.get(fill.client_order_id)
            self._metrics.fills.inc((fill.venue, order.strategy if order else ""))
        for alarm in change.alarms:
            _log.error("alarm", what=alarm)

    def on_fault(self, strategy: str, reason: str, faults: int, kind: FaultKind) -> None:
        """Count and log a fault of a strategy; `faults` is how many it has had so far."""
        self._metrics.strategy_faults.inc((strategy, kind.value))
        _log.error("strategy fault", strategy=strategy, kind=kind.value, reason=reason, faults=faults)

    def _on_refusal(self, refused: Refused) -> None:
        labels = (refused.intent.strategy, refused.code.value)
        self._metrics.refusals.inc(labels)
        count = self._metrics.refusals.values.get(labels, 0)
        # The first, the second, the fourth, …: a strategy that is refused at every tick must not fill the log.
        if refused.code not in QUIET_CODES and count & (count - 1) == 0:
            _log.info(
                "refused",
                strategy=refused.intent.strategy,
                code=refused.code.value,
                detail=refused.detail,
                check=refused.check,
                count=count,
            )

    def _on_connector(self, status: ConnectorStatus) -> None:
        was_up = self._connected.get(status.venue)
        self._connected[status.venue] = status.is_up
        if status.is_up and was_up is False:
            self._metrics.reconnects.inc((status.venue,))
        _log.info("connector up" if status.is_up else "connector down", venue=status.venue, reason=status.reason)

    def _connector_samples(self) -> Iterable[Sample]:
        return [((venue,), int(is_up)) for venue, is_up in self._connected.items()]

    def _feed_age_samples(self) -> Iterable[Sample]:
        now_ns = self._clock.monotonic_ns()
        return [
            ((venue, book.instrument), book.age_ns(now_ns) / 1e9)
            for venue in self._books.venues
            for book in self._books.of_venue(venue)
        ]

    def _position_samples(self) -> Iterable[Sample]:
        return [
            ((i.venue, i.id), float(to_decimal(self._accounts.positions.account(i.id).size, i.size_decimals)))
            for i in self._accounts.instruments.values()
        ]

    def _pnl_samples(self) -> Iterable[Sample]:
        """Sums over a strategy's instruments at a venue, in the quote currency."""
        sums: dict[tuple[str, str, str], float] = {}
        for (strategy, instrument_id), position in self._accounts.positions.strategies():
            instrument = self._accounts.instruments[instrument_id]
            profit = profit_and_loss(position, self._books.get(instrument_id))
            for kind in ("realised", "unrealised", "fees"):
                key = (instrument.venue, strategy, kind)
                sums[key] = sums.get(key, 0.0) + float(instrument.money(getattr(profit, kind)))
        return list(sums.items())

    def _open_order_samples(self) -> Iterable[Sample]:
        counts: dict[tuple[str, str], int] = {}
        for order in self._accounts.orders.open():
            key = (order.venue, order.strategy)
            counts[key] = counts.get(key, 0) + 1
        return list(counts.items())


def _venue_of(event: Event) -> str:
    if isinstance(event, InstrumentDefined):
        return event.instrument.venue
    venue = getattr(event, "venue", None)
    return venue if venue is not None else getattr(event, "instrument", "").partition(":")[0]
