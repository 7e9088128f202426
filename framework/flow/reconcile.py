"""Reconciliation: the venue's word against ours, at start, on each reconnect, on a schedule, and for every doubt.

It only asks and publishes what it hears; the state machine draws the conclusions. Silence is never evidence:
an order that a look-up does not find counts as never arrived (or, when the venue has had it, as gone) only when two
look-ups, each later than the venue's read lag, did not find it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from framework.domain.errors import OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.events import Event, OrderReport, OrderSnapshot, ReportKind
from framework.domain.instruments import InstrumentId
from framework.domain.orders import Order, OrderStatus
from framework.domain.ports import Clock
from framework.domain.venue import Gateway
from framework.flow import listed_terms
from framework.flow.differences import (
    Difference,
    DifferenceKind,
    Moment,
    ask,
    fills_apart,
    orders_apart,
    positions_apart,
)
from framework.flow.fill_reads import FillReads
from framework.flow.grace import Grace
from framework.flow.strangers import Strangers
from framework.runtime.failpoints import reach
from framework.state.accounts import Accounts

LOOKUP_FIRST_NS = 250_000_000
LOOKUP_AGAIN_NS = 500_000_000
"""The longest time between a look-up that found nothing after the read lag and the one that confirms it."""
LOOKUP_LATEST_NS = 5_000_000_000
RECHECK_NS = 1_000_000_000
"""The next pass after one that found a difference: most of them are fills under way."""
LOOKUPS_MIN = 2

UNANSWERED = (OrderStatus.SENT, OrderStatus.CANCEL_REQUESTED, OrderStatus.AMEND_REQUESTED)


class Doubt(msgspec.Struct):
    """An order that needs evidence: about what, since when and when to look next (both monotonic: the wall clock may be
    set), how long to wait after that, and how often it was not found. A look-up's own answer does not make the doubt
    any younger."""

    about: tuple[object, ...]
    since_ns: int
    due_ns: int
    wait_ns: int = LOOKUP_FIRST_NS
    not_found: int = 0


def always(_client_order_id: str) -> bool:
    """Nobody knows what is under way: an answer may come until it is too late for one."""
    return True


class ReconcileParts(msgspec.Struct, frozen=True, kw_only=True):
    """What a reconciler needs. `interval_ms`: the schedule; `answer_ms_max`: later than
    this an answer is not coming any more; `grace_ms`: a position that differs for longer halts its instrument (C21);
    `is_ending` tells whether an order is to end whatever happens; `is_under_way` whether a request about an order may
    still be answered; `on_pass` is told the differences after each pass."""

    venue: str
    gateway: Gateway
    accounts: Accounts
    publish: Callable[[Event], None]
    clock: Clock
    is_ending: Callable[[Order], bool]
    on_pass: Callable[[tuple[Difference, ...]], None]
    on_trouble: Callable[[str, str], None]
    is_under_way: Callable[[str], bool] = always
    interval_ms: int = 15_000
    answer_ms_max: int = 10_000
    grace_ms: int = 10_000


class Reconciler:
    """One venue account. `run` until cancelled; `request` asks for a pass soon; `once` makes one now."""

    def __init__(self, parts: ReconcileParts) -> None:
        self._parts = parts
        self._doubts: dict[str, Doubt] = {}
        self._unlisted: set[str] = set()
        self._differences: dict[tuple[str, ...], Difference] = {}
        self._grace = Grace(parts.accounts.trading, parts.publish, parts.clock, grace_ms=parts.grace_ms)
        self._strangers = Strangers(parts.venue, parts.gateway, parts.accounts)
        self._one_pass = asyncio.Lock()
        self._next_pass_ns = 0
        self._wake = asyncio.Event()
        self._fill_reads = FillReads(parts.venue, parts.gateway, parts.accounts, parts.clock)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """What did not agree at the last pass; a position only when it has not for longer than a fill or a read may
        be under way."""
        before_ns = self._parts.clock.monotonic_ns() - self._parts.gateway.read_lag_ms * 1_000_000
        return tuple(
            one
            for one in self._differences.values()
            if one.kind is not DifferenceKind.POSITION or one.since_ns < before_ns
        )

    @property
    def drift(self) -> dict[InstrumentId, Decimal]:
        """Venue's position minus ours in contracts, at the last pass, where it is not 0."""
        return {one.instrument: one.gap for one in self._positions_apart()}

    @property
    def orphans(self) -> tuple[OrderSnapshot, ...]:
        """Open orders at the venue that are not ours."""
        return self._parts.accounts.strangers(self._parts.venue)

    def request(self) -> None:
        """Make a pass as soon as possible: after a reconnect, say."""
        self._next_pass_ns = 0
        self._wake.set()

    async def run(self) -> None:
        """Watch for doubts and keep the schedule until cancelled."""
        while True:
            try:
                if self._parts.clock.monotonic_ns() >= self._next_pass_ns:
                    await self.once()
                await self.resolve_doubts()
            except (Retryable, OutcomeUnknown, RefusedByVenue) as e:
                self._parts.on_trouble(self._parts.venue, f"reconciliation put off: {e}")
                self._next_pass_ns = self._parts.clock.monotonic_ns() + 1_000_000_000
            self._wake.clear()
            try:
                async with asyncio.timeout(0.1):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def dry_run(self) -> tuple[Difference, ...]:
        """Ask the venue and compare, but publish nothing and change nothing. A position counts only when it differs
        by the same after the read lag. Raises what the gateway raises."""
        found = await self._ask()
        if any(one.kind is DifferenceKind.POSITION for one in found):
            before = {one.key for one in found}
            await asyncio.sleep(self._parts.gateway.read_lag_ms / 1000)
            found = [one for one in await self._ask() if one.kind is not DifferenceKind.POSITION or one.key in before]
        return tuple(self._aged(found))

    async def settled(self) -> tuple[Difference, ...]:
        """A pass, and a second one after the read lag when a position differed that may only be under way."""
        found = await self.once()
        if len(self._differences) > len(found):
            await asyncio.sleep(self._parts.gateway.read_lag_ms / 1000)
            found = await self.once()
        return found

    async def once(self) -> tuple[Difference, ...]:
        """One pass: open orders, the ends of those that are gone, fills, positions. Raises what the gateway raises."""
        async with self._one_pass:
            return await self._pass()

    async def _pass(self) -> tuple[Difference, ...]:
        parts = self._parts
        self._next_pass_ns = parts.clock.monotonic_ns() + parts.interval_ms * 1_000_000
        started = self._moment()
        settled = listed_terms.settled(parts.venue, parts.accounts, started)
        listed = await parts.gateway.open_orders()
        found = orders_apart(parts.venue, parts.accounts, listed, self._moment())
        for snapshot in listed:
            self._hear(snapshot, settled)
        reach("reconcile-mid-pass")
        seen = {snapshot.venue_order_id for snapshot in listed}
        for order in parts.accounts.orders.open(venue=parts.venue):
            is_settled = started.is_settled(order.updated_ns)
            if order.status.is_at_venue and is_settled and order.venue_order_id not in seen:
                if await self._look_up(order) is None:
                    self._unlisted.add(order.client_order_id)
        for news in await self._strangers.look_up(seen, self._moment()):
            parts.publish(news)
        found += await self._fetch_fills()
        for news in await self._strangers.look_up_fills(self._moment()):
            parts.publish(news)
        found += await self._compare_positions()
        self._differences = {one.key: one for one in self._aged(found)}
        if self._positions_apart():
            self._next_pass_ns = parts.clock.monotonic_ns() + RECHECK_NS
        self._grace.judge(self._differences.values())
        parts.on_pass(self.differences)
        return self.differences

    def _hear(self, snapshot: OrderSnapshot, settled: dict[str, listed_terms.Known]) -> None:
        """Publish an order as listed, and that these are its terms if its own date does not prove it."""
        parts = self._parts
        orders = parts.accounts.orders
        order = orders.get(snapshot.client_order_id) or orders.by_venue_id(parts.venue, snapshot.venue_order_id)
        is_newest = order is not None and listed_terms.is_settled_still(order, settled)
        parts.publish(snapshot)
        if order is not None and is_newest and listed_terms.differ(order, snapshot):
            parts.publish(listed_terms.as_listed(order, snapshot))

    async def resolve_doubts(self) -> None:
        """Look up each order that needs evidence and whose turn has come."""
        needing = {order.client_order_id: order for order in self._needing_evidence()}
        now_ns = self._parts.clock.monotonic_ns()
        for client_order_id in [known for known in self._doubts if known not in needing]:
            del self._doubts[client_order_id]
        for client_order_id, order in needing.items():
            about = (order.status, order.cancel_wanted, order.amend_price, order.amend_size)
            doubt = self._doubts.get(client_order_id)
            if doubt is None or doubt.about != about:
                doubt = Doubt(about=about, since_ns=now_ns, due_ns=now_ns + LOOKUP_FIRST_NS)
                self._doubts[client_order_id] = doubt
            if now_ns >= doubt.due_ns:
                await self._resolve(order, doubt)

    def _needing_evidence(self) -> list[Order]:
        """Orders in doubt: unknown ones, changes without an answer, those that should have ended, those that the
        venue does not list, missing fills."""
        parts, orders = self._parts, self._parts.accounts.orders
        late_ns = parts.clock.now_ns() - parts.answer_ms_max * 1_000_000
        return [
            order
            for order in orders.open(venue=parts.venue)
            if order.status is OrderStatus.UNKNOWN
            or (order.status in UNANSWERED and (order.updated_ns < late_ns or not self._may_be_answered(order)))
            or (order.status in listed_terms.RESTING and parts.is_ending(order))
            or order.client_order_id in self._unlisted
        ] + [order for order in orders.awaiting_fills() if order.venue == parts.venue]

    async def _resolve(self, order: Order, doubt: Doubt) -> None:
        lag_ns = self._parts.gateway.read_lag_ms * 1_000_000
        age_ns = self._parts.clock.monotonic_ns() - doubt.since_ns
        is_past_lag = age_ns > lag_ns
        found = await self._look_up(order)
        if found is not None:
            doubt.not_found = 0
            self._unlisted.discard(order.client_order_id)
            if found.filled > order.filled:
                await self._fetch_fills(from_ns=found.created_ns or order.created_ns)
            if is_past_lag:
                self._refuse_change(order, found)
        elif is_past_lag:
            doubt.not_found += 1
            doubt.wait_ns = min(max(doubt.wait_ns, lag_ns), LOOKUP_AGAIN_NS)
            if doubt.not_found >= LOOKUPS_MIN:
                self._give_up(order)
        wait_ns = doubt.wait_ns if is_past_lag else min(doubt.wait_ns, lag_ns - age_ns + 1)
        doubt.due_ns = self._parts.clock.monotonic_ns() + wait_ns
        doubt.wait_ns = min(doubt.wait_ns * 2, LOOKUP_LATEST_NS)

    def _may_be_answered(self, order: Order) -> bool:
        return self._parts.is_under_way(order.client_order_id)

    def _refuse_change(self, order: Order, found: OrderSnapshot) -> None:
        """A change asked for longer ago than reads lag, and that the venue does not show, did not happen. Other
        terms than the old ones are the order's now, also where the date of the listing does not prove it."""
        if order.status is OrderStatus.AMEND_REQUESTED and self._has_old_terms(order, found):
            self._report(order, ReportKind.AMEND_REFUSED, "never_applied", "the venue still shows the old terms")
        elif order.status is OrderStatus.AMEND_REQUESTED and found.is_open:
            self._parts.publish(listed_terms.as_listed(order, found))
        elif order.status is OrderStatus.CANCEL_REQUESTED and found.is_open:
            self._report(order, ReportKind.CANCEL_REFUSED, "never_applied", "the venue still shows it open")

    def _give_up(self, order: Order) -> None:
        self._unlisted.discard(order.client_order_id)
        detail = f"{LOOKUPS_MIN} look-ups after the read lag did not find it"
        if order.venue_order_id:
            self._report(order, ReportKind.CANCELLED, "not_listed", detail)
        else:
            self._report(order, ReportKind.NEVER_ARRIVED, "", detail)

    @staticmethod
    def _has_old_terms(order: Order, found: OrderSnapshot) -> bool:
        return found.is_open and found.price == order.price and found.size == order.size

    async def _look_up(self, order: Order) -> OrderSnapshot | None:
        found = await self._parts.gateway.find_order(order)
        if found is not None:
            self._parts.publish(found)
        return found

    def _report(self, order: Order, kind: ReportKind, code: str, detail: str) -> None:
        self._parts.publish(
            OrderReport(
                venue=order.venue,
                client_order_id=order.client_order_id,
                kind=kind,
                ts_recv=self._parts.clock.now_ns(),
                code=code,
                detail=detail,
            )
        )

    async def _fetch_fills(self, *, from_ns: int | None = None) -> list[Difference]:
        """Publish those of the venue's fills that are news; say which of them were not booked."""
        parts = self._parts
        listed = await self._fill_reads.read(from_ns=from_ns)
        fills = [fill for fill in listed if parts.accounts.fills.is_news(fill)]
        missing = [fill for fill in fills if parts.accounts.fills.get(fill.venue, fill.fill_id) is None]
        found = fills_apart(parts.venue, parts.accounts, missing, self._moment())
        for fill in fills:
            parts.publish(fill)
        return found

    async def _compare_positions(self) -> list[Difference]:
        """Publish the venue's positions; say where they are not ours."""
        parts = self._parts
        reports = await parts.gateway.positions()
        for report in reports:
            parts.publish(report)
        return positions_apart(parts.venue, parts.accounts, reports, self._moment(), grace_ms=parts.grace_ms)

    async def _ask(self) -> list[Difference]:
        parts = self._parts
        return await ask(parts.venue, parts.gateway, parts.accounts, self._moment(), grace_ms=parts.grace_ms)

    def _moment(self) -> Moment:
        clock = self._parts.clock
        return Moment(clock.now_ns(), clock.monotonic_ns(), self._parts.gateway.read_lag_ms * 1_000_000)

    def _aged(self, found: Sequence[Difference]) -> list[Difference]:
        """The differences found, with the age of those that the last pass found too."""
        return [
            msgspec.structs.replace(one, since_ns=self._differences[one.key].since_ns)
            if one.key in self._differences
            else one
            for one in found
        ]

    def _positions_apart(self) -> list[Difference]:
        return [one for one in self._differences.values() if one.kind is DifferenceKind.POSITION]
