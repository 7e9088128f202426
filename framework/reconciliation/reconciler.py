"""Reconciliation: the venue's word against ours, at start, on each reconnect, on a schedule, and for every doubt.

It only asks and publishes what it hears; the state machine draws the conclusions. What a listing leaves open is looked
up (`framework.reconciliation.order_inquiry`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from decimal import Decimal

import msgspec

from framework.domain.account_events import OrderSnapshot
from framework.domain.errors import OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.instruments import InstrumentId
from framework.domain.orders import Order
from framework.reconciliation import order_terms
from framework.reconciliation.differences import (
    Difference,
    DifferenceKind,
    compare,
    fills_apart,
    orders_apart,
    positions_apart,
    unbooked,
    unlisted,
)
from framework.reconciliation.drift_halt import PositionDriftHalt
from framework.reconciliation.external_orders import ExternalOrders
from framework.reconciliation.fill_query import FillQuery, is_news
from framework.reconciliation.order_inquiry import OrderInquiry
from framework.reconciliation.order_terms import AsOf
from framework.reconciliation.ports import ReconcileDependencies
from framework.runtime.failpoints import reach

RECHECK_NS = 1_000_000_000
"""The next pass after one that found a difference: most of them are fills under way. Also after one that failed."""

TROUBLES = (Retryable, OutcomeUnknown, RefusedByVenue)
"""The venue could not be asked, or did not answer."""


class Reconciler:
    """One venue account. `run` until cancelled; `request` asks for a pass soon; `once` makes one now."""

    def __init__(self, dependencies: ReconcileDependencies) -> None:
        self._dependencies = dependencies
        self._differences: dict[tuple[str, ...], Difference] = {}
        self._drift_halt = PositionDriftHalt(
            dependencies.accounts.trading,
            dependencies.publish,
            dependencies.clock,
            drift_ms_max=dependencies.drift_ms_max,
        )
        self._external_orders = ExternalOrders(dependencies.venue, dependencies.gateway, dependencies.accounts)
        self._one_pass = asyncio.Lock()
        self._next_pass_ns = 0
        self._wake = asyncio.Event()
        self._fill_query = FillQuery(
            dependencies.venue, dependencies.gateway, dependencies.accounts, dependencies.clock
        )
        self._inquiry = OrderInquiry(dependencies, self._fetch_fills)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """What did not agree at the last pass; a position only when it has not for longer than a fill or a read may
        be under way."""
        before_ns = self._dependencies.clock.monotonic_ns() - self._dependencies.gateway.read_lag_ms * 1_000_000
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
    def external_orders(self) -> tuple[OrderSnapshot, ...]:
        """Open orders at the venue that are not ours."""
        return self._dependencies.accounts.external_orders(self._dependencies.venue)

    def request(self) -> None:
        """Make a pass as soon as possible: after a reconnect, say."""
        self._next_pass_ns = 0
        self._wake.set()

    async def run(self) -> None:
        """Watch for doubts and keep the schedule until cancelled."""
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
        """Have an order looked up soon: the venue refused to change it, so it may have ended unheard."""
        self._inquiry.flag(order)

    async def resolve_inquiries(self) -> None:
        """Look up each order that needs evidence and whose turn has come. Raises what the gateway raises."""
        await self._inquiry.resolve()

    async def dry_run(self) -> tuple[Difference, ...]:
        """Ask the venue and compare, but publish nothing and change nothing. A position counts only when it differs
        by the same after the read lag. Raises what the gateway raises."""
        found = await self._ask()
        if any(one.kind is DifferenceKind.POSITION for one in found):
            before = {one.key for one in found}
            await asyncio.sleep(self._dependencies.gateway.read_lag_ms / 1000)
            found = [one for one in await self._ask() if one.kind is not DifferenceKind.POSITION or one.key in before]
        return tuple(self._aged(found))

    async def confirmed_differences(self) -> tuple[Difference, ...]:
        """A pass, and a second one after the read lag when a position differed that may only be under way."""
        found = await self.once()
        if len(self._differences) > len(found):
            await asyncio.sleep(self._dependencies.gateway.read_lag_ms / 1000)
            found = await self.once()
        return found

    async def once(self) -> tuple[Difference, ...]:
        """One pass: open orders, the ends of those that are gone, fills, positions. Raises what the gateway raises."""
        async with self._one_pass:
            return await self._pass()

    async def _pass(self) -> tuple[Difference, ...]:
        dependencies = self._dependencies
        self._next_pass_ns = dependencies.clock.monotonic_ns() + dependencies.interval_ms * 1_000_000
        asked = dependencies.as_of()
        try:
            found = await self._compare_orders(asked)
            found += await self._fetch_fills()
            await self._try(self._look_up_unclaimed_fills)
            found += await self._compare_positions()
        except TROUBLES:
            self._put_next_pass(RECHECK_NS)
            raise
        self._differences = {one.key: one for one in self._aged(found)}
        if self._positions_apart():
            self._put_next_pass(RECHECK_NS)
        self._drift_halt.judge(self._differences.values())
        dependencies.on_pass(self.differences)
        return self.differences

    async def _try(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do it; say when the venue can't be asked."""
        try:
            await work()
        except TROUBLES as e:
            self._dependencies.on_trouble(self._dependencies.venue, f"reconciliation put off: {e}")

    def _put_next_pass(self, after_ns: int) -> None:
        """Make the next pass then, or when it is due anyway: it may have been asked for meanwhile."""
        self._next_pass_ns = min(self._next_pass_ns, self._dependencies.clock.monotonic_ns() + after_ns)

    async def _compare_orders(self, asked: AsOf) -> list[Difference]:
        """Publish the orders that the venue lists as open, and what became of those that it lists no more; say where
        it does not agree with us."""
        dependencies = self._dependencies
        resting_terms = order_terms.resting_terms(dependencies.venue, dependencies.accounts, asked)
        listed = await dependencies.gateway.open_orders()
        as_of = dependencies.as_of().after(asked)
        found = orders_apart(dependencies.venue, dependencies.accounts, listed, as_of)
        for snapshot in listed:
            self._publish_listing(snapshot, resting_terms)
        reach("reconcile-mid-pass")
        seen = {snapshot.venue_order_id for snapshot in listed}
        await self._look_up(unlisted(dependencies.venue, dependencies.accounts, seen, as_of))
        await self._try(lambda: self._look_up_external_orders(seen, as_of))
        return found

    def _publish_listing(self, snapshot: OrderSnapshot, resting_terms: dict[str, order_terms.Known]) -> None:
        """Publish an order as listed, and that these are its terms if its own date does not prove it."""
        dependencies = self._dependencies
        orders = dependencies.accounts.orders
        order = orders.get(snapshot.client_order_id) or orders.by_venue_id(dependencies.venue, snapshot.venue_order_id)
        is_newest = order is not None and order_terms.is_unchanged(order, resting_terms)
        dependencies.publish(snapshot)
        if order is not None and is_newest and order_terms.differ(order, snapshot):
            dependencies.publish(order_terms.as_listed(order, snapshot))

    async def _look_up(self, orders: Sequence[Order]) -> None:
        """Ask what became of orders that are not listed any more. What is not said now stays a doubt, and does not hold
        up the rest of the pass."""
        waiting = list(orders)
        while waiting:
            try:
                found = await self._dependencies.gateway.find_order(waiting[0])
            except TROUBLES as e:
                self._dependencies.on_trouble(
                    self._dependencies.venue, f"{len(waiting)} orders are looked up later: {e}"
                )
                break
            order = waiting.pop(0)
            if found is None:
                self._inquiry.flag(order)
            else:
                self._dependencies.publish(found)
        for order in waiting:
            self._inquiry.flag(order)

    async def _look_up_external_orders(self, seen: Collection[str], as_of: AsOf) -> None:
        """Publish what became of orders that are not ours."""
        for news in await self._external_orders.look_up(seen, as_of):
            self._dependencies.publish(news)

    async def _look_up_unclaimed_fills(self) -> None:
        """Publish the orders of fills that nobody claims."""
        for news in await self._external_orders.look_up_fills(self._dependencies.as_of()):
            self._dependencies.publish(news)

    async def _fetch_fills(self, from_ns: int | None = None) -> list[Difference]:
        """Publish those of the venue's fills that are news; say which of them were not booked."""
        dependencies = self._dependencies
        listed = await self._fill_query.fetch(from_ns=from_ns)
        found = fills_apart(
            dependencies.venue, dependencies.accounts, unbooked(dependencies.accounts, listed), dependencies.as_of()
        )
        for fill in [fill for fill in listed if is_news(dependencies.accounts, fill)]:
            dependencies.publish(fill)
        return found

    async def _compare_positions(self) -> list[Difference]:
        """Publish the venue's positions; say where they are not ours."""
        dependencies = self._dependencies
        reports = await dependencies.gateway.positions()
        for report in reports:
            dependencies.publish(report)
        return positions_apart(
            dependencies.venue,
            dependencies.accounts,
            reports,
            dependencies.as_of(),
            drift_ms_max=dependencies.drift_ms_max,
        )

    async def _ask(self) -> list[Difference]:
        dependencies = self._dependencies
        return await compare(
            dependencies.venue,
            dependencies.gateway,
            dependencies.accounts,
            fill_query=self._fill_query,
            clock=dependencies.clock,
            drift_ms_max=dependencies.drift_ms_max,
        )

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
