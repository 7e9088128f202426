"""The guard: a process that watches the daemon's heartbeat, and does what a kill does once it has stopped (C16).

A daemon that hangs or dies leaves its orders at the venue, and no venue here has a timer that would end them. The guard
is that timer. It is armed by the first heartbeat and disarmed by the last one of an orderly end. It ends orders again
and again until each venue has shown that nothing is open, and leaves the latch: whatever comes to life again sends
nothing before somebody has looked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from framework.config.resolve import ResolvedAccount
from framework.domain.errors import TidegateError
from framework.domain.operator_requests import Kill
from framework.domain.ports import Clock
from framework.domain.terms import CancelAllScope
from framework.kill.daemon_watch import DaemonWatch
from framework.kill.process import describe, kill_accounts
from framework.kill.venue_ending import VenueOutcome
from framework.runtime.heartbeat import Beat, read_beat
from framework.runtime.kill_latch import EVERYTHING, KillLatch

GUARD = "guard"
"""Who sets the latch, in records."""

NOT_LISTED = "it lists no orders: those of the journal are ended, not those of others, nor one whose answer was lost"

LOOK_AT_BEAT_S = 0.1
AGAIN_S = 5.0
"""How long it waits before it ends the orders of a venue again that was not proved empty."""


class GuardSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What is guarded: the state directory, its accounts, the seconds without a heartbeat after which their orders are
    ended. `is_live` allows venues outside this machine."""

    directory: Path
    accounts: Sequence[ResolvedAccount]
    timeout_s: float
    is_live: bool


class Guard:
    """Watches one state directory. `run` until cancelled; `say` gets a line for each thing that happens."""

    def __init__(self, spec: GuardSpec, clock: Clock, say: Callable[[str], None]) -> None:
        self._spec = spec
        self._clock = clock
        self._say = say
        self._began_ns = clock.monotonic_ns()
        self._beat: Beat | None = None
        self._was_armed = False

    def limits(self) -> list[str]:
        """What it can't do, a line for each venue. Raises `ConfigurationError` for an account that can't be used."""
        return [f"{account.name}: {limits_of(account, self._spec)}" for account in self._spec.accounts]

    async def run(self) -> None:
        """Look ten times a second."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_AT_BEAT_S)

    async def look(self) -> None:
        """Look once; end the orders when the heartbeat has stopped."""
        self._beat = read_beat(self._spec.directory)
        self._tell()
        if (silent_s := self.silent_s()) is None or silent_s <= self._spec.timeout_s:
            return
        self._say(f"no heartbeat for {silent_s:.1f} s: every order is ended")
        await self._end_orders(f"no heartbeat for {self._spec.timeout_s:g} s")
        await self._wait_for_beat()

    def silent_s(self) -> float | None:
        """Seconds without a heartbeat while one is due, None when none is: no daemon has traded here, or it has stopped
        in order. What was before this process counts from its start."""
        beat = self._beat
        if beat is None or beat.is_last:
            return None
        now_ns = self._clock.monotonic_ns()
        # One of the future is of before a restart of the machine.
        last_ns = beat.monotonic_ns if beat.monotonic_ns <= now_ns else 0
        return (now_ns - max(last_ns, self._began_ns)) / 1e9

    def _tell(self) -> None:
        is_armed = self._beat is not None and not self._beat.is_last
        if is_armed != self._was_armed and self._beat is not None:
            what = (
                f"guards process {self._beat.pid}" if is_armed else "the daemon has stopped in order: nothing to guard"
            )
            self._say(what)
        self._was_armed = is_armed

    async def _end_orders(self, reason: str) -> None:
        """Set the latch and end the orders, until each venue is proved empty or the daemon is back."""
        spec, request, since_ns = self._spec, Kill(reason=reason, by=GUARD), self._clock.monotonic_ns()
        try:
            now_ns = self._clock.now_ns()
            KillLatch(spec.directory).set(EVERYTHING, by=GUARD, reason=reason, now_ns=now_ns)
        except OSError as e:
            self._say(f"the kill latch can't be made durable: {e}")
        left: Sequence[ResolvedAccount] = spec.accounts
        while left:
            watch = DaemonWatch(spec.directory, request)
            watch.start()
            outcomes = await self._try(left, watch, since_ns=since_ns, why=request)
            for outcome in outcomes:
                self._say(outcome.text)
            ended = {one.venue for one in outcomes if one.is_ended}
            left = [one for one in left if one.name not in ended]
            if left:
                await asyncio.sleep(AGAIN_S)

    async def _try(
        self, accounts: Sequence[ResolvedAccount], watch: DaemonWatch, *, since_ns: int, why: Kill
    ) -> Sequence[VenueOutcome]:
        spec = self._spec
        try:
            return await kill_accounts(
                accounts, spec.directory, watch, since_ns=since_ns, is_live=spec.is_live, why=why, say=self._say
            )
        except (OSError, TidegateError) as e:
            self._say(f"it failed and is tried again: {e}")
            return ()

    async def _wait_for_beat(self) -> None:
        """Wait until the daemon runs again: it finds the latch."""
        before = self._beat
        while (beat := read_beat(self._spec.directory)) == before:  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(LOOK_AT_BEAT_S)
        self._beat = beat
        self._say("a daemon runs again; the latch stays until `tidegate resume --kill`")


def limits_of(account: ResolvedAccount, spec: GuardSpec) -> str:
    """What can't be done at a venue while its daemon is silent, in words. Raises `ConfigurationError` for an account
    that can't be used."""
    known = describe(account, spec.directory, is_live=spec.is_live)
    if known is None:
        return "its embedded sandbox ends with the daemon, and its orders with it"
    is_listing, scope = known
    how = {
        CancelAllScope.ACCOUNT: "one request ends every order of the account, those of others, too",
        CancelAllScope.MARKET: "one request ends every order of a market, those of others, too",
        CancelAllScope.NONE: "orders are ended one by one, at the pace of the rate limit",
    }[scope]
    cant = "" if is_listing else f"; {NOT_LISTED}"
    return f"{how}{cant}; the venue has no timer of its own: what this process can't reach stays open"
