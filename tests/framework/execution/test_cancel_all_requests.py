"""What each kind of answer to a cancel of all orders means for each of them."""

from __future__ import annotations

import msgspec
import pytest

from framework.domain.account_events import CancelAllRequested, OrderReport, ReportKind, Scope
from framework.domain.errors import OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.market_events import RequestOutcome, TermsDeclared
from framework.domain.orders import OrderStatus
from framework.domain.strategy import OrderHandle
from framework.domain.terms import CancelAllScope, VenueTerms
from framework.domain.verdicts import Approved
from tests.framework.execution.test_dispatcher import outcomes
from tests.support.world import VENUE, Dispatching, Scribe, World, settle, until

EVERYTHING = CancelAllRequested(scope=Scope.GLOBAL, target="", reason="r", ts_recv=1)
TERMS = VenueTerms(cancel_all=CancelAllScope.ACCOUNT)


async def two_open(world: World, scribe: Scribe) -> list[OrderHandle]:
    world.kernel.publish(TermsDeclared(VENUE, TERMS, 1))
    return [await world.working(scribe), await world.working(scribe, 44)]


def statuses(world: World, handles: list[OrderHandle]) -> list[OrderStatus]:
    return [world.order(handle).status for handle in handles]


def sent(world: World) -> list[str]:
    return [kind for kind, _ in world.gateway.sent_names[2:]]


def refusal(approved: Approved) -> list[OrderReport]:
    """What a gateway makes of a venue's refusal: a report that names no order."""
    report = OrderReport(
        venue=VENUE, client_order_id=approved.client_order_id, kind=ReportKind.CANCEL_REFUSED, ts_recv=1, code="no"
    )
    return [report]


async def test_cancel_of_all_when_done_then_each_order_waits_until_the_venue_shows_its_end(
    dispatching: World, scribe: Scribe
) -> None:
    handles = await two_open(dispatching, scribe)
    dispatching.kernel.publish(EVERYTHING)
    await until(lambda: sent(dispatching) == ["CancelAll"])
    await settle(50)
    assert statuses(dispatching, handles) == [OrderStatus.CANCEL_REQUESTED] * 2
    for handle in handles:
        dispatching.kernel.publish(dispatching.listing(handle, is_open=False))
    assert statuses(dispatching, handles) == [OrderStatus.CANCELLED] * 2


@pytest.mark.parametrize(
    "answer",
    [
        OutcomeUnknown("time-out"),
        Retryable("429", is_rate_limit=True),
        RefusedByVenue("no"),
        ValueError("defect"),
        refusal,
    ],
    ids=lambda one: type(one).__name__,
)
async def test_cancel_of_all_when_it_may_not_be_done_then_each_order_is_asked_to_end_when_shown_open(
    dispatching: World, scribe: Scribe, answer: object
) -> None:
    handles = await two_open(dispatching, scribe)
    dispatching.gateway.answers.append(answer)  # type: ignore[arg-type]
    dispatching.kernel.publish(EVERYTHING)
    await until(lambda: statuses(dispatching, handles) == [OrderStatus.WORKING] * 2)
    for handle in handles:
        dispatching.kernel.publish(dispatching.listing(handle))
    await until(lambda: statuses(dispatching, handles) == [OrderStatus.CANCELLED] * 2)
    assert sent(dispatching) == ["CancelAll", "CancelOrder", "CancelOrder"]


async def test_cancel_of_all_when_it_never_arrived_then_it_is_sent_again_with_a_fresh_signature(
    dispatching: World, scribe: Scribe
) -> None:
    await two_open(dispatching, scribe)
    dispatching.gateway.answers.append(Retryable("connection refused"))
    dispatching.kernel.publish(EVERYTHING)
    await until(lambda: sent(dispatching) == ["CancelAll"] * 2)
    await until(lambda: outcomes(dispatching)[2:] == [RequestOutcome.SPENT])


async def test_cancel_of_all_when_its_orders_end_while_it_waits_then_it_does_not_leave(
    dispatching: World, scribe: Scribe
) -> None:
    handles = await two_open(dispatching, scribe)
    dispatching.gateway.jam()
    dispatching.kernel.publish(EVERYTHING)
    await settle(20)
    for handle in handles:
        dispatching.kernel.publish(dispatching.listing(handle, is_open=False))
    dispatching.gateway.unjam()
    await until(lambda: outcomes(dispatching)[2:] == [RequestOutcome.NOT_CHARGED])
    assert sent(dispatching) == []


async def test_cancels_of_all_when_the_daemon_ends_with_one_queued_then_it_is_dropped_and_each_order_says_so(
    world: World, scribe: Scribe
) -> None:
    async with Dispatching(world):
        handles = await two_open(world, scribe)
    world.kernel.publish(EVERYTHING)
    world.dispatcher.abandon("the daemon is stopping", is_final=True)
    assert statuses(world, handles) == [OrderStatus.WORKING] * 2
    assert sent(world) == []


async def test_cancel_of_all_when_an_order_of_others_appears_before_it_leaves_then_each_is_asked_by_itself(
    dispatching: World, scribe: Scribe
) -> None:
    handles = await two_open(dispatching, scribe)
    by_hand = msgspec.structs.replace(dispatching.listing(handles[0]), venue_order_id="by-hand", client_order_id="")
    dispatching.kernel.publish(EVERYTHING)
    dispatching.kernel.publish(by_hand)
    await until(lambda: statuses(dispatching, handles) == [OrderStatus.WORKING] * 2)
    for handle in handles:
        dispatching.kernel.publish(dispatching.listing(handle))
    await until(lambda: statuses(dispatching, handles) == [OrderStatus.CANCELLED] * 2)
    assert sent(dispatching) == ["CancelOrder", "CancelOrder"]
