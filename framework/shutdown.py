"""The shutdown: entry stops, what is ours is cancelled and proved, and what may be left is said in time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

import msgspec
import structlog

from framework.domain.account_events import Scope, ShutdownRequested
from framework.domain.errors import EXIT_ORDERS_LEFT, TidegateError
from framework.domain.orders import Order
from framework.domain.ports import Clock
from framework.domain.venue import Connector
from framework.engine.kernel import Kernel
from framework.execution.dispatcher import Dispatcher
from framework.persistence.recovery import Records
from framework.reconciliation.reconciler import Reconciler
from framework.runtime.failpoints import reach
from framework.runtime.supervisor import Supervisor

SHARE_TO_CANCEL = 0.7
"""So much of the shutdown's time may cancels take; the rest is for the last fills."""

FILLS_AGAIN_S = 0.25
"""Time between two passes for fills that are known to be missing."""

SHARE_TO_END = 0.85
"""After so much of it the daemon says what may be left, whatever has not answered. The rest is for closing."""

_log = structlog.get_logger("daemon")


class VenueConnection(msgspec.Struct, frozen=True):
    """What belongs to one venue account: its connector, and who sends to it and compares with it."""

    connector: Connector
    dispatcher: Dispatcher
    reconciler: Reconciler


class Shutdown:
    """Ends the orders of one daemon. On construction it registers itself with the supervisor.

    `venues` are those that are made so far, `starting` the names of those that are not up: they can't prove anything.
    `ms_max` is the time for all of it, in milliseconds.
    """

    def __init__(
        self,
        kernel: Kernel,
        records: Records,
        *,
        clock: Clock,
        supervisor: Supervisor,
        venues: Mapping[str, VenueConnection],
        starting: Collection[str],
        ms_max: int,
    ) -> None:
        self._kernel = kernel
        self._records = records
        self._clock = clock
        self._supervisor = supervisor
        self._venues = venues
        self._starting = starting
        self._ms_max = ms_max
        supervisor.on_stop("cancel orders", self.run, timeout_ms=ms_max)

    async def run(self) -> None:
        """Stop entry, cancel everything that is ours, prove it, and say what may be left: in time, whatever hangs.

        Raises `JournalError` when the state on the disk is not the one in memory.
        """
        try:
            async with asyncio.timeout(self._ms_max * SHARE_TO_END / 1000):
                await self._end_orders()
        except TimeoutError:
            _log.warning("not everything was answered in time")
        finally:
            self._tell_what_is_left()
        if self._records.journal.failure is not None:
            return  # told when it failed: nothing can be recorded or compared any more
        self._records.last_step = self._kernel.step_number
        self._records.checkpoint(self._clock.now_ns(), self._clock.monotonic_ns())
        await self._records.compare_with_disk()

    def last_words(self) -> str:
        """What a process that ends at once leaves: every order that may be open, one line each."""
        lines = [
            f"order may be left: {order.client_order_id} {order.status.value} at {order.venue} on {order.instrument}"
            for order in self._open_orders()
        ]
        return "".join(f"tidegate: {line}\n" for line in ["ended at once", *(lines or ["no order is open"])])

    async def _end_orders(self) -> None:
        reach("shutdown-before-cancel")
        self._kernel.publish(ShutdownRequested(self._supervisor.stop_reason, self._clock.now_ns()))
        self._abandon_queued(is_final=False)
        reach("shutdown-after-cancel")
        deadline_ns = self._clock.monotonic_ns() + int(self._ms_max * SHARE_TO_CANCEL) * 1_000_000
        await asyncio.gather(*(self._end_orders_at(name, deadline_ns) for name in self._venues))

    async def _end_orders_at(self, venue: str, deadline_ns: int) -> None:
        """Wait for the ends of the venue's orders and the fills that it has stated, then ask for the last ones. A venue
        that hangs keeps nobody else."""
        while self._unproved(venue) and self._clock.monotonic_ns() < deadline_ns:  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # what is waited for is a fold of many answers: there is no one event
        if venue in self._starting:
            return
        await self._fetch_last_fills(venue)
        # Where a position alone shows what traded, it must last to show a fill.
        while self._venues[venue].reconciler.awaits_fills and self._clock.monotonic_ns() < deadline_ns:
            await asyncio.sleep(FILLS_AGAIN_S)
            await self._fetch_last_fills(venue)

    def _tell_what_is_left(self) -> None:
        self._abandon_queued(is_final=True)
        ended = {name for one in self._venues.values() for name in one.reconciler.ended}
        left = [one for one in self._open_orders() if one.client_order_id not in ended]
        for order in left:
            _log.error("order may be left", order=order.client_order_id, status=order.status.value, venue=order.venue)
        if left:
            self._supervisor.request_stop("orders may be left", exit_code=EXIT_ORDERS_LEFT)
        if owed := len(self._records.accounts.orders.open()) - len(left):
            _log.warning("fills of orders that have ended come with the next start", orders=owed)
        external_orders = self._records.accounts.exposures.external_count()
        _log.info("trading stopped", orders_left=len(left), external_orders=external_orders)

    def _abandon_queued(self, *, is_final: bool) -> None:
        """What waited in a queue is told apart from what may have reached a venue: it has not left, and does not."""
        for name, connection in self._venues.items():
            if dropped := connection.dispatcher.abandon("the daemon is stopping", is_final=is_final):
                _log.info("requests were not sent", venue=name, orders=list(dropped))

    def _unproved(self, venue: str) -> tuple[Order, ...]:
        """Orders of a venue whose end, or last fills, can still be seen: none of one that is not up."""
        return () if venue in self._starting else self._records.accounts.orders.open(venue=venue)

    async def _fetch_last_fills(self, venue: str) -> None:
        """A cancel's answer does not say what traded before it, and the stream may be behind it."""
        try:
            await self._venues[venue].reconciler.once()
        except TidegateError as e:
            _log.warning("fills of the last moment come with the next start", venue=venue, reason=str(e))

    def _open_orders(self) -> tuple[Order, ...]:
        return self._records.accounts.orders.open_in(Scope.GLOBAL, "")
