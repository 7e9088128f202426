"""What the kernel does, as metrics and log lines. It only watches: nothing here changes an outcome."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import get_args

import structlog

from framework.domain.account_events import (
    Fill,
    InstrumentDefined,
    OrderReport,
    ReportKind,
    TradingState,
    TradingStateChanged,
)
from framework.domain.events import Event, kind_of
from framework.domain.instruments import InstrumentId
from framework.domain.market_events import (
    BookDelta,
    BookLevel,
    BookSnapshot,
    BookStale,
    ConnectorStatus,
    RequestCompleted,
    RequestOutcome,
    TradePrint,
    VenueClock,
)
from framework.domain.numbers import amount_text, format_scaled
from framework.domain.operator_requests import OPERATOR
from framework.domain.ports import Clock
from framework.domain.verdicts import Approved, RefusalCode, Refused, Verdict
from framework.engine.strategy_host import FaultKind
from framework.execution.ports import STAGES
from framework.ops.orders_in_question import OrdersInQuestion
from framework.runtime.metrics import Metrics
from framework.state.accounts import Accounts
from framework.state.change import Change

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


CLOCK_OFFSET_NS_MAX = 1_000_000_000
"""How far this machine's clock may be off a venue's before it is said: more than the way takes, less than any venue's
tolerance."""
ALARMS_MAX = 100
"""Alarms that are kept for who looks for alerts, which is twice a second; of more, the newest."""

CLOCK_REMEDY = "orders are signed by the venue's clock; set this machine's by NTP"

APPROVED = "approved"
OUTCOMES = (APPROVED, *(kind.value for kind in ReportKind))
"""What may become of an order."""
SETTERS = (OPERATOR, "kernel", "reconciliation", "recovery")
"""Who sets trading states, beside checks that watch."""

RESULTS = ("agreed", "differs", "failed")
"""What a comparison with a venue may come to."""


class Telemetry:
    """The kernel's watcher. Market events are only counted; what is rare is also logged."""

    def __init__(
        self,
        metrics: Metrics,
        accounts: Accounts,
        clock: Clock,
        *,
        venues: Sequence[str] = (),
        strategies: Sequence[str] = (),
        monitors: Sequence[str] = (),
        logs_fills: bool = False,
    ) -> None:
        """`venues`, `strategies` and `monitors` (checks that remember) are the configured ones: their series exist from
        the start. With `logs_fills` each
        fill and each settlement of a position is a log line."""
        self._metrics = metrics
        self._accounts = accounts
        self._connected: dict[str, bool] = {}
        self._off_clock = set[str]()
        self._logs_fills = logs_fills
        self.in_question = OrdersInQuestion(accounts.orders, clock)
        self.alarms = deque[str](maxlen=ALARMS_MAX)
        """What was alarmed and nobody has taken out yet, the oldest first."""
        declare_series(metrics, venues, strategies)
        metrics.trading_states_set.declare((by, one.value) for by in (*SETTERS, *monitors) for one in TradingState)

    def on_event(self, event: Event) -> None:
        """Count an event that the kernel has applied; log what is rare: connectors going up or down, a 429."""
        kind = kind_of(event)
        if isinstance(event, (BookDelta, BookLevel, BookSnapshot, TradePrint, BookStale)):
            self._metrics.events.inc((event.instrument.partition(":")[0], kind))
            return
        self._metrics.events.inc((_venue_of(event), kind))
        if isinstance(event, ConnectorStatus):
            self._on_connector(event)
        elif isinstance(event, VenueClock):
            self._on_clock(event)
        elif isinstance(event, OrderReport):
            order = self._accounts.orders.get(event.client_order_id)
            self._metrics.orders.inc((event.venue, order.strategy if order else "", event.kind.value))
        elif isinstance(event, TradingStateChanged):
            self._on_trading_state(event)
        elif isinstance(event, RequestCompleted) and event.outcome is RequestOutcome.LIMITED and event.weight:
            self._metrics.rate_limited.inc((event.venue,))
            _log.warning("rate limited by the venue", venue=event.venue, request=event.kind.value)

    def on_verdict(self, verdict: Verdict) -> None:
        """Count an approval or a refusal; log the 1st, 2nd, 4th, … refusal of a code, unless it is in `QUIET_CODES`."""
        if isinstance(verdict, Approved):
            self._metrics.orders.inc((verdict.venue, verdict.intent.strategy, APPROVED))
            if (order := self._accounts.orders.get(verdict.client_order_id)) is not None and order.cancel_wanted:
                self.in_question.look_at(order)
        else:
            self._on_refusal(verdict)

    def on_change(self, change: Change) -> None:
        """Count and log the fills that changed something (one seen twice does not); log settlements and alarms."""
        for fill in change.fills:
            own = self._accounts.orders.get(fill.client_order_id)
            self._metrics.fills.inc((fill.venue, own.strategy if own else ""))
        for order in change.orders:
            self.in_question.look_at(order)
        if self._logs_fills and (change.fills or change.unattributed or change.payouts or change.flows):
            log_money(change, self._accounts)
        for alarm in change.alarms:
            self.alarm(alarm)

    def alarm(self, text: str) -> None:
        """Log what an operator must see, and keep it for the alerts."""
        _log.error("alarm", what=text)
        self.alarms.append(text)

    def on_fault(self, strategy: str, reason: str, faults: int, kind: FaultKind) -> None:
        """Count and log a fault of a strategy; `faults` is how many it has had so far."""
        self._metrics.strategy_faults.inc((strategy, kind.value))
        _log.error("strategy fault", strategy=strategy, kind=kind.value, reason=reason, faults=faults)

    def on_bound(self, strategy: str, instrument: InstrumentId, has_joined: bool) -> None:
        """Log that a strategy got another instrument, or lost one that settled."""
        _log.info("instrument joins" if has_joined else "instrument leaves", strategy=strategy, instrument=instrument)

    def _on_trading_state(self, event: TradingStateChanged) -> None:
        self._metrics.trading_states_set.inc((event.by, event.state.value))
        _log.warning(
            "trading state",
            scope=event.scope.value,
            target=event.target,
            state=event.state.value,
            by=event.by,
            reason=event.reason,
        )

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

    def _on_clock(self, clock: VenueClock) -> None:
        """Say once that the venue's clock is far from ours, and again after they agreed: what is signed goes by the
        venue's, and an operator has to set the machine's."""
        is_off = abs(clock.offset_ns) >= CLOCK_OFFSET_NS_MAX
        if is_off and clock.venue not in self._off_clock:
            what = f"clock_offset_s={clock.offset_ns / 1e9:+.0f}: {CLOCK_REMEDY}"
            _log.warning("this machine's clock and the venue's differ", venue=clock.venue, what=what)
        (self._off_clock.add if is_off else self._off_clock.discard)(clock.venue)

    def _on_connector(self, status: ConnectorStatus) -> None:
        was_up = self._connected.get(status.venue)
        self._connected[status.venue] = status.is_up
        if status.is_up and was_up is False:
            self._metrics.reconnects.inc((status.venue,))
        _log.info("connector up" if status.is_up else "connector down", venue=status.venue, reason=status.reason)


def log_money(change: Change, accounts: Accounts) -> None:
    """Log each fill, each settlement of a position, and cash that came or went without a trade. Amounts are decimals,
    `scaled:<integer>` while the instrument is not defined; `strategy` is empty for the fill of an order that is not
    known as ours."""
    for fill in (*change.fills, *change.unattributed):
        order, (price, size, money) = accounts.orders.get(fill.client_order_id), _decimals(accounts, fill.instrument)
        _log.info(
            "fill",
            strategy=order.strategy if order else "",
            instrument=fill.instrument,
            side=fill.side.value,
            size=amount_text(fill.size, size),
            price=amount_text(fill.price, price),
            fee=_fee_text(fill, money),
            liquidity="maker" if fill.is_maker else "taker",
            client_order_id=fill.client_order_id,
            fill_id=fill.fill_id,
        )
    for paid in change.payouts:
        price, size, money = _decimals(accounts, paid.instrument)
        _log.info(
            "settled",
            instrument=paid.instrument,
            size=amount_text(paid.size, size),
            value=amount_text(paid.value, price),
            realised=amount_text(paid.realised, money),
        )
    for flow in change.flows:
        _log.info(
            "cash flow",
            venue=flow.venue,
            kind=flow.kind.value,
            instrument=flow.instrument,
            amount=format_scaled(flow.amount, flow.decimals),
            currency=flow.currency,
            flow_id=flow.flow_id,
        )


def _fee_text(fill: Fill, money: int | None) -> str:
    if not fill.fee_currency:
        return amount_text(fill.fee, money)
    return f"{format_scaled(fill.fee, fill.fee_decimals)} {fill.fee_currency}"


def _decimals(accounts: Accounts, instrument: InstrumentId) -> tuple[int | None, int | None, int | None]:
    terms = accounts.instruments.get(instrument)
    return (None,) * 3 if terms is None else (terms.price_decimals, terms.size_decimals, terms.money_decimals)


def declare_series(metrics: Metrics, venues: Sequence[str], strategies: Sequence[str]) -> None:
    """Let every series exist whose labels are known: of these venues and strategies, and of closed sets of words."""
    owners = [(venue, strategy) for venue in venues for strategy in strategies]
    metrics.events.declare((venue, tag) for venue in venues for tag, has_venue in _event_tags() if has_venue)
    metrics.events.declare(("", tag) for tag, has_venue in _event_tags() if not has_venue)
    metrics.orders.declare((*owner, outcome) for owner in owners for outcome in OUTCOMES)
    metrics.fills.declare(owners)
    metrics.refusals.declare((strategy, code.value) for strategy in strategies for code in RefusalCode)
    metrics.reconnects.declare((venue,) for venue in venues)
    metrics.rate_limited.declare((venue,) for venue in venues)
    metrics.reconciliations.declare((venue, result) for venue in venues for result in RESULTS)
    metrics.strategy_faults.declare((strategy, kind.value) for strategy in strategies for kind in FaultKind)
    for venue in venues:
        for stage in STAGES:
            metrics.order_latency.at((venue, stage))


def _event_tags() -> list[tuple[str, bool]]:
    """The kinds of events, each with whether it belongs to a venue."""
    return [
        (str(one.__struct_config__.tag), not {"venue", "instrument"}.isdisjoint(one.__struct_fields__))
        for one in get_args(Event)
    ]


def _venue_of(event: Event) -> str:
    if isinstance(event, InstrumentDefined):
        return event.instrument.venue
    venue = getattr(event, "venue", None)
    return venue if venue is not None else getattr(event, "instrument", "").partition(":")[0]
