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
from framework.domain.venue import KeyRights, Publish, Right, UnknownRights
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
        self.rights: KeyRights | UnknownRights = KeyRights(frozenset({Right.READ, Right.TRADE}), ("all",))
        self.key_errors: deque[BaseException] = deque()

    async def key_rights(self) -> KeyRights | UnknownRights:
        if self.key_errors:
            raise self.key_errors.popleft()
        return self.rights

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

    def __init__(self, world: World, *, is_only: bool = False, allow_withdraw_keys: bool = False) -> None:
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
            key_check_s=0.05,
            allow_withdraw_keys=allow_withdraw_keys,
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
async def running(world: World, **options: bool) -> AsyncIterator[Rig]:
    rig = Rig(world, **options)
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
        with pytest.raises(ConfigurationError, match=rf"^venues\.{VENUE}\.settings: markets: there is no KXNONE"):
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


WITHDRAWS = KeyRights(frozenset(Right), ("READ", "TRADE", "WITHDRAW"))
READS = KeyRights(frozenset({Right.READ}), ("READ",))


@pytest.mark.parametrize("rights", [WITHDRAWS, UnknownRights(("read", "trade", "withdraw"))])
async def test_key_when_it_can_withdraw_then_the_venue_is_not_used_until_it_can_not(
    world: World, rights: KeyRights | UnknownRights
) -> None:
    async with running(world) as rig:
        fit, rig.connector.rights = rig.connector.rights, rights
        await until(lambda: VENUE in rig.unusable)
        assert "its key may withdraw, its scopes are " in rig.unusable[VENUE]
        assert f"set allow_withdraw_keys = true in [venues.{VENUE}]" in rig.unusable[VENUE]
        assert not rig.is_up()
        rig.connector.rights = fit
        await until(rig.is_up)


async def test_key_when_it_can_withdraw_and_is_the_only_venue_s_then_the_daemon_ends(world: World) -> None:
    async with running(world, is_only=True) as rig:
        rig.connector.rights = WITHDRAWS
        with pytest.raises(ConfigurationError, match="its key may withdraw"):
            await rig.task


async def test_key_when_it_can_withdraw_and_that_is_allowed_then_it_trades_with_a_warning(
    world: World, scribe: Scribe
) -> None:
    with structlog.testing.capture_logs() as logged:
        async with running(world, allow_withdraw_keys=True) as rig:
            rig.connector.rights = WITHDRAWS
            await until(rig.is_up)
            assert world.buy(scribe).is_approved
    warnings = [line["note"] for line in logged if line["event"] == "key" and line["log_level"] == "warning"]
    assert warnings == ["the key may withdraw, its scopes are READ, TRADE, WITHDRAW: use one that can't"]
    assert [line["may"] for line in logged if "may" in line] == [["read", "trade", "withdraw"]]


async def test_key_when_it_may_only_read_then_orders_are_refused_here_until_it_may_trade(
    world: World, scribe: Scribe
) -> None:
    async with running(world) as rig:
        fit, rig.connector.rights = rig.connector.rights, READS
        await until(rig.is_up)
        refusal = world.buy(scribe).refusal
        assert refusal is not None
        assert (refusal.code, refusal.detail) == (
            RefusalCode.NOT_OFFERED,
            "why=the key of this account may not trade: data only; use another key",
        )
        assert world.gateway.sent == []
        rig.connector.rights = fit
        await until(lambda: world.buy(scribe).is_approved)


async def test_key_when_it_comes_to_withdraw_while_it_runs_then_the_next_look_stands_the_venue_down(
    world: World,
) -> None:
    async with running(world) as rig:
        await until(rig.is_up)
        rig.connector.rights = WITHDRAWS
        await until(lambda: VENUE in rig.unusable)
        assert not world.core.books.is_connected(VENUE)


@pytest.mark.parametrize("is_at_start", [True, False])
async def test_key_when_it_can_not_be_asked_for_a_while_then_the_venue_trades_and_is_asked_again(
    world: World, scribe: Scribe, is_at_start: bool
) -> None:
    with structlog.testing.capture_logs() as logged:
        async with running(world) as rig:
            if is_at_start:
                rig.connector.key_errors.append(Retryable("no route"))
            await until(rig.is_up)
            if not is_at_start:
                rig.connector.key_errors.append(Retryable("no route"))
            await until(lambda: not rig.connector.key_errors)
            assert world.buy(scribe).is_approved
            rig.connector.rights = READS
            await until(lambda: not world.buy(scribe).is_approved)
    (line,) = [line for line in logged if line["event"] == "what the key may do can't be asked now"]
    assert line["reason"] == "no route"


@pytest.mark.parametrize("is_loopback", [True, False])
async def test_key_when_the_venue_does_not_say_then_that_is_said_and_off_this_machine_it_is_a_warning(
    world: World, is_loopback: bool
) -> None:
    with structlog.testing.capture_logs() as logged:
        async with running(world) as rig:
            rig.connector.is_loopback, rig.connector.rights = is_loopback, UnknownRights()
            await until(rig.is_up)
    said = [line for line in logged if line["event"] == "key"]
    assert said[0]["may"] == "unknown"
    assert [line["note"].partition(":")[0] for line in said[1:]] == ["the venue does not say what the key may do"] * (
        not is_loopback
    )
