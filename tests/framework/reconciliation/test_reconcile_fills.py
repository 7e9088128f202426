from __future__ import annotations

import msgspec

from framework.domain.account_events import Fill
from tests.support.inquiries import listed
from tests.support.world import Scribe, World


def recorded(world: World) -> list[Fill]:
    """The fills in the journal."""
    return [entry.record.body for entry in world.entries() if isinstance(entry.record.body, Fill)]


async def test_pass_when_the_venue_lists_a_booked_fill_again_then_it_is_not_recorded_again(
    world: World, scribe: Scribe
) -> None:
    handle = listed(world, scribe)
    fill = world.fill(handle, 4)
    world.gateway.fills_there.append(fill)

    for _ in range(3):
        await world.reconciler.once()

    assert [one.fill_id for one in recorded(world)] == [fill.fill_id]
    assert world.order(handle).filled == 4


async def test_pass_when_a_fill_came_before_its_order_was_known_then_it_is_published_again(
    world: World, scribe: Scribe
) -> None:
    handle = world.buy(scribe)
    fill = world.fill(handle, 4, "f9")
    nameless = msgspec.structs.replace(fill, client_order_id="")
    world.gateway.fills_there.append(nameless)
    await world.reconciler.once()
    world.gateway.fills_there[:] = [fill]

    await world.reconciler.once()

    assert len(recorded(world)) == 2
    assert world.order(handle).filled == 4


async def test_pass_when_a_booked_fill_is_listed_with_other_amounts_then_it_is_published(
    world: World, scribe: Scribe
) -> None:
    handle = listed(world, scribe)
    world.gateway.fills_there.append(world.fill(handle, 4))
    await world.reconciler.once()
    world.gateway.fills_there[:] = [world.fill(handle, 5)]

    await world.reconciler.once()

    assert len(recorded(world)) == 2


async def test_pass_when_a_fill_is_of_nobodys_order_then_it_is_recorded_once(world: World, scribe: Scribe) -> None:
    foreign = msgspec.structs.replace(world.fill(listed(world, scribe), 4), client_order_id="", venue_order_id="v-9")
    world.gateway.fills_there.append(foreign)

    for _ in range(5):
        await world.reconciler.once()

    assert [one.fill_id for one in recorded(world)] == [foreign.fill_id]
