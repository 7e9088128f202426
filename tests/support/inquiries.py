"""Bids of which the venue has said something, or nothing."""

from __future__ import annotations

from framework.domain.account_events import ReportKind
from framework.domain.strategy import OrderHandle
from tests.support import state_records
from tests.support.world import Scribe, World


def report(world: World, handle: OrderHandle, kind: ReportKind, *, code: str = "", venue_order_id: str = "") -> None:
    """Something became known of the order."""
    now_ns = world.clock.now_ns()
    said = state_records.report(kind, handle.client_order_id, at=now_ns, code=code, venue_order_id=venue_order_id)
    world.kernel.publish(said)


def sent(world: World, scribe: Scribe) -> OrderHandle:
    """A bid that has left."""
    handle = world.carried(scribe)
    report(world, handle, ReportKind.SENT)
    return handle


def unknown(world: World, scribe: Scribe) -> OrderHandle:
    """A bid whose answer was ambiguous."""
    handle = sent(world, scribe)
    report(world, handle, ReportKind.UNKNOWN, code="outcome_unknown")
    return handle


def listed(world: World, scribe: Scribe, price: int = 45) -> OrderHandle:
    """A bid that the venue has told of once; what its gateway lists is the test's affair."""
    handle = world.carried(scribe, price)
    world.kernel.publish(world.listing(handle))
    return handle


def working(world: World, scribe: Scribe) -> OrderHandle:
    """A bid that the venue has and lists."""
    handle = listed(world, scribe)
    world.gateway.orders_there[handle.client_order_id] = world.listing(handle)
    return handle


async def look(world: World, *, after_ns: int) -> None:
    """Let time pass and the reconciler resolve what is due."""
    world.clock.advance(after_ns)
    await world.reconciler.resolve_inquiries()
