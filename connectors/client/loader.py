"""Reads instruments: at the start those that are wanted, later those that a message or a refusal makes doubtful.

A venue writes an `InstrumentSource`. `InstrumentLoader` reads and publishes; `InstrumentRefresher` calls it from a task
of its own, so that nothing else waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec
import structlog

from connectors.client.instruments import InstrumentRegistry, ListedInstrument, ReadBegan, Selection
from connectors.client.turns import Turns
from connectors.client.venue_time import VenueTime
from connectors.client.wire.answers import UnreadableAnswer
from framework.domain.errors import ConfigurationError, RefusedByVenue, Retryable
from framework.domain.events import Event
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.ports import Clock

M = TypeVar("M")

# A new instrument may not be readable at once, so it is tried for half a minute.
_RETRY_MS = 1_000
_TRIES_MAX = 30
# Listing what is wanted takes a hundredth of the time at most: some patterns read everything there is.
_SEARCH_PAUSE_FACTOR = 100
_REPORTED_MAX = 1_000
_log = structlog.get_logger("instruments")


class InstrumentSource(Protocol[M]):
    """How a venue's instruments are read; M is one row of its lists. Every read raises `Retryable`, `RefusedByVenue`
    and `AccountRefused` like all reads, and `UnreadableAnswer` for a list that is none."""

    async def list_wanted(self) -> Mapping[str, M]:
        """By symbol everything that the selection names."""
        ...

    async def list_named(self, symbols: Sequence[str]) -> Iterable[M]:
        """These instruments, as far as the venue lists them."""
        ...

    async def read(self, symbol: str) -> M | None:
        """One instrument, None when the venue does not list it."""
        ...

    async def list_held(self) -> Sequence[str]:
        """The symbols in which the account has a position, an open order or a payment."""
        ...

    async def describe(self, row: M) -> ListedInstrument:
        """What a row says, with whatever else must be read for it. Raises `ValueError`, as `UnusableInstrument` is,
        for one that can't be traded as it is listed."""
        ...


class InstrumentLoader(Generic[M]):
    """Reads instruments, defines them in the registry and publishes the events.

    Call order: `load` once, then `fetch`, `refresh` and `find_new`. All raise like the reads of the source.
    """

    def __init__(
        self,
        source: InstrumentSource[M],
        registry: InstrumentRegistry,
        *,
        clock: Clock,
        time: VenueTime,
        publish: Callable[[Event], None],
        setting: str = "markets",
    ) -> None:
        """`setting` names the setting of the patterns, and of their number with "_max" behind it, in error texts."""
        self._source = source
        self._registry = registry
        self._clock = clock
        self._time = time
        self._publish = publish
        self._setting = setting
        self._search_due_ns = 0
        self._reported: set[str] = set()

    async def load(self) -> None:
        """Define every wanted instrument, and every other one in which the account has something.

        A pattern may match nothing yet: what it names is followed once it is listed. Raises `ConfigurationError` for a
        symbol that does not exist, and for more than may be followed.
        """
        began = self._begin()
        wanted = await self._source.list_wanted()
        self._refuse(wanted)
        held = await self._source.list_held()
        others = await self._source.list_named([symbol for symbol in held if symbol not in wanted])
        named = self._registry.selection.exact
        await self._define([row for symbol, row in wanted.items() if symbol in named], began, is_needed=True)
        await self._define([*(row for symbol, row in wanted.items() if symbol not in named), *others], began)
        self._registry.follow(wanted)

    async def refresh(self) -> list[str]:
        """Read every known instrument again, because messages may have been missed. Returns those that must be read
        once more: a message came about them meanwhile."""
        began, known = self._begin(), self._registry.symbols()
        await self._define(await self._source.list_named(known), began)
        return [symbol for symbol in known if self._registry.is_outdated(symbol)]

    async def find_new(self) -> None:
        """List what is wanted, define what is not known yet, and follow it as far as there is room: it may have been
        created while nobody said so, or while there was no room. Does nothing where the last list took so long that it
        is too early for another one."""
        began = self._begin()
        if not self._registry.has_room or began.monotonic_ns < self._search_due_ns:
            return
        try:
            wanted = await self._source.list_wanted()
        except (RefusedByVenue, UnreadableAnswer):
            self._pause_search(began)
            raise
        self._pause_search(began)
        await self._define([row for symbol, row in wanted.items() if not self._registry.find_symbol(symbol)], began)
        self._registry.follow(wanted)

    async def fetch(self, symbol: str) -> bool:
        """Read and define one instrument. False when the venue does not list it yet, not yet what it pays, or not yet
        what the last message said of it."""
        began = self._begin()
        row = await self._source.read(symbol)
        if row is None:
            return False
        await self._define([row], began)
        return not (self._registry.is_paying(symbol) or self._registry.is_outdated(symbol))

    def _refuse(self, wanted: Mapping[str, M]) -> None:
        patterns, most = self._registry.selection.patterns, self._registry.followed_max
        missing = [one for one in self._registry.selection.exact if one not in wanted]
        if missing:
            raise ConfigurationError(f"{self._setting}: the venue has no market {', '.join(missing)}; check the names")
        if len(wanted) > most:
            raise ConfigurationError(
                f"{self._setting}={list(patterns)}: {len(wanted)} markets match, more than"
                f" {self._setting}_max={most}; raise it or narrow the patterns"
            )

    def _begin(self) -> ReadBegan:
        return ReadBegan(self._clock.monotonic_ns(), self._time.now_ns())

    def _pause_search(self, began: ReadBegan) -> None:
        now_ns = self._clock.monotonic_ns()
        self._search_due_ns = now_ns + _SEARCH_PAUSE_FACTOR * (now_ns - began.monotonic_ns)

    async def _define(self, rows: Iterable[M], began: ReadBegan, *, is_needed: bool = False) -> None:
        """Define the instruments that can be. An unusable one stays as it was known, and is said once: it must not stop
        the others. Only where `is_needed` it raises `ConfigurationError`."""
        for row in rows:
            try:
                listed = await self._source.describe(row)
            except ValueError as e:
                if is_needed:
                    raise ConfigurationError(f"{self._setting}: {e}") from e
                self._report(str(e))
                continue
            for event in self._registry.define(listed, ts_recv=self._clock.now_ns(), began=began):
                self._publish(event)

    def _report(self, reason: str) -> None:
        if reason not in self._reported and len(self._reported) < _REPORTED_MAX:
            self._reported.add(reason)
            _log.warning("a market can't be used as it is listed", reason=reason)


class InstrumentRefresher:
    """Queue of instruments to read again, each at most once in it."""

    def __init__(self, loader: InstrumentLoader[Any], *, clock: Clock) -> None:
        self._loader = loader
        self._clock = clock
        self.on_fetched: Callable[[str], None] = _ignore
        """Called with each that was read. Written by whoever runs it, before it runs."""
        self._turns = Turns()
        self._tries: dict[str, int] = {}
        self._asked_again: set[str] = set()
        self._is_refresh_wanted = False
        self._is_search_wanted = False
        self._is_wanted = asyncio.Event()
        self.abandoned = 0
        """How many could not be read in `_TRIES_MAX` tries; a refresh may still find them."""

    def __repr__(self) -> str:
        return f"<InstrumentRefresher waiting={len(self._tries)} refresh={self._is_refresh_wanted}>"

    def fetch(self, symbol: str) -> None:
        """Queue one to be read; one that is queued already keeps its tries. One that is being read now is read
        once more after that: what this is asked for need not be in the answer."""
        self._tries.setdefault(symbol, 0)
        self._asked_again.add(symbol)
        self._is_wanted.set()

    def ask_again(self, symbol: str) -> None:
        """Have one read that is not as it is known here, as a refusal shows: less and less often while it is so again
        and again. It is read after the next `fetch_due`."""
        self._turns.want(symbol, self._clock.monotonic_ns(), was_well=True)

    def fetch_due(self, symbols: Iterable[str] = ()) -> None:
        """Queue these, and those of `ask_again` whose turn has come."""
        for symbol in (*symbols, *self._turns.take(self._clock.monotonic_ns())):
            self.fetch(symbol)

    def refresh(self) -> None:
        """Have every known instrument read and new ones looked for, before the queued ones."""
        self._is_refresh_wanted = True
        self.search()

    def search(self) -> None:
        """Have instruments looked for that are wanted and not known yet."""
        self._is_search_wanted = True
        self._is_wanted.set()

    async def run(self) -> None:
        """Read what is queued, until cancelled. What may succeed then is tried again after a second; raises
        `AccountRefused` only."""
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            if self._is_refresh_wanted:
                await self._refresh_known()
            if self._is_search_wanted:
                await self._find_new()
            for symbol in list(self._tries):
                await self._fetch(symbol)
            if self._tries or self._is_wanted.is_set():
                self._is_wanted.set()
                await asyncio.sleep(_RETRY_MS / 1000)

    async def _refresh_known(self) -> None:
        """One that is asked for meanwhile is done afterwards; so is one that failed, if it may succeed then."""
        self._is_refresh_wanted = False
        try:
            for symbol in await self._loader.refresh():
                self._tries.setdefault(symbol, 0)
        except (RefusedByVenue, UnreadableAnswer) as e:
            _log.warning("known markets can't be read again", reason=str(e))
        except Retryable:
            self._is_refresh_wanted = True
            self._is_wanted.set()

    async def _find_new(self) -> None:
        """One that fails is not done again before it is asked for: the lists may be long."""
        self._is_search_wanted = False
        try:
            await self._loader.find_new()
        except (Retryable, RefusedByVenue) as e:
            _log.warning("new markets can't be looked for", reason=str(e))

    async def _fetch(self, symbol: str) -> None:
        self._asked_again.discard(symbol)
        if await self._is_fetched(symbol):
            if symbol not in self._asked_again:
                del self._tries[symbol]
            self.on_fetched(symbol)
            return
        self._tries[symbol] += 1
        if self._tries[symbol] >= _TRIES_MAX:
            del self._tries[symbol]
            self.abandoned += 1

    async def _is_fetched(self, symbol: str) -> bool:
        try:
            return await self._loader.fetch(symbol)
        except (Retryable, RefusedByVenue):
            return False


class InstrumentParts(msgspec.Struct, frozen=True):
    """What keeps a venue's instruments: see the three classes."""

    registry: InstrumentRegistry
    loader: InstrumentLoader[Any]
    refresher: InstrumentRefresher

    def known(self, instrument: InstrumentId) -> Instrument:
        """The instrument that a request is for. Raises `RefusedByVenue` (`unknown_instrument`) for one that was never
        defined: its scales are not known."""
        found = self.registry.find(instrument)
        if found is None:
            raise RefusedByVenue("unknown_instrument", f"{instrument}: not defined by this connector")
        return found

    def listed(self, symbol: str) -> Instrument:
        """The instrument that a row of a list is about. Raises `ValueError` for one that is not known yet, as after
        another hand's order in it, and has it read, so that the row can be read soon."""
        found = self.registry.find_symbol(symbol)
        if found is None:
            self.refresher.ask_again(symbol)
            raise ValueError(f"{symbol[:60]}: its scales are not known yet")
        return found


def instrument_parts(
    venue: str,
    source: InstrumentSource[M],
    selection: Selection,
    *,
    followed_max: int,
    clock: Clock,
    time: VenueTime,
    publish: Callable[[Event], None],
    read_lag_ns: int = 0,
) -> InstrumentParts:
    """The parts that keep the instruments which `selection` names, read from `source`."""
    registry = InstrumentRegistry(venue, selection, followed_max=followed_max, read_lag_ns=read_lag_ns)
    loader = InstrumentLoader(source, registry, clock=clock, time=time, publish=publish)
    return InstrumentParts(registry, loader, InstrumentRefresher(loader, clock=clock))


def _ignore(_symbol: str) -> None:
    """Nobody wants to know."""
