"""Open orders that this journal does not know: those of a daemon of before are told apart, and adopted where asked."""

from __future__ import annotations

import msgspec
import pytest
import structlog

from framework.domain.account_events import ExternalOrderIgnored, ShutdownRequested
from framework.domain.intents import CancelOrder
from framework.domain.operator_requests import OPERATOR
from framework.domain.orders import Side
from framework.ops.operator_service import OperatorService
from framework.reconciliation.external_orders import adoption, placed_elsewhere
from framework.reconciliation.reconciler import Reconciler
from framework.runtime.files import RealFiles
from framework.runtime.metrics import Metrics
from tests.support.state_records import listed
from tests.support.world import MARKET, VENUE, World

FORMER, BY_HAND = "tg0a1b2c-3-7", "by-hand"


def resting(world: World, *names: str) -> None:
    """Bids of five contracts that others have at the venue."""
    for name in names:
        found = listed(name, venue_order_id=f"v-{name}", size=5, at=world.clock.now_ns(), side=Side.BUY)
        world.gateway.orders_there[name] = found


def service(world: World) -> OperatorService:
    found = OperatorService(
        world.kernel,
        Metrics(),
        files=RealFiles(),
        directory=world.directory,
        strategies=[],
        wait_durable=world.recorder.wait_durable,
        ledger_trouble=str,
    )
    found.watch(VENUE, world.reconciler)
    return found


def adopting(world: World) -> Reconciler:
    return Reconciler(msgspec.structs.replace(world.reconcile_dependencies(), adopt_own=True))


async def test_order_of_a_former_daemon_when_it_rests_then_it_counts_and_refuses_readiness_until_decided(
    world: World,
) -> None:
    resting(world, FORMER, BY_HAND)
    operator_service = service(world)

    with structlog.testing.capture_logs() as logged:
        operator_service.on_pass(VENUE, await world.reconciler.once())

    assert world.accounts.exposure(MARKET).open_buy == 10
    (reason,) = operator_service.not_ready()
    assert "this journal does not know: 1; `tidegate external-orders`" in reason.text
    assert [(line["log_level"], line["event"]) for line in logged] == [
        ("error", "alarm"),
        ("warning", "the venue and we differ"),
    ]
    assert f"`venues.{VENUE}.adopt_own`" in logged[0]["what"]
    await world.reconciler.once()
    assert world.accounts.orders.open() == ()


@pytest.mark.parametrize("is_ignored", [True, False])
async def test_order_of_a_former_daemon_when_it_is_decided_then_the_daemon_is_ready(
    world: World, is_ignored: bool
) -> None:
    resting(world, FORMER)
    await world.reconciler.once()
    (order,) = placed_elsewhere(world.accounts, VENUE)
    assert service(world).not_ready() != []
    left = ExternalOrderIgnored(venue=VENUE, venue_order_id=order.venue_order_id, reason="mine", ts_recv=1)
    world.kernel.publish(left if is_ignored else adoption(order, OPERATOR, 1))
    assert service(world).not_ready() == []
    assert world.accounts.exposure(MARKET).open_buy == 5


async def test_order_of_a_former_daemon_when_own_ones_are_adopted_then_a_clean_stop_cancels_it(world: World) -> None:
    resting(world, FORMER, BY_HAND)

    found = await adopting(world).once()

    (order,) = world.accounts.orders.open()
    assert (order.client_order_id, order.strategy, order.venue_order_id) == (FORMER, OPERATOR, f"v-{FORMER}")
    assert [one.action.startswith("adopted by operator") for one in found] == [True, False]
    assert [one.client_order_id for one in world.accounts.external_orders(VENUE)] == [BY_HAND]
    assert world.accounts.exposure(MARKET).open_buy == 10, "each counts once"
    assert service(world).not_ready() == []
    world.kernel.publish(ShutdownRequested("SIGTERM", 1))
    assert world.next_intent() == CancelOrder(strategy=OPERATOR, client_order_id=FORMER)
    assert len(world.queue) == 0
