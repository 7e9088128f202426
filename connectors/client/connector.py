"""A venue's connector, put together of its parts: what starts, runs, is read again and is closed at every venue.

A venue writes the parts that differ (`ConnectorParts`); `VenueConnector` implements
`framework.domain.venue.Connector` with them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import msgspec
import structlog

from connectors.client.loader import InstrumentParts
from connectors.client.polling.account import AccountPoll
from connectors.client.polling.market import MarketPoll
from connectors.client.stream import VenueStream
from connectors.client.venue_time import VenueTime
from connectors.client.wire.answers import HTTP_FORBIDDEN, HTTP_NOT_FOUND, NO_ACCESS, NO_PATH, UnreadableAnswer
from connectors.client.wire.decimals import NS_PER_MS
from framework.domain.errors import AccountRefused, Fatal, RefusedByVenue, Retryable
from framework.domain.events import Event
from framework.domain.instruments import InstrumentId
from framework.domain.market_events import LimitsDeclared, TermsDeclared
from framework.domain.ports import Clock
from framework.domain.rate_limits import RateLimits
from framework.domain.terms import UNDECLARED, VenueTerms
from framework.domain.venue import Gateway, KeyRights, Publish, UnknownRights

_AS_AGAIN = {HTTP_FORBIDDEN: NO_ACCESS, HTTP_NOT_FOUND: NO_PATH}
_CALENDAR_MS = 500
_CLOCK_MS = 300_000
_log = structlog.get_logger("connector")


class EventOutlet:
    """Where the events of a connector go: nowhere before its start. Parts that are made before hold on to `send`."""

    def __init__(self) -> None:
        self.publish: Publish = _drop
        """The kernel's once the connector has started. Written by `VenueConnector` only."""

    def send(self, event: Event, now_ns: int = 0, monotonic_ns: int = 0, /) -> None:
        """Publish one event to whoever listens now."""
        self.publish(event, now_ns, monotonic_ns)


class ConnectorIdentity(msgspec.Struct, frozen=True):
    """Who a connector is. `venue` is its name in the configuration, `account` names host and key without a secret.
    `assumed_signing`: how requests are signed is not documented."""

    venue: str
    account: str
    is_loopback: bool
    assumptions: tuple[str, ...]
    terms: VenueTerms = UNDECLARED
    assumed_signing: bool = False


async def _nothing() -> tuple[Any, ...]:
    return ()


async def _unknown() -> UnknownRights:
    return UnknownRights()


class ConnectorParts(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue puts in.

    `prepare` does what comes before all other reads: it learns the venue's clock, and is done again when nothing else
    has measured that for five minutes, as at a venue without a stream. `documented_limits` hold until
    `read_limits` has read the account's own, or always without it. `read_balances` returns the account's balances as
    events. `key_rights` says what the key may do, which is unknown by default, and `access_notes` what else an operator
    should know of it, a sentence each. `stream`, `poll` and `account_poll` run
    until they are cancelled; any may be missing. `close` gives back what was opened. All that read raise like reads.
    """

    outlet: EventOutlet
    time: VenueTime
    instruments: InstrumentParts
    gateway: Gateway
    prepare: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]
    documented_limits: RateLimits | None = None
    read_limits: Callable[[], Awaitable[RateLimits]] | None = None
    read_balances: Callable[[], Awaitable[Iterable[Event]]] = _nothing
    key_rights: Callable[[], Awaitable[KeyRights | UnknownRights]] = _unknown
    access_notes: Callable[[], Awaitable[Sequence[str]]] = _nothing
    stream: VenueStream | None = None
    poll: MarketPoll | None = None
    account_poll: AccountPoll | None = None
    instruments_interval_ms: int = 60_000
    balance_interval_ms: int = 60_000


class VenueConnector:
    """One account at a venue. Call order: `start`, `run`, `close`."""

    def __init__(self, identity: ConnectorIdentity, parts: ConnectorParts, *, clock: Clock) -> None:
        self._identity = identity
        self._parts = parts
        self._clock = clock
        self._are_limits_known = False
        parts.instruments.refresher.on_fetched = self._on_fetched

    def __repr__(self) -> str:
        return f"<VenueConnector {self.venue} {self._parts.instruments.registry!r} {self._parts.stream!r}>"

    @property
    def venue(self) -> str:
        """The name that the configuration gives to this account; instrument ids begin with it."""
        return self._identity.venue

    @property
    def gateway(self) -> Gateway:
        """The gateway that signs and sends this account's orders and reads its state."""
        return self._parts.gateway

    @property
    def account(self) -> str:
        """Which account of which venue this is."""
        return self._identity.account

    @property
    def is_loopback(self) -> bool:
        """Whether all its addresses are on this machine."""
        return self._identity.is_loopback

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What is assumed of the venue without a check against the live service, one sentence each."""
        return self._identity.assumptions

    @property
    def assumed_signing(self) -> bool:
        """Whether the way to sign requests is assumed: then the daemon asks for a permission of its own."""
        return self._identity.assumed_signing

    @property
    def terms(self) -> VenueTerms:
        """What the venue offers; published by `start`."""
        return self._identity.terms

    async def start(self, publish: Publish, /) -> None:
        """Declare the terms; load limits, instruments and balance, and publish them.

        Raises `Retryable` when the venue cannot be reached, `RefusedByVenue` for a refused read, `ConfigurationError`
        for instruments that do not exist or are too many, and `AccountRefused` for a refused key, where the venue
        forbids what every start reads, and for an address where its API of this dialect is not.
        """
        self._parts.outlet.publish = publish
        publish(TermsDeclared(self.venue, self.terms, self._clock.now_ns()))
        self._declare(None if self._are_limits_known else self._parts.documented_limits)
        try:
            await self._load()
        except RefusedByVenue as e:
            if e.status not in _AS_AGAIN:
                raise
            # Trying again brings the same: what a start reads is there and allowed, or the address is another API's,
            # or the key one that can't be used.
            raise AccountRefused(f"{e}: {_AS_AGAIN[e.status]}") from e

    async def _load(self) -> None:
        await self._parts.prepare()
        if self._parts.read_limits is not None:
            self._declare(await self._parts.read_limits())
            self._are_limits_known = True
        await self._parts.instruments.loader.load()
        await self._publish_balances()

    async def key_rights(self) -> KeyRights | UnknownRights:
        """What the venue says that the account's key may do. After `start`.

        Raises `Retryable` when the venue cannot be reached and `AccountRefused` for a refused key.
        """
        return await self._parts.key_rights()

    async def access_notes(self) -> Sequence[str]:
        """What else an operator should know of the key, a sentence each. Raises like `key_rights`."""
        return await self._parts.access_notes()

    async def run(self) -> None:
        """Stream and poll until cancelled. Raises the error of a task that ended, a `Fatal` one before any other."""
        parts = self._parts
        try:
            async with asyncio.TaskGroup() as tasks:
                sources = {"stream": parts.stream, "poll": parts.poll, "account": parts.account_poll}
                for name, source in sources.items():
                    if source is not None:
                        tasks.create_task(source.run(), name=f"{self.venue}.{name}")
                tasks.create_task(parts.instruments.refresher.run(), name=f"{self.venue}.instruments")
                tasks.create_task(self._watch_calendar(), name=f"{self.venue}.calendar")
                tasks.create_task(self._watch_instruments(), name=f"{self.venue}.all-instruments")
                tasks.create_task(self._watch_balances(), name=f"{self.venue}.balances")
                tasks.create_task(self._watch_clock(), name=f"{self.venue}.clock")
        except BaseExceptionGroup as group:
            raise _root_error(group) from group

    def resync(self, instrument: InstrumentId, /) -> None:
        """Ask the venue for the instrument's whole book, at most once a second; an unknown one does nothing."""
        known = self._parts.instruments.registry.find(instrument)
        for source in (self._parts.stream, self._parts.poll):
            if known is not None and source is not None:
                source.resync(known.symbol)

    def reread(self, instrument: InstrumentId, /) -> None:
        """Read the instrument again, as after a message about it; also one that only an earlier run knew."""
        venue, _, symbol = instrument.partition(":")
        if venue == self.venue:
            self._parts.instruments.refresher.fetch(symbol)

    async def close(self) -> None:
        """Close what the parts opened; the stream's connection ends with the cancellation of `run`."""
        await self._parts.close()

    def _declare(self, limits: RateLimits | None) -> None:
        if limits is not None:
            self._parts.outlet.send(LimitsDeclared(self.venue, limits, self._clock.now_ns()))

    def _on_fetched(self, symbol: str) -> None:
        registry = self._parts.instruments.registry
        if registry.wants(symbol) and registry.follow([symbol]) and self._parts.stream is not None:
            self._parts.stream.follow_new()

    async def _watch_instruments(self) -> None:
        """Read all known instruments and look for new ones now and then: what no message says is learnt so."""
        while True:
            await asyncio.sleep(self._parts.instruments_interval_ms / 1000)
            self._parts.instruments.refresher.refresh()

    async def _watch_calendar(self) -> None:
        parts = self._parts
        while True:
            for event in parts.instruments.registry.due(parts.time.now_ns(), ts_recv=self._clock.now_ns()):
                parts.outlet.send(event)
            parts.instruments.refresher.fetch_due(parts.instruments.registry.take_openings())
            change = parts.time.take_change(self.venue)
            if change is not None:
                parts.outlet.send(change)
            await asyncio.sleep(_CALENDAR_MS / 1000)

    async def _watch_balances(self) -> None:
        while True:
            await asyncio.sleep(self._parts.balance_interval_ms / 1000)
            await self._publish_balances()

    async def _watch_clock(self) -> None:
        while True:
            await asyncio.sleep(_CLOCK_MS / 1000)
            await self._renew_clock()

    async def _renew_clock(self) -> None:
        if self._parts.time.is_older_than(_CLOCK_MS * NS_PER_MS):
            # One that fails is done again after the next interval: what is known of the clock stays.
            with contextlib.suppress(Retryable, RefusedByVenue):
                await self._parts.prepare()

    async def _publish_balances(self) -> None:
        """No decision waits for a balance: one that can't be read is read again after the next interval."""
        try:
            for event in await self._parts.read_balances():
                self._parts.outlet.send(event)
        except (UnreadableAnswer, ValueError) as e:
            _log.warning("the balance can't be read", venue=self.venue, reason=str(e))
        except (Retryable, RefusedByVenue):
            return


def _drop(_event: Event, _now_ns: int = 0, _monotonic_ns: int = 0, /) -> None:
    """Drop an event: before `start` nobody receives events."""


def _root_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended the tasks: a `Fatal` one first, then one that halts the venue, then any other."""
    leaves: list[BaseException] = []
    waiting: list[BaseException] = [group]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseExceptionGroup):
            waiting.extend(one.exceptions)
        else:
            leaves.append(one)
    for kind in (Fatal, AccountRefused):
        if (found := next((leaf for leaf in leaves if isinstance(leaf, kind)), None)) is not None:
            return found
    return leaves[0]
