"""The client of the venue that lists nothing, put together of the toolkit's parts."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict

from connectors.client import settings as options
from connectors.client.book_sync import PreviousTracker, Step
from connectors.client.connector import ConnectorIdentity, ConnectorParts, EventOutlet, VenueConnector
from connectors.client.counts import DecodeCounts
from connectors.client.gateway import OrderCodec, OrderGateway
from connectors.client.instruments import InstrumentRegistry, ListedInstrument, Selection
from connectors.client.loader import instrument_parts
from connectors.client.request_clock import RequestClock
from connectors.client.rest import RestRules, Sign, SignedRest, make_breaker, open_transport, or_none, request_of
from connectors.client.secret_file import read_secret_text
from connectors.client.session import FrameRole, SessionPlan, SessionPorts, StreamSession
from connectors.client.status import VenueStatus
from connectors.client.stream import StreamDial, VenueStream, open_stream_transport
from connectors.client.subscriptions import Action, Channel, Command, Subscriptions
from connectors.client.venue_time import VenueTime
from connectors.client.wire.address import RestUrl, StreamUrl, account_of, is_loopback, origin_of, path_of
from connectors.client.wire.answers import ErrorResponse, Meaning, Rule, Verdicts
from connectors.client.wire.calls import Call
from connectors.client.wire.decimals import NS_PER_MS, NS_PER_S, plain_text, scaled_of
from connectors.client.wire.hmac_sign import HmacKey
from connectors.client.wire.reports import Ack, accepted, decoded_ack, order_to_change, report
from connectors.transport.ports import HttpRequest
from connectors.transport.reconnect import Backoff
from framework.domain.account_events import BalanceReport, OrderSnapshot, ReportKind
from framework.domain.errors import RefusedByVenue
from framework.domain.events import Event
from framework.domain.instruments import (
    FeeSchedule,
    Instrument,
    InstrumentKind,
    InstrumentStatus,
    TickBand,
    instrument_id,
)
from framework.domain.intents import CancelOrder, NewOrder
from framework.domain.market_events import BookLevel, BookSnapshot, Level, TradePrint
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Order, Side, TimeInForce
from framework.domain.ports import Clock, Rng
from framework.domain.rate_limits import Cost, Pool, RateLimits, RequestKind
from framework.domain.terms import FillListing, PositionListing, VenueTerms
from framework.domain.turns import TakeTurn, no_limits
from framework.domain.venue import Connector, IsClaimed, LastWord, nothing_against, nothing_claimed
from framework.domain.verdicts import Approved, Signed

TERMS = VenueTerms(
    open_orders=False,
    fills=FillListing.BY_ORDER,
    positions=PositionListing.NONE,
    amend=False,
    reduce_only=False,
    times_in_force=(TimeInForce.GOOD_TILL_CANCELLED, TimeInForce.IMMEDIATE_OR_CANCEL),
    good_till_date=False,
)
SANDBOX = "by_order_venue.sandbox"
BOOK = Channel("orderbook", is_by_symbol=True, has_books=True)
ROLES = {"snapshot": FrameRole.BOOK, "update": FrameRole.BOOK_CHANGE}
STATUSES = {
    "online": InstrumentStatus.ACTIVE,
    "paused": InstrumentStatus.PAUSED,
    "pending": InstrumentStatus.UNOPENED,
}
VERDICTS = Verdicts(
    "check key_id and secret_path",
    (
        Rule(meaning=Meaning.CLOCK, codes=("timestamp_out_of_range",)),
        Rule(meaning=Meaning.RETRYABLE, codes=("nonce_reused",)),
        Rule(meaning=Meaning.ACCOUNT, codes=("ip_not_allowed",)),
        Rule(meaning=Meaning.REFUSED, codes=("order_not_found",), code="not_found"),
    ),
)


class Settings(BaseModel):
    """One account of the venue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rest_url: RestUrl
    ws_url: StreamUrl
    key_id: str
    secret_path: Path
    markets: tuple[str, ...] = ("BTC-USD", "ETH-USD")
    per_second: int = 20
    burst: int = 1_200
    request_timeout_ms: options.RequestTimeoutMs = 5_000
    silence_ms_max: options.SilenceMsMax = 25_000
    snapshot_timeout_ms: options.SnapshotTimeoutMs = 5_000
    stream_library: options.StreamLibrary = "picows"
    connects_per_minute_max: options.ConnectsPerMinuteMax = 10
    read_lag_ms: options.ReadLagMs = 2_000
    balance_interval_ms: options.BalanceIntervalMs = 5_000


class MarketRow(msgspec.Struct):
    pair: str
    status: str
    tick_size: str
    min_order_size: str


class OrderRow(msgspec.Struct):
    id: str
    client_order_id: str
    pair: str
    side: str
    price: str
    size: str
    filled_size: str
    remaining_size: str
    avg_fill_price: str
    state: str
    created_at: int


class Balance(msgspec.Struct):
    total: str
    available: str


class Balances(msgspec.Struct):
    spot: dict[str, Balance]


class Frame(msgspec.Struct):
    type: str
    pair: str = ""
    ts: int = 0
    seq: int = 0
    prev_seq: int = 0
    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []
    changes: list[tuple[str, str, str]] = []
    trade_id: str = ""
    price: str = "0"
    size: str = "0"
    taker_side: str = "buy"


def parse_error(status: int, body: bytes, after_ms: int) -> ErrorResponse:
    try:
        error = msgspec.json.decode(body)["error"]
        return ErrorResponse(status, str(error["code"]), str(error.get("message", "")), after_ms=after_ms)
    except (msgspec.DecodeError, KeyError, TypeError):
        return ErrorResponse(status, "", after_ms=after_ms)


def signing(key_id: str, key: HmacKey, time: VenueTime) -> Sign:
    """Method, target, body, time and nonce, a line each."""
    stamps = RequestClock(time)

    def sign(call: Call) -> HttpRequest:
        stamp, nonce = str(stamps.next_ms()), secrets.token_hex(8)
        text = "\n".join((call.method, call.target, call.body.decode(), stamp, nonce))
        names = ("Key", key_id), ("Timestamp", stamp), ("Nonce", nonce), ("Signature", key.hex(text.encode()))
        return request_of(call, tuple((f"X-Api-{name}", value) for name, value in names))

    return sign


def snapshot_of(venue: str, row: OrderRow, asked_ns: int) -> OrderSnapshot:
    """An order as stated. The cost is the average price times what is filled, to the nearest unit: it is rounded."""
    filled = scaled_of(row.filled_size, 4, "filled_size")
    cost = (scaled_of(row.avg_fill_price, 8, "avg_fill_price") * filled + 500_000) // 1_000_000
    return OrderSnapshot(
        venue=venue,
        venue_order_id=row.id,
        client_order_id=row.client_order_id,
        instrument=instrument_id(venue, row.pair),
        side=Side(row.side),
        price=Price(scaled_of(row.price, 2, "price")),
        size=Size(scaled_of(row.size, 4, "size")),
        filled=Size(filled),
        is_open=row.state in ("open", "partially_filled", "cancelling"),
        is_cancelling=row.state == "cancelling",
        ts_recv=asked_ns,
        created_ns=row.created_at * NS_PER_MS,
        reason=row.state,
        cost=Money(cost) if filled else None,
    )


class Source:
    """An `InstrumentSource` of the one list of markets."""

    def __init__(self, venue: str, rest: SignedRest, selection: Selection) -> None:
        self._venue = venue
        self._rest = rest
        self._selection = selection

    async def _all(self) -> list[MarketRow]:
        return await self._rest.get("/markets", list[MarketRow])

    async def list_wanted(self) -> dict[str, MarketRow]:
        return {one.pair: one for one in await self._all() if self._selection.wants(one.pair)}

    async def list_named(self, symbols: Sequence[str]) -> list[MarketRow]:
        return [one for one in await self._all() if one.pair in symbols] if symbols else []

    async def read(self, symbol: str) -> MarketRow | None:
        return next(iter(await self.list_named([symbol])), None)

    async def list_held(self) -> list[str]:
        return []

    async def describe(self, row: MarketRow) -> ListedInstrument:
        base, _, quote = row.pair.partition("-")
        tick = Price(scaled_of(row.tick_size, 2, "tick_size"))
        one = Instrument(
            id=instrument_id(self._venue, row.pair),
            venue=self._venue,
            symbol=row.pair,
            kind=InstrumentKind.SPOT,
            price_decimals=2,
            size_decimals=4,
            tick_bands=(TickBand(tick, Price(10**9), tick),),
            size_min=Size(scaled_of(row.min_order_size, 4, "min_order_size")),
            base_currency=base,
            quote_currency=quote,
            fees=FeeSchedule(taker_rate="0.002", maker_rate="0.001"),
            status=STATUSES.get(row.status, InstrumentStatus.CLOSED),
        )
        return ListedInstrument(one)


class ByOrderGateway:
    """`framework.domain.venue.Gateway`; the reconciler looks every order up, nothing else does."""

    def __init__(self, venue: str, rest: SignedRest, settings: Settings, clock: Clock) -> None:
        self._venue = venue
        self._rest = rest
        self._settings = settings
        self._clock = clock
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
            body = {
                "client_order_id": approved.client_order_id,
                "pair": intent.instrument.partition(":")[2],
                "side": intent.side.value,
                "type": "limit",
                "price": plain_text(intent.price, 2),
                "size": plain_text(intent.size, 4),
                "time_in_force": intent.time_in_force.value,
                "post_only": intent.post_only,
            }
            return Call("POST", "/orders", msgspec.json.encode(body))
        if not isinstance(intent, CancelOrder):
            raise RefusedByVenue("not_offered", type(intent).__name__)
        known = order_to_change(approved, order)
        return Call("POST", f"/orders/{known.venue_order_id}/cancel", b"{}", is_urgent=True)

    def _decode(self, approved: Approved, body: bytes) -> tuple[Event, ...]:
        row = decoded_ack(body, partial(msgspec.json.decode, type=OrderRow))
        found, ack = snapshot_of(self._venue, row, self._clock.now_ns()), Ack(row.id, self._clock.now_ns())
        if isinstance(approved.intent, NewOrder):
            remaining = Size(scaled_of(row.remaining_size, 4, "remaining_size"))
            return accepted(approved, approved.intent, ack, filled=found.filled, remaining=remaining)
        return (report(approved, ReportKind.CANCEL_PENDING, ack),)

    async def find_order(self, order: Order, /, *, is_claimed: IsClaimed = nothing_claimed) -> OrderSnapshot | None:
        """By our id an order is found by a new one of that id which could not be taken: of size nothing."""
        if order.venue_order_id:
            asked_ns = self._clock.now_ns()
            row = await or_none(self._rest.get(f"/orders/{order.venue_order_id}", OrderRow))
            return None if row is None else snapshot_of(self._venue, row, asked_ns)
        asked_ns = self._clock.now_ns()
        fields = {"client_order_id": order.client_order_id, "pair": order.instrument.partition(":")[2], "side": "buy"}
        probe = Call(
            "POST", "/orders", msgspec.json.encode(fields | {"price": "1", "size": "0", "time_in_force": "gtc"})
        )
        decode = partial(msgspec.json.decode, type=OrderRow)
        try:
            found = await self._rest.ask(probe, decode, endpoint="/orders")
        except RefusedByVenue:
            return None
        return snapshot_of(self._venue, found, asked_ns)

    async def open_orders(self) -> None:
        return None

    async def fills(self, since_ns: int, /) -> None:
        return None

    async def positions(self) -> None:
        return None

    async def balances(self) -> list[Event]:
        found, now_ns = await self._rest.get("/account/balances", Balances), self._clock.now_ns()
        events: list[Event] = []
        for name, row in found.spot.items():
            decimals = 6 if name == "USD" else 4
            total, free = (scaled_of(text, decimals, name) for text in (row.total, row.available))
            events.append(
                BalanceReport(venue=self._venue, currency=name, amount=total, decimals=decimals, ts_recv=now_ns,
                              available=free, locked=total - free)
            )  # fmt: skip
        return events


class Feed:
    """Reads the messages of one connection."""

    def __init__(self, session: StreamSession, registry: InstrumentRegistry) -> None:
        self._session = session
        self._registry = registry
        self._chain = PreviousTracker()

    def receive(self, data: bytes, ts_recv: int, now_ns: int) -> None:
        session = self._session
        session.ts_recv, session.now_ns = ts_recv, now_ns
        frame = msgspec.json.decode(data, type=Frame)
        one = self._registry.find_symbol(frame.pair)
        if one is None:
            session.counts.strays += 1
        elif frame.type == "trade":
            price, side = one.price(frame.price), Side(frame.taker_side)
            session.publish(
                TradePrint(one.id, frame.ts * NS_PER_MS, ts_recv, frame.trade_id, price, one.size(frame.size), side)
            )
        elif frame.type == "snapshot":
            session.quiet.on_frame(frame.pair, now_ns)
            self._chain.begin(frame.pair, frame.seq)
            session.books.prove(frame.pair)
            bids, asks = levels(one, frame.bids), levels(one, frame.asks)
            session.publish(BookSnapshot(one.id, frame.ts * NS_PER_MS, ts_recv, bids, asks), ts_recv, now_ns)
        elif frame.type == "update" and self._is_next(frame):
            session.quiet.on_frame(frame.pair, now_ns)
            for side, at, size in frame.changes:
                level = BookLevel(one.id, frame.ts * NS_PER_MS, ts_recv, Side(side), one.price(at), one.size(size))
                session.publish(level, ts_recv, now_ns)

    def _is_next(self, frame: Frame) -> bool:
        session = self._session
        if frame.pair not in session.books.proved:
            session.counts.strays += 1
            return False
        step = self._chain.observe(frame.pair, frame.seq, frame.prev_seq)
        if step is Step.GAP:
            session.counts.gaps += 1
            session.lose((frame.pair,), "a gap in the changes of this book")
        return step is Step.NEXT


def levels(one: Instrument, rows: list[tuple[str, str]]) -> tuple[Level, ...]:
    return tuple((one.price(price), one.size(size)) for price, size in rows)


def command_of(one: Command) -> tuple[bytes, ...]:
    channels = [{"name": one.channel, "pair": pair} for pair in one.symbols]
    again = msgspec.json.encode({"op": "subscribe", "channels": channels})
    if one.action is Action.SNAPSHOT:
        return (msgspec.json.encode({"op": "unsubscribe", "channels": channels}), again)
    if one.action in (Action.UNSUBSCRIBE, Action.REMOVE):
        return (msgspec.json.encode({"op": "unsubscribe", "channels": channels}),)
    return () if one.action is Action.PROBE else (again,)


def limits_of(settings: Settings) -> RateLimits:
    pool = Pool("all", settings.burst, settings.per_second)
    return RateLimits((pool,), tuple(Cost(kind, "all", 1) for kind in RequestKind))


async def prepare(rest: SignedRest) -> None:
    await rest.get("/markets", list[MarketRow])


def create(
    name: str, settings: Settings, *, clock: Clock, rng: Rng, proxy: str = "", turn: TakeTurn = no_limits
) -> Connector:
    """Put the parts together; no connection is opened yet."""
    s, time, outlet = settings, VenueTime(clock), EventOutlet()
    key = HmacKey(read_secret_text(s.secret_path, "secret_path").encode())
    breaker = make_breaker(rng, connects_per_minute_max=s.connects_per_minute_max)
    http = open_transport(origin_of(s.rest_url), connections_max=8, clock=clock, breaker=breaker, proxy=proxy)
    rules = RestRules(
        name="by_order", url=s.rest_url, prefix=path_of(s.rest_url), timeout_ms=s.request_timeout_ms, pages_max=9,
        verdicts=VERDICTS, parse_error=parse_error, unsigned=frozenset({"/markets"}),
    )  # fmt: skip
    rest = SignedRest(http, signing(s.key_id, key, time), rules, clock=clock, time=time, turn=turn)
    selection = Selection(s.markets)
    instruments = instrument_parts(
        name, Source(name, rest, selection), selection, followed_max=10, clock=clock, time=time, publish=outlet.send,
        read_lag_ns=s.read_lag_ms * NS_PER_MS,
    )  # fmt: skip
    gateway = ByOrderGateway(name, rest, s, clock)
    status = VenueStatus(name, outlet.send)
    counts, registry = DecodeCounts(), instruments.registry
    plan = SessionPlan(
        10 * NS_PER_S, s.snapshot_timeout_ms * NS_PER_MS, ROLES, has_shared_count=False, quiet_ns=15 * NS_PER_S
    )

    def session(send: Any) -> StreamSession:
        return StreamSession(
            name, registry.followed, Subscriptions([BOOK], send, command_of, awaited=()),
            lambda made: Feed(made, registry).receive,
            ports=SessionPorts(outlet.publish, status, instruments.refresher.refresh), plan=plan, counts=counts,
        )  # fmt: skip

    dial = StreamDial(
        open_stream_transport(s.stream_library, origin_of(s.ws_url), clock=clock, proxy=proxy),
        path_of(s.ws_url), timeout_ms=10_000, on_open=breaker.skip_delay,
    )  # fmt: skip
    backoff = Backoff(rng, connects_per_minute_max=s.connects_per_minute_max)
    parts = ConnectorParts(
        outlet=outlet, time=time, instruments=instruments, gateway=gateway, prepare=partial(prepare, rest),
        close=rest.close, documented_limits=limits_of(s), read_balances=gateway.balances,
        stream=VenueStream(dial.open, session, clock=clock, backoff=backoff, silence_ms_max=s.silence_ms_max),
        instruments_interval_ms=2_000, balance_interval_ms=s.balance_interval_ms,
    )  # fmt: skip
    is_local = is_loopback(s.rest_url) and is_loopback(s.ws_url)
    identity = ConnectorIdentity(name, account_of(s.rest_url, s.key_id), is_local, ("All of it.",), TERMS)
    return VenueConnector(identity, parts, clock=clock)


def sandbox_settings(ready: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: ready[name] for name in ("rest_url", "ws_url", "key_id", "secret_path")}
