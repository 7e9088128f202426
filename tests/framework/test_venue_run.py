"""One venue that refuses its account, or can't be used as configured, stands down alone and comes up again."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import structlog

from framework.domain.account_events import Scope, TradingState, TradingStateChanged
from framework.domain.errors import AccountRefused, ConfigurationError, Fatal, Retryable
from framework.domain.instruments import InstrumentId
from framework.domain.market_events import BookDelta, ConnectorStatus
from framework.domain.numbers import Price
from framework.domain.orders import OrderStatus, Side
from framework.domain.venue import Publish
from framework.domain.verdicts import RefusalCode
from framework.execution.dispatcher import Dispatcher
from framework.execution.ports import DispatchDependencies
from framework.runtime.supervisor import Supervisor
from framework.shutdown import VenueConnection
from framework.venue_run import VenueRun, VenueRunPorts
from framework.venues import BookWatch
from tests.support.scripted_gateway import ScriptedGateway
from tests.support.world import MARKET, VENUE, Scribe, World, until

KEY = AccountRefused("HTTP 401: the key is refused")


class Streams:
    """A connector whose start and streams do as told. Implements `Connector`."""

    venue = VENUE
    account = "scripted"
    is_loopback = True
    assumptions = ()

    def __init__(self, world: World, gateway: ScriptedGateway) -> None:
        self.gateway = gateway
        self._world = world
        self.start_errors: deque[BaseException] = deque()
        self.starts = 0
        self.breaks: asyncio.Queue[BaseException] = asyncio.Queue()

    async def start(self, _publish: Publish, /) -> None:
        self.starts += 1
        if self.start_errors:
            raise self.start_errors.popleft()

    async def run(self) -> None:
        self._world.kernel.publish(ConnectorStatus(VENUE, True, "subscribed", 1))
        self._world.quote(40, 60)
        raise await self.breaks.get()

    def resync(self, _instrument: InstrumentId, /) -> None:
        """No book to get."""

    def reread(self, _instrument: InstrumentId, /) -> None:
        """No instrument to read."""

    async def close(self) -> None:
        """Nothing to close."""


class Rig:
    """One venue's run over the core of a test."""

    def __init__(self, world: World, *, is_only: bool = False) -> None:
        self.world = world
        self.connector = Streams(world, world.gateway)
        self.starting, self.trouble, self.unusable = {VENUE}, dict[str, str](), dict[str, str]()
        self.supervisor = Supervisor(clock=world.clock)
        dependencies: DispatchDependencies = world._dispatch_dependencies()
        refuse: Callable[[AccountRefused], None] = lambda error: self.run.refuse(error)  # noqa: E731
        dispatcher = Dispatcher(_replace(dependencies, refuse))
        watch = BookWatch(VENUE, world.core.books, lambda _: None, clock=world.clock, instruments={})
        ports = VenueRunPorts(
            kernel=world.kernel,
            clock=world.clock,
            supervisor=self.supervisor,
            watch=watch,
            starting=self.starting,
            trouble=self.trouble,
            unusable=self.unusable,
            is_only=is_only,
            retry_s=0.05,
        )
        self.run = VenueRun(VenueConnection(self.connector, dispatcher, world.reconciler), ports)
        self.task = asyncio.create_task(self.run.run())

    def is_up(self) -> bool:
        return VENUE not in self.starting and self.world.core.books.is_connected(VENUE)

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.supervisor.close()


def _replace(dependencies: DispatchDependencies, refuse: Callable[[AccountRefused], None]) -> DispatchDependencies:
    fields = {name: getattr(dependencies, name) for name in dependencies.__struct_fields__}
    return DispatchDependencies(**fields | {"on_account_refused": refuse})


@asynccontextmanager
async def running(world: World, *, is_only: bool = False) -> AsyncIterator[Rig]:
    rig = Rig(world, is_only=is_only)
    try:
        yield rig
    finally:
        await rig.close()


async def test_start_when_the_account_is_refused_then_only_this_venue_waits_and_says_why(world: World) -> None:
    with structlog.testing.capture_logs() as logged:
        async with running(world) as rig:
            rig.connector.start_errors.append(KEY)
            await until(lambda: VENUE in rig.unusable)
            assert not rig.is_up()
            assert rig.unusable[VENUE] == "it refuses the account: HTTP 401: the key is refused"
            await until(rig.is_up)
            assert (rig.unusable, rig.trouble, rig.connector.starts) == ({}, {}, 2)
    alarms = [line["what"] for line in logged if line["event"] == "alarm"]
    assert alarms == [
        f"venue {VENUE} trades no more: it refuses the account: HTTP 401: the key is refused; "
        "it is tried again each minute, the others go on"
    ]
    assert "venue is up again" in [line["event"] for line in logged]


@pytest.mark.parametrize("where", ["streams", "order", "cancel", "look-ups"])
async def test_venue_when_it_refuses_the_account_later_then_new_orders_are_refused_until_it_is_taken_again(
    world: World, scribe: Scribe, where: str
) -> None:
    async with running(world) as rig:
        await until(rig.is_up)
        resting = await world.working(scribe)
        if where == "streams":
            rig.connector.breaks.put_nowait(KEY)
        elif where == "look-ups":
            world.gateway.lookup_errors.append(KEY)
            world.reconciler.request()
        else:
            world.gateway.answers.append(KEY)
            late = world.buy(scribe) if where == "order" else world.do(scribe, resting.cancel)
        await until(lambda: VENUE in rig.unusable)
        if where == "order":
            assert world.order(late).status is OrderStatus.REJECTED, "a refused account proves that nothing was done"
        refused = world.buy(scribe).refusal
        assert refused is not None
        assert refused.code is RefusalCode.VENUE_DOWN
        assert world.order(resting).status.may_trade
        world.gateway.orders_there[resting.client_order_id] = world.listing(resting)
        await until(rig.is_up)
        if where == "cancel":
            await until(lambda: world.order(resting).status is OrderStatus.CANCELLED)
        assert world.buy(scribe).is_approved
        assert not rig.task.done()


async def test_venue_when_it_is_taken_again_then_what_an_operator_has_halted_stays_halted(world: World) -> None:
    async with running(world) as rig:
        await until(rig.is_up)
        halt = TradingStateChanged(scope=Scope.VENUE, target=VENUE, state=TradingState.HALTED, reason="r", ts_recv=1)
        world.kernel.publish(halt)
        rig.connector.breaks.put_nowait(KEY)
        await until(lambda: rig.connector.starts == 2 and rig.is_up())
        assert world.accounts.trading.is_set(Scope.VENUE, VENUE, TradingState.HALTED)


async def test_start_when_it_can_not_be_used_as_configured_then_it_is_tried_again_beside_other_venues(
    world: World,
) -> None:
    async with running(world) as rig:
        rig.connector.start_errors.append(ConfigurationError("markets: there is no KXNONE"))
        await until(lambda: VENUE in rig.unusable)
        assert rig.unusable[VENUE] == "it can't be used as it is configured: markets: there is no KXNONE"
        await until(rig.is_up)


async def test_start_when_the_only_venue_can_not_be_used_as_configured_then_the_daemon_ends(world: World) -> None:
    async with running(world, is_only=True) as rig:
        rig.connector.start_errors.append(ConfigurationError("markets: there is no KXNONE"))
        with pytest.raises(ConfigurationError, match="KXNONE"):
            await rig.task


async def test_venue_when_something_is_fatal_or_its_streams_end_then_the_daemon_ends(world: World) -> None:
    async with running(world) as rig:
        await until(rig.is_up)
        rig.connector.breaks.put_nowait(Fatal("a defect"))
        with pytest.raises(Fatal, match="a defect"):
            await rig.task


async def test_start_when_the_venue_does_not_answer_then_it_is_tried_again_soon(world: World) -> None:
    async with running(world) as rig:
        rig.connector.start_errors.append(Retryable("no route"))
        await until(rig.is_up)
        assert rig.connector.starts == 2
        assert rig.unusable == {}


@pytest.mark.parametrize("where", ["start", "streams"])
async def test_venue_when_its_connector_fails_then_it_stands_down_alone(world: World, where: str) -> None:
    async with running(world) as rig:
        if where == "start":
            rig.connector.start_errors.append(KeyError("price"))
        else:
            await until(rig.is_up)
            rig.connector.breaks.put_nowait(KeyError("price"))
        await until(lambda: VENUE in rig.unusable)
        assert re.fullmatch(r"its connector failed: KeyError: 'price' at .*:\d+", rig.unusable[VENUE])
        await until(rig.is_up)


async def test_venue_when_the_only_connector_fails_then_the_daemon_ends(world: World) -> None:
    async with running(world, is_only=True) as rig:
        rig.connector.start_errors.append(KeyError("price"))
        with pytest.raises(KeyError):
            await rig.task


async def test_kernel_when_a_step_fails_then_it_is_fatal_whoever_published(world: World) -> None:
    def fail(_status: ConnectorStatus) -> None:
        raise KeyError("half done")

    async with running(world) as rig:
        await until(rig.is_up)
        world.kernel.follow_connectors(fail)
        rig.connector.breaks.put_nowait(KEY)
        with pytest.raises(Fatal, match=r"the kernel failed in step \d+: KeyError: 'half done'"):
            await rig.task


async def test_venue_when_its_connector_publishes_a_quote_that_is_none_then_it_stands_down_alone(world: World) -> None:
    async with running(world) as rig:
        await until(rig.is_up)
        quote = BookDelta(MARKET, 1, 1, Side.BUY, Price(40), "5")  # type: ignore[arg-type]
        with pytest.raises(TypeError) as raised:
            world.kernel.publish(quote)
        rig.connector.breaks.put_nowait(raised.value)
        await until(lambda: VENUE in rig.unusable)
        book = world.books.get(MARKET)
        assert book is not None
        assert not book.is_fresh
        await until(rig.is_up)
        assert book.is_fresh
