"""Fills that name their order only by the venue's id, of an order that was taken for lost."""

from __future__ import annotations

import msgspec

from framework.domain.account_events import ReportKind
from framework.domain.orders import OrderStatus
from tests.support.inquiries import report
from tests.support.world import MARKET, MS, Scribe, World

LAG_NS = 100 * MS


def strategy_size(world: World, scribe: Scribe) -> int:
    """What the strategy holds."""
    return int(world.accounts.positions.of_strategy(scribe.name, MARKET).size)


async def test_fill_when_no_order_claims_it_then_its_order_is_asked_for_and_turns_out_to_be_ours(
    world: World, scribe: Scribe
) -> None:
    handle = world.carried(scribe)
    report(world, handle, ReportKind.NEVER_ARRIVED)
    world.gateway.fills_there.append(msgspec.structs.replace(world.fill(handle, 10), client_order_id=""))
    world.gateway.orders_there[""] = world.listing(handle, is_open=False, filled=10)
    world.clock.advance(2 * LAG_NS)

    await world.reconciler.once()

    assert world.order(handle).status is OrderStatus.FILLED
    assert strategy_size(world, scribe) == 10


async def test_fill_when_its_order_is_not_known_then_it_is_asked_for_a_few_times_only(
    world: World, scribe: Scribe
) -> None:
    handle = world.carried(scribe)
    strange = msgspec.structs.replace(world.fill(handle, 1), client_order_id="", venue_order_id="v-99")
    world.kernel.publish(strange)

    for _ in range(5):
        world.clock.advance(2 * LAG_NS)
        await world.reconciler.once()

    assert world.gateway.looked_up == ["", ""]
