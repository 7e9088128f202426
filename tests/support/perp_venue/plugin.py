"""The client of the perpetuals venue, put together of the toolkit's parts. Its scales are fixed: see `wire.py`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from connectors.client import settings as options
from connectors.client.connector import ConnectorIdentity, ConnectorParts, EventOutlet, VenueConnector
from connectors.client.counts import DecodeCounts
from connectors.client.gateway import OrderCodec, OrderGateway
from connectors.client.instruments import ListedInstrument, Selection
from connectors.client.loader import instrument_parts
from connectors.client.pages import by_last_id, by_offset
from connectors.client.polling.account import ACCOUNT, AccountPace, AccountPoll
from connectors.client.polling.market import PollHealth
from connectors.client.request_clock import query_signing
from connectors.client.rest import RestRules, SignedRest, make_breaker, open_transport, or_none
from connectors.client.secret_file import read_secret_text
from connectors.client.session import SessionPlan, SessionPorts, StreamSession
from connectors.client.status import POLL, STREAM, VenueStatus
from connectors.client.stream import StreamDial, VenueStream, open_stream_transport
from connectors.client.subscriptions import Subscriptions
from connectors.client.venue_time import VenueTime
from connectors.client.window_headers import WindowHeaders, WindowSight
from connectors.client.wire.address import RestUrl, StreamUrl, account_of, is_loopback, origin_of, path_of
from connectors.client.wire.calls import Call
from connectors.client.wire.decimals import NS_PER_MS, NS_PER_S
from connectors.client.wire.hmac_sign import HmacKey
from connectors.client.wire.keys import DeclaredRights, as_declared
from connectors.client.wire.reports import decoded_ack, order_to_change, report
from connectors.transport.reconnect import Backoff
from framework.domain.account_events import BalanceReport, CashFlow, Fill, OrderSnapshot, PositionReport, ReportKind
from framework.domain.errors import RefusedByVenue
from framework.domain.events import Event
from framework.domain.instruments import Instrument
from framework.domain.intents import CancelOrder, NewOrder
from framework.domain.orders import Order, OrderKind, TimeInForce, TriggerKind
from framework.domain.ports import Clock, Rng
from framework.domain.rate_limits import Cost, Pool, PoolShape, RateLimits, RequestKind
from framework.domain.terms import FillListing, VenueTerms
from framework.domain.turns import TakeTurn, no_limits
from framework.domain.venue import Connector, IsClaimed, LastWord, nothing_against, nothing_claimed
from framework.domain.verdicts import Approved, Signed
from tests.support.perp_venue import wire
from tests.support.perp_venue.feed import CHANNELS, PerpFeed, command_of

TERMS = VenueTerms(
    fills=FillListing.TAKER_ONLY,
    amend=False,
    post_only=False,
    times_in_force=(TimeInForce.GOOD_TILL_CANCELLED,),
    good_till_date=False,
    order_kinds=(OrderKind.LIMIT, OrderKind.MARKET),
    triggers=(TriggerKind.STOP,),
)
SANDBOX = "perp_venue.sandbox"


class Settings(BaseModel):
    """One account of the venue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rest_url: RestUrl
    ws_url: StreamUrl
    key_id: str
    secret_path: Path
    markets: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")
    key_rights: DeclaredRights = ()
    requests_per_window: int = 1_000
    window_ms: int = 60_000
    request_timeout_ms: options.RequestTimeoutMs = 5_000
    silence_ms_max: options.SilenceMsMax = 25_000
    stream_library: options.StreamLibrary = "picows"
    connects_per_minute_max: options.ConnectsPerMinuteMax = 10
    read_lag_ms: options.ReadLagMs = 2_000
    poll_ms: int = 1_000
    balance_interval_ms: options.BalanceIntervalMs = 5_000


class Source:
    """An `InstrumentSource` of the one list of symbols."""

    def __init__(self, venue: str, rest: SignedRest, selection: Selection) -> None:
        self._venue = venue
        self._rest = rest
        self._selection = selection

    async def _all(self) -> list[wire.SymbolRow]:
        return (await self._rest.get("/market/symbols", wire.SymbolPage)).data

    async def list_wanted(self) -> dict[str, wire.SymbolRow]:
        return {one.symbol: one for one in await self._all() if self._selection.wants(one.symbol)}

    async def list_named(self, symbols: Sequence[str]) -> list[wire.SymbolRow]:
        return [one for one in await self._all() if one.symbol in symbols] if symbols else []

    async def read(self, symbol: str) -> wire.SymbolRow | None:
        return next(iter(await self.list_named([symbol])), None)

    async def list_held(self) -> list[str]:
        return [one.symbol for one in (await self._rest.get("/positions", wire.PositionPage)).positions]

    async def describe(self, row: wire.SymbolRow) -> ListedInstrument:
        return ListedInstrument(wire.instrument_of(self._venue, row))


class PerpGateway:
    """`framework.domain.venue.Gateway`, and what `AccountPoll` reads."""

    def __init__(self, venue: str, rest: SignedRest, settings: Settings, clock: Clock) -> None:
        self._venue = venue
        self._rest = rest
        self._settings = settings
        self._clock = clock
        self.instruments: Mapping[str, Instrument] = {}
        self.watch: Any = None
        self._orders = OrderGateway(rest, OrderCodec(encode=self._encode, decode=self._decode), clock=clock)

    @property
    def read_lag_ms(self) -> int:
        return self._settings.read_lag_ms

    def sign(self, approved: Approved, order: Order | None, /) -> Signed:
        return self._orders.sign(approved, order)

    async def send(self, signed: Signed, /, *, last_word: LastWord = nothing_against) -> tuple[Event, ...]:
        return await self._orders.send(signed, last_word=last_word)

    def _encode(self, approved: Approved, order: Order | None) -> Call:
        intent = approved.intent
        if isinstance(intent, NewOrder):
            return wire.new_order(approved.client_order_id, intent)
        if not isinstance(intent, CancelOrder):
            raise RefusedByVenue("not_offered", type(intent).__name__)
        known = order_to_change(approved, order)
        return Call("DELETE", f"/orders/{known.venue_order_id}", is_urgent=True)

    def _decode(self, approved: Approved, body: bytes) -> tuple[Event, ...]:
        row, now_ns = decoded_ack(body, wire.decode_order), self._clock.now_ns()
        if isinstance(approved.intent, CancelOrder):
            return (report(approved, ReportKind.CANCEL_PENDING, wire.ack_of(row, now_ns)),)
        found = wire.snapshot_of(self._venue, row, now_ns)
        if self.watch is not None and found.is_open:
            self.watch(found.venue_order_id, found.instrument, found.side, found.price)
        # How much of it traded at once the answer does not say; a look-up and the list of trades do.
        return (report(approved, ReportKind.ACCEPTED, wire.ack_of(row, now_ns)),)

    async def find_order(self, order: Order, /, *, is_claimed: IsClaimed = nothing_claimed) -> OrderSnapshot | None:
        if order.venue_order_id:
            return await self.read_order(order.venue_order_id)
        asked_ns, symbol = self._clock.now_ns(), order.instrument.partition(":")[2]
        rows = await self._rest.listing("/orders", wire.OrderPage, by_offset, [("symbol", symbol), ("limit", 200)])
        found = next((one for one in rows if one.client_order_id == order.client_order_id), None)
        return None if found is None else wire.snapshot_of(self._venue, found, asked_ns)

    async def read_order(self, venue_order_id: str, /) -> OrderSnapshot | None:
        asked_ns = self._clock.now_ns()
        found = await or_none(self._rest.get(f"/orders/{venue_order_id}", wire.OrderAnswer, endpoint="/orders/*"))
        return None if found is None else wire.snapshot_of(self._venue, found.order, asked_ns)

    async def open_orders(self) -> tuple[OrderSnapshot, ...]:
        asked_ns, found = self._clock.now_ns(), dict[str, OrderSnapshot]()
        # An order that changes its status between the lists is in both or in none: the later one counts.
        for status in ("PENDING_CANCEL", "PARTIALLY_FILLED", "NEW", "PARTIALLY_FILLED", "PENDING_CANCEL"):
            rows = await self._rest.listing("/orders", wire.OrderPage, by_offset, [("status", status), ("limit", 200)])
            found |= {one.id: wire.snapshot_of(self._venue, one, asked_ns) for one in rows}
        return tuple(found.values())

    async def list_open(self) -> tuple[OrderSnapshot, ...]:
        return await self.open_orders()

    async def fills(self, since_ns: int, /) -> tuple[Fill, ...]:
        found: list[Fill] = []
        for instrument in self.instruments.values():
            after = by_last_id("fromId", lambda row: int(row.id))
            rows = await self._rest.listing("/futures/myTrades", wire.TradePage, after, [("symbol", instrument.symbol)])
            found += [wire.fill_of(instrument, one, self._clock.now_ns()) for one in rows]
        return tuple(sorted((one for one in found if one.ts_venue >= since_ns), key=lambda one: one.ts_venue))

    async def list_fills(self, since_ns: int, /) -> tuple[Fill, ...]:
        return await self.fills(since_ns)

    async def positions(self) -> tuple[PositionReport, ...]:
        asked_ns = self._clock.now_ns()
        rows = (await self._rest.get("/positions", wire.PositionPage)).positions
        return tuple(wire.position_of(self._venue, one, asked_ns) for one in rows)

    async def money(self) -> Iterable[Event]:
        """The balance, and what came and went without a trade."""
        now_ns = self._clock.now_ns()
        row = (await self._rest.get("/futures/balance", wire.BalanceAnswer)).balances.assets[0]
        flows = await self._rest.listing("/futures/income", wire.FlowPage, by_last_id("fromId", lambda row: row.id))
        events: list[BalanceReport | CashFlow] = [wire.balance_of(self._venue, row, now_ns)]
        return [*events, *(wire.flow_of(self._venue, one, now_ns) for one in flows)]


def limits_of(settings: Settings) -> RateLimits:
    """One window for everything."""
    pool = Pool(
        "all", settings.requests_per_window, settings.requests_per_window, settings.window_ms * NS_PER_MS,
        PoolShape.WINDOW,
    )  # fmt: skip
    return RateLimits((pool,), tuple(Cost(kind, "all", 1) for kind in RequestKind if kind is not RequestKind.AMEND))


def create(
    name: str, settings: Settings, *, clock: Clock, rng: Rng, proxy: str = "", turn: TakeTurn = no_limits
) -> Connector:
    """Put the parts together; no connection is opened yet. Raises `ConfigurationError` for a secret that can't be
    read."""
    s, time, outlet = settings, VenueTime(clock), EventOutlet()
    key = HmacKey(read_secret_text(s.secret_path, "secret_path").encode())
    breaker = make_breaker(rng, connects_per_minute_max=s.connects_per_minute_max)
    http = open_transport(origin_of(s.rest_url), connections_max=8, clock=clock, breaker=breaker, proxy=proxy)
    windows = WindowSight(name, WindowHeaders(pool="all"), clock, outlet.send)
    rules = RestRules(
        name="perp", url=s.rest_url, prefix=path_of(s.rest_url), timeout_ms=s.request_timeout_ms, pages_max=200,
        verdicts=wire.VERDICTS, parse_error=wire.parse_error, unsigned=frozenset({"/market/symbols"}),
        on_answer=windows.see,
    )  # fmt: skip
    rest = SignedRest(http, query_signing(s.key_id, key)(time), rules, clock=clock, time=time, turn=turn)
    selection = Selection(s.markets)
    source = Source(name, rest, selection)
    instruments = instrument_parts(
        name, source, selection, followed_max=10, clock=clock, time=time, publish=outlet.send,
        read_lag_ns=s.read_lag_ms * NS_PER_MS,
    )  # fmt: skip
    gateway = PerpGateway(name, rest, s, clock)
    gateway.instruments = wire.Known(instruments.registry)
    status = VenueStatus(name, outlet.send, (STREAM, POLL))
    health = PollHealth(status, (ACCOUNT,), clock=clock, silence_ns_max=10 * NS_PER_S)
    pace = AccountPace(open_ms=s.poll_ms, idle_ms=s.poll_ms * 2, order_ms=s.poll_ms, read_lag_ms=s.read_lag_ms)
    account = AccountPoll(
        name, gateway, health, clock=clock, time=time, publish=outlet.send, pace=pace, has_vague_ends=True
    )
    gateway.watch = account.watch
    counts, registry = DecodeCounts(), instruments.registry
    plan = SessionPlan(10 * NS_PER_S, 5 * NS_PER_S, wire.ROLES, probe_ns=NS_PER_S, has_shared_count=False)
    dial = StreamDial(
        open_stream_transport(s.stream_library, origin_of(s.ws_url), clock=clock, proxy=proxy),
        path_of(s.ws_url), timeout_ms=10_000, on_open=breaker.skip_delay,
    )  # fmt: skip

    def session(send: Any) -> StreamSession:
        return StreamSession(
            name, registry.followed, Subscriptions(CHANNELS, send, command_of),
            lambda made: PerpFeed(made, registry, time).receive,
            ports=SessionPorts(outlet.publish, status, instruments.refresher.refresh), plan=plan, counts=counts,
        )  # fmt: skip

    backoff = Backoff(rng, connects_per_minute_max=s.connects_per_minute_max)
    parts = ConnectorParts(
        outlet=outlet, time=time, instruments=instruments, gateway=gateway, prepare=partial(prepare, rest),
        close=rest.close, documented_limits=limits_of(s), read_balances=gateway.money,
        stream=VenueStream(dial.open, session, clock=clock, backoff=backoff, silence_ms_max=s.silence_ms_max),
        account_poll=account, instruments_interval_ms=5_000, balance_interval_ms=s.balance_interval_ms,
        key_rights=as_declared(s.key_rights),
    )  # fmt: skip
    is_local = is_loopback(s.rest_url) and is_loopback(s.ws_url)
    identity = ConnectorIdentity(name, account_of(s.rest_url, s.key_id), is_local, ("All of it.",), TERMS)
    return VenueConnector(identity, parts, clock=clock)


async def prepare(rest: SignedRest) -> None:
    """Its `Date` gives the venue's time."""
    await rest.get("/market/symbols", wire.SymbolPage)


def sandbox_settings(ready: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: ready[name] for name in ("rest_url", "ws_url", "key_id", "secret_path")}
