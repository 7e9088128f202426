"""A sandbox on true time, and a connector that runs against it on a machine whose clocks are wrong."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from connectors.kalshi.connector import make_connector
from connectors.kalshi.sandbox.server import KalshiSandbox, KalshiSandboxInfo, SandboxOptions
from connectors.kalshi.settings import KalshiSettings
from connectors.transport.ports import HttpRequest
from framework.domain.account_events import InstrumentDefined, OrderReport, ReportKind
from framework.domain.events import Event
from framework.domain.instruments import Instrument
from framework.domain.intents import CancelOrder, Intent, NewOrder
from framework.domain.market_events import ConnectorStatus
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, Side
from framework.domain.rate_limits import RequestKind
from framework.domain.venue import nothing_claimed
from framework.domain.verdicts import Approved
from tests.proofs.clock.skewed import MS, SkewedClock, Truth

INSTANCE = "tgc10c00"


class Stand:
    """A sandbox on true time."""

    def __init__(self, directory: Path, truth: Truth, seed: int) -> None:
        options = SandboxOptions(directory=directory, seed=seed, markets=1, speed=0, tier="prestige")
        self.truth = truth
        self.sandbox = KalshiSandbox(options, now_ns=truth.wall_ns)
        self.info: KalshiSandboxInfo

    @property
    def refused(self) -> int:
        """Signatures refused so far."""
        return self.sandbox.venue.keys.refused_signatures

    def accepted(self) -> list[str]:
        """Client order ids of every order that was ever accepted of ours."""
        orders = self.sandbox.venue.exchange.ledger.orders.values()
        return [order.client_order_id for order in orders if order.client_order_id.startswith(INSTANCE)]

    def step(self, by_ns: int) -> None:
        """The venue's own clock is set, and stays so."""
        venue = self.sandbox.venue
        venue.clock.skew_ns += by_ns
        venue.faults.clear()
        venue.faults.add({"kind": "clock_skew", "skew_ms": venue.clock.skew_ns // MS, "count": -1})


@asynccontextmanager
async def stand(directory: Path, seed: int) -> AsyncIterator[Stand]:
    """A running sandbox."""
    one = Stand(directory, Truth(), seed)
    one.info = await one.sandbox.start()
    try:
        yield one
    finally:
        await one.sandbox.stop()


class Run:
    """One run of a connector, from start to close, on a machine whose clocks are wrong."""

    def __init__(self, info: KalshiSandboxInfo, clock: SkewedClock, rng: random.Random) -> None:
        settings = KalshiSettings(
            rest_url=info.rest_url,
            ws_url=info.ws_url,
            key_id=info.ed25519_key_id,
            private_key_path=Path(info.ed25519_private_key_path),
            markets=("series:KXTIDE",),
            tier="prestige",
        )
        self.clock = clock
        self.connector = make_connector("kalshi", settings, clock=clock, rng=rng)
        self.events: list[Event] = []
        self._news = asyncio.Event()

    async def start(self) -> None:
        """See `VenueConnector.start`."""
        await self.connector.start(self._publish)

    async def stream(self, timeout_s: float = 10.0) -> None:
        """Stream until own orders and fills are followed."""
        task = asyncio.create_task(self.connector.run())
        try:
            async with asyncio.timeout(timeout_s):
                while not any(isinstance(event, ConnectorStatus) and event.is_up for event in self.events):
                    self._news.clear()
                    await self._news.wait()
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def trade(self, name: str) -> None:
        """Place an order and cancel it. Raises what the gateway raises, and `LookupError` for a refusal."""
        gateway = self.connector.gateway
        intent = self._bid()
        placed = await gateway.send(gateway.sign(_approved(intent, name, self.clock), None))
        order = self.order(name, venue_order_id=_report(placed, ReportKind.ACCEPTED).venue_order_id)
        cancel = _approved(CancelOrder(strategy="maker", client_order_id=name), name, self.clock)
        _report(await gateway.send(gateway.sign(cancel, order)), ReportKind.CANCELLED)

    async def read(self) -> None:
        """A signed read."""
        await self.connector.gateway.positions()

    async def finds(self, order: Order) -> bool:
        """Whether a look-up finds an order of which only our own id is known."""
        return await self.connector.gateway.find_order(order, is_claimed=nothing_claimed) is not None

    def order(self, name: str, *, venue_order_id: str = "") -> Order:
        """An order as placed here, recorded at what the wall clock shows."""
        intent = self._bid()
        return Order(
            client_order_id=name,
            venue="kalshi",
            strategy="maker",
            instrument=intent.instrument,
            side=intent.side,
            price=intent.price,
            size=intent.size,
            venue_order_id=venue_order_id,
            created_ns=self.clock.now_ns(),
        )

    @property
    def signed_ms(self) -> int:
        """The timestamp that an order signed now carries."""
        wire = self.connector.gateway.sign(_approved(self._bid(), "unsent", self.clock), None).wire
        assert isinstance(wire, HttpRequest)
        return int(dict(wire.headers)["KALSHI-ACCESS-TIMESTAMP"])

    @property
    def instrument(self) -> Instrument:
        """Some market."""
        return next(event.instrument for event in self.events if isinstance(event, InstrumentDefined))

    def _bid(self) -> NewOrder:
        return NewOrder(
            strategy="maker", instrument=self.instrument.id, side=Side.BUY, price=Price(100), size=Size(100)
        )

    def _publish(self, event: Event, _now_ns: int = 0, _monotonic_ns: int = 0, /) -> None:
        self.events.append(event)
        self._news.set()


def _approved(intent: Intent, name: str, clock: SkewedClock) -> Approved:
    kind = RequestKind.NEW if isinstance(intent, NewOrder) else RequestKind.CANCEL
    return Approved(intent=intent, venue="kalshi", client_order_id=name, request_kind=kind, ts_ns=clock.now_ns())


def _report(events: Iterable[Event], kind: ReportKind) -> OrderReport:
    for event in events:
        if isinstance(event, OrderReport) and event.kind is kind:
            return event
    raise LookupError(f"{kind.value} was expected: {tuple(events)}")
