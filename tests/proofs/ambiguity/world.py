"""A whole daemon for one cell of the ambiguity proof: real connector, kernel, dispatcher, reconciler and journal,
against a venue that stands behind a front."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from framework.config.layers import load
from framework.config.resolve import Resolved, resolve
from framework.daemon import Daemon
from framework.domain.market_events import TimerFired
from framework.domain.orders import Order, OrderStatus
from framework.domain.rate_limits import RequestKind
from framework.domain.strategy import OrderHandle, Strategy
from framework.domain.venue import Connector
from framework.persistence.journal.records import Record
from framework.persistence.journal.scan import read_entries
from framework.persistence.recovery import Records, RecordSettings, open_records
from framework.runtime.clock import SystemClock
from framework.runtime.disk_writer import Durability
from framework.runtime.files import RealFiles
from framework.runtime.metrics import Metrics
from framework.state.accounts import Accounts
from tests.proofs.ambiguity.front import Front
from tests.proofs.ambiguity.venues import Pace, Truth, VenueUnderTest

READY_S = 60.0
LOOK_S = 0.01
IN_DOUBT = frozenset(
    {
        OrderStatus.RECORDED,
        OrderStatus.SENT,
        OrderStatus.UNKNOWN,
        OrderStatus.CANCEL_REQUESTED,
        OrderStatus.AMEND_REQUESTED,
    }
)
STATES = {
    OrderStatus.WORKING: "open",
    OrderStatus.PARTIALLY_FILLED: "open",
    OrderStatus.CANCELLED: "cancelled",
    OrderStatus.EXPIRED: "cancelled",
    OrderStatus.FILLED: "filled",
}

CONFIGURATION = """
state_dir = {state_dir}
durability = "process-crash"
[http]
port = 0
[tape]
enabled = false
[venues.{name}]
use = "{use}"
[venues.{name}.settings]
{settings}
[strategies.puppet]
use = "tests.proofs.ambiguity.world:Puppet"
instruments = ["{name}:*"]
instruments_max = 1
[[checks]]
use = "risk.trading_state:TradingStateCheck"
[[checks]]
use = "risk.order_grid:OrderGrid"
[[checks]]
use = "risk.max_position:MaxPosition"
[checks.settings]
max_position = "1000"
[[checks]]
use = "risk.rate_budget:RateBudget"
"""


class Puppet(Strategy[None]):
    """Does in a hook what the script asks for."""

    def __init__(self, name: str, settings: None, desk: Any) -> None:
        super().__init__(name, settings, desk)
        self.chore: Callable[[], None] = lambda: None
        self.failure: AssertionError | None = None

    def on_timer(self, name: str) -> None:
        try:
            self.chore()
        except AssertionError as e:
            self.failure = e


class Wish(NamedTuple):
    """An order that was asked for: its size at first and at most, and whether it is to end."""

    handle: OrderHandle
    size: int
    size_max: int
    is_ending: bool = False


Wrap = Callable[[Connector], Connector]


class World:
    """One daemon against one venue. `open_world` makes it and sees to its end."""

    def __init__(self, venue: VenueUnderTest, front: Front, daemon: Daemon, records: Records, directory: Path) -> None:
        self.venue = venue
        self.front = front
        self.daemon = daemon
        self.wishes: dict[str, Wish] = {}
        self.under_reserved: list[str] = []
        self.doubts_sampled = 0
        self._records = records
        self._directory = directory

    @property
    def accounts(self) -> Accounts:
        """What the daemon knows."""
        return self._records.accounts

    @property
    def puppet(self) -> Puppet:
        """The strategy."""
        strategy = self.daemon.kernel.hosts["puppet"].strategy
        assert isinstance(strategy, Puppet)
        return strategy

    def do(self, chore: Callable[[], None]) -> None:
        """Have the strategy do something in a hook, as it must."""
        self.puppet.chore = chore
        self.daemon.kernel.publish(TimerFired("puppet", "chore", SystemClock().now_ns()))
        self.puppet.chore = lambda: None
        if self.puppet.failure is not None:
            raise self.puppet.failure

    def room(self) -> int:
        """How many new orders the rate budget would let pass now."""
        found: list[int] = []
        desk = self.puppet.desk

        def look() -> None:
            budget = desk.budget(self.venue.name)
            found.append(budget.available(RequestKind.NEW, self.puppet.name) if budget is not None else 0)

        self.do(look)
        return found[0]

    def order(self, name: str) -> Order:
        """What the daemon knows of an order."""
        order = self.accounts.orders.get(name)
        assert order is not None, name
        return order

    def truth_of(self, name: str) -> Truth | None:
        """What the venue has under this id of ours."""
        return next((order for order in self.venue.orders() if order.client_order_id == name), None)

    def disagreement(self) -> str:
        """The first point where the daemon is in doubt or off the venue's truth; empty when there is none."""
        for order in self.accounts.orders.open():
            if order.client_order_id not in self.wishes:
                return f"{order.client_order_id} was never asked for"
        for name, wish in self.wishes.items():
            if text := _difference(self.order(name), self.truth_of(name), is_ending=wish.is_ending):
                return f"{name}: {text}"
        if missing := self.accounts.orders.awaiting_fills():
            return f"{missing[0].client_order_id}: fills are missing"
        instrument = self.puppet.desk.instruments[0]
        own, real = self.accounts.positions.account(instrument).size, self.venue.net(self.symbol)
        return f"position is {own}, really {real}" if own != real else ""

    @property
    def symbol(self) -> str:
        """The venue's name of the instrument that is traded."""
        desk = self.puppet.desk
        return desk.instrument(desk.instruments[0]).symbol

    def records(self) -> list[Record]:
        """The journal as it is in the files."""
        return [entry.record for entry in read_entries(RealFiles(), self._directory / "journal")]

    async def sample(self) -> None:
        """Compare what is reserved with what may really happen, again and again until cancelled."""
        while True:
            self._sample()
            await asyncio.sleep(LOOK_S)

    def _sample(self) -> None:
        exposure = self.accounts.exposure(self.puppet.desk.instruments[0])
        ours = exposure.position + exposure.open_buy
        real = self.venue.net(self.symbol) + sum(
            order.size - order.filled for order in self.venue.orders() if order.state == "open"
        )
        in_doubt = {name: self.order(name) for name in self.wishes if self.order(name).status in IN_DOUBT}
        self.doubts_sampled += bool(in_doubt)
        reserved = sum(self._size_worst(order) - order.filled for order in in_doubt.values())
        if ours < real:
            self.under_reserved.append(f"at most {ours} is counted with, {real} may really come")
        if exposure.open_buy < reserved:
            self.under_reserved.append(f"{exposure.open_buy} is reserved for {reserved} in doubt: {list(in_doubt)}")

    def _size_worst(self, order: Order) -> int:
        wish = self.wishes[order.client_order_id]
        return wish.size_max if order.status is OrderStatus.AMEND_REQUESTED else wish.size


def _difference(order: Order, real: Truth | None, *, is_ending: bool) -> str:
    if order.status in IN_DOUBT:
        return f"still {order.status.value}"
    if real is None:
        return "" if order.status is OrderStatus.REJECTED else f"{order.status.value}, but the venue never had it"
    if STATES.get(order.status) != real.state:
        return f"{order.status.value}, really {real.state}"
    if order.filled != real.filled:
        return f"filled {order.filled}, really {real.filled}"
    if is_ending and order.is_open:
        return "open, though it is to end"
    if order.is_open and (order.price, order.size) != (real.price, real.size):
        return f"{order.size} at {order.price}, really {real.size} at {real.price}"
    return ""


@asynccontextmanager
async def open_world(
    venue: VenueUnderTest, directory: Path, *, pace: Pace, seed: int, wrap: Wrap
) -> AsyncIterator[World]:
    """Start the venue, the front and the daemon, and hand them over when the daemon is ready to trade."""
    async with AsyncExitStack() as stack:
        directory.mkdir(mode=0o700)
        await venue.start(directory / "venue", pace)
        stack.push_async_callback(venue.stop)
        front = Front(venue.port)
        await front.start()
        stack.push_async_callback(front.close)
        resolved = _resolved(venue, directory, venue.settings(front.port, pace), wrap=wrap)
        records = open_records(
            RealFiles(),
            RecordSettings(
                directory=directory / "state",
                durability=Durability.PROCESS_CRASH,
                tape=None,
                version="proof",
                config_hash="proof",
            ),
            clock=SystemClock(),
            rng=random.Random(seed),
            observe_sync_ns=lambda _: None,
        )
        stack.callback(records.close)
        daemon = Daemon(resolved, records=records, clock=SystemClock(), metrics=Metrics())
        stack.push_async_callback(daemon.close)
        await daemon.connect(live=False)
        running = asyncio.create_task(daemon.supervisor.run())
        stack.push_async_callback(_stop, daemon, running)
        await _until_ready(daemon)
        yield World(venue, front, daemon, records, directory / "state")


async def _until_ready(daemon: Daemon) -> None:
    try:
        async with asyncio.timeout(READY_S):
            while daemon.not_ready():  # noqa: ASYNC110 - readiness is a conclusion from many parts
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise AssertionError(f"the daemon is not ready after {READY_S:g} s: {daemon.not_ready()}") from None


async def _stop(daemon: Daemon, running: asyncio.Task[int]) -> None:
    daemon.supervisor.request_stop("the cell is over")
    await running


def _resolved(venue: VenueUnderTest, directory: Path, settings: dict[str, object], *, wrap: Wrap) -> Resolved:
    (directory / "state").mkdir(mode=0o700)
    file = directory / "proof.toml"
    file.write_text(
        CONFIGURATION.format(
            state_dir=json.dumps(str(directory / "state")),
            name=venue.name,
            use=venue.use,
            settings="\n".join(f"{name} = {json.dumps(value)}" for name, value in settings.items()),
        )
    )
    resolved = resolve(load([file], environ={}))
    (row,) = resolved.venues

    @functools.wraps(row.plugin.create)
    def create(*args: Any, **kwargs: Any) -> Connector:
        return wrap(venue.listen(row.plugin.create(*args, **kwargs)))

    venues = (dataclasses.replace(row, plugin=dataclasses.replace(row.plugin, create=create)),)
    return dataclasses.replace(resolved, venues=venues)
