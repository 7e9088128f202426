"""Reconciliation of one venue account: open orders, fills and positions at the venue are compared with ours (C21).

It runs at start, on each reconnect and on a schedule. It only asks and publishes the answers as events; the state
machine draws the conclusions, so an answer has the same effect whether it was asked for or came by the stream. Orders
that need evidence in between are looked up one by one (`framework.reconciliation.order_inquiry`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from decimal import Decimal

import msgspec

from framework.domain.account_events import OrderSnapshot
from framework.domain.errors import OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.instruments import InstrumentId
from framework.domain.market_events import TradePrint
from framework.domain.operator_requests import OPERATOR
from framework.domain.orders import Order
from framework.domain.terms import FillListing
from framework.domain.venue import left_out
from framework.reconciliation import order_terms
from framework.reconciliation.balances import BalanceComparison
from framework.reconciliation.differences import (
    Difference,
    DifferenceKind,
    compare,
    fills_apart,
    not_known,
    orders_apart,
    positions_apart,
    unbooked,
    unlisted,
    unreadable,
)
from framework.reconciliation.drift_halt import PositionDriftHalt
from framework.reconciliation.external_orders import ExternalOrders, adoption, placed_elsewhere
from framework.reconciliation.fill_query import FillQuery, is_news, owed
from framework.reconciliation.hidden_fills import HiddenFills
from framework.reconciliation.order_inquiry import OrderInquiry
from framework.reconciliation.order_terms import AsOf
from framework.reconciliation.paced_lookups import PacedLookups
from framework.reconciliation.ports import ReconcileDependencies
from framework.runtime.failpoints import reach

RECHECK_NS = 1_000_000_000
"""Time to the next pass after one that failed, or that found positions newly apart: most of these are fills under way.
What has been apart long enough to halt its instrument is looked at on schedule: asking more often proves nothing."""

HIDDEN_NS = 5_000_000_000
"""The longest time between two passes where only positions show what rests and trades."""

TROUBLES = (Retryable, OutcomeUnknown, RefusedByVenue)
"""Errors of a gateway that say: the venue can't be asked now, or did not answer. They prove nothing of an order."""


class Reconciler:
    """Keeps one venue account and the state in agreement.

    `run` until cancelled makes passes and look-ups; `request` asks for a pass soon; `once` makes one now. Passes never
    overlap. All of it runs in the event loop.
    """

    def __init__(self, dependencies: ReconcileDependencies) -> None:
        self._dependencies = dependencies
        self._differences: dict[tuple[str, ...], Difference] = {}
        self._drift_halt = PositionDriftHalt(
            dependencies.accounts.trading,
            dependencies.publish,
            dependencies.clock,
            drift_ms_max=dependencies.drift_ms_max,
        )
        self._external_orders = ExternalOrders(dependencies.venue, dependencies.find_order, dependencies.accounts)
        self._one_pass = asyncio.Lock()
        self._next_pass_ns = 0
        self._wake = asyncio.Event()
        self._fill_query = FillQuery(
            dependencies.venue, dependencies.gateway, dependencies.accounts, dependencies.clock
        )
        self._hidden = HiddenFills(dependencies)
        self._inquiry = OrderInquiry(dependencies, self._fetch_fills, self._hidden)
        self._balances = BalanceComparison(dependencies)
        self._paced = PacedLookups(dependencies, self._look_up, self._hidden.take_in)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """What did not agree at the last pass. A position is left out until it has been apart for longer than the
        venue's reads lag: before that the fill may only be under way."""
        before_ns = self._dependencies.clock.monotonic_ns() - self._dependencies.gateway.read_lag_ms * 1_000_000
        return tuple(
            one
            for one in self._differences.values()
            if one.kind is not DifferenceKind.POSITION or one.since_ns < before_ns
        )

    @property
    def drift(self) -> dict[InstrumentId, Decimal]:
        """The venue's position minus ours, in contracts, by instrument, at the last pass, where it is not 0."""
        return {one.instrument: one.gap for one in self._positions_apart()}

    @property
    def awaits_fills(self) -> bool:
        """Whether fills are missing that the next passes may bring: the position alone shows what rests and trades, and
        it is not explained yet."""
        return self._hidden.is_waiting

    @property
    def external_orders(self) -> tuple[OrderSnapshot, ...]:
        """Open orders at the venue that are not ours, as last listed; those that the operator ignores are left out."""
        return self._dependencies.accounts.external_orders(self._dependencies.venue)

    @property
    def ended(self) -> Collection[str]:
        """Client order ids of orders that the venue states as ended, and of which only a later position says how much
        they have traded: they count as open, and can't trade any more."""
        return self._hidden.ended

    @property
    def not_known(self) -> tuple[str, ...]:
        """What can't be compared at this venue, in sentences; empty where it lists everything."""
        return tuple(not_known(self._dependencies.venue, self._dependencies.terms()))

    def request(self) -> None:
        """Have `run` make a pass as soon as it can, as after a reconnect. Returns at once."""
        self._next_pass_ns = 0
        self._paced.request()
        self._wake.set()

    def on_trade(self, trade: TradePrint) -> None:
        """Take in a public trade: where the venue does not list our orders and fills, it says which to look at soon."""
        terms = self._dependencies.terms()
        self._hidden.on_trade(trade)
        if not terms.open_orders:
            self._paced.on_trade(trade)
        elif terms.fills is not FillListing.LISTED and self._is_reached(trade):
            self._put_next_pass(RECHECK_NS)

    def _is_reached(self, trade: TradePrint) -> bool:
        """Whether a public trade has reached the price of an order of ours: it may have traded."""
        orders = self._dependencies.accounts.orders.open(venue=self._dependencies.venue, instrument=trade.instrument)
        return any((one.price - trade.price) * one.side.sign >= 0 for one in orders)

    async def run(self) -> None:
        """Make passes on schedule and look up orders that need evidence, until cancelled.

        Trouble with the venue is reported to `on_trouble` and tried again; it never ends this.
        """
        while True:
            if self._dependencies.clock.monotonic_ns() >= self._next_pass_ns:
                await self._try(self.once)
            await self._try(self.resolve_inquiries)
            self._wake.clear()
            try:
                async with asyncio.timeout(0.1):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def flag(self, order: Order) -> None:
        """Have an order looked up soon: the venue refused to change it, so it may have ended without a report."""
        self._inquiry.flag(order)

    async def resolve_inquiries(self) -> None:
        """Look up each order that needs evidence and whose look-up is due, and, where orders are not listed, the one
        whose turn it is. Raises what the gateway raises."""
        await self._inquiry.resolve()
        if self._hidden.is_waiting or self._hidden.ending(()):
            # An end that is held back needs a position that was read later than the lag.
            self._put_next_pass(RECHECK_NS)
        await self._paced.resolve()

    async def dry_run(self) -> tuple[Difference, ...]:
        """Ask the venue and compare, but publish nothing and change nothing: see `compare`. Raises what the gateway
        raises."""
        dependencies = self._dependencies
        found = await compare(
            dependencies.venue,
            dependencies.gateway,
            dependencies.accounts,
            fill_query=self._fill_query,
            clock=dependencies.clock,
            drift_ms_max=dependencies.drift_ms_max,
        )
        return tuple(self._aged(found))

    async def confirmed_differences(self) -> tuple[Difference, ...]:
        """Make a pass, and a second one after the venue's read lag when a position was apart whose fill may only be
        under way; what is apart then. Raises what the gateway raises."""
        found = await self.once()
        if len(self._differences) > len(found):
            await asyncio.sleep(self._dependencies.gateway.read_lag_ms / 1000)
            found = await self.once()
        return found

    async def once(self) -> tuple[Difference, ...]:
        """Make one pass: open orders, the ends of those that are gone, fills, positions; what did not agree.

        Waits for a pass that is under way. Raises what the gateway raises; the differences of the last pass stay then.
        """
        async with self._one_pass:
            return await self._pass()

    async def _pass(self) -> tuple[Difference, ...]:
        dependencies = self._dependencies
        interval_ns = dependencies.interval_ms * 1_000_000
        if dependencies.terms().fills is FillListing.TAKER_ONLY:
            interval_ns = min(interval_ns, HIDDEN_NS)
        self._next_pass_ns = dependencies.clock.monotonic_ns() + interval_ns
        asked = dependencies.as_of()
        # Positions last: they are compared after the fills that explain them are booked.
        try:
            found = await self._compare_orders(asked)
            await self._try(self._paced.look_up_ended)
            found += await self._fetch_fills()
            await self._try(self._look_up_unclaimed_fills)
            found += await self._compare_positions(asked)
            self._look_for_settlements(found)
        except TROUBLES:
            self._put_next_pass(RECHECK_NS)
            raise
        self._differences = {one.key: one for one in self._aged(found)}
        apart_before_ns = dependencies.clock.monotonic_ns() - dependencies.drift_ms_max * 1_000_000
        if self._hidden.is_waiting or any(one.since_ns > apart_before_ns for one in self._positions_apart()):
            self._put_next_pass(RECHECK_NS)
        # Where fills can be hidden, a position that stays apart is booked, and its instrument may only reduce.
        if dependencies.terms().fills is not FillListing.TAKER_ONLY:
            self._drift_halt.judge(self._differences.values())
        dependencies.on_pass(self.differences)
        return self.differences

    async def _try(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do the work; report it when the venue can't be asked."""
        try:
            await work()
        except TROUBLES as e:
            self._dependencies.on_trouble(self._dependencies.venue, f"reconciliation put off: {e}")

    def _put_next_pass(self, after_ns: int) -> None:
        """Make the next pass after this time, or when it is due anyway: it may have been requested meanwhile."""
        self._next_pass_ns = min(self._next_pass_ns, self._dependencies.clock.monotonic_ns() + after_ns)

    async def _compare_orders(self, asked: AsOf) -> list[Difference]:
        """Publish the orders that the venue lists as open, and what became of those that it lists no more; where they
        and ours did not agree before."""
        dependencies = self._dependencies
        # Before the question: what becomes known while it is under way need not be in the answer.
        resting_terms = order_terms.resting_terms(dependencies.venue, dependencies.accounts, asked)
        listed = await dependencies.gateway.open_orders()
        if listed is None:
            await self._paced.look_up_all()
            return []
        as_of = dependencies.as_of().after(asked)
        unread = left_out(dependencies.gateway, "orders")
        found = orders_apart(
            dependencies.venue,
            dependencies.accounts,
            listed,
            as_of,
            drift_ms_max=dependencies.drift_ms_max,
            unread=unread,
        )
        for snapshot in listed:
            self._publish_listing(snapshot, resting_terms)
        reach("reconcile-mid-pass")
        if dependencies.adopt_own:
            found = self._adopt_own(found)
        seen = {snapshot.venue_order_id for snapshot in listed} | {row.subject for row in unread if row.subject}
        gone = {one.client_order_id: one for one in unlisted(dependencies.venue, dependencies.accounts, seen, as_of)}
        gone |= {one.client_order_id: one for one in self._hidden.ending(seen)}
        await self._look_up([one for name, one in gone.items() if name not in self._hidden.ended])
        await self._try(lambda: self._look_up_external_orders(seen, as_of))
        return found

    def _adopt_own(self, found: Sequence[Difference]) -> list[Difference]:
        """Adopt the orders that a former self of this daemon placed; the differences found, with what was done."""
        dependencies = self._dependencies
        own = placed_elsewhere(dependencies.accounts, dependencies.venue)
        for order in own:
            dependencies.publish(adoption(order, OPERATOR, dependencies.clock.now_ns()))
        names = {order.venue_order_id for order in own}
        action = f"adopted by {OPERATOR}: a clean stop cancels it"
        return [msgspec.structs.replace(one, action=action) if one.subject in names else one for one in found]

    def _publish_listing(self, snapshot: OrderSnapshot, resting_terms: dict[str, order_terms.Known]) -> None:
        """Publish an order as listed. If the listing must be the newest of what is known of the order, but its own date
        does not show it, publish also that these are the order's terms."""
        dependencies = self._dependencies
        orders = dependencies.accounts.orders
        order = orders.get(snapshot.client_order_id) or orders.by_venue_id(dependencies.venue, snapshot.venue_order_id)
        is_newest = order is not None and order_terms.is_unchanged(order, resting_terms)
        self._hidden.take_in(snapshot)
        if order is not None and is_newest and order_terms.differ(order, snapshot):
            dependencies.publish(order_terms.as_listed(order, snapshot))

    async def _look_up(self, orders: Sequence[Order]) -> None:
        """Ask what became of orders that are not listed any more. Those without an answer are looked up again later:
        one that can't be asked must not stop the rest of the pass."""
        waiting = list(orders)
        while waiting:
            try:
                found = await self._dependencies.find_order(waiting[0])
            except TROUBLES as e:
                self._dependencies.on_trouble(
                    self._dependencies.venue, f"{len(waiting)} orders are looked up later: {e}"
                )
                break
            order = waiting.pop(0)
            if found is None:
                self._inquiry.flag(order)
            else:
                self._hidden.take_in(found)
        for order in waiting:
            self._inquiry.flag(order)

    async def _look_up_external_orders(self, seen: Collection[str], as_of: AsOf) -> None:
        """Publish what became of external orders that are not among the listed venue order ids `seen`."""
        for news in await self._external_orders.look_up(seen, as_of):
            self._dependencies.publish(news)

    async def _look_up_unclaimed_fills(self) -> None:
        """Publish the orders behind fills that no known order claims."""
        for news in await self._external_orders.look_up_fills(self._dependencies.as_of()):
            self._dependencies.publish(news)

    async def _fetch_fills(self, from_ns: int | None = None) -> list[Difference]:
        """Publish those of the venue's fills that are news, from the venue time `from_ns` on where given; the ones that
        were missing here."""
        dependencies = self._dependencies
        listed = await self._fill_query.fetch(from_ns=from_ns)
        found = fills_apart(
            dependencies.venue, dependencies.accounts, unbooked(dependencies.accounts, listed), dependencies.as_of()
        )
        late = owed(dependencies.accounts, listed)
        for fill in [fill for fill in listed if fill in late or is_news(dependencies.accounts, fill)]:
            self._hidden.list_fill(fill)
        unread = left_out(dependencies.gateway, "fills")
        return found + unreadable(dependencies.venue, unread, dependencies.as_of())

    async def _compare_positions(self, asked: AsOf) -> list[Difference]:
        """Publish the venue's positions, and the fills that only they show; the ones that are not the same as ours."""
        dependencies = self._dependencies
        reports = await dependencies.gateway.positions()
        if reports is None:
            self._hidden.compare(None, (), asked)
            return self._balances.compare()
        for report in reports:
            dependencies.publish(report)
        venue, as_of, unread = dependencies.venue, dependencies.as_of(), left_out(dependencies.gateway, "positions")
        drift_ms_max = dependencies.drift_ms_max
        self._hidden.compare(reports, [row.instrument for row in unread], asked)
        return unreadable(venue, unread, as_of) + positions_apart(
            venue, dependencies.accounts, reports, as_of, drift_ms_max=drift_ms_max, unread=unread
        )

    def _look_for_settlements(self, found: Sequence[Difference]) -> None:
        """Have the instruments read again whose positions are gone at the venue: a settlement may have ended them, and
        the message of it may be lost."""
        for one in found:
            if one.kind is DifferenceKind.POSITION and not one.venue_size:
                self._dependencies.reread(one.instrument)

    def _aged(self, found: Sequence[Difference]) -> list[Difference]:
        """The differences found; those that the last pass found too keep the time since when they exist."""
        return [
            msgspec.structs.replace(one, since_ns=self._differences[one.key].since_ns)
            if one.key in self._differences
            else one
            for one in found
        ]

    def _positions_apart(self) -> list[Difference]:
        return [one for one in self._differences.values() if one.kind is DifferenceKind.POSITION]
