"""The daemon's side of a kill: it sees the latch, records it as a halt, and ends the orders of its scope.

The latch stops requests by itself (`framework.execution.last_look`). What follows from it is the usual halt, so that
journal, gate, strategies, metrics and `tidegate status` know one kind of halt only. Another process may have set it, or
it may be there from before the start: so it is looked for, and no request of an operator is needed.

What such a process has cancelled stands in its log. When it has ended, each of our orders there gets the record that
its end was wanted, and why; that it has ended only the venue proves, as for every order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
import structlog

from framework.domain.account_events import CancelRequested, Scope, TradingState, TradingStateChanged
from framework.domain.errors import JournalError
from framework.domain.instruments import InstrumentId
from framework.domain.operator_requests import OPERATOR
from framework.engine.kernel import Kernel
from framework.reconciliation.external_orders import adoption
from framework.runtime.kill_latch import EVERYTHING, KillLatch, Latch
from framework.runtime.kill_log import KillRecord, finished_logs

LATCH_LOOK_MS = 50
"""How often the latch is looked for, in milliseconds. It holds before it is seen."""

_log = structlog.get_logger("kill")


class VenueLeft(msgspec.Struct, frozen=True):
    """What may still be open at a venue as far as the daemon knows: orders of ours, and external ones."""

    own: int
    external: int


class KillWatch:
    """Watches the latch of one daemon, and the logs of kills. `run` until cancelled."""

    def __init__(self, directory: Path, kernel: Kernel, *, wait_durable: Callable[[], Awaitable[None]]) -> None:
        """`directory` is the state directory; `wait_durable` returns once everything recorded so far is durable."""
        self.latch = KillLatch(directory)
        self._directory = directory
        self._kernel = kernel
        self._wait_durable = wait_durable
        self._seen: set[Latch] = set()

    @property
    def seen(self) -> frozenset[Latch]:
        """The latches that were set at the last look. Asks no disk."""
        return frozenset(self._seen)

    async def run(self) -> None:
        """Look a few times a second until cancelled."""
        while True:
            self.look()
            await self.record_logs()
            await asyncio.sleep(LATCH_LOOK_MS / 1000)

    async def record_logs(self) -> None:
        """Record what processes beside the daemon have cancelled, and remove their logs. One that can't be read or
        removed, or recorded because the journal has failed, stays for the next time: to record it twice does no
        harm."""
        try:
            for path, records in finished_logs(self._directory):
                self._record(records)
                await self._wait_durable()
                path.unlink()
        except (OSError, JournalError) as e:
            _log.warning("the log of a kill stays", reason=str(e))

    def look(self) -> None:
        """Halt what has been latched since the last look, and have its open orders cancelled, external ones too."""
        latches = self.latch.latches()
        for latch in latches:
            if latch not in self._seen:
                _log.error("alarm", what=f"killed: {latch.text}")
                self._end(latch)
        self._seen = set(latches)

    def left(self, venue: str = EVERYTHING) -> Mapping[str, VenueLeft]:
        """What may still be open at a venue, or at each."""
        accounts = self._kernel.dependencies.accounts
        return {
            one: VenueLeft(
                len(accounts.orders.open_in(Scope.VENUE, one)),
                len(accounts.external_orders(one)) + len(accounts.external_orders(one, ignored=True)),
            )
            for one in self._kernel.dependencies.queues
            if venue in (EVERYTHING, one)
        }

    def why_held(self, *venues: str) -> str | None:
        """Why nothing may be let leave again: the latch of one of these venues, or of `EVERYTHING`; None without."""
        for latch in self.latch.latches():
            if latch.venue in venues:
                return (
                    f"killed: {latch.text}. See what is open and what was traded, then take the latch away: tidegate "
                    f'resume --kill{_venue_option(latch.venue)} --reason "…"'
                )
        return None

    def why_none(self, venue: str) -> str | None:
        """Why there is no latch of a venue, or of `EVERYTHING`, to take away; None when there is one."""
        latches = [latch.venue for latch in self.latch.latches()]
        if venue in latches:
            return None
        others = " and ".join(_venue_option(one) or "everything" for one in latches)
        return f"there is no such kill latch{f'; there is one of{others}' if others else ''}"

    def _record(self, records: Iterable[KillRecord]) -> None:
        kernel, now_ns = self._kernel, self._kernel.dependencies.clock.now_ns()
        who, names = KillRecord(ts_ns=now_ns, action="kill"), dict[str, str]()
        for record in records:
            if record.action == "kill":
                who = record
            elif not record.outcome:
                names |= dict.fromkeys(self._ours(record), record.venue)
        for name, venue in names.items():
            reason = f"kill: {who.reason}, cancelled by {who.by or 'a process'} beside the daemon"
            kernel.publish(CancelRequested(venue=venue, client_order_id=name, reason=reason, ts_recv=now_ns))
        _log.warning("orders were cancelled beside the daemon", by=who.by, reason=who.reason, orders=len(names))

    def _ours(self, record: KillRecord) -> Iterator[str]:
        """Our orders that a logged request was about, ended or not where it names one."""
        orders = self._kernel.dependencies.accounts.orders
        if record.action == "cancel":
            found = orders.by_venue_id(record.venue, record.venue_order_id)
            yield from () if found is None else (found.client_order_id,)
            return
        instrument = InstrumentId(f"{record.venue}:{record.symbol}") if record.symbol else None
        yield from (one.client_order_id for one in orders.open(venue=record.venue, instrument=instrument))

    def _end(self, latch: Latch) -> None:
        """Record the halt, and end the orders. External orders are adopted first, as for every cancel of theirs."""
        kernel, now_ns = self._kernel, self._kernel.dependencies.clock.now_ns()
        accounts = kernel.dependencies.accounts
        for venue in self.left(latch.venue):
            for order in (*accounts.external_orders(venue), *accounts.external_orders(venue, ignored=True)):
                kernel.publish(adoption(order, OPERATOR, now_ns))
        kernel.publish(
            TradingStateChanged(
                scope=Scope.VENUE if latch.venue else Scope.GLOBAL,
                target=latch.venue,
                state=TradingState.HALTED,
                reason=f"kill: {latch.reason}",
                ts_recv=now_ns,
                by=latch.by,
                is_cancelling=True,
            )
        )


def _venue_option(venue: str) -> str:
    return f" --venue {venue}" if venue else ""
