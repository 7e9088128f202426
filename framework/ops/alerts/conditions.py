"""What an operator must see, as far as the daemon knows it now: the one place that looks for alerts.

Everything is read from what is known anyway: the trading states, the reasons not to be ready, the orders in question,
the rate budgets, counters. Only alarms, which are no state, are handed over (`Telemetry.alarms`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from framework.domain.account_events import Scope, TradingState
from framework.domain.instruments import InstrumentId, InstrumentStatus
from framework.domain.operator_requests import OPERATOR
from framework.domain.rate_limits import RequestKind
from framework.ops.alerts.alert import AlertKind, Condition, alert_text
from framework.ops.alerts.sources import AlertSources
from framework.ops.readiness import NotReady, NotReadyKind
from framework.runtime.kill_latch import Latch
from framework.state.trading_states import ScopedState

VENUE_START_S = 30
"""A venue that has not been up in this run is not called down sooner, in seconds: a start takes its time."""

SILENT_NS = 10_000_000_000
"""A book that nothing has proved for so long is silent: twice the age at which the default refuses orders on it."""

UNRECONCILED_NS = 180_000_000_000
UNKNOWN_NS = 60_000_000_000
LIMITED_NS = 60_000_000_000
EXHAUSTED_NS = 60_000_000_000

_SHOWN_MAX = 3
_STATES = {TradingState.HALTED: AlertKind.HALTED, TradingState.REDUCING: AlertKind.REDUCING}
_OF_VENUES = {
    NotReadyKind.VENUE_DOWN: AlertKind.VENUE_DOWN,
    NotReadyKind.VENUE_UNUSABLE: AlertKind.VENUE_UNUSABLE,
    NotReadyKind.FOREIGN_ORDERS: AlertKind.FOREIGN_ORDERS,
}
_NOT_BEGUN = (NotReadyKind.STARTING, NotReadyKind.BOOK_STALE)


class Conditions:
    """Looks at the sources of one daemon. It remembers between two looks what only a comparison shows."""

    def __init__(self, sources: AlertSources) -> None:
        self._sources = sources
        self._kernel = sources.kernel
        self._accounts = sources.kernel.dependencies.accounts
        self._clock = sources.kernel.dependencies.clock
        self._started_ns = self._clock.monotonic_ns()
        self._has_said_start = False
        self._were_up = set[str]()
        self._limited: dict[str, tuple[int, int]] = {}  # venue: answers of 429, and when the last was seen
        self._exhausted_ns: dict[str, int] = {}

    def now(self) -> list[Condition]:
        """All that is so now."""
        monotonic_ns, reasons = self._clock.monotonic_ns(), self._sources.not_ready()
        rows = self._rows()
        return [
            *self._start(),
            *map(_of_latch, self._sources.latches()),
            *map(_of_state, rows),
            *self._alarms(rows),
            *self._reasons(reasons),
            *self._books(reasons, monotonic_ns),
            *self._orders(),
            *self._reconciliations(),
            *self._rate_limits(monotonic_ns),
            *self._fund_moves(),
            *self._records(),
        ]

    def _start(self) -> Iterator[Condition]:
        """That this is not the first run, once."""
        was_stopped, epoch = self._sources.was_stopped, self._sources.epoch
        if was_stopped is None or self._has_said_start:
            return
        self._has_said_start = True
        if was_stopped:
            yield _global(AlertKind.RESTARTED, f"started again after a stop, as epoch {epoch}")
        else:
            text = f"started again as epoch {epoch}; the run before ended without a stop (killed, crashed, power lost)"
            yield _global(AlertKind.CRASHED, text)

    def _rows(self) -> list[ScopedState]:
        """The trading states that no operator has set. A shutdown is none, and the halt that a kill leads to is in what
        the latch says."""
        trading = self._accounts.trading
        rows = trading.rows()
        killed = {(found.scope, found.target) for found in map(_of_latch, self._sources.latches())}
        return [
            row
            for row in (rows[:-1] if trading.is_shutting_down else rows)
            if row.by != OPERATOR and (row.scope, row.target) not in killed
        ]

    def _alarms(self, rows: Iterable[ScopedState]) -> Iterator[Condition]:
        """What was alarmed since the last look; what led to a halt is in its reason."""
        alarms = self._sources.alarms
        while alarms:
            text = alarms.popleft()
            if not any(text in row.reason for row in rows):
                digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:6]
                yield Condition(AlertKind.ALARM, Scope.GLOBAL, digest, alert_text(text))

    def _reasons(self, reasons: Sequence[NotReady]) -> Iterator[Condition]:
        """Why the daemon is not ready. A position that differs and has halted its instrument is in that halt."""
        down = {one.target for one in reasons if one.kind in (NotReadyKind.VENUE_DOWN, NotReadyKind.VENUE_UNUSABLE)}
        self._were_up.update(self._kernel.dependencies.queues.keys() - down)
        for kind, target, text in _merged(one for one in reasons if one.kind in _OF_VENUES):
            if text == f"venue {target} is not connected":
                text = f"{text}: {self._kernel.dependencies.books.down_reason(target)}"
            is_start = kind is AlertKind.VENUE_DOWN and target not in self._were_up
            yield Condition(kind, Scope.VENUE, target, alert_text(text), VENUE_START_S if is_start else None)
        for one in reasons:
            if one.kind is NotReadyKind.POSITION_DIFFERS and not self._accounts.trading.is_limited(
                InstrumentId(one.target)
            ):
                yield Condition(AlertKind.POSITION_DIFFERS, Scope.INSTRUMENT, one.target, alert_text(one.text))
        if waiting := [one.text for one in reasons if one.kind in _NOT_BEGUN]:
            yield _global(AlertKind.NOT_READY, f"not ready: {_few(waiting)}")

    def _books(self, reasons: Iterable[NotReady], monotonic_ns: int) -> Iterator[Condition]:
        """The books of each venue that are stale, or silent while their venue is up."""
        troubles = {one.target: one.text for one in reasons if one.kind is NotReadyKind.BOOK_STALE}
        books, known = self._kernel.dependencies.books, self._accounts.instruments
        traded = set[InstrumentId]().union(*map(self._kernel.instruments_of, self._kernel.hosts))
        for instrument in traded:
            book = books.get(instrument)
            age_ns = (book.proof_age_ns(monotonic_ns) or 0) if book is not None and book.is_fresh else 0
            if age_ns >= SILENT_NS and instrument in known and known[instrument].status is InstrumentStatus.ACTIVE:
                troubles.setdefault(instrument, f"book {instrument} is silent for {age_ns // 10**9} s")
        for venue, found in groupby(sorted(troubles), key=lambda instrument: instrument.partition(":")[0]):
            if books.is_connected(venue):
                texts = [troubles[one] for one in found]
                yield Condition(AlertKind.BOOK_STALE, Scope.VENUE, venue, _few(texts))

    def _orders(self) -> Iterator[Condition]:
        old = [(order, age_ns) for order, age_ns in self._sources.in_question.unknown() if age_ns >= UNKNOWN_NS]
        for venue in dict.fromkeys(order.venue for order, _ in old):
            of_venue = [(order.client_order_id, age_ns) for order, age_ns in old if order.venue == venue]
            ids = _few([name for name, _ in of_venue], ", ")
            text = f"orders unknown at {venue}: {len(of_venue)}, the oldest for {of_venue[0][1] // 10**9} s: {ids}"
            yield Condition(AlertKind.ORDER_UNKNOWN, Scope.VENUE, venue, text)

    def _reconciliations(self) -> Iterator[Condition]:
        """Venues that are up and with which no comparison has succeeded for too long."""
        now_ns, run_ns = self._clock.now_ns(), self._clock.monotonic_ns() - self._started_ns
        for (venue,), at_s in self._sources.metrics.reconciled_at.samples():
            age_ns = min(run_ns, now_ns - int(at_s * 1e9))
            if age_ns >= UNRECONCILED_NS and self._kernel.dependencies.books.is_connected(venue):
                text = f"no comparison with {venue} has succeeded for {age_ns // 10**9} s"
                yield Condition(AlertKind.NO_RECONCILIATION, Scope.VENUE, venue, text)

    def _rate_limits(self, monotonic_ns: int) -> Iterator[Condition]:
        for (venue,), count in self._sources.metrics.rate_limited.values.items():
            before, _ = self._limited.get(venue, (0, 0))
            if count > before:
                self._limited[venue] = (count, monotonic_ns)
        for venue, (count, last_ns) in self._limited.items():
            if monotonic_ns - last_ns < LIMITED_NS:
                text = f"{venue} answered 429: it allows less than it declares, or another program spends on this key"
                yield Condition(AlertKind.RATE_LIMITED, Scope.VENUE, venue, f"{text} ({count} since the start)")
        for venue, budget in self._kernel.dependencies.budgets.items():
            if budget.available(RequestKind.NEW, ""):
                self._exhausted_ns.pop(venue, None)
            elif monotonic_ns - self._exhausted_ns.setdefault(venue, monotonic_ns) >= EXHAUSTED_NS:
                text = f"the rate limit of {venue} leaves no room for new orders; left: {_tokens(budget.tokens())}"
                yield Condition(AlertKind.BUDGET_EXHAUSTED, Scope.VENUE, venue, text)

    def _fund_moves(self) -> Iterator[Condition]:
        moves = self._accounts.fund_moves.values()
        for venue in dict.fromkeys(one.venue for one in moves):
            text = _few([one.text for one in moves if one.venue == venue])
            what = f"it is not known what became of the {text}: look at the account's history at the venue"
            yield Condition(AlertKind.FUND_MOVE_UNKNOWN, Scope.VENUE, venue, what)

    def _records(self) -> Iterator[Condition]:
        """What can't be written, and a stop for which somebody is needed."""
        kinds = {"ledger": AlertKind.LEDGER_DOWN, "tape": AlertKind.TAPE_DOWN}
        for part, trouble in self._sources.record_troubles().items():
            if trouble:
                yield _global(kinds[part], f"the {part} can't be written, trading goes on: {trouble}")
        if trouble := self._sources.journal_trouble():
            yield _global(AlertKind.JOURNAL_FAILED, trouble)
        elif trouble := self._sources.failing_stop():
            yield _global(AlertKind.STOPPED, trouble)


def _global(kind: AlertKind, text: str) -> Condition:
    return Condition(kind, Scope.GLOBAL, "", alert_text(text))


def _of_latch(latch: Latch) -> Condition:
    scope = Scope.VENUE if latch.venue else Scope.GLOBAL
    return Condition(AlertKind.KILLED, scope, latch.venue, alert_text(f"killed: {latch.text}"))


def _of_state(row: ScopedState) -> Condition:
    where = f"{row.scope.value} {row.target}" if row.target else "everything"
    is_quarantine = row.scope is Scope.STRATEGY and row.reason.startswith("quarantined: ")
    kind = AlertKind.QUARANTINED if is_quarantine else _STATES[row.state]
    by = f", by {row.by}" if row.by else ""
    return Condition(kind, row.scope, row.target, alert_text(f"{where} is {row.state.value}: {row.reason}{by}"))


def _merged(reasons: Iterable[NotReady]) -> Iterator[tuple[AlertKind, str, str]]:
    """The reasons about venues by kind and venue, those of the same kind and venue in one text."""
    texts: dict[tuple[AlertKind, str], list[str]] = {}
    for one in reasons:
        texts.setdefault((_OF_VENUES[one.kind], one.target), []).append(one.text)
    return ((kind, target, _few(found)) for (kind, target), found in texts.items())


def _few(texts: Sequence[str], between: str = "; ") -> str:
    """The first few texts, and how many more there are."""
    more = len(texts) - _SHOWN_MAX
    return alert_text(between.join([*texts[:_SHOWN_MAX], *([f"{more} more"] if more > 0 else [])]))


def _tokens(pools: Mapping[str, int]) -> str:
    return ", ".join(f"{left} {pool}" for pool, left in pools.items())
