from __future__ import annotations

from typing import Any

import msgspec
import pytest

from framework.domain.account_events import OrderReport, ReportKind, Scope, TradingState, TradingStateChanged
from framework.domain.errors import OutcomeUnknown, Retryable
from framework.domain.market_events import RequestCompleted, RequestOutcome
from framework.domain.numbers import Price, Size
from framework.domain.orders import OrderStatus
from framework.domain.rate_limits import Cost, Pool, RateLimits, RequestKind
from framework.execution.dispatcher import Dispatcher
from tests.support.inquiries import listed
from tests.support.world import MS, UNLIMITED, Dispatching, HandWriter, Scribe, World, settle, until

LIMITS = RateLimits(
    pools=(Pool("write", 100, 10),),
    costs=(Cost(RequestKind.NEW, "write", 10), Cost(RequestKind.CANCEL, "write", 2)),
)


def slow_disk(world: World) -> HandWriter:
    """From now on records become durable when the test says so."""
    assert world.log is not None
    world.log.is_automatic = False
    return world.log


def outcomes(world: World) -> list[RequestOutcome]:
    return [event.outcome for event in world.watcher.events_of(RequestCompleted)]


def reports(world: World) -> list[tuple[ReportKind, str]]:
    return [(event.kind, event.code) for event in world.watcher.events_of(OrderReport)]


async def test_order_when_its_records_are_not_durable_then_no_byte_leaves(dispatching: World, scribe: Scribe) -> None:
    disk = slow_disk(dispatching)
    handle = dispatching.buy(scribe)
    await until(lambda: dispatching.gateway.signed)
    await settle()
    assert dispatching.gateway.sent == []
    assert dispatching.order(handle).status is OrderStatus.SENT

    disk.release()

    await until(lambda: dispatching.order(handle).status is OrderStatus.WORKING)
    assert dispatching.gateway.sent_names == [("NewOrder", handle.client_order_id)]


async def test_order_when_it_leaves_then_the_disk_holds_its_approval_and_the_digest_of_its_bytes(
    dispatching: World, scribe: Scribe
) -> None:
    on_disk: list[list[Any]] = []

    def look(approved: Any) -> tuple[()]:
        on_disk.append([entry.record.body for entry in dispatching.entries()])
        return ()

    dispatching.gateway.answers.append(look)
    handle = dispatching.buy(scribe)
    await until(lambda: on_disk)

    assert on_disk[0][-2].client_order_id == handle.client_order_id
    assert (on_disk[0][-1].kind, on_disk[0][-1].detail) == (ReportKind.SENT, "0" * 64)


async def test_order_when_granted_then_its_tokens_are_spent_and_each_stage_is_timed(
    dispatching: World, scribe: Scribe
) -> None:
    await dispatching.working(scribe)
    await until(lambda: outcomes(dispatching))

    assert outcomes(dispatching) == [RequestOutcome.SPENT]
    assert dispatching.stages == ["sign", "durable", "venue"]


async def test_requests_when_several_wait_then_cancels_leave_first(world: World, scribe: Scribe) -> None:
    handle = listed(world, scribe)
    later = world.buy(scribe, 44)
    world.do(scribe, lambda: handle.amend(Price(43), Size(10)))
    world.do(scribe, handle.cancel)

    async with Dispatching(world):
        await until(lambda: len(world.gateway.sent) >= 2)

    assert world.gateway.sent_names[0] == ("CancelOrder", handle.client_order_id)
    assert ("NewOrder", later.client_order_id) in world.gateway.sent_names


async def test_cancel_when_the_order_has_not_left_then_the_order_is_dropped_and_nothing_is_sent(
    world: World, scribe: Scribe
) -> None:
    handle = world.buy(scribe)
    world.do(scribe, handle.cancel)

    async with Dispatching(world):
        await until(lambda: world.order(handle).status.is_final)

    assert world.order(handle).status is OrderStatus.REJECTED
    assert world.order(handle).reason == "not_sent: cancelled before it left"
    assert world.gateway.signed == []
    assert outcomes(world) == [RequestOutcome.NOT_CHARGED]


def halted(scope: Scope = Scope.GLOBAL, target: str = "") -> TradingStateChanged:
    return TradingStateChanged(scope=scope, target=target, state=TradingState.HALTED, reason="test", ts_recv=1)


async def test_requests_when_trading_is_halted_after_their_approval_then_only_cancels_leave(
    world: World, scribe: Scribe
) -> None:
    resting, changed = world.buy(scribe), world.buy(scribe, 43)
    world.queue.pop()
    world.queue.pop()
    world.kernel.publish(world.listing(resting))
    world.kernel.publish(world.listing(changed))
    world.do(scribe, lambda: changed.amend(Price(42), Size(30)))
    queued = world.buy(scribe, 44)
    world.do(scribe, resting.cancel)
    world.kernel.publish(halted())

    async with Dispatching(world):
        await until(lambda: world.order(queued).status.is_final and not world.dispatcher.under_way)

    assert world.order(queued).reason == "not_sent: trading was halted before it left"
    assert (world.order(changed).status, world.order(changed).size) == (OrderStatus.WORKING, 10)
    assert world.gateway.sent_names == [("CancelOrder", resting.client_order_id)]


async def test_order_when_trading_is_halted_while_it_waits_for_the_disk_then_it_does_not_leave(
    dispatching: World, scribe: Scribe
) -> None:
    disk = slow_disk(dispatching)
    handle = dispatching.buy(scribe)
    await until(lambda: dispatching.gateway.signed)
    dispatching.kernel.publish(halted(Scope.STRATEGY, dispatching.order(handle).strategy))
    await until(lambda: disk.release() or dispatching.order(handle).status.is_final)

    assert dispatching.order(handle).reason == "not_sent: trading was halted before it left"
    assert dispatching.gateway.sent == []


async def test_order_when_trading_is_halted_while_it_waits_for_a_connection_then_it_does_not_leave(
    dispatching: World, scribe: Scribe
) -> None:
    dispatching.gateway.jam()
    handle = dispatching.buy(scribe)
    await until(lambda: dispatching.gateway.signed and not dispatching.queue.holds(handle.client_order_id))
    await settle()
    dispatching.kernel.publish(halted())
    dispatching.gateway.unjam()
    await until(lambda: dispatching.order(handle).status.is_final)

    assert dispatching.order(handle).reason == "not_sent: trading was halted before it left"
    assert dispatching.gateway.sent == []


async def test_cancel_when_the_order_waits_for_the_disk_then_the_order_does_not_leave(
    dispatching: World, scribe: Scribe
) -> None:
    disk = slow_disk(dispatching)
    handle = dispatching.buy(scribe)
    await until(lambda: dispatching.gateway.signed)
    dispatching.do(scribe, handle.cancel)

    disk.release()
    await until(lambda: dispatching.order(handle).status.is_final)

    assert dispatching.gateway.sent == []
    assert outcomes(dispatching) == [RequestOutcome.NOT_CHARGED]


async def test_cancel_when_the_answer_is_still_out_then_it_leaves_after_it(dispatching: World, scribe: Scribe) -> None:
    dispatching.gateway.hold()
    handle = dispatching.buy(scribe)
    await until(lambda: dispatching.gateway.sent)
    dispatching.do(scribe, handle.cancel)
    await settle()
    assert dispatching.gateway.sent_names == [("NewOrder", handle.client_order_id)]

    dispatching.gateway.release()

    await until(lambda: dispatching.order(handle).status is OrderStatus.CANCELLED)
    assert dispatching.gateway.sent_names[1:] == [("CancelOrder", handle.client_order_id)]


async def test_amend_when_granted_then_the_order_has_the_new_terms(dispatching: World, scribe: Scribe) -> None:
    handle = await dispatching.working(scribe, 45, 10)

    dispatching.do(scribe, lambda: handle.amend(Price(44), Size(20)))
    await until(lambda: dispatching.order(handle).status is OrderStatus.WORKING)

    assert (dispatching.order(handle).price, dispatching.order(handle).size) == (44, 20)


@pytest.mark.parametrize(
    ("error", "code"),
    [(OutcomeUnknown("reset"), "outcome_unknown"), (Retryable("429", is_rate_limit=True), "rate_limited")],
)
async def test_cancel_when_its_answer_says_nothing_then_the_order_stays_and_the_wish_too(
    dispatching: World, scribe: Scribe, error: Exception, code: str
) -> None:
    handle = await dispatching.working(scribe)
    dispatching.gateway.answers.append(error)

    dispatching.do(scribe, handle.cancel)
    await until(lambda: reports(dispatching)[-1][0] is ReportKind.CANCEL_REFUSED)
    await settle()

    assert reports(dispatching)[-1][1] == code
    assert dispatching.order(handle).status is OrderStatus.WORKING
    assert dispatching.kernel.is_ending(dispatching.order(handle))
    assert len(dispatching.gateway.sent) == 2


async def test_amend_when_ambiguous_then_it_stays_requested_and_both_terms_are_reserved(
    dispatching: World, scribe: Scribe
) -> None:
    handle = await dispatching.working(scribe, 45, 10)
    dispatching.gateway.answers.append(OutcomeUnknown("reset"))

    dispatching.do(scribe, lambda: handle.amend(Price(44), Size(30)))
    await until(lambda: reports(dispatching)[-1][0] is ReportKind.UNKNOWN)

    assert dispatching.order(handle).status is OrderStatus.AMEND_REQUESTED
    assert dispatching.accounts.exposure(dispatching.order(handle).instrument).open_buy == 30


async def test_order_when_its_deadline_has_passed_then_it_is_dropped(world: World, scribe: Scribe) -> None:
    handle = world.buy(scribe, deadline_ns=world.clock.now_ns() + MS)
    world.clock.advance(2 * MS)

    async with Dispatching(world):
        await until(lambda: world.order(handle).status.is_final)

    assert world.order(handle).reason == "not_sent: past its deadline"
    assert world.gateway.signed == []


async def test_order_when_its_deadline_passes_while_the_disk_is_slow_then_it_does_not_leave(
    dispatching: World, scribe: Scribe
) -> None:
    disk = slow_disk(dispatching)
    handle = dispatching.buy(scribe, deadline_ns=dispatching.clock.now_ns() + MS)
    await until(lambda: dispatching.gateway.signed)

    dispatching.clock.advance(2 * MS)
    disk.release()
    await until(lambda: dispatching.order(handle).status.is_final)

    assert dispatching.gateway.sent == []


async def test_connections_when_new_orders_fill_theirs_then_cancels_still_leave(
    dispatching: World, scribe: Scribe
) -> None:
    handle = await dispatching.working(scribe)
    dispatching.gateway.hold()
    for _ in range(10):
        dispatching.buy(scribe)
    await until(lambda: dispatching.dispatcher.under_way == 6)
    await settle(50)
    assert dispatching.dispatcher.under_way == 6

    dispatching.do(scribe, handle.cancel)

    await until(lambda: dispatching.gateway.sent_names[-1] == ("CancelOrder", handle.client_order_id))
    dispatching.gateway.release()
    await until(lambda: len(dispatching.gateway.sent) == 12)
    await until(lambda: dispatching.dispatcher.under_way == 0)


def test_dispatcher_when_it_has_no_room_beside_cancels_then_it_says_so(world: World) -> None:
    dependencies = msgspec.structs.replace(world.dispatcher._dependencies, requests_max=2)

    with pytest.raises(ValueError, match="leaves no room beside 2 for cancels"):
        Dispatcher(dependencies)


async def test_limits_when_nothing_is_limited_then_nothing_waits(dispatching: World, scribe: Scribe) -> None:
    assert UNLIMITED.pools == ()
    for _ in range(5):
        await dispatching.working(scribe)


@pytest.mark.parametrize("is_cancel", [False, True])
async def test_request_when_the_venue_answered_not_now_then_its_tokens_are_spent_and_it_is_not_sent_again(
    world: World, scribe: Scribe, is_cancel: bool
) -> None:
    world.start(LIMITS)
    world.clock.advance(20_000 * MS)
    world.quote(40, 60)
    paused = Retryable("paused", was_answered=True, code="trading_is_paused")
    async with Dispatching(world):
        if is_cancel:
            handle = await world.working(scribe)
            world.gateway.answers.append(paused)
            world.do(scribe, handle.cancel)
        else:
            world.gateway.answers.append(paused)
            handle = world.buy(scribe)
        await until(lambda: len(outcomes(world)) == 1 + is_cancel)
        sent, left = len(world.gateway.sent), world.budgets["tide"].available(RequestKind.CANCEL, "scribe")
        await settle(200)

    assert outcomes(world)[-1] is RequestOutcome.SPENT
    assert reports(world)[-1] == (ReportKind.CANCEL_REFUSED if is_cancel else ReportKind.NOT_SENT, "trading_is_paused")
    assert (world.order(handle).status.is_final, world.kernel.is_ending(world.order(handle))) == (
        not is_cancel,
        is_cancel,
    )
    assert len(world.gateway.sent) == sent == 1 + is_cancel
    assert left == (88 if is_cancel else 90) // 2


async def test_amend_when_its_order_is_to_end_before_it_left_then_it_is_dropped(world: World, scribe: Scribe) -> None:
    disk = slow_disk(world)
    async with Dispatching(world):
        handle = world.buy(scribe)
        disk.release()
        await until(lambda: disk.release() or world.order(handle).status is OrderStatus.WORKING)
        world.gateway.hold()
        world.do(scribe, lambda: handle.amend(Price(44), Size(20)))
        await until(lambda: len(world.gateway.signed) == 2)
        world.do(scribe, handle.cancel)
        await until(lambda: disk.release() or len(world.gateway.sent) == 2)
        await settle(50)
        world.gateway.release()
        await until(lambda: world.order(handle).status is OrderStatus.CANCELLED)

    assert [kind for kind, _ in world.gateway.sent_names] == ["NewOrder", "CancelOrder"]


def test_queued_requests_when_they_are_abandoned_then_they_count_as_not_sent_and_cancels_keep_their_place(
    world: World, scribe: Scribe
) -> None:
    resting = listed(world, scribe)
    changed = listed(world, scribe, 43)
    world.do(scribe, lambda: changed.amend(Price(42), Size(30)))
    queued = world.buy(scribe, 44)
    world.do(scribe, resting.cancel)

    dropped = world.dispatcher.abandon("the daemon stops")

    assert dropped == (changed.client_order_id, queued.client_order_id)
    assert (world.order(queued).status, world.order(queued).reason) == (
        OrderStatus.REJECTED,
        "not_sent: the daemon stops",
    )
    assert (world.order(changed).status, world.order(changed).size) == (OrderStatus.WORKING, 10)
    assert world.order(resting).status is OrderStatus.CANCEL_REQUESTED
    assert len(world.queue) == 1
    assert outcomes(world) == [RequestOutcome.NOT_CHARGED] * 2
    assert world.gateway.sent == []


def test_queued_cancel_when_nothing_is_sent_any_more_then_its_order_is_told_as_it_is(
    world: World, scribe: Scribe
) -> None:
    resting = listed(world, scribe)
    world.do(scribe, resting.cancel)

    assert world.dispatcher.abandon("the daemon has stopped", is_final=True) == (resting.client_order_id,)

    assert world.order(resting).status is OrderStatus.WORKING
    assert reports(world)[-1] == (ReportKind.CANCEL_REFUSED, "not_sent")
    assert len(world.queue) == 0
