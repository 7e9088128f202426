"""The stage of one case: the sandbox, and the daemons that the case starts on it."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.config.layers import load
from framework.config.resolve import resolve_accounts
from framework.domain.operator_requests import Kill
from framework.domain.venue import Connector
from framework.kill.daemon_watch import DaemonWatch
from framework.kill.process import kill_accounts
from framework.kill.venue_ending import VenueOutcome
from framework.runtime.clock import SystemClock
from framework.runtime.kill_latch import EVERYTHING, KillLatch
from framework.testing.conformance.candidates import LIBRARY_SETTING, Candidate, filled_in
from framework.testing.conformance.findings import NotOffered, NotStaged, expect
from framework.testing.conformance.front import Front
from framework.testing.conformance.market import Market, open_market
from framework.testing.conformance.sandbox import Sandbox
from framework.testing.conformance.session import CONFIGURATION_NAME, WAIT_S_MAX, VenueSession, Wrap

_SOCKETS = shutil.ignore_patterns("*.sock")


def need(is_offered: object, what: str) -> None:
    """State what a case needs of the venue. Raises `NotOffered` when it is not there."""
    if not is_offered:
        raise NotOffered(what)


def unchanged(connector: Connector) -> Connector:
    """The connector as its plugin made it."""
    return connector


@dataclass(frozen=True)
class Setting:
    """What is played: a venue in a dialect with a stream library.

    For tests of the suite itself `wrap` exchanges the connector, and `wait_s_max` bounds how long a condition may take.
    """

    venue: Candidate
    dialect: str = ""
    library: str = ""
    wrap: Wrap = unchanged
    wait_s_max: float = WAIT_S_MAX


def all_settings(venue: Candidate) -> list[Setting]:
    """Every way in which a venue is played: each dialect with each stream library."""
    return [Setting(venue, dialect, library) for dialect in venue.dialects for library in venue.libraries]


class Stage:
    """What a case gets. `open` starts a daemon; `restart` starts the next one on what the last one has written."""

    def __init__(self, setting: Setting, sandbox: Sandbox, directory: Path) -> None:
        self.venue = setting.venue
        self.sandbox = sandbox
        self.session: VenueSession | None = None
        self._setting = setting
        self._dialect = setting.venue.dialect(setting.dialect)
        self._directory = directory
        self._limited: Sandbox | None = None
        self._front: Front | None = None
        self._placed: list[str] = []
        self._more_settings: Mapping[str, Any] = {}
        self._started = 0
        self._configuration = directory
        self.said = ""
        """The line with which the program answers the case's bad input; empty where a case has none."""

    def say(self, line: str, *words: str) -> None:
        """Keep the line with which the program answers bad input. Raises `AssertionError` for what is no single line,
        and for one that lacks one of `words`: the field, its value, and how to mend it."""
        expect(line and line.isprintable() and "Traceback" not in line, f"this is no line for a user: {line!r}")
        missing = [word for word in words if word not in line]
        expect(not missing, f"the line does not say {missing}: {line}")
        self.said = line

    def settings(self, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The connector's settings: declared, of the dialect, of the running sandbox, and the case's own changes."""
        of_sandbox = self.venue.plugin.sandbox_settings
        ready = dict(of_sandbox(self.sandbox.ready)) if of_sandbox is not None else {}
        library = {LIBRARY_SETTING: self._setting.library} if self._setting.library else {}
        declared = {**self.venue.declaration.settings, **self._dialect.settings}
        return self._through_front({**declared, **ready, **library, **self._more_settings, **(changes or {})})

    def _through_front(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The settings with each address of the sandbox moved to the front."""
        if self._front is None:
            return settings
        port, moved = self._front.port, dict(settings)
        for name, value in settings.items():
            if isinstance(value, str) and f":{self.sandbox.port}" in value:
                moved[name] = value.replace(f":{self.sandbox.port}", f":{port}")
                if self._front.is_encrypted:
                    moved[name] = moved[name].replace("http://", "https://").replace("ws://", "wss://")
        return moved

    @property
    def dialect(self) -> str:
        """The dialect that is played; empty where the venue has one only."""
        return self._setting.dialect

    def spoken_as(self, dialect: str) -> dict[str, Any]:
        """Changes of the settings by which another dialect is spoken to this sandbox, as the venue declares them.
        Raises `NotStaged` where it declares none."""
        texts = self.venue.dialect(dialect).misplaced
        if not texts:
            raise NotStaged(f"conformance.toml has no [dialects.{dialect}.misplaced]")
        return filled_in(texts, {**self.sandbox.ready, "port": self.sandbox.port})

    async def front(self, tls: ssl.SSLContext | None = None) -> Front:
        """Put a front before the sandbox: daemons that are opened later go through it."""
        self._front = Front(self.sandbox.port, tls)
        await self._front.up()
        return self._front

    async def limit(self) -> None:
        """Go over to a sandbox of its own whose rate limits are reached quickly. Raises `NotStaged` when the venue
        declares none."""
        limited = self.venue.declaration.limited
        if limited is None:
            raise NotStaged("conformance.toml has no [limited]")
        arguments = [*self._dialect.arguments, *limited.arguments]
        self.sandbox = self._limited = await Sandbox.start(self.venue, self.new_directory(), arguments)
        self._more_settings = limited.settings

    async def trade(
        self, changes: Mapping[str, Any] | None = None, *, size: int = 50, more: str = ""
    ) -> tuple[VenueSession, Market]:
        """A daemon that is ready, and a market whose counterparty rests `size` lots at each level."""
        session = await self.open(changes, more=more)
        return session, await open_market(session, self.sandbox, size=size)

    def request_of(self, request: str) -> str:
        """The pattern "METHOD path" of a kind of request: "new", "cancel" or "amend". Raises `NotStaged` when the
        venue does not declare it."""
        if request not in self.venue.declaration.requests:
            raise NotStaged(f"conformance.toml has no requests.{request}")
        return self.venue.declaration.requests[request]

    async def open(
        self, changes: Mapping[str, Any] | None = None, *, is_awaited: bool = True, more: str = ""
    ) -> VenueSession:
        """Start a daemon with an empty state, and wait until it is ready unless `is_awaited` is false. `more` is
        further text of its configuration."""
        return await self._begin(self.new_directory(), changes, is_awaited=is_awaited, more=more)

    async def crash(self) -> Path:
        """End the daemon at once, as the machine's failure would; the folder with what was written until then."""
        session, directory = self._running, self.new_directory()
        shutil.copytree(session.directory / "state", directory / "state", ignore=_SOCKETS)
        self.session = None
        await session.crash()
        return directory

    async def resume(self, directory: Path, *, is_awaited: bool = True) -> VenueSession:
        """Start a daemon on what `crash` left, and wait until it is ready unless `is_awaited` is false."""
        return await self._begin(directory, None, is_awaited=is_awaited)

    async def kill(self, directory: Path) -> VenueOutcome:
        """End the venue's orders as `tidegate kill` does on what `crash` left: the latch, then without a daemon. What
        became of them."""
        state, clock = directory / "state", SystemClock()
        KillLatch(state).set(EVERYTHING, by="conformance", reason="a case", now_ns=clock.now_ns())
        venues, problems = resolve_accounts(load([self._configuration], environ={}))
        expect(not problems, f"{problems}")
        why = Kill(by="conformance", reason="a case")
        watch = DaemonWatch(state, why)
        watch.start()
        said: list[str] = []
        (outcome,) = await kill_accounts(
            venues, state, watch, since_ns=clock.monotonic_ns(), is_live=False, why=why, say=said.append
        )
        expect(not said, f"{said}")
        return outcome

    async def stop(self) -> int:
        """Stop the daemon as on a signal; its exit code."""
        session, self.session = self._running, None
        return await session.stop()

    async def leave(self) -> None:
        """End the daemon where there is nothing to compare."""
        session, self.session = self._running, None
        await session.crash()

    async def close(self) -> None:
        """End the daemon that still runs."""
        session, self.session = self.session, None
        if session is not None:
            await session.crash()
        if self._front is not None:
            await self._front.close()
        if self._limited is not None:
            await self._limited.stop()

    @property
    def _running(self) -> VenueSession:
        if self.session is None:
            raise RuntimeError("no daemon runs: call open first")
        return self.session

    async def _begin(
        self, directory: Path, changes: Mapping[str, Any] | None, *, is_awaited: bool, more: str = ""
    ) -> VenueSession:
        wrap, wait_s_max = self._setting.wrap, self._setting.wait_s_max
        session = self.session = VenueSession(
            self.venue, directory, self.settings(changes), wrap, wait_s_max=wait_s_max, more=more
        )
        session.placed = self._placed
        self._configuration = session.directory / CONFIGURATION_NAME
        await session.start()
        if is_awaited:
            await session.until_ready()
        return session

    def new_directory(self) -> Path:
        """A fresh folder of this case."""
        self._started += 1
        directory = self._directory / str(self._started)
        directory.mkdir(parents=True)
        return directory
