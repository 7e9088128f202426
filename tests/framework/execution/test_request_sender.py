"""What each kind of answer, and each failure on the way, means for an order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from framework.domain.errors import AccountRefused, Fatal, OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.market_events import RequestOutcome
from framework.domain.numbers import Price, Size
from framework.domain.orders import OrderStatus
from framework.domain.rate_limits import RequestKind
from framework.execution.request_sender import ATTEMPTS_MAX, REFUSED_PAUSE_NS
from tests.framework.execution.test_dispatcher import LIMITS, outcomes, slow_disk
from tests.support.world import MS, Dispatching, Scribe, World, settle, until


async def test_request_when_proved_without_effect_then_it_is_tried_again_with_a_fresh_signature(
    dispatching: World, scribe: Scribe
) -> None:
    dispatching.gateway.answers.append(Retryable("connection refused"))

    handle = await dispatching.working(scribe)

    first, second = dispatching.gateway.signed
    assert first.wire != second.wire
    assert dispatching.gateway.sent_names == [("NewOrder", handle.client_order_id)] * 2
    await until(lambda: outcomes(dispatching) == [RequestOutcome.SPENT])


async def test_request_when_proved_without_effect_each_time_then_it_is_given_up(
    dispatching: World, scribe: Scribe
) -> None:
    dispatching.gateway.answers.extend(Retryable("connection refused") for _ in range(ATTEMPTS_MAX))

    handle = dispatching.buy(scribe)
    await until(lambda: dispatching.order(handle).status.is_final)

    assert dispatching.order(handle).status is OrderStatus.REJECTED
    assert len(dispatching.gateway.sent) == ATTEMPTS_MAX
    await until(lambda: outcomes(dispatching) == [RequestOutcome.NOT_CHARGED])


async def test_order_when_the_answer_is_ambiguous_then_it_is_unknown_reserved_and_never_sent_again(
    dispatching: World, scribe: Scribe
) -> None:
    dispatching.gateway.answers.append(OutcomeUnknown("time-out"))

    handle = dispatching.buy(scribe, 45, 10)
    await until(lambda: outcomes(dispatching))
    await settle(200)

    assert dispatching.order(handle).status is OrderStatus.UNKNOWN
    assert dispatching.accounts.exposure(dispatching.order(handle).instrument).open_buy == 10
    assert dispatching.gateway.sent_names == [("NewOrder", handle.client_order_id)]
    assert outcomes(dispatching) == [RequestOutcome.SPENT]


async def test_order_when_the_venue_limits_the_rate_then_the_budget_is_emptied_and_nothing_is_resent(
    world: World, scribe: Scribe
) -> None:
    world.start(LIMITS)
    world.clock.advance(20_000 * MS)
    world.quote(40, 60)
    world.gateway.answers.append(Retryable("429", is_rate_limit=True))
    async with Dispatching(world):
        handle = world.buy(scribe)
        await until(lambda: world.order(handle).status.is_final)
        await settle(200)

    assert outcomes(world) == [RequestOutcome.LIMITED]
    assert world.order(handle).reason.startswith("rate_limited")
    assert len(world.gateway.sent) == 1
    assert world.budgets["tide"].available(RequestKind.NEW, "scribe") == 0


async def test_orders_when_the_budget_pays_for_no_more_then_they_wait_and_a_cancel_overtakes_them(
    world: World, scribe: Scribe
) -> None:
    world.start(LIMITS)
    world.clock.advance(1_300 * MS)
    world.quote(40, 60)
    async with Dispatching(world):
        first = world.buy(scribe, 45)
        second = world.buy(scribe, 44)
        await until(lambda: world.order(first).status is OrderStatus.WORKING)
        await settle(50)
        assert world.gateway.sent_names == [("NewOrder", first.client_order_id)]
        world.do(scribe, first.cancel)
        await until(lambda: world.order(first).status is OrderStatus.CANCELLED)
        assert world.order(second).status is OrderStatus.RECORDED
        world.clock.advance(1_500 * MS)
        await until(lambda: world.order(second).status is OrderStatus.WORKING)


@pytest.mark.parametrize(
    "error", [RefusedByVenue("unknown_order", "not loaded"), ZeroDivisionError("broken signer"), SystemExit("left")]
)
async def test_request_when_it_can_not_be_signed_then_nothing_leaves_and_the_next_one_does(
    dispatching: World, scribe: Scribe, error: BaseException
) -> None:
    dispatching.gateway.sign_errors.append(error)

    handle = dispatching.buy(scribe)
    await until(lambda: dispatching.order(handle).status.is_final)
    other = await dispatching.working(scribe)

    assert str(error) in dispatching.order(handle).reason
    assert dispatching.gateway.sent_names == [("NewOrder", other.client_order_id)]
    assert outcomes(dispatching)[0] is RequestOutcome.NOT_CHARGED


class Unreadable(Exception):
    """An error whose message breaks when it is read."""

    def __str__(self) -> str:
        raise LookupError("no message")


async def test_order_when_the_message_of_an_error_can_not_be_read_then_the_error_counts_all_the_same(
    dispatching: World, scribe: Scribe
) -> None:
    dispatching.gateway.sign_errors.append(Unreadable())
    unsigned = dispatching.buy(scribe)
    await until(lambda: dispatching.order(unsigned).status.is_final)
    dispatching.gateway.answers.append(Unreadable())
    sent = dispatching.buy(scribe)
    await until(lambda: dispatching.order(sent).status is OrderStatus.UNKNOWN)

    assert dispatching.order(unsigned).reason == "sign_failed: Unreadable: (its message can't be read)"
    assert (await dispatching.working(scribe)).is_open


async def test_cancel_when_it_can_not_be_signed_yet_then_it_is_tried_again(dispatching: World, scribe: Scribe) -> None:
    handle = await dispatching.working(scribe)
    dispatching.gateway.sign_errors.extend(Retryable("no venue id yet") for _ in range(2))

    dispatching.do(scribe, handle.cancel)

    await until(lambda: dispatching.order(handle).status is OrderStatus.CANCELLED)


@pytest.mark.parametrize("error", [KeyError("order_id"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_order_when_the_gateway_breaks_while_sending_then_it_is_unknown(
    dispatching: World, scribe: Scribe, error: BaseException
) -> None:
    dispatching.gateway.answers.append(error)

    handle = dispatching.buy(scribe)
    await until(lambda: dispatching.order(handle).status is OrderStatus.UNKNOWN)

    other = await dispatching.working(scribe)
    assert other.is_open


async def test_order_when_the_account_can_not_be_used_then_it_ends_and_the_daemon_is_told(
    dispatching: World, scribe: Scribe
) -> None:
    dispatching.gateway.answers.append(Fatal("key refused"))

    handle = dispatching.buy(scribe)
    await until(lambda: dispatching.failures)

    assert str(dispatching.failures[0]) == "key refused"
    assert dispatching.order(handle).status is OrderStatus.REJECTED


async def test_order_when_the_journal_fails_before_it_is_durable_then_it_never_leaves(
    dispatching: World, scribe: Scribe
) -> None:
    disk = slow_disk(dispatching)
    handle = dispatching.buy(scribe)
    await until(lambda: dispatching.gateway.signed)

    disk.fail()
    await until(lambda: dispatching.failures)
    await settle()

    assert dispatching.gateway.sent == []
    assert "disk full" in str(dispatching.failures[0])
    assert not dispatching.order(handle).is_open


async def test_cancel_when_the_journal_has_failed_then_it_leaves_all_the_same(
    dispatching: World, scribe: Scribe
) -> None:
    handle = await dispatching.working(scribe)
    assert dispatching.log is not None
    dispatching.log.fail()

    dispatching.do(scribe, handle.cancel)

    await until(lambda: dispatching.order(handle).status is OrderStatus.CANCELLED)


async def test_amend_when_its_answer_comes_after_a_later_amend_then_the_later_one_stays_unanswered_and_is_queried(
    dispatching: World, scribe: Scribe
) -> None:
    world = dispatching
    handle = await world.working(scribe)
    gateway = world.gateway
    late: list[Callable[[], None]] = []
    gateway.hold_next(late)
    world.do(scribe, lambda: handle.amend(Price(46), Size(12)))
    await until(lambda: len(late) == 1)
    world.kernel.publish(msgspec.structs.replace(world.listing(handle), price=Price(46), size=Size(12), ts_venue=7))
    assert world.order(handle).status is OrderStatus.WORKING
    world.do(scribe, lambda: handle.amend(Price(45), Size(10)))
    await until(lambda: world.order(handle).status is OrderStatus.WORKING)
    gateway.hold_next(late)
    world.do(scribe, lambda: handle.amend(Price(46), Size(12)))
    await until(lambda: len(late) == 2)

    late[0]()
    await settle()

    assert world.order(handle).status is OrderStatus.AMEND_REQUESTED
    assert world.order(handle).price == 45
    assert handle.client_order_id in world.reconciler._inquiry._flagged
    late[1]()
    await until(lambda: world.order(handle).status is OrderStatus.WORKING)
    assert (world.order(handle).price, world.order(handle).size) == (46, 12)


async def test_cancels_when_the_venue_has_just_refused_the_account_then_none_leaves_before_the_pause_is_over(
    dispatching: World, scribe: Scribe
) -> None:
    handle = await dispatching.working(scribe)
    dispatching.gateway.answers.append(AccountRefused("HTTP 401"))
    sent = len(dispatching.gateway.sent)

    for _ in range(5):
        dispatching.do(scribe, handle.cancel)
        await settle()
    assert len(dispatching.gateway.sent) == sent + 1
    assert dispatching.order(handle).status is OrderStatus.WORKING

    dispatching.clock.advance(REFUSED_PAUSE_NS)
    dispatching.do(scribe, handle.cancel)
    await until(lambda: len(dispatching.gateway.sent) == sent + 2)
