"""The parts of a connector without a stream, put together: books, trades, orders and fills are polled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from connectors.client.connector import ConnectorParts, EventOutlet
from connectors.client.gateway import OrderCodec, OrderGateway
from connectors.client.loader import InstrumentParts
from connectors.client.polling.account import ACCOUNT, AccountPace, AccountPoll
from connectors.client.polling.gateway import AccountLookups, PolledGateway
from connectors.client.polling.market import MARKET, MarketPoll, MarketReads, PollHealth, PollPace
from connectors.client.rest import SignedRest
from connectors.client.status import POLL, VenueStatus
from connectors.client.wire.decimals import NS_PER_MS
from framework.domain.events import Event
from framework.domain.ports import Clock
from framework.domain.rate_limits import RateLimits
from framework.domain.venue import Publish


class PolledReads(MarketReads, AccountLookups, Protocol):
    """Everything that is read of a polled venue beside its list of instruments. All raise like reads."""

    async def prepare(self) -> None:
        """What comes before all other reads, unsigned: its `Date` is the venue's time (`ConnectorParts.prepare`)."""
        ...

    async def read_balances(self) -> Iterable[Event]:
        """The account's balances, whole: where positions can't be read, their changes are compared."""
        ...


class PollSettings(Protocol):
    """The settings of a polled account, under the names of `connectors.client.settings`."""

    @property
    def book_interval_ms(self) -> int:
        """How often a book is read."""
        ...

    @property
    def trades_interval_ms(self) -> int:
        """How often public trades are read; 0 for never."""
        ...

    @property
    def orders_interval_ms(self) -> int:
        """How often the account is read while orders are open."""
        ...

    @property
    def idle_interval_ms(self) -> int:
        """How often it is read otherwise."""
        ...

    @property
    def failing_ms_max(self) -> int:
        """After so long with failing reads the venue is down."""
        ...

    @property
    def read_lag_ms(self) -> int:
        """How long reads may lag behind writes."""
        ...

    @property
    def balance_interval_ms(self) -> int:
        """How often balances are read."""
        ...

    @property
    def markets_interval_ms(self) -> int:
        """How often the markets are read."""
        ...


def polled_parts(
    venue: str,
    rest: SignedRest,
    instruments: InstrumentParts,
    reads: PolledReads,
    codec: OrderCodec,
    settings: PollSettings,
    *,
    outlet: EventOutlet,
    limits: RateLimits,
    clock: Clock,
) -> ConnectorParts:
    """What `VenueConnector` runs at a venue that is polled only, with documented `limits`. `outlet` is the one that
    `instruments` publish to."""
    market, account = _polls(venue, rest, instruments, reads, settings, publish=outlet.send, clock=clock)
    orders = OrderGateway(rest, codec, clock=clock)
    return ConnectorParts(
        outlet=outlet,
        time=rest.time,
        instruments=instruments,
        gateway=PolledGateway(orders, reads, account, read_lag_ms=settings.read_lag_ms),
        prepare=reads.prepare,
        close=rest.close,
        documented_limits=limits,
        read_balances=reads.read_balances,
        poll=market,
        account_poll=account,
        instruments_interval_ms=settings.markets_interval_ms,
        balance_interval_ms=settings.balance_interval_ms,
    )


def _polls(
    venue: str,
    rest: SignedRest,
    instruments: InstrumentParts,
    reads: PolledReads,
    settings: PollSettings,
    *,
    publish: Publish,
    clock: Clock,
) -> tuple[MarketPoll, AccountPoll]:
    silence_ns_max = settings.failing_ms_max * NS_PER_MS
    status = VenueStatus(venue, publish, (POLL,))
    health = PollHealth(status, (MARKET, ACCOUNT), clock=clock, silence_ns_max=silence_ns_max)
    ports: dict[str, Any] = {"clock": clock, "time": rest.time, "publish": publish}
    pace = PollPace(settings.book_interval_ms, settings.trades_interval_ms)
    market = MarketPoll(venue, reads, instruments.registry, health, pace=pace, **ports)
    of_account = AccountPace(settings.orders_interval_ms, settings.idle_interval_ms, read_lag_ms=settings.read_lag_ms)
    return market, AccountPoll(venue, reads, health, pace=of_account, **ports)
