"""One BitExAsia account: its stream, its reads and its gateway, put together."""

from __future__ import annotations

from functools import partial

from connectors.bitexasia.dialect import ASSUMPTIONS
from connectors.bitexasia.feed import CHANNELS, ROLES, BitExAsiaFeed, encode_command
from connectors.bitexasia.gateway import BitExAsiaGateway
from connectors.bitexasia.limits import FIRST, limits_of, terms_of
from connectors.bitexasia.settings import BitExAsiaSettings
from connectors.bitexasia.sign import bitexasia_rest
from connectors.bitexasia.wire.messages import MarketRow, instrument_of
from connectors.client.connector import ConnectorIdentity, ConnectorParts, EventOutlet, VenueConnector
from connectors.client.instruments import Selection
from connectors.client.loader import InstrumentParts, instrument_parts
from connectors.client.rest import SignedRest
from connectors.client.status import VenueStatus
from connectors.client.stream import VenueStream
from connectors.client.usual.market_list import MarketList
from connectors.client.usual.streamed import open_stream
from connectors.client.wire.address import account_of
from connectors.client.wire.decimals import NS_PER_MS, NS_PER_S
from connectors.client.wire.keys import as_declared
from connectors.transport.reconnect import Backoff
from framework.domain.instruments import FeeSchedule
from framework.domain.ports import Clock, Rng
from framework.domain.turns import TakeTurn, no_limits

_QUIET_NS = 4 * NS_PER_S
"""A book without a change for so long is subscribed anew, which brings it whole: before checks call it too old."""


def make_connector(
    name: str,
    settings: BitExAsiaSettings,
    *,
    clock: Clock,
    rng: Rng,
    proxy: str = "",
    turn: TakeTurn = no_limits,
) -> VenueConnector:
    """Read the secret and put the parts together; no connection is opened yet.

    `proxy` is the address of an HTTP proxy, empty for none; reads wait for their `turn` in the rate budget. Raises
    `ConfigurationError` for a secret that can't be used.
    """
    s, outlet = settings, EventOutlet()
    rest = bitexasia_rest(name, s, outlet.send, clock=clock, rng=rng, proxy=proxy, turn=turn)
    markets = _markets(name, rest, s, outlet, clock=clock)
    gateway = BitExAsiaGateway(rest, s, markets, clock=clock, turn=turn)
    parts = ConnectorParts(
        outlet=outlet,
        time=rest.time,
        instruments=markets,
        gateway=gateway,
        prepare=partial(_prepare, rest),
        close=rest.close,
        documented_limits=limits_of(s.limit),
        read_balances=partial(gateway.read_balances, name),
        key_rights=as_declared(s.key_rights),
        stream=_stream(name, s, outlet, markets, clock=clock, rng=rng, proxy=proxy),
        instruments_interval_ms=s.markets_interval_ms,
        balance_interval_ms=s.balance_interval_ms,
    )
    account, terms = account_of(s.rest_url, s.key_id), terms_of(optional_fields=s.optional_fields)
    identity = ConnectorIdentity(name, account, s.is_loopback, ASSUMPTIONS, terms, assumed_signing=True)
    return VenueConnector(identity, parts, clock=clock)


def _stream(
    name: str,
    s: BitExAsiaSettings,
    outlet: EventOutlet,
    markets: InstrumentParts,
    *,
    clock: Clock,
    rng: Rng,
    proxy: str,
) -> VenueStream:
    """Books and public trades; no command is answered."""
    return open_stream(
        name,
        s,
        markets,
        CHANNELS,
        lambda one: encode_command(one, depth=s.depth),
        lambda session: BitExAsiaFeed(session, markets.registry).receive,
        ROLES,
        outlet=outlet,
        status=VenueStatus(name, outlet.send),
        clock=clock,
        backoff=Backoff(rng, connects_per_minute_max=s.connects_per_minute_max),
        proxy=proxy,
        awaited=(),
        quiet_ns=_QUIET_NS,
    )


async def _prepare(rest: SignedRest) -> None:
    """The first read: the `Date` of its answer is the venue's time, its headers show what is left of the window."""
    await rest.get("/markets", list[MarketRow], endpoint=FIRST)


def _markets(
    name: str, rest: SignedRest, settings: BitExAsiaSettings, outlet: EventOutlet, *, clock: Clock
) -> InstrumentParts:
    selection = Selection(settings.markets)
    fees = FeeSchedule(taker_rate=settings.taker_fee, maker_rate=settings.maker_fee)
    source = MarketList(
        selection,
        lambda: rest.get("/markets", list[MarketRow]),
        symbol_of=lambda row: row.pair,
        instrument_of=lambda row: instrument_of(row, name, fees),
    )
    return instrument_parts(
        name,
        source,
        selection,
        followed_max=settings.markets_max,
        clock=clock,
        time=rest.time,
        publish=outlet.send,
        read_lag_ns=settings.read_lag_ms * NS_PER_MS,
    )
