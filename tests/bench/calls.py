"""How far it is from a frame to a strategy, and from a strategy to its order's handle: Python calls, files and clock
reads, counted. `python -m tests.bench calls` prints the table and the stops; the counts are the same on every machine.

Only functions of `framework`, `risk`, `connectors` and `strategies` count. Both ways are counted when they are warm:
what is looked up once and kept has been looked up.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, NamedTuple

import msgspec
import picows

from connectors.client.counts import DecodeCounts
from connectors.client.instruments import InstrumentRegistry, Selection
from connectors.client.session import SessionPlan, SessionPorts, StreamSession
from connectors.client.status import VenueStatus
from connectors.client.stream import VenueStream
from connectors.client.venue_time import VenueTime
from connectors.kalshi.markets.instruments import listed_of
from connectors.kalshi.stream.commands import BOOK, FILL, ORDERS
from connectors.kalshi.stream.feed import FeedPorts, make_session
from connectors.kalshi.wire.market_messages import PriceRange, RestMarket
from connectors.transport.ports import OnMessage
from connectors.transport.reconnect import Backoff
from connectors.transport.websocket import PicowsConnection
from framework.assembly import Core, CoreSettings, assemble
from framework.config.layers import load
from framework.config.resolve import resolve
from framework.domain.account_events import InstrumentDefined
from framework.domain.instruments import FeeSchedule, InstrumentId
from framework.domain.market_events import LimitsDeclared, TermsDeclared
from framework.domain.numbers import Price, Size
from framework.domain.rate_limits import Cost, Pool, RateLimits, RequestKind
from framework.domain.strategy import OrderHandle, Strategy
from framework.domain.terms import UNDECLARED
from framework.domain.views import BookView
from framework.engine.kernel import Kernel
from framework.ops.telemetry import Telemetry
from framework.persistence.journal.journal import Journal
from framework.persistence.ledger.ledger import Ledger
from framework.persistence.recorder import Recorder
from framework.persistence.tape import Tape
from framework.runtime.background import InlineWorker
from framework.runtime.clock import SystemClock, seeded_rng
from framework.runtime.disk_writer import DiskWriter
from framework.runtime.files import RealFiles
from framework.runtime.metrics import Metrics
from framework.state.accounts import Accounts
from framework.state.books import Books
from framework.state.orders.client_order_ids import ClientOrderIds

ROOT = Path(__file__).parents[2]
COUNTED = tuple(f"{ROOT}/{package}/" for package in ("framework", "risk", "connectors", "strategies"))
CHECKS = "risk/checks/"
TICKER = "KXTIDE-26NOV21-T200"
MARKET = InstrumentId(f"kalshi:{TICKER}")
CHANNELS = (FILL, ORDERS, BOOK)
CLOCKS = (time.time_ns, time.monotonic_ns)
# Full again at once: a rate budget begins empty.
LIMITS = RateLimits((Pool("write", 1_000, 10**12),), tuple(Cost(kind, "write", 10) for kind in RequestKind))
_S = 1_000_000_000


class Stop(NamedTuple):
    """One Python call: the file, relative to the repository, and the function."""

    file: str
    function: str


class Way:
    """What was counted between `begin` and `end`."""

    def __init__(self) -> None:
        self.stops: list[Stop] = []
        self.clock_reads = 0

    def begin(self) -> None:
        """Count from here."""
        sys.setprofile(self._on_event)

    def end(self) -> None:
        """Count up to here."""
        sys.setprofile(None)

    def without(self, folder: str) -> Way:
        """The same way without the calls of functions below `folder`."""
        rest = Way()
        rest.stops = [stop for stop in self.stops if not stop.file.startswith(folder)]
        rest.clock_reads = self.clock_reads
        return rest

    @property
    def files(self) -> int:
        """How many files it leads through."""
        return len({stop.file for stop in self.stops})

    def _on_event(self, frame: FrameType, event: str, arg: object) -> None:
        if event == "c_call":
            self.clock_reads += arg in CLOCKS
        elif event == "call" and frame.f_code.co_filename.startswith(COUNTED):
            file = frame.f_code.co_filename.removeprefix(f"{ROOT}/")
            self.stops.append(Stop(file, frame.f_code.co_qualname))


class Guest(Strategy[None]):
    """Ends one way where its hook is entered, and begins the other where it asks for an order."""

    tick: Way | None = None
    order: Way | None = None

    def on_book(self, book: BookView) -> None:
        """Called by the host."""
        if self.tick is not None:
            self.tick.end()
            self.tick = None
        if self.order is not None:
            self.ask()

    def ask(self) -> OrderHandle:
        """Place one bid far below the market."""
        way = self.order or Way()
        way.begin()
        handle = self.buy(MARKET, Price(4_500), Size(100))
        way.end()
        self.order = None
        assert handle.is_approved, handle.refusal
        return handle


class Venue:
    """The peer of a real `PicowsConnection`: takes its commands, and hands it frames as picows does."""

    is_close_frame_sent = is_disconnected = False
    close_handshake = None
    underlying_transport = SimpleNamespace(get_write_buffer_size=lambda: 0)

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []
        self.is_asked = asyncio.Event()
        self.connection: PicowsConnection | None = None
        self._end = asyncio.Event()

    async def dial(self, on_message: OnMessage) -> PicowsConnection:
        """Connect."""
        self.connection = PicowsConnection(clock=SystemClock(), on_message=on_message, message_bytes_max=2**20)
        self.connection.on_ws_connected(self)  # type: ignore[arg-type]
        return self.connection

    def deliver(self, frame: dict[str, Any], way: Way | None = None) -> None:
        """Have the connection take one text frame, and count from there."""
        payload = msgspec.json.encode(frame)
        frame_ = SimpleNamespace(
            msg_type=picows.WSMsgType.TEXT,
            rsv1=0,
            rsv2=0,
            rsv3=0,
            fin=True,
            get_payload_as_bytes=lambda: payload,
        )
        assert self.connection is not None
        receive = self.connection.on_ws_frame
        if way is not None:
            way.begin()
        receive(self, frame_)  # type: ignore[arg-type]
        sys.setprofile(None)

    def send(self, kind: object, data: bytes) -> None:
        """Take a command."""
        self.commands.append(msgspec.json.decode(data))
        if len(self.commands) == len(CHANNELS):
            self.is_asked.set()

    def send_close(self, code: object) -> None:
        """Take a close frame."""

    def disconnect(self, graceful: bool = True) -> None:
        """End."""
        self._end.set()

    async def wait_disconnected(self) -> None:
        """Wait for the end."""
        await self._end.wait()


@contextmanager
def _core(directory: Path) -> Iterator[tuple[Core, Guest]]:
    clock, accounts, books = SystemClock(), Accounts(), Books()
    journal, _ = Journal.open(
        RealFiles(),
        directory / "journal",
        start_writer=lambda sink: DiskWriter(sink, clock=clock),
        worker=InlineWorker(),
    )
    tape = Tape.open(RealFiles(), directory / "tape", InlineWorker())
    ledger = Ledger.open(directory / "ledger.sqlite3", InlineWorker())
    core = assemble(
        CoreSettings(
            venues=["kalshi"],
            checks=resolve(load((), environ={}, overrides=())).checks,
            strategy_call_ms_max=60_000,
        ),
        clock=clock,
        accounts=accounts,
        books=books,
        next_client_order_id=ClientOrderIds("b", 1).next,
        recorder=Recorder(journal, tape, ledger),
        watcher=Telemetry(Metrics(), accounts, clock),
        timers=None,  # type: ignore[arg-type]
        on_journal_failure=lambda e: None,
        log=lambda *_, **__: None,
    )
    guest: Guest = core.add_strategy("guest", Guest, None, (MARKET,))  # type: ignore[assignment]
    yield core, guest
    ledger.close()
    tape.close()
    journal.close()


def _stream(kernel: Kernel, venue: Venue) -> VenueStream:
    registry = InstrumentRegistry("kalshi", Selection((TICKER,)), followed_max=1)
    market = RestMarket(
        ticker=TICKER,
        event_ticker="KXTIDE-26NOV21",
        status="active",
        price_ranges=(PriceRange(start="0.0000", end="1.0000", step="0.0100"),),
    )
    for event in registry.define(listed_of(market, venue="kalshi", fees=FeeSchedule()), ts_recv=time.time_ns()):
        assert isinstance(event, InstrumentDefined)
        kernel.publish(event)
    registry.follow([TICKER])

    def session(send: Callable[[bytes], None]) -> StreamSession:
        return make_session(
            send,
            FeedPorts("kalshi", registry, fetch=lambda _: None, time=VenueTime(SystemClock())),
            SessionPorts(kernel.publish, VenueStatus("kalshi", kernel.publish), refresh=lambda: None),
            plan=SessionPlan(ack_ns_max=10 * _S, snapshot_ns_max=10 * _S),
            counts=DecodeCounts(),
            channels=CHANNELS,
        )

    backoff = Backoff(seeded_rng(1), connects_per_minute_max=10)
    return VenueStream(venue.dial, session, clock=SystemClock(), backoff=backoff, silence_ms_max=10_000)


async def _count(directory: Path) -> tuple[Way, Way]:
    tick, order = Way(), Way()
    with _core(directory) as (core, guest):
        core.kernel.publish(LimitsDeclared("kalshi", LIMITS, time.time_ns()))
        core.kernel.publish(TermsDeclared("kalshi", UNDECLARED, time.time_ns()))
        venue = Venue()
        running = asyncio.create_task(_stream(core.kernel, venue).run())
        await venue.is_asked.wait()
        for sid, (command, channel) in enumerate(zip(venue.commands, CHANNELS, strict=True), 1):
            venue.deliver({"type": "subscribed", "id": command["id"], "msg": {"channel": channel, "sid": sid}})
        levels = {"yes_dollars_fp": [["0.4700", "90.00"]], "no_dollars_fp": [["0.4900", "90.00"]]}
        venue.deliver(_frame("orderbook_snapshot", 1, {"market_ticker": TICKER, **levels}))
        venue.deliver(_delta(2))
        guest.tick = tick
        venue.deliver(_delta(3), tick)
        guest.order = order
        venue.deliver(_delta(4))
        running.cancel()
        await asyncio.wait({running})
    return tick, order


def _frame(kind: str, seq: int, msg: dict[str, Any]) -> dict[str, Any]:
    now_ms = time.time_ns() // 1_000_000
    return {"type": kind, "sid": CHANNELS.index(BOOK) + 1, "seq": seq, "sending_ts_ms": now_ms, "msg": msg}


def _delta(seq: int) -> dict[str, Any]:
    now_ms = time.time_ns() // 1_000_000
    change = {"price_dollars": "0.4500", "delta_fp": "1.00", "side": "yes", "ts_ms": now_ms}
    return _frame("orderbook_delta", seq, {"market_ticker": TICKER, **change})


def count_calls() -> tuple[Way, Way]:
    """The way of a steady book delta from its frame to `on_book`, and of an order from `self.buy` to its handle."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_count(Path(folder)))


def run() -> None:
    """Print the table, and every stop."""
    tick, order = count_calls()
    rows = {
        "frame to on_book": tick,
        "self.buy to its handle": order,
        "the same without risk/checks": order.without(CHECKS),
    }
    print(f"{'':30} {'calls':>5} {'files':>5} {'clock reads':>11}")
    for name, way in rows.items():
        print(f"{name:30} {len(way.stops):5} {way.files:5} {way.clock_reads:11}")
    for name, way in (("frame to on_book", tick), ("self.buy to its handle", order)):
        print(f"\n{name}")
        for number, stop in enumerate(way.stops, 1):
            print(f"{number:4} {stop.file:50} {stop.function}")
