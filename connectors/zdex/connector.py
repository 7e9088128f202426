"""One account's connector, put together: REST, a stream of books, trades and marks, and polls of the account."""

from __future__ import annotations

from functools import partial

import msgspec

from connectors.client.connector import ConnectorIdentity, ConnectorParts, EventOutlet, VenueConnector
from connectors.client.gateway import OrderCodec, OrderGateway
from connectors.client.instruments import Selection
from connectors.client.loader import InstrumentParts, instrument_parts
from connectors.client.polling.account import ACCOUNT, AccountPace, AccountPoll
from connectors.client.polling.gateway import PolledGateway
from connectors.client.polling.market import PollHealth
from connectors.client.rest import SignedRest
from connectors.client.status import POLL, STREAM, VenueStatus
from connectors.client.usual.market_list import MarketList
from connectors.client.usual.streamed import open_stream
from connectors.client.usual.whole_books import SeenTrades
from connectors.client.wire.address import account_of, is_loopback
from connectors.client.wire.calls import Call
from connectors.client.wire.decimals import NS_PER_MS
from connectors.client.wire.json_text import decode_json
from connectors.client.wire.keys import as_declared
from connectors.client.wire.reports import Ack, decoded_ack, order_to_change, report
from connectors.transport.reconnect import Backoff
from connectors.zdex.account import ZdexReads
from connectors.zdex.dialect import ASSUMPTIONS, DIALECTS, Dialect
from connectors.zdex.feed import ROLES, ZdexFeed
from connectors.zdex.futures import margin_setup
from connectors.zdex.limits import limits_of
from connectors.zdex.settings import ZdexSettings
from connectors.zdex.sign import zdex_rest
from connectors.zdex.wire.decode import instrument_of
from connectors.zdex.wire.encode import CHANNELS, SYMBOLS, cancel, command_frames, new_order
from connectors.zdex.wire.messages import DataPage, OrderAnswer, SymbolRow
from framework.domain.account_events import OrderReport, ReportKind
from framework.domain.instruments import FeeSchedule
from framework.domain.intents import NewOrder
from framework.domain.orders import Order, OrderKind, TimeInForce, TriggerKind
from framework.domain.ports import Clock, Rng
from framework.domain.terms import FillListing, VenueTerms
from framework.domain.turns import TakeTurn, no_limits
from framework.domain.verdicts import Approved

_ANSWER = msgspec.json.Decoder(OrderAnswer)


def terms_of(dialect: Dialect) -> VenueTerms:
    """What the venue offers: no post-only, no amend, no end by date, nothing cancelled at once, and no list of what
    resting orders trade (vendor docs)."""
    return VenueTerms(
        fills=FillListing.TAKER_ONLY, client_ids=dialect.has_client_ids, amend=False, post_only=False,
        times_in_force=(TimeInForce.GOOD_TILL_CANCELLED,), good_till_date=False,
        order_kinds=(OrderKind.LIMIT, OrderKind.MARKET), triggers=(TriggerKind.STOP, TriggerKind.TAKE_PROFIT),
    )  # fmt: skip


def make_connector(
    name: str, settings: ZdexSettings, *, clock: Clock, rng: Rng, proxy: str = "", turn: TakeTurn = no_limits
) -> VenueConnector:
    """Put the parts of the account `name` together, which connects through `proxy` where one is given and has its reads
    wait for their `turn`. Raises `ConfigurationError` when the secret can't be used."""
    rest = zdex_rest(settings, clock=clock, rng=rng, proxy=proxy, turn=turn)
    account = _Account(name, settings, rest, clock)
    parts = account.parts(Backoff(rng, connects_per_minute_max=settings.connects_per_minute_max), proxy)
    is_local = is_loopback(settings.rest_url) and is_loopback(settings.ws_url)
    terms, key = terms_of(account.dialect), account_of(settings.rest_url, settings.key_id)
    return VenueConnector(ConnectorIdentity(name, key, is_local, ASSUMPTIONS, terms), parts, clock=clock)


class _Account:
    """The parts of one account, made one after the other."""

    def __init__(self, name: str, settings: ZdexSettings, rest: SignedRest, clock: Clock) -> None:
        self._name = name
        self._settings = settings
        self._rest = rest
        self._clock = clock
        self.dialect = DIALECTS[settings.dialect]
        self._outlet = EventOutlet()
        self._selection = Selection(settings.markets)
        self._is_configured = False
        self._symbols = partial(rest.listing, SYMBOLS, DataPage[SymbolRow], lambda *_: None)
        self._markets = self._instruments()
        days = settings.funding_days
        self._reads = ZdexReads(name, rest, self._markets, self.dialect, clock=clock, funding_days=days)

    def parts(self, backoff: Backoff, proxy: str) -> ConnectorParts:
        """What `VenueConnector` runs."""
        s, outlet, clock = self._settings, self._outlet, self._clock
        status = VenueStatus(self._name, outlet.send, (STREAM, POLL))
        health = PollHealth(status, (ACCOUNT,), clock=clock, silence_ns_max=s.failing_ms_max * NS_PER_MS)
        pace = AccountPace(s.orders_interval_ms, s.idle_interval_ms, read_lag_ms=s.read_lag_ms)
        poll = AccountPoll(
            self._name, self._reads, health, clock=clock, time=self._rest.time, publish=outlet.send, pace=pace,
            has_vague_ends=True,
        )  # fmt: skip
        orders = OrderGateway(self._rest, OrderCodec(encode=self._encode, decode=self._decode), clock=clock)
        gateway = PolledGateway(orders, self._reads, poll, read_lag_ms=s.read_lag_ms, positions=self._reads.positions)
        trades = SeenTrades()
        stream = open_stream(
            self._name, s, self._markets, CHANNELS, command_frames,
            lambda session: ZdexFeed(session, self._markets.registry, self._rest.time, trades).receive, ROLES,
            outlet=outlet, status=status, clock=clock, backoff=backoff, proxy=proxy,
        )  # fmt: skip
        return ConnectorParts(
            outlet=outlet, time=self._rest.time, instruments=self._markets, gateway=gateway, prepare=self._prepare,
            close=self._rest.close, documented_limits=limits_of(s.requests_per_window, s.orders_per_window, s.window_s),
            read_balances=self._reads.money, key_rights=as_declared(s.key_rights), stream=stream, account_poll=poll,
            instruments_interval_ms=s.markets_interval_ms, balance_interval_ms=s.balance_interval_ms,
        )  # fmt: skip

    def _instruments(self) -> InstrumentParts:
        s, fees = self._settings, FeeSchedule(taker_rate=self._settings.taker_fee, maker_rate=self._settings.maker_fee)
        source = MarketList(
            self._selection, self._symbols, symbol_of=lambda row: row.symbol,
            instrument_of=lambda row: instrument_of(self._name, row, fees), held=lambda: self._reads.held_symbols(),
        )  # fmt: skip
        return instrument_parts(
            self._name, source, self._selection, followed_max=s.markets_max, clock=self._clock, time=self._rest.time,
            publish=self._outlet.send, read_lag_ns=s.read_lag_ms * NS_PER_MS,
        )  # fmt: skip

    async def _prepare(self) -> None:
        """The first read is unsigned: its `Date` gives the venue's time, which signatures need."""
        rows, s = await self._symbols(), self._settings
        # A key that may only read brings data: it could set nothing.
        if not self._is_configured and (not s.key_rights or "trade" in s.key_rights):
            wanted = [row.symbol for row in rows if self._selection.wants(row.symbol)]
            await margin_setup(self._rest).configure(wanted, s.leverage, s.margin_type)
            self._is_configured = True

    def _encode(self, approved: Approved, order: Order | None) -> Call:
        intent = approved.intent
        if isinstance(intent, NewOrder):
            client_order_id = approved.client_order_id if self.dialect.has_client_ids else ""
            return new_order(intent, self._markets.known(intent.instrument), client_order_id)
        return cancel(order_to_change(approved, order).venue_order_id)

    def _decode(self, approved: Approved, body: bytes) -> tuple[OrderReport, ...]:
        """An answer says that the order is there, or that its cancel was taken. What it has traded, and so how it
        ended, only trades and positions show: it is polled from now on."""
        answer = decoded_ack(body, partial(decode_json, decode=_ANSWER.decode))
        self._reads.note(answer)
        kind = ReportKind.ACCEPTED if isinstance(approved.intent, NewOrder) else ReportKind.CANCEL_PENDING
        return (report(approved, kind, Ack(answer.order.id, self._clock.now_ns())),)
