"""One Kalshi account: its stream, its reads and its gateway, put together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from connectors.client.counts import DecodeCounts
from connectors.client.session import SessionPlan, SessionPorts, StreamSession
from connectors.client.status import VenueStatus
from connectors.client.stream import VenueStream
from connectors.client.turns import Turns
from connectors.client.venue_time import VenueTime
from connectors.client.wire.decimals import NS_PER_MS
from connectors.client.wire.listing import BadRow
from connectors.kalshi.markets.loader import MarketLoader, MarketRefresher
from connectors.kalshi.markets.registry import MarketRegistry, Selection
from connectors.kalshi.rest import queries
from connectors.kalshi.rest.client import KalshiRest, UnreadableAnswer, make_breaker, open_transport
from connectors.kalshi.rest.gateway import KalshiGateway
from connectors.kalshi.settings import ASSUMPTIONS, KalshiSettings
from connectors.kalshi.stream.commands import DEFAULT_CHANNELS, TICKER
from connectors.kalshi.stream.feed import ROLES, FeedPorts, make_session
from connectors.kalshi.wire.decode_rest import rest_balance
from connectors.kalshi.wire.errors import TIMESTAMP_EXPIRED, failure_of_read, parse_error
from connectors.kalshi.wire.sign import Signer, load_private_key
from connectors.transport.errors import HandshakeRefused
from connectors.transport.ports import HttpTransport, OnMessage, WebSocketConnection, WebSocketTransport
from connectors.transport.reconnect import Backoff
from connectors.transport.websocket import PicowsTransport
from framework.domain.errors import Fatal, RefusedByVenue, Retryable
from framework.domain.events import Event
from framework.domain.instruments import InstrumentId
from framework.domain.market_events import TermsDeclared
from framework.domain.ports import Clock, Rng
from framework.domain.terms import CancelAllScope, VenueTerms
from framework.domain.venue import Publish

_CALENDAR_MS = 500

TERMS = VenueTerms(cancel_all=CancelAllScope.ACCOUNT)
"""What Kalshi offers (vendor docs): limit orders with every time in force and flag; no market orders, no triggers."""

_MAY_TRADE = frozenset({"write", "write::trade"})


class KalshiConnector:
    """Implements `framework.domain.venue.Connector`. Call order: `start`, `run`, `close`."""

    def __init__(
        self,
        name: str,
        settings: KalshiSettings,
        *,
        clock: Clock,
        rng: Rng,
        http: HttpTransport | None = None,
        websocket: WebSocketTransport | None = None,
        proxy: str = "",
    ) -> None:
        """Load the private key; no connection is opened yet. `http` and `websocket` replace the real network in tests,
        `proxy` is the address of an HTTP proxy, empty for none. Raises `ConfigurationError` for a key that cannot be
        used.
        """
        self._name = name
        self._settings = settings
        self._clock = clock
        self._signer = Signer(settings.key_id, load_private_key(settings.private_key_path))
        self._time = VenueTime(clock)
        self._websocket = websocket or PicowsTransport(settings.ws_origin, clock=clock, proxy=proxy)
        self._breaker = make_breaker(settings, rng)
        http = http or open_transport(settings, clock=clock, breaker=self._breaker, proxy=proxy)
        self._rest = KalshiRest(http, self._signer, settings, clock=clock, time=self._time)
        self._registry = _make_registry(name, settings)
        self._publish: Publish = _drop
        self._loader = MarketLoader(
            name, self._rest, settings, self._registry, clock=clock, publish=lambda event: self._publish(event)
        )
        self._refresher = MarketRefresher(self._loader, self._on_fetched)
        self._gateway = KalshiGateway(
            name, self._rest, settings, clock=clock, find_instrument=self._registry.find, read_again=self._read_again
        )
        self._turns = Turns()
        self.counts = DecodeCounts()
        """Counts of what the stream received and tolerated since the start."""
        backoff = Backoff(rng, connects_per_minute_max=settings.connects_per_minute_max)
        self._stream = VenueStream(
            self._dial, self._make_session, clock=clock, backoff=backoff, silence_ms_max=settings.silence_ms_max
        )

    def __repr__(self) -> str:
        return f"<KalshiConnector {self._name} {self._registry!r} {self._stream!r}>"

    @property
    def venue(self) -> str:
        """The name that the configuration gives to this account; instrument ids begin with it."""
        return self._name

    @property
    def gateway(self) -> KalshiGateway:
        """The gateway that signs and sends this account's orders and reads its state."""
        return self._gateway

    @property
    def account(self) -> str:
        """REST host and key id, which identify the account: a key belongs to one member."""
        return f"{self._settings.rest_url.split('//')[-1].partition('/')[0]} {self._settings.key_id}"

    @property
    def is_loopback(self) -> bool:
        """Whether REST and WebSocket address are both on this machine."""
        return self._settings.is_loopback

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What is assumed of Kalshi without a check against the live service, one sentence each."""
        return ASSUMPTIONS

    @property
    def terms(self) -> VenueTerms:
        """What the venue offers; published by `start`."""
        return TERMS

    async def start(self, publish: Publish, /) -> None:
        """Load limits, markets and balance, and publish them, after the terms.

        Raises `Retryable` when the venue cannot be reached, `RefusedByVenue` for a refused read, `ConfigurationError`
        for markets that do not exist or are too many, and `Fatal` for a refused key.
        """
        self._publish = publish
        publish(TermsDeclared(self._name, TERMS, self._clock.now_ns()))
        # Unsigned, and its Date header gives the venue's time, which every later signature needs.
        await queries.get_exchange_status(self._rest)
        await self._loader.declare_limits()
        await self._loader.load()
        await self._publish_balance()

    async def access_notes(self) -> Sequence[str]:
        """What the key may not do that trading needs, a sentence each; none when the venue does not say. After `start`.

        Raises `Retryable` when the venue cannot be reached and `Fatal` for a refused key.
        """
        try:
            keys = await queries.get_api_keys(self._rest)
        except (RefusedByVenue, UnreadableAnswer):
            return ()
        scopes = next((key.scopes for key in keys if key.api_key_id == self._settings.key_id), _MAY_TRADE)
        if not _MAY_TRADE.isdisjoint(scopes):
            return ()
        return (f"the key may not trade, its scopes are {', '.join(scopes)}: orders would be refused",)

    async def run(self) -> None:
        """Stream until cancelled. Raises the error of a task that ended, a `Fatal` one before any other."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._stream.run(), name=f"{self._name}.stream")
                tasks.create_task(self._refresher.run(), name=f"{self._name}.markets")
                tasks.create_task(self._watch_calendar(), name=f"{self._name}.calendar")
                tasks.create_task(self._watch_markets(), name=f"{self._name}.all-markets")
                tasks.create_task(self._watch_balance(), name=f"{self._name}.balance")
        except BaseExceptionGroup as group:
            raise _root_error(group) from group

    def resync(self, instrument: InstrumentId, /) -> None:
        """Ask the venue for the market's whole book, at most once a second; an unknown instrument does nothing."""
        known = self._registry.find(instrument)
        if known is not None:
            self._stream.resync(known.symbol)

    def reread(self, instrument: InstrumentId, /) -> None:
        """Read the market again, as after a lifecycle message; also one that only an earlier run knew."""
        venue, _, ticker = instrument.partition(":")
        if venue == self._name:
            self._refresher.fetch(ticker)

    async def close(self) -> None:
        """Close the HTTP connections; the stream's connection ends with the cancellation of `run`."""
        await self._rest.close()

    def _on_fetched(self, ticker: str) -> None:
        if self._registry.wants(ticker) and self._registry.follow([ticker]):
            self._stream.follow_new()

    def _read_again(self, ticker: str) -> None:
        """Have a market read soon; less and less often while this is asked for again and again."""
        self._turns.want(ticker, self._clock.monotonic_ns(), was_well=True)

    async def _watch_markets(self) -> None:
        """Read all known markets and look for new ones now and then: what no message told is learnt so."""
        while True:
            await asyncio.sleep(self._settings.markets_interval_ms / 1000)
            self._refresher.refresh()

    async def _watch_calendar(self) -> None:
        while True:
            for event in self._registry.due(self._time.now_ns(), ts_recv=self._clock.now_ns()):
                self._publish(event)
            for ticker in (*self._registry.take_openings(), *self._turns.take(self._clock.monotonic_ns())):
                self._refresher.fetch(ticker)
            change = self._time.take_change(self._name)
            if change is not None:
                self._publish(change)
            await asyncio.sleep(_CALENDAR_MS / 1000)

    async def _watch_balance(self) -> None:
        while True:
            await asyncio.sleep(self._settings.balance_interval_ms / 1000)
            await self._publish_balance()

    async def _publish_balance(self) -> None:
        try:
            balance = await queries.get_balance(self._rest, subaccount=self._settings.own_subaccount)
            report = rest_balance(balance, venue=self._name, ts_recv=self._clock.now_ns())
        except (UnreadableAnswer, ValueError) as e:
            self._rest.report("/portfolio/balance", BadRow("the balance", str(e)))
            return
        except (Retryable, RefusedByVenue):
            # No decision depends on this balance; it is read again after the next interval.
            return
        self._publish(report)

    def _make_session(self, send: Callable[[bytes], None]) -> StreamSession:
        settings = self._settings
        return make_session(
            send,
            FeedPorts(self._name, self._registry, self._refresher.fetch, self._time, settings.own_subaccount),
            SessionPorts(self._publish, VenueStatus(self._name, self._publish), self._refresher.refresh),
            plan=SessionPlan(
                ack_ns_max=settings.ack_timeout_ms * NS_PER_MS,
                snapshot_ns_max=settings.snapshot_timeout_ms * NS_PER_MS,
                roles=ROLES,
            ),
            counts=self.counts,
            channels=(*DEFAULT_CHANNELS, TICKER) if settings.subscribe_ticker else DEFAULT_CHANNELS,
        )

    async def _dial(self, on_message: OnMessage) -> WebSocketConnection:
        target = self._settings.ws_target
        headers = self._signer.headers(self._time.now_ms(), "GET", target)
        try:
            connection = await self._websocket.connect(
                target, headers, on_message=on_message, timeout_ms=self._settings.connect_timeout_ms
            )
        except HandshakeRefused as e:
            await self._judge_refusal(e)
            raise
        self._breaker.skip_delay()
        return connection

    async def _judge_refusal(self, refusal: HandshakeRefused) -> None:
        """Raise `Fatal` for a refused key. After a refused timestamp read the venue's clock again, for the next try."""
        error = parse_error(refusal.status, refusal.body)
        if error.is_code(TIMESTAMP_EXPIRED):
            self._time.discard()
            try:
                await queries.get_exchange_status(self._rest)
            except (Retryable, RefusedByVenue):
                return
        failure = failure_of_read(error)
        if isinstance(failure, Fatal):
            raise failure


def _make_registry(name: str, settings: KalshiSettings) -> MarketRegistry:
    return MarketRegistry(
        name,
        Selection(settings.markets),
        markets_max=settings.markets_max,
        read_lag_ns=settings.read_lag_ms * NS_PER_MS,
    )


def _drop(_event: Event, _now_ns: int = 0, _monotonic_ns: int = 0, /) -> None:
    """Drop an event: before `start` nobody receives events."""


def _root_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended the tasks: a `Fatal` one before any other."""
    leaves: list[BaseException] = []
    waiting: list[BaseException] = [group]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseExceptionGroup):
            waiting.extend(one.exceptions)
        else:
            leaves.append(one)
    return next((leaf for leaf in leaves if isinstance(leaf, Fatal)), leaves[0])
