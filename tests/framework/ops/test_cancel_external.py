"""`tidegate cancel --external`: orders that are not ours are adopted first, so that each is followed to its end."""

from __future__ import annotations

import pytest

from framework.domain.account_events import CancelAllRequested, CancelRequested, OrderAdopted
from framework.domain.intents import CancelAll, CancelOrder
from framework.domain.market_events import TermsDeclared
from framework.domain.operator_requests import OPERATOR, WHOSE_EXTERNAL, CancelOrders, IgnoreExternalOrder
from framework.domain.terms import CancelAllScope, VenueTerms
from framework.ops.operator_commands import Operator
from tests.framework.ops.test_operator_commands import foreign, hand, recorded, refused
from tests.support.inquiries import listed
from tests.support.world import MARKET, VENUE, Scribe, World


@pytest.fixture
def operator(world: World) -> Operator:
    return hand(world)


@pytest.mark.parametrize(
    "request_", [{"is_all": True}, {"venue": VENUE}, {"instrument": MARKET}], ids=lambda one: next(iter(one))
)
async def test_cancel_when_external_orders_are_meant_too_then_they_are_adopted_and_cancelled(
    operator: Operator, world: World, scribe: Scribe, request_: dict[str, object]
) -> None:
    ours = listed(world, scribe).client_order_id
    theirs, ignored = foreign(world), foreign(world, "v-foreign-2", "ignored")
    await operator.answer(IgnoreExternalOrder(order=ignored.venue_order_id, reason="mine"))

    answer = await operator.answer(CancelOrders(reason="r", with_external=True, **request_))  # type: ignore[arg-type]

    assert answer.lines[0] == "cancel asked for 3 open orders"
    assert len(recorded(world, OrderAdopted)) == 2
    (event,) = recorded(world, CancelAllRequested)
    assert isinstance(event, CancelAllRequested)
    assert event.reason == "r"
    assert recorded(world, CancelRequested) == []
    asked = [world.next_intent() for _ in range(3)]
    assert asked == [
        CancelOrder(strategy="scribe", client_order_id=ours),
        CancelOrder(strategy=OPERATOR, client_order_id=theirs.client_order_id),
        CancelOrder(strategy=OPERATOR, client_order_id=ignored.client_order_id),
    ]


async def test_cancel_when_the_venue_ends_an_account_at_once_then_with_external_ones_one_request(
    operator: Operator, world: World, scribe: Scribe
) -> None:
    world.kernel.publish(TermsDeclared(VENUE, VenueTerms(cancel_all=CancelAllScope.ACCOUNT), 1))
    listed(world, scribe)
    foreign(world)
    await operator.answer(CancelOrders(is_all=True, reason="r", with_external=True))
    assert world.next_intent() == CancelAll(strategy=OPERATOR, venue=VENUE)
    assert len(world.queue) == 0


async def test_cancel_when_nothing_is_said_of_external_orders_then_they_stay(
    operator: Operator, world: World, scribe: Scribe
) -> None:
    world.kernel.publish(TermsDeclared(VENUE, VenueTerms(cancel_all=CancelAllScope.ACCOUNT), 1))
    ours = [listed(world, scribe).client_order_id for _ in range(2)]
    foreign(world)
    await operator.answer(CancelOrders(is_all=True, reason="r"))
    assert [world.next_intent() for _ in ours] == [CancelOrder(strategy="scribe", client_order_id=one) for one in ours]
    assert len(world.accounts.external_orders(VENUE)) == 1


@pytest.mark.parametrize("request_", [{"strategy": "scribe"}, {"order": "c1"}], ids=lambda one: next(iter(one)))
async def test_cancel_when_external_orders_are_asked_for_with_a_strategy_or_one_order_then_refused(
    operator: Operator, request_: dict[str, str]
) -> None:
    assert await refused(operator, CancelOrders(reason="r", with_external=True, **request_)) == WHOSE_EXTERNAL
