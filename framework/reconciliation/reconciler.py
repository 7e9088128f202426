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
from framework.reconciliation import order_terms as listed_terms
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
from framework.reconciliation.drift_halt import Grace
from framework.reconciliation.external_orders import Strangers
from framework.reconciliation.fill_query import FillReads, is_news
from framework.reconciliation.order_inquiry import Doubts
from framework.reconciliation.order_terms import Moment
from framework.reconciliation.ports import ReconcileParts
from framework.runtime.failpoints import reach

RECHECK_NS = 1_000_000_000
"""The next pass after one that found a difference: most of them are fills under way. Also after one that failed."""

TROUBLES = (Retryable, OutcomeUnknown, RefusedByVenue)
"""The venue could not be asked, or did not answer."""


class Reconciler:
    """One venue account. `run` until cancelled; `request` asks for a pass soon; `once` makes one now."""

    def __init__(self, parts: ReconcileParts) -> None:
        self._parts = parts
        self._differences: dict[tuple[str, ...], Difference] = {}
        self._grace = Grace(parts.accounts.trading, parts.publish, parts.clock, grace_ms=parts.grace_ms)
        self._strangers = Strangers(parts.venue, parts.gateway, parts.accounts)
        self._one_pass = asyncio.Lock()
        self._next_pass_ns = 0
        self._wake = asyncio.Event()
        self._fill_reads = FillReads(parts.venue, parts.gateway, parts.accounts, parts.clock)
        self._doubts = Doubts(parts, self._fetch_fills)

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
            if self._parts.clock.monotonic_ns() >= self._next_pass_ns:
                await self._try(self.once)
            await self._try(self.resolve_doubts)
            self._wake.clear()
            try:
                async with asyncio.timeout(0.1):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def suspect(self, order: Order) -> None:
        """Have an order looked up soon: the venue refused to change it, so it may have ended unheard."""
        self._doubts.suspect(order)

    async def resolve_doubts(self) -> None:
        """Look up each order that needs evidence and whose turn has come. Raises what the gateway raises."""
        await self._doubts.resolve()

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
        asked = parts.moment()
        try:
            found = await self._compare_orders(asked)
            found += await self._fetch_fills()
            await self._try(self._hear_of_unclaimed_fills)
            found += await self._compare_positions()
        except TROUBLES:
            self._put_next_pass(RECHECK_NS)
            raise
        self._differences = {one.key: one for one in self._aged(found)}
        if self._positions_apart():
            self._put_next_pass(RECHECK_NS)
        self._grace.judge(self._differences.values())
        parts.on_pass(self.differences)
        return self.differences

    async def _try(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do it; say when the venue can't be asked."""
        try:
            await work()
        except TROUBLES as e:
            self._parts.on_trouble(self._parts.venue, f"reconciliation put off: {e}")

    def _put_next_pass(self, after_ns: int) -> None:
        """Make the next pass then, or when it is due anyway: it may have been asked for meanwhile."""
        self._next_pass_ns = min(self._next_pass_ns, self._parts.clock.monotonic_ns() + after_ns)

    async def _compare_orders(self, asked: Moment) -> list[Difference]:
        """Publish the orders that the venue lists as open, and what became of those that it lists no more; say where
        it does not agree with us."""
        parts = self._parts
        settled = listed_terms.settled(parts.venue, parts.accounts, asked)
        listed = await parts.gateway.open_orders()
        moment = parts.moment().after(asked)
        found = orders_apart(parts.venue, parts.accounts, listed, moment)
        for snapshot in listed:
            self._hear(snapshot, settled)
        reach("reconcile-mid-pass")
        seen = {snapshot.venue_order_id for snapshot in listed}
        await self._look_up(unlisted(parts.venue, parts.accounts, seen, moment))
        await self._try(lambda: self._hear_of_strangers(seen, moment))
        return found

    def _hear(self, snapshot: OrderSnapshot, settled: dict[str, listed_terms.Known]) -> None:
        """Publish an order as listed, and that these are its terms if its own date does not prove it."""
        parts = self._parts
        orders = parts.accounts.orders
        order = orders.get(snapshot.client_order_id) or orders.by_venue_id(parts.venue, snapshot.venue_order_id)
        is_newest = order is not None and listed_terms.is_settled_still(order, settled)
        parts.publish(snapshot)
        if order is not None and is_newest and listed_terms.differ(order, snapshot):
            parts.publish(listed_terms.as_listed(order, snapshot))

    async def _look_up(self, orders: Sequence[Order]) -> None:
        """Ask what became of orders that are not listed any more. What is not said now stays a doubt, and does not hold
        up the rest of the pass."""
        waiting = list(orders)
        while waiting:
            try:
                found = await self._parts.gateway.find_order(waiting[0])
            except TROUBLES as e:
                self._parts.on_trouble(self._parts.venue, f"{len(waiting)} orders are looked up later: {e}")
                break
            order = waiting.pop(0)
            if found is None:
                self._doubts.suspect(order)
            else:
                self._parts.publish(found)
        for order in waiting:
            self._doubts.suspect(order)

    async def _hear_of_strangers(self, seen: Collection[str], moment: Moment) -> None:
        """Publish what became of orders that are not ours."""
        for news in await self._strangers.look_up(seen, moment):
            self._parts.publish(news)

    async def _hear_of_unclaimed_fills(self) -> None:
        """Publish the orders of fills that nobody claims."""
        for news in await self._strangers.look_up_fills(self._parts.moment()):
            self._parts.publish(news)

    async def _fetch_fills(self, from_ns: int | None = None) -> list[Difference]:
        """Publish those of the venue's fills that are news; say which of them were not booked."""
        parts = self._parts
        listed = await self._fill_reads.read(from_ns=from_ns)
        found = fills_apart(parts.venue, parts.accounts, unbooked(parts.accounts, listed), parts.moment())
        for fill in [fill for fill in listed if is_news(parts.accounts, fill)]:
            parts.publish(fill)
        return found

    async def _compare_positions(self) -> list[Difference]:
        """Publish the venue's positions; say where they are not ours."""
        parts = self._parts
        reports = await parts.gateway.positions()
        for report in reports:
            parts.publish(report)
        return positions_apart(parts.venue, parts.accounts, reports, parts.moment(), grace_ms=parts.grace_ms)

    async def _ask(self) -> list[Difference]:
        parts = self._parts
        return await compare(
            parts.venue,
            parts.gateway,
            parts.accounts,
            reads=self._fill_reads,
            clock=parts.clock,
            grace_ms=parts.grace_ms,
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
