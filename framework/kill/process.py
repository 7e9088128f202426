"""A kill: the latch is set, the daemon is asked, and each venue is emptied, with or without the daemon.

The latch comes first and needs nothing but the state directory. A daemon that answers cancels by itself: it has
connections, knows its orders, and what is left of each rate limit. Where it does not answer, or gets no further, this
process takes the venue's lease and cancels directly. In the end it looks at each venue itself: only the venue can say
that nothing is open any more.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from framework.config.resolve import ResolvedAccount
from framework.domain.account_events import Scope
from framework.domain.errors import ConfigurationError, JournalError, TidegateError
from framework.domain.loading import load_late
from framework.domain.market_events import LimitsDeclared
from framework.domain.mass_cancel import MassCancel, OpenOrder, Stamps
from framework.domain.operator_requests import Kill
from framework.domain.orders import OrderStatus
from framework.domain.ports import Clock
from framework.domain.terms import CancelAllScope
from framework.kill.daemon_watch import DaemonWatch
from framework.kill.venue_ending import GIVE_UP_NS, KnownOrders, VenueEnding, VenueOutcome
from framework.own_budget import OwnBudget, OwnBudgets
from framework.runtime.background import run_detached
from framework.runtime.clock import SystemClock, system_rng
from framework.runtime.files import RealFiles
from framework.runtime.kill_log import KillLog, KillRecord
from framework.runtime.sandbox_process import read_settings
from framework.runtime.state_directory import JOURNAL_NAME, is_in_use
from framework.runtime.venue_lease import BudgetNote, VenueLease

FOLD = "framework.persistence.journal.restore:fold"

STALL_NS = 1_500_000_000
"""A daemon that has ended no order of a venue for so long is not waited for there."""

LEASE_S = 0.02

T = TypeVar("T")


class OwnFiles:
    """Where this process keeps what it writes: the state directory, or a folder of its own for what can't be made
    there. Orders are ended on a full or damaged disk, too."""

    def __init__(self, directory: Path, say: Callable[[str], object]) -> None:
        """`say` gets a line when another folder is used."""
        self._directory = directory
        self._say = say
        self._spare: Path | None = None

    def make(self, factory: Callable[[Path], T]) -> T:
        """What `factory` makes of the folder. Raises `OSError` when nothing can be written anywhere."""
        try:
            return factory(self._directory)
        except OSError as e:
            if self._spare is None:
                self._spare = Path(tempfile.mkdtemp(prefix="tidegate-kill-"))
                self._say(f"{self._directory} can't be written ({e.strerror or e}); the log is in {self._spare}")
            return factory(self._spare)


class KillSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a kill needs to know. `budgets` are those of all venues, `since_ns` is the monotonic time at which the latch
    was set; `is_live` allows venues outside this machine."""

    directory: Path
    venues: Sequence[ResolvedAccount]
    budgets: OwnBudgets
    since_ns: int
    is_live: bool
    files: OwnFiles


async def kill_accounts(
    accounts: Sequence[ResolvedAccount],
    directory: Path,
    watch: DaemonWatch,
    *,
    since_ns: int,
    is_live: bool,
    why: Kill,
    say: Callable[[str], object],
) -> list[VenueOutcome]:
    """End the orders of these accounts, and keep a log of it for the daemon. `since_ns` is the monotonic time at which
    the latch was set; `say` gets a line when the state directory `directory` can't be written. Raises `OSError` when no
    log can be made anywhere."""
    clock, files = SystemClock(), OwnFiles(directory, say)
    log = files.make(partial(_begin_log, now_ns=clock.now_ns(), why=why))
    try:
        budgets = OwnBudgets({one.name: f"{one.row.use} {one.row.proxy}" for one in accounts}, clock)
        spec = KillSpec(
            directory=directory, venues=accounts, budgets=budgets, since_ns=since_ns, is_live=is_live, files=files
        )
        outcomes = await end_orders(spec, watch, log, clock)
        with suppress(OSError):
            log.sync()
        return outcomes
    finally:
        log.close()


def _begin_log(directory: Path, *, now_ns: int, why: Kill) -> KillLog:
    log = KillLog(directory, now_ns=now_ns)
    try:
        log.write(KillRecord(ts_ns=now_ns, action="kill", by=why.by, reason=why.reason))
    except OSError:
        log.close()
        raise
    return log


async def end_orders(spec: KillSpec, watch: DaemonWatch, log: KillLog, clock: Clock) -> list[VenueOutcome]:
    """End the orders of every venue, side by side, and say what became of them; whatever happens at one, the others go
    on."""
    journal = _Journal(spec.directory)
    return await asyncio.gather(*(_end_at(venue, spec, watch, log, clock, journal) for venue in spec.venues))


class _Journal:
    """The orders that the journal knows, read once, in a thread, when a venue asks for them."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / JOURNAL_NAME
        self._reading: asyncio.Task[Any] | None = None

    async def known(self, venue: str) -> KnownOrders:
        """What may be open at a venue. Raises `JournalError` when the journal can't be read."""
        if self._reading is None:
            # Late: of the venues that list open orders nothing of it is needed.
            read = partial(load_late(FOLD), RealFiles(), self._path)
            self._reading = asyncio.create_task(run_detached(read, name="journal"))
        try:
            accounts = await asyncio.shield(self._reading)
        except OSError as e:
            raise JournalError(f"journal: {self._path} can't be read: {e}") from e
        orders = accounts.orders.open_in(Scope.VENUE, venue)
        named = [
            OpenOrder(
                venue_order_id=one.venue_order_id,
                symbol=one.instrument.partition(":")[2],
                client_order_id=one.client_order_id,
            )
            for one in orders
            if one.venue_order_id
        ]
        external = (*accounts.external_orders(venue), *accounts.external_orders(venue, ignored=True))
        named += [
            OpenOrder(venue_order_id=one.venue_order_id, symbol=one.instrument.partition(":")[2]) for one in external
        ]
        unanswered = (OrderStatus.SENT, OrderStatus.UNKNOWN)
        return KnownOrders(tuple(named), sum(one.status in unanswered and not one.venue_order_id for one in orders))


async def _end_at(
    venue: ResolvedAccount, spec: KillSpec, watch: DaemonWatch, log: KillLog, clock: Clock, journal: _Journal
) -> VenueOutcome:
    if venue.row.embedded_sandbox and not is_in_use(spec.directory):
        return VenueOutcome(venue=venue.name, left=0, trouble="its embedded sandbox has ended with its daemon")
    by_daemon = await _leave_to_daemon(venue.name, watch, clock)
    try:
        lease = spec.files.make(partial(VenueLease, venue=venue.name))
        try:
            await _take(lease, clock)
            outcome = await _end_directly(venue, spec, lease, log, clock, journal)
        finally:
            lease.close()
    except (TidegateError, OSError) as e:
        outcome = VenueOutcome(venue=venue.name, trouble=str(e))
    return msgspec.structs.replace(outcome, by_daemon=by_daemon)


async def _leave_to_daemon(venue: str, watch: DaemonWatch, clock: Clock) -> int:
    """Wait while the daemon ends the orders of a venue; how many it has ended."""
    while not watch.is_known:  # noqa: ASYNC110 - a thread asks
        await asyncio.sleep(LEASE_S)
    first = count = watch.count(venue)
    progress_ns = clock.monotonic_ns()
    while count and clock.monotonic_ns() - progress_ns < STALL_NS:
        await asyncio.sleep(LEASE_S)
        now = watch.count(venue)
        if now is None:
            break
        if now < count:
            progress_ns = clock.monotonic_ns()
        count = now
    return 0 if first is None or count is None else max(first - count, 0)


async def _take(lease: VenueLease, clock: Clock) -> None:
    """Wait for the lease. Raises `TidegateError` when another process keeps it."""
    started_ns = clock.monotonic_ns()
    while not lease.take():
        if clock.monotonic_ns() - started_ns > GIVE_UP_NS:
            raise TidegateError("another process ends the orders there; ask again when it is done")
        await asyncio.sleep(LEASE_S)


async def _end_directly(
    venue: ResolvedAccount, spec: KillSpec, lease: VenueLease, log: KillLog, clock: Clock, journal: _Journal
) -> VenueOutcome:
    note = spec.files.make(partial(BudgetNote, venue=venue.name))
    budget = spec.budgets.of(venue.name, note)
    account = _account(venue, spec, lease, clock, budget)
    budget.publish(LimitsDeclared(venue.name, account.limits, clock.now_ns()))
    try:
        ending = VenueEnding(account, log, clock, known=partial(journal.known, venue.name))
        return await ending.end(since_ns=spec.since_ns)
    finally:
        await account.close()
        note.close()


def describe(account: ResolvedAccount, directory: Path, *, is_live: bool) -> tuple[bool, CancelAllScope] | None:
    """Whether a venue lists open orders, and what one request ends there; None for an embedded sandbox, which ends with
    its daemon. Raises `ConfigurationError` for an account that can't be used."""
    if account.row.embedded_sandbox:
        return None
    clock = SystemClock()
    spec = KillSpec(
        directory=directory,
        venues=(),
        budgets=OwnBudgets({}, clock),
        since_ns=0,
        is_live=is_live,
        files=OwnFiles(directory, _say_nothing),
    )
    found = _account(account, spec, _NoStamps(), clock, OwnBudget(account.name, clock=clock))
    return found.is_listing, found.scope


def _say_nothing(_line: str) -> None:
    """For what writes nothing."""


class _NoStamps:
    """For an account that is described, and sends nothing."""

    def first_from(self, stamp_ms: int, /) -> int:
        return stamp_ms


def _account(venue: ResolvedAccount, spec: KillSpec, lease: Stamps, clock: Clock, budget: OwnBudget) -> MassCancel:
    kept = read_settings(spec.directory, venue.name) if venue.row.embedded_sandbox else {}
    account = venue.mass_cancel(kept, clock=clock, rng=system_rng(), turn=budget.turn, stamps=lease, see=budget.publish)
    if not account.is_loopback and not spec.is_live:
        raise ConfigurationError(
            f"venues.{venue.name}: its addresses are not on this machine; to end orders there needs `live = true` in "
            "the configuration"
        )
    return account
