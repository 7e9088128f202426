"""What was approved is asked about again until its first byte leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from framework.domain.account_events import (
    FillVoided,
    InstrumentStatusChanged,
    ReportKind,
    Scope,
    ShutdownRequested,
    StrategyQuarantined,
    TradingState,
    TradingStateChanged,
)
from framework.domain.errors import OutcomeUnknown, Retryable
from framework.domain.instruments import InstrumentStatus
from framework.domain.market_events import BookStale, ConnectorStatus, RequestCompleted, RequestOutcome
from framework.domain.numbers import Price, Size
from framework.domain.orders import OrderStatus
from framework.domain.rate_limits import Cost, Pool, RateLimits, RequestKind
from framework.domain.strategy import OrderHandle
from framework.domain.verdicts import RefusalCode
from framework.engine.pending_cancels import PendingCancels
from framework.persistence.journal.restore import fold
from framework.runtime.files import RealFiles
from framework.runtime.kill_latch import KillLatch
from framework.state.accounts import Accounts
from risk.checks.allow_list import AllowList
from risk.checks.book_freshness import BookFreshness
from tests.framework.engine.test_kernel import report
from tests.framework.execution.test_dispatcher import outcomes, reports, slow_disk
from tests.support.state_records import MARKET, VENUE
from tests.support.world import MS, Dispatching, Scribe, World, settle, until

CHECKS = (("BookFreshness", BookFreshness(age_ms_max=1_000)), ("AllowList", AllowList(instruments=("*",))))
PLENTY = RateLimits(
    pools=(Pool("write", 1_000, 1_000),),
    costs=tuple(Cost(kind, "write", 10) for kind in (RequestKind.NEW, RequestKind.REDUCE, RequestKind.AMEND)),
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A core with the checks that are asked again, and a full budget."""
    world = World(tmp_path, checks=CHECKS)
    world.start(PLENTY)
    world.clock.advance(1_100 * MS)
    world.quote(40, 60)
    yield world
    world.close()


def set_state(world: World, state: TradingState, scope: Scope = Scope.GLOBAL, target: str = "") -> None:
    world.kernel.publish(TradingStateChanged(scope=scope, target=target, state=state, reason="test", ts_recv=1))


def reduce_all(world: World) -> None:
    set_state(world, TradingState.REDUCING)


def halt_venue(world: World) -> None:
    set_state(world, TradingState.HALTED, Scope.VENUE, VENUE)


def quarantine(world: World) -> None:
    world.kernel.publish(StrategyQuarantined("scribe", "test", 1))


def shut_down(world: World) -> None:
    world.kernel.publish(ShutdownRequested("test", 1))


def lose_a_change_of_the_book(world: World) -> None:
    world.kernel.publish(BookStale(MARKET, "gap", world.clock.now_ns()))


def let_the_book_grow_old(world: World) -> None:
    world.clock.advance(1_001 * MS)


def pause_the_market(world: World) -> None:
    world.kernel.publish(InstrumentStatusChanged(MARKET, InstrumentStatus.PAUSED, 1, 1))


def lose_the_venue(world: World) -> None:
    world.kernel.publish(ConnectorStatus(VENUE, False, "reset", 1))


def kill(world: World) -> None:
    """Another process sets the latch: the daemon has not looked for it yet."""
    KillLatch(world.directory).set("", by="operator", reason="test", now_ns=1)


def kill_the_venue(world: World) -> None:
    KillLatch(world.directory).set(VENUE, by="operator", reason="test", now_ns=1)


def jam(world: World) -> None:
    world.clock.advance(2_001 * MS)
    world.quote(40, 60)


CHANGES = {
    reduce_all: "only what reduces may leave since",
    halt_venue: "trading was halted before it left",
    quarantine: "cancelled before it left",
    shut_down: "cancelled before it left",
    lose_a_change_of_the_book: "the book is not fresh any more",
    let_the_book_grow_old: "the book is not fresh any more",
    pause_the_market: "the instrument is not open for trading any more",
    lose_the_venue: "the venue went down before it left",
    kill: "the kill latch is set",
    kill_the_venue: "the kill latch is set",
    jam: "past its deadline: approved 2001 ms ago, order_deadline_ms=2000",
}
changes = pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
Change = Callable[[World], None]


def assert_not_sent(world: World, handle: OrderHandle, change: Change) -> None:
    assert world.order(handle).reason.startswith(f"not_sent: {CHANGES[change]}")
    assert world.order(handle).status is OrderStatus.REJECTED
    assert world.gateway.sent == []
    assert outcomes(world) == [RequestOutcome.NOT_CHARGED]
    assert world.accounts.exposure(MARKET).open_buy == 0
    assert world.accounts.digest() == fold(RealFiles(), world.directory / "journal").digest()


@changes
async def test_order_when_something_changes_while_it_is_queued_then_it_does_not_leave_and_its_tokens_are_free(
    world: World, scribe: Scribe, change: Change
) -> None:
    handle = world.buy(scribe)
    change(world)

    async with Dispatching(world):
        await until(lambda: outcomes(world))

    assert_not_sent(world, handle, change)
    assert world.gateway.signed == []
    assert world.budgets[VENUE].tokens() == {"write": 1_000} or change is let_the_book_grow_old


@changes
async def test_order_when_something_changes_while_it_waits_for_the_disk_then_it_does_not_leave(
    world: World, scribe: Scribe, change: Change
) -> None:
    disk = slow_disk(world)
    async with Dispatching(world):
        handle = world.buy(scribe)
        await until(lambda: world.gateway.signed)
        change(world)
        await until(lambda: disk.release() or outcomes(world))
    disk.release()

    assert_not_sent(world, handle, change)


@changes
async def test_order_when_something_changes_while_it_waits_for_a_connection_then_it_does_not_leave(
    world: World, scribe: Scribe, change: Change
) -> None:
    async with Dispatching(world):
        world.gateway.jam()
        handle = world.buy(scribe)
        await until(lambda: world.gateway.signed)
        await settle()
        change(world)
        world.gateway.unjam()
        await until(lambda: outcomes(world))

    assert_not_sent(world, handle, change)


@changes
async def test_cancel_when_everything_has_changed_then_it_leaves(world: World, scribe: Scribe, change: Change) -> None:
    async with Dispatching(world):
        handle = await world.working(scribe)
        world.gateway.jam()
        world.do(scribe, handle.cancel)
        await settle()
        change(world)
        world.gateway.unjam()
        await until(lambda: world.order(handle).status is OrderStatus.CANCELLED)


def hold(world: World, scribe: Scribe, size: int) -> None:
    """Give the strategy, and so the account, a long position."""
    handle = world.carried(scribe)
    world.kernel.publish(world.fill(handle, size))
    world.kernel.publish(world.listing(handle, is_open=False, filled=size))


def sell(world: World, scribe: Scribe, size: int) -> OrderHandle:
    handle = world.do(scribe, lambda: scribe.sell(MARKET, Price(55), Size(size)))
    assert isinstance(handle, OrderHandle)
    return handle


async def test_orders_when_only_what_reduces_may_leave_then_those_that_close_the_position_do_and_no_more(
    world: World, scribe: Scribe
) -> None:
    hold(world, scribe, 10)
    closing, turning = sell(world, scribe, 10), sell(world, scribe, 1)
    world.buy(scribe)
    reduce_all(world)

    async with Dispatching(world):
        await until(lambda: len(outcomes(world)) == 3)

    # All three together can turn the position; without the first that is asked, what is left can't.
    assert [size_of(world, name) for _, name in world.gateway.sent_names] in ([10], [1])
    assert world.accounts.exposure(MARKET).open_sell <= 10
    assert {world.order(closing).status, world.order(turning).status} == {OrderStatus.WORKING, OrderStatus.REJECTED}


def size_of(world: World, client_order_id: str) -> int:
    order = world.accounts.orders.get(client_order_id)
    assert order is not None
    return order.size


async def test_exit_when_it_closes_the_whole_position_then_it_leaves_although_it_is_counted_already(
    world: World, scribe: Scribe
) -> None:
    hold(world, scribe, 10)
    exit_ = sell(world, scribe, 10)
    reduce_all(world)

    async with Dispatching(world):
        await until(lambda: world.order(exit_).status is OrderStatus.WORKING)


@pytest.mark.parametrize(("price", "size", "is_approved"), [(45, 90, False), (46, 10, False), (44, 5, True)])
async def test_amend_when_only_what_reduces_may_leave_then_the_gate_judges_as_the_last_look_does(
    world: World, scribe: Scribe, price: int, size: int, is_approved: bool
) -> None:
    async with Dispatching(world):
        handle = await world.working(scribe, 45, 10)
    reduce_all(world)

    world.do(scribe, lambda: handle.amend(Price(price), Size(size)))

    codes = [refused.code for refused in world.watcher.refusals]
    assert codes == ([] if is_approved else [RefusalCode.TRADING_REDUCING])


async def test_exit_when_its_position_is_gone_then_it_does_not_leave(world: World, scribe: Scribe) -> None:
    hold(world, scribe, 10)
    late = sell(world, scribe, 4)
    reduce_all(world)
    world.kernel.publish(FillVoided(venue=VENUE, fill_id="f1", ts_recv=1))

    async with Dispatching(world):
        await until(lambda: outcomes(world))

    assert world.order(late).reason.startswith("not_sent: only what reduces")
    assert world.gateway.sent == []


@pytest.mark.parametrize(
    ("price", "size", "is_sent"), [(45, 90, False), (46, 10, False), (45, 5, True), (44, 10, True), (44, 5, True)]
)
@pytest.mark.parametrize("change", [reduce_all, lose_a_change_of_the_book, jam], ids=lambda change: change.__name__)
async def test_amend_when_something_changed_then_it_leaves_only_if_it_shrinks(
    world: World, scribe: Scribe, change: Change, price: int, size: int, is_sent: bool
) -> None:
    async with Dispatching(world):
        handle = await world.working(scribe, 45, 10)
        world.gateway.jam()
        world.do(scribe, lambda: handle.amend(Price(price), Size(size)))
        await settle()
        change(world)
        world.gateway.unjam()
        await until(lambda: len(outcomes(world)) == 2)

    assert [kind for kind, _ in world.gateway.sent_names] == ["NewOrder", "AmendOrder"][: 1 + is_sent]
    order = world.order(handle)
    assert (order.price, order.size) == ((price, size) if is_sent else (45, 10))
    assert order.status is OrderStatus.WORKING


@pytest.mark.parametrize("error", [OutcomeUnknown("reset"), Retryable("429", is_rate_limit=True, was_answered=True)])
async def test_amend_when_the_end_of_its_order_is_wanted_then_it_is_refused_whatever_the_cancel_was_answered(
    world: World, scribe: Scribe, error: Exception
) -> None:
    async with Dispatching(world):
        handle = await world.working(scribe)
        world.gateway.answers.append(error)
        world.do(scribe, handle.cancel)
        await until(lambda: reports(world)[-1][0] is ReportKind.CANCEL_REFUSED)

        world.do(scribe, lambda: handle.amend(Price(44), Size(90)))

    assert world.watcher.refusals[-1].code is RefusalCode.ORDER_BUSY
    assert world.order(handle).size == 10


async def test_amend_when_the_cancel_was_refused_while_it_waited_then_it_does_not_leave(
    world: World, scribe: Scribe
) -> None:
    async with Dispatching(world):
        handle = await world.working(scribe)
        world.gateway.jam()
        world.do(scribe, lambda: handle.amend(Price(44), Size(90)))
        await settle()
        world.do(scribe, handle.cancel)
        world.kernel.publish(report(world, handle.client_order_id, ReportKind.CANCEL_REFUSED, code="rate_limited"))
        assert not world.order(handle).cancel_wanted
        world.gateway.unjam()
        await until(lambda: len(world.watcher.events_of(RequestCompleted)) == 3)

    assert "AmendOrder" not in [kind for kind, _ in world.gateway.sent_names]


async def test_order_when_its_cancel_was_refused_and_the_run_ended_then_the_next_run_still_wants_its_end(
    world: World, scribe: Scribe
) -> None:
    async with Dispatching(world):
        handle = await world.working(scribe)
        world.gateway.answers.append(Retryable("429", is_rate_limit=True, was_answered=True))
        world.do(scribe, handle.cancel)
        await until(lambda: reports(world)[-1][0] is ReportKind.CANCEL_REFUSED)

    folded = fold(RealFiles(), world.directory / "journal")
    again = Accounts.from_snapshot(folded.to_snapshot())

    assert folded.digest() == again.digest() == world.accounts.digest()
    for accounts in (folded, again):
        order = accounts.orders.get(handle.client_order_id)
        assert order is not None
        assert not order.cancel_wanted
        assert order.client_order_id in PendingCancels(accounts.orders)
