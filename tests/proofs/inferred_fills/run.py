"""One run: strategies trade at a venue that lists little, answers get lost, the daemon is restarted, and at the end
positions, orders and money must be the venue's."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any

from framework.domain.account_events import (
    Fill,
    FillSource,
    FillVoided,
    InstrumentDefined,
    OrderReport,
    ReportKind,
    TradingState,
)
from framework.domain.events import Event
from framework.domain.intents import CancelOrder, NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, Side
from framework.domain.rate_limits import RequestKind
from framework.domain.terms import FillListing
from framework.domain.verdicts import Approved
from framework.reconciliation.order_inquiry import unanswered_at_restart
from framework.reconciliation.ports import ReconcileDependencies
from framework.reconciliation.reconciler import Reconciler
from framework.runtime.clock import ManualClock
from framework.state.accounts import AccountRecord, Accounts
from framework.state.fills import cost_of
from tests.proofs.inferred_fills.dialects import DIALECTS
from tests.proofs.inferred_fills.venue import INSTRUMENT, MARKET, MS, VENUE, Reef

START_NS = 1_700_000_000_000_000_000
STEPS, CALM_STEPS = 30, 45
STRATEGIES = ("maker", "taker")
OPEN_MAX = 4


class Wrong(AssertionError):
    """Something at the end, or on the way, is not the venue's."""


class Run:
    """One account from its first order to rest, at a venue of one of these dialects. `met` counts what happened."""

    def __init__(self, seed: str, met: Counter[str], names: Sequence[str] = tuple(DIALECTS)) -> None:
        self.rng, self.met = random.Random(seed), met
        self.clock = ManualClock(wall_ns=START_NS, monotonic_ns=1_000_000_000)
        dialect = DIALECTS[self.rng.choice(names)]
        terms = dialect.terms
        self.name = dialect.name
        self.venue = Reef(self.rng, self.clock, dialect, self.rng.choice([50, 400, 1_500]))
        self.is_moved = terms.fills is FillListing.TAKER_ONLY and self.rng.random() < 0.15
        self.ends_at_once = self.rng.random() < 0.2
        """The answer to a cancel is the end, without what was filled: nothing is reserved from then on."""
        self.accounts = Accounts()
        self.journal: list[tuple[AccountRecord, int]] = []
        self.alarms: list[str] = []
        self.under_way: dict[str, list[tuple[int, OrderReport]]] = {}
        self._names = 0
        self._uncovered_ms = self.uncovered_ms_max = 0
        self.reconciler = self._reconciler()
        self.publish(InstrumentDefined(INSTRUMENT, START_NS))

    def play(self) -> None:
        """All of it. Raises `Wrong`."""
        moved_at = self.rng.randrange(STEPS)
        for step in range(STEPS):
            self._act()
            for _ in range(self.rng.randrange(3)):
                self.venue.act()
            if self.is_moved and step == moved_at:
                self.met["moved by others"] += 1
                self.venue.move(self.rng.choice([-7, 7]))
            self._pass_time(self.rng.randrange(50, 1_000))
            if self.rng.random() < 0.05:
                self._restart()
        self.venue.is_calm = True
        for order in self.accounts.orders.open():
            if order.status.is_at_venue and self.rng.random() < 0.7:
                self._cancel(order)
        for _ in range(CALM_STEPS):
            self._pass_time(1_000)
        self._check()

    def publish(self, event: Event) -> None:
        """Journal and apply, as the kernel does."""
        self._apply(event)  # type: ignore[arg-type]  # only account events are published here
        if isinstance(event, Fill):
            self.met[f"fills {event.source.value}"] += 1
        elif isinstance(event, FillVoided):
            self.met["inferred fills replaced or taken back"] += 1

    def _apply(self, record: AccountRecord) -> None:
        now_ns = self.clock.now_ns()
        change = self.accounts.apply(record, now_ns)
        self.journal.append((record, now_ns))
        self.alarms += change.alarms
        if change.halts:
            raise Wrong(f"halt: {change.alarms}")

    def _act(self) -> None:
        open_orders = self.accounts.orders.open()
        if len(open_orders) < OPEN_MAX and self.rng.random() < 0.5:
            self._submit()
        at_venue = [one for one in open_orders if one.status.is_at_venue and not one.cancel_wanted]
        if at_venue and self.rng.random() < 0.15:
            self._cancel(self.rng.choice(at_venue))

    def _submit(self) -> None:
        self._names += 1
        name, side = f"c{self._names}", self.rng.choice(list(Side))
        intent = NewOrder(
            strategy=self.rng.choice(STRATEGIES),
            instrument=MARKET,
            side=side,
            price=Price(5_000 - side.sign * 10 * self.rng.randrange(5)),
            size=Size(self.rng.randrange(1, 12)),
        )
        self._approve(intent, name, RequestKind.NEW)
        order = self.accounts.orders.get(name)
        is_lost = self.rng.random() < 0.06
        if order is not None and not is_lost:
            self.venue.place(order)
        self._answer(name, ReportKind.ACCEPTED, ReportKind.UNKNOWN, is_lost=is_lost)

    def _cancel(self, order: Order) -> None:
        intent = CancelOrder(strategy=order.strategy, client_order_id=order.client_order_id)
        self._approve(intent, order.client_order_id, RequestKind.CANCEL)
        self.venue.cancel(order.client_order_id)
        held, now_ns = self.venue.orders.get(order.client_order_id), self.clock.now_ns()
        is_over = held is not None and held.ends_ns is not None and held.ends_ns <= now_ns
        kind = ReportKind.CANCELLED if is_over and self.ends_at_once else ReportKind.CANCEL_PENDING
        self._answer(order.client_order_id, kind, ReportKind.CANCEL_REFUSED, is_lost=False)

    def _approve(self, intent: NewOrder | CancelOrder, name: str, kind: RequestKind) -> None:
        now_ns = self.clock.now_ns()
        approved = Approved(intent=intent, venue=VENUE, client_order_id=name, request_kind=kind, ts_ns=now_ns)
        self._apply(approved)
        self.publish(self._report(name, ReportKind.SENT))

    def _answer(self, name: str, kind: ReportKind, lost: ReportKind, *, is_lost: bool) -> None:
        is_lost = is_lost or self.rng.random() < 0.1
        held = self.venue.orders.get(name)
        report = self._report(name, lost if is_lost else kind)
        if held is not None and not is_lost:
            report = self._report(name, kind, venue_order_id=held.venue_order_id)
        due_ns = self.clock.monotonic_ns() + (2_000 if is_lost else self.rng.randrange(1, 900)) * MS
        self.under_way.setdefault(name, []).append((due_ns, report))

    def _report(self, name: str, kind: ReportKind, *, venue_order_id: str = "") -> OrderReport:
        now_ns = self.clock.now_ns()
        return OrderReport(venue=VENUE, client_order_id=name, kind=kind, ts_recv=now_ns, venue_order_id=venue_order_id)

    def _pass_time(self, ms: int) -> None:
        while ms > 0:
            part = min(ms, 250)
            ms -= part
            self.clock.advance(part * MS)
            self._hear()
            if self.clock.monotonic_ns() >= self.reconciler._next_pass_ns:
                finish(self.reconciler._try(self.reconciler.once))
            finish(self.reconciler._try(self.reconciler.resolve_inquiries))
            self._check_cover(part)

    def _hear(self) -> None:
        now_ns = self.clock.monotonic_ns()
        for name, answers in list(self.under_way.items()):
            for due in [one for one in answers if one[0] <= now_ns]:
                answers.remove(due)
                self.publish(due[1])
            if not answers:
                del self.under_way[name]

    def _restart(self) -> None:
        """Stop at once and begin again, from the journal or from a snapshot."""
        self.met["restarts"] += 1
        folded = Accounts()
        for record, now_ns in self.journal:
            folded.apply(record, now_ns)
        restored = Accounts.from_snapshot(self.accounts.to_snapshot())
        if not folded.digest() == restored.digest() == self.accounts.digest():
            raise Wrong("a restart folds to another state (I22)")
        self.accounts = self.rng.choice([folded, restored])
        self.under_way.clear()
        self.reconciler = self._reconciler()
        for report in unanswered_at_restart(self.accounts, self.clock.now_ns()):
            self.publish(report)

    def _reconciler(self) -> Reconciler:
        return Reconciler(
            ReconcileDependencies(
                venue=VENUE,
                gateway=self.venue,  # type: ignore[arg-type]  # look-ups are all that is asked of it
                accounts=self.accounts,
                publish=self.publish,
                clock=self.clock,
                is_ending=lambda _: False,
                on_pass=lambda _: None,
                on_trouble=lambda _, __: self.met.update(["reads not answered"]),
                is_under_way=lambda name: name in self.under_way,
                terms=lambda: self.venue.terms,
                on_alarm=lambda _: self.met.update(["fills that two strategies could own"]),
            )
        )

    def _check_cover(self, ms: int) -> None:
        """At every moment our position and what is reserved cover the venue's position (I3, I17). Where the venue
        states no amounts, a fill can be given to the wrong one of two orders; how long that leaves something uncovered
        is measured."""
        exposure = self.accounts.exposure(MARKET)
        low, high = exposure.position - exposure.open_sell, exposure.position + exposure.open_buy
        if self.is_moved or self.ends_at_once or low <= self.venue.position <= high:
            self._uncovered_ms = 0
            return
        if self.venue.terms.fills is not FillListing.TAKER_ONLY:
            raise Wrong(f"{low} to {high} is reserved, and the venue has {self.venue.position}")
        self._uncovered_ms += ms
        self.met["uncovered, ms"] += ms
        self.uncovered_ms_max = max(self.uncovered_ms_max, self._uncovered_ms)

    def _check(self) -> None:
        held = self.accounts.positions.account(MARKET)
        if held.size != self.venue.position:
            raise Wrong(f"position: {held.size} here, {self.venue.position} at the venue (I5)")
        if self.accounts.orders.awaiting_fills():
            raise Wrong("fills are awaited at rest")
        rows = self.accounts.trading.rows()
        if any(row.state is TradingState.HALTED for row in rows) or (rows and not self.is_moved):
            raise Wrong(f"stopped: {rows}")
        strategies = sum(self.accounts.positions.of_strategy(one, MARKET).size for one in STRATEGIES)
        if not self.is_moved and strategies != held.size:
            raise Wrong(f"{held.size - strategies} belongs to no order, and nobody else traded")
        for name, at_venue in self.venue.orders.items():
            self._check_order(name, at_venue.filled(self.clock.now_ns()), is_open=at_venue.is_open(self.clock.now_ns()))
        if self.venue.terms.fills is not FillListing.TAKER_ONLY:
            self._check_money()

    def _check_order(self, name: str, filled: int, *, is_open: bool) -> None:
        order = self.accounts.orders.get(name)
        if order is None or order.is_open != is_open:
            raise Wrong(f"{name}: {order and order.status}, open at the venue: {is_open} (I10)")
        if order.filled > order.size or (
            self.venue.terms.fills is not FillListing.TAKER_ONLY and order.filled != filled
        ):
            raise Wrong(f"{name}: {order.filled} of {order.size} filled, {filled} at the venue (I4)")

    def _check_money(self) -> None:
        """Where orders state their amounts, or every fill is listed, cost and fees are exact."""
        is_listed = self.venue.terms.fills is FillListing.LISTED
        source = FillSource.LISTED if is_listed else FillSource.INFERRED_ORDER
        booked = [one.fill for one in self.accounts.fills.snapshot().fills if not one.is_voided]
        if any(fill.source is not source for fill in booked):
            raise Wrong("a fill of another source")
        found = sum(fill.side.sign * cost_of(fill) for fill in booked), sum(fill.fee for fill in booked)
        trades = [(held.side.sign, trade) for held in self.venue.orders.values() for trade in held.trades]
        wanted = (
            sum(sign * trade.size * trade.price for sign, trade in trades),
            sum(trade.fee for _, trade in trades),
        )
        if found != wanted:
            raise Wrong(f"cost and fees: {found} here, {wanted} at the venue (I5)")
        if any(not INSTRUMENT.is_on_grid(fill.price) for fill in booked):
            raise Wrong("a price off the grid")


def finish(work: Coroutine[Any, Any, Any]) -> None:
    """Run what waits for nothing."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")
