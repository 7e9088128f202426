"""`tidegate check-config`, and what `tidegate run` refuses before anything starts: all that is known without the venue,
and, when asked to connect, what only the venue knows."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from framework.cli.config import load_from, shown_path
from framework.cli.dry_run import VENUE_S_MAX
from framework.config.resolve import Resolved, ResolvedVenue, resolve
from framework.domain.account_events import InstrumentDefined
from framework.domain.errors import ConfigurationError, TidegateError
from framework.domain.events import Event
from framework.domain.instruments import Instrument
from framework.domain.market_events import ConnectorStatus, VenueClock
from framework.domain.ports import Desk
from framework.domain.venue import Connector, notes_on
from framework.engine.universe import InstrumentPattern
from framework.ops.alerts.outputs import make_outputs
from framework.ops.http import refuse_foreign_host
from framework.own_budget import OwnBudget
from framework.runtime.clock import SystemClock, system_rng
from framework.runtime.files import RealFiles
from framework.runtime.sandbox_process import SandboxProcess
from framework.runtime.secrets import SecretRegistry
from framework.runtime.state_directory import (
    JOURNAL_NAME,
    refuse_account_records,
    refuse_other_account,
    refuse_sandbox_records,
    refuse_unusable,
)
from framework.venues import (
    key_rights_of,
    refuse_assumed_signing,
    refuse_remote,
    refuse_unguarded,
    refuse_withdrawals,
)

_REAL_TRADING = "real trading"


def check_config(options: argparse.Namespace) -> int:
    """Load the configuration and every plugin, make each connector and strategy, and print what was found.

    Nothing is connected, but with `--connect`: then every venue is asked what it lists, and nothing is ordered. Raises
    `ConfigurationError` with one line per problem.
    """
    resolved = resolve(load_from(options))
    problems = Problems()
    assumed: list[str] = []
    with problems:
        assumed = asyncio.run(refuse_offline(resolved))
    with problems:
        refuse_constructors(resolved)
    problems.refuse()
    for line in assumed:
        sys.stdout.write(f"{line}\n")
    for line in asyncio.run(ask_venues(resolved, is_live=options.live)) if options.connect else ():
        sys.stdout.write(f"{line}\n")
    for note in resolved.notes:
        sys.stdout.write(f"note: {note}\n")
    names = ", ".join(map(shown_path, resolved.loaded.files))
    parts = [
        f"{len(resolved.venues)} venues",
        f"{len(resolved.strategies)} strategies",
        f"{len(resolved.checks)} checks",
    ]
    sys.stdout.write(f"ok: {names}: {', '.join(parts)}\n")
    return 0


class Problems:
    """Collects what is wrong, a line each, so that all of it is told at once."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __enter__(self) -> Problems:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        """Keep an error of ours; let every other one pass."""
        if isinstance(error, TidegateError):
            self.lines += [line for line in str(error).splitlines() if line not in self.lines]
        return isinstance(error, TidegateError)

    def refuse(self) -> None:
        """End the collecting. Raises `ConfigurationError` with every line, if there is one."""
        if self.lines:
            raise ConfigurationError("\n".join(self.lines))


async def refuse_offline(resolved: Resolved) -> list[str]:
    """Make every connector that trades on an account, without connecting, and every output of alerts; look whose the
    state directory is, and whether `http.host` is this machine. A line for each assumption about a venue that is not on
    this machine.

    Whether `--live` was given is not asked: a daemon asks. Raises `ConfigurationError` with a line per problem.
    """
    problems = Problems()
    with problems:
        await refuse_foreign_host(resolved.config.http.host)
    for key, folder in (("state_dir", resolved.config.state_dir), ("ledger.archive", resolved.config.ledger.archive)):
        with problems:
            if folder is not None:
                refuse_unusable(folder, key=key)
    with problems:
        make_outputs(resolved.config.alerts, SecretRegistry())
    with problems:
        refuse_records = refuse_account_records if resolved.is_embedded else refuse_sandbox_records
        refuse_records(resolved.config.state_dir)
    owners: dict[str, str] = {}
    assumed: list[str] = []
    for venue in resolved.venues:
        if not venue.row.embedded_sandbox:
            with problems:
                assumed += await _refuse_account(resolved, venue, owners)
    problems.refuse()
    return assumed


async def _refuse_account(resolved: Resolved, venue: ResolvedVenue, owners: dict[str, str]) -> list[str]:
    connector = venue.connector(clock=SystemClock(), rng=system_rng())
    try:
        refuse_remote(connector, is_allowed=resolved.config.live, what=_REAL_TRADING)
        refuse_unguarded(connector, resolved.missing_guards)
        refuse_assumed_signing(connector, is_accepted=venue.row.accept_assumptions)
        owner = owners.setdefault(connector.account, venue.name)
        if owner != venue.name:
            raise ConfigurationError(
                f"venues.{venue.name}: is the same account as venues.{owner} ({connector.account}); name it once"
            )
        refuse_other_account(RealFiles(), resolved.config.state_dir / JOURNAL_NAME, venue.name, connector.account)
        assumptions = () if connector.is_loopback else connector.assumptions
        return [f"{venue.name}: assumed of the venue without proof: {one}" for one in assumptions]
    finally:
        await connector.close()


def refuse_constructors(resolved: Resolved) -> None:
    """Make every strategy once, with a desk that gives nothing. Raises `ConfigurationError` for constructors that raise
    by themselves; one that asks the desk for something can only be judged in a run."""
    problems = Problems()
    for strategy in resolved.strategies:
        desk = _NoDesk()
        with problems:
            try:
                strategy.make(strategy.name, strategy.settings, cast(Desk, desk))
            except ConfigurationError:
                if not desk.was_asked:
                    raise
    problems.refuse()


class _NoDesk:
    """Stands for the desk while no venue is known, and notes that something was asked of it."""

    def __init__(self) -> None:
        self.was_asked = False

    def __getattr__(self, name: str) -> Any:
        self.was_asked = True
        raise LookupError(f"desk.{name} is there only in a run")


@dataclass
class _Seen:
    """What a venue has shown."""

    instruments: dict[str, Instrument] = field(default_factory=dict)
    clock: VenueClock | None = None
    is_up: asyncio.Event = field(default_factory=asyncio.Event)
    notes: list[str] = field(default_factory=list)

    def take(self, event: Event) -> None:
        if isinstance(event, InstrumentDefined):
            self.instruments[event.instrument.id] = event.instrument
        elif isinstance(event, VenueClock):
            self.clock = event
        elif isinstance(event, ConnectorStatus) and event.is_up:
            self.is_up.set()


async def ask_venues(resolved: Resolved, *, is_live: bool) -> list[str]:
    """Connect to every venue, read what it lists, follow its streams until they are up, and order nothing.

    Embedded sandboxes are started for that, in a folder of their own. Returns what was seen, a line each. Raises
    `ConfigurationError` with a line for each venue that can't be used.
    """
    problems = Problems()
    found: dict[str, Instrument] = {}
    lines: list[str] = []
    for venue in resolved.venues:
        with problems:
            seen = await _ask(venue, is_allowed=is_live and resolved.config.live)
            found |= seen.instruments
            lines += _what_was_seen(venue.name, seen)
    problems.refuse()
    return [*lines, *_who_waits(resolved, found)]


def _who_waits(resolved: Resolved, found: Mapping[str, Instrument]) -> list[str]:
    """A line for each strategy that would wait, because no instrument that is open now is one of its own."""
    offered = InstrumentPattern(("*",), 5).choose(found.values())
    return [
        f"strategies.{one.name}.instruments: no active instrument matches {list(one.row.instruments)} now, so it waits "
        f"for one; the venues offer {list(offered)}"
        for one in resolved.strategies
        if not InstrumentPattern(one.row.instruments, one.row.instruments_max).choose(found.values())
    ]


async def _ask(venue: ResolvedVenue, *, is_allowed: bool) -> _Seen:
    seen = _Seen()
    async with AsyncExitStack() as stack:
        ready = None
        if venue.row.embedded_sandbox:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidegate-check-")))
            sandbox = await SandboxProcess.start(
                *venue.sandbox_command(directory), directory / "sandbox.log", folders=venue.plugin.folders
            )
            stack.push_async_callback(sandbox.stop)
            ready = sandbox.ready
        clock = SystemClock()
        budget = OwnBudget(venue.name, clock=clock, follow=seen.take)
        connector = venue.connector(clock=clock, rng=system_rng(), sandbox_ready=ready, turn=budget.turn)
        stack.push_async_callback(connector.close)
        refuse_remote(connector, is_allowed=is_allowed, what="asking it")
        await _watch(connector, seen, budget)
        rights = await key_rights_of(connector)
        refuse_withdrawals(venue.name, rights, is_allowed=venue.row.allow_withdraw_keys)
        seen.notes += notes_on(rights)
        if venue.plugin.access_notes is not None:
            seen.notes += [note for note in await venue.plugin.access_notes(connector) if note not in seen.notes]
    return seen


async def _watch(connector: Connector, seen: _Seen, budget: OwnBudget) -> None:
    """Start the connector and let it run until its streams are up. Raises `ConfigurationError` when they don't come."""
    name = connector.venue
    try:
        async with asyncio.timeout(VENUE_S_MAX):
            await connector.start(budget.publish)
            streams = asyncio.ensure_future(connector.run())
            up = asyncio.ensure_future(seen.is_up.wait())
            try:
                await asyncio.wait((streams, up), return_when=asyncio.FIRST_COMPLETED)
                if streams.done():
                    streams.result()
            finally:
                streams.cancel()
                up.cancel()
                await asyncio.gather(streams, up, return_exceptions=True)
    except TimeoutError as e:
        raise ConfigurationError(f"venues.{name}: no answer within {VENUE_S_MAX:g} s; check address and network") from e
    except TidegateError as e:
        raise ConfigurationError(f"venues.{name}: {e}") from e


def _what_was_seen(name: str, seen: _Seen) -> Iterator[str]:
    yield from (f"{name}: {note}" for note in seen.notes)
    yield f"{name}: {len(seen.instruments)} instruments, streams are up"
    if seen.clock is not None:
        offset_ms, range_ms = seen.clock.offset_ns / 1e6, seen.clock.uncertainty_ns / 1e6
        yield f"{name}: its clock is {offset_ms:+.0f} ms from this machine's, give or take {range_ms:.0f} ms"
