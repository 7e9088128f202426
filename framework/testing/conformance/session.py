"""A session: a whole daemon on one venue account, as it trades, with a strategy that does what a case asks for."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

from framework.config.layers import load
from framework.config.resolve import Resolved, resolve
from framework.daemon import Daemon
from framework.domain.account_events import Fill, TradingState
from framework.domain.events import Event
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.intents import CancelAll, CancelOrder, NewOrder
from framework.domain.market_events import ConnectorStatus, TimerFired
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, Side
from framework.domain.rate_limits import RequestKind
from framework.domain.strategy import OrderHandle, Strategy
from framework.domain.terms import VenueTerms
from framework.domain.venue import Connector, Gateway, Publish
from framework.domain.verdicts import Verdict
from framework.ops.readiness import NotReadyKind
from framework.persistence.recovery import Records, RecordSettings, open_records
from framework.runtime.clock import SystemClock, system_rng
from framework.runtime.disk_writer import Durability
from framework.runtime.files import RealFiles
from framework.runtime.metrics import Metrics
from framework.state.accounts import Accounts
from framework.state.order_book import Book
from framework.testing.conformance.candidates import Candidate
from framework.testing.conformance.findings import expect

T = TypeVar("T")
E = TypeVar("E")

LOOK_S = 0.005
"""How often a condition is looked at: most are conclusions from many events, for which there is no one signal."""
WAIT_S_MAX = 15.0
"""A condition that has not come true after so many seconds has failed, unless a run says otherwise."""
ROOM_MIN = 5
"""So many orders must the rate limit have room for before a case begins: budgets may begin empty."""
TRADER = "trader"

CONFIGURATION_NAME = "session.toml"
CONFIGURATION = """
state_dir = {state_dir}
durability = "process-crash"
plugin_paths = {plugin_paths}
[http]
port = 0
[tape]
enabled = false
[kernel]
reconcile_grace_ms = 1000
[venues.{name}]
use = "{use}"
[venues.{name}.settings]
{settings}
[strategies.trader]
use = "framework.testing.conformance.session:Trader"
instruments = ["{name}:*"]
instruments_max = 2
trade_anything = true
[checks.trading_state]
use = "risk.trading_state:TradingStateCheck"
[checks.allow_list]
use = "risk.allow_list:AllowList"
[checks.allow_list.settings]
instruments = ["{name}:*"]
[checks.order_grid]
use = "risk.order_grid:OrderGrid"
[checks.rate_budget]
use = "risk.rate_budget:RateBudget"
"""

Wrap = Callable[[Connector], Connector]


class Trader(Strategy[None]):
    """Does in a hook what a case asks for, since orders can be placed in hooks only."""

    def __init__(self, name: str, settings: None, desk: Any) -> None:
        super().__init__(name, settings, desk)
        self.work: Callable[[], None] | None = None

    def on_timer(self, name: str) -> None:
        """Do the work that is asked for, once."""
        work, self.work = self.work, None
        if work is not None:
            work()


class RecordedConnector:
    """A connector whose events are kept, too. All else is the connector's own."""

    def __init__(self, connector: Connector, events: list[Event]) -> None:
        self._connector = connector
        self._events = events

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connector, name)

    async def start(self, publish: Publish, /) -> None:
        """Start the connector, and keep each event before the kernel has it. Raises what the connector raises."""

        def keep(event: Event, now_ns: int = 0, monotonic_ns: int = 0, /) -> None:
            self._events.append(event)
            publish(event, now_ns, monotonic_ns)

        await self._connector.start(keep)


class VenueSession:
    """One running daemon. `start`, then `stop` or `crash`.

    `wait_s_max` is how long a condition may take; `more` is further text of the configuration. `events` are what its
    connector published, oldest first; `placed` the ids of the orders that its trader placed.
    """

    def __init__(
        self,
        venue: Candidate,
        directory: Path,
        settings: Mapping[str, Any],
        wrap: Wrap,
        *,
        wait_s_max: float = WAIT_S_MAX,
        more: str = "",
    ) -> None:
        self.venue = venue.name
        self.wait_s_max = wait_s_max
        self.directory = directory
        self.events: list[Event] = []
        self._traded: InstrumentId | None = None
        self.placed: list[str] = []
        self._connectors: list[Connector] = []
        self._clock = SystemClock()
        resolved = _resolved(venue, directory, settings, lambda made: self._recorded(wrap(made)), more)
        self._records = _open(directory / "state", self._clock)
        self.daemon = Daemon(resolved, records=self._records, clock=self._clock, metrics=Metrics())
        self._running: asyncio.Task[int] | None = None

    @property
    def connector(self) -> Connector:
        """The connector, as the daemon uses it. Raises `AssertionError` before `start`."""
        expect(self._connectors, "the session has not begun")
        return self._connectors[0]

    @property
    def gateway(self) -> Gateway:
        """The connector's way out."""
        return self.connector.gateway

    async def start(self) -> None:
        """Start everything. Ready it is later: `until_ready`."""
        await self.daemon.connect(live=False)
        self._running = asyncio.create_task(self.daemon.supervisor.run())

    async def until_ready(self) -> None:
        """Return when the daemon is ready to trade and its budget allows it. Raises `AssertionError` when it never
        is."""
        await self.until(lambda: not self.daemon.not_ready(), lambda: f"not ready: {self.daemon.not_ready()}")
        await self.until(lambda: self.room() >= ROOM_MIN, lambda: f"the rate limit leaves room for {self.room()}")

    def reconcile(self) -> None:
        """Have the daemon compare with the venue now, as it does when the streams come up."""
        now_ns = self._clock.now_ns()
        self.daemon.kernel.publish(ConnectorStatus(self.venue, is_up=True, reason="asked", ts_recv=now_ns))

    async def stop(self) -> int:
        """Stop as on a signal: its orders are cancelled. The exit code."""
        self.daemon.supervisor.request_stop("the case is over")
        code = await self._running if self._running is not None else 0
        await self._close()
        return code

    async def crash(self) -> None:
        """End without a word: nothing is cancelled, nothing is compared, requests under way are cut."""
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
        await self._close()

    @property
    def accounts(self) -> Accounts:
        """What the daemon knows of orders and money."""
        return self._records.accounts

    @property
    def instrument(self) -> Instrument:
        """The instrument that the case trades, as it is now: the first that the trader had."""
        self._traded = self._traded or self._trader.desk.instruments[0]
        return self.accounts.instruments[self._traded]

    @property
    def book(self) -> Book:
        """The book of the instrument that cases trade."""
        return self.daemon.kernel.dependencies.books.of(self.instrument.id)

    @property
    def orders(self) -> tuple[Order, ...]:
        """The trader's orders that have not ended."""
        return self.accounts.orders.open(strategy=TRADER)

    @property
    def trouble(self) -> list[str]:
        """Why the venue can't be used now, as an operator sees it: `stops`, and why it is down."""
        return self.stops + [one.reason for one in self.daemon.status.read().venues]

    @property
    def stops(self) -> list[str]:
        """What keeps orders from leaving until somebody sees to it: why the daemon stops, why the venue can't be used,
        and what is halted."""
        supervisor, rows = self.daemon.supervisor, self.accounts.trading.rows()
        stopping = [supervisor.stop_reason] if supervisor.is_stopping else []
        unusable = [one.text for one in self.daemon.not_ready() if one.kind is NotReadyKind.VENUE_UNUSABLE]
        return stopping + unusable + [row.reason for row in rows if row.state is not TradingState.ACTIVE]

    @property
    def terms(self) -> VenueTerms:
        """What the venue offers, as its connector has declared."""
        return self._trader.desk.terms(self.venue)

    @property
    def placed_orders(self) -> list[Order]:
        """The orders that the trader has placed, ended ones included."""
        return [one for name in self.placed if (one := self.accounts.orders.get(name)) is not None]

    @property
    def booked_fills(self) -> list[Fill]:
        """The fills that are booked for the orders that the trader has placed."""
        fills = self.accounts.fills
        return [one.fill for name in self.placed for one in fills.of_order(name) if not one.is_voided]

    def seen(self, kind: type[E], after: int = 0) -> list[E]:
        """The connector's events of a kind, from number `after` on."""
        return [event for event in self.events[after:] if isinstance(event, kind)]

    def fills(self, handle: OrderHandle) -> list[Fill]:
        """The fills of an order that the connector published, as often as it did."""
        names = {handle.client_order_id, self.order(handle).venue_order_id} - {""}
        return [one for one in self.seen(Fill) if one.client_order_id in names or one.venue_order_id in names]

    def order(self, handle: OrderHandle) -> Order:
        """What the daemon knows of an order. Raises `AssertionError` for one that it does not know."""
        found = self.accounts.orders.get(handle.client_order_id)
        expect(found is not None, f"the order {handle.client_order_id} is not known")
        return cast(Order, found)

    def do(self, function: Callable[[], T]) -> T:
        """Have the trader call a function in a hook; its result. Raises `AssertionError` when it fails there."""
        results: list[T] = []
        self._trader.work = lambda: results.append(function())
        self.daemon.kernel.publish(TimerFired(TRADER, "work", self._clock.now_ns()))
        expect(results, f"the hook failed: {self.daemon.kernel.hosts[TRADER]}")
        return results[0]

    def ask(self, side: Side, price: int, size: int, **terms: Any) -> OrderHandle:
        """Have the trader ask for an order, which the gate may refuse. `terms` are further fields of `NewOrder`."""
        instrument = terms.pop("instrument", None) or self.instrument.id
        intent = NewOrder(
            strategy=TRADER, instrument=instrument, side=side, price=Price(price), size=Size(size), **terms
        )
        desk = self._trader.desk
        handle = OrderHandle(self.do(lambda: desk.submit(intent)), TRADER, desk)
        if handle.is_approved:
            self.placed.append(handle.client_order_id)
        return handle

    def place(self, side: Side, price: int, size: int, **terms: Any) -> OrderHandle:
        """Have the trader place an order. Raises `AssertionError` when the gate refuses it."""
        handle = self.ask(side, price, size, **terms)
        expect(handle.is_approved, f"refused before the venue: {handle.refusal}")
        return handle

    def cancel_everything(self) -> Verdict:
        """Have everything of the account cancelled at once, as far as the venue can; the gate's verdict."""
        return self.do(lambda: self.daemon.kernel.submit(CancelAll(strategy=TRADER, venue=self.venue)))

    def cancel(self, client_order_id: str) -> None:
        """Have the trader cancel one of its orders."""
        self.do(lambda: self._trader.desk.submit(CancelOrder(strategy=TRADER, client_order_id=client_order_id)))

    def room(self) -> int:
        """How many new orders the venue's rate limit leaves room for now."""
        budget = self.do(lambda: self._trader.desk.budget(self.venue))
        return 0 if budget is None else budget.available(RequestKind.NEW, TRADER)

    async def until(self, condition: Callable[[], object], what: str | Callable[[], str]) -> None:
        """Wait for a condition. Raises `AssertionError` saying `what` has not come true in time."""
        try:
            async with asyncio.timeout(self.wait_s_max):
                while not condition():  # noqa: ASYNC110 - see LOOK_S
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise AssertionError(f"within {self.wait_s_max:g} s: {what if isinstance(what, str) else what()}") from None

    async def until_status(self, handle: OrderHandle, *statuses: Any) -> Order:
        """Wait until an order has one of the statuses; the order. Raises `AssertionError` when it never has."""
        wanted = ", ".join(status.value for status in statuses)
        await self.until(
            lambda: self.order(handle).status in statuses, lambda: f"{self.order(handle)} was to be {wanted}"
        )
        return self.order(handle)

    @property
    def _trader(self) -> Trader:
        expect(TRADER in self.daemon.kernel.hosts, f"the trader has not begun: {self.daemon.not_ready()}")
        return cast(Trader, self.daemon.kernel.hosts[TRADER].strategy)

    def _recorded(self, connector: Connector) -> Connector:
        self._connectors.append(connector)
        return cast(Connector, RecordedConnector(connector, self.events))

    async def _close(self) -> None:
        await self.daemon.close()
        self._records.close()


def _open(directory: Path, clock: SystemClock) -> Records:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = RecordSettings(
        directory=directory, durability=Durability.PROCESS_CRASH, tape=None, version="conformance", config_hash=""
    )
    return open_records(RealFiles(), settings, clock=clock, rng=system_rng(), observe_sync_ns=lambda _: None)


def _resolved(venue: Candidate, directory: Path, settings: Mapping[str, Any], wrap: Wrap, more: str) -> Resolved:
    file = directory / CONFIGURATION_NAME
    text = CONFIGURATION.format(
        state_dir=json.dumps(str(directory / "state")),
        plugin_paths=json.dumps([str(path) for path in venue.plugin_paths]),
        name=venue.name,
        use=venue.use,
        settings="\n".join(f"{name} = {json.dumps(value)}" for name, value in settings.items()),
    )
    file.write_text(text + more, encoding="utf-8")
    resolved = resolve(load([file], environ={}))
    (row,) = resolved.venues
    create = row.plugin.create

    @functools.wraps(create)  # the daemon asks what its factory takes: a turn in the rate budget, a proxy
    def make(*args: Any, **kwargs: Any) -> Connector:
        return wrap(create(*args, **kwargs))

    made = dataclasses.replace(row, plugin=dataclasses.replace(row.plugin, create=make))
    return dataclasses.replace(resolved, venues=(made,))
