"""A sandbox on true time, and a connector that runs against it on a machine whose clocks are wrong."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Set
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from connectors.client.connector import VenueConnector
from connectors.transport.ports import HttpRequest
from framework.domain.account_events import InstrumentDefined, OrderReport, OrderSnapshot, ReportKind
from framework.domain.events import Event
from framework.domain.instruments import Instrument
from framework.domain.intents import CancelOrder, Intent, NewOrder
from framework.domain.market_events import ConnectorStatus, VenueClock
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, Side
from framework.domain.rate_limits import RequestKind
from framework.domain.verdicts import Approved, Signed
from tests.proofs.clock.skewed import MS, SkewedClock, Truth
from tests.proofs.clock.venues import Row, as_members

INSTANCE = "tgc10c00"
TOLD_SLACK_NS = 50 * MS
"""Between the moment for which an offset is told and the one at which it is compared."""
REFUSALS = (ReportKind.REJECTED, ReportKind.CANCEL_REFUSED)
_STAMP = re.compile(r"[?&]timestamp=(\d+)")


class Stand:
    """A sandbox on true time."""

    def __init__(self, row: Row, directory: Path, truth: Truth, seed: int) -> None:
        self.row = row
        self.truth = truth
        self.sandbox = row.open(directory, seed, truth.wall_ns)
        self.ready: Mapping[str, Any] = {}

    @property
    def refused(self) -> int:
        """Signatures refused so far."""
        return int(self.sandbox.venue.served.observed.refused_signatures)

    @property
    def shown_ms(self) -> int:
        """What the venue's own clock shows."""
        return int(self.sandbox.venue.served.clock.shown_ns()) // MS

    def accepted(self) -> list[str]:
        """Every order of ours that was ever accepted: our id, or the venue's where it keeps none of ours."""
        served = self.sandbox.venue.served
        orders = [one for account in served.member_ids for one in served.exchange.ledger.orders_of(account)]
        return [order.client_order_id or order.order_id for order in orders]

    def step(self, by_ns: int) -> None:
        """The venue's own clock is set, and stays so."""
        served = self.sandbox.venue.served
        served.clock.skew_ns += by_ns
        served.faults.clear()
        served.faults.add({"kind": "clock_skew", "skew_ms": served.clock.skew_ns // MS, "count": -1})


@asynccontextmanager
async def stand(row: Row, directory: Path, seed: int) -> AsyncIterator[Stand]:
    """A running sandbox."""
    one = Stand(row, directory, Truth(), seed)
    one.ready = as_members(await one.sandbox.start())
    try:
        yield one
    finally:
        await one.sandbox.stop()


class Left(NamedTuple):
    """An order that a run leaves behind: as known before any answer, its id at the venue, and the true time of it."""

    order: Order
    venue_order_id: str
    wall_ns: int


class Run:
    """One run of a connector, from start to close, on a machine whose clocks are wrong."""

    def __init__(self, venue: Stand, clock: SkewedClock, rng: random.Random) -> None:
        row = venue.row
        values = {"markets": ("*",), "connections_max": 1} | row.settings(venue.ready)
        self.clock = clock
        self.connector: VenueConnector = row.plugin.create("venue", row.plugin.Settings(**values), clock=clock, rng=rng)
        self.events: list[Event] = []
        self.told_wrongly = 0
        self.truth = venue.truth
        self._news = asyncio.Event()

    async def start(self) -> None:
        """See `VenueConnector.start`."""
        await self.connector.start(self._publish)

    async def stream(self, timeout_s: float = 10.0) -> None:
        """Run until all is followed, and the venue's clock was told."""
        wanted = (lambda one: isinstance(one, ConnectorStatus) and one.is_up, lambda one: isinstance(one, VenueClock))
        task = asyncio.create_task(self.connector.run())
        try:
            async with asyncio.timeout(timeout_s):
                while not all(any(map(is_it, self.events)) for is_it in wanted):
                    self._news.clear()
                    await self._news.wait()
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def trade(self, name: str) -> Left:
        """Place an order and cancel it. Raises what the gateway raises, and `LookupError` for a refusal."""
        gateway, intent = self.connector.gateway, self._bid()
        order = self._order(intent, name)
        signed = gateway.sign(_approved(intent, name, self.clock), None)
        order.sent_as, wall_ns = signed.digest, self.truth.wall_ns()
        placed = self._order(intent, name, venue_order_id=(await self._send(signed)).venue_order_id)
        cancel = _approved(CancelOrder(strategy="maker", client_order_id=name), name, self.clock)
        await self._send(gateway.sign(cancel, placed))
        return Left(order, placed.venue_order_id, wall_ns)

    async def burst(self, names: Iterable[str]) -> list[Left]:
        """Trade under all these names at once: several requests have one millisecond. Raises like `trade`."""
        return await asyncio.gather(*map(self.trade, names))

    async def read(self) -> None:
        """A signed read."""
        await self.connector._parts.read_balances()

    async def renew_clock(self) -> None:
        """What a running connector does every five minutes."""
        await self.connector._renew_clock()

    async def finds(self, left: Left, claimed: Set[str]) -> bool:
        """Whether a look-up finds an order of which no answer is known, while others are `claimed`."""
        found = await self.connector.gateway.find_order(left.order, is_claimed=claimed.__contains__)
        return found is not None and found.venue_order_id == left.venue_order_id

    @property
    def signed_ms(self) -> int:
        """The timestamp that an order signed now carries."""
        wire = self.connector.gateway.sign(_approved(self._bid(), "unsent", self.clock), None).wire
        assert isinstance(wire, HttpRequest)
        found = _STAMP.search(wire.target)
        stamps = [value for name, value in wire.headers if name.lower().endswith("-timestamp")]
        return int(found[1] if found else stamps[0])

    @property
    def instrument(self) -> Instrument:
        """Some market."""
        return next(event.instrument for event in self.events if isinstance(event, InstrumentDefined))

    def _bid(self) -> NewOrder:
        return NewOrder(
            strategy="maker", instrument=self.instrument.id, side=Side.BUY, price=Price(5_000), size=Size(1_000)
        )

    def _order(self, intent: NewOrder, name: str, *, venue_order_id: str = "") -> Order:
        """An order as placed here, recorded at what the wall clock shows."""
        return Order(
            client_order_id=name,
            venue="venue",
            strategy="maker",
            instrument=intent.instrument,
            side=intent.side,
            price=intent.price,
            size=intent.size,
            venue_order_id=venue_order_id,
            created_ns=self.clock.now_ns(),
        )

    async def _send(self, signed: Signed) -> OrderReport | OrderSnapshot:
        return _report(await self.connector.gateway.send(signed))

    def _publish(self, event: Event, _now_ns: int = 0, _monotonic_ns: int = 0, /) -> None:
        self.events.append(event)
        if isinstance(event, VenueClock):
            error_ns = abs(self.clock.now_ns() + event.offset_ns - self.truth.wall_ns())
            self.told_wrongly += error_ns > event.uncertainty_ns + TOLD_SLACK_NS
        self._news.set()


def _approved(intent: Intent, name: str, clock: SkewedClock) -> Approved:
    kind = RequestKind.NEW if isinstance(intent, NewOrder) else RequestKind.CANCEL
    return Approved(intent=intent, venue="venue", client_order_id=name, request_kind=kind, ts_ns=clock.now_ns())


def _report(events: Iterable[Event]) -> OrderReport | OrderSnapshot:
    """What an answer says of an order. Raises `LookupError` when it is a refusal, or nothing."""
    found = [event for event in events if isinstance(event, (OrderReport, OrderSnapshot))]
    if not found or any(isinstance(one, OrderReport) and one.kind in REFUSALS for one in found):
        raise LookupError(f"an order was refused, or nothing is said of it: {found}")
    return found[0]
