"""One Kalshi account: its stream, its reads and its gateway, put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from connectors.client.connector import ConnectorIdentity, ConnectorParts, EventOutlet, VenueConnector
from connectors.client.counts import DecodeCounts
from connectors.client.instruments import InstrumentRegistry
from connectors.client.loader import InstrumentLoader, InstrumentRefresher
from connectors.client.rest import SignedRest, make_breaker, open_transport
from connectors.client.session import SessionPlan, SessionPorts, StreamSession
from connectors.client.status import VenueStatus
from connectors.client.stream import Dial, VenueStream, open_stream_transport
from connectors.client.venue_time import VenueTime
from connectors.client.wire.address import account_of
from connectors.client.wire.answers import UnreadableAnswer
from connectors.client.wire.decimals import NS_PER_MS
from connectors.client.wire.keys import Right, notes_on, rights_of
from connectors.kalshi.limits import TERMS, AccountRates
from connectors.kalshi.markets.lifecycle import select
from connectors.kalshi.markets.source import MarketSource
from connectors.kalshi.rest import queries
from connectors.kalshi.rest.gateway import KalshiGateway
from connectors.kalshi.rest.queries import kalshi_rest
from connectors.kalshi.settings import ASSUMPTIONS, KalshiSettings
from connectors.kalshi.stream.commands import DEFAULT_CHANNELS, TICKER
from connectors.kalshi.stream.feed import ROLES, FeedPorts, make_session
from connectors.kalshi.wire.decode_rest import rest_balance
from connectors.kalshi.wire.errors import TIMESTAMP_EXPIRED, VERDICTS, parse_error
from connectors.kalshi.wire.sign import Signer, load_private_key
from connectors.transport.errors import HandshakeRefused
from connectors.transport.ports import HttpTransport, OnMessage, WebSocketConnection, WebSocketTransport
from connectors.transport.reconnect import Backoff, ConnectBreaker
from framework.domain.account_events import BalanceReport
from framework.domain.errors import Fatal, RefusedByVenue, Retryable
from framework.domain.ports import Clock, Rng
from framework.domain.turns import TakeTurn, no_limits

_MAY_TRADE = "write::trade"
_SCOPES = {
    "read": frozenset({Right.READ}),
    "write": frozenset({Right.READ, Right.TRADE}),
    _MAY_TRADE: frozenset({Right.TRADE}),
}


def make_connector(
    name: str,
    settings: KalshiSettings,
    *,
    clock: Clock,
    rng: Rng,
    http: HttpTransport | None = None,
    websocket: WebSocketTransport | None = None,
    proxy: str = "",
    turn: TakeTurn = no_limits,
) -> VenueConnector:
    """Load the private key and put the parts together; no connection is opened yet.

    `http` and `websocket` replace the real network in tests, `proxy` is the address of an HTTP proxy, empty for none;
    reads wait for their `turn` in the rate budget. Raises `ConfigurationError` for a key that cannot be used.
    """
    signer = Signer(settings.key_id, load_private_key(settings.private_key_path))
    time, breaker, outlet = (
        VenueTime(clock),
        make_breaker(rng, connects_per_minute_max=settings.connects_per_minute_max),
        EventOutlet(),
    )
    http = http or open_transport(
        settings.rest_origin, connections_max=settings.connections_max, clock=clock, breaker=breaker, proxy=proxy
    )
    rest = kalshi_rest(http, signer, settings, clock=clock, time=time, turn=turn)
    websocket = websocket or open_stream_transport(
        settings.stream_library, settings.ws_origin, clock=clock, proxy=proxy
    )
    account = _Account(
        name, rest, settings, clock, AccountRates(name, rest, settings.tier, clock=clock, publish=outlet.send)
    )
    dial = _Dialer(websocket, settings, signer=signer, rest=rest, breaker=breaker).dial
    parts = _parts(name, settings, rest, clock=clock, outlet=outlet, account=account, dial=dial, rng=rng)
    return VenueConnector(_identity(name, settings), parts, clock=clock)


def _identity(name: str, settings: KalshiSettings) -> ConnectorIdentity:
    # REST host and key id identify the account: a key belongs to one member.
    return ConnectorIdentity(
        name, account_of(settings.rest_url, settings.key_id), settings.is_loopback, ASSUMPTIONS, TERMS
    )


def _parts(
    name: str,
    settings: KalshiSettings,
    rest: SignedRest,
    *,
    clock: Clock,
    outlet: EventOutlet,
    account: _Account,
    dial: Dial,
    rng: Rng,
) -> ConnectorParts:
    registry = _registry(name, settings)
    source = MarketSource(name, rest, registry.selection, subaccount=settings.own_subaccount)
    loader = InstrumentLoader(source, registry, clock=clock, time=rest.time, publish=outlet.send)
    refresher = InstrumentRefresher(loader, clock=clock)
    return ConnectorParts(
        outlet=outlet,
        time=rest.time,
        registry=registry,
        loader=loader,
        refresher=refresher,
        gateway=KalshiGateway(
            name, rest, settings, clock=clock, find_instrument=registry.find, read_again=refresher.ask_again
        ),
        prepare=account.prepare,
        close=rest.close,
        read_balances=account.read_balances,
        access_notes=account.access_notes,
        stream=VenueStream(
            dial,
            _session_maker(name, settings, registry, refresher, outlet=outlet, time=rest.time),
            clock=clock,
            backoff=Backoff(rng, connects_per_minute_max=settings.connects_per_minute_max),
            silence_ms_max=settings.silence_ms_max,
        ),
        instruments_interval_ms=settings.markets_interval_ms,
        balance_interval_ms=settings.balance_interval_ms,
    )


def _registry(name: str, settings: KalshiSettings) -> InstrumentRegistry:
    read_lag_ns = settings.read_lag_ms * NS_PER_MS
    return InstrumentRegistry(
        name, select(settings.markets), followed_max=settings.markets_max, read_lag_ns=read_lag_ns
    )


def _session_maker(
    name: str,
    settings: KalshiSettings,
    registry: InstrumentRegistry,
    refresher: InstrumentRefresher,
    *,
    outlet: EventOutlet,
    time: VenueTime,
) -> Callable[[Callable[[bytes], None]], StreamSession]:
    counts, status = DecodeCounts(), VenueStatus(name, outlet.send)
    plan = SessionPlan(
        ack_ns_max=settings.ack_timeout_ms * NS_PER_MS,
        snapshot_ns_max=settings.snapshot_timeout_ms * NS_PER_MS,
        roles=ROLES,
    )
    return lambda send: make_session(
        send,
        FeedPorts(name, registry, refresher.fetch, time, settings.own_subaccount),
        SessionPorts(outlet.publish, status, refresher.refresh),
        plan=plan,
        counts=counts,
        channels=(*DEFAULT_CHANNELS, TICKER) if settings.subscribe_ticker else DEFAULT_CHANNELS,
    )


class _Account:
    """What is read of the account beside its markets: limits, cash and what the key may do."""

    def __init__(
        self, name: str, rest: SignedRest, settings: KalshiSettings, clock: Clock, rates: AccountRates
    ) -> None:
        self._name = name
        self._rest = rest
        self._settings = settings
        self._clock = clock
        self._rates = rates

    async def prepare(self) -> None:
        self._rates.assume()
        # Unsigned, and its Date header gives the venue's time, which every later signature needs.
        await queries.get_exchange_status(self._rest)
        await self._rates.declare()

    async def read_balances(self) -> tuple[BalanceReport]:
        balance = await queries.get_balance(self._rest, subaccount=self._settings.own_subaccount)
        return (rest_balance(balance, venue=self._name, ts_recv=self._clock.now_ns()),)

    async def access_notes(self) -> Sequence[str]:
        try:
            keys = await queries.get_api_keys(self._rest)
        except (RefusedByVenue, UnreadableAnswer):
            return ()
        # A key that is not listed is taken for one that may trade: its orders would say otherwise.
        scopes = next((key.scopes for key in keys if key.api_key_id == self._settings.key_id), (_MAY_TRADE,))
        return notes_on(rights_of(scopes, _SCOPES))


class _Dialer:
    """Opens the stream's connection, and judges what the venue refuses it for."""

    def __init__(
        self,
        websocket: WebSocketTransport,
        settings: KalshiSettings,
        *,
        signer: Signer,
        rest: SignedRest,
        breaker: ConnectBreaker,
    ) -> None:
        self._websocket = websocket
        self._settings = settings
        self._signer = signer
        self._rest = rest
        self._breaker = breaker

    async def dial(self, on_message: OnMessage) -> WebSocketConnection:
        target = self._settings.ws_target
        headers = self._signer.headers(self._rest.time.now_ms(), "GET", target)
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
            self._rest.time.discard()
            try:
                await queries.get_exchange_status(self._rest)
            except (Retryable, RefusedByVenue):
                return
        failure = VERDICTS.of_read(error)
        if isinstance(failure, Fatal):
            raise failure
