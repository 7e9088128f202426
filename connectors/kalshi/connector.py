"""One Kalshi account: its stream, its reads and its gateway, put together."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from connectors.client.connector import ConnectorIdentity, ConnectorParts, EventOutlet, VenueConnector
from connectors.client.counts import DecodeCounts
from connectors.client.loader import InstrumentParts, instrument_parts
from connectors.client.rest import SignedRest, make_breaker, open_transport
from connectors.client.session import SessionPlan, SessionPorts, StreamSession
from connectors.client.status import VenueStatus
from connectors.client.stream import StreamDial, VenueStream, open_stream_transport
from connectors.client.venue_time import VenueTime
from connectors.client.wire.address import account_of
from connectors.client.wire.answers import HTTP_FORBIDDEN, NO_ACCESS, UnreadableAnswer
from connectors.client.wire.decimals import NS_PER_MS
from connectors.client.wire.keys import KeyRights, Unknown, rights_of
from connectors.kalshi.dialect import DIALECTS
from connectors.kalshi.limits import read_limits
from connectors.kalshi.markets.lifecycle import may_be_multivariate, select
from connectors.kalshi.markets.source import MarketSource
from connectors.kalshi.rest import queries
from connectors.kalshi.rest.gateway import KalshiGateway
from connectors.kalshi.rest.keys import SCOPES
from connectors.kalshi.rest.queries import kalshi_rest
from connectors.kalshi.settings import KalshiSettings
from connectors.kalshi.stream.commands import DEFAULT_CHANNELS, MULTIVARIATE_LIFECYCLE, TICKER
from connectors.kalshi.stream.feed import ROLES, FeedPorts, make_session
from connectors.kalshi.wire.decode_rest import rest_balance
from connectors.kalshi.wire.errors import TIMESTAMP_EXPIRED, VERDICTS, parse_error
from connectors.kalshi.wire.sign import Signer, load_private_key
from connectors.transport.errors import HandshakeRefused
from connectors.transport.ports import HttpTransport, WebSocketTransport
from connectors.transport.reconnect import Backoff
from framework.domain.account_events import BalanceReport
from framework.domain.errors import AccountRefused, Fatal, RefusedByVenue, Retryable
from framework.domain.ports import Clock, Rng
from framework.domain.turns import TakeTurn, no_limits


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
    s, connects_max = settings, settings.connects_per_minute_max
    signer = Signer(s.key_id, load_private_key(s.private_key_path))
    time, breaker = VenueTime(clock), make_breaker(rng, connects_per_minute_max=connects_max)
    http = http or open_transport(
        s.rest_origin, connections_max=s.connections_max, clock=clock, breaker=breaker, proxy=proxy
    )
    account = _Account(name, kalshi_rest(http, signer, s, clock=clock, time=time, turn=turn), s, clock)
    dial = StreamDial(
        websocket or open_stream_transport(s.stream_library, s.ws_origin, clock=clock, proxy=proxy),
        s.ws_target,
        timeout_ms=s.connect_timeout_ms,
        headers=lambda: signer.headers(time.now_ms(), "GET", s.ws_target),
        judge=account.judge,
        on_open=breaker.skip_delay,
    )
    parts = _parts(account, dial, Backoff(rng, connects_per_minute_max=connects_max))
    # REST host and key id identify the account: a key belongs to one member.
    dialect, account_id = DIALECTS[s.dialect], account_of(s.rest_url, s.key_id)
    identity = ConnectorIdentity(name, account_id, s.is_loopback, dialect.assumptions, dialect.terms)
    return VenueConnector(identity, parts, clock=clock)


class _Account:
    """What is read of the account beside its markets: clock, limits, cash and what the key may do."""

    def __init__(self, name: str, rest: SignedRest, settings: KalshiSettings, clock: Clock) -> None:
        self.name = name
        self.rest = rest
        self.settings = settings
        self.clock = clock

    async def prepare(self) -> None:
        # Unsigned, and its Date header gives the venue's time, which every later signature needs.
        await queries.get_exchange_status(self.rest)

    async def read_balances(self) -> tuple[BalanceReport]:
        balance = await queries.get_balance(self.rest, subaccount=self.settings.own_subaccount)
        return (rest_balance(balance, venue=self.name, ts_recv=self.clock.now_ns()),)

    async def key_rights(self) -> KeyRights | Unknown:
        try:
            keys = await queries.get_api_keys(self.rest)
        except (RefusedByVenue, UnreadableAnswer):
            return Unknown()
        scopes = next((key.scopes for key in keys if key.api_key_id == self.settings.key_id), None)
        return Unknown() if scopes is None else rights_of(scopes, SCOPES)

    async def judge(self, refusal: HandshakeRefused) -> None:
        """Raise for a refused key, and where the stream is forbidden. After a refused timestamp read the venue's clock
        again, for the next try."""
        error = parse_error(refusal.status, refusal.body)
        if error.is_code(TIMESTAMP_EXPIRED):
            self.rest.time.discard()
            try:
                await self.prepare()
            except (Retryable, RefusedByVenue):
                return
        failure = VERDICTS.of_read(error)
        if isinstance(failure, (Fatal, AccountRefused)):
            raise failure
        if refusal.status == HTTP_FORBIDDEN:
            raise AccountRefused(f"{error.text}: {NO_ACCESS}")


def _parts(account: _Account, dial: StreamDial, backoff: Backoff) -> ConnectorParts:
    name, rest, settings, clock = account.name, account.rest, account.settings, account.clock
    outlet, selection, dialect = EventOutlet(), select(settings.markets), DIALECTS[settings.dialect]
    markets = instrument_parts(
        name,
        MarketSource(name, rest, selection, subaccount=settings.own_subaccount, lot=dialect.lot),
        selection,
        followed_max=settings.markets_max,
        read_lag_ns=settings.read_lag_ms * NS_PER_MS,
        clock=clock,
        time=rest.time,
        publish=outlet.send,
    )
    find, read_again = markets.registry.find, markets.refresher.ask_again
    sessions = _session_maker(account, outlet, markets)
    return ConnectorParts(
        outlet=outlet,
        time=rest.time,
        instruments=markets,
        gateway=KalshiGateway(
            name, rest, settings, clock=clock, find_instrument=find, read_again=read_again, writes=dialect.writes
        ),
        prepare=account.prepare,
        close=rest.close,
        documented_limits=dialect.tier_limits(settings.tier),
        read_limits=partial(read_limits, rest, settings.tier) if dialect.is_current else None,
        read_balances=account.read_balances,
        key_rights=account.key_rights,
        stream=VenueStream(dial.open, sessions, clock=clock, backoff=backoff, silence_ms_max=settings.silence_ms_max),
        instruments_interval_ms=settings.markets_interval_ms,
        balance_interval_ms=settings.balance_interval_ms,
    )


def _session_maker(
    account: _Account, outlet: EventOutlet, markets: InstrumentParts
) -> Callable[[Callable[[bytes], None]], StreamSession]:
    name, settings, fetch = account.name, account.settings, markets.refresher.fetch
    counts, status = DecodeCounts(), VenueStatus(name, outlet.send)
    own, is_current = settings.own_subaccount, DIALECTS[settings.dialect].is_current
    feed = FeedPorts(name, markets.registry, fetch, account.rest.time, own, is_current)
    plan = SessionPlan(
        ack_ns_max=settings.ack_timeout_ms * NS_PER_MS,
        snapshot_ns_max=settings.snapshot_timeout_ms * NS_PER_MS,
        roles=ROLES,
    )
    return lambda send: make_session(
        send,
        feed,
        SessionPorts(outlet.publish, status, markets.refresher.refresh),
        plan=plan,
        counts=counts,
        channels=_channels(settings),
    )


def _channels(settings: KalshiSettings) -> tuple[str, ...]:
    """The channels that are asked for: the usual ones, and those that the settings make useful."""
    has_combos = any(map(may_be_multivariate, settings.markets))
    wanted = ((TICKER, settings.subscribe_ticker), (MULTIVARIATE_LIFECYCLE, has_combos))
    return (*DEFAULT_CHANNELS, *(name for name, is_wanted in wanted if is_wanted))
