"""The connector against the venue's sandbox, over real HTTP and WebSocket on loopback."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from connectors.client.stream import LIBRARIES
from connectors.kalshi.plugin import Settings, create
from connectors.kalshi.sandbox.listings import generate_next
from connectors.kalshi.sandbox.server import KalshiSandbox, KalshiSandboxInfo, SandboxOptions
from framework.domain.account_events import (
    Fill,
    InstrumentDefined,
    InstrumentSettled,
    InstrumentStatusChanged,
    OrderReport,
    OrderSnapshot,
    PositionReport,
    ReportKind,
)
from framework.domain.errors import AccountRefused, OutcomeUnknown, Retryable
from framework.domain.events import Event
from framework.domain.instruments import Instrument, InstrumentId, InstrumentStatus
from framework.domain.intents import AmendOrder, CancelOrder, NewOrder
from framework.domain.market_events import (
    BookDelta,
    BookSnapshot,
    BookStale,
    ConnectorStatus,
    LimitsDeclared,
    TradePrint,
    VenueClock,
)
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, Side, TimeInForce
from framework.domain.rate_limits import RequestKind
from framework.domain.venue import Connector
from framework.own_budget import OwnBudget
from framework.runtime.clock import SystemClock
from tests.connectors.kalshi.sandbox.signed_client import Administered
from tests.connectors.kalshi.support import approved
from tests.support.connect_proxy import ConnectProxy
from tests.support.rsa_key import keep_rsa_key

E = TypeVar("E")
WAIT_S = 8.0
CHOSEN: dict[str, Any] = {}
"""Settings of every connector made here."""


class Live(Administered):
    """A running sandbox with a running connector."""

    def __init__(
        self, sandbox: KalshiSandbox, info: KalshiSandboxInfo, connector: Connector, budget: OwnBudget
    ) -> None:
        self.sandbox = sandbox
        self.info = info
        self.connector = connector
        self.budget = budget
        self.events: list[Event] = []
        self.news = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def publish(self, event: Event, _now_ns: int = 0, _monotonic_ns: int = 0, /) -> None:
        self.budget.publish(event)
        self.events.append(event)
        self.news.set()

    async def start(self) -> None:
        await self.connector.start(self.publish)
        self.task = asyncio.create_task(self.connector.run())
        await self.until(ConnectorStatus, lambda status: status.is_up)

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait({self.task})
        await self.connector.close()
        await self.sandbox.stop()

    async def until(self, kind: type[E], is_right: Callable[[E], bool] = lambda _event: True, *, after: int = 0) -> E:
        """The first such event from number `after` on; waits for it."""
        async with asyncio.timeout(WAIT_S):
            while True:
                for event in self.events[after:]:
                    if isinstance(event, kind) and is_right(event):
                        return event
                self.news.clear()
                await self.news.wait()

    @property
    def instrument(self) -> Instrument:
        return next(event.instrument for event in self.events if isinstance(event, InstrumentDefined))

    async def place(self, intent: NewOrder, client_order_id: str) -> tuple[Event, ...]:
        gateway = self.connector.gateway
        return await gateway.send(gateway.sign(approved(intent, client_order_id), None))

    def bid(self, **changes: Any) -> NewOrder:
        """A bid far below the market, unless the caller changes it."""
        values: dict[str, Any] = {
            "strategy": "mm",
            "instrument": self.instrument.id,
            "side": Side.BUY,
            "price": Price(100),
            "size": Size(200),
        }
        return NewOrder(**(values | changes))


async def live_on(
    tmp_path: Path, *, key: str = "rsa", changes: dict[str, Any] | None = None, proxy: str = "", **options: Any
) -> Live:
    values: dict[str, Any] = {"markets": 2, "seed": 3, "speed": 4.0, "tier": "prestige"}
    settings_of = {"dialect": options.get("dialect", "current")} | CHOSEN | (changes or {})
    keep_rsa_key(tmp_path)
    sandbox = KalshiSandbox(SandboxOptions(directory=tmp_path, **(values | options)))
    info = await sandbox.start()
    is_rsa = key == "rsa"
    settings = Settings(
        rest_url=info.rest_url,
        ws_url=info.ws_url,
        key_id=info.key_id if is_rsa else info.ed25519_key_id,
        private_key_path=Path(info.private_key_path if is_rsa else info.ed25519_private_key_path),
        **({"markets": ("KX*",), "snapshot_timeout_ms": 1_000, "tier": options.get("tier", "prestige")} | settings_of),
    )
    clock = SystemClock()
    budget = OwnBudget("kalshi", clock=clock)
    connector = create("kalshi", settings, clock=clock, rng=random.Random(1), proxy=proxy, turn=budget.turn)
    live = Live(sandbox, info, connector, budget)
    try:
        await live.start()
    except BaseException:
        await live.stop()
        raise
    return live


@pytest.fixture(autouse=True, params=LIBRARIES)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here holds with either library."""
    monkeypatch.setitem(CHOSEN, "stream_library", request.param)


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    made = await live_on(tmp_path)
    yield made
    await made.stop()


def order_of(live: Live, accepted: OrderReport, intent: NewOrder) -> Order:
    return Order(
        client_order_id=accepted.client_order_id,
        venue="kalshi",
        strategy="mm",
        instrument=live.instrument.id,
        side=intent.side,
        price=intent.price,
        size=intent.size,
        venue_order_id=accepted.venue_order_id,
        created_ns=accepted.ts_recv,
    )


@pytest.mark.parametrize("key", ["rsa", "ed25519"])
async def test_connector_when_started_then_markets_limits_books_and_trades_come(tmp_path: Path, key: str) -> None:
    live = await live_on(tmp_path, key=key)
    try:
        assert live.connector.is_loopback
        assert len(live.connector.assumptions) > 5
        await live.until(LimitsDeclared)
        await live.until(BookSnapshot)
        await live.until(BookDelta)
        await live.until(TradePrint)
    finally:
        await live.stop()


async def test_order_when_placed_amended_and_cancelled_then_answers_stream_and_reads_agree(live: Live) -> None:
    intent = live.bid()
    (accepted,) = await live.place(intent, "tg-life-1")
    assert isinstance(accepted, OrderReport)
    assert accepted.kind is ReportKind.ACCEPTED
    streamed = await live.until(OrderSnapshot, lambda one: one.client_order_id == "tg-life-1")
    assert (streamed.venue_order_id, streamed.is_open, streamed.size) == (accepted.venue_order_id, True, 200)
    order = order_of(live, accepted, intent)
    gateway = live.connector.gateway
    assert [one.client_order_id for one in await gateway.open_orders()] == ["tg-life-1"]

    amend = AmendOrder(strategy="mm", client_order_id="tg-life-1", price=Price(200), size=Size(300))
    (amended,) = await gateway.send(gateway.sign(approved(amend, "tg-life-1"), order))
    assert isinstance(amended, OrderReport)
    assert amended.kind is ReportKind.AMENDED
    found = await gateway.find_order(order)
    assert found is not None
    assert (found.price, found.size, found.is_open) == (200, 300, True)
    order.price, order.size = found.price, found.size

    cancel = CancelOrder(strategy="mm", client_order_id="tg-life-1")
    (cancelled,) = await gateway.send(gateway.sign(approved(cancel, "tg-life-1"), order))
    assert isinstance(cancelled, OrderReport)
    assert cancelled.kind is ReportKind.CANCELLED
    (again,) = await gateway.send(gateway.sign(approved(cancel, "tg-life-1"), order))
    assert isinstance(again, OrderReport)
    assert (again.kind, again.code) == (ReportKind.CANCEL_REFUSED, "not_found")
    order.venue_order_id = ""
    ended = await gateway.find_order(order)
    assert ended is not None
    assert not ended.is_open


async def test_order_when_it_trades_then_stream_and_reads_show_the_same_fills(live: Live) -> None:
    intent = live.bid(price=Price(9900), time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL)
    await live.until(BookSnapshot, lambda book: book.instrument == live.instrument.id and bool(book.asks))
    accepted, *_ = await live.place(intent, "tg-taker-1")
    assert isinstance(accepted, OrderReport)
    assert accepted.filled == 200
    mine = [await live.until(Fill, lambda fill: fill.client_order_id == "tg-taker-1")]
    await live.until(PositionReport, lambda one: one.size == 200)
    mine = [event for event in live.events if isinstance(event, Fill)]
    read = await live.connector.gateway.fills(accepted.ts_venue)
    assert [(one.fill_id, one.price, one.size, one.fee, one.side, one.is_maker) for one in read] == [
        (one.fill_id, one.price, one.size, one.fee, one.side, one.is_maker) for one in mine
    ]
    assert sum(one.size for one in mine) == 200
    (position,) = await live.connector.gateway.positions()
    assert (position.instrument, position.size) == (live.instrument.id, 200)


async def test_order_when_sent_twice_under_one_id_then_the_second_answer_shows_the_first_order(live: Live) -> None:
    (accepted,) = await live.place(live.bid(), "tg-twice")
    assert isinstance(accepted, OrderReport)
    (evidence,) = await live.place(live.bid(), "tg-twice")
    assert isinstance(evidence, OrderSnapshot)
    assert evidence.venue_order_id == accepted.venue_order_id


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"price": Price(150)}, "invalid_price"),
        ({"price": Price(9900), "post_only": True}, "invalid_order"),
        ({"price": Price(9900), "size": Size(1_000_000_000)}, "insufficient_balance"),
    ],
)
async def test_order_when_the_venue_refuses_then_it_is_rejected_with_its_code(
    live: Live, changes: dict[str, Any], code: str
) -> None:
    await live.until(BookSnapshot, lambda book: book.instrument == live.instrument.id and bool(book.asks))
    (report,) = await live.place(live.bid(**changes), "tg-bad")
    assert isinstance(report, OrderReport)
    assert (report.kind, report.code) == (ReportKind.REJECTED, code)


async def test_answer_when_lost_after_the_order_was_accepted_then_the_look_up_finds_it(live: Live) -> None:
    await live.admin("POST", "faults", {"kind": "lost_response", "count": 1, "match": {"method": "POST"}})
    intent = live.bid()
    with pytest.raises(OutcomeUnknown):
        await live.place(intent, "tg-lost")
    unknown = order_of(
        live, OrderReport(venue="kalshi", client_order_id="tg-lost", kind=ReportKind.UNKNOWN, ts_recv=0), intent
    )
    found = await live.connector.gateway.find_order(unknown)
    assert found is not None
    assert found.is_open


async def test_clock_when_the_venues_steps_by_an_hour_then_the_next_attempt_is_signed_with_its_time(live: Live) -> None:
    await live.admin("POST", "faults", {"kind": "clock_skew", "skew_ms": 3_600_000, "duration_ms": 60_000})
    with pytest.raises(Retryable, match="header_timestamp_expired"):
        await live.place(live.bid(), "tg-skew")
    (accepted,) = await live.place(live.bid(), "tg-skew")
    assert isinstance(accepted, OrderReport)
    assert accepted.kind is ReportKind.ACCEPTED
    await live.until(VenueClock, lambda clock: clock.offset_ns > 3_590_000_000_000)


async def test_frame_when_sent_twice_then_the_book_stays_fresh(live: Live) -> None:
    await live.until(BookDelta)
    seen = len(live.events)
    await live.admin("POST", "faults", {"kind": "duplicate_frame", "count": 3})
    for _ in range(20):
        await live.until(BookDelta, after=len(live.events))
    assert not any(isinstance(event, BookStale) for event in live.events[seen:])
    assert (await live.admin("GET", "truth"))["faults_struck"]["duplicate_frame"] == 3


async def test_book_when_a_frame_is_lost_then_it_is_stale_and_proved_again(live: Live) -> None:
    await live.until(BookDelta)
    await live.admin("POST", "faults", {"kind": "sequence_gap", "count": 1})
    stale = await live.until(BookStale)
    index = live.events.index(stale)
    proved = await live.until(BookSnapshot, lambda book: book.instrument == stale.instrument, after=index)
    between = live.events[index : live.events.index(proved)]
    assert not any(isinstance(event, BookDelta) and event.instrument == stale.instrument for event in between)


async def test_connection_when_dropped_then_it_is_down_and_up_again_by_itself(live: Live) -> None:
    seen = len(live.events)
    await live.admin("POST", "faults", {"kind": "drop_connection", "count": 1})
    await live.until(ConnectorStatus, lambda status: not status.is_up, after=seen)
    await live.until(ConnectorStatus, lambda status: status.is_up, after=seen)
    await live.until(BookSnapshot, after=seen)


async def test_stream_when_it_falls_silent_then_it_is_noticed_and_replaced_by_itself(tmp_path: Path) -> None:
    live = await live_on(tmp_path, changes={"silence_ms_max": 1_500})
    try:
        await live.until(BookDelta)
        seen = len(live.events)
        await live.admin("POST", "faults", {"kind": "silent_stream", "count": 1})
        async with asyncio.timeout(5):
            down = await live.until(ConnectorStatus, lambda status: not status.is_up, after=seen)
            lost = live.events.index(down)
            await live.until(ConnectorStatus, lambda status: status.is_up, after=lost)
            book = await live.until(BookSnapshot, after=lost)
            await live.until(BookDelta, lambda delta: delta.instrument == book.instrument, after=lost)
        assert down.reason == "nothing was heard for 1500 ms"
        assert any(isinstance(event, BookStale) for event in live.events[seen:lost])
        assert (await live.admin("GET", "truth"))["faults_struck"]["silent_stream"] == 1
    finally:
        await live.stop()


async def test_requests_when_many_are_read_then_none_is_limited_and_no_signature_is_refused(tmp_path: Path) -> None:
    live = await live_on(tmp_path, tier="basic")
    try:
        await asyncio.gather(*(live.connector.gateway.open_orders() for _ in range(40)))
        report = await live.admin("GET", "truth")
        assert (report["rate_limited"], report["refused_signatures"]) == (0, 0)
    finally:
        await live.stop()


async def test_orders_and_reads_when_both_take_all_they_can_get_then_none_is_limited(tmp_path: Path) -> None:
    live = await live_on(tmp_path, tier="basic")

    async def order(number: int) -> None:
        async with live.budget.turn(RequestKind.NEW):
            await live.place(live.bid(size=Size(100)), f"tg-many-{number}")

    try:
        reads = (live.connector.gateway.open_orders() for _ in range(40))
        await asyncio.gather(*(order(number) for number in range(25)), *reads)
        report = await live.admin("GET", "truth")
        assert (report["rate_limited"], len(report["orders"])) == (0, 25)
    finally:
        await live.stop()


async def test_market_when_it_is_settled_then_its_end_and_its_value_are_reported(tmp_path: Path) -> None:
    live = await live_on(tmp_path)
    try:
        await live.admin("POST", "faults", {"kind": "settle", "count": 1, "value": "yes"})
        settled = await live.until(InstrumentSettled)
        assert settled.value == live.instrument.unit
        await live.until(
            InstrumentStatusChanged,
            lambda one: one.instrument == settled.instrument and one.status is InstrumentStatus.CLOSED,
        )
    finally:
        await live.stop()


def list_unannounced(live: Live) -> str:
    """Have the venue list a market of which no message tells. Returns its ticker."""
    venue, now_ns = live.sandbox.venue, time.time_ns()
    listings = generate_next(random.Random(1), now_ns=now_ns, period_s=3_600)
    venue.publish_events()
    venue.catalog.add(listings)
    venue.exchange.add_market(listings.markets[0].spec, now_ns)
    venue.exchange.drain()
    return listings.markets[0].spec.market_id


async def test_market_when_it_opened_during_an_outage_of_the_stream_then_the_next_connection_finds_it(
    live: Live,
) -> None:
    ticker = list_unannounced(live)
    await live.admin("POST", "faults", {"kind": "drop_connection", "count": 1})
    await live.until(InstrumentDefined, lambda one: one.instrument.symbol == ticker)
    await live.until(BookSnapshot, lambda one: one.instrument == f"kalshi:{ticker}")


async def test_market_when_nothing_announces_it_then_it_is_found_by_looking(tmp_path: Path) -> None:
    live = await live_on(tmp_path, changes={"markets_interval_ms": 1_000})
    try:
        ticker = list_unannounced(live)
        await live.until(InstrumentDefined, lambda one: one.instrument.symbol == ticker)
        await live.until(BookSnapshot, lambda one: one.instrument == f"kalshi:{ticker}")
        assert not any(isinstance(one, ConnectorStatus) and not one.is_up for one in live.events)
    finally:
        await live.stop()


async def test_markets_when_one_opens_as_another_ends_then_the_stream_carries_the_new_one_and_leaves_the_old(
    tmp_path: Path,
) -> None:
    live = await live_on(tmp_path, changes={"markets_max": 3, "markets_interval_ms": 1_000}, roll_every_s=1)
    try:
        settled: set[InstrumentId] = set()
        for _ in range(2):
            one = await live.until(InstrumentSettled, lambda one: one.instrument not in settled)
            settled.add(one.instrument)
            seen = len(live.events)
            await live.until(BookSnapshot, lambda one: one.instrument not in settled, after=seen)
        (session,) = live.sandbox.conversations
        subscribed = {one for sub in session.commands.subscriptions.values() for one in sub.markets or ()}
        assert subscribed.isdisjoint(one.partition(":")[2] for one in settled)
    finally:
        await live.stop()


async def test_market_when_the_stream_does_not_tell_of_its_settlement_then_reading_it_does(
    tmp_path: Path,
) -> None:
    live = await live_on(tmp_path)
    try:
        muted = {"channel": "market_lifecycle_v2", "market": live.instrument.symbol}
        await live.admin("POST", "faults", {"kind": "mute", "count": -1, "match": muted})
        await live.admin(
            "POST", "faults", {"kind": "settle", "value": "yes", "match": {"market": live.instrument.symbol}}
        )
        async with asyncio.timeout(WAIT_S):
            while (await live.admin("GET", "truth"))["faults_struck"].get("mute", 0) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # what is waited for comes as no event
        assert not any(isinstance(event, InstrumentSettled) for event in live.events)
        live.connector.reread(live.instrument.id)
        settled = await live.until(InstrumentSettled)
        assert (settled.instrument, settled.value) == (live.instrument.id, live.instrument.unit)
        live.connector.reread(InstrumentId("kalshi:NONE"))
    finally:
        await live.stop()


async def test_start_when_the_key_is_not_the_venues_then_it_is_fatal(tmp_path: Path) -> None:
    keep_rsa_key(tmp_path)
    sandbox = KalshiSandbox(SandboxOptions(directory=tmp_path))
    info = await sandbox.start()
    settings = Settings(
        rest_url=info.rest_url,
        ws_url=info.ws_url,
        key_id=info.ed25519_key_id,
        private_key_path=Path(info.private_key_path),
        markets=("KX*",),
    )
    connector = create("kalshi", settings, clock=SystemClock(), rng=random.Random(1))
    try:
        with pytest.raises(AccountRefused, match="INCORRECT_API_KEY_SIGNATURE"):
            await connector.start(lambda *_: None)
    finally:
        await connector.close()
        await sandbox.stop()


async def test_proxy_when_the_configuration_names_one_then_requests_and_stream_go_through_it_and_the_venue_is_local(
    tmp_path: Path,
) -> None:
    async with ConnectProxy(credentials="me:s3cret") as proxy:
        live = await live_on(tmp_path, proxy=f"http://me:s3cret@127.0.0.1:{proxy.port}")
        try:
            await live.until(BookDelta)
            assert isinstance((await live.place(live.bid(), "tg-1"))[0], OrderReport)
            ports = {target.rpartition(":")[2] for target in proxy.asked}
            assert ports == {url.split(":")[2].split("/")[0] for url in (live.info.rest_url, live.info.ws_url)}
            assert live.connector.is_loopback
            assert "s3cret" not in repr(live.connector)
        finally:
            await live.stop()
