"""Daemons with one protection taken out: the proof must fail with each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from framework.domain.errors import OutcomeUnknown
from framework.domain.events import Event, Fill, OrderReport, OrderSnapshot, PositionReport, ReportKind
from framework.domain.instruments import InstrumentId
from framework.domain.intents import NewOrder
from framework.domain.orders import Order, OrderStatus
from framework.domain.tickets import Approved, Signed
from framework.domain.venue import Connector, Gateway
from tests.proofs.ambiguity_world import World

GIVE_UP_NS = 1_000_000_000


class ResendingGateway:
    """Sends an order whose outcome is unknown once more, under a new id. Implements `Gateway`."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def sign(self, approved: Approved, order: Order | None, /) -> Signed:
        """As it should be."""
        return self._gateway.sign(approved, order)

    async def send(self, signed: Signed, /) -> tuple[Event, ...]:
        """Send, and send again."""
        approved = signed.approved
        try:
            return await self._gateway.send(signed)
        except OutcomeUnknown:
            if not isinstance(approved.intent, NewOrder):
                raise
        again = msgspec.structs.replace(approved, client_order_id=f"{approved.client_order_id}-again")
        events = await self._gateway.send(self._gateway.sign(again, None))
        return tuple(
            msgspec.structs.replace(event, client_order_id=approved.client_order_id)
            for event in events
            if isinstance(event, (OrderReport, OrderSnapshot))
        )

    async def find_order(self, order: Order, /) -> OrderSnapshot | None:
        """As it should be."""
        return await self._gateway.find_order(order)

    async def open_orders(self) -> tuple[OrderSnapshot, ...]:
        """As it should be."""
        return await self._gateway.open_orders()

    async def fills(self, since_ns: int, /) -> tuple[Fill, ...]:
        """As it should be."""
        return await self._gateway.fills(since_ns)

    async def positions(self) -> tuple[PositionReport, ...]:
        """As it should be."""
        return await self._gateway.positions()

    @property
    def read_lag_ms(self) -> int:
        """As it should be."""
        return self._gateway.read_lag_ms


class ResendingConnector:
    """A connector with a `ResendingGateway`. Implements `Connector`."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self.gateway = ResendingGateway(connector.gateway)
        self.venue = connector.venue
        self.is_loopback = connector.is_loopback
        self.assumptions = connector.assumptions

    async def start(self, publish: Callable[[Event], None], /) -> None:
        """As it should be."""
        await self._connector.start(publish)

    async def run(self) -> None:
        """As it should be."""
        await self._connector.run()

    def resync(self, instrument: InstrumentId, /) -> None:
        """As it should be."""
        self._connector.resync(instrument)

    async def close(self) -> None:
        """As it should be."""
        await self._connector.close()


async def reject_by_timer(world: World) -> None:
    """Call every order rejected that has been unknown for a second, until cancelled."""
    clock = world.daemon.kernel.parts.clock
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
