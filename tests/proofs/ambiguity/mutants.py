"""Daemons with one protection taken out: the proof must fail with each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

import msgspec

from framework.domain.account_events import OrderReport, OrderSnapshot, ReportKind
from framework.domain.errors import OutcomeUnknown
from framework.domain.events import Event
from framework.domain.intents import NewOrder
from framework.domain.orders import OrderStatus
from framework.domain.venue import Connector, LastWord, nothing_against
from framework.domain.verdicts import Signed
from tests.proofs.ambiguity.venues import Altered
from tests.proofs.ambiguity.world import World

GIVE_UP_NS = 1_000_000_000


def resending(connector: Connector) -> Connector:
    """The connector with a gateway that sends an order once more, under a new id, when its outcome is unknown."""
    gateway = connector.gateway

    async def send(signed: Signed, /, *, last_word: LastWord = nothing_against) -> tuple[Event, ...]:
        approved = signed.approved
        try:
            return await gateway.send(signed, last_word=last_word)
        except OutcomeUnknown:
            if not isinstance(approved.intent, NewOrder):
                raise
        again = msgspec.structs.replace(approved, client_order_id=f"{approved.client_order_id}-again")
        events = await gateway.send(gateway.sign(again, None))
        return tuple(
            msgspec.structs.replace(event, client_order_id=approved.client_order_id)
            for event in events
            if isinstance(event, (OrderReport, OrderSnapshot))
        )

    return cast("Connector", Altered(connector, gateway=Altered(gateway, send=send)))


async def reject_by_timer(world: World) -> None:
    """Call every order rejected that has been unknown for a second, until cancelled."""
    clock = world.daemon.kernel.dependencies.clock
    while True:
        await asyncio.sleep(0.02)
        for order in world.accounts.orders.open():
            if order.status is OrderStatus.UNKNOWN and clock.now_ns() - order.updated_ns > GIVE_UP_NS:
                world.daemon.kernel.publish(
                    OrderReport(
                        venue=order.venue,
                        client_order_id=order.client_order_id,
                        kind=ReportKind.REJECTED,
                        ts_recv=clock.now_ns(),
                        code="in_flight_timeout",
                    )
                )


MUTANTS: Mapping[str, str] = {
    "resend-new-id": "an order with an unknown outcome is sent again under a new id",
    "timer-rejects": "an order that is unknown for a second is called rejected",
}
