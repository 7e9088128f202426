"""Access to the venues: each one's embedded sandbox if it has one, its connector, and the lock of its account."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import structlog

from framework.config.model import Configuration
from framework.config.resolve import ResolvedVenue
from framework.domain.errors import ConfigurationError, Fatal, NotSupported, suggestion
from framework.domain.instruments import Instrument, InstrumentId, InstrumentStatus
from framework.domain.ports import Clock
from framework.domain.turns import TakeTurn, no_limits
from framework.domain.venue import (
    Connector,
    FundMover,
    KeyRights,
    Right,
    UnknownRights,
    rights_in,
)
from framework.runtime.clock import system_rng
from framework.runtime.files import RealFiles
from framework.runtime.sandbox_process import SandboxProcess, forget_settings, keep_settings
from framework.runtime.state_directory import JOURNAL_NAME, StateInUse, StateLock, bind_account, lock_account
from framework.runtime.supervisor import Supervisor
from framework.state.books import Books
from framework.state.order_book import Book

T = TypeVar("T")

_log = structlog.get_logger("daemon")

PATIENCE_NS = 1_000_000_000
"""How long a book may be stale before its snapshot is asked for: one that is under way comes sooner."""

LOOK_MS = 250
"""How often the books are looked at. `PATIENCE_NS` counts from the first look that finds a book stale."""


PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
"""What other programs take for the address of a proxy."""


def warn_of_proxy_variables(environ: Mapping[str, str]) -> None:
    """Name in the log the variables that name a proxy: none of them is used, and who set them may believe so."""
    found = [name for name in PROXY_VARIABLES if environ.get(name)]
    if found:
        names, remedy = ", ".join(found), "venues.NAME.proxy names a venue's proxy"
        _log.warning("proxies of the environment are ignored", variables=names, remedy=remedy)


class VenueAccess:
    """Makes connectors and owns what they need beside them. `connector` once per venue, `close` at the end."""

    def __init__(
        self,
        config: Configuration,
        *,
        clock: Clock,
        supervisor: Supervisor,
        missing_guards: Sequence[str] = (),
        turns: Callable[[str], TakeTurn] = lambda _venue: no_limits,
    ) -> None:
        """`turns` has the turns of each venue's own requests, by its name."""
        self._config = config
        self._missing_guards = missing_guards
        self._clock = clock
        self._supervisor = supervisor
        self._turns = turns
        self._sandboxes: list[SandboxProcess] = []
        self._ready: dict[str, Mapping[str, Any]] = {}
        self._locks: list[StateLock] = []
        self._is_closing = False

    async def connector(self, venue: ResolvedVenue, *, live: bool) -> Connector:
        """The venue's connector, with its sandbox started, its account locked, and the journal bound to it.

        Raises `ConfigurationError` for an address outside this machine without both permissions or without the checks
        that it needs, for a gateway of an earlier form and for an account that is not the journal's, `StateInUse` when
        another daemon trades on the account, `Fatal` when the sandbox does not start.
        """
        ready = (await self._start_sandbox(venue)).ready if venue.row.embedded_sandbox else None
        turn = self._turns(venue.name)
        connector = venue.connector(clock=self._clock, rng=system_rng(), sandbox_ready=ready, turn=turn)
        refuse_remote(connector, is_allowed=live and self._config.live, what="real trading")
        refuse_unguarded(connector, self._missing_guards)
        refuse_assumed_signing(connector, is_accepted=venue.row.accept_assumptions)
        refuse_old_gateway(connector)
        self._lock_account(connector)
        self._bind_account(connector)
        if not connector.is_loopback:
            for assumption in connector.assumptions:
                _log.warning("assumed of the venue without proof", venue=venue.name, assumption=assumption)
        return connector

    def fund_mover(self, venue: ResolvedVenue) -> FundMover:
        """What moves funds out of the venue's account, for one move; call after `connector`. Raises
        `ConfigurationError` when the configuration does not allow it, `NotSupported` when the venue has no such API."""
        factory, where = venue.plugin.fund_mover, f"venues.{venue.name}"
        if factory is None:
            raise NotSupported(f"{where}: funds can't be moved by its API; use its website")
        if not venue.row.allow_fund_moves:
            raise ConfigurationError(
                f"{where}: moving funds is not allowed; set allow_fund_moves = true in [{where}] and start again"
            )
        ready, turn = self._ready.get(venue.name), self._turns(venue.name)
        return venue.call(factory, sandbox_ready=ready, clock=self._clock, rng=system_rng(), turn=turn)

    async def close(self) -> None:
        """Stop the sandboxes and give the locks of the accounts back. Close the connectors first."""
        self._is_closing = True
        await asyncio.gather(*(sandbox.stop() for sandbox in self._sandboxes))
        for venue in self._ready:
            forget_settings(self._config.state_dir, venue)
        for lock in self._locks:
            lock.close()

    def _lock_account(self, connector: Connector) -> None:
        """Keep a second daemon of this machine off the account. Raises `StateInUse` naming the first.

        A lock that can't be made (no folder for temporary files) is a warning only: it guards against a mistake, and
        the state directory has a lock of its own.
        """
        try:
            self._locks.append(lock_account(connector.account))
        except StateInUse:
            raise
        except Fatal as e:
            _log.warning("account not locked: a second daemon on it would not be noticed here", reason=str(e))

    def _bind_account(self, connector: Connector) -> None:
        """Keep the journal to one account per venue. Raises `ConfigurationError` when it is another one's."""
        journal = self._config.state_dir / JOURNAL_NAME
        try:
            bind_account(RealFiles(), journal, connector.venue, connector.account)
        except OSError as e:
            raise Fatal(f"state_dir: {journal} can't be read or written ({e}); check the disk and rights") from e

    async def _start_sandbox(self, venue: ResolvedVenue) -> SandboxProcess:
        directory = self._config.state_dir / f"sandbox-{venue.name}"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        module, arguments = venue.sandbox_command(directory)
        sandbox = await SandboxProcess.start(module, arguments, directory / "sandbox.log", folders=venue.plugin.folders)
        self._sandboxes.append(sandbox)
        self._ready[venue.name] = sandbox.ready
        if venue.plugin.sandbox_settings is not None:
            keep_settings(self._config.state_dir, venue.name, venue.plugin.sandbox_settings(sandbox.ready))
        self._supervisor.spawn(f"{venue.name} sandbox", self._watch(venue.name, sandbox))
        return sandbox

    async def _watch(self, venue: str, sandbox: SandboxProcess) -> None:
        """Stop the daemon when a sandbox ends by itself."""
        code = await sandbox.wait()
        if not self._is_closing:
            raise Fatal(f"venues.{venue}: its sandbox ended with code {code}; see sandbox.log in its folder")
        await asyncio.Event().wait()


class Located(Protocol):
    """What talks to a venue in the name of one of its accounts: a `Connector` or a `KeyAdmin`."""

    @property
    def venue(self) -> str:
        """The name of the account in the configuration."""
        ...

    @property
    def is_loopback(self) -> bool:
        """Whether every address it talks to is on this machine."""
        ...


def venue_named(venues: Iterable[ResolvedVenue], name: str, *, word: str = "--venue") -> ResolvedVenue:
    """The venue of the configuration with this name, which the command line gave as `word`. Raises
    `ConfigurationError` when there is none."""
    known = {venue.name: venue for venue in venues}
    if not name:
        raise ConfigurationError(f"{word}: name the account; known: {', '.join(sorted(known))}")
    if name not in known:
        raise ConfigurationError(f'{word}: there is no venue "{name}"; {suggestion(name, known)}')
    return known[name]


def refuse_remote(connector: Located, *, is_allowed: bool, what: str) -> None:
    """Refuse a connector with an address outside this machine, unless both permissions were given. Two, because one
    alone is easily left behind: a file is copied, a command line repeated. Raises `ConfigurationError`."""
    if not connector.is_loopback and not is_allowed:
        raise ConfigurationError(
            f"venues.{connector.venue}: its addresses are not on this machine; {what} needs both `live = true` in the "
            "configuration and `--live` on the command line"
        )


def refuse_unguarded(connector: Connector, missing_guards: Sequence[str]) -> None:
    """Refuse a connector with an address outside this machine while a check is off that real trading needs. Raises
    `ConfigurationError`."""
    if not connector.is_loopback and missing_guards:
        raise ConfigurationError(
            f"checks: {' and '.join(missing_guards)} can't be missing, replaced or switched off while venues."
            f"{connector.venue} is not on this machine; take it over from the default: tidegate show-config -c sandbox"
        )


def refuse_old_gateway(connector: Connector) -> None:
    """Refuse a gateway that was written before `find_order` took `is_claimed`. Raises `ConfigurationError`."""
    parameters = inspect.signature(connector.gateway.find_order).parameters.values()
    if not any(one.name == "is_claimed" or one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters):
        kind = type(connector.gateway)
        raise ConfigurationError(
            f"venues.{connector.venue}: find_order of {kind.__module__}.{kind.__qualname__} is of an earlier release: "
            "let it take `*, is_claimed` too, and ask is_claimed(venue_order_id) in place of keeping what it has shown "
            "for which order (framework/domain/venue.py)"
        )


def refuse_assumed_signing(connector: Located, *, is_accepted: bool) -> None:
    """Refuse a connector with an address outside this machine whose way to sign requests is assumed (its
    `assumed_signing`), unless the configuration accepts that. Raises `ConfigurationError`."""
    if not connector.is_loopback and getattr(connector, "assumed_signing", False) and not is_accepted:
        raise ConfigurationError(
            f"venues.{connector.venue}: how its requests are signed is assumed, the venue does not document it; try it "
            f"with little money, and set accept_assumptions = true in [venues.{connector.venue}] to trade there"
        )


async def key_rights_of(connector: object) -> KeyRights | UnknownRights:
    """What the key of a connector that has started may do; unknown where it can't ask. Raises like its reads."""
    # Not by `isinstance`: a connector inside another one, which hands everything on, has its methods, too.
    ask: Callable[[], Awaitable[KeyRights | UnknownRights]] | None = getattr(connector, "key_rights", None)
    return UnknownRights() if ask is None else await ask()


def refuse_withdrawals(venue: str, rights: KeyRights | UnknownRights, *, is_allowed: bool) -> None:
    """Refuse a key that can withdraw, unless the configuration allows such keys: a daemon needs none, and a thief of it
    could empty the account. Raises `ConfigurationError`."""
    if Right.WITHDRAW in (rights_in(rights) or ()) and not is_allowed:
        scopes = rights.scopes if isinstance(rights, KeyRights) else rights.declared
        raise ConfigurationError(
            f"venues.{venue}: its key may withdraw, its scopes are {', '.join(scopes)}; use a key that can't, or set "
            f"allow_withdraw_keys = true in [venues.{venue}]"
        )


async def side_by_side(work: Iterable[Awaitable[T]]) -> list[T]:
    """Do all of it at the same time; the results in the order of `work`. Raises the first error in that order, once
    everything has ended: what was made is then known to its owner, who closes it."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def not_defined_again(
    venue: str, earlier: Mapping[InstrumentId, Instrument], now: Mapping[InstrumentId, Instrument]
) -> Sequence[InstrumentId]:
    """The instruments of an earlier run that the venue did not define again when it came up, though they had not
    settled: they may have since, and where nothing was held no settlement will tell."""
    same = [one for one in earlier.values() if one.venue == venue and now.get(one.id) is one]
    return [one.id for one in same if one.status is not InstrumentStatus.SETTLED]


class BookWatch:
    """Asks for a snapshot of each book of a venue that went stale by itself: crossed, or with a level below zero. Says
    in the log which books are stale while their venue is up, once each, and when they are fresh again.

    A connector notices gaps in its stream and gets a snapshot by itself. That changes do not add up only the book
    notices, and nothing but a snapshot makes it fresh again. `run` until cancelled; `resync` is the connector's, which
    limits how often it asks. Of `instruments`, those that have closed or settled are left alone: their books stand.
    """

    def __init__(
        self,
        venue: str,
        books: Books,
        resync: Callable[[InstrumentId], None],
        *,
        clock: Clock,
        instruments: Mapping[InstrumentId, Instrument],
    ) -> None:
        self._venue = venue
        self._books = books
        self._resync = resync
        self._clock = clock
        self._instruments = instruments
        self._since_ns: dict[InstrumentId, int] = {}
        self.stale: dict[InstrumentId, str] = {}
        """The books that have been stale for longer than `PATIENCE_NS` while the venue was up, and why. Written here
        only; what goes down with the venue stays until it is fresh again."""

    def __repr__(self) -> str:
        return f"<BookWatch {self._venue} stale={list(self._since_ns)}>"

    async def run(self) -> None:
        """Look a few times a second until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_MS / 1000)

    def look(self) -> None:
        """Ask for the books that have been stale for longer than `PATIENCE_NS`, unless the venue is down: then all
        of them come with the next connection."""
        now_ns = self._clock.monotonic_ns()
        stale = self._stale_now() if self._books.is_connected(self._venue) else ()
        self._since_ns = {instrument: self._since_ns.get(instrument, now_ns) for instrument in stale}
        for instrument, since_ns in self._since_ns.items():
            if now_ns - since_ns >= PATIENCE_NS:
                self._report_stale(instrument)
                self._resync(instrument)
        for instrument in tuple(self.stale):
            self._look_again(instrument, self._books.get(instrument))

    def _look_again(self, instrument: InstrumentId, book: Book | None) -> None:
        """Leave out a book that is fresh again, and one of an instrument that has closed or left."""
        if book is None or book.is_fresh or self._is_over(instrument):
            del self.stale[instrument]
        if book is not None and book.is_fresh:
            _log.info("book is fresh again", instrument=instrument)

    def _stale_now(self) -> Sequence[InstrumentId]:
        books = [book for book in self._books.of_venue(self._venue) if not book.is_fresh]
        return [book.instrument for book in books if not self._is_over(book.instrument)]

    def _is_over(self, instrument: InstrumentId) -> bool:
        known = self._instruments.get(instrument)
        return known is None or known.status.is_over

    def _report_stale(self, instrument: InstrumentId) -> None:
        reason = self._books.of(instrument).stale_reason
        if instrument not in self.stale:
            _log.warning("book is stale: no order is approved on it", instrument=instrument, reason=reason)
        self.stale[instrument] = reason
